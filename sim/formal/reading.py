"""Proofs of what reads pieces of memory."""

from amaranth.hdl import Array, Const, Mux, Signal

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
    load, longest, first = inside("_load"), inside("_longest"), inside("first_byte")
    asking, strided, row, more = inside("asking"), inside("strided"), inside("next_row"), inside("more")
    address = position * BYTES + first
    # No byte of a job lies past the end of the address space: `extent_check` has seen to that.
    b.assume(~load | (address + longest < 1 << ADDRESS_BITS))
    b.assume(~asking | (more == 0) | (last + step < 1 << ADDRESS_BITS))
    b.invariant(~asking | (position <= last // BYTES))
    b.invariant(~load | ~asking)
    b.invariant(~load | (row == address))
    # Rows with gaps: `last` is the last byte of the row at work, `row` the first one of the next row.
    b.invariant(~(asking & strided) | ((last >= longest) & (row == (last - longest + step)[:ADDRESS_BITS])))
    # `reader_bytes` checks this: a job ends with its last byte, which was asked for last.
    b.assume(~moves(b.dut.i_job) | ~(asking | load))


def _bytes(b: Bench) -> None:
    """One job: its chunks are its rows, cut as they should be, and one byte of memory, whichever, comes out
    wherever it lies in a row. Nothing is under way when the reader is idle."""
    reader, m, inside = b.dut, b.m, b.inside
    b.no_reset()
    job, request, chunk = b.constant(reader.i_job.p.shape(), "job"), reader.o_request, reader.o.p
    begun = Signal()
    b.drive(reader.i_job.p, job)
    b.drive(reader.i_job.valid, ~begun)
    m.d.sync += begun.eq(begun | reader.i_job.ready)
    b.assume((job.rows != 0) & (job.rows <= 2) & (job.row_bytes != 0) & (job.row_bytes <= 6))
    b.assume((job.stride >= job.row_bytes) & (job.stride <= 12) & (job.address[7:] == 0))

    # ---- memory: one byte is known, beats come in the order in which they were asked for ----
    place, value = b.constant(8, "place"), b.constant(8, "value")
    bursts = [Signal.like(request.p, name=f"burst{number}") for number in range(4)]
    put, take, beat = Signal(2), Signal(2), Signal(4)
    current = Signal.like(request.p)
    m.d.comb += current.eq(Array(burst.as_value() for burst in bursts)[take])
    for number, burst in enumerate(bursts):
        with m.If(moves(request) & (put == number)):
            m.d.sync += burst.eq(request.p)
    m.d.sync += put.eq(put + moves(request))
    b.assume(~moves(request) | ((put + 1)[:2] != take))
    b.assume(~reader.i_beat.valid | (put != take))
    with m.If(reader.i_beat.valid):
        ends = beat == current.beats
        m.d.sync += [beat.eq(Mux(ends, 0, beat + 1)), take.eq(take + ends)]
    address = Signal(8)
    m.d.comb += address.eq(current.address + beat * BYTES)
    b.assume(~reader.i_beat.valid | (address // BYTES != place // BYTES)
             | (reader.i_beat.p.data.word_select(place % BYTES, 8) == value))

    # ---- chunks ----
    row, column, row_start = Signal(2), Signal(4), Signal(8)
    count, left, distance = Signal(4), Signal(4), Signal(8)
    first = Signal(init=1)
    start = Mux(first, job.address, row_start)[:8]
    m.d.comb += [left.eq(job.row_bytes - column), count.eq(Mux(left > BYTES, BYTES, left)),
                 distance.eq(place - start - column)]
    with m.If(moves(reader.o)):
        m.d.sync += [first.eq(0), row_start.eq(start), column.eq(column + count)]
        with m.If(left <= BYTES):
            m.d.sync += [column.eq(0), row.eq(row + 1), row_start.eq(start + job.stride)]
    b.check(~reader.o.valid | ((row < job.rows) & (chunk.count == count)
                               & (chunk.row_last == (left <= BYTES))
                               & (chunk.last == ((left <= BYTES) & (row == job.rows - 1)))))
    b.check(~reader.o.valid | (distance >= count) | (chunk.data.word_select(distance[:2], 8) == value))
    for number in range(BYTES):
        b.check(~reader.o.valid | (number < count) | (chunk.data.word_select(number, 8) == 0))
    idle = reader.o_idle & begun
    b.check(~idle | ((put == take) & ~request.valid & ~inside("asking") & ~inside("_load")))
    b.check(~(idle & b.past(reader.o_idle & begun, "was_idle")) | (row == job.rows))
    b.cover(idle & (job.rows == 2) & (job.row_bytes == 6) & (job.stride == 9))


PROOFS = (
    Proof("reader_requests", "SegmentReader",
          "bursts cross no 4 KiB page and are stable; nothing is asked for without a free place, so that "
          "a beat always finds one",
          lambda: SegmentReader(SMALL, BYTES), _requests,
          Fault("a burst under way is not counted", "asked", lambda value, inside: Const(0)),
          depth=8, cover=40),
    Proof("reader_bytes", "SegmentReader",
          "chunks are the job's rows, with the bytes that memory holds there, zeros behind them; idle "
          "means that all was asked for and has come",
          lambda: SegmentReader(SMALL, BYTES), _bytes,
          Fault("a row of a strided job begins where the one before began", "row_offset",
                lambda value, inside: inside("row_offset"), only=0),
          induction=None, depth=11, cover=20),
)
