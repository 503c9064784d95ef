"""Better places for what nextpnr has placed on ECP5, before it routes.

nextpnr's last step of placing goes on only while every round is a great gain, and its step to a legal
placement puts cells of a nearly full part far from where they belong. 1,500 attempts for each cell take
some minutes.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .annealing import Problem, Schedule, anneal_round, net_lengths
from .copying import copy_far_drivers
from .dealing import deal_blocks
from .ecp5_sites import sites_of
from .first_routes import write_slow_connections
from .last_rounds import ENOUGH, hurry, state_of
from .placement import Placement
from .placement_timing import CellDelays, Timing
from .tile_rules import all_allowed

__all__ = ["refine"]

_ROUNDS = 300
_MOVES = 5
"""Attempts for each cell in a round."""
_COLD_ROUNDS = 6
_HOT = 2.0
"""Temperature of the first round, in tiles."""
_RADIUS = 20
"""Tiles, in the first round."""
_BLOCK_ROUNDS = 5
"""So many rounds after another block RAMs and multipliers are dealt out anew."""
_EXPONENTS = (15, 60)
"""How fast weights fall for paths that are faster than the slowest, in the first and in the last round."""
_SHARE = 0.1
"""Of all wire, that all weights together are worth, in tiles. In proportion: with a limit for each connection
alone, a LUT with 300 slow sinks would stay near these, however far what leads to it has to go."""
_MOST = 200.0
"""Of the slowest path's weight, where it is alone."""
_KEPT = 0.9
"""Of a weight from one round to the next: what was slow a moment ago must not be given up at once."""


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
    exponents = np.linspace(*_EXPONENTS, _ROUNDS)
    weights = _weights(timing, problem, slowest, exponents[0], period_ps)
    schedule = Schedule(_ROUNDS, _COLD_ROUNDS, _MOVES, _HOT, _RADIUS)
    sites, blocks = sites_of(size), {}
    for number, exponent in enumerate(exponents):
        if number % _BLOCK_ROUNDS == 0:
            blocks = deal_blocks(placement, problem, weights, sites)
        anneal_round(problem, weights, schedule, number, seed)
        slowest = timing.slowest()
        weights = _KEPT * weights + (1 - _KEPT) * _weights(timing, problem, slowest, exponent, period_ps)
        tell(f"Round {number + 1} of {_ROUNDS}: {state_of(problem, slowest)}")
    if slowest.max(initial=0.0):
        copies = copy_far_drivers(placement, timing, period_ps)
        placement = placement.read_again(blocks)
        tell(f"{copies:,} copies of LUTs whose sinks lie far apart")
        timing, problem = _problem(placement, delays)
        blocks = hurry(placement, problem, timing, sites, blocks, seed, period_ps, tell)
    assert all_allowed(placement.cells, placement.grid)
    placement.write(placed, places=blocks)
    return write_slow_connections(placement, timing, period_ps, slow)


def _problem(placement: Placement, delays: CellDelays) -> tuple[Timing, Problem]:
    timing, cells = Timing(placement, delays), placement.cells
    return timing, Problem(
        cells, placement.grid, placement.nets, net_lengths(cells, placement.nets), timing.connections(),
        timing.sources, timing.sinks, placement.movable)


def _weights(timing: Timing, problem: Problem, slowest: np.ndarray, exponent: float,
             period_ps: float) -> np.ndarray:
    """Of connections, in tiles for each WIRE_STEP_PS: by all paths, as far as these count."""
    shares = timing.shares(exponent, max(slowest.max(initial=0.0), ENOUGH * period_ps))
    total = _SHARE * max(1, problem.lengths.sum())   # a design within one tile has none
    return shares * (total / max(shares.sum(), total / _MOST))
