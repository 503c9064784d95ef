"""Proof of the order of entries and row pointers of a CSR result."""

from amaranth.hdl import Array, Cat, Const, Mux, Signal, Value

from hdl.config import ACC_BITS, VALUE_BITS, log2_exact
from hdl.pair_packer import PairPacker

from .bench import Bench, Proof
from .checks import moves, stable, steady
from .configs import PAIRS
from .inside import Fault

__all__ = ["PROOFS"]

COUNT_BITS = 6
"""Of numbers of entries and rows of a job."""

LIMIT = (1 << COUNT_BITS) - 2 * PAIRS.lanes
SIZE = PAIRS.pair_lanes


class _Words:
    """The words of one job as they are offered, and what of them has been taken.

    Attributes
    ----------
    offered, stays : a word and its tag are there; and were there in the cycle before
    entries : its lanes that hold an entry; values of its lanes
    before : entries in lower lanes
    total, rows : entries, row ends of words that were taken
    begun, ended : the job has begun; its last word was taken
    """

    def __init__(self, b: Bench, place):
        m, block = b.m, b.dut
        word, tag = block.i.p, block.i_tag.p
        self.total, self.rows = Signal(COUNT_BITS, name="entries"), Signal(COUNT_BITS, name="rows")
        self.begun, self.ended, self.offered = Signal(name="begun"), Signal(name="over"), Signal()
        self.entries, self.values = Signal(PAIRS.lanes), []
        low = word.data.as_value()
        for lane in range(PAIRS.lanes):
            byte = low.word_select(lane, VALUE_BITS).as_signed()
            value = Signal(ACC_BITS, name=f"lane{lane}")
            m.d.comb += [value.eq(Mux(block.i_plan.int8, byte, word.data[lane])),
                         self.entries[lane].eq(tag.valid[lane] & ~(place.drop_zeros & (value == 0)))]
            self.values.append(value)
        self.before = [sum(self.entries[:lane], Const(0, COUNT_BITS)) for lane in range(PAIRS.lanes + 1)]
        m.d.comb += self.offered.eq(block.i.valid & block.i_tag.valid)
        # Its lanes are looked at when it has just come: later some of them may have left.
        self.stays = b.past(self.offered & ~moves(block.i), "stays")
        b.assume(~(self.begun & block.i_start))
        for source in (block.i, block.i_tag):
            b.assume(~source.valid | (self.begun & ~self.ended))
        b.assume(~block.i_tag.valid | tag.row_last | ~tag.job_last)
        b.assume(~self.offered | ((self.total < LIMIT) & (self.rows < LIMIT)))
        with m.If(block.i_start):
            m.d.sync += self.begun.eq(1)
        with m.If(moves(block.i)):
            m.d.sync += [self.total.eq(self.total + self.before[-1]), self.rows.eq(self.rows + tag.row_last),
                         self.ended.eq(tag.job_last)]


class _Followed:
    """One thing of a word, with its number in the job.

    Attributes
    ----------
    known, waits : there is one; its word was not taken yet
    number, value : it leaves as that one, and looks so
    """

    def __init__(self, b: Bench, words: _Words, there, number, value, name: str):
        m = b.m
        self.known, self.waits = Signal(name=f"{name}_known"), Signal(name=f"{name}_waits")
        self.number = Signal(COUNT_BITS, name=f"{name}_number")
        self.value = Signal(len(value), name=f"{name}_value")
        self.marks = Signal(name=f"{name}_marks")
        m.d.comb += self.marks.eq(words.offered & ~words.stays & there & ~self.known
                                 & b.free(1, f"{name}_choose"))
        with m.If(moves(b.dut.i)):
            m.d.sync += self.waits.eq(0)
        with m.If(self.marks):
            m.d.sync += [self.known.eq(1), self.waits.eq(~moves(b.dut.i)), self.number.eq(number),
                         self.value.eq(value)]


class _Output:
    """A stream of beats of up to SIZE things.

    Attributes
    ----------
    left : things that left
    made : and those on offer, or waiting for a full beat
    """

    def __init__(self, b: Bench, output, things, waiting, fill, name: str):
        self._b, self._stream, self._things = b, output, things
        self.left, self._waiting = Signal(COUNT_BITS, name=f"{name}_left"), waiting
        self._offered = Mux(output.valid, output.p.count, 0)
        self.made = self.left + self._offered + fill
        with b.m.If(moves(output)):
            b.m.d.sync += self.left.eq(self.left + output.p.count)

    def are(self, known, number, value: Value) -> None:
        """Property: the thing of that number looks so. Invariant: while it waits, too."""
        b, output = self._b, self._stream
        for slot, thing in enumerate(self._things):
            here = output.valid & known & (output.p.count > slot) & (self.left + slot == number)
            b.check(~here | (thing == value))
            waits = known & (number < self.made) & (number == self.left + self._offered + slot)
            b.invariant(~waits | (Value.cast(self._waiting[slot]) == value))


def _pair_packer(b: Bench) -> None:
    """Follows one entry and one row end of a job."""
    block, m, inside = b.dut, b.m, b.inside
    plan, place = (b.constant(port.shape(), name) for port, name in
                   ((block.i_plan, "plan"), (block.i_place, "place")))
    b.drive(block.i_plan, plan)
    b.drive(block.i_place, place)
    steady(b, block.i, block.i_tag)
    stable(b, block.o, block.o_pointers)
    tag, capacity = block.i_tag.p, place.capacity
    words = _Words(b, place)
    b.check(moves(block.i) == moves(block.i_tag))

    # ---- the entry, the row end ----
    choice, lane = b.free(range(PAIRS.lanes), "choice"), Signal(range(PAIRS.lanes), name="lane")
    entry = _Followed(b, words, words.entries.bit_select(choice, 1),
                      words.total + Array(words.before[:-1])[choice],
                      Cat(choice, tag.word, Array(words.values)[choice]), "entry")
    with m.If(entry.marks):
        m.d.sync += lane.eq(choice)
    row = _Followed(b, words, tag.row_last, words.rows + 1,
                    (words.total + words.before[-1])[:COUNT_BITS], "row")

    # ---- what leaves ----
    pairs = [Cat(column, value) for column, value in zip(block.o.p.columns, block.o.p.values, strict=True)]
    entries = _Output(b, block.o, pairs, inside("_pack:waiting"), inside("_pack:fill"), "entries")
    pointers = _Output(b, block.o_pointers, list(block.o_pointers.p.pointers), inside("_point:waiting"),
                       inside("_point:fill"), "pointers")
    entries.are(entry.known, entry.number, entry.value)
    pointers.are(row.known, row.number, row.value)
    pointers.are(Const(1), Const(0), Const(0, 32))
    kept = Mux(words.total < capacity, words.total, capacity)
    for output in (block.o, block.o_pointers):
        b.check(~output.valid | ((output.p.count != 0) & ((output.p.count == SIZE) | words.ended)))
    b.check(~block.o_ended | (words.ended & (entries.left == kept) & (pointers.left == words.rows + 1)
                              & (block.o_kept == kept)))
    raised = Signal()
    with m.If(block.o_full.valid):
        m.d.sync += raised.eq(1)
    b.check(~block.o_full.valid | (words.ended & (block.o_full.needed == words.total)))
    b.check(~block.o_ended | ((raised | block.o_full.valid) == (words.total > capacity)))
    b.cover(block.o_ended & (entries.left == 3) & (words.rows == 2) & ~raised & ~block.o_full.valid)
    b.cover(block.o_ended & (entries.left == 1) & (words.total == 3))
    _inside(b, words, entry, lane, row, entries, pointers, capacity, raised)


def _inside(b: Bench, words: _Words, entry: _Followed, lane, row: _Followed, entries: _Output,
            pointers: _Output, capacity, raised) -> None:
    """Invariants: of a word's groups the lower ones have been taken; totals and places follow from that."""
    block, inside = b.dut, b.inside
    group, there, first = inside("_group"), inside("_there"), inside("_first")
    flushing, ended = inside("_flushing"), inside("elaborate:ended")
    total, done, full = inside("_total"), inside("done"), inside("elaborate:full")
    tag, left = block.i_tag.p, inside("left")
    held = Mux(there, sum(group.mask), 0)
    b.invariant((done == 0) | ((done == 1) & words.offered & words.stays & tag.valid[:SIZE].any()
                               & tag.valid[SIZE:].any()))
    taken = Mux(done[0], words.before[SIZE], 0)
    b.invariant((words.total + taken == total + held) & (total < 1 << COUNT_BITS))
    b.invariant((words.total < LIMIT + PAIRS.lanes) & (words.rows <= LIMIT))
    b.invariant(words.begun | ~Cat(there, first, flushing, ended, words.ended, words.offered, words.total,
                                   words.rows, entries.made, pointers.made, block.o.valid, entry.known,
                                   block.o_pointers.valid, row.known, raised, block.o_full.valid).any())
    # The end of the job is in the group at work, or behind it.
    b.invariant(~there | ~group.job_end | group.row_end)
    b.invariant((there & group.job_end) + flushing + ended == words.ended)
    b.invariant(~(flushing | ended) | ~(there | first))
    b.invariant(~ended | ((inside("_pack:fill") == 0) & (inside("_point:fill") == 0)))
    for output in (block.o, block.o_pointers):
        b.invariant(~output.valid | ((output.p.count != 0) & ((output.p.count == SIZE) | ended)))
        b.invariant(~output.valid | (output.p.count <= SIZE))
    # Entries and pointers that were made.
    kept = Mux(total < capacity, total, capacity)
    b.invariant(~words.begun | ((block.o_kept == kept) & (entries.made == kept) & (left == capacity - kept)
                                & (full == (total > capacity))))
    b.invariant(~words.begun | (pointers.made == (words.rows + 1 - first - (there & group.row_end))))
    b.invariant(~(there & group.row_end) | (words.rows != 0))
    b.invariant(~first | ((pointers.made == 0) & (total == 0)))
    b.invariant(~block.o_full.valid | ended & (block.o_full.needed == total))
    b.invariant(~ended | ((raised | block.o_full.valid) == (total > capacity)))
    b.invariant(ended | ~raised)
    # The entry that is followed: at the input, in the group, or made.
    choice = Array(Cat(Const(number, 2), tag.word, value) for number, value in enumerate(words.values))[lane]
    b.invariant(~(entry.known & entry.waits) | (
        words.offered & words.entries.bit_select(lane, 1) & (entry.value == choice)
        & (entry.number == words.total + Array(words.before[:-1])[lane])))
    in_group = entry.known & ~(entry.waits & ~done.bit_select(lane >> log2_exact(SIZE), 1)) \
        & (entry.number >= total)
    for place in range(SIZE):
        its = in_group & (lane[:log2_exact(SIZE)] == place)
        got = Cat(group.columns[place], group.values[place])
        b.invariant(~its | (there & group.mask[place] & (got == entry.value)
                            & (entry.number == total + sum(group.mask[:place], Const(0, COUNT_BITS)))))
    # The row end, likewise.
    b.invariant(~(row.known & row.waits) | (
        words.offered & tag.row_last & (row.number == words.rows + 1)
        & (row.value == words.total + words.before[-1])))
    b.invariant(~row.known | row.waits | (row.number <= words.rows))
    b.invariant(~row.known | (row.number != 0))
    b.invariant(~(row.known & ~row.waits & (row.number == words.rows) & there & group.row_end)
                | (row.value == (total + held)[:COUNT_BITS]))


PROOFS = (
    Proof("pair_packer", "PairPacker",
          "every entry of a job leaves once, in order, with its column and value, up to the capacity; row "
          "pointers are 0 and the entries up to the end of each row; ended means all has left; entries that "
          "did not fit are counted; the outputs are stable",
          lambda: PairPacker(PAIRS), _pair_packer,
          Fault("what waits is not counted to find an entry's place", "_pack:filled",
                lambda value, inside: inside("kept")),
          depth=10, cover=16, solver="bitwuzla"),
)
