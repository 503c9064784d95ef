"""The program of a serial array's sequencer: what it does for a job, a descriptor, a burst."""

from functools import cache

from .config import Config
from .descriptor import DESCRIPTOR_BYTES
from .descriptor_check import NOT_A_FIELD
from .registers import ErrorCode
from .serial_checks import check_array, check_arrays, check_fields
from .serial_code import Event, Op, Program, Source, Stream
from .serial_descriptor import begin_descriptor, set_up_values
from .serial_faults import handle_faults
from .serial_requests import ask_for_burst, serve_requests
from .serial_writer import ALIGNED, FIELDS, ProgramWriter, field_mask

__all__ = ["serial_program"]


@cache
def serial_program(config: Config) -> Program:
    """The program for an array of that configuration."""
    w = ProgramWriter()
    serve_requests(w)
    _job(w)
    check_fields(w, config)
    check_arrays(w, config)
    begin_descriptor(w, config)
    check_array(w)
    set_up_values(w)
    _ends(w)
    handle_faults(w)
    w.refusals()
    return w.code.program("first", "trap")


def _job(w: ProgramWriter) -> None:
    """Reads descriptor after descriptor."""
    w.label("first")
    # No tile is there that could be used again: none is in half of the memory and in all of it.
    w.copy(field_mask("half", "whole"), "tile_place")
    w.label("serve")
    w.serve()
    w.label("start")
    w.copy(Source.READ_BASE, "read_base", "window_base")
    w.copy(Source.READ_LAST, "read_last", "window_last")
    w.copy(Source.COUNT, "left")
    w.refuse(Op.JUMP_ZERO, "registers")
    w.subtract(1)
    w.store("factor")
    w.copy(Source.DESCRIPTOR, "base", "descriptor_at")
    w.keep(~ALIGNED)
    w.refuse(Op.JUMP_NONZERO, "registers")
    w.copy(DESCRIPTOR_BYTES, "length", "stride")
    w.copy(ErrorCode.OUTSIDE | NOT_A_FIELD << 8, "why")
    w.go(Op.CALL, "check")
    w.label("descriptor")
    w.event(Event.CLEAR)
    w.load("descriptor_at")
    w.add(DESCRIPTOR_BYTES)
    w.store("descriptor_end")
    w.label("descriptor_burst")
    ask_for_burst(w, "descriptor", Op.READ, Stream.VALUES)
    w.go(Op.JUMP_NONZERO, "descriptor_burst")
    last = max(FIELDS[name].word for name in ("slice_words", "scale"))
    for word in range(DESCRIPTOR_BYTES // 4):
        w.load(Source.VALUES)
        if word <= last:
            w.code.do(Op.STORE, word)


def _ends(w: ProgramWriter) -> None:
    w.label("completed")
    w.event(Event.COMPLETED)
    w.load("left")
    w.subtract(1)
    w.store("left")
    w.go(Op.JUMP_NONZERO, "descriptor")
    w.event(Event.FINISHED)
    w.serve()
