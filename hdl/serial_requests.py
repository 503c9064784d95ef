"""The program of a serial array: bursts, as its streams and its results want them."""

from .serial_code import VECTOR_WORDS, Event, Op, Register, Request, Source, Stream
from .serial_writer import ALIGNED, ProgramWriter

__all__ = ["ask_for_burst", "serve_requests", "set_beats", "set_last_beat"]


def serve_requests(w: ProgramWriter) -> None:
    """What SERVE goes to, and the rest of it where there is no room for it there."""
    w.code.at(Request.RESULT * VECTOR_WORDS)
    w.event(Event.ROW)
    w.load("result_limit")
    w.go(Op.JUMP_ZERO, "result_bytes")
    w.code.do(Op.LIMIT)
    w.load("result_base")
    w.code.do(Op.WRITE)
    w.go(Op.JUMP_SPLIT, "result_split")
    w.label("result_done")
    w.add("result_stride")
    w.store("result_base")
    w.serve()
    for stream, name in ((Stream.VALUES, "values"), (Stream.INDICES, "indices"),
                         (Stream.POINTERS, "pointers"), (Stream.EARLIER, "earlier"),
                         (Stream.PARAMETERS, "parameters")):
        w.code.at(stream * VECTOR_WORDS)
        ask_for_burst(w, name, Op.READ, stream)
        if stream in (Stream.VALUES, Stream.EARLIER):
            w.go(Op.JUMP_ZERO, f"{name}_row")
        else:
            w.code.do(Op.WANT, stream)
        w.serve()
    w.code.at(Request.END * VECTOR_WORDS)
    w.load("multiplies")
    w.go(Op.JUMP_NONZERO, "completed")
    w.go(Op.JUMP, "loaded")
    w.code.at(Request.START * VECTOR_WORDS)
    w.event(Event.TAKEN)
    w.go(Op.JUMP, "start")

    # A row of sums in two bursts, or one of bytes, which may begin and end anywhere in a beat.
    w.label("result_split")
    w.add(Source.NEWS)
    w.store("result_at")
    w.load("result_base")
    w.add("result_limit")
    w.store("result_end")
    w.label("result_burst")
    ask_for_burst(w, "result", Op.WRITE)
    w.go(Op.JUMP_NONZERO, "result_burst")
    w.load("result_base")
    w.go(Op.JUMP, "result_done")
    w.label("result_bytes")
    w.set(Register.WRITE_OFFSET, "result_base")
    set_beats(w, "result")
    w.go(Op.JUMP, "result_burst")
    for stream, name in ((Stream.VALUES, "values"), (Stream.EARLIER, "earlier")):
        w.label(f"{name}_row")
        w.load(f"{name}_rows")
        w.subtract(1)
        w.store(f"{name}_rows")
        w.code.do(Op.WANT, stream)
        w.go(Op.JUMP_ZERO, "serve")
        _next_row(w, name)


def ask_for_burst(w: ProgramWriter, name: str, op: Op, stream: Stream | int = 0) -> None:
    """A burst of what is left of a row; zero is left in the accumulator if it is the last one."""
    w.load(f"{name}_end")
    w.subtract(f"{name}_at")
    w.code.do(Op.LIMIT)
    w.load(f"{name}_at")
    w.code.do(op, stream)
    w.add(Source.NEWS)
    w.store(f"{name}_at")
    w.subtract(f"{name}_end")


def _next_row(w: ProgramWriter, name: str) -> None:
    w.load(f"{name}_base")
    w.add(f"{name}_stride")
    w.store(f"{name}_base")
    set_beats(w, name)
    w.serve()


def set_beats(w: ProgramWriter, name: str) -> None:
    """Whole beats around a row, whose first byte's address is in the accumulator and has been stored."""
    w.keep(ALIGNED)
    w.store(f"{name}_at")
    w.load(f"{name}_base")
    w.add(f"{name}_length")
    w.add(3)
    w.keep(ALIGNED)
    w.store(f"{name}_end")


def set_last_beat(w: ProgramWriter, name: str) -> None:
    """The end of the beat with its last byte."""
    w.load(f"{name}_last")
    w.add(4)
    w.keep(ALIGNED)
    w.store(f"{name}_end")
