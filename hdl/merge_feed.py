"""From a fetch unit's beats to elements without gaps, dealt to banks in turn."""

from dataclasses import replace

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .config import VALUE_BITS, Config, log2_exact, width_of
from .layouts import ROW_ENDS, RawBeat
from .merge_layouts import END_COLUMN, Element, row_bits
from .queue import Queue
from .selectors import one_of

__all__ = ["MergeFeed"]

QUEUE_DEPTH = 8
QUEUE_MARGIN = 3
"""Places that elements on their way to a bank's queue, and one dealt before `room` falls, can still need."""


def _Part(config: Config, value_bits: int, tokens: int) -> data.StructLayout:
    """Neighbouring tokens of a beat, the row ends among them, or pads."""
    token = RawBeat(config, value_bits)["tokens"].shape.elem_shape
    return data.StructLayout({
        "tokens": data.ArrayLayout(token, tokens),
        "mask": tokens,
        "ends": data.ArrayLayout(data.StructLayout({"valid": 1, "position": width_of(tokens + 1)}), ROW_ENDS),
        "last": 1,      # the last of these row ends is the matrix's last
        "pad": 1,
    })


class MergeFeed(wiring.Component):
    """Makes one sequence of entries and row ends of a matrix's beats; element n of all goes to bank n mod w.

    After a matrix's last row end come 2·w pads, so that who takes w elements at a time gets that, too.

    Throughput: w elements a cycle, of at most w neighbouring tokens of a beat and the row ends among them;
        such a part with more than w elements takes two cycles.
    Latency: four cycles from a beat to its first elements.
    Backpressure: `i` waits when one of the banks' queues is full.
    Order: kept. A column that is not past the one before in its row raises `o_fault`.

    Parameters
    ----------
    config : Config; w is its `merge_lanes`
    beat_tokens : int, a power of two, of the fetch unit
    value_bits : int, of its tokens

    Members
    -------
    i : stream of RawBeat of so many tokens
    o : for each bank, stream of Element
    o_fault : pulse, columns of a row do not rise
    """

    def __init__(self, config: Config, beat_tokens: int, value_bits: int = VALUE_BITS):
        self._config, self._lanes = config, config.merge_lanes
        self._beat = RawBeat(replace(config, beat_tokens=beat_tokens), value_bits)
        self._element, self._value_bits = Element(config, value_bits), value_bits
        self._tokens = min(beat_tokens, self._lanes)     # of a part
        self._parts = beat_tokens // self._tokens
        super().__init__({
            "i": In(stream.Signature(self._beat)),
            "o": Out(stream.Signature(self._element)).array(self._lanes),
            "o_fault": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        queues = [Queue(self._element, QUEUE_DEPTH) for _ in range(self._lanes)]
        room, takes = Signal(), Signal()
        m.d.sync += room.eq(Cat(queue.level <= QUEUE_DEPTH - QUEUE_MARGIN for queue in queues).all())
        part, part_valid = self._part_stage(m, takes)
        dealt, there, first = self._deal_stage(m, part, part_valid, takes, room)
        for number, queue in enumerate(queues):
            m.submodules[f"queue{number}"] = queue
            m.d.comb += [queue.i.valid.eq(there[number]), queue.i.p.eq(dealt[number])]
            connect(m, queue.o, flipped(self.o[number]))
        self._check_order(m, dealt, there, first)
        return m

    # ---- a beat in parts that are not longer than a word of banks, or pads ------------------------------

    def _part_stage(self, m: Module, takes: Signal) -> tuple[data.View, Signal]:
        tokens, beat = self._tokens, self.i.p
        part, valid = Signal(_Part(self._config, self._value_bits, tokens)), Signal()
        done, here, pending, chosen = (Signal(self._parts, name=name)
                                       for name in ("done", "here", "pending", "chosen"))
        final = Signal()
        pads = Signal(range(2 * self._lanes // tokens + 1))    # parts of pads that are to come
        ends = [[self._belongs(end, number) for end in beat.ends] for number in range(self._parts)]
        m.d.comb += [
            here.eq(Cat(beat.mask[tokens * number:tokens * (number + 1)].any() | Cat(ends[number]).any()
                        for number in range(self._parts))),
            pending.eq(here & ~done),
            chosen.eq(pending & -pending),
            final.eq(pending == chosen),
            valid.eq(self.i.valid | (pads != 0)),
            self.i.ready.eq(takes & final & (pads == 0)),
            part.pad.eq(pads != 0),
            part.last.eq(beat.last & final),
        ]
        with m.If(takes & self.i.valid & (pads == 0)):
            m.d.sync += done.eq(Mux(final, 0, done | chosen))
            with m.If(beat.last & final):
                m.d.sync += pads.eq(2 * self._lanes // tokens)
        with m.If(takes & (pads != 0)):
            m.d.sync += pads.eq(pads - 1)

        slices = [range(tokens * number, tokens * (number + 1)) for number in range(self._parts)]
        m.d.comb += part.mask.eq(one_of(chosen, [Cat(beat.mask[t] for t in own) for own in slices])
                                 | part.pad.replicate(tokens))
        for place, token in enumerate(part.tokens):
            m.d.comb += token.eq(one_of(chosen, [beat.tokens[own[place]].as_value() for own in slices]))
        for number, end in enumerate(part.ends):
            position = beat.ends[number].position
            m.d.comb += [
                end.valid.eq(one_of(chosen, [own[number] for own in ends]) & ~part.pad),
                end.position.eq(one_of(chosen, [(position - own.start)[:len(end.position)]
                                                for own in slices])),
            ]
        return part, valid

    def _belongs(self, end, number: int) -> Value:
        """Whether a row end is in that part; one between two parts belongs to the former."""
        low = self._tokens * number
        within = end.position <= low + self._tokens
        return end.valid & (within & (end.position > low) if number else within)

    # ---- stages 1, 2: each element's bank; at most one for each bank goes there -------------------------

    def _deal_stage(self, m: Module, part, part_valid: Signal, takes: Signal, room: Signal):
        lanes, size = self._lanes, self._tokens + ROW_ENDS
        slot_bits = log2_exact(lanes)
        ranked = Signal(data.ArrayLayout(data.StructLayout({
            "element": self._element, "slot": slot_bits, "late": 1, "valid": 1}), size))
        valid, has_late, late = Signal(), Signal(), Signal()   # the elements past the first w have their turn
        start, next_start = Signal(slot_bits), Signal(slot_bits)
        deals = Signal()
        total = self._rank(m, part, part_valid, ranked, next_start, takes)
        m.d.comb += [
            deals.eq(valid & room),
            takes.eq(~valid | (room & (late | ~has_late))),
        ]
        with m.If(takes):
            m.d.sync += [valid.eq(part_valid), start.eq(next_start), has_late.eq(total > lanes)]
            with m.If(part_valid):
                m.d.sync += next_start.eq(next_start + total)
        with m.If(deals):
            m.d.sync += late.eq(has_late & ~late)

        dealt = Signal(data.ArrayLayout(self._element, lanes))
        there, first = Signal(lanes), Signal(lanes)
        for bank in range(lanes):
            mine = Signal(size, name=f"mine{bank}")
            m.d.comb += mine.eq(Cat(one.valid & (one.slot == bank) & (one.late == late) for one in ranked))
            m.d.sync += [
                dealt[bank].eq(one_of(mine, [one.element.as_value() for one in ranked])),
                there[bank].eq(deals & mine.any()),
                first[bank].eq(start == bank),
            ]
        return dealt, there, first

    def _rank(self, m: Module, part, part_valid: Signal, ranked, next_start, takes: Signal) -> Signal:
        """Numbers a part's elements: tokens and row ends before each; returns how many there are."""
        lanes, tokens = self._lanes, self._tokens
        rank_bits, row = range(tokens + ROW_ENDS + 1), Signal(row_bits(self._config))
        total, ends = Signal(rank_bits), Signal(range(ROW_ENDS + 1))
        m.d.comb += [
            ends.eq(sum(end.valid for end in part.ends)),
            total.eq(sum(part.mask) + ends),
        ]
        with m.If(takes & part_valid):
            m.d.sync += row.eq(row + Mux(part.pad, tokens, ends))

        def place(number: int, valid: Value, rank: Value) -> data.View:
            one, local = ranked[number], Signal(rank_bits, name=f"rank{number}")
            m.d.comb += local.eq(rank)
            with m.If(takes):
                m.d.sync += [one.valid.eq(valid), one.slot.eq(next_start + local),
                             one.late.eq(local >= lanes)]
            return one.element

        for t, token in enumerate(part.tokens):
            ended = Signal.like(ends, name=f"ended{t}")
            m.d.comb += ended.eq(sum(end.valid & (end.position <= t) for end in part.ends))
            element = place(t, part.mask[t], sum(part.mask[:t]) + ended if t else ended)
            with m.If(takes):
                m.d.sync += [
                    element.column.eq(token.index | part.pad.replicate(len(element.column))),
                    element.row.eq(row + Mux(part.pad, t, ended)),
                    element.value.eq(token.value),
                    element.end.eq(part.pad),
                    element.pad.eq(part.pad),
                ]
        for e, end in enumerate(part.ends):
            before = sum(part.mask[t] & (end.position > t) for t in range(tokens))
            earlier = part.ends[0].valid if e else 0       # one may belong to another part
            element = place(tokens + e, end.valid, before + earlier)
            final = part.ends[e + 1].valid == 0 if e + 1 < ROW_ENDS else 1
            with m.If(takes):
                m.d.sync += [element.column.eq(END_COLUMN), element.row.eq(row + earlier), element.end.eq(1),
                             element.last.eq(part.last & final)]
        return total

    # ---- stage 3: do columns rise ----------------------------------------------------------------------

    def _check_order(self, m: Module, dealt, there: Signal, first: Signal) -> None:
        """The element before is the neighbouring bank's: that of this cycle, or before a cycle's first one an
        older one."""
        place = data.StructLayout({"column": len(dealt[0].column), "end": 1})
        older = Signal(data.ArrayLayout(place, self._lanes), init=[{"column": 0, "end": 1}] * self._lanes)
        falls = Signal(self._lanes)
        for bank, element in enumerate(dealt):
            neighbour = bank - 1 if bank else self._lanes - 1
            before = Signal(place, name=f"before{bank}")
            m.d.comb += [
                before.column.eq(Mux(first[bank], older[neighbour].column, dealt[neighbour].column)),
                before.end.eq(Mux(first[bank], older[neighbour].end, dealt[neighbour].end)),
                falls[bank].eq(there[bank] & ~element.end & ~before.end & (element.column <= before.column)),
            ]
            with m.If(there[bank]):
                m.d.sync += [older[bank].column.eq(element.column), older[bank].end.eq(element.end)]
        m.d.sync += self.o_fault.eq(falls.any())
