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
    count : int, values

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
            m.d.comb += self.o[place].eq(
                self._choose(m, f"bit{place}", [value[place] for value in self.i], self.i_number, cells))
        return m

    def _choose(self, m: Module, name: str, bits: Sequence[Any], number: Value, cells: bool) -> Any:
        """A power of two of them by cells, those above it by themselves."""
        above = (len(bits) - 1).bit_length() - 1   # the highest bit of their numbers
        if len(bits) & (len(bits) - 1):
            lower = self._choose(m, name, bits[:1 << above], number, cells)
            upper = self._choose(m, f"{name}_above{above}", bits[1 << above:], number, cells)
            return Mux(number[above], upper, lower)
        for level in range(above + 1):
            pairs = list(zip(bits[::2], bits[1::2], strict=True))
            if cells and level < 3:
                bits = [self._cell(m, f"{name}_{level}_{pair}", level, low, high, number[level])
                        for pair, (low, high) in enumerate(pairs)]
            else:
                bits = [Mux(number[level], high, low) for low, high in pairs]
        return bits[0]

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
