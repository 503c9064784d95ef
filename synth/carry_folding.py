"""Makes ECP5 carry chains smaller: LUTs go into the cells, which synthesis leaves half empty, and no chain
needs a cell more at its ends.

An inferred adder uses two inputs of the four that half a CCU2C has (see carry_tables). A LUT that drives
nothing but one of them goes into the table, where what it reads finds pins such that sum and carry out stay
what they were.

nextpnr puts a cell before every chain whose carry in is connected, if only to a constant, and one behind
every chain whose carry out is, if only to nothing. So a first half that knows its carry in, and whose carry
out depends on two inputs at most, makes that alone, with L = 0, and a LUT makes its sum.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .carry_tables import INPUTS, PINS, Bit, Table, arrange, carry_half, index_of, support, table_of

__all__ = ["fold_carries", "name_open_ends"]


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
        pins, table = [connections[f"{pin}0"][0] for pin in PINS], int(cell["parameters"]["INIT0"], 2)
        halves = [carry_half(table, index, int(carry)) for index in range(1 << INPUTS)]
        sums, carries = (sum(half[which] << index for index, half in enumerate(halves)) for which in range(2))
        inputs, values = support(pins, carries)
        if len(inputs) > 2:
            return
        used = [*inputs, *"00"][:2]
        self._readers.subtract(pins)
        self._readers.update(used)
        for pin, bit in zip(PINS, [*used, *"11"], strict=True):
            connections[f"{pin}0"] = [bit]
        cell["parameters"]["INIT0"] = format(sum(bit << place for place, bit in enumerate(values)), "016b")
        del connections["CIN"]
        output = connections.pop("S0")
        if self._readers[output[0]]:
            self._add_lut(f"{name}$first", cell, pins, sums, output)

    def _add_lut(self, name: str, beside: dict[str, Any], pins: Sequence[Bit], table: int,
                 output: list[Bit]) -> None:
        self._cells[name] = {
            "hide_name": 1, "type": "LUT4", "parameters": {"INIT": format(table, "016b")},
            "attributes": dict(beside["attributes"]),
            "port_directions": {**dict.fromkeys(PINS, "input"), "Z": "output"},
            "connections": {pin: [bit] for pin, bit in zip(PINS, pins, strict=True)} | {"Z": output}}
        self._readers.update(pins)
        self._luts[output[0]] = name

    def _fold_one(self, cell: dict[str, Any], half: str) -> bool:
        """Whether one LUT more is in the table now."""
        pins: list[Bit] = [cell["connections"][f"{pin}{half}"][0] for pin in PINS]
        table = int(cell["parameters"][f"INIT{half}"], 2)
        for pin in pins:
            lut = self._luts.get(pin)
            if lut is None:
                continue
            inputs, values = support(*self._read_lut(lut))
            # A LUT that others read too stays, so that only an inverter, which takes no pin, is folded then.
            if self._readers[pin] > pins.count(pin) and len(inputs) > 1:
                continue
            found = _place(pins, table, pin, inputs, values)
            if found is None:
                continue
            self._readers.subtract(pins)
            self._readers.update(found[0])
            for place, bit in zip(PINS, found[0], strict=True):
                cell["connections"][f"{place}{half}"] = [bit]
            cell["parameters"][f"INIT{half}"] = format(found[1], "016b")
            if not self._readers[pin]:
                self._remove(lut, pin)
            return True
        return False

    def _read_lut(self, name: str) -> tuple[list[Bit], int]:
        cell = self._cells[name]
        inputs = [cell["connections"].get(pin, ["0"])[0] for pin in PINS]
        return inputs, int(cell["parameters"]["INIT"], 2)

    def _remove(self, name: str, output: Bit) -> None:
        self._readers.subtract(bit for pin, bits in self._cells[name]["connections"].items() if pin != "Z"
                               for bit in bits)
        del self._luts[output], self._cells[name]


def _place(pins: Sequence[Bit], table: int, folded: Bit, inputs: tuple[Bit, ...],
           values: Table) -> tuple[list[Bit], int] | None:
    """New pins and contents of the half with the net `folded` made inside it; None where it does not fit."""
    all_inputs = tuple(dict.fromkeys([bit for bit in pins if not isinstance(bit, str) and bit != folded]
                                     + list(inputs)))
    if len(all_inputs) > INPUTS:
        return None

    def index(given: Mapping[Bit, int]) -> int:
        made = values[sum(given[bit] << place for place, bit in enumerate(inputs))]
        return index_of(pins, {**given, folded: made})

    passes = table_of(lambda given: table >> index(given) & 1, all_inputs)
    generates = table_of(lambda given: table >> (index(given) & 3) & 1, all_inputs)
    found = arrange(passes, generates)
    if found is None:
        return None
    order, contents = found
    return [("1" if number is None else all_inputs[number]) for number in order], contents
