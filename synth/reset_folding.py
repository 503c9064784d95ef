"""Takes ands before ECP5's registers into their reset: where many bits are cleared, or set, by one signal.

Yosys does so for registers that have no reset of their own. Here those get it that have one, and those whose
clearing synthesis found in the logic only: a LUT for all of them joins the resets, and the LUT before each is
gone.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from .carry_tables import PINS, Bit, support

__all__ = ["LEAST_BITS", "fold_resets"]

LEAST_BITS = 8
"""nextpnr gives the eight registers of a tile one reset: for fewer bits one is not worth it."""

_VALUES = {"RESET": 0, "SET": 1}


class _Reset(NamedTuple):
    """What registers must have in common for a reset of their own."""

    clock: Bit
    enable: Bit
    enable_mux: str
    reset: Bit
    control: Bit
    level: int      # of `control`, at which they are cleared


class _Member(NamedTuple):
    register: str
    lut: str
    data: Bit       # what the register takes otherwise


def fold_resets(design: dict[str, Any]) -> int:
    """Change every module of a netlist in Yosys's JSON, in place; how many LUTs are gone."""
    return sum(_fold_module(module) for module in design["modules"].values())


def _fold_module(module: dict[str, Any]) -> int:
    cells = module["cells"]
    count = len(cells)
    found = _candidates(module)
    nets = [*module["ports"].values(), *module.get("netnames", {}).values()]
    unused = 1 + max((bit for net in nets for bit in net["bits"] if isinstance(bit, int)), default=0)
    gone: set[str] = set()
    for reset, members in sorted(found.items(), key=lambda item: -len(item[1])):
        members = [member for member in members if member.lut not in gone]
        if len(members) < LEAST_BITS:
            continue
        _add_reset(cells, f"{members[0].register}$reset", reset, unused, cells[members[0].register])
        for member in members:
            register = cells[member.register]
            register["connections"] |= {"DI": [member.data], "LSR": [unused]}
            register["parameters"] |= {"SRMODE": "LSR_OVER_CE", "LSRMUX": "LSR"}
            register["port_directions"]["LSR"] = "input"
            del cells[member.lut]
            gone.add(member.lut)
        unused += 1
    return count - len(cells)


def _candidates(module: Mapping[str, Any]) -> dict[_Reset, list[_Member]]:
    cells = module["cells"]
    readers: dict[Bit, int] = defaultdict(int)
    drivers: dict[Bit, str] = {}
    for port in module["ports"].values():
        for bit in port["bits"]:
            readers[bit] += 1
    for name, cell in cells.items():
        for pin, bits in cell["connections"].items():
            if cell.get("port_directions", {}).get(pin) != "output":
                for bit in bits:
                    readers[bit] += 1
            elif cell["type"] == "LUT4" and "keep" not in cell["attributes"]:
                drivers[bits[0]] = name
    found: dict[_Reset, list[_Member]] = defaultdict(list)
    for name, cell in cells.items():
        if cell["type"] == "TRELLIS_FF" and _has_room(cell) and readers[cell["connections"]["DI"][0]] == 1:
            lut = drivers.get(cell["connections"]["DI"][0])
            if lut is not None:
                for control, level, data in _cleared_by(cells[lut], _VALUES[cell["parameters"]["REGSET"]]):
                    found[_reset(cell, control, level)].append(_Member(name, lut, data))
    return found


def _has_room(register: Mapping[str, Any]) -> bool:
    """Its reset is synchronous, and before the enable."""
    parameters, reset = register["parameters"], register["connections"].get("LSR", ["0"])[0]
    return "keep" not in register["attributes"] and (
        reset == "0" or (parameters.get("SRMODE") == "LSR_OVER_CE" and parameters.get("LSRMUX") == "LSR"))


def _reset(register: Mapping[str, Any], control: Bit, level: int) -> _Reset:
    connections = register["connections"]
    mux = register["parameters"]["CEMUX"].strip()
    return _Reset(connections["CLK"][0], "1" if mux == "1" else connections["CE"][0], mux,
                  connections.get("LSR", ["0"])[0], control, level)


def _cleared_by(lut: Mapping[str, Any], value: int) -> list[tuple[Bit, int, Bit]]:
    """Inputs of a LUT of two that make it `value`, at which level, and the other one, which it gives else."""
    inputs, values = support([lut["connections"].get(pin, ["0"])[0] for pin in PINS],
                             int(lut["parameters"]["INIT"], 2))
    if len(inputs) != 2:
        return []
    found = []
    for place in range(2):
        control, data = inputs[place], inputs[1 - place]
        for level in range(2):
            made = [values[level << place | bit << (1 - place)] for bit in range(2)]
            other = [values[(1 - level) << place | bit << (1 - place)] for bit in range(2)]
            if made == [value, value] and other == [0, 1]:
                found.append((control, level, data))
    return found


def _add_reset(cells: dict[str, Any], name: str, reset: _Reset, output: int,
               beside: Mapping[str, Any]) -> None:
    """A LUT: the reset they have, or the new one in cycles in which they are enabled."""
    pins = [reset.reset, reset.enable, reset.control, "0"]
    table = 0
    for index in range(1 << len(pins)):
        held, enabled, control = index & 1, index >> 1 & 1, index >> 2 & 1
        enabled = 1 - enabled if reset.enable_mux == "INV" else enabled
        table |= (held | (enabled & (control == reset.level))) << index
    cells[name] = {
        "hide_name": 1, "type": "LUT4", "parameters": {"INIT": format(table, "016b")},
        "attributes": dict(beside["attributes"]),
        "port_directions": {**dict.fromkeys(PINS, "input"), "Z": "output"},
        "connections": {pin: [bit] for pin, bit in zip(PINS, pins, strict=True)} | {"Z": [output]}}
