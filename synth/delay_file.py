"""Delays of a placed or routed design, as nextpnr writes them (SDF, IEEE 1497), in picoseconds.

Where it has a range, its largest value.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["CLOCKS", "SECOND_HALF", "Setup", "Through", "Wire", "read_delays"]

CLOCKS = frozenset({"CLK", "CLKA", "CLKB", "CLK0", "WCK"})
"""Inputs for clocks, of all kinds of cells."""
SECOND_HALF = "$CCU2_COMB1"
"""How the name ends of the upper half of a carry cell, which nextpnr splits in two."""


class Wire(NamedTuple):
    """From an output to an input, both `cell/port`; without a route nextpnr's guess."""

    source: str
    sink: str
    delay_ps: int


class Through(NamedTuple):
    """Through a cell."""

    kind: str
    cell: str
    start: str
    end: str
    delay_ps: int


class Setup(NamedTuple):
    """Of an input, before the clock."""

    kind: str
    cell: str
    port: str
    delay_ps: int


def read_delays(file: Path) -> Iterator[Wire | Through | Setup]:
    """All of them, in the file's order."""
    kind = cell = ""
    with open(file) as lines:
        for line in lines:
            words = line.replace("(", " ").replace(")", " ").split()
            if not words:
                continue
            if words[0] == "INTERCONNECT":
                yield Wire(_name(words[1]), _name(words[2]), _largest(words[3]))
            elif words[0] == "CELLTYPE":
                kind = words[1].strip('"')
            elif words[0] == "INSTANCE":
                cell = _name(words[1]) if len(words) > 1 else ""
            elif words[0] == "IOPATH":
                yield Through(kind, cell, words[1], words[2], _largest(words[3]))
            elif words[0] == "SETUPHOLD":
                yield Setup(kind, cell, words[2], _largest(words[5]))


def _name(word: str) -> str:
    return word.replace("\\", "")


def _largest(triple: str) -> int:
    return int(triple.rpartition(":")[2])
