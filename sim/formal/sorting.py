"""Proofs of the way of a merger's elements: from beats to banks, to sorted words; and of a whole merger."""

from itertools import pairwise

from amaranth.hdl import Array, Cat, Const, Mux, Signal, Value

from hdl.layouts import ROW_ENDS
from hdl.merge_feed import MergeFeed
from hdl.merge_layouts import END_COLUMN, row_bits
from hdl.merge_sorter import MergeSorter
from hdl.merger import Merger

from .bench import Bench, Proof
from .checks import flat, levels, moves, stable, steady
from .inside import Fault
from .merging import MERGER

__all__ = ["PROOFS"]

LANES = MERGER.merge_lanes

ELEMENTS = 8
"""Of each sequence: more than leave in the cycles that are looked at."""

TRUE_ROW_BITS = 5
"""Of row numbers that do not go around in so many elements."""

SORTER_CYCLES = 2 + 2 * (LANES.bit_length() - 1)
"""From the heads of the banks to the sorted word."""

TOKENS = 2 * LANES
"""Of a beat: it comes in two parts."""

COUNT_BITS = 6
"""Of elements: more than can pass in the cycles that are looked at."""

LATE_CYCLES = 5
"""From a beat to its first element, and from an element to its neighbour, while there is room."""


class _Sequence:
    """Elements of a matrix with rising keys, as they lie in the banks: element n is in bank n mod w.

    Attributes
    ----------
    keys : of each element, of rows that do not go around; the lowest bits of a row are what the block sees
    """

    def __init__(self, b: Bench, name: str, banks, first_row: Value):
        m = b.m
        steady(b, *banks)
        ends, columns = b.constant(ELEMENTS, f"{name}_ends"), []
        row = first_row
        self.keys: list[Value] = []
        for number in range(ELEMENTS):
            column = Signal(32, name=f"{name}_column{number}")
            entry = b.constant(32, f"{name}_entry{number}")
            key = Signal(32 + TRUE_ROW_BITS, name=f"{name}_key{number}")
            m.d.comb += [column.eq(Mux(ends[number], END_COLUMN, entry)), key.eq(Cat(column, row))]
            b.assume(entry != END_COLUMN)
            if number:
                b.assume(self.keys[-1] < key)
            self.keys.append(key)
            columns.append(column)
            next_row = Signal(TRUE_ROW_BITS, name=f"{name}_row{number + 1}")
            m.d.comb += next_row.eq(row + ends[number])
            row = next_row
        self._payloads = [b.constant(len(self._rest(banks[0].p)), f"{name}_rest{number}")
                          for number in range(ELEMENTS)]
        for bank, source in enumerate(banks):
            taken = Signal(range(ELEMENTS), name=f"{name}_taken{bank}")
            m.d.sync += taken.eq(taken + moves(source))
            b.assume(~source.valid | (taken < ELEMENTS // LANES))
            place = range(bank, ELEMENTS, LANES)
            key = Array(self.keys[number] for number in place)[taken]
            b.assume(~source.valid | (Cat(source.p.column, source.p.row) == key[:32 + row_bits(MERGER)]))
            b.assume(~source.valid | (self._rest(source.p) ==
                                      Array(self._payloads[number] for number in place)[taken]))

    def _rest(self, element) -> Value:
        return Cat(element.value, element.end, element.last, element.pad)

    def is_at(self, number: Value, element) -> Value:
        """The element of that number looks like this."""
        value = element.value[:len(self._payloads[0]) - 3]
        rest = Array(self._payloads)[number]
        return ((Cat(element.column, element.row) == self.key(number)[:32 + row_bits(MERGER)])
                & (Cat(value, element.end, element.last, element.pad) == rest)
                & (element.value == rest[:-3].as_signed()))

    def key(self, number: Value) -> Value:
        return Array(self.keys)[number]


def _sorter(b: Bench) -> None:
    """What leaves rises; what of it is of A is the one sequence, what is of B the other, all along."""
    sorter, m = b.dut, b.m
    b.no_reset()
    first_row = b.constant(row_bits(MERGER), "first_row")
    sequences = [_Sequence(b, name, banks, first_row)
                 for name, banks in (("a", sorter.i_a), ("b", sorter.i_b))]
    left = [Signal(range(ELEMENTS + 1), name=f"left_{name}") for name in "ab"]
    latest, latest_of_b = Signal(32 + TRUE_ROW_BITS), Signal()
    counts, before, before_of_b = list(left), latest, latest_of_b
    some = Signal()
    output = sorter.o.p
    for lane in range(LANES):
        of_b, element = output.of_b[lane], output.elements[lane]
        number = Mux(of_b, counts[1], counts[0])
        key = Signal(32 + TRUE_ROW_BITS, name=f"key{lane}")
        m.d.comb += key.eq(Mux(of_b, sequences[1].key(counts[1]), sequences[0].key(counts[0])))
        b.check(~sorter.o.valid | (number < ELEMENTS))
        for side, sequence in enumerate(sequences):
            b.check(~sorter.o.valid | (of_b != side) | sequence.is_at(counts[side], element))
        exists = some if lane == 0 else Const(1)
        b.check(~(sorter.o.valid & exists) | (before < key) | ((before == key) & ~before_of_b & of_b))
        b.cover(sorter.o.valid & exists & (before == key) & (left[0] > 1))
        counts = [counts[0] + ~of_b, counts[1] + of_b]
        before, before_of_b = key, of_b
    with m.If(sorter.o.valid):
        m.d.sync += [*(count.eq(after) for count, after in zip(left, counts, strict=True)),
                     latest.eq(before), latest_of_b.eq(before_of_b), some.eq(1)]
    # A word is taken with room only, and comes so many cycles later.
    goes = b.inside("goes")
    b.check(~goes | sorter.i_room)
    taken = goes
    for cycle in range(SORTER_CYCLES):
        taken = b.past(taken, f"taken{cycle}")
    b.check(sorter.o.valid == taken)
    b.cover(sorter.o.valid & output.of_b.all() & (left[1] != 0) & (left[0] != 0))


def _assume_beats(b: Bench, ends: list[tuple[Value, Value]]) -> None:
    """Beats are as a fetch unit makes them."""
    feed, beat = b.dut, b.dut.i.p
    for (is_there, at), (is_later, later_at) in pairwise(ends):
        b.assume(~feed.i.valid | ~is_later | (is_there & (at <= later_at)))
    for is_there, at in ends:
        b.assume(~feed.i.valid | ~is_there | (at <= TOKENS))
    # A matrix ends with a row. Columns are told apart by three bits, which is enough for solvers.
    for place in range(TOKENS):
        b.assume(beat.tokens[place].index[2:-1] == 0)
        is_inside = Cat(is_there & (at > place) for is_there, at in ends).any()
        b.assume(~(feed.i.valid & beat.last & beat.mask[place]) | is_inside)
    b.assume(~(feed.i.valid & beat.last) | ends[0][0])


def _feed(b: Bench) -> None:
    """Follows one element of all, whichever: a beat's token or row end, or a pad behind a matrix."""
    feed, m = b.dut, b.m
    b.no_reset()
    beat, which = feed.i.p, b.constant(COUNT_BITS, "which")
    steady(b, feed.i)
    ends = [(end.valid, end.position) for end in beat.ends]
    _assume_beats(b, ends)

    # ---- the numbers of a beat's elements, when it is first seen: some may leave before it is taken ----
    seen, comes = Signal(), Signal()
    m.d.comb += comes.eq(feed.i.valid & ~seen)
    m.d.sync += seen.eq(feed.i.valid & ~moves(feed.i))
    entered, row = Signal(COUNT_BITS), Signal(row_bits(MERGER))
    ended = sum(is_there for is_there, _ in ends)
    count, pads = sum(beat.mask) + ended, Mux(beat.last, 2 * LANES, 0)
    with m.If(comes):
        m.d.sync += [entered.eq(entered + count + pads), row.eq(row + ended + pads)]
    known, is_end, is_pad, is_last, falls, any_falls = (
        Signal(name=name) for name in ("known", "is_end", "is_pad", "is_last", "falls", "any_falls"))
    column, value, its_row = Signal(32), Signal(len(beat.tokens[0].value)), Signal.like(row)
    before_column, before_end = Signal(32), Signal(init=1)
    last_column, last_end = before_column, before_end
    for place in range(TOKENS):
        token = beat.tokens[place]
        ends_before = sum(is_there & (at <= place) for is_there, at in ends)
        number = (entered + sum(beat.mask[:place], Const(0, 1)) + ends_before)[:COUNT_BITS]
        between = Cat(is_there & (at == place) for is_there, at in ends).any()
        fallen = Signal(name=f"fallen{place}")
        m.d.comb += fallen.eq(comes & beat.mask[place] & ~(last_end | between) & (token.index <= last_column))
        with m.If(fallen):
            m.d.sync += any_falls.eq(1)
        with m.If(comes & beat.mask[place] & (number == which)):
            m.d.sync += [known.eq(1), column.eq(token.index), value.eq(token.value), falls.eq(fallen),
                         its_row.eq(row + ends_before)]
        last_end = ~beat.mask[place] & (last_end | between)
        last_column = Mux(beat.mask[place], token.index, last_column)
    last_end = last_end | Cat(is_there & (at == TOKENS) for is_there, at in ends).any()
    with m.If(comes):
        m.d.sync += [before_column.eq(last_column), before_end.eq(last_end)]
    for place, (is_there, at) in enumerate(ends):
        tokens_before = sum(beat.mask[token] & (at > token) for token in range(TOKENS))
        number = (entered + tokens_before + place)[:COUNT_BITS]
        with m.If(comes & is_there & (number == which)):
            m.d.sync += [known.eq(1), is_end.eq(1), column.eq(END_COLUMN), its_row.eq(row + place),
                         is_last.eq(beat.last & (ends[place + 1][0] == 0 if place + 1 < ROW_ENDS else 1))]
    behind = (which - entered - count)[:COUNT_BITS]
    with m.If(comes & beat.last & (behind < 2 * LANES)):
        m.d.sync += [known.eq(1), is_end.eq(1), is_pad.eq(1), column.eq(END_COLUMN),
                     its_row.eq(row + ended + behind)]

    # ---- element n is in bank n mod w ----
    fault_seen = Signal()
    with m.If(feed.o_fault):
        m.d.sync += fault_seen.eq(1)
    b.check(~feed.o_fault | any_falls)
    for bank, output in enumerate(feed.o):
        left, element = Signal(COUNT_BITS, name=f"left{bank}"), output.p
        number, late = (left * LANES + bank)[:COUNT_BITS], Signal(range(LATE_CYCLES + 2), name=f"late{bank}")
        m.d.sync += left.eq(left + moves(output))
        here = output.valid & (number == which)
        b.check(~output.valid | (number < entered))
        b.check(~here | (known & (element.column == column) & (element.row == its_row)
                         & (element.end == is_end) & (element.pad == is_pad) & (element.last == is_last)))
        b.check(~here | is_end | (element.value == value.as_signed()))
        b.check(~(here & falls) | feed.o_fault | fault_seen)
        m.d.sync += late.eq(Mux(b.inside("room") & (number < entered) & ~output.valid, late + 1, 0))
        b.check(late <= LATE_CYCLES)
        b.cover(here & is_pad & ~b.past(element.pad, f"pad{bank}"))
        b.cover(here & is_last & (its_row == 2))
    b.cover(feed.o_fault & any_falls)
    stable(b, *feed.o)


def _feed_room(b: Bench) -> None:
    """No element is on its way to a bank that is full."""
    levels(b)
    for queue in ("queue0", "queue1"):
        b.check(~b.inside(f"{queue}/i.valid") | b.inside(f"{queue}/i.ready"))
        b.cover(b.inside(f"{queue}/i.valid") & (b.inside(f"{queue}/level") == 7))


def _merger(b: Bench) -> None:
    """One job at a time; what its parts have on their way finds room, and its job stays."""
    merger, m = b.dut, b.m
    steady(b, merger.i_job, merger.i_a, merger.i_b)
    busy, operation = Signal(), Signal.like(merger.i_job.p)
    made = b.inside("combiner/o")
    starts, ends = moves(merger.i_job), made.valid & made.p.last
    with m.If(starts):
        m.d.sync += operation.eq(merger.i_job.p)
    with m.If(ends):
        m.d.sync += busy.eq(0)
    with m.If(starts):
        m.d.sync += busy.eq(1)
    b.check(~starts | ~busy)
    b.check(merger.o_active == busy)
    b.check(~busy | (flat(b.inside("combiner/i_job")) == flat(operation)))
    b.check(~b.inside("rows/queue/i.valid") | b.inside("rows/queue/i.ready"))
    stable(b, merger.o)
    levels(b)
    b.cover(starts)


PROOFS = (
    Proof("merge_sorter", "MergeSorter",
          "both sequences leave whole, in order, unchanged, as one in which keys rise, A's first of two "
          "equal ones; nothing is taken without room, and a word that is taken comes four cycles later",
          lambda: MergeSorter(MERGER), _sorter,
          Fault("a head of A is given up when B's goes in its place", "takes_a",
                lambda value, inside: inside("goes"), only=0),
          induction=None, depth=9, cover=10, solver="bitwuzla"),
    Proof("merge_feed", "MergeFeed",
          "every entry and row end of a matrix, and 2 w pads behind it, leaves once, in order, the n-th from "
          "bank n mod w, with its row's number; of columns that do not rise a fault is reported, and of no "
          "others; the outputs are stable",
          lambda: MergeFeed(MERGER, TOKENS), _feed,
          Fault("of a part the elements past the first w are forgotten", "has_late",
                lambda value, inside: Const(0)),
          induction=None, depth=8, cover=9, solver="bitwuzla"),
    Proof("merge_feed_room", "MergeFeed", "an element that is dealt to a bank always finds room there",
          lambda: MergeFeed(MERGER, TOKENS), _feed_room,
          Fault("banks are not asked for room", "room", lambda value, inside: Const(1)),
          induction=4, depth=14, cover=16, quick=True, solver="bitwuzla"),
    Proof("merger", "Merger",
          "a job is taken when the last row end of the one before has left the combiner, and stays until "
          "then; a word that comes from the combiner finds room; the output is stable",
          lambda: Merger(MERGER), _merger,
          Fault("the next job does not wait", "i_job.ready", lambda value, inside: Const(1)),
          induction=10, depth=8, cover=20, solver="bitwuzla"),
)
