"""Proof of the order of entries of a CSR result, and of their number in each row."""

from amaranth.hdl import Array, Cat, Const, Mux, Signal, Value

from hdl.config import ACC_BITS, VALUE_BITS
from hdl.layouts import CsrMode
from hdl.pair_packer import PairPacker

from .bench import Bench, Proof
from .checks import Beats, moves, stable, steady
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
    before : entries in lower lanes; `number`: of the word, where the PEs have counted them what lane 0 says
    skims : entries are only counted, and zeros are some
    total, rows : entries, row ends of words that were taken
    in_row : entries of the row of the last word that was taken; `row_over`: that word ended it
    so_far : entries of the word's row before it
    begun, ended : the job has begun; its last word was taken
    """

    def __init__(self, b: Bench, place):
        m, block = b.m, b.dut
        word, tag = block.i.p, block.i_tag.p
        self.total, self.rows = Signal(COUNT_BITS, name="entries"), Signal(COUNT_BITS, name="rows")
        self.in_row, self.row_over = Signal(COUNT_BITS, name="in_row"), Signal(name="row_over", init=1)
        self.so_far = Signal(COUNT_BITS, name="row_so_far")
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
        self.number, self.skims = Signal(COUNT_BITS, name="number_of_word"), Signal(name="skims")
        in_pes = word.data[0].as_unsigned()
        m.d.comb += [
            self.number.eq(Mux(place.counted, in_pes, self.before[-1])),
            self.skims.eq((place.mode != CsrMode.WHOLE) & (place.mode != CsrMode.PLACE) & ~place.drop_zeros),
        ]
        b.assume(~place.counted | (self.skims & (~self.offered | (in_pes <= PAIRS.lanes))))
        m.d.comb += [self.offered.eq(block.i.valid & block.i_tag.valid),
                     self.so_far.eq(Mux(self.row_over, 0, self.in_row))]
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
            m.d.sync += [self.total.eq(self.total + self.number), self.rows.eq(self.rows + tag.row_last),
                         self.in_row.eq(self.so_far + self.number), self.row_over.eq(tag.row_last),
                         self.ended.eq(tag.job_last)]
        self._columns = [Signal(PAIRS.entry_column_bits, name=f"column{lane}") for lane in range(PAIRS.lanes)]
        for lane, column in enumerate(self._columns):
            in_block = tag.words[lane] * PAIRS.lanes + lane
            m.d.comb += column.eq(place.first_column + in_block)

    def pair(self, lane) -> Value:
        """Column and value of that lane."""
        return Cat(Array(self._columns)[lane], Array(self.values)[lane])


class _Rows:
    """Rows as their numbers are taken, and where the entries of each go.

    Attributes
    ----------
    ended : rows whose number was taken
    room : entries of the row at hand that there is room for; of none while its number is not there
    base : entries of rows that ended that were kept; `last_base`: before the last of them
    last_number : of the last row that ended
    """

    def __init__(self, b: Bench, words: _Words, place):
        m, number = b.m, b.dut.i_number
        self.places, self.whole = Signal(name="places"), Signal(name="whole_mode")
        self.ended, self.room = Signal(COUNT_BITS, name="rows_ended"), Signal(COUNT_BITS, name="row_room")
        self.base, self.last_base = Signal(COUNT_BITS, name="base"), Signal(COUNT_BITS, name="last_base")
        self.last_number = Signal(32, name="last_number")
        room, most = Signal(32, name="all_room"), (1 << COUNT_BITS) - 1
        m.d.comb += [
            self.places.eq(place.mode == CsrMode.PLACE), self.whole.eq(place.mode == CsrMode.WHOLE),
            room.eq(Mux(self.places, number.p.left, Mux(self.whole, place.capacity - self.base, 0))),
            self.room.eq(Mux(room > most, most, room)),
        ]
        self.takes = moves(number)
        # The row's words were taken, and none of the next row's.
        b.check(~self.takes | (words.row_over & (words.rows == self.ended + 1)))
        b.assume(~(number.valid & self.whole) | (number.p.number == 0))
        with m.If(self.takes):
            m.d.sync += [self.ended.eq(self.ended + 1), self.base.eq(self.base + self.kept(words.in_row)),
                         self.last_base.eq(self.base), self.last_number.eq(number.p.number)]
        self._count(b, words)

    def kept(self, count) -> Value:
        """Of so many entries of the row at hand."""
        return Mux(count < self.room, count, self.room)

    def _count(self, b: Bench, words: _Words) -> None:
        """Property: each row leaves with its number of entries."""
        m, rows, number = b.m, b.dut.o_rows, b.dut.i_number
        self.waits = Signal(name="count_waits")
        self._count_of, self._number, self._last = Signal(COUNT_BITS), Signal(32), Signal()
        with m.If(self.takes):
            m.d.sync += [self.waits.eq(1), self._count_of.eq(words.in_row), self._number.eq(number.p.number),
                         self._last.eq(words.ended)]
        with m.Elif(moves(rows)):
            m.d.sync += self.waits.eq(0)
        b.check(rows.valid == self.waits)
        b.check(~(self.takes & rows.valid) | rows.ready)
        b.check(~rows.valid | ((rows.p.count == self._count_of) & (rows.p.number == self._number)
                               & (rows.p.job_last == self._last)))
        b.cover(rows.valid & (self._count_of == 0) & (self.ended == 2))


class _Entry:
    """One entry, its place in its row, and what became of its row.

    Attributes
    ----------
    known, waits : there is one; its word was not taken yet
    lane, value : where in its word, and how it leaves
    slot : where in its group
    row, place : its row, and its place among the row's entries
    past : its row has ended; from then on base, kept, row_number tell of the row
    keeps, number : there is room for it; it leaves as that one
    """

    def __init__(self, b: Bench, words: _Words, rows: _Rows):
        m, block = b.m, b.dut
        choice = b.free(range(PAIRS.lanes), "choice")
        self.known, self.waits, self.past = Signal(name="known"), Signal(name="waits"), Signal(name="is_past")
        self.lane, self.row = Signal(range(PAIRS.lanes), name="lane"), Signal(COUNT_BITS, name="row")
        self.place = Signal(COUNT_BITS, name="place_in_row")
        self.slot = Signal(range(SIZE), name="slot")
        lower = [sum(block.i_tag.p.valid[:lane], Const(0, 1)) for lane in range(PAIRS.lanes)]
        value = words.pair(choice)
        self.value = Signal(len(value), name="entry_value")
        marks = Signal(name="marks")
        m.d.comb += marks.eq(words.offered & ~words.stays & words.entries.bit_select(choice, 1) & ~self.known
                             & ~words.skims & b.free(1, "choose"))
        with m.If(moves(block.i)):
            m.d.sync += self.waits.eq(0)
        with m.If(marks):
            m.d.sync += [self.known.eq(1), self.waits.eq(~moves(block.i)), self.lane.eq(choice),
                         self.slot.eq(Array(lower)[choice]),
                         self.row.eq(words.rows), self.value.eq(value),
                         self.place.eq(words.so_far + Array(words.before[:-1])[choice])]
        # ---- its row ----
        base, kept = Signal(COUNT_BITS, name="row_base"), Signal(COUNT_BITS, name="row_kept")
        row_number = Signal(32, name="row_number")
        number = block.i_number
        with m.If(rows.takes & self.known & (self.row == rows.ended)):
            m.d.sync += [self.past.eq(1), base.eq(rows.base), kept.eq(rows.kept(words.in_row)),
                         row_number.eq(number.p.number)]
        self.base, self.row_number = Signal(COUNT_BITS), Signal(32)
        self.keeps, self.number, self.end = Signal(), Signal(COUNT_BITS), Signal(COUNT_BITS)
        self.at_hand = self.known & ~self.past & (self.row == rows.ended)
        m.d.comb += [
            self.base.eq(Mux(self.past, base, rows.base)),
            self.row_number.eq(Mux(self.past, row_number, number.p.number)),
            self.keeps.eq(Mux(self.past, self.place < kept,
                              self.at_hand & number.valid & (self.place < rows.room))),
            self.number.eq(self.base + self.place),
            self.end.eq(base + kept),
        ]


def _pair_packer(b: Bench) -> None:
    """Follows one entry of a job; each row's count and number as they leave."""
    block, inside = b.dut, b.inside
    plan, place = (b.constant(port.shape(), name) for port, name in
                   ((block.i_plan, "plan"), (block.i_place, "place")))
    b.drive(block.i_plan, plan)
    b.drive(block.i_place, place)
    steady(b, block.i, block.i_tag, block.i_number)
    stable(b, block.o, block.o_rows)
    words = _Words(b, place)
    rows = _Rows(b, words, place)
    entry = _Entry(b, words, rows)
    b.check(moves(block.i) == moves(block.i_tag))

    # ---- what leaves ----
    beat = block.o.p
    pairs = [Cat(column, value) for column, value in zip(beat.columns, beat.values, strict=True)]
    beats = Beats(b, block.o, pairs, inside("_pack:waiting"), inside("_pack:fill"), COUNT_BITS, "entries")
    beats.are(entry.known & entry.keeps, entry.number, entry.value)
    b.check(~block.o.valid | (beat.count != 0))
    b.check(~(block.o.valid & rows.whole) | ((beat.opens == (beats.left == 0)) & (beat.position == 0)
                                            & ((beat.count == SIZE) | words.ended)))
    # A row's own run of beats, full ones but for the last.
    end = (beats.left + beat.count)[:COUNT_BITS]
    mine = block.o.valid & rows.places & entry.known & entry.keeps & (entry.number >= beats.left) \
        & (entry.number < end)
    b.check(~mine | ((beats.left >= entry.base) & (beat.opens == (beats.left == entry.base))
                     & (beat.position == entry.row_number)))
    b.check(~mine | Mux(entry.past, (end <= entry.end) & ((beat.count == SIZE) | (end == entry.end)),
                        beat.count == SIZE))
    b.check(~block.o_ended | (words.ended & (beats.left == rows.base) & (rows.ended == words.rows)
                              & ~rows.waits))
    b.cover(block.o_ended & rows.whole & (rows.base == 3) & (words.rows == 2))
    b.cover(block.o_ended & rows.whole & (rows.base == 1) & (words.total == 3))
    b.cover(block.o_ended & rows.places & (rows.base == 4) & (words.rows == 2) & (rows.last_base == 3)
            & (words.total == 5))
    b.cover(block.o_ended & place.counted & (words.rows == 2) & (words.total == 5))
    _inside(b, words, rows, entry, beats)


def _inside(b: Bench, words: _Words, rows: _Rows, entry: _Entry, beats: Beats) -> None:
    """Invariants: of a word's lanes the lower ones have been taken; totals and places follow from that."""
    block, inside = b.dut, b.inside
    group, there, begins = inside("_group"), inside("_there"), inside("row_begins")
    flushing, final, ended = inside("_flushing"), inside("_final"), inside("elaborate:ended")
    so_far, done, fill = inside("so_far"), inside("done"), inside("_pack:fill")
    later, opens, kept_position = inside("later"), inside("_open_runs:opens"), inside("kept_position")
    tag, number, place = block.i_tag.p, block.i_number, block.i_place
    held = Mux(there, Mux(words.skims, group.count, sum(group.mask)), 0)
    pending = tag.valid & ~done
    b.invariant((done == 0) | (~words.skims & words.offered & words.stays & (sum(done & tag.valid) == SIZE)
                               & (pending != 0) & ((done & (pending | -pending)) == 0)))
    taken = sum(words.entries & done, Const(0, COUNT_BITS))
    row_end = there & group.row_end
    b.invariant((words.total < LIMIT + PAIRS.lanes) & (words.rows <= LIMIT) & (words.in_row <= words.total))
    b.invariant(words.begun | ~Cat(there, flushing, ended, words.ended, words.offered, words.total,
                                   words.rows, beats.made, block.o.valid, entry.known, so_far,
                                   block.o_rows.valid, rows.ended, rows.base, rows.waits).any())
    b.invariant(words.begun | words.row_over)
    # The row at hand: entries of it that were taken went on, or are in the group.
    b.invariant(words.rows == rows.ended + row_end)
    b.invariant(~row_end | (words.row_over & (done == 0) & (words.in_row == so_far + held)))
    b.invariant(~there | group.row_end | (done != 0) | ~words.row_over)
    b.invariant(row_end | (words.so_far + taken == so_far + held))
    b.invariant(~begins | (so_far == 0))
    b.invariant(~words.begun | begins | number.valid)
    b.invariant(~words.begun | begins | ~words.row_over | row_end)
    b.invariant(so_far <= words.total)
    # The end of the job is in the group at work, or behind it.
    b.invariant(~there | ~group.job_end | group.row_end)
    b.invariant((there & group.job_end) + (flushing & final) + ended == words.ended)
    b.invariant(~((flushing & final) | ended) | ~there)
    b.invariant(~words.ended | words.row_over)
    b.invariant(~flushing | begins & (rows.ended != 0))
    b.invariant(~flushing | final | (rows.places & (fill != 0)))
    b.invariant(~ended | (fill == 0) & ~flushing)
    b.invariant(~block.o.valid | ((block.o.p.count != 0) & (block.o.p.count <= SIZE)))
    # Entries that were made.
    kept = Mux(begins, 0, rows.kept(so_far))
    b.invariant(beats.made == (rows.base + kept)[:COUNT_BITS])
    b.invariant(rows.base + Mux(row_end, words.in_row, words.so_far + taken) <= words.total + taken)
    b.invariant(~rows.whole | ~words.begun | (later == place.capacity - beats.made))
    b.invariant(~rows.whole | (beats.made <= place.capacity))
    b.invariant(~(rows.places & words.begun) | begins | (later == number.p.left - kept))
    # Runs: what waits is of one row.
    first = (beats.left + beats.offered)[:COUNT_BITS]
    start = Mux(flushing, rows.last_base, rows.base)
    b.invariant(rows.last_base <= rows.base)
    b.invariant(~rows.places | (first >= start))
    b.invariant(~rows.places | ~begins | flushing | (fill == 0))
    b.invariant(~words.begun | Mux(rows.places, (flushing & (fill == 0)) | (opens == (first == start)),
                                   ~rows.whole | (opens == (first == 0))))
    b.invariant(~rows.whole | (kept_position == 0))
    b.invariant(~(rows.places & words.begun) | Mux(flushing, kept_position == rows.last_number,
                                   begins | (kept_position == number.p.number)))
    _entry_inside(b, words, rows, entry, done, so_far)


def _entry_inside(b: Bench, words: _Words, rows: _Rows, entry: _Entry, done, so_far) -> None:
    """Invariants: the entry that is followed is at the input, in the group, or made."""
    group, there = b.inside("_group"), b.inside("_there")
    lane = entry.lane
    b.invariant(~entry.waits | entry.known)
    b.invariant(~(entry.known & words.skims))
    b.invariant(~entry.past | (entry.known & (entry.row < rows.ended)))
    b.invariant(~entry.known | entry.past | (entry.row >= rows.ended))
    b.invariant(~(entry.known & entry.waits) | (
        words.offered & words.entries.bit_select(lane, 1) & (entry.value == words.pair(lane))
        & (entry.row == words.rows) & (entry.place == words.so_far + Array(words.before[:-1])[lane])))
    left = entry.known & ~(entry.waits & ~done.bit_select(lane, 1))
    b.invariant(~left | (entry.row <= rows.ended))
    b.invariant(~entry.known | entry.waits | (entry.row < words.rows) | (
        (entry.row == words.rows) & ~words.row_over & (entry.place < words.in_row)))
    b.invariant(~entry.known | entry.waits | entry.past | ~words.row_over | (entry.place < words.in_row))
    in_group = left & entry.at_hand & (entry.place >= so_far)
    lower = Array(sum(b.dut.i_tag.p.valid[:lane], Const(0, 1)) for lane in range(PAIRS.lanes))[lane]
    b.invariant(~(entry.known & entry.waits) | (entry.slot == lower[:len(entry.slot)]))
    for slot in range(SIZE):
        its = in_group & (entry.slot == slot)
        got = Cat(group.columns[slot], group.values[slot])
        b.invariant(~its | (there & group.mask[slot] & (got == entry.value)
                            & (entry.place == so_far + sum(group.mask[:slot], Const(0, COUNT_BITS)))))
    # Its row, when that has ended.
    b.invariant(~entry.past | Mux(entry.row + 1 == rows.ended, (entry.base == rows.last_base)
                                  & (entry.end == rows.base) & (entry.row_number == rows.last_number),
                                  entry.end <= rows.last_base))
    b.invariant(~entry.past | (entry.end >= entry.base))


PROOFS = (
    Proof("pair_packer", "PairPacker",
          "every entry of a job leaves once, in order, with its column and value, as far as there is room: "
          "in all, or in its row, whose entries then are a run of beats of their own, at the row's number; "
          "none where entries are only counted; every row leaves with its number of entries, or the sum of "
          "those that the PEs have counted; ended means all has left; the outputs are stable",
          lambda: PairPacker(PAIRS), _pair_packer,
          Fault("what waits is not counted to find an entry's place", "_pack:filled",
                lambda value, inside: inside("kept")),
          depth=10, cover=16, solver="bitwuzla"),
)
