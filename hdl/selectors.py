"""One of many values, by its bit or by its number."""

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Const, Instance, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CHOICE_TABLE", "WideSelect", "one_of"]

CHOICE_TABLE = 0xCACA
"""Contents of a LUT4 whose input C chooses between A (0) and B (1)."""


def one_of(choice: Iterable[Any], values: Iterable[Any]) -> Value:
    """The value whose bit of `choice` is set, of at most one; 0 where none is."""
    return reduce(or_, (Mux(bit, value, 0) for bit, value in zip(choice, values, strict=True)))


class WideSelect(wiring.Component):
    """The value of a number; on ECP5 through the multiplexers behind the LUTs, which cost nothing.

    Eight values take four LUTs a bit; synthesis alone, which knows these multiplexers as parts of
    functions of few inputs only, takes five to seven.

    Throughput, Latency: combinational.
    Backpressure: none.
    Order: kept.

    Parameters
    ----------
    width : int, bits of a value
    count : int, values, a power of two

    Members
    -------
    i : values
    i_number : which of them
    o : it
    """

    def __init__(self, width: int, count: int):
        self._width = width
        super().__init__({
            "i": In(data.ArrayLayout(width, count)),
            "i_number": In(range(count)),
            "o": Out(width),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        cells = getattr(platform, "family", None) == "ecp5"
        for place in range(self._width):
            bits: Sequence[Any] = [value[place] for value in self.i]
            for level, bit in enumerate(self.i_number):
                pairs = list(zip(bits[::2], bits[1::2], strict=True))
                if cells and level < 3:
                    bits = [self._cell(m, f"bit{place}_{level}_{pair}", level, low, high, bit)
                            for pair, (low, high) in enumerate(pairs)]
                else:
                    bits = [Mux(bit, high, low) for low, high in pairs]
            m.d.comb += self.o[place].eq(bits[0])
        return m

    def _cell(self, m: Module, name: str, level: int, low: Any, high: Any, bit: Any) -> Signal:
        """A LUT that chooses, the multiplexer of two LUTs, or that of four."""
        output = Signal(name=name)
        kind, inputs = (
            ("LUT4", {"p_INIT": Const(CHOICE_TABLE, 16), "i_A": low, "i_B": high, "i_C": bit,
                      "i_D": Const(0, 1)}),
            ("PFUMX", {"i_BLUT": low, "i_ALUT": high, "i_C0": bit}),
            ("L6MUX21", {"i_D0": low, "i_D1": high, "i_SD": bit}),
        )[level]
        m.submodules[f"cell_{name}"] = Instance(kind, **inputs, o_Z=output)
        return output
