"""Better places for what nextpnr has placed on ECP5, before it routes.

nextpnr's last step of placing goes on only while every round is a great gain, and its step to a legal
placement puts cells of a nearly full part far from where they belong. A thousand attempts for each cell
take a minute or two.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .annealing import Problem, Schedule, anneal, anneal_round, net_lengths
from .copying import copy_far_drivers
from .dealing import deal_blocks
from .ecp5_sites import Sites, sites_of
from .first_routes import write_slow_connections
from .placement import Placement
from .placement_timing import CellDelays, Timing
from .tile_rules import all_allowed

__all__ = ["refine"]

_ROUNDS = 200
_MOVES = 5
"""Attempts for each cell in a round."""
_COLD_ROUNDS = 6
_HOT = 1.0
"""Temperature of the first round, in tiles."""
_RADIUS = 12
"""Tiles, in the first round."""
_DELAY_WEIGHT = 2.0
"""Of a connection on a path that takes the target, against one tile of a net."""
_BLOCK_ROUNDS = 5
"""So many rounds after another block RAMs and multipliers are dealt out anew."""
_EXPONENT = 8
_TARGET = 0.75
"""Of the slowest path at the start: what is faster has hardly any weight."""
_LARGEST_RATIO = 1.35
"""Of a path to the target. With more, one connection is worth so much that others' cells are thrown across
the part for it, and are on the slowest path next."""
_KEPT = 0.9
"""Of a weight from one round to the next: what was slow a moment ago must not be given up at once."""

_LAST_ROUNDS = 500
_LAST_MOVES = 30
"""Attempts for each cell on the slowest paths in one of the last rounds."""
_LAST_WEIGHTS, _LAST_EXPONENTS = (15.0, 40.0), (12, 60)
"""Of a connection on the slowest path, as above, and how it falls for faster ones: in the first and in the
last of the last rounds. Behind the first ones a few paths alone are slow."""
_LAST_KEPT = 0.95
"""Of a weight from one round to the next."""
_LAST_BLOCK_WEIGHT = 4.0
"""Of a block's slow connection against other cells': a block has 60 wires, which would hold it far away, and
what it says comes late."""
_SCORE_EXPONENT = 40
"""Of paths, whose sum tells which of the last rounds is the best: of the slowest the most count."""
_SLOW = 0.85
"""Of the slowest path: connections whose cells move in the last rounds."""


def refine(placed: Path, slow: Path, sdf: Path, size: str, top: str, seed: int, period_ps: float,
           tell: Callable[[str], None]) -> int:
    """Change a placed design's file in place; how many connections are slow.

    Parameters
    ----------
    placed : nextpnr's JSON
    slow : gets the design with its slow connections only
    sdf : its delays, of the same design
    size : nextpnr's option for the part
    top : module
    period_ps : asked for
    tell : hears how it goes
    """
    placement = Placement.read(placed, top)
    assert all_allowed(placement.cells, placement.grid), (
        f"{placed}: its cells are not where this program believes they may be")
    delays = CellDelays(sdf)
    timing, problem = _problem(placement, delays)
    slowest = timing.slowest()
    target = _TARGET * slowest.max(initial=1.0)
    weights = _weights(slowest, target)
    schedule = Schedule(_ROUNDS, _COLD_ROUNDS, _MOVES, _HOT, _RADIUS)
    sites, blocks = sites_of(size), {}
    for number in range(_ROUNDS):
        if number % _BLOCK_ROUNDS == 0:
            blocks = deal_blocks(placement, problem, weights, sites)
        anneal_round(problem, weights, schedule, number, seed)
        slowest = timing.slowest()
        weights = _KEPT * weights + (1 - _KEPT) * _weights(slowest, target)
        tell(f"Round {number + 1} of {_ROUNDS}: {_state(problem, slowest)}")
    if slowest.max(initial=0.0):
        copies = copy_far_drivers(placement, timing, period_ps)
        placement = placement.read_again(blocks)
        tell(f"{copies:,} copies of LUTs whose sinks lie far apart")
        timing, problem = _problem(placement, delays)
        blocks = _hurry(placement, problem, timing, sites, blocks, seed, tell)
    assert all_allowed(placement.cells, placement.grid)
    placement.write(placed, places=blocks)
    return write_slow_connections(placement, timing, period_ps, slow)


def _problem(placement: Placement, delays: CellDelays) -> tuple[Timing, Problem]:
    timing, cells = Timing(placement, delays), placement.cells
    return timing, Problem(
        cells, placement.grid, placement.nets, net_lengths(cells, placement.nets), timing.connections(),
        timing.sources, timing.sinks, placement.movable)


def _hurry(placement: Placement, problem: Problem, timing: Timing, sites: Sites, blocks: dict[str, str],
           seed: int, tell: Callable[[str], None]) -> dict[str, str]:
    """The last rounds: only cells on the slowest paths move, and what they exchange places with; wires
    elsewhere are a small part of what counts. A minute. The places of blocks.

    Each round begins with the best places so far, but what has become slow in other rounds keeps a weight: a
    cell between two slow paths would go over from one to the other, and back.
    """
    cells, grid = problem.cells, problem.grid
    movable = np.zeros(len(cells.x), np.bool_)
    movable[problem.movable] = True
    state = (cells.x, cells.y, cells.half, grid.luts, grid.registers, grid.writers, problem.lengths)
    slowest = best_slowest = timing.slowest()
    first, weights = slowest.max(), np.zeros(len(slowest))
    best, best_blocks, places = _score(slowest, first), blocks, [part.copy() for part in state]
    schedule = np.linspace((_LAST_WEIGHTS[0], _LAST_EXPONENTS[0]), (_LAST_WEIGHTS[1], _LAST_EXPONENTS[1]),
                           _LAST_ROUNDS)
    for number, (weight, exponent) in enumerate(schedule):
        weights = _LAST_KEPT * weights
        for times in (slowest, best_slowest):
            weights = np.maximum(weights, weight * (times / times.max()) ** exponent)
        if number % _BLOCK_ROUNDS == 0:
            blocks = deal_blocks(placement, problem, _LAST_BLOCK_WEIGHT * weights, sites)
        slow = best_slowest / best_slowest.max() > _SLOW
        hurried = np.unique(np.concatenate([problem.sources[slow], problem.sinks[slow]]))
        hurried = hurried[movable[hurried]]
        if len(hurried):
            anneal(problem._replace(movable=hurried), weights, _LAST_MOVES * len(hurried), _RADIUS, 0.0,
                   seed * _LAST_ROUNDS + number)
        slowest = timing.slowest()
        tell(f"Last round {number + 1} of {_LAST_ROUNDS}: {_state(problem, slowest)}")
        score = _score(slowest, first)
        if score < best:
            best, best_slowest, best_blocks = score, slowest, blocks
            places = [part.copy() for part in state]
        else:
            blocks = best_blocks
            for part, found in zip(state, places, strict=True):
                part[:] = found
    tell(f"The best of them: {_state(problem, best_slowest)}")
    return best_blocks


def _score(slowest: np.ndarray, first: float) -> float:
    return float(((slowest / first) ** _SCORE_EXPONENT).sum())


def _state(problem: Problem, slowest: np.ndarray) -> str:
    return (f"{problem.lengths.sum():,} of wire, slowest path {slowest.max(initial=0.0) / 1000:.1f} ns as "
            "foreseen")


def _weights(slowest: np.ndarray, target: float) -> np.ndarray:
    return _DELAY_WEIGHT * np.minimum(slowest / target, _LARGEST_RATIO) ** _EXPONENT
