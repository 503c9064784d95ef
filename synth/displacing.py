"""Takes what lies on slow paths of a placed ECP5 design elsewhere, by whole tiles.

Carry chains and distributed RAMs move as such, and annealing would have to throw what lies there across the
part for them, which it does not do. Nor does it take a group of cells elsewhere that are near each other: the
first to leave makes all its wires to the others longer.
"""

import random

import numpy as np

from .annealing import Problem, net_lengths
from .exchanging import cells_in, exchange, free, settle
from .placement import HALVES, TILE, Grid

__all__ = ["displace"]

_SPREAD = 3.0
"""Tiles, by which a place may seem nearer than it is: not always the same ones are tried."""
_CELL = 0.7
"""Tiles that one fewer cell to be displaced is worth."""
_PLACES = 20
"""The best ones, of which the first is taken whose cells may leave."""
_DIRECT = 0.5
"""Of the moves go to where a row's slow connections come from or lead to, the others to somewhere on the slow
paths: all that is around it may have to go, too."""
_SHARES = (1.0, 1.0, 0.5)
"""Of the way there."""


def displace(problem: Problem, slow: np.ndarray, moved: np.ndarray, choice: random.Random) -> np.ndarray:
    """Exchange a tile on a slow path, or the row of tiles of a carry chain, with what is nearly empty,
    whatever others then cost.

    Parameters
    ----------
    problem : its cells, grid and lengths of nets are changed
    slow : numbers of connections, without other ones
    moved : per cell, whether it is in a row that stays where it is; those of the row that goes do then
    choice : which of the rows, where to, and how far

    Returns
    -------
    numpy.ndarray : cells of both rows; none: no row is on these connections, or the one chosen cannot go
    """
    cells, grid = problem.cells, problem.grid
    width = int(grid.width[0])
    first = _first_tiles(problem)
    here, others = _row_on(problem, slow, first, moved, choice)
    if not len(others):
        return others
    row = np.flatnonzero((first == here) & (cells.kind > 0))
    span = int(cells.span[row].max())
    size, share = HALVES * span, choice.choice(_SHARES)
    if not free(cells, grid, here * HALVES, size, TILE, True, True):
        return others[:0]
    ends = others if choice.random() < _DIRECT else problem.sources[[choice.choice(slow.tolist())]]
    goal = [start + share * (np.median(places[ends]) - start)
            for start, places in ((here % width, cells.x), (here // width, cells.y))]
    for there in _candidates(grid, here, span, goal, choice):
        if free(cells, grid, there * HALVES, size, TILE, True, True):
            moved[row] = True
            return _exchanged(problem, here, int(there), size)
    return others[:0]


def _first_tiles(problem: Problem) -> np.ndarray:
    """Of each cell: of the row of tiles that its tile is part of."""
    cells, width = problem.cells, int(problem.grid.width[0])
    tiles = cells.y * width + cells.x
    firsts = np.arange(tiles.max() + 1)
    whole = cells.unit == TILE
    firsts[tiles[whole]] -= cells.lead[whole]
    return firsts[tiles]


def _row_on(problem: Problem, slow: np.ndarray, first: np.ndarray, moved: np.ndarray,
            choice: random.Random) -> tuple[int, np.ndarray]:
    """One of the rows of tiles on slow connections, rather on a long one, by its first tile, and what is at
    the other ends of those that it is on."""
    mine = np.concatenate([problem.sources[slow], problem.sinks[slow]])
    other = np.concatenate([problem.sinks[slow], problem.sources[slow]])
    cells = problem.cells
    fits = (cells.kind[mine] > 0) & ~moved[mine] & (first[mine] != first[other])
    mine, other = mine[fits], other[fits]
    if not len(mine):
        return -1, mine
    far = np.abs(cells.x[mine] - cells.x[other]) + np.abs(cells.y[mine] - cells.y[other])
    here = first[choice.choices(mine, far)[0]]
    return int(here), other[first[mine] == here]


def _candidates(grid: Grid, here: int, span: int, goal: list[float], choice: random.Random) -> np.ndarray:
    """First tiles of rows of that length, those with few cells near the goal first."""
    width = int(grid.width[0])
    taken = ((grid.luts >= 0).astype(int) + (grid.registers >= 0)).reshape(-1, HALVES).sum(axis=1)
    there = np.arange(len(grid.logic) - span + 1)
    there = there[(there % width + span <= width) & (np.abs(there - here) >= span)]
    steps = there[:, np.newaxis] + np.arange(span)
    there, steps = (rows[grid.logic[steps].all(axis=1)] for rows in (there, steps))
    cost = (_CELL * taken[steps].sum(axis=1) + np.abs(there % width - goal[0])
            + np.abs(there // width - goal[1])
            + _SPREAD * np.random.default_rng(choice.getrandbits(32)).random(len(there)))
    return there[np.argsort(cost)[:_PLACES]]


def _exchanged(problem: Problem, here: int, there: int, size: int) -> np.ndarray:
    cells, grid = problem.cells, problem.grid
    exchange(grid, here * HALVES, there * HALVES, size, True, True)
    found, count = np.zeros(6 * size, np.int64), 0
    for tile in (here, there):
        settle(cells, grid, tile * HALVES, size, True, True)
        count = cells_in(grid, tile * HALVES, size, True, True, found, count)
    problem.lengths[:] = net_lengths(cells, problem.nets)
    return found[:count]
