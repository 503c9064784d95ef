"""From words with absent lanes to entries without gaps, and to row pointers."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .collector_layouts import CollectorPlan, DenseWord, EntryTag, PairBeat, PointerBeat
from .config import ACC_BITS, VALUE_BITS, Config, log2_exact
from .layouts import CsrFull, CsrPlace
from .selectors import one_of

__all__ = ["PairPacker"]


def _Group(config: Config) -> data.StructLayout:
    """Some neighbouring lanes of a word."""
    return data.StructLayout({
        "mask": config.pair_lanes,      # lanes that hold an entry
        "values": data.ArrayLayout(ACC_BITS, config.pair_lanes),
        "columns": data.ArrayLayout(config.entry_column_bits, config.pair_lanes),
        "row_end": 1,                   # nothing of the row follows
        "job_end": 1,
    })


class PairPacker(wiring.Component):
    """Packs a job's entries into beats of `pair_lanes` column indices and values; writes down where rows end.

    Throughput: one group of `pair_lanes` lanes a cycle; groups without an entry take none, a word or a row
        without any one.
    Latency: two cycles from a word to the beat that it fills.
    Backpressure: `i.ready` looks at registers and at the room behind the first stage.
    Overflow: entries past `capacity` are counted and dropped; `o_full` says how many there are, at the job's
        end. The count stops at 2^32 - 1.
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
    o : stream of PairBeat
    o_pointers : stream of PointerBeat: 0, and for each row the number of entries up to its end
    o_kept : entries that were not dropped
    o_ended : level, from the job's last beats, when these were taken, to the next start
    o_full : CsrFull
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_plan": In(CollectorPlan(config)),
            "i_place": In(CsrPlace()),
            "i_start": In(1),
            "i": In(stream.Signature(DenseWord(config))),
            "i_tag": In(stream.Signature(EntryTag(config))),
            "o": Out(stream.Signature(PairBeat(config))),
            "o_pointers": Out(stream.Signature(PointerBeat(config))),
            "o_kept": Out(32),
            "o_ended": Out(1),
            "o_full": Out(CsrFull()),
        })

    def elaborate(self, platform):
        m = Module()
        # ---- what is at work ----
        self._group, self._there = Signal(_Group(self._config), reset_less=True), Signal()
        self._moves = Signal()            # the group goes on
        self._first = Signal()            # the pointer before all rows is still to be made
        self._flushing = Signal()         # the job's last group has gone: what waits follows
        self._flushes = Signal()
        self._total, self._next_total = Signal(32), Signal(32)
        self._room = Signal()             # both outputs can take a beat
        ended, full = Signal(), Signal()
        m.d.comb += [
            self._room.eq((~self.o.valid | self.o.ready) & (~self.o_pointers.valid | self.o_pointers.ready)),
            self._moves.eq(self._there & self._room & ~self._first & ~self._flushing),
            self._flushes.eq(self._flushing & self._room),
            self.o_ended.eq(ended & ~self.o.valid & ~self.o_pointers.valid),
        ]
        self._choose_group(m)
        overflows = self._pack(m)
        self._point(m)
        with m.If(self._moves):
            m.d.sync += [self._total.eq(self._next_total), full.eq(full | overflows),
                         self._flushing.eq(self._group.job_end)]
        m.d.sync += self.o_full.valid.eq(self._flushes & full)
        with m.If(self._flushes):
            m.d.sync += [self._flushing.eq(0), ended.eq(1), self.o_full.needed.eq(self._total)]
        with m.If(self.i_start):
            m.d.sync += [self._first.eq(1), ended.eq(0), full.eq(0), self._total.eq(0)]
        return m

    # ---- stage 1: the next group of the word that has an entry -------------------------------------------

    def _choose_group(self, m: Module) -> None:
        config, size = self._config, self._config.pair_lanes
        groups = config.lanes // size
        word, tag, group = self.i.p, self.i_tag.p, self._group
        done, pending, chosen = (Signal(groups, name=name) for name in ("done", "pending", "chosen"))
        takes, word_ends = Signal(), Signal()
        bytes_of_word = word.data.as_value()[:VALUE_BITS * config.lanes]
        m.d.comb += [
            pending.eq(Cat(tag.valid[size * g:size * (g + 1)].any() for g in range(groups)) & ~done),
            chosen.eq(pending & -pending),
            word_ends.eq(pending == chosen),
            takes.eq(self.i.valid & self.i_tag.valid & (~self._there | self._moves)),
            self.i.ready.eq(takes & word_ends),
            self.i_tag.ready.eq(takes & word_ends),
        ]

        with m.If(~self._there | self._moves):
            m.d.sync += self._there.eq(self.i.valid & self.i_tag.valid)
        with m.If(takes):
            m.d.sync += [
                done.eq(Mux(word_ends, 0, done | chosen)),
                group.row_end.eq(word_ends & tag.row_last),
                group.job_end.eq(word_ends & tag.job_last),
            ]
            number = Cat(one_of(chosen, [Const(g, log2_exact(groups)) for g in range(groups)]), tag.word)
            for lane in range(size):
                m.d.sync += group.columns[lane].eq(self._column(lane, number, chosen))
                whole = one_of(chosen, [word.data[size * g + lane].as_unsigned() for g in range(groups)])
                byte = one_of(chosen, [bytes_of_word.word_select(size * g + lane, VALUE_BITS)
                                       for g in range(groups)])
                value = Signal(ACC_BITS, name=f"value{lane}")
                m.d.comb += value.eq(
                    Mux(self.i_plan.int8, Cat(byte, byte[-1].replicate(ACC_BITS - VALUE_BITS)), whole))
                m.d.sync += [
                    group.values[lane].eq(value),
                    group.mask[lane].eq(one_of(chosen, [tag.valid[size * g + lane] for g in range(groups)])
                                        & ~(self.i_place.drop_zeros & (value == 0))),
                ]

    def _column(self, lane: int, number: Value, chosen: Value) -> Value:
        """Of a lane of the chosen group: its place in the row, or, elementwise, its own."""
        config, size = self._config, self._config.pair_lanes
        place = Cat(Const(lane, log2_exact(size)), number)
        if not config.elementwise:
            return place
        own = self.i_tag.p.columns
        lanes = range(lane, config.merge_lanes, size)
        return Mux(self.i_plan.elementwise,
                   one_of(list(chosen)[:len(lanes)], [own[number] for number in lanes]), place)

    # ---- stage 2: its entries behind those that wait for a full beat -------------------------------------

    def _pack(self, m: Module) -> Value:
        """Each entry's place in its beat is the number of those before it; returns: some are dropped."""
        config, size, group = self._config, self._config.pair_lanes, self._group
        slot_bits = log2_exact(size)
        before = [Signal(range(size + 1), name=f"before{lane}") for lane in range(size + 1)]
        count, kept = before[size], Signal(range(size + 1))
        left, space = Signal(32), Signal(range(size + 1))  # entries that there is still room for
        fill = Signal(range(max(2, size)))                 # entries that wait
        filled, whole = Signal(range(2 * size)), Signal()
        wide_total = Signal(33)
        m.d.comb += [
            *(before[lane + 1].eq(before[lane] + group.mask[lane]) for lane in range(size)),
            space.eq(Mux(left >= size, size, left)),
            kept.eq(Mux(count > space, space, count)),
            filled.eq(fill + kept),
            whole.eq(filled >= size),
            wide_total.eq(self._total + count),
            self._next_total.eq(Mux(wide_total[32], 0xFFFFFFFF, wide_total)),
        ]
        with m.If(self._moves):
            m.d.sync += [fill.eq(filled[:slot_bits]), left.eq(left - kept),
                         self.o_kept.eq(self.o_kept + kept)]
        with m.If(self._flushes):
            m.d.sync += fill.eq(0)
        with m.If(self.i_start):
            m.d.sync += [left.eq(self.i_place.capacity), self.o_kept.eq(0)]

        # ---- the beat: entries that waited, then those that come; what is too much waits ----
        entries = [Cat(group.columns[lane], group.values[lane]) for lane in range(size)]
        stays = [group.mask[lane] & (before[lane] < space) for lane in range(size)]
        waiting = Signal(data.ArrayLayout(len(entries[0]), size), reset_less=True)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If((self._moves & whole) | (self._flushes & (fill != 0))):
            m.d.sync += [self.o.valid.eq(1), self.o.p.count.eq(Mux(self._flushing, fill, size))]
        for slot in range(size):
            mine = [stays[lane] & ((fill + before[lane])[:slot_bits] == slot) for lane in range(size)]
            coming, goes = (Signal(len(entries[0]), name=f"{name}{slot}") for name in ("coming", "goes"))
            m.d.comb += [
                coming.eq(one_of(mine, entries)),
                goes.eq(Mux(self._flushing | (slot < fill), waiting[slot], coming)),
            ]
            with m.If(self._moves & Cat(mine).any()):
                m.d.sync += waiting[slot].eq(coming)
            with m.If(self._room):
                m.d.sync += [self.o.p.columns[slot].eq(goes[:config.entry_column_bits]),
                             self.o.p.values[slot].eq(goes[config.entry_column_bits:])]
        return count > space

    # ---- row pointers ------------------------------------------------------------------------------------

    def _point(self, m: Module) -> None:
        size = self._config.pair_lanes
        output, fill = self.o_pointers, Signal(range(max(2, size)))
        waiting = Signal(data.ArrayLayout(32, size), reset_less=True)
        comes, whole, value = Signal(), Signal(), Signal(32)
        m.d.comb += [
            comes.eq((self._first & self._room) | (self._moves & self._group.row_end)),
            whole.eq(fill == size - 1),
            value.eq(Mux(self._first, 0, self._next_total)),
        ]
        with m.If(output.ready):
            m.d.sync += output.valid.eq(0)
        with m.If(comes):
            m.d.sync += fill.eq(Mux(whole, 0, fill + 1))
        with m.If(self._first & self._room):
            m.d.sync += self._first.eq(0)
        for slot in range(size):
            with m.If(comes & (fill == slot)):
                m.d.sync += waiting[slot].eq(value)
        with m.If((comes & whole) | (self._flushes & (fill != 0))):
            m.d.sync += [output.valid.eq(1), output.p.count.eq(Mux(self._flushing, fill, size))]
            for slot in range(size):
                m.d.sync += output.p.pointers[slot].eq(
                    Mux(~self._flushing & (fill == slot), value, waiting[slot]))
        with m.If(self._flushes):
            m.d.sync += fill.eq(0)
