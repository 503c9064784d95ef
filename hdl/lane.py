"""What a lane multiplies, and the multiplication: the only place that knows the operands' arithmetic."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import VALUE_BITS, Config

__all__ = ["PRODUCT_BITS", "Multiplier", "OperandSelect", "replicate"]

PRODUCT_BITS = 2 * VALUE_BITS


def replicate(m: Module, values: Sequence[Value], pick: Value, mask: Value) -> list[Value]:
    """Element j becomes the one whose index has `pick`'s bits where `mask` is set, and j's elsewhere.

    One 2:1 multiplexer a bit of the index. With the upper bits masked, one part is copied over all parts.
    """
    result = list(values)
    for bit in range(len(mask)):
        swapped = [Signal.like(value, name=f"replicated_{bit}_{index}") for index, value in enumerate(result)]
        to_low, to_high = Signal(name=f"to_low_{bit}"), Signal(name=f"to_high_{bit}")
        m.d.comb += [to_low.eq(mask[bit] & pick[bit]), to_high.eq(mask[bit] & ~pick[bit])]
        for index, signal in enumerate(swapped):
            changes = to_high if index >> bit & 1 else to_low
            m.d.comb += signal.eq(Mux(changes, result[index ^ 1 << bit], result[index]))
        result = swapped
    return result


class OperandSelect(wiring.Component):
    """The operand of every lane out of a store word: the upper or lower half, one part for all (N < V).

    Throughput: one word a cycle.
    Latency: one cycle.
    Backpressure: none.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : V store words, 2 * half_word_bits each
    i_upper : the dense value of the upper half (packed values lie in the lower one)
    i_pick, i_mask : lane j takes the value of the lane whose index has the bits of `i_pick` under `i_mask`
    o : V operands, signed
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i": In(data.ArrayLayout(2 * config.half_word_bits, config.lanes)),
            "i_upper": In(1),
            "i_pick": In(config.lane_bits),
            "i_mask": In(config.lane_bits),
            "o": Out(data.ArrayLayout(signed(VALUE_BITS), config.lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        half_bits = self._config.half_word_bits
        values = [Signal(VALUE_BITS, name=f"value_{lane}") for lane in range(self._config.lanes)]
        for value, word in zip(values, self.i, strict=True):
            m.d.comb += value.eq(Mux(self.i_upper, word[half_bits:], word[:half_bits]))
        for operand, value in zip(self.o, replicate(m, values, self.i_pick, self.i_mask), strict=True):
            m.d.sync += operand.eq(value)
        return m


class Multiplier(wiring.Component):
    """One lane's signed product; the operands come from registers.

    Throughput: one product a cycle.
    Latency: one cycle.
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
        m.d.sync += self.o.eq(self.i_operand * self.i_value)
        return m
