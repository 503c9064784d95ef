"""Makes ECP5 carry chains smaller: LUTs go into the cells, which synthesis leaves half empty, and no chain
needs a cell more at its ends.

Half a CCU2C is a four-input table L(a, b, c, d); its sum is L xor carry, and its carry out is the carry in
where L is 1, else L(a, b, 0, 0). An inferred adder uses two inputs. A LUT that drives nothing but one of them
goes into the table, where what it reads finds pins such that sum and carry out stay what they were.

nextpnr puts a cell before every chain whose carry in is connected, if only to a constant, and one behind
every chain whose carry out is, if only to nothing. So a first half of two inputs that knows its carry in
makes its carry out alone, with L = 0, and a LUT makes its sum.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import permutations
from typing import Any

__all__ = ["carry_half", "fold_carries", "name_open_ends"]

_PINS = "ABCD"
_INPUTS = len(_PINS)

Bit = int | str
"""A net's number, or a constant."""
Table = tuple[int, ...]
"""A function's values, the first input the lowest bit of the index."""


def carry_half(table: int, index: int, carry: int) -> tuple[int, int]:
    """Sum and carry out of half a CCU2C whose inputs A to D are the bits of `index`, lowest first."""
    passes = table >> index & 1
    return passes ^ carry, carry if passes else table >> (index & 3) & 1


def fold_carries(design: dict[str, Any]) -> int:
    """Change every module of a netlist in Yosys's JSON, in place; how many LUTs were folded."""
    return sum(_Module(module).fold() for module in design["modules"].values())


def name_open_ends(design: dict[str, Any]) -> None:
    """Carry ports that `fold_carries` left unconnected, as nextpnr knows them: it wants each to be named."""
    for module in design["modules"].values():
        for cell in module["cells"].values():
            if cell["type"] == "CCU2C":
                for port, direction in (("CIN", "input"), ("COUT", "output")):
                    cell["port_directions"].setdefault(port, direction)
                    cell["connections"].setdefault(port, ["x"])


class _Module:
    """One module's netlist."""

    def __init__(self, module: dict[str, Any]):
        self._cells = module["cells"]
        self._readers: Counter[Bit] = Counter()
        self._luts: dict[Bit, str] = {}
        for port in module["ports"].values():
            self._readers.update(port["bits"])
        for name, cell in self._cells.items():
            for pin, bits in cell["connections"].items():
                if cell.get("port_directions", {}).get(pin) != "output":
                    self._readers.update(bits)
                elif cell["type"] == "LUT4" and "keep" not in cell["attributes"]:
                    self._luts[bits[0]] = name

    def fold(self) -> int:
        carries = [name for name, cell in self._cells.items() if cell["type"] == "CCU2C"]
        for name in carries:
            self._open_ends(name, self._cells[name])
        count = len(self._cells)
        for name in carries:
            for half in "01":
                if self._cells[name]["parameters"][f"INJECT1_{half}"] == "NO":
                    while self._fold_one(self._cells[name], half):
                        pass
        return count - len(self._cells)

    def _open_ends(self, name: str, cell: dict[str, Any]) -> None:
        """Leave the carry unconnected where nobody reads it, and where the first half does not need it."""
        connections = cell["connections"]
        if not self._readers[connections["COUT"][0]]:
            del connections["COUT"]
        carry = connections["CIN"][0]
        if carry not in ("0", "1") or cell["parameters"]["INJECT1_0"] != "NO":
            return
        pins, table = [connections[f"{pin}0"][0] for pin in _PINS], int(cell["parameters"]["INIT0"], 2)
        inputs = [bit for bit in dict.fromkeys(pins) if not isinstance(bit, str)]
        if len(inputs) > 2:
            return
        halves = [carry_half(table, _index(pins, dict(zip(inputs, (place & 1, place >> 1), strict=False))),
                             int(carry)) for place in range(4)]
        used = [*inputs, *"00"][:2]
        self._readers.subtract(pins)
        self._readers.update(used)
        for pin, bit in zip(_PINS, [*used, *"11"], strict=True):
            connections[f"{pin}0"] = [bit]
        sums, carries = (sum(half[which] << place for place, half in enumerate(halves)) for which in range(2))
        cell["parameters"]["INIT0"] = format(carries, "016b")
        del connections["CIN"]
        output = connections.pop("S0")
        if self._readers[output[0]]:
            self._add_lut(f"{name}$first", cell, used, sums, output)

    def _add_lut(self, name: str, beside: dict[str, Any], inputs: Sequence[Bit], table: int,
                 output: list[Bit]) -> None:
        """A function of two inputs."""
        self._cells[name] = {
            "hide_name": 1, "type": "LUT4", "parameters": {"INIT": format(table * 0x1111, "016b")},
            "attributes": dict(beside["attributes"]),
            "port_directions": {**dict.fromkeys(_PINS, "input"), "Z": "output"},
            "connections": {pin: [bit] for pin, bit in zip(_PINS, [*inputs, *"00"], strict=True)}
                           | {"Z": output}}
        self._readers.update(inputs)
        self._luts[output[0]] = name

    def _fold_one(self, cell: dict[str, Any], half: str) -> bool:
        """Whether one LUT more is in the table now."""
        pins: list[Bit] = [cell["connections"][f"{pin}{half}"][0] for pin in _PINS]
        table = int(cell["parameters"][f"INIT{half}"], 2)
        for pin in pins:
            lut = self._luts.get(pin)
            if lut is None:
                continue
            inputs, values = _support(*self._read_lut(lut))
            # A LUT that others read too stays, so that only an inverter, which takes no pin, is folded then.
            if self._readers[pin] > pins.count(pin) and len(inputs) > 1:
                continue
            found = _place(pins, table, pin, inputs, values)
            if found is None:
                continue
            self._readers.subtract(pins)
            self._readers.update(found[0])
            for place, bit in zip(_PINS, found[0], strict=True):
                cell["connections"][f"{place}{half}"] = [bit]
            cell["parameters"][f"INIT{half}"] = format(found[1], "016b")
            if not self._readers[pin]:
                self._remove(lut, pin)
            return True
        return False

    def _read_lut(self, name: str) -> tuple[list[Bit], int]:
        cell = self._cells[name]
        inputs = [cell["connections"].get(pin, ["0"])[0] for pin in _PINS]
        return inputs, int(cell["parameters"]["INIT"], 2)

    def _remove(self, name: str, output: Bit) -> None:
        self._readers.subtract(bit for pin, bits in self._cells[name]["connections"].items() if pin != "Z"
                               for bit in bits)
        del self._luts[output], self._cells[name]


def _table(function: Callable[[Mapping[Bit, int]], int], inputs: Sequence[Bit]) -> Table:
    return tuple(function({bit: index >> place & 1 for place, bit in enumerate(inputs)})
                 for index in range(1 << len(inputs)))


def _value(bit: Bit, values: Mapping[Bit, int]) -> int:
    return int(bit == "1") if isinstance(bit, str) else values[bit]


def _index(pins: Sequence[Bit], values: Mapping[Bit, int]) -> int:
    return sum(_value(bit, values) << place for place, bit in enumerate(pins))


def _values(pins: Sequence[Bit], table: int, inputs: Sequence[Bit]) -> Table:
    return _table(lambda given: table >> _index(pins, given) & 1, inputs)


def _support(pins: Sequence[Bit], table: int) -> tuple[tuple[Bit, ...], Table]:
    """What the function depends on, and its values."""
    inputs = [bit for bit in dict.fromkeys(pins) if not isinstance(bit, str)]
    for bit in list(inputs):
        others = [other for other in inputs if other != bit]
        without, inverted = (["01"[at] if pin == bit else pin for pin in pins] for at in (0, 1))
        if _values(without, table, others) == _values(inverted, table, others):
            inputs.remove(bit)
            pins = without
    return tuple(inputs), _values(pins, table, inputs)


def _place(pins: Sequence[Bit], table: int, folded: Bit, inputs: tuple[Bit, ...],
           values: Table) -> tuple[list[Bit], int] | None:
    """New pins and contents of the half with the net `folded` made inside it; None where it does not fit."""
    all_inputs = tuple(dict.fromkeys([bit for bit in pins if not isinstance(bit, str) and bit != folded]
                                     + list(inputs)))
    if len(all_inputs) > _INPUTS:
        return None

    def index(given: Mapping[Bit, int]) -> int:
        made = values[sum(given[bit] << place for place, bit in enumerate(inputs))]
        return _index(pins, {**given, folded: made})

    passes = _table(lambda given: table >> index(given) & 1, all_inputs)
    generates = _table(lambda given: table >> (index(given) & 3) & 1, all_inputs)
    found = _arrange(passes, generates)
    if found is None:
        return None
    order, contents = found
    return [("1" if number is None else all_inputs[number]) for number in order], contents


@cache
def _arrange(passes: Table, generates: Table) -> tuple[tuple[int | None, ...], int] | None:
    """Which input goes to which pin (None: a constant 1), and contents that give the two functions, the
    second one where the first is 0."""
    inputs = (len(passes) - 1).bit_length()
    for order in dict.fromkeys(permutations([*range(inputs), *[None] * (_INPUTS - inputs)])):
        contents: dict[int, int] = {}
        places = [sum((1 if number is None else value >> number & 1) << pin
                      for pin, number in enumerate(order)) for value in range(len(passes))]
        for place, value in zip(places, passes, strict=True):
            contents[place] = value
        if all(contents.setdefault(place & 3, generated) == generated
               for place, value, generated in zip(places, passes, generates, strict=True) if not value):
            return order, sum(value << place for place, value in contents.items())
    return None
