"""Proofs of what writes pieces of memory."""

from dataclasses import replace

from amaranth.hdl import Cat, Const, Mux, Signal

from hdl.config import ADDRESS_BITS, MAX_BURST_BEATS
from hdl.writer import SegmentWriter

from .axi import in_one_block
from .bench import Bench, Proof
from .checks import levels, moves, stable, steady
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS"]

CSR = replace(SMALL, csr_out=True)
"""Jobs may be scattered."""
FAR = replace(SMALL, far_registers=True)

BYTES = SMALL.port_bytes
COUNT_BITS = 10


def _can_scatter(b: Bench) -> bool:
    """The writer under proof takes scattered jobs."""
    return "at" in dict(b.dut.i.p.shape())


class _Rows:
    """The rows of a job as its chunks come, and the assumption that they come so.

    Attributes
    ----------
    job : the job at work
    row, column : of the next chunk
    address : of its first byte
    scattered : the job is
    opens : the next chunk is the first of a segment of a scattered job
    """

    def __init__(self, b: Bench, chunks):
        m, chunk, offered = b.m, chunks.p, b.dut.i_job.p
        self.job = Signal.like(offered, name="job")
        self.row, self.column = Signal(32, name="row"), Signal(32, name="column")
        self.row_start = Signal(ADDRESS_BITS, name="row_start")
        self.address = Signal(ADDRESS_BITS, name="address")
        after, self.begins = Signal(33), Signal(name="begins")
        self.scattered, self.opens = Signal(name="is_scattered"), Signal(name="segment_opens")
        following, at = Signal(ADDRESS_BITS), chunk.at if _can_scatter(b) else Const(0)
        m.d.comb += [
            after.eq(self.column + chunk.count),
            self.begins.eq(moves(b.dut.i_job)),
            self.address.eq(Mux(self.scattered, Mux(self.opens, at, following),
                                self.row_start + self.column)),
        ]
        b.assume((offered.rows != 0) & (offered.row_bytes != 0))
        if _can_scatter(b):
            m.d.comb += self.scattered.eq(self.job.scattered)
        fits = (after <= self.job.row_bytes) & (chunk.row_last == (after == self.job.row_bytes))
        b.assume(~chunks.valid | ((chunk.count != 0) & (chunk.count <= BYTES)
                                  & Mux(self.scattered, chunk.row_last | ~chunk.last, fits)))
        with m.If(moves(chunks)):
            m.d.sync += [self.column.eq(Mux(chunk.row_last, 0, after)),
                         self.row.eq(self.row + chunk.row_last),
                         following.eq(self.address + chunk.count), self.opens.eq(chunk.row_last)]
            with m.If(chunk.row_last):
                m.d.sync += self.row_start.eq(self.row_start + self.job.stride)
        with m.If(self.begins):
            m.d.sync += [self.job.eq(offered), self.row.eq(0), self.column.eq(0),
                         self.row_start.eq(offered.address), self.opens.eq(1)]


def _writer_bytes(b: Bench) -> None:
    """The byte at one address, whichever: it comes with a chunk, and then goes with a beat. Seen as beats
    enter their queue, which `block_queue` is about."""
    writer, m = b.dut, b.m
    steady(b, writer.i, writer.i_job)
    rows = _Rows(b, writer.i)
    push, beat = b.inside("elaborate:push"), b.inside("elaborate:beats").i.p
    position = b.inside("position")
    place = b.constant(ADDRESS_BITS, "place")
    lane, block = place % BYTES, place // BYTES
    distance = Signal(ADDRESS_BITS)
    comes, goes, present, value = Signal(), Signal(), Signal(), Signal(8)
    m.d.comb += [
        distance.eq(place - rows.address),
        comes.eq(moves(writer.i) & (distance < writer.i.p.count)),
        goes.eq(push & (position == block) & beat.strobe.bit_select(lane, 1)),
    ]
    with m.If(comes):
        m.d.sync += [present.eq(1), value.eq(writer.i.p.data.word_select(distance[:2], 8))]
    with m.Elif(goes):
        m.d.sync += present.eq(0)
    # Rows that overlap write a byte twice: its values come one after the other.
    b.assume(~(comes & present))
    b.check(~goes | (present & (beat.data.word_select(lane, 8) == value)))
    # When the job is over nothing is kept back.
    b.check(b.inside("active") | ~present)
    b.cover(goes & rows.job.rows[1])
    if _can_scatter(b):
        b.cover(goes & rows.scattered & rows.opens & (position != 0))
    _writer_bytes_inside(b, rows, lane, block, present, value)


def _writer_bytes_inside(b: Bench, rows: _Rows, lane, block, present, value) -> None:
    """Invariants: where the byte is, and how the writer's addresses follow the rows."""
    inside, job = b.inside, rows.job
    placed, placed_valid = inside("elaborate:placed"), inside("elaborate:placed_valid")
    partial, rest = inside("partial"), inside("rest")
    position, filling, active = inside("position"), inside("filling"), inside("active")
    offset, strided = inside("offset"), inside("strided")
    waits = placed_valid & ~rest
    low, high, open_ = (bits.bit_select(lane, 1) for bits in (placed.low, placed.high, partial.strobe))
    here = [(open_ & (position == block), partial.data), (waits & low & (position == block), placed.data),
            (waits & high & ((position + 1)[:len(position)] == block), placed.data)]
    b.invariant(present == Cat(found for found, _ in here).any())
    for found, data in here:
        b.invariant(~found | (data.word_select(lane, 8) == value))
    # Lanes fill up from below; what spills is in the beat behind.
    under = Cat(offset > number for number in range(BYTES))
    b.invariant(~waits | ((partial.strobe & placed.low) == 0))
    b.invariant(placed_valid | ~filling | ((partial.strobe & ~under) == 0))
    b.invariant(~(placed_valid & ~placed.flushes) | (
        (Mux(placed.fills, placed.high, partial.strobe | placed.low) & ~under) == 0))
    b.invariant(~placed_valid | (placed.spills == placed.high.any()))
    b.invariant(~placed_valid | (placed.fills == placed.low[-1]) & (placed.low != 0))
    b.invariant(~placed_valid | placed.fills | ~placed.spills)
    b.invariant(~rest | (placed_valid & placed.flushes & placed.spills & (partial.strobe == placed.high)
                         & (partial.data == placed.data)))
    b.invariant(placed_valid | filling | (partial.strobe == 0))
    opening = rows.scattered & rows.opens
    if _can_scatter(b):
        b.invariant(~active | (inside("scattered") == rows.scattered))
        b.invariant(~filling | ~rows.scattered | (inside("_place:opens") == rows.opens))
        b.invariant(~placed_valid | ~placed.opens | rows.scattered)
        b.invariant(~(placed_valid & placed.opens & ~rest) | (partial.strobe == 0))
        b.invariant(placed_valid | ~opening | (partial.strobe == 0))
        b.invariant(~(placed_valid & filling & rows.scattered) | (placed.flushes == rows.opens))
    # Addresses.
    by_rows = filling & ~rows.scattered
    row, stride = inside("row"), inside("_close:stride")
    last_of_segment = placed_valid & placed.flushes
    b.invariant(~active | (stride == job.stride) & (inside("_place:stride") == job.stride[:2]))
    b.invariant(~active | (strided == (job.stride != job.row_bytes)))
    b.invariant(~filling | (offset == rows.address[:2]))
    at = Mux(placed_valid, position + placed.fills, position)[:len(position)]
    b.invariant(~filling | last_of_segment | opening | (at == rows.address[2:]))
    b.invariant(~(filling & last_of_segment) | Mux(rows.scattered, rows.opens, (rows.column == 0) & strided))
    this_row = Mux(last_of_segment, row, row - stride)[:ADDRESS_BITS]
    b.invariant(~(by_rows & strided) | (this_row == rows.row_start))
    b.invariant(~(by_rows & strided) | (inside("row_offset") == rows.row_start[:2]))
    left = inside("rows_left")
    b.invariant(~by_rows | ((rows.row < job.rows) & (left == (job.rows - 2 - rows.row)[:len(left)])))
    b.invariant(~by_rows | (rows.column < job.row_bytes))
    b.invariant(~active | ((job.rows != 0) & (job.row_bytes != 0)))
    # The cycle after the job was taken.
    load = inside("load")
    b.invariant(~load | ((rows.row == 0) & (rows.column == 0) & rows.opens & (left == job.rows - 1)
                         & (row == rows.row_start) & (rows.row_start == job.address)))
    b.invariant(~load | ((inside("next_offset") == row[:2]) & (inside("row_offset") == row[:2])
                         & (partial.strobe == 0)))
    if _can_scatter(b):
        b.invariant(~load | inside("_place:opens"))
    _writer_ends(b)


def _writer_ends(b: Bench) -> None:
    """Invariants: a job's last chunk is followed by none, and ends it."""
    placed, placed_valid = b.inside("elaborate:placed"), b.inside("elaborate:placed_valid")
    filling, active = b.inside("filling"), b.inside("active")
    b.invariant(~filling | ~placed_valid | ~placed.job_last)
    load = b.inside("load")
    b.invariant(~(filling | placed_valid | load) | active)
    b.invariant(~load | ~(filling | placed_valid))
    b.invariant(~active | filling | load | (placed_valid & placed.job_last & placed.flushes))
    b.invariant(~placed_valid | ~placed.job_last | placed.flushes)


def _writer_bursts(b: Bench) -> None:
    """Bursts as they enter their queue, one for every last beat (`queue` and `block_queue` keep both in
    order); the channels; what idle means."""
    writer, m = b.dut, b.m
    inside = b.inside
    aw, w = writer.aw, writer.w
    steady(b, writer.i, writer.b, writer.i_job)
    stable(b, aw, w)
    # ---- bursts ----
    push, beats, bursts = inside("elaborate:push"), inside("elaborate:beats"), inside("elaborate:bursts")
    position, burst, count = inside("position"), bursts.i.p, Signal(5)
    ends = push & beats.i.p.last
    with m.If(push):
        m.d.sync += count.eq(Mux(beats.i.p.last, 0, count + 1))
    b.check(beats.i.valid == push)
    b.check(bursts.i.valid == ends)
    b.check(~push | (beats.i.ready & (~ends | bursts.i.ready)))
    b.check(~ends | in_one_block(burst.beat * BYTES, burst.length))
    b.check(~ends | ((burst.length == count)
                     & ((burst.beat + burst.length)[:len(position)] == position)))
    b.cover(ends & (count == 1))
    opened, first = inside("opened"), inside("first")
    _writer_ends(b)
    b.invariant(opened == (count != 0))
    b.invariant((b.inside("active") & ~b.inside("load")) | ~opened)
    b.invariant(~opened | ((first + count == position[:4]) & (count < MAX_BURST_BEATS)))
    if _can_scatter(b):
        _segments_close_bursts(b)

    # ---- channels ----
    closed, announced, sent, answered = (
        Signal(COUNT_BITS, name=name) for name in ("closed", "announced", "sent", "answered"))
    m.d.sync += [
        closed.eq(closed + ends), announced.eq(announced + moves(aw)),
        sent.eq(sent + (moves(w) & w.p.last)), answered.eq(answered + moves(writer.b)),
    ]
    b.check(writer.b.ready)
    # `block_queue`: no more last beats leave than came. The memory answers what it was sent.
    waiting = (closed - sent)[:COUNT_BITS]
    b.assume(waiting <= 1 << 6)
    b.assume(~(w.valid & w.p.last) | (waiting != 0))
    b.assume(~writer.b.valid | ((answered != sent) & (answered != announced)))
    late = (sent - announced)[:COUNT_BITS] == 1
    may_send = ~late & ((sent != announced) | aw.valid)
    b.check(w.valid == (beats.o.valid & may_send))
    b.check(~writer.o_idle | ((closed == answered) & (announced == answered) & (sent == answered)
                              & ~aw.valid))
    b.cover(writer.o_idle & (answered != 0))
    outstanding, lead = inside("outstanding"), inside("lead")
    level = bursts.level + bursts.o.valid + inside("bursts/head/o_waits")
    b.invariant(outstanding == (closed - answered)[:COUNT_BITS])
    b.invariant(outstanding <= 1 << 6)
    # Counted a cycle before the beat that it lets go.
    b.invariant(~inside("elaborate:room") | (beats.i.ready & bursts.i.ready & (outstanding < 1 << 6)))
    levels(b)
    b.invariant((announced + level)[:COUNT_BITS] == closed)
    if writer._config.far_registers:
        b.invariant((lead + inside("took"))[:COUNT_BITS] == (announced - sent + 1)[:COUNT_BITS])
        for name, holds in (("ahead", lead > 1), ("even", lead == 1), ("behind", lead == 0)):
            b.invariant(inside(name) == holds)
    else:
        b.invariant(lead == (announced - sent + 1)[:COUNT_BITS])
    b.invariant((announced - answered)[:COUNT_BITS] <= 1 << 6)
    b.invariant((sent - answered)[:COUNT_BITS] <= 1 << 6)
    b.invariant(late | ((announced - sent)[:COUNT_BITS] <= 1 << 6))
    b.invariant(~late | aw.valid)


def _segments_close_bursts(b: Bench) -> None:
    """Invariants: no burst is open when a scattered job's next segment begins."""
    inside = b.inside
    placed, placed_valid = inside("elaborate:placed"), inside("elaborate:placed_valid")
    opened, opens, scattered = inside("opened"), inside("_place:opens"), inside("scattered")
    b.invariant(~(placed_valid & placed.opens & ~inside("rest")) | ~opened)
    b.invariant(~placed_valid | ~placed.opens | scattered)
    b.invariant(placed_valid | ~(inside("filling") & scattered & opens) | ~opened)
    b.invariant(~(placed_valid & inside("filling") & scattered & opens) | placed.flushes)


PROOFS = (
    Proof("writer_bytes", "SegmentWriter",
          "every byte of a job is written once, at its address, and nothing else is; none is kept back",
          lambda: SegmentWriter(SMALL), _writer_bytes,
          Fault("of the bytes that spill into the next beat all but one are lost", "placed.high",
                lambda value, inside: value & 1),
          depth=6, cover=12),
    Proof("writer_bursts", "SegmentWriter",
          "bursts cross no 4 KiB page, WLAST is at their end, data never comes before its address; idle "
          "means that every response has come; `aw` and `w` are stable",
          lambda: SegmentWriter(SMALL), _writer_bursts,
          Fault("a burst is not ended at the end of a block", "closes.burst",
                lambda value, inside: inside("closes").segment),
          depth=6, cover=10),
    Proof("writer_far_bursts", "SegmentWriter",
          "what `writer_bursts` says, with registers on far ways",
          lambda: SegmentWriter(FAR), _writer_bursts,
          Fault("an address that was taken a cycle ago is forgotten", "took",
                lambda value, inside: Const(0)),
          depth=6, cover=10),
    Proof("writer_scattered", "SegmentWriter",
          "with jobs that are scattered, too: every byte is written once, at its address, and nothing else "
          "is; none is kept back",
          lambda: SegmentWriter(CSR), _writer_bytes,
          Fault("a segment's first byte is put where the last one ended", "offset",
                lambda value, inside: inside("next_offset"), only=1),
          depth=8, cover=12, solver="bitwuzla"),
    Proof("writer_scattered_bursts", "SegmentWriter",
          "with jobs that are scattered, too: what `writer_bursts` says",
          lambda: SegmentWriter(CSR), _writer_bursts,
          Fault("a burst goes on behind the end of a segment", "closes.burst",
                lambda value, inside: inside("position")[:4].all()),
          depth=8, cover=10, solver="bitwuzla"),
)
