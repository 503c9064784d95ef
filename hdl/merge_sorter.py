"""Two sorted sequences into one, w elements a cycle.

After Papaphilippou, Luk, Brooks: FLiMS, a Fast Lightweight 2-way Merge Sorter.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import VALUE_BITS, Config
from .layouts import tile_value_bits
from .merge_layouts import Element, SortedWord

__all__ = ["MergeSorter"]


class MergeSorter(wiring.Component):
    """Takes the w lowest elements of two sequences dealt to w banks each, and sorts them.

    Bank i of A is compared with bank w-1-i of B, and the lower one goes: as w go in every cycle, the heads of
    one sequence are always rotated against the other's so that these w are the lowest of all 2·w. What comes
    out is bitonic, which log2(w) stages of comparisons a power of two apart sort.

    Throughput: w elements a cycle, while every bank has one.
    Latency: 2 · log2(w) + 3 cycles.
    Backpressure: nothing is taken without `i_room`; what was taken does not stall.
    Order: by key; of equal keys A's is first.

    Parameters
    ----------
    config : Config; w is its `merge_lanes`

    Members
    -------
    i_a, i_b : for each bank, stream of Element
    i_room : a word may be taken
    o : stream of SortedWord, always ready
    """

    def __init__(self, config: Config):
        self._config, self._lanes = config, config.merge_lanes
        super().__init__({
            "i_a": In(stream.Signature(Element(config, VALUE_BITS))).array(self._lanes),
            "i_b": In(stream.Signature(Element(config, tile_value_bits(config)))).array(self._lanes),
            "i_room": In(1),
            "o": Out(stream.Signature(SortedWord(config), always_ready=True)),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = self._lanes
        takes_a, takes_b = Signal(lanes), Signal(lanes)
        goes = Signal()
        heads_a, all_a = self._heads(m, "a", self.i_a, takes_a)
        heads_b, all_b = self._heads(m, "b", self.i_b, takes_b)
        m.d.comb += goes.eq(all_a & all_b & self.i_room)

        # ---- the lower one of every two heads; which it is is known a cycle before it goes on ----
        word, valid = Signal(SortedWord(self._config), name="lowest"), Signal()
        b_first, compared = Signal(lanes), Signal()
        m.d.sync += [compared.eq(goes), valid.eq(compared)]
        for lane in range(lanes):
            a, b, b_lower = heads_a[lane], heads_b[lanes - 1 - lane], Signal(name=f"b_lower{lane}")
            held_a, held_b = Signal.like(a, name=f"held_a{lane}"), Signal.like(b, name=f"held_b{lane}")
            m.d.comb += [
                b_lower.eq(_below(_key(b), _key(a))),
                takes_a[lane].eq(goes & ~b_lower),
                takes_b[lanes - 1 - lane].eq(goes & b_lower),
            ]
            m.d.sync += [
                held_a.eq(a), held_b.eq(b), b_first[lane].eq(b_lower),
                word.of_b[lane].eq(b_first[lane]),
                *(word.elements[lane][name].eq(Mux(b_first[lane], held_b[name], held_a[name]))
                  for name, _ in b.shape()),
            ]

        # ---- sorted among themselves ----
        distance = lanes // 2
        while distance:
            word, valid = self._exchange(m, word, valid, distance)
            distance //= 2
        m.d.comb += [self.o.valid.eq(valid), self.o.p.eq(word)]
        return m

    def _heads(self, m: Module, name: str, banks, takes: Signal) -> tuple[data.View, Value]:
        """The next element of every bank, in a register; whether all are there."""
        heads = Signal(data.ArrayLayout(banks[0].p.shape(), self._lanes), name=f"heads_{name}")
        there = Signal(self._lanes, name=f"there_{name}")
        for number, bank in enumerate(banks):
            m.d.comb += bank.ready.eq(~there[number] | takes[number])
            with m.If(bank.ready):
                m.d.sync += [there[number].eq(bank.valid), heads[number].eq(bank.p)]
        return heads, there.all()

    def _exchange(self, m: Module, word, valid: Signal, distance: int) -> tuple[data.View, Signal]:
        """Two stages: two elements so far apart are compared, then each goes to its place."""
        held, held_valid = Signal.like(word, name=f"held_{distance}"), Signal(name=f"held_{distance}_valid")
        after, after_valid = Signal.like(word, name=f"by_{distance}"), Signal(name=f"by_{distance}_valid")
        m.d.sync += [held.eq(word), held_valid.eq(valid), after_valid.eq(held_valid)]
        for lane in range(self._lanes):
            if lane & distance:
                continue
            other, swaps = lane + distance, Signal(name=f"swap_{distance}_{lane}")
            low, high = (Cat(held.elements[place], held.of_b[place]) for place in (lane, other))
            m.d.sync += [
                swaps.eq(_below(Cat(word.of_b[other], _key(word.elements[other])),
                                Cat(word.of_b[lane], _key(word.elements[lane])))),
                Cat(after.elements[lane], after.of_b[lane]).eq(Mux(swaps, high, low)),
                Cat(after.elements[other], after.of_b[other]).eq(Mux(swaps, low, high)),
            ]
        return after, after_valid


def _key(element) -> Value:
    return Cat(element.column, element.row)


def _below(one: Value, other: Value) -> Value:
    """Whether a key is less than another that is not far away, around the end of the numbers."""
    return (one - other)[len(one) - 1]
