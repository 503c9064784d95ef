"""Proofs of what is known of the rows of a CSR result from before, and of what they have afterwards."""

from amaranth.hdl import Cat, Const, Mux, Signal, Value

from hdl.layouts import CsrMode
from hdl.row_numbers import RowNumbers
from hdl.row_totals import LARGEST, RowTotals

from .bench import Bench, Proof
from .checks import Beats, moves, stable, steady
from .configs import PAIRS
from .inside import Fault

__all__ = ["PROOFS"]

COUNT_BITS = 6
"""Of numbers of rows of a job."""

LIMIT = (1 << COUNT_BITS) - 4
NUMBERS = PAIRS.port_bytes // 4


# ---- earlier numbers of rows -----------------------------------------------------------------------------


def _row_numbers(b: Bench) -> None:
    """Follows one number of a job's chunks, whichever; a job begins when all numbers of the last one left."""
    block, m, inside = b.dut, b.m, b.inside
    plan, place = (b.constant(port.shape(), name) for port, name in
                   ((block.i_plan, "plan"), (block.i_place, "place")))
    b.drive(block.i_plan, plan)
    b.drive(block.i_place, place)
    steady(b, block.i)
    chunk, has = block.i.p, plan.row_numbers
    came, left = Signal(COUNT_BITS), Signal(COUNT_BITS)       # numbers of chunks that were taken; that left
    begun = Signal()
    here = Signal(range(NUMBERS + 1))                         # of the chunk on offer
    m.d.comb += here.eq(Mux(block.i.valid, chunk.count >> 2, 0))
    b.assume(~block.i.valid | (begun & has & ((chunk.count == 4) | (chunk.count == 8)) & (came < LIMIT)))
    b.assume(~block.i_start | ~has | ~begun | ((came == left) & ~block.i.valid))
    with m.If(moves(block.i)):
        m.d.sync += came.eq(came + here)
    with m.If(moves(block.o)):
        m.d.sync += left.eq(left + 1)
    with m.If(block.i_start):
        m.d.sync += [begun.eq(1), came.eq(0), left.eq(0)]

    # ---- the number ----
    choice, known = b.free(range(NUMBERS), "choice"), Signal()
    waited = b.past(block.i.valid & ~block.i.ready, "waited")   # some of its numbers may have left
    index, value = Signal(COUNT_BITS), Signal(32)
    with m.If(block.i.valid & ~waited & (choice < here) & ~known & b.free(1, "choose")):
        m.d.sync += [known.eq(1), index.eq(came + choice), value.eq(chunk.data.word_select(choice, 32))]
    with m.If(block.i_start):
        m.d.sync += known.eq(0)
    out, capacity = block.o, place.capacity
    room = Mux(out.p.number < capacity, (capacity - out.p.number)[:32], 0)
    b.check(~out.valid | (out.p.left == room))
    b.check(~out.valid | has | (out.p.number == 0))
    b.check(~(out.valid & has & known & (left == index)) | (out.p.number == value))
    # None is made up, none is left out; the next one is there a cycle later.
    b.check(~has | ((left + out.valid)[:COUNT_BITS] <= came + here))
    b.check(~moves(block.i) | (came + here == left + out.valid + 1))
    b.check(~b.past((block.i.valid | ~has) & ~block.i_start, "could") | out.valid)
    # What it offers stays, but for a start.
    stalled = b.past(out.valid & ~out.ready & ~block.i_start, "stalled")
    before = b.past(out.p.as_value(), "before")
    b.check(~stalled | (out.valid & (out.p.as_value() == before)))
    b.cover(moves(out) & has & known & (left == index) & (index == 3))
    b.cover(moves(out) & ~has & block.i_start)

    # ---- inside ----
    word = inside("elaborate:place")
    b.invariant(~has | (left + out.valid == came + word))
    b.invariant(begun | ~has | ~out.valid)
    b.invariant(begun | ((came == 0) & ((left == 0) | ~has) & ~known))
    b.invariant((word == 0) | (has & block.i.valid & (word < here) & waited))
    b.invariant(~has | ((came < LIMIT + NUMBERS) & (left <= came + NUMBERS)))
    at_input = known & block.i.valid & (index >= came)
    b.invariant(~known | ~has | (index < came + here))
    b.invariant(~at_input | (value == chunk.data.word_select((index - came)[:len(word)], 32)))
    b.invariant(~known | has)


# ---- what rows have ----------------------------------------------------------------------------------------


def _saturated(b: Bench, left: Value, right: Value, name: str) -> Signal:
    """Their sum, at most the largest number of 32 bits."""
    whole, value = Signal(33, name=f"{name}_whole"), Signal(32, name=name)
    b.m.d.comb += [whole.eq(left + right), value.eq(Mux(whole > LARGEST, LARGEST, whole))]
    return value


def _row_totals(b: Bench) -> None:
    """Follows the value of one row of a job, whichever; a job begins when the last one has ended."""
    block, m, inside = b.dut, b.m, b.inside
    place = b.constant(block.i_place.shape(), "place")
    b.drive(block.i_place, place)
    steady(b, block.i)
    stable(b, block.o)
    row, size = block.i.p, PAIRS.pair_lanes
    adds_up, limited = Signal(), Signal()
    m.d.comb += [adds_up.eq((place.mode == CsrMode.WHOLE) | (place.mode == CsrMode.POINTERS)),
                 limited.eq(place.mode != CsrMode.COUNT)]
    begun, over, rows = Signal(), Signal(), Signal(COUNT_BITS)
    latest, full, needed, raised = Signal(32), Signal(), Signal(32), Signal()
    value = _saturated(b, _saturated(b, row.count, row.number, "own"), Mux(adds_up, latest, 0), "value")
    b.assume(~block.i.valid | (begun & ~over & (rows < LIMIT)))
    b.assume(~block.i_start | ~begun | block.o_ended)
    known, number, followed = Signal(), Signal(COUNT_BITS), Signal(32)
    beats = Beats(b, block.o, list(block.o.p.pointers), inside("waiting"), inside("fill"), COUNT_BITS,
                  "values")
    with m.If(moves(block.i)):
        m.d.sync += [rows.eq(rows + 1), over.eq(row.job_last), latest.eq(value)]
        with m.If(limited & (value > place.capacity)):
            m.d.sync += [full.eq(1), needed.eq(value)]
        with m.If(~known & b.free(1, "choose")):
            m.d.sync += [known.eq(1), number.eq(rows + adds_up), followed.eq(value)]
    with m.If(block.o_full.valid):
        m.d.sync += raised.eq(1)
    with m.If(block.i_start):
        m.d.sync += [begun.eq(1), over.eq(0), rows.eq(0), latest.eq(0), full.eq(0), raised.eq(0), known.eq(0),
                     beats.left.eq(0)]
    beats.are(known, number, followed)
    beats.are(begun & adds_up, Const(0), Const(0, 32))
    b.check(~block.o.valid | ((block.o.p.count != 0) & ((block.o.p.count == size) | over)))
    b.check(~block.o_ended | (over & (beats.left == rows + adds_up)))
    b.check(~block.o_full.valid | (over & full & ~raised & (block.o_full.needed == needed)))
    b.check(~block.o_ended | ((raised | block.o_full.valid) == full))
    b.cover(block.o_ended & adds_up & (rows == 3) & (latest == 7) & ~full)
    b.cover(block.o_ended & ~adds_up & limited & (rows == 3) & full & (latest < needed))
    b.cover(block.o_ended & block.i_start)

    # ---- inside: a row in the first stage, or made ----
    there, last, ended = inside("there"), inside("elaborate:last"), inside("elaborate:ended")
    flushing, fill, in_full = inside("flushing"), inside("fill"), inside("elaborate:full")
    its = _saturated(b, inside("added"), Mux(adds_up, inside("total"), 0), "its")
    exceeds = there & limited & (its > place.capacity)
    b.invariant(begun | ~Cat(beats.made, there, flushing, ended, over, known, full, raised, block.o.valid,
                             block.o_full.valid, in_full, rows, latest).any())
    b.invariant((there & last) + flushing + ended == over)
    b.invariant(~(flushing | ended) | ~there)
    b.invariant(~ended | (fill == 0))
    b.invariant(~begun | (beats.made + there == rows + adds_up))
    b.invariant(~block.o.valid | ((block.o.p.count == size) | ended))
    b.invariant(~block.o.valid | ((block.o.p.count != 0) & (block.o.p.count <= size)))
    b.invariant(rows <= LIMIT)
    b.invariant(~begun | (latest == Mux(there, its, Mux(adds_up, inside("total"), latest))))
    b.invariant(~(there & (rows == 0)) | (adds_up & ~last))
    b.invariant((rows != 0) | (latest == 0))
    b.invariant(full == (in_full | exceeds))
    b.invariant(~full | (needed == Mux(exceeds, its, block.o_full.needed)))
    b.invariant(~block.o_full.valid | (ended & in_full & ~raised))
    b.invariant(~ended | ((raised | block.o_full.valid) == full))
    b.invariant(ended | ~raised)
    b.invariant(~known | ((number < beats.made + there) & (number >= adds_up)))
    b.invariant(~known | (number != beats.made) | (there & (followed == its)))


PROOFS = (
    Proof("row_numbers", "RowNumbers",
          "every number of a job leaves once, in order, a cycle after it could, with the room that is left "
          "from there on; without earlier numbers all are 0; what it offers stays, but for a start",
          lambda: RowNumbers(PAIRS), _row_numbers,
          Fault("a chunk's second number is left out", "elaborate:last", lambda value, inside: Const(1)),
          depth=8, cover=12, solver="bitwuzla"),
    Proof("row_totals", "RowTotals",
          "every row leaves once, in order, with what it has and had, added up behind a 0 where these are "
          "row pointers, at most 2^32 - 1; ended means all has left; the last one past the capacity is "
          "reported once, at the end; the output is stable",
          lambda: RowTotals(PAIRS), _row_totals,
          Fault("what a row had is not added", "added", lambda value, inside: inside("i.p.count"), only=0),
          depth=8, cover=14, solver="bitwuzla"),
)
