"""What lies at two places of a placed design exchanges them, in machine code."""

import numpy as np

from .machine_code import machine_code
from .placement import HALVES, TILE, Cells, Grid

__all__ = ["cells_in", "exchange", "free", "row_of_logic", "settle"]


@machine_code
def _may_leave(cells: Cells, grid: Grid, cell: int, first: int, size: int, unit: int, with_luts: bool,
               with_registers: bool) -> bool:
    """A cell among the `size` halves from `first` on, with all that moves with it."""
    if cells.unit[cell] > unit:
        return False
    if unit == TILE:
        start = cells.y[cell] * grid.width[0] + cells.x[cell] - cells.lead[cell]
        if start * HALVES < first or (start + cells.span[cell]) * HALVES > first + size:
            return False
    return not cells.tied[cell] or (with_luts and with_registers)


@machine_code
def free(cells: Cells, grid: Grid, first: int, size: int, unit: int, with_luts: bool,
          with_registers: bool) -> bool:
    """All that is there may leave."""
    for place in range(first, first + size):
        lut, register = grid.luts[place], grid.registers[place]
        if with_luts and lut >= 0 and not _may_leave(cells, grid, lut, first, size, unit, with_luts,
                                                     with_registers):
            return False
        if with_registers and register >= 0 and not _may_leave(cells, grid, register, first, size, unit,
                                                               with_luts, with_registers):
            return False
    return True


@machine_code
def exchange(grid: Grid, one: int, other: int, size: int, with_luts: bool, with_registers: bool) -> None:
    """What lies from one half on, and from the other on; the cells do not know of it yet."""
    for half in range(size):
        here, there = one + half, other + half
        if with_luts:
            grid.luts[here], grid.luts[there] = grid.luts[there], grid.luts[here]
        if with_registers:
            grid.registers[here], grid.registers[there] = grid.registers[there], grid.registers[here]
    for tile in range(size // HALVES):
        here, there = one // HALVES + tile, other // HALVES + tile
        grid.writers[here], grid.writers[there] = grid.writers[there], grid.writers[here]


@machine_code
def cells_in(grid: Grid, first: int, size: int, with_luts: bool, with_registers: bool, found: np.ndarray,
              count: int) -> int:
    """List those from `first` on, behind `count` others; how many there are now."""
    for place in range(first, first + size):
        if with_luts and grid.luts[place] >= 0:
            found[count] = grid.luts[place]
            count += 1
        if with_registers and grid.registers[place] >= 0:
            found[count] = grid.registers[place]
            count += 1
    for tile in range(first // HALVES, first // HALVES + size // HALVES):
        if grid.writers[tile] >= 0:
            found[count] = grid.writers[tile]
            count += 1
    return count


@machine_code
def settle(cells: Cells, grid: Grid, first: int, size: int, with_luts: bool, with_registers: bool) -> None:
    """Tell the cells from `first` on where they are."""
    width = grid.width[0]
    for place in range(first, first + size):
        tile = place // HALVES
        for registers in range(2):
            cell = grid.registers[place] if registers else grid.luts[place]
            if cell >= 0 and (with_registers if registers else with_luts):
                cells.x[cell], cells.y[cell], cells.half[cell] = tile % width, tile // width, place % HALVES
    for tile in range(first // HALVES, first // HALVES + size // HALVES):
        cell = grid.writers[tile]
        if cell >= 0:
            cells.x[cell], cells.y[cell] = tile % width, tile // width


@machine_code
def row_of_logic(grid: Grid, tile: int, span: int) -> bool:
    """So many tiles side by side are there from that one on."""
    if tile < 0 or tile % grid.width[0] + span > grid.width[0]:
        return False
    for place in range(tile, tile + span):
        if not grid.logic[place]:
            return False
    return True
