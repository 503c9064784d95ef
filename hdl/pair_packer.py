"""From words with absent lanes to entries without gaps, and their number in each row."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .collector_layouts import CollectorPlan, DenseWord, EntryTag, PairBeat, RowCount, RowNumber
from .config import ACC_BITS, VALUE_BITS, Config, log2_exact
from .layouts import CsrMode, CsrPlace
from .selectors import one_of

__all__ = ["PairPacker"]


def _Group(config: Config) -> data.StructLayout:
    """Lanes of a word that hold an entry, from the first place on."""
    return data.StructLayout({
        "mask": config.pair_lanes,      # there is one, and it counts
        "values": data.ArrayLayout(ACC_BITS, config.pair_lanes),
        "columns": data.ArrayLayout(config.entry_column_bits, config.pair_lanes),
        "count": 32,                    # where entries are only counted: those of the whole word
        "row_end": 1,                   # nothing of the row follows
        "job_end": 1,
    })


class PairPacker(wiring.Component):
    """Packs a job's entries into beats of `pair_lanes` column indices and values; counts those of each row.

    Of CsrMode WHOLE all entries are one run of beats, of PLACE those of each row are one; otherwise entries
    are counted only; where the PEs have done that, a row's word has their number in lane 0.

    Throughput: `pair_lanes` entries of a word a cycle, a word where entries are only counted and zeros are
        entries; a row without any takes one; a run whose last beat is not full takes one more.
    Latency: two cycles from a word to the beat that it fills.
    Backpressure: `i.ready` looks at registers and at the room behind the first stage.
    Overflow: entries without room are counted and dropped.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_plan, i_place : CollectorPlan and CsrPlace, constant while the job runs
    i_start : 1, pulse before the job's first word
    i : stream of DenseWord, finished sums, or int8 where the plan says so
    i_tag : stream of EntryTag, one for each word of `i`
    i_number : stream of RowNumber, one for each row
    o : stream of PairBeat
    o_rows : stream of RowCount, one for each row
    o_ended : level, from the job's last beat and row, when these were taken, to the next start
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_plan": In(CollectorPlan(config)),
            "i_place": In(CsrPlace()),
            "i_start": In(1),
            "i": In(stream.Signature(DenseWord(config))),
            "i_tag": In(stream.Signature(EntryTag(config))),
            "i_number": In(stream.Signature(RowNumber())),
            "o": Out(stream.Signature(PairBeat(config))),
            "o_rows": Out(stream.Signature(RowCount())),
            "o_ended": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        # ---- what is at work ----
        self._group, self._there = Signal(_Group(self._config)), Signal()
        self._moves = Signal()            # the group goes on
        self._flushing = Signal()         # the last group of a run has gone: what waits follows
        self._flushes, self._final = Signal(), Signal()   # and it was the job's last
        self._places = Signal()           # each row is a run of its own
        self._skims = Signal()            # entries are counted by the lanes that they are in
        room, ended = Signal(), Signal()  # both outputs can take something
        m.d.comb += [
            self._places.eq(self.i_place.mode == CsrMode.PLACE),
            self._skims.eq(~self._places & (self.i_place.mode != CsrMode.WHOLE) & ~self.i_place.drop_zeros),
            room.eq((~self.o.valid | self.o.ready) & (~self.o_rows.valid | self.o_rows.ready)),
            self._moves.eq(self._there & room & ~self._flushing & self.i_number.valid),
            self._flushes.eq(self._flushing & room),
            self.i_number.ready.eq(self._moves & self._group.row_end),
            self.o_ended.eq(ended & ~self.o.valid & ~self.o_rows.valid),
        ]
        self._choose_group(m)
        count, rest = self._pack(m, room)
        self._count(m, count)
        with m.If(self._moves):
            m.d.sync += [
                self._flushing.eq(self._group.job_end | (self._places & self._group.row_end & rest)),
                self._final.eq(self._group.job_end),
            ]
        with m.If(self._flushes):
            m.d.sync += [self._flushing.eq(0), ended.eq(self._final)]
        with m.If(self.i_start):
            m.d.sync += ended.eq(0)
        return m

    # ---- stage 1: the next entries of the word, those of the lowest lanes --------------------------------

    def _choose_group(self, m: Module) -> None:
        config, size = self._config, self._config.pair_lanes
        tag, group = self.i_tag.p, self._group
        done, pending = Signal(config.lanes, name="done"), Signal(config.lanes, name="pending")
        places = [Signal(range(config.lanes + 1), name=f"place{lane}") for lane in range(config.lanes + 1)]
        takes, word_ends = Signal(), Signal()
        m.d.comb += [
            pending.eq(tag.valid & ~done),
            *(places[lane + 1].eq(places[lane] + pending[lane]) for lane in range(config.lanes)),
            word_ends.eq((places[-1] <= size) | self._skims),
            takes.eq(self.i.valid & self.i_tag.valid & (~self._there | self._moves)),
            self.i.ready.eq(takes & word_ends),
            self.i_tag.ready.eq(takes & word_ends),
        ]
        chosen, columns, values = [], [], []     # for each place: its lane, one-hot; what it gets
        for place in range(size):
            lanes = range(place, config.lanes)   # that may have this place
            mine = Signal(len(lanes), name=f"mine{place}")
            m.d.comb += mine.eq(Cat(pending[lane] & (places[lane] == place) for lane in lanes))
            chosen.append(mine)
            columns.append(self._column(lanes, mine))
            values.append(self._value(m, lanes, mine))
        with m.If(~self._there | self._moves):
            m.d.sync += self._there.eq(self.i.valid & self.i_tag.valid)
        with m.If(takes):
            m.d.sync += [
                done.eq(Mux(word_ends, 0, done | Cat(place < size for place in places[:-1]))),
                group.row_end.eq(word_ends & tag.row_last),
                group.job_end.eq(word_ends & tag.job_last),
                group.count.eq(Mux(self.i_place.counted, self.i.p.data[0].as_unsigned(), places[-1])),
                *(group.columns[place].eq(column) for place, column in enumerate(columns)),
                *(group.values[place].eq(value) for place, value in enumerate(values)),
                *(group.mask[place].eq(mine.any() & ~(self.i_place.drop_zeros & (value == 0)))
                  for place, (mine, value) in enumerate(zip(chosen, values, strict=True))),
            ]

    def _value(self, m: Module, lanes: range, mine: Value) -> Signal:
        word = self.i.p.data
        low = word.as_value()
        whole = one_of(mine, [word[lane].as_unsigned() for lane in lanes])
        byte = one_of(mine, [low.word_select(lane, VALUE_BITS) for lane in lanes])
        value = Signal(ACC_BITS, name=f"value{lanes.start}")
        m.d.comb += value.eq(
            Mux(self.i_plan.int8, Cat(byte, byte[-1].replicate(ACC_BITS - VALUE_BITS)), whole))
        return value

    def _column(self, lanes: range, mine: Value) -> Value:
        """The place in the row, from the block's first column on, or, elementwise, what the tag says."""
        config, tag = self._config, self.i_tag.p
        place = one_of(mine, [Cat(Const(lane, config.lane_bits), tag.words[lane]) for lane in lanes])
        column = (place + self.i_place.first_column)[:config.entry_column_bits]
        if not config.elementwise:
            return column
        own = range(lanes.start, config.merge_lanes)
        theirs = one_of(list(mine)[:len(own)], [tag.columns[lane] for lane in own])
        return Mux(self.i_plan.elementwise, theirs, column)

    # ---- stage 2: its entries behind those that wait for a full beat -------------------------------------

    def _pack(self, m: Module, room: Value) -> tuple[Value, Value]:
        """Each entry's place in its beat is the number of those before it; returns: entries, some wait."""
        config, size, group = self._config, self._config.pair_lanes, self._group
        slot_bits = log2_exact(size)
        before = [Signal(range(size + 1), name=f"before{lane}") for lane in range(size + 1)]
        count, kept = before[size], Signal(range(size + 1))
        row_begins, left, later = Signal(), Signal(32), Signal(32)  # entries that there is still room for
        space, keeps = Signal(range(size + 1)), Signal()
        fill = Signal(range(max(2, size)))                          # entries that wait
        filled, whole, rest = Signal(range(2 * size)), Signal(), Signal()
        m.d.comb += [
            *(before[lane + 1].eq(before[lane] + group.mask[lane]) for lane in range(size)),
            left.eq(Mux(row_begins & self._places, self.i_number.p.left, later)),
            keeps.eq((self.i_place.mode == CsrMode.WHOLE) | self._places),
            space.eq(Mux(left >= size, size, left) & keeps.replicate(len(space))),
            kept.eq(Mux(count > space, space, count)),
            filled.eq(fill + kept),
            whole.eq(filled >= size),
            rest.eq(filled[:slot_bits] != 0),
        ]
        with m.If(self._moves):
            m.d.sync += [fill.eq(filled[:slot_bits]), later.eq(left - kept), row_begins.eq(group.row_end)]
        with m.If(self._flushes):
            m.d.sync += fill.eq(0)
        with m.If(self.i_start):
            m.d.sync += [later.eq(self.i_place.capacity), row_begins.eq(1)]

        # ---- the beat: entries that waited, then those that come; what is too much waits ----
        entries = [Cat(group.columns[lane], group.values[lane]) for lane in range(size)]
        stays = [group.mask[lane] & (before[lane] < space) for lane in range(size)]
        waiting = Signal(data.ArrayLayout(len(entries[0]), size))
        makes = Signal()
        m.d.comb += makes.eq((self._moves & whole) | (self._flushes & (fill != 0)))
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(makes):
            m.d.sync += [self.o.valid.eq(1), self.o.p.count.eq(Mux(self._flushing, fill, size))]
        self._open_runs(m, makes, rest, row_begins)
        for slot in range(size):
            mine = [stays[lane] & ((fill + before[lane])[:slot_bits] == slot) for lane in range(size)]
            coming, goes = (Signal(len(entries[0]), name=f"{name}{slot}") for name in ("coming", "goes"))
            m.d.comb += [
                coming.eq(one_of(mine, entries)),
                goes.eq(Mux(self._flushing | (slot < fill), waiting[slot], coming)),
            ]
            with m.If(self._moves & Cat(mine).any()):
                m.d.sync += waiting[slot].eq(coming)
            with m.If(room):
                m.d.sync += [self.o.p.columns[slot].eq(goes[:config.entry_column_bits]),
                             self.o.p.values[slot].eq(goes[config.entry_column_bits:])]
        return count, rest

    def _open_runs(self, m: Module, makes: Value, rest: Value, row_begins: Value) -> None:
        """Which beat is the first of its run, and where the run begins."""
        opens, position, kept_position = Signal(), Signal(32), Signal(32)
        m.d.comb += position.eq(Mux(row_begins & ~self._flushing, self.i_number.p.number, kept_position))
        with m.If(self._moves):
            m.d.sync += kept_position.eq(position)
        with m.If(makes):
            m.d.sync += [self.o.p.opens.eq(opens), self.o.p.position.eq(position), opens.eq(0)]
        with m.If(self._places & ((self._moves & self._group.row_end & ~rest) | self._flushes)):
            m.d.sync += opens.eq(1)
        with m.If(self.i_start):
            m.d.sync += opens.eq(1)

    def _count(self, m: Module, count: Value) -> None:
        """Of the row so far, those without room included."""
        so_far, total, rows = Signal(32), Signal(32), self.o_rows
        m.d.comb += total.eq(so_far + Mux(self._skims, self._group.count, count))
        with m.If(rows.ready):
            m.d.sync += rows.valid.eq(0)
        with m.If(self._moves):
            m.d.sync += so_far.eq(Mux(self._group.row_end, 0, total))
            with m.If(self._group.row_end):
                m.d.sync += [rows.valid.eq(1), rows.p.count.eq(total),
                             rows.p.number.eq(self.i_number.p.number),
                             rows.p.job_last.eq(self._group.job_end)]
