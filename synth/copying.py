"""Copies of LUTs whose sinks lie far apart, in a placed ECP5 design.

What goes to many places waits for the farthest of them, and the LUT that makes it lies where it suits none.
With a copy near each group of sinks, the way to each is straight.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from .placement import HALVES, LUT, Placement
from .placement_timing import Pin, Timing
from .tile_rules import slice_allowed, tile_allowed

__all__ = ["copy_far_drivers"]

_SLOW, _RATHER_SLOW = 0.95, 0.85
"""Of the period, in paths: nets that are looked at, and their sinks that copies are for."""
_SLOWEST = 0.75
"""Of the slowest path: a period that is shorter is not reached anyway."""
_REACH = 16
"""Tiles over which a group of sinks may lie, width and height together."""
_MOST_GROUPS = 16
"""Of one net. What has more lies everywhere."""
_SEARCH = 12
"""Tiles around the middle of a group among which a free place is looked for."""


def copy_far_drivers(placement: Placement, timing: Timing, period_ps: float) -> int:
    """Add copies to the placement's design, at free places; how many.

    Neither the placement's arrays nor the timing know of them: both are to be made again.
    """
    slowest = timing.slowest()
    share = slowest / max(period_ps, _SLOWEST * slowest.max(initial=0.0))
    slow = {timing.pins[number].net for number in np.flatnonzero(share > _SLOW)}
    sinks: dict[int, list[Pin]] = defaultdict(list)
    for number in np.flatnonzero(timing.by_wire & (share > _RATHER_SLOW)):
        pin = timing.pins[number]
        if pin.net in slow:
            sinks[pin.net].append(pin)
    made = 0
    x, y = placement.cells.x, placement.cells.y
    for net, pins in sorted(sinks.items()):
        driver, output = placement.drivers[net]
        if placement.cells.kind[driver] != LUT or placement.cells.flags[driver] or output != "F":
            continue
        groups = sorted(_groups(placement, pins), key=lambda group: np.abs(
            _middle(placement, group) - (x[driver], y[driver])).sum())
        # The original stays with what is nearest to it.
        for group in groups[1:] if len(groups) <= _MOST_GROUPS else []:
            place = _free_place(placement, driver, *_middle(placement, group))
            if place is not None:
                placement.add_copy(driver, place, [(pin.cell, pin.port) for pin in group])
                made += 1
    return made


def _middle(placement: Placement, group: list[Pin]) -> np.ndarray:
    cells = [pin.cell for pin in group]
    return np.array([np.median(placement.cells.x[cells]), np.median(placement.cells.y[cells])]).astype(int)


def _groups(placement: Placement, pins: list[Pin]) -> Iterator[list[Pin]]:
    """Cut in two over the longer side until each is small enough."""
    cells = np.array([pin.cell for pin in pins])
    spots = np.stack([placement.cells.x[cells], placement.cells.y[cells]])
    low, high = spots.min(axis=1), spots.max(axis=1)
    if (high - low).sum() <= _REACH:
        yield pins
        return
    side = int((high - low).argmax())
    far = 2 * spots[side] > low[side] + high[side]
    for half in (False, True):
        yield from _groups(placement, [pin for pin, is_far in zip(pins, far, strict=True) if is_far == half])


def _free_place(placement: Placement, driver: int, x: int, y: int) -> int | None:
    """For a LUT like that one, as near as there is; a half of a tile. It is taken from then on."""
    cells, grid = placement.cells, placement.grid
    width, height = int(grid.width[0]), len(grid.logic) // int(grid.width[0])
    around = range(-_SEARCH, _SEARCH + 1)
    for dx, dy in sorted(((dx, dy) for dx in around for dy in around), key=lambda d: abs(d[0]) + abs(d[1])):
        if not (0 <= x + dx < width and 0 <= y + dy < height):
            continue
        tile = (y + dy) * width + x + dx
        for place in range(tile * HALVES, (tile + 1) * HALVES) if grid.logic[tile] else ():
            if grid.luts[place] >= 0:
                continue
            grid.luts[place] = driver
            if slice_allowed(cells, grid, place // 2 * 2) and tile_allowed(cells, grid, tile):
                return place
            grid.luts[place] = -1
    return None
