"""The program of a serial array: what it reports."""

from .descriptor_check import NOT_A_FIELD
from .registers import ErrorCode
from .serial_code import (
    INDIRECT,
    NEWS_BLOCKED,
    NEWS_NUMBER,
    NEWS_POINTER,
    NEWS_READ_ERROR,
    NEWS_TAKEN_BITS,
    NEWS_WRITE_ERROR,
    Event,
    Op,
    Register,
    Source,
)
from .serial_writer import ALIGNED, ProgramWriter

__all__ = ["handle_faults"]

_STREAM = 7
"""A mask for the number of a stream."""


def _where(w: ProgramWriter, name: str, first: str) -> None:
    """The address of a queue's head: the last one before what was asked for that is as many words behind the
    first one as were taken, modulo what the queue holds."""
    w.load(Source.NEWS)
    w.keep((1 << NEWS_TAKEN_BITS) - 1)
    w.store("base")
    w.load(first)
    w.keep(ALIGNED)
    w.add("base")
    w.store("base")
    w.load(f"{name}_at")
    w.subtract("base")
    w.keep((1 << NEWS_TAKEN_BITS) - 1)
    w.store("base")
    w.load(f"{name}_at")
    w.subtract("base")


def handle_faults(w: ProgramWriter) -> None:
    """Each ends with the error's address in the accumulator, and waits for the reset that a report brings."""
    w.label("trap")
    for kind, name in ((NEWS_READ_ERROR, "read error"), (NEWS_WRITE_ERROR, "write error"),
                       (NEWS_BLOCKED, "blocked"), (NEWS_POINTER, "pointer fault")):
        w.load(Source.NEWS)
        w.keep(kind)
        w.go(Op.JUMP_NONZERO, name)
    _where(w, "indices", "a_indices")
    w.store("base")
    w.load("indices_last")
    w.subtract("base")
    # Behind the last entry is none: a pointer has led there.
    w.go(Op.JUMP_CARRY, "last_pointer")
    w.set(Register.WHY, ErrorCode.COLUMN_INDEX)
    w.load("base")
    w.go(Op.JUMP, "report")
    w.label("pointer fault")
    w.set(Register.WHY, ErrorCode.ROW_POINTER)
    _where(w, "pointers", "a_pointers")
    w.go(Op.JUMP, "report")
    w.label("last_pointer")
    w.set(Register.WHY, ErrorCode.ROW_POINTER)
    w.load("pointers_last")
    w.go(Op.JUMP, "report beat")
    w.label("write error")
    w.load(ErrorCode.WRITE_BUS)
    w.go(Op.JUMP, "report burst")
    w.label("blocked")
    w.load(Source.NEWS)
    w.keep(_STREAM << NEWS_NUMBER)
    w.go(Op.JUMP_ZERO, "blocked write")
    w.add(ErrorCode.BLOCKED)
    w.go(Op.JUMP, "report burst")
    w.label("blocked write")
    w.load(ErrorCode.BLOCKED | NOT_A_FIELD << 8)
    w.go(Op.JUMP, "report burst")
    w.label("read error")
    w.load(Source.NEWS)
    w.keep(_STREAM << NEWS_NUMBER)
    w.add(ErrorCode.READ_BUS)
    w.label("report burst")
    w.code.do(Op.SET, Register.WHY)
    w.code.do(Op.LOAD, INDIRECT)
    # The log has addresses as they were asked for, any byte of a beat.
    w.label("report beat")
    w.keep(ALIGNED)
    w.go(Op.JUMP, "report")
    w.label("outside")
    w.set(Register.WHY, "why")
    w.load("base")
    w.go(Op.JUMP, "report")
    w.label("refuse")
    w.code.do(Op.SET, Register.WHY)
    w.load(0)
    w.label("report")
    w.event(Event.REPORT)
    w.label("halt")
    w.go(Op.JUMP, "halt")
