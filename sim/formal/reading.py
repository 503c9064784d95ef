"""Proofs of what reads pieces of memory."""

from amaranth.hdl import Cat, Const, Mux, Signal

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
    free, issued = inside("free"), inside("issued")
    leaves, asked = inside("_ask:leaves"), inside("asked")
    held = Mux(request.valid, request.p.beats + 1, 0)
    depth = SMALL.read_buffer_beats
    b.invariant(free + owed + held + inside("buffer/level") + leaves == depth + asked)
    b.invariant(free >= asked)
    b.invariant(~issued | request.valid)

    last, position, stride = inside("_ask:last"), inside("position"), inside("_next_rows:stride")
    load, longest, empty = inside("_load"), inside("_longest"), inside("empty")
    active, asking, row, longer = inside("active"), inside("asking"), inside("row"), inside("longer")
    b.invariant(~active | inside("strided") | (stride == (longest + 1)[:33]))
    # No byte of a job lies past the end of the address space: `extent_check` has seen to that.
    b.assume(~(load & ~empty) | (row + longest < 1 << ADDRESS_BITS))
    b.assume(~longer | (last + stride < 1 << ADDRESS_BITS))
    b.invariant(~asking | (position <= last // BYTES))
    b.invariant(~load | ~asking)
    # `last` is the last byte of the row that was counted last, `row` the first one of the next row.
    b.invariant(~asking | ((last >= longest) & (row == (last - longest + stride)[:ADDRESS_BITS])))
    # The tests show this: a job ends with its last byte, which was asked for last.
    b.assume(~(asking | load) | active)


class Memory:
    """Answers requests in order, when it likes, with bytes that are the lowest bits of their addresses.

    Attributes
    ----------
    waiting : requests that are not answered to their end
    """

    ROOM = 4

    def __init__(self, b: Bench, request, beat, name: str = "memory"):
        m, beat_bytes = b.m, len(beat.p.data) // 8
        asked = [Signal.like(request.p, name=f"{name}_asked{number}") for number in range(self.ROOM)]
        self.waiting = Signal(range(self.ROOM + 1), name=f"{name}_waiting")
        done, address = Signal(4, name=f"{name}_done"), Signal(ADDRESS_BITS, name=f"{name}_address")
        ends = beat.valid & (done == asked[0].beats)
        b.drive(request.ready, b.free(1, f"{name}_ready") & (self.waiting != self.ROOM))
        b.drive(beat.valid, b.free(1, f"{name}_answers") & (self.waiting != 0))
        m.d.comb += address.eq(asked[0].address + done * beat_bytes)
        answer = Signal.like(beat.p, name=f"{name}_answer")
        m.d.comb += answer.data.eq(Cat((address + number)[:8] for number in range(beat_bytes)))
        b.drive(beat.payload, answer)
        m.d.sync += self.waiting.eq(self.waiting + moves(request) - ends)
        with m.If(beat.valid):
            m.d.sync += done.eq(Mux(ends, 0, done + 1))
        for number, entry in enumerate(asked):
            later = asked[number + 1] if number + 1 < self.ROOM else entry
            with m.If(moves(request) & (self.waiting - ends == number)):
                m.d.sync += entry.eq(request.p)
            with m.Elif(ends):
                m.d.sync += entry.eq(later)


def _chunks(b: Bench) -> None:
    """The bytes of small jobs, each the lowest bits of its address: all come, in order, in full chunks."""
    reader, m = b.dut, b.m
    b.no_reset()
    steady(b, reader.i_job)
    stable(b, reader.o)
    memory = Memory(b, reader.o_request, reader.i_beat)
    offered, job, chunk = reader.i_job.p, Signal.like(reader.i_job.p, name="job"), reader.o.p
    b.assume((offered.address < 1 << 5) & (offered.rows <= 3) & (offered.row_bytes <= 3 * BYTES))
    b.assume((offered.stride >= offered.row_bytes) & (offered.stride < 1 << 4))
    running, row, column, start = Signal(), Signal(2), Signal(5), Signal(8)
    left = job.row_bytes - column
    row_last, last = left <= BYTES, (left <= BYTES) & (row == job.rows - 1)
    # A job may be taken while the last chunk of the one before is on offer still.
    comes, waits, waiting = Signal(), Signal(), Signal.like(job, name="waiting_job")
    m.d.comb += comes.eq(moves(reader.i_job) & (offered.rows != 0) & (offered.row_bytes != 0))
    b.check(~moves(reader.i_job) | ~running | (reader.o.valid & last & ~waits))
    with m.If(moves(reader.o)):
        m.d.sync += [row.eq(row + row_last), column.eq(Mux(row_last, 0, column + BYTES)),
                     start.eq(Mux(row_last, start + job.stride, start))]
    with m.If(~running | (moves(reader.o) & last)):
        m.d.sync += [job.eq(Mux(waits, waiting, offered)), running.eq(waits | comes), waits.eq(0),
                     row.eq(0), column.eq(0), start.eq(Mux(waits, waiting.address, offered.address))]
    with m.Elif(comes):
        m.d.sync += [waiting.eq(offered), waits.eq(1)]
    b.check(~reader.o.valid | (running & (chunk.count == Mux(row_last, left, BYTES))
                               & (chunk.row_last == row_last) & (chunk.last == last)))
    for number in range(BYTES):
        address = start + column + number
        b.check(~reader.o.valid | (chunk.count <= number)
                | (chunk.data.word_select(number, 8) == address[:8]))
    b.check(~reader.o_idle | (~running & (memory.waiting == 0) & ~reader.o_request.valid))
    b.cover(moves(reader.o) & last & (row == 1) & (job.stride != job.row_bytes) & (column != 0))
    b.cover(reader.o_idle & b.past(running, "ran"))


PROOFS = (
    Proof("reader_requests", "SegmentReader",
          "bursts cross no 4 KiB page and are stable; nothing is asked for without a free place, so that "
          "a beat always finds one",
          lambda: SegmentReader(SMALL, BYTES), _requests,
          Fault("every burst is a whole block long", "o_request.p.beats",
                lambda value, inside: Const(15)),
          depth=6, cover=40),
    Proof("reader_chunks", "SegmentReader",
          "every byte of a job comes once, in order, in chunks that are full but at the end of a row; idle "
          "means that all has come and nothing is asked for; jobs of up to 3 rows of up to 3 chunks",
          lambda: SegmentReader(SMALL, BYTES), _chunks,
          Fault("what is left in the second beat of a row is kept", "leaves_both",
                lambda value, inside: Const(0)),
          induction=None, depth=14, cover=14, solver="bitwuzla"),
)
