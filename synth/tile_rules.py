"""What may be side by side in an ECP5's logic tiles, in machine code: nextpnr's rules."""

from .machine_code import machine_code
from .placement import HALVES, Cells, Flag, Grid

__all__ = ["all_allowed", "slice_allowed", "tile_allowed"]

_CARRY, _RAM, _BLOCKED = Flag.CARRY, Flag.RAM, Flag.BLOCKED
_MUX5, _MUX6, _USES_M = Flag.MUX5, Flag.MUX6, Flag.USES_M


@machine_code
def slice_allowed(cells: Cells, grid: Grid, first: int) -> bool:
    """The two halves from `first` on go together."""
    number = first // 2 % (HALVES // 2)
    enable = -1
    for half in range(2):
        lut, register = grid.luts[first + half], grid.registers[first + half]
        flags = cells.flags[lut] if lut >= 0 else 0
        if lut >= 0:
            if number == 2 and grid.writers[first // HALVES] >= 0 and not flags & _BLOCKED:
                return False
            if (flags & _MUX5 and half != 0) or (flags & _MUX6 and half != 1):
                return False
            if flags & _RAM and number > 1:
                return False
            other = grid.luts[first]
            if half == 1 and other >= 0 and (flags ^ cells.flags[other]) & _CARRY:
                return False
        if register >= 0:
            if flags & (_MUX5 | _MUX6) and cells.flags[register] & _USES_M:
                return False
            if enable >= 0 and cells.enable[register] != enable:
                return False
            enable = cells.enable[register]
    return True


@machine_code
def tile_allowed(cells: Cells, grid: Grid, tile: int) -> bool:
    control = -1
    for place in range(tile * HALVES, (tile + 1) * HALVES):
        register = grid.registers[place]
        if register >= 0:
            if control >= 0 and cells.control[register] != control:
                return False
            control = cells.control[register]
    return True


@machine_code
def all_allowed(cells: Cells, grid: Grid) -> bool:
    """Every tile keeps nextpnr's rules."""
    for tile in range(len(grid.logic)):
        if not tile_allowed(cells, grid, tile):
            return False
        for first in range(tile * HALVES, (tile + 1) * HALVES, 2):
            if not slice_allowed(cells, grid, first):
                return False
    return True
