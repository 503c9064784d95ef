"""What a lane multiplies, and the multiplication: the only place that knows the operands' arithmetic."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import VALUE_BITS, Config

__all__ = ["PRODUCT_BITS", "Multiplier", "OperandSelect"]

PRODUCT_BITS = 2 * VALUE_BITS


class OperandSelect(wiring.Component):
    """The operand of every lane out of a store word: the half that was read, one part for all (N < V).

    Throughput, Latency: combinational.
    Backpressure: none.
    Order: kept.

    What was not read is zero, so ors select: no multiplexer is needed.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : V store words of two halves; the halves and lanes that were not asked for are zero
    i_packed : the upper halves are no values
    i_mask : lane j takes the value of the lane that was read among those whose index differs from j's in
        these bits only, a mask of upper bits; 0: its own, always where `i_packed`
    o : V operands, signed
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i": In(data.ArrayLayout(2 * config.half_word_bits, config.lanes)),
            "i_packed": In(1),
            "i_mask": In(config.lane_bits),
            "o": Out(data.ArrayLayout(signed(VALUE_BITS), config.lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        half_bits, lanes, lane_bits = self._config.half_word_bits, self._config.lanes, self._config.lane_bits
        # What lanes i and i + V/2 have read; no lane shares with less.
        pairs = [Signal(VALUE_BITS, name=f"pair{index}") for index in range(lanes // 2)]
        for index, pair in enumerate(pairs):
            words = (self.i[index], self.i[index + lanes // 2])
            m.d.comb += pair.eq(reduce(or_, (half for word in words
                                             for half in (word[:half_bits], word[half_bits:]))))
        # shared[i]: what lanes i, i + width, i + 2·width, ... get of each other, for parts of up to `width`.
        shared: list[Value] = [Const(0, VALUE_BITS)]
        for bit in range(lane_bits):
            width = 1 << bit
            wider = [Signal(VALUE_BITS, name=f"shared{width}_{index}") for index in range(width)]
            for index, value in enumerate(wider):
                m.d.comb += value.eq(shared[index % len(shared)] | (
                    reduce(or_, pairs[index::width]) & self.i_mask[bit].replicate(VALUE_BITS)))
            shared = list(wider)
        for lane, (operand, word) in enumerate(zip(self.o, self.i, strict=True)):
            upper = word[half_bits:] & ~self.i_packed.replicate(VALUE_BITS)
            m.d.comb += operand.eq(word[:half_bits] | upper | shared[lane % len(shared)])
        return m


class Multiplier(wiring.Component):
    """One lane's signed product; its operands need no registers before it.

    Throughput: one product a cycle.
    Latency: two cycles. On ECP5 both registers are those of the DSP block.
    Backpressure: none.
    Order: kept.

    Members
    -------
    i_operand, i_value : signed, VALUE_BITS
    o : signed, PRODUCT_BITS
    """

    def __init__(self):
        super().__init__({
            "i_operand": In(signed(VALUE_BITS)),
            "i_value": In(signed(VALUE_BITS)),
            "o": Out(signed(PRODUCT_BITS)),
        })

    def elaborate(self, platform):
        m = Module()
        if getattr(platform, "family", None) == "ecp5":
            m.submodules.block = self._ecp5_block()
            return m
        operand, value = (Signal(signed(VALUE_BITS), name=name)
                          for name in ("operand", "value"))
        product = Signal(signed(PRODUCT_BITS))
        m.d.sync += [operand.eq(self.i_operand), value.eq(self.i_value), product.eq(operand * value)]
        m.d.comb += self.o.eq(product)
        return m

    def _ecp5_block(self) -> Instance:
        """Operands in the upper bits, zeros below them: no sign to be extended, and fewer nets."""
        bits, spare = 18, 18 - VALUE_BITS
        ports: dict[str, Any] = {"i_CLK0": ClockSignal(), "i_CE0": Const(1), "i_RST0": Const(0)}
        for name, value in (("A", self.i_operand), ("B", self.i_value)):
            ports |= {f"i_SIGNED{name}": Const(1), f"i_SOURCE{name}": Const(0)}
            ports |= {f"i_{name}{bit}": Const(0) for bit in range(spare)}
            ports |= {f"i_{name}{bit}": value[bit - spare] for bit in range(spare, bits)}
        ports |= {f"o_P{2 * spare + bit}": self.o[bit] for bit in range(PRODUCT_BITS)}
        registers = {f"p_REG_{place}_CLK": "CLK0" for place in ("INPUTA", "INPUTB", "OUTPUT")}
        return Instance("MULT18X18D", **registers, **ports)
