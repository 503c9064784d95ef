"""Puts what chooses behind an ECP5 carry chain into the chain: a counter that can be loaded, a sum that is
taken or not.

Behind each bit's sum stands a LUT then that takes it or something else, all of them at the same time. In the
cycles in which something else is taken nobody looks at the sums: no cell of the chain changes the carry then,
and the tables, which have inputs left, give that in their place. A chain is changed as a whole or not at all.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from .carry_tables import INPUTS, PINS, Bit, Table, arrange, index_of, support, table_of

__all__ = ["fold_choices"]

_OUTPUT = ""
"""Reads a net that leaves the module."""


@dataclass(frozen=True)
class _Choice:
    """A LUT that takes a sum or something else."""

    lut: str
    output: Bit
    sum: Bit
    inputs: tuple[Bit, ...]   # what it depends on
    values: Table

    @property
    def others(self) -> tuple[Bit, ...]:
        """What it depends on beside the sum."""
        return tuple(bit for bit in self.inputs if bit != self.sum)

    def outcomes(self, given: Mapping[Bit, int]) -> tuple[int, int]:
        """What comes out with the sum 0 and with the sum 1."""
        low, high = (self.values[index_of(self.inputs, {**given, self.sum: bit})] for bit in (0, 1))
        return low, high


@dataclass(frozen=True)
class _Half:
    """Half a carry cell; no choice where its sum is not used."""

    cell: str
    number: str
    pins: Sequence[Bit]
    table: int
    choice: _Choice | None


def fold_choices(design: dict[str, Any]) -> int:
    """Change every module of a netlist in Yosys's JSON, in place; how many LUTs are gone."""
    return sum(_Module(module).fold() for module in design["modules"].values())


class _Module:
    """One module's netlist."""

    def __init__(self, module: dict[str, Any]):
        self._cells = module["cells"]
        self._readers: dict[Bit, list[tuple[str, str]]] = defaultdict(list)
        for port in module["ports"].values():
            for bit in port["bits"]:
                self._readers[bit].append((_OUTPUT, _OUTPUT))
        for name, cell in self._cells.items():
            for pin, bits in cell["connections"].items():
                if cell.get("port_directions", {}).get(pin) != "output":
                    for bit in bits:
                        self._readers[bit].append((name, pin))

    def fold(self) -> int:
        count = len(self._cells)
        for name, cell in list(self._cells.items()):
            if cell["type"] == "CCU2C" and cell["connections"]["CIN"][0] in ("0", "1"):
                self._fold_chain(name, int(cell["connections"]["CIN"][0]))
        return count - len(self._cells)

    def _fold_chain(self, first: str, carry: int) -> None:
        halves = self._halves(first)
        if halves is None:
            return
        choices = [half.choice for half in halves if half.choice is not None]
        takes = _when_taken(choices)
        if takes is None:
            return
        control, taken = takes
        changed = [_changed(half, control, taken, carry) for half in halves]
        if any(change is None for change in changed):
            return
        for half, change in zip(halves, changed, strict=True):
            assert change is not None
            self._change(half, *change)

    def _halves(self, first: str) -> list[_Half] | None:
        """A chain's halves up to the last one whose sum is used; None for a chain that must stay."""
        halves: list[_Half] = []
        used = 0
        for name in self._chain(first):
            cell = self._cells[name]
            for number in "01":
                total = cell["connections"][f"S{number}"][0]
                is_used = bool(self._readers[total])
                choice = self._choice(total) if is_used else None
                if cell["parameters"][f"INJECT1_{number}"] != "NO" or is_used != (choice is not None):
                    return None
                halves.append(_Half(name, number, [cell["connections"][f"{pin}{number}"][0] for pin in PINS],
                                    int(cell["parameters"][f"INIT{number}"], 2), choice))
                used = len(halves) if choice is not None else used
        end = self._readers[self._cells[halves[-1].cell]["connections"]["COUT"][0]]
        return None if end or not used else halves[:used]

    def _chain(self, name: str) -> Iterator[str]:
        """Cells from the first on, as long as nothing but the next one reads the carry."""
        while True:
            yield name
            readers = self._readers[self._cells[name]["connections"]["COUT"][0]]
            if len(readers) != 1 or readers[0][1] != "CIN":
                return
            name = readers[0][0]

    def _choice(self, total: Bit) -> _Choice | None:
        """The LUT behind a sum, where that alone reads it, and only registers read the LUT: then nothing that
        it reads can depend on the chain."""
        if len(self._readers[total]) != 1:
            return None
        name = self._readers[total][0][0]
        lut = self._cells.get(name)
        if lut is None or lut["type"] != "LUT4" or "keep" in lut["attributes"]:
            return None
        output = lut["connections"]["Z"][0]
        if any(reader == _OUTPUT or self._cells[reader]["type"] != "TRELLIS_FF"
               for reader, _ in self._readers[output]):
            return None
        pins = [lut["connections"].get(pin, ["0"])[0] for pin in PINS]
        return _Choice(name, output, total, *support(pins, int(lut["parameters"]["INIT"], 2)))

    def _change(self, half: _Half, pins: Sequence[Bit], table: int) -> None:
        cell = self._cells[half.cell]
        for pin, old, new in zip(PINS, half.pins, pins, strict=True):
            self._readers[old].remove((half.cell, f"{pin}{half.number}"))
            self._readers[new].append((half.cell, f"{pin}{half.number}"))
            cell["connections"][f"{pin}{half.number}"] = [new]
        cell["parameters"][f"INIT{half.number}"] = format(table, "016b")
        if half.choice is not None:
            for pin, bits in self._cells.pop(half.choice.lut)["connections"].items():
                if pin != "Z":
                    self._readers[bits[0]].remove((half.choice.lut, pin))
            cell["connections"][f"S{half.number}"] = [half.choice.output]


def _when_taken(choices: Sequence[_Choice]) -> tuple[list[Bit], dict[tuple[int, ...], bool]] | None:
    """Nets that all choices read, and for each of their values whether all take the sum; None where they do
    not do the same, or no LUT does but one."""
    control = [bit for bit in choices[0].others if all(bit in choice.others for choice in choices)]
    taken: dict[tuple[int, ...], bool] = {}
    for values in product((0, 1), repeat=len(control)):
        found = set()
        for choice in choices:
            rest = [bit for bit in choice.others if bit not in control]
            for others in product((0, 1), repeat=len(rest)):
                low, high = choice.outcomes(dict(zip([*control, *rest], [*values, *others], strict=True)))
                found.add("sum" if (low, high) == (0, 1) else "other" if low == high else "inverted")
        if len(found) > 1 or "inverted" in found:
            return None
        taken[values] = found == {"sum"}
    return control, taken


def _changed(half: _Half, control: Sequence[Bit], taken: Mapping[tuple[int, ...], bool],
             carry: int) -> tuple[list[Bit], int] | None:
    """New pins and contents of a half; None where it has too few inputs."""
    choice = half.choice
    inputs = [bit for bit in dict.fromkeys([*half.pins, *control, *(choice.others if choice else ())])
              if not isinstance(bit, str)]
    if len(inputs) > INPUTS:
        return None

    def takes(given: Mapping[Bit, int]) -> bool:
        return taken[tuple(given[bit] for bit in control)]

    def passes(given: Mapping[Bit, int]) -> int:
        if takes(given):
            return half.table >> index_of(half.pins, given) & 1
        return choice.outcomes(given)[0] ^ carry if choice else 1

    def generates(given: Mapping[Bit, int]) -> int:
        return half.table >> (index_of(half.pins, given) & 3) & 1 if takes(given) else carry

    found = arrange(table_of(passes, inputs), table_of(generates, inputs))
    if found is None:
        return None
    order, contents = found
    return [("1" if number is None else inputs[number]) for number in order], contents
