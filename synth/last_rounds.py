"""Makes the slowest paths of a placed ECP5 design faster: only their cells move, and what these exchange
places with.
"""

import random
from collections.abc import Callable

import numpy as np

from .annealing import Problem, anneal
from .dealing import deal_blocks
from .displacing import displace
from .ecp5_sites import Sites
from .placement import Placement
from .placement_timing import Timing

__all__ = ["ENOUGH", "hurry", "state_of"]

_ROUNDS = 500
_MOVES = 8
"""Attempts for each cell on the slowest paths in a round."""
_RADIUS = 12
"""Tiles."""
_WEIGHTS, _EXPONENTS = (10.0, 20.0), (60, 120)
"""Of the slowest path, against one tile of a net, and how fast that falls for faster ones: in the first and
in the last of the rounds. Sharp, as many paths are nearly as slow by now: all of them would cost wire."""
_KEPT = 0.95
"""Of a weight from one round to the next."""
_BLOCK_ROUNDS = 5
"""So many rounds after another block RAMs and multipliers are dealt out anew."""
_BLOCK_WEIGHT = 4.0
"""Of a block's slow connection against other cells': a block has 60 wires, which would hold it far away, and
what it says comes late."""
_SCORE_EXPONENT = 40
"""Of paths, whose sum tells which of the rounds is the best: of the slowest the most count."""
_SLOW = 0.85
"""Of the slowest path: connections whose cells move."""

_DISPLACED_MOVES = 400
"""Attempts for each cell that made room for a row of tiles."""
_SETTLING, _SETTLING_MOVES = 3, 20
"""Then so many times some for each of these and of those on slow paths, with weights as they now are."""
_SETTLING_WEIGHT, _SETTLING_EXPONENT = 10.0, 30
_ROWS = (1, 1, 1, 2)
"""So many rows of tiles go elsewhere one after another before all goes back, if none of them was good."""
_ROWS_SLOW = 0.97
"""Of the slowest path: connections whose tiles are taken elsewhere."""
ENOUGH = 0.85
"""Of the period that is asked for: a slowest path that takes no more is not made faster. What routing
and the wires' figures may add is less."""
_HOPELESS = 1.12
"""Of the best slowest path, when all that was displaced has found places: not followed any further."""


class _Best:
    """The best places that were found, to which everything can go back."""

    def __init__(self, problem: Problem, slowest: np.ndarray, blocks: dict[str, str]):
        cells, grid = problem.cells, problem.grid
        self._state = (cells.x, cells.y, cells.half, grid.luts, grid.registers, grid.writers, problem.lengths)
        self._first = slowest.max()
        self._score, self.slowest, self.blocks = self._score_of(slowest), slowest, blocks
        self._places = [part.copy() for part in self._state]

    def keep(self, slowest: np.ndarray, blocks: dict[str, str]) -> bool:
        """Places as they now are, if they are better."""
        score = self._score_of(slowest)
        if score >= self._score:
            return False
        self._score, self.slowest, self.blocks = score, slowest, blocks
        self._places = [part.copy() for part in self._state]
        return True

    def bring_back(self) -> None:
        """Everything to the best places."""
        for part, found in zip(self._state, self._places, strict=True):
            part[:] = found

    def _score_of(self, slowest: np.ndarray) -> float:
        return float(((slowest / self._first) ** _SCORE_EXPONENT).sum())


def hurry(placement: Placement, problem: Problem, timing: Timing, sites: Sites, blocks: dict[str, str],
          seed: int, period_ps: float, tell: Callable[[str], None]) -> dict[str, str]:
    """Move what is on the slowest paths; wires elsewhere are a small part of what counts.

    Each round begins with the best places so far, but what has become slow in other rounds keeps a weight: a
    cell between two slow paths would go over from one to the other, and back.

    Parameters
    ----------
    placement, problem, timing : of one design
    sites, blocks : where block RAMs and multipliers may be, and are
    period_ps : asked for
    tell : hears how it goes

    Returns
    -------
    dict : where blocks are now
    """
    movable = np.zeros(len(problem.cells.x), np.bool_)
    movable[problem.movable] = True
    slowest = timing.slowest()
    best, weights, choice = _Best(problem, slowest, blocks), np.zeros(len(slowest)), random.Random(seed)
    schedule = np.linspace((_WEIGHTS[0], _EXPONENTS[0]), (_WEIGHTS[1], _EXPONENTS[1]), _ROUNDS)
    for number, (weight, exponent) in enumerate(schedule):
        slowest = best.slowest
        if slowest.max() <= ENOUGH * period_ps:
            break
        weights = np.maximum(_KEPT * weights, weight * timing.shares(exponent, slowest.max()))
        # ---- rows of tiles go elsewhere ------------------------------------------------------
        moved = np.zeros(len(movable), np.bool_)
        for step in range(choice.choice(_ROWS)):
            displaced = displace(problem, np.flatnonzero(slowest > _ROWS_SLOW * slowest.max()), moved, choice)
            if not len(displaced):
                break
            slowest = _settle(problem, timing, weights, displaced[movable[displaced]], movable,
                              _HOPELESS * best.slowest.max(), seed * _ROUNDS + number + step)
            if best.keep(slowest, best.blocks):
                break
        best.bring_back()
        # ---- cells find better places --------------------------------------------------------
        blocks = best.blocks
        if number % _BLOCK_ROUNDS == 0:
            blocks = deal_blocks(placement, problem, _BLOCK_WEIGHT * weights, sites)
        hurried = _on(problem, best.slowest, movable)
        if len(hurried):
            anneal(problem._replace(movable=hurried), weights, _MOVES * len(hurried), _RADIUS, 0.0,
                   seed * _ROUNDS + number)
        slowest = timing.slowest()
        tell(f"Last round {number + 1} of {_ROUNDS}: {state_of(problem, slowest)}")
        if not best.keep(slowest, blocks):
            weights = np.maximum(weights, weight * timing.shares(exponent, slowest.max()))
            best.bring_back()
    tell(f"The best of them: {state_of(problem, best.slowest)}")
    return best.blocks


def state_of(problem: Problem, slowest: np.ndarray) -> str:
    """To be told."""
    return (f"{problem.lengths.sum():,} of wire, slowest path {slowest.max(initial=0.0) / 1000:.1f} ns as "
            "foreseen")


def _settle(problem: Problem, timing: Timing, weights: np.ndarray, displaced: np.ndarray, movable: np.ndarray,
            hopeless_ps: float, seed: int) -> np.ndarray:
    """Displaced cells find places, and then those on paths that are slow by it, too; how slow these are."""
    near, slowest = displaced, timing.slowest()
    for step in range(1 + _SETTLING):
        weights = np.maximum(weights, _SETTLING_WEIGHT * timing.shares(_SETTLING_EXPONENT, slowest.max()))
        if step:
            near = np.union1d(_on(problem, slowest, movable), displaced)
        if len(near):
            anneal(problem._replace(movable=near), weights,
                   (_SETTLING_MOVES if step else _DISPLACED_MOVES) * len(near), _RADIUS, 0.0,
                   seed * (1 + _SETTLING) + step)
        slowest = timing.slowest()
        if slowest.max() > hopeless_ps:
            break
    return slowest


def _on(problem: Problem, slowest: np.ndarray, movable: np.ndarray) -> np.ndarray:
    """Cells on slow paths that may move."""
    slow = slowest > _SLOW * slowest.max()
    found = np.unique(np.concatenate([problem.sources[slow], problem.sinks[slow]]))
    return found[movable[found]]
