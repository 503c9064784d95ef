"""From a placement on a larger ECP5 part to one on the part itself, for designs that nearly fill it.

nextpnr's placers find a good place for every cell of such a design, but not one that is allowed. On a larger
part they do. From there the design is pressed into the part, block by block, then every cell gets the
nearest place that is left, what has the fewest places first; annealing from a high temperature makes up for
what that has torn apart.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .annealing import Problem, Schedule, anneal_round, net_lengths
from .dealing import deal_blocks
from .ecp5_sites import Sites, sites_of
from .legalizing import legalize
from .placement import HALF, HALVES, REGISTER, TILE, Grid, Placement, grouped
from .tile_rules import all_allowed

__all__ = ["NoPlace", "move"]

_NEAR = (6, 12, 18, 24, 36, 48)
"""Tiles in which a register looks for company, attempt by attempt: the farther, the more places are left."""
_ROUNDS = 500
_MOVES = 5
_COLD_ROUNDS = 4
_HOT = 6.0
"""Tiles."""
_RADIUS = 12
_BLOCK_ROUNDS = 5
"""So many rounds after another block RAMs and multipliers are dealt out anew."""
_WHOLE_TILE = 1.6
"""Room that a tile takes which moves as a whole, against what its halves take one by one."""


class NoPlace(Exception):
    """Some cells found no place; the message tells how many."""


def move(larger: Path, packed: Path, size: str, top: str, seed: int, tell: Callable[[str], None]) -> None:
    """Give the cells of a packed design places. NoPlace.

    What is no logic, block RAM or multiplier has none afterwards.

    Parameters
    ----------
    larger : nextpnr's JSON, placed on a larger part
    packed : nextpnr's JSON, not placed, for the part; changed in place
    size : nextpnr's option for the part
    top : module
    tell : hears how it goes
    """
    placement, sites = Placement.read(larger, top), sites_of(size)
    _press(placement, sites)
    cells, nets = placement.cells, placement.nets
    none, no_weights = np.zeros(0, np.int32), np.zeros(0)
    problem = Problem(cells, placement.grid, nets, net_lengths(cells, nets), grouped([], len(cells.x)),
                      none, none, placement.movable)
    blocks: dict[str, str] = {}
    schedule = Schedule(_ROUNDS, _COLD_ROUNDS, _MOVES, _HOT, _RADIUS)
    for number in range(_ROUNDS):
        if number % _BLOCK_ROUNDS == 0:
            blocks = deal_blocks(placement, problem, no_weights, sites)
        anneal_round(problem, no_weights, schedule, number, seed)
        tell(f"Round {number + 1} of {_ROUNDS}: {problem.lengths.sum():,} of wire")
    assert all_allowed(cells, placement.grid)
    placement.write(packed, json.loads(packed.read_text()), blocks)


def _press(placement: Placement, sites: Sites) -> None:
    """Places on the part for everything that is logic."""
    cells = placement.cells
    rows, columns = sites.logic.shape
    groups = _groups(placement)
    sizes = np.array([_WHOLE_TILE * 2 * HALVES * cells.span[group[0]] if cells.unit[group[0]] == TILE
                      else len(group) for group in groups])
    heads = np.array([group[0] for group in groups])
    xs, ys = cells.x[heads] - cells.lead[heads], cells.y[heads].copy()
    _spread(np.arange(len(groups)), sizes, sites.logic, xs, ys, (0, columns, 0, rows))
    urgent = np.zeros(len(groups), int)
    lost = np.zeros(len(groups), int)
    numbered = grouped(groups, len(cells.x))
    for near in _NEAR:
        placement.grid = Grid(
            np.array([columns], np.int32), sites.logic.reshape(-1),
            *(np.full(sites.logic.size * places, -1, np.int32) for places in (HALVES, HALVES, 1)))
        order = _order(placement, groups, urgent)
        count = legalize(cells, placement.grid, numbered, order, xs, ys, near, lost)
        if not count:
            return
        urgent[lost[:count]] += 1
    raise NoPlace(f"{count:,} of {len(groups):,} groups of cells found no place")


def _groups(placement: Placement) -> list[list[int]]:
    """Cells that move together, from the first to the last half."""
    cells = placement.cells
    groups: dict[tuple[int, ...], list[int]] = {}
    for number in map(int, np.flatnonzero(cells.kind)):
        unit, alone = int(cells.unit[number]), 0
        x, half = int(cells.x[number] - cells.lead[number]), int(cells.half[number]) >> unit
        if unit == HALF and not cells.tied[number]:
            alone = int(cells.kind[number])
        groups.setdefault((unit, x, int(cells.y[number]), half, alone), []).append(number)
    return [sorted(group, key=lambda number: (cells.lead[number], cells.half[number], cells.kind[number]))
            for group in groups.values()]


def _spread(items: np.ndarray, sizes: np.ndarray, logic: np.ndarray, xs: np.ndarray, ys: np.ndarray,
            region: tuple[int, int, int, int]) -> None:
    """Groups get tiles of a region, as many as its halves, and their halves, and so on, have room for; who is
    left, right, above and below another stays there."""
    left, right, low, high = region
    if not len(items):
        return
    if right - left <= 1 and high - low <= 1:
        xs[items], ys[items] = left, low
        return
    across = right - left >= high - low
    middle = (left + right) // 2 if across else (low + high) // 2
    one, other = ((left, middle, low, high), (middle, right, low, high)) if across else (
        (left, right, low, middle), (left, right, middle, high))
    room = [logic[part[2]:part[3], part[0]:part[1]].sum() for part in (one, other)]
    items = items[np.argsort((xs if across else ys)[items], kind="stable")]
    taken = np.cumsum(sizes[items])
    split = int(np.searchsorted(taken, taken[-1] * room[0] / max(1, sum(room))))
    _spread(items[:split], sizes, logic, xs, ys, one)
    _spread(items[split:], sizes, logic, xs, ys, other)


def _order(placement: Placement, groups: list[list[int]], urgent: np.ndarray) -> np.ndarray:
    """What takes most goes first, long chains before short ones; registers before LUTs, by what those of a
    tile share, then by what those of a slice do, the rarest first."""
    cells = placement.cells
    registers = cells.kind == REGISTER
    controls, enables = np.bincount(cells.control[registers]), np.bincount(cells.enable[registers])

    def rank(number: int) -> tuple[int, ...]:
        group = groups[number]
        head, last = group[0], group[-1]
        unit = int(cells.unit[head])
        if unit != HALF or cells.kind[last] != REGISTER:
            return (-unit, -int(cells.span[head]), 1, -int(urgent[number]))
        control, enable = cells.control[last], cells.enable[last]
        return (-unit, 0, 0, -int(urgent[number]), int(controls[control]), int(control), -len(group),
                int(enables[enable]), int(enable))

    return np.array(sorted(range(len(groups)), key=rank))
