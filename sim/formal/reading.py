"""Proofs of what reads pieces of memory."""

from amaranth.hdl import Const, Mux, Signal

from hdl.config import ADDRESS_BITS
from hdl.reader import SegmentReader

from .axi import in_one_block
from .bench import Bench, Proof
from .checks import levels, moves, stable, steady
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS"]

BYTES = SMALL.port_bytes


def _requests(b: Bench) -> None:
    """Bursts stay within their block, and nothing is asked for without a place for it."""
    reader, m, inside = b.dut, b.m, b.inside
    request = reader.o_request
    steady(b, reader.i_job)
    stable(b, request)
    b.check(~request.valid | in_one_block(request.p.address, request.p.beats))
    # The memory answers what it was asked.
    owed = Signal(8)
    m.d.sync += owed.eq(owed + Mux(moves(request), request.p.beats + 1, 0) - reader.i_beat.valid)
    b.assume(~reader.i_beat.valid | (owed != 0))
    buffer = inside("buffer")
    b.check(~reader.i_beat.valid | buffer.i.ready)
    b.cover(moves(request) & (request.p.beats == 15))
    b.cover(request.valid & (owed == 16))
    _requests_inside(b, request, owed)


def _requests_inside(b: Bench, request, owed) -> None:
    """Invariants: every place of the buffer is free, asked for, or filled; the next beat is a wanted one."""
    inside = b.inside
    levels(b)
    free, outstanding, issued = inside("free"), inside("outstanding"), inside("issued")
    leaves, asked = inside("_ask:leaves"), inside("asked")
    depth = SMALL.read_buffer_beats
    b.invariant(free + outstanding + inside("buffer/level") + leaves == depth)
    b.invariant(outstanding + asked == owed + Mux(request.valid, request.p.beats + 1, 0))
    b.invariant(free >= asked)
    b.invariant(~issued | request.valid)

    last, position, step = inside("_ask:last"), inside("position"), inside("step")
    load, longest = inside("_load"), inside("_longest")
    asking, strided, row, more = inside("asking"), inside("strided"), inside("next_row"), inside("more")
    # No byte of a job lies past the end of the address space: `extent_check` has seen to that.
    b.assume(~load | (last + longest < 1 << ADDRESS_BITS))
    b.assume(~asking | (more == 0) | (last + step < 1 << ADDRESS_BITS))
    b.invariant(~asking | (position <= last // BYTES))
    b.invariant(~load | ~asking)
    b.invariant(load | asking | (more == 0))
    b.invariant(~load | ((row == last) & (position == last // BYTES)))
    # Rows with gaps: `last` is the last byte of the row at work, `row` the first one of the next row.
    b.invariant(~(asking & strided) | ((last >= longest) & (row == (last - longest + step)[:ADDRESS_BITS])))
    # The tests show this: a job ends with its last byte, which was asked for last.
    b.assume(~moves(b.dut.i_job) | ~(asking | load))


PROOFS = (
    Proof("reader_requests", "SegmentReader",
          "bursts cross no 4 KiB page and are stable; nothing is asked for without a free place, so that "
          "a beat always finds one",
          lambda: SegmentReader(SMALL, BYTES), _requests,
          Fault("every burst is a whole block long", "o_request.p.beats",
                lambda value, inside: Const(15)),
          depth=6, cover=40),
)
