"""A placed ECP5 design as arrays: which cell is where, what must move together, what is connected.

A logic tile has eight halves of a slice, each with a place for a LUT and one for a register; a distributed
RAM's write port takes both LUTs of a tile's third slice. Which cells may be beside each other are nextpnr's
rules (`Arch::slices_compatible` of its `ecp5/arch_place.cc`).
"""

import copy
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["FIXED", "HALF", "HALVES", "LUT", "NO_ROUTE", "PAIR", "REGISTER", "SLICE", "TILE", "WRITER",
           "Cells", "Flag", "Grid", "Nets", "Placement", "grouped"]

HALVES = 8
"""Of slices, in a tile."""
HALF, SLICE, PAIR, TILE, FIXED = range(5)
"""What moves with a cell: 1 << unit halves of a tile, or with TILE as many whole tiles side by side as its
`span` says; or nothing at all."""
LUT, REGISTER, WRITER = 1, 2, 3
"""Kinds of cells; 0: all others, which stay where they are."""
_MOST_PINS = 300
"""Of a net whose length counts: longer ones are everywhere anyway."""
_NO_NET = "x"
"""In place of the net of a port that has none: an undefined bit."""
NO_ROUTE = " "
"""Of a net, as nextpnr writes it; it does not read an empty string."""
_SITE = re.compile(r"X(\d+)/Y(\d+)(?:/SLICE([ABCD])\.(K|FF|RAMW)(\d?))?")
_KINDS = {"TRELLIS_COMB": LUT, "TRELLIS_FF": REGISTER, "TRELLIS_RAMW": WRITER}


class Flag:
    """Of a cell, for nextpnr's rules."""

    CARRY, RAM, BLOCKED = 1, 2, 4   # a carry cell, a distributed RAM's, in the way of its write port
    MUX5, MUX6 = 8, 16              # chooses between LUTs by the input M: of the first half, of the second
    USES_M = 32                     # a register that does not take its LUT's output, but M


class Cells(NamedTuple):
    """Of every cell, in the file's order: where it is, what it is, with what it moves."""

    x: np.ndarray
    y: np.ndarray
    half: np.ndarray      # in its tile
    kind: np.ndarray
    unit: np.ndarray
    span: np.ndarray      # tiles in a row that move together: those of a chain of carry cells, else 1
    lead: np.ndarray      # how many of them are before the cell's
    tied: np.ndarray      # a register and the LUT before it share a half
    flags: np.ndarray
    enable: np.ndarray    # number of what the registers of a slice share
    control: np.ndarray   # and those of a tile


class Grid(NamedTuple):
    """Which cell is at a place, -1: none."""

    width: np.ndarray      # tiles in a row, one element
    logic: np.ndarray      # per tile: it has halves
    luts: np.ndarray       # per half, tile by tile
    registers: np.ndarray
    writers: np.ndarray    # per tile


class Nets(NamedTuple):
    """Groups of cells: members of group n from first[n] to first[n + 1]; and the groups of each cell."""

    first: np.ndarray
    members: np.ndarray
    of_first: np.ndarray
    of: np.ndarray


def _site_name(kind: int, x: int, y: int, half: int) -> str:
    slice_number, place = divmod(half, 2)
    here = {LUT: f"K{place}", REGISTER: f"FF{place}", WRITER: "RAMW"}[kind]
    return f"X{x}/Y{y}/SLICE{'ABCD'[slice_number]}.{here}"


def grouped(groups: list[list[int]], cells: int) -> Nets:
    """`Nets` of groups of cells."""
    of: list[list[int]] = [[] for _ in range(cells)]
    for number, members in enumerate(groups):
        for cell in members:
            of[cell].append(number)
    return Nets(*_rows(groups), *_rows(of))


def _rows(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    first = np.zeros(len(rows) + 1, np.int32)
    first[1:] = np.cumsum([len(row) for row in rows])
    return first, np.array([entry for row in rows for entry in row], np.int32)


class Placement:
    """What nextpnr wrote with `--write` after it has placed a design.

    Parameters
    ----------
    design : nextpnr's JSON
    top : module
    """

    def __init__(self, design: dict[str, Any], top: str):
        self._design, self._top = design, top
        self._cells: dict[str, dict[str, Any]] = design["modules"][top]["cells"]
        self.names = list(self._cells)
        self.drivers: dict[int, tuple[int, str]] = {}
        self.pins: dict[int, list[tuple[int, str]]] = {}
        self._of_type: dict[str, list[int]] = {}
        for number, name in enumerate(self.names):
            cell = self._cells[name]
            self._of_type.setdefault(cell["type"], []).append(number)
            for port, bits in cell["connections"].items():
                for bit in (bit for bit in bits if isinstance(bit, int)):
                    self.pins.setdefault(bit, []).append((number, port))
                    if cell["port_directions"][port] == "output":
                        self.drivers[bit] = number, port
        named = design["modules"][top].get("netnames", {}).values()
        bits = [bit for net in named for bit in net["bits"] if isinstance(bit, int)]
        self._last_net = max([*self.pins, *bits])
        self.cells = self._read_cells()
        self.grid = self._read_grid()
        self._find_chains()
        self._find_units()
        self.nets = self._read_nets()

    @property
    def movable(self) -> np.ndarray:
        """Cells that moves begin with: of those that move as whole tiles, one."""
        cells = self.cells
        small = (cells.kind > 0) & (cells.unit < TILE)
        whole = (cells.unit == TILE) & ((cells.kind == WRITER)
                                        | ((cells.flags & Flag.CARRY > 0) & (cells.lead + cells.half == 0)))
        return np.flatnonzero(small | whole)

    @classmethod
    def read(cls, file: Path, top: str) -> "Placement":
        """Of nextpnr's JSON in a file."""
        return cls(json.loads(file.read_text()), top)

    def write(self, file: Path, onto: dict[str, Any] | None = None,
              places: Mapping[str, str] | None = None) -> None:
        """The design with its cells where they are now, and as nextpnr reads it as it was.

        A port without a net is written without a bit, and not there when it is read: open inputs of
        multipliers and block RAMs, which the part would take for 1, are not tied to 0 then. An undefined bit
        says that there is such a port.

        Parameters
        ----------
        onto : a design of the same cells for another part, which gets the places of logic
        places : of other cells, nextpnr's names for them
        """
        design = onto or self._design
        written = design["modules"][self._top]["cells"]
        assert written.keys() == self._cells.keys(), f"{file}: not the cells that have places"
        self._settle(written, places)
        for cell in written.values():
            for port, bits in cell["connections"].items():
                if not bits:
                    cell["connections"][port] = [_NO_NET]
        file.write_text(json.dumps(design))

    def with_connections(self, wanted: Callable[[int, str, int], bool]) -> dict[str, Any]:
        """The design as it was written, with those connections of cell, port and net only, and their nets."""
        module = self._design["modules"][self._top]
        cells, left = {}, set[int | str]()
        for number, name in enumerate(self.names):
            pins = {port: [bit if isinstance(bit, int) and wanted(number, port, bit) else _NO_NET
                           for bit in bits]
                    for port, bits in self._cells[name]["connections"].items()}
            left.update(bit for bits in pins.values() for bit in bits)
            cells[name] = {**self._cells[name], "connections": pins}
        nets = {name: net for name, net in module["netnames"].items() if net["bits"][0] in left}
        return {**self._design, "modules": {self._top: {**module, "ports": {}, "cells": cells,
                                                        "netnames": nets}}}

    def read_again(self, places: Mapping[str, str]) -> "Placement":
        """The design with cells where they are now, and with copies that were added.

        Parameters
        ----------
        places : of cells that are no logic, nextpnr's names for them
        """
        self._settle(self._cells, places)
        return Placement(self._design, self._top)

    def add_copy(self, number: int, place: int, sinks: Sequence[tuple[int, str]]) -> None:
        """Of a LUT, at a half of a tile, for some of its sinks, cells and ports.

        The design knows of it, the arrays do not.
        """
        cell = copy.deepcopy(self._cells[self.names[number]])
        (net,) = cell["connections"]["F"]
        name, bit = f"{self.names[number]}$copy{len(self._cells)}", 1 + self._last_net
        self._last_net = bit
        tile, half = divmod(place, HALVES)
        y, x = divmod(tile, int(self.grid.width[0]))
        cell["connections"]["F"] = [bit]
        cell["attributes"]["NEXTPNR_BEL"] = _site_name(LUT, x, y, half)
        self._cells[name] = cell
        self._design["modules"][self._top].setdefault("netnames", {})[name] = {
            "hide_name": 1, "bits": [bit], "attributes": {"ROUTING": NO_ROUTE}}
        for sink, port in sinks:
            pins = self._cells[self.names[sink]]["connections"]
            assert pins[port] == [net], f"{self.names[sink]}/{port} does not hear {self.names[number]}"
            pins[port] = [bit]

    def _settle(self, written: dict[str, Any], places: Mapping[str, str] | None) -> None:
        cells = self.cells
        for number, name in enumerate(self.names):
            if cells.kind[number]:
                written[name]["attributes"]["NEXTPNR_BEL"] = _site_name(
                    int(cells.kind[number]), cells.x[number], cells.y[number], int(cells.half[number]))
        for name, place in (places or {}).items():
            written[name]["attributes"]["NEXTPNR_BEL"] = place

    def type_of(self, number: int) -> str:
        """A cell's type."""
        return self._cells[self.names[number]]["type"]

    def of_type(self, kind: str) -> list[int]:
        """Cells of a type."""
        return self._of_type.get(kind, [])

    def connections(self, number: int) -> Mapping[str, list[int]]:
        """Of a cell: port to nets."""
        return self._cells[self.names[number]]["connections"]

    def is_clock(self, net: int) -> bool:
        """A net of the part's own clock wires, or one that nothing drives."""
        return net not in self.drivers or self.type_of(self.drivers[net][0]) == "DCCA"

    def _read_cells(self) -> Cells:
        cells = Cells(*(np.zeros(len(self.names), np.int32) for _ in Cells._fields))
        cells.span[:] = 1
        enables: dict[Any, int] = {}
        controls: dict[Any, int] = {}
        for number, name in enumerate(self.names):
            cell = self._cells[name]
            found = _SITE.match(cell["attributes"]["NEXTPNR_BEL"])
            assert found is not None
            cells.x[number], cells.y[number] = int(found[1]), int(found[2])
            cells.kind[number] = kind = _KINDS.get(cell["type"], 0)
            parameters, nets = cell["parameters"], cell["connections"]
            if not kind:
                continue
            cells.half[number] = 2 * "ABCD".index(found[3]) + int(found[5] or 0)
            if kind == LUT:
                mode = parameters.get("MODE", "")
                cells.flags[number] = (
                    Flag.CARRY * (mode == "CCU2") | Flag.RAM * (mode == "DPRAM")
                    | Flag.BLOCKED * (mode == "RAMW_BLOCK") | Flag.MUX5 * bool(nets.get("F1"))
                    | Flag.MUX6 * bool(nets.get("FXA") or nets.get("FXB")))
                cells.unit[number] = {"": HALF, "DPRAM": TILE, "RAMW_BLOCK": TILE}.get(mode, FIXED)
            if kind == WRITER:
                cells.unit[number] = TILE
            if kind == REGISTER:
                cells.flags[number] = Flag.USES_M * bool(nets.get("M"))
                enable = tuple(nets.get("CE", ())), parameters.get("CEMUX"), parameters.get("GSR")
                control = (tuple(nets.get("CLK", ())), tuple(nets.get("LSR", ())),
                           *(parameters.get(mux) for mux in ("CLKMUX", "LSRMUX", "SRMODE")))
                cells.enable[number] = enables.setdefault(enable, len(enables))
                cells.control[number] = controls.setdefault(control, len(controls))
            if "INV" in (parameters.get(mux) for mux in ("CLKMUX", "LSRMUX", "WCKMUX", "WREMUX")):
                cells.unit[number] = FIXED   # rules of their own beside a RAM
        return cells

    def _read_grid(self) -> Grid:
        cells = self.cells
        width, height = int(cells.x.max()) + 1, int(cells.y.max()) + 1
        grid = Grid(np.array([width], np.int32), np.zeros(width * height, np.bool_),
                    *(np.full(width * height * size, -1, np.int32) for size in (HALVES, HALVES, 1)))
        for number in np.flatnonzero(cells.kind):
            tile, kind = int(cells.y[number]) * width + int(cells.x[number]), int(cells.kind[number])
            grid.logic[tile] = True
            if kind == WRITER:
                grid.writers[tile] = number
            else:
                (grid.luts if kind == LUT else grid.registers)[tile * HALVES + cells.half[number]] = number
        return grid

    def _find_chains(self) -> None:
        """A chain's tiles move together, if it has some for itself."""
        cells = self.cells
        following: dict[int, int] = {}
        for net, (driver, port) in self.drivers.items():
            if port == "FCO":
                for number in (number for number, pin in self.pins[net] if pin == "FCI"):
                    following[driver] = number
        heads = set(np.flatnonzero(cells.flags & Flag.CARRY)) - set(following.values())
        for head in heads:
            chain = [int(head)]
            while chain[-1] in following:
                chain.append(following[chain[-1]])
            columns = cells.x[chain]
            first, last = int(columns.min()), int(columns.max())
            if len({*cells.y[chain]}) > 1 or len({*columns}) != last - first + 1:
                continue
            cells.unit[chain] = TILE
            cells.span[chain], cells.lead[chain] = last - first + 1, columns - first

    def _find_units(self) -> None:
        """Multiplexers move with the LUTs that they choose from, registers with the LUT before them."""
        cells, grid = self.cells, self.grid
        width = int(grid.width[0])
        together = []
        for net, (driver, _) in self.drivers.items():
            for number, port in self.pins[net]:
                if port == "F1":
                    together.append((driver, number, SLICE))
                elif port in ("FXA", "FXB"):
                    near = cells.half[driver] // 4 == cells.half[number] // 4
                    together.append((driver, number, PAIR if near else TILE))
        # Three times: from a wide multiplexer to those that it chooses from, and to their LUTs.
        for _ in range(3):
            for one, other, least in together:
                cells.unit[[one, other]] = max(cells.unit[one], cells.unit[other], least)
        for number in map(int, np.flatnonzero((cells.kind == REGISTER) & (cells.flags & Flag.USES_M == 0))):
            place = (cells.y[number] * width + cells.x[number]) * HALVES + cells.half[number]
            before = int(grid.luts[place])
            if before < 0:
                cells.unit[number] = FIXED
                continue
            cells.tied[number] = cells.tied[before] = 1
            cells.unit[number] = max(cells.unit[number], cells.unit[before])
            cells.unit[before] = cells.unit[number]
            cells.span[number], cells.lead[number] = cells.span[before], cells.lead[before]

    def _read_nets(self) -> Nets:
        groups = []
        for net, pins in self.pins.items():
            members = sorted({number for number, port in pins if port != "FCI"})
            if (not self.is_clock(net) and 1 < len(members) <= _MOST_PINS
                    and self.cells.kind[members].any()):
                groups.append(members)
        return grouped(groups, len(self.names))
