"""What becomes of neighbours of equal key: the arithmetic of elementwise operations."""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import ACC_BITS, VALUE_BITS, Config
from .layouts import MergeJob, Operation
from .merge_layouts import END_COLUMN, CombinedWord, Element, SortedWord

__all__ = ["MergeCombiner"]

_NOTHING = {"column": END_COLUMN, "row": -1, "end": 1, "pad": 1}


class MergeCombiner(wiring.Component):
    """Makes one entry of two of the same place, and decides what becomes of those that are alone.

    Throughput: one word a cycle.
    Latency: three cycles; a word's last element waits for the next word.
    Backpressure: none.
    Overflow: sums wrap in int32, `o_overflow` says so.
    Order: kept. Of a row's two ends one goes on. A word of which nothing is left makes none.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_job : MergeJob, constant from a matrix's first element to its last row end
    i : stream of SortedWord, always ready
    o : stream of CombinedWord, always ready
    o_overflow : pulse, a sum of int32 wrapped
    """

    def __init__(self, config: Config):
        self._config, self._lanes = config, config.merge_lanes
        super().__init__({
            "i_job": In(MergeJob()),
            "i": In(stream.Signature(SortedWord(config), always_ready=True)),
            "o": Out(stream.Signature(CombinedWord(config), always_ready=True)),
            "o_overflow": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        operation = self.i_job.operation
        self._adds, self._subtracts, self._multiplies, self._masks = (
            Signal(name=name) for name in ("adds", "subtracts", "multiplies", "masks"))
        m.d.sync += [flag.eq(operation == of) for flag, of in (
            (self._adds, Operation.ADD), (self._subtracts, Operation.SUBTRACT),
            (self._multiplies, Operation.MULTIPLY), (self._masks, Operation.MASK))]
        neighbours, valid = self._pair(m)
        operands, operands_valid = self._choose(m, neighbours, valid)
        self._finish(m, operands, operands_valid)
        return m

    # ---- stage 1: which neighbours are of one place -----------------------------------------------------

    def _pair(self, m: Module):
        lanes, word = self._lanes, self.i.p
        held = Signal(Element(self._config, ACC_BITS), init=_NOTHING)    # the last element of the word before
        held_of_b, held_second = Signal(), Signal()
        slots = data.ArrayLayout(data.StructLayout({
            "element": Element(self._config, ACC_BITS), "of_b": 1,
            "other": signed(ACC_BITS),              # the value of the one behind
            "pair": 1,                              # which is of the same place
            "second": 1,                            # so is the one before
        }), lanes)
        after, valid = Signal(slots), Signal()
        elements, of_b = [held, *word.elements], [held_of_b, *word.of_b]
        pair = Signal(lanes)
        m.d.comb += pair.eq(Cat((one.column == other.column) & (one.row == other.row)
                                for one, other in pairwise(elements)))
        m.d.sync += valid.eq(self.i.valid)
        for lane, slot in enumerate(after):
            m.d.sync += [slot.element.eq(elements[lane]), slot.of_b.eq(of_b[lane]),
                         slot.other.eq(elements[lane + 1].value), slot.pair.eq(pair[lane]),
                         slot.second.eq(pair[lane - 1] if lane else held_second)]
        with m.If(self.i.valid):
            m.d.sync += [held.eq(elements[-1]), held_of_b.eq(of_b[-1]), held_second.eq(pair[-1])]
        return after, valid

    # ---- stage 2: operands of a sum; halves of a product -------------------------------------------------

    def _choose(self, m: Module, neighbours, valid: Signal):
        slots = data.ArrayLayout(data.StructLayout({
            "entry": 1, "end": 1, "last": 1, "column": len(neighbours[0].element.column),
            "left": signed(VALUE_BITS), "right": signed(ACC_BITS),      # of A, or its complement, and of B
            "low": signed(VALUE_BITS + 5), "high": signed(VALUE_BITS + 4),     # left · right's halves
        }), self._lanes)
        after, after_valid = Signal(slots), Signal()
        alone_stays = self._adds | self._subtracts
        m.d.sync += after_valid.eq(valid)
        for slot, source in zip(after, neighbours, strict=True):
            element, value, other = source.element, source.element.value, source.other
            byte = value[:VALUE_BITS].as_signed()
            is_entry = ~element.end & ~source.second & (source.pair | alone_stays)
            m.d.sync += [
                slot.entry.eq(is_entry),
                slot.end.eq(element.end & ~element.pad & source.pair),
                slot.last.eq(element.last),
                slot.column.eq(element.column),
                slot.left.eq(Mux(source.of_b | self._masks, 0, byte) ^ self._subtracts.replicate(VALUE_BITS)),
                slot.right.eq(Mux(source.pair, other, Mux(source.of_b, value, 0))),
                slot.low.eq(_partial(byte, other[:4])),
                slot.high.eq(_partial(byte, other[4:VALUE_BITS], negative=True)),
            ]
        return after, after_valid

    # ---- stage 3: sum or product ------------------------------------------------------------------------

    def _finish(self, m: Module, operands, valid: Signal) -> None:
        output = self.o
        entries, ends = Cat(slot.entry for slot in operands), Cat(slot.end for slot in operands)
        m.d.sync += [
            output.valid.eq(valid & (entries | ends).any()),
            output.p.entry.eq(entries),
            output.p.end.eq(ends),
            output.p.last.eq(Cat(slot.last & slot.end for slot in operands).any()),
        ]
        wraps = Signal(self._lanes)
        m.d.sync += self.o_overflow.eq(wraps.any())
        for lane, slot in enumerate(operands):
            total = Signal(signed(ACC_BITS + 1), name=f"total{lane}")
            product = Signal(signed(2 * VALUE_BITS), name=f"product{lane}")
            m.d.comb += [
                total.eq(slot.right + slot.left + self._subtracts),
                product.eq(slot.low + (slot.high << 4)),
            ]
            m.d.sync += [output.p.columns[lane].eq(slot.column),
                         output.p.values[lane].eq(Mux(self._multiplies, product, total)),
                         wraps[lane].eq(valid & slot.entry & ~self._multiplies & (total[-1] != total[-2]))]


def _partial(value: Value, digits: Value, *, negative: bool = False) -> Value:
    """value · digits by adding shifted copies: synthesis would spend a lane's multiplier on it.

    The highest of `digits` counts as negative where that is said.
    """
    terms = [Mux(digit, value << place, 0) for place, digit in enumerate(digits)]
    low, last = terms[0] + terms[1], terms[-1]
    return low + (terms[2] - last if negative else terms[2] + last)
