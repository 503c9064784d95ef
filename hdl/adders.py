"""Adders that choose their operands: on ECP5 inside the carry cells, which an inferred adder uses by half.

Half a CCU2C is a four-input table L(a, b, c, d); its sum is L xor carry, and its carry out is the carry in
where L is 1, else L(a, b, 0, 0). So c and d may choose what is added, where they are never both 0.
"""

from typing import Any

from amaranth.hdl import Cat, Const, Instance, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CHOICES", "ChoiceSubtractor", "LoadedCounter", "MaskedAdder", "loaded_count_table",
           "masked_sum_table", "subtract_choice_table"]

CHOICES = 3
"""Registers that a ChoiceSubtractor chooses from."""


def masked_sum_table(a: int, b: int, c: int, d: int) -> int:
    """a where c, b where d, their sum where both; where neither, what the sum's carry needs."""
    return {(1, 1): a ^ b, (1, 0): a, (0, 1): b, (0, 0): a & b}[c, d]


def subtract_choice_table(a: int, b: int, c: int, d: int) -> int:
    """(b & c & d) plus the complement of a; c and d are never both 0, and then it is what the carry needs."""
    return 1 - a if (c, d) == (0, 0) else (1 - a) ^ (b & c & d)


def loaded_count_table(a: int, b: int, c: int, d: int) -> int:
    """b where c, else a; only the first cell's carry is added, so none is made: d is 1."""
    return (b if c else a) & d


class MaskedAdder(wiring.Component):
    """The sum of those of two numbers that are used, and a carry; where none is used, 0 if one of them is 0,
    else undefined.

    Throughput, Latency: combinational.
    Backpressure: none.
    Overflow: sums wrap.

    Parameters
    ----------
    width : int, bits, even

    Members
    -------
    i_a, i_b : numbers
    i_use_a, i_use_b : whether they are used
    i_carry : one more
    o : sum
    """

    def __init__(self, width: int):
        self._width = width
        super().__init__({
            "i_a": In(signed(width)),
            "i_b": In(signed(width)),
            "i_use_a": In(1),
            "i_use_b": In(1),
            "i_carry": In(1),
            "o": Out(signed(width)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if _family(platform) == "ecp5":
            _carry_cells(m, masked_sum_table, self.i_a, self.i_b, self.i_use_a.replicate(self._width),
                         self.i_use_b.replicate(self._width), self.i_carry, self.o)
        else:
            m.d.comb += self.o.eq(Mux(self.i_use_a, self.i_a, 0) + Mux(self.i_use_b, self.i_b, 0)
                                  + self.i_carry)
        return m


class LoadedCounter(wiring.Component):
    """A number or another one, and a carry: what a counter that can be loaded becomes.

    Throughput, Latency: combinational.
    Backpressure: none.
    Overflow: sums wrap.

    Parameters
    ----------
    width : int, bits, even

    Members
    -------
    i_value, i_new : numbers
    i_loads : the new one
    i_carry : one more
    o : sum
    """

    def __init__(self, width: int):
        self._width = width
        super().__init__({
            "i_value": In(width),
            "i_new": In(width),
            "i_loads": In(1),
            "i_carry": In(1),
            "o": Out(width),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if _family(platform) == "ecp5":
            ones = Const(-1, self._width)
            _carry_cells(m, loaded_count_table, self.i_value, self.i_new,
                         self.i_loads.replicate(self._width), ones, self.i_carry, self.o)
        else:
            m.d.comb += self.o.eq(Mux(self.i_loads, self.i_new, self.i_value) + self.i_carry)
        return m


class ChoiceSubtractor(wiring.Component):
    """One of three numbers minus another; those that are not chosen are all ones.

    Throughput, Latency: combinational.
    Backpressure: none.
    Overflow: differences wrap.

    Parameters
    ----------
    width : int, bits, even

    Members
    -------
    i_choices : CHOICES numbers, all but one of them all ones, so that their bitwise and is the one
    i_less : what is subtracted
    o : difference
    """

    def __init__(self, width: int):
        self._width = width
        super().__init__({
            "i_choices": In(data.ArrayLayout(width, CHOICES)),
            "i_less": In(width),
            "o": Out(width),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        first, second, third = self.i_choices
        if _family(platform) == "ecp5":
            _carry_cells(m, subtract_choice_table, self.i_less, first, second, third, Const(1, 1), self.o)
        else:
            m.d.comb += self.o.eq((first & second & third) - self.i_less)
        return m


def _family(platform: Any) -> str | None:
    return getattr(platform, "family", None)


def _carry_cells(m: Module, table: Any, a: Value, b: Value, c: Value, d: Value, carry: Value,
                 total: Value) -> None:
    """A chain of CCU2C cells, two bits each, lowest first."""
    contents = Const(sum(table(index & 1, index >> 1 & 1, index >> 2 & 1, index >> 3) << index
                         for index in range(16)), 16)
    for low in range(0, len(total), 2):
        next_carry, sums = Signal(name=f"carry{low}"), Signal(2, name=f"sums{low}")
        m.submodules[f"cell{low}"] = Instance(
            "CCU2C", p_INIT0=contents, p_INIT1=contents, p_INJECT1_0="NO", p_INJECT1_1="NO", i_CIN=carry,
            i_A0=a[low], i_B0=b[low], i_C0=c[low], i_D0=d[low],
            i_A1=a[low + 1], i_B1=b[low + 1], i_C1=c[low + 1], i_D1=d[low + 1],
            o_S0=sums[0], o_S1=sums[1], o_COUT=next_carry)
        m.d.comb += Cat(total[low], total[low + 1]).eq(sums)
        carry = next_carry
