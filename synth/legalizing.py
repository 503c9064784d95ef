"""A first place for every cell of an ECP5 design, near to where it should be, in machine code."""

import numpy as np

from .machine_code import machine_code
from .placement import HALF, HALVES, LUT, REGISTER, Cells, Grid, Nets
from .tile_rules import slice_allowed, tile_allowed

__all__ = ["legalize"]

_NO_COMPANY, _IN_TILE, _IN_SLICE = range(3)
_WRITER_HALF = 4
"""The first one of the slice whose LUTs a distributed RAM's write port takes."""


@machine_code
def _half(cells: Cells, cell: int, base: int, size: int) -> int:
    if cells.kind[cell] != LUT and cells.kind[cell] != REGISTER:
        return _WRITER_HALF
    return base + cells.half[cell] % size


@machine_code
def _exchange(cells: Cells, grid: Grid, cell: int, tile: int, half: int, old: int, new: int) -> bool:
    """Write `new` where a cell would be; not where another one than `old` is."""
    if cells.kind[cell] != LUT and cells.kind[cell] != REGISTER:
        places, place = grid.writers, tile
    else:
        places = grid.luts if cells.kind[cell] == LUT else grid.registers
        place = tile * HALVES + half
    if places[place] != old:
        return False
    places[place] = new
    return True


@machine_code
def _put(cells: Cells, grid: Grid, members: np.ndarray, start: int, base: int, size: int) -> bool:
    """Put a group where it begins at a tile and one of its halves, if it may be there."""
    done = 0
    for cell in members:
        tile, half = start + cells.lead[cell], _half(cells, cell, base, size)
        if not _exchange(cells, grid, cell, tile, half, -1, cell):
            break
        done += 1
    free = done == len(members)
    if free:
        for cell in members:
            tile, half = start + cells.lead[cell], _half(cells, cell, base, size)
            free &= (tile_allowed(cells, grid, tile)
                     and slice_allowed(cells, grid, tile * HALVES + half // 2 * 2))
    if not free:
        for cell in members[:done]:
            _exchange(cells, grid, cell, start + cells.lead[cell], _half(cells, cell, base, size), cell, -1)
    return free


@machine_code
def _company(grid: Grid, tile: int, half: int) -> int:
    """Which registers are there already."""
    if grid.registers[tile * HALVES + half ^ 1] >= 0:
        return _IN_SLICE
    for place in range(tile * HALVES, (tile + 1) * HALVES):
        if grid.registers[place] >= 0:
            return _IN_TILE
    return _NO_COMPANY


@machine_code
def _try_tile(cells: Cells, grid: Grid, members: np.ndarray, x: int, y: int, company: int) -> bool:
    width = grid.width[0]
    span = cells.span[members[0]]
    if x < 0 or y < 0 or y >= len(grid.logic) // width or x + span > width:
        return False
    start = y * width + x
    for tile in range(start, start + span):
        if not grid.logic[tile]:
            return False
    size = 1 << cells.unit[members[0]]
    for base in range(0, HALVES, size):
        if company and _company(grid, start, base) < company:
            continue
        if _put(cells, grid, members, start, base, size):
            for cell in members:
                cells.x[cell], cells.y[cell] = x + cells.lead[cell], y
                cells.half[cell] = _half(cells, cell, base, size)
            return True
    return False


@machine_code
def _nearest(cells: Cells, grid: Grid, members: np.ndarray, x: int, y: int, most: int, company: int) -> bool:
    if _try_tile(cells, grid, members, x, y, company):
        return True
    for radius in range(1, most):
        for step in range(radius):
            if (_try_tile(cells, grid, members, x + step, y - radius + step, company)
                    or _try_tile(cells, grid, members, x + radius - step, y + step, company)
                    or _try_tile(cells, grid, members, x - step, y + radius - step, company)
                    or _try_tile(cells, grid, members, x - radius + step, y - step, company)):
                return True
    return False


@machine_code
def legalize(cells: Cells, grid: Grid, groups: Nets, order: np.ndarray, xs: np.ndarray, ys: np.ndarray,
             near: int, lost: np.ndarray) -> int:
    """Put groups of cells into the nearest tile that takes them; how many found none.

    Parameters
    ----------
    grid : with nothing in it
    groups : of cells that keep their places among each other, which cells' `lead` and `half` tell
    order : of the groups
    xs, ys : where each group should begin, tiles
    near : tiles in which a register looks for company before it takes a slice, or a tile, alone
    lost : room for the numbers of the groups that found no place
    """
    width = grid.width[0]
    whole = width + len(grid.logic) // width
    count = 0
    for group in order:
        members = groups.members[groups.first[group]:groups.first[group + 1]]
        single = cells.unit[members[0]] == HALF and cells.kind[members[-1]] == REGISTER
        found = False
        for company in range(_IN_SLICE if single else _NO_COMPANY, -1, -1):
            if not found:
                most = near if company else whole
                found = _nearest(cells, grid, members, xs[group], ys[group], most, company)
        if not found:
            lost[count] = group
            count += 1
    return count
