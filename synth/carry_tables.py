"""Functions of a few nets, and how half a CCU2C can hold them.

Half a CCU2C is a four-input table L(a, b, c, d); its sum is L xor carry, and its carry out is the carry in
where L is 1, else L(a, b, 0, 0).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import permutations

__all__ = ["INPUTS", "PINS", "Bit", "Table", "arrange", "carry_half", "index_of", "support", "table_of",
           "values_of"]

PINS = "ABCD"
INPUTS = len(PINS)

Bit = int | str
"""A net's number, or a constant."""
Table = tuple[int, ...]
"""A function's values, the first input the lowest bit of the index."""


def carry_half(table: int, index: int, carry: int) -> tuple[int, int]:
    """Sum and carry out of half a CCU2C whose inputs A to D are the bits of `index`, lowest first."""
    passes = table >> index & 1
    return passes ^ carry, carry if passes else table >> (index & 3) & 1


def table_of(function: Callable[[Mapping[Bit, int]], int], inputs: Sequence[Bit]) -> Table:
    return tuple(function({bit: index >> place & 1 for place, bit in enumerate(inputs)})
                 for index in range(1 << len(inputs)))


def _value(bit: Bit, values: Mapping[Bit, int]) -> int:
    return int(bit == "1") if isinstance(bit, str) else values[bit]


def index_of(pins: Sequence[Bit], values: Mapping[Bit, int]) -> int:
    return sum(_value(bit, values) << place for place, bit in enumerate(pins))


def values_of(pins: Sequence[Bit], table: int, inputs: Sequence[Bit]) -> Table:
    return table_of(lambda given: table >> index_of(pins, given) & 1, inputs)


def support(pins: Sequence[Bit], table: int) -> tuple[tuple[Bit, ...], Table]:
    """What the function depends on, and its values."""
    inputs = [bit for bit in dict.fromkeys(pins) if not isinstance(bit, str)]
    for bit in list(inputs):
        others = [other for other in inputs if other != bit]
        without, inverted = (["01"[at] if pin == bit else pin for pin in pins] for at in (0, 1))
        if values_of(without, table, others) == values_of(inverted, table, others):
            inputs.remove(bit)
            pins = without
    return tuple(inputs), values_of(pins, table, inputs)


@cache
def arrange(passes: Table, generates: Table) -> tuple[tuple[int | None, ...], int] | None:
    """Which input goes to which pin (None: a constant 1), and contents that give the two functions, the
    second one where the first is 0."""
    inputs = (len(passes) - 1).bit_length()
    for order in dict.fromkeys(permutations([*range(inputs), *[None] * (INPUTS - inputs)])):
        contents: dict[int, int] = {}
        places = [sum((1 if number is None else value >> number & 1) << pin
                      for pin, number in enumerate(order)) for value in range(len(passes))]
        for place, value in zip(places, passes, strict=True):
            contents[place] = value
        if all(contents.setdefault(place & 3, generated) == generated
               for place, value, generated in zip(places, passes, generates, strict=True) if not value):
            return order, sum(value << place for place, value in contents.items())
    return None
