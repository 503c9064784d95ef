"""Exchanges what lies at two places of a placed design, again and again, where that makes wires shorter.

Simulated annealing (Kirkpatrick, Gelatt, Vecchi: Optimization by simulated annealing, Science 220, 1983) with
the half perimeter of a net as its length, and delays of connections by their weights beside it (Marquardt,
Betz, Rose: Timing-driven placement for FPGAs, FPGA 2000).
"""

from typing import NamedTuple

import numpy as np

from .exchanging import cells_in, exchange, free, row_of_logic, settle
from .machine_code import machine_code
from .placement import HALF, HALVES, LUT, REGISTER, SLICE, TILE, Cells, Grid, Nets
from .placement_timing import WIRE_STEP_PS, wire_ps
from .tile_rules import slice_allowed, tile_allowed

__all__ = ["Problem", "Schedule", "anneal", "anneal_round", "net_lengths"]

_LEAST_RADIUS = 2
_NEAR = 2
"""Tiles around the middle between two cells."""
_SLICES = 0.5
"""Of the moves of a register: its slice's other one, which must have the same enable, goes with it."""
_MOST_IN_TILE = 2 * HALVES + 1
_LEAST_WEIGHT = 1e-3


class Problem(NamedTuple):
    """What `anneal` works on, and changes."""

    cells: Cells
    grid: Grid
    nets: Nets
    lengths: np.ndarray       # of the nets, in tiles
    connections: Nets         # groups of two cells: where it begins, where it ends
    sources: np.ndarray       # of the connections, cells
    sinks: np.ndarray
    movable: np.ndarray       # cells


class Schedule(NamedTuple):
    """How annealing cools down, round by round."""

    rounds: int
    cold_rounds: int   # the last ones, in which nothing gets longer
    moves: int         # attempts for each cell in a round
    hot: float         # temperature of the first round, in tiles
    radius: int        # of the first round, in tiles


@machine_code
def _length(cells: Cells, nets: Nets, net: int) -> int:
    left = low = 1 << 30
    right = high = -1
    for place in range(nets.first[net], nets.first[net + 1]):
        x, y = cells.x[nets.members[place]], cells.y[nets.members[place]]
        left, right, low, high = min(left, x), max(right, x), min(low, y), max(high, y)
    return right - left + high - low


@machine_code
def net_lengths(cells: Cells, nets: Nets) -> np.ndarray:
    """Half the perimeter of each net, in tiles."""
    lengths = np.zeros(len(nets.first) - 1, np.int64)
    for net in range(len(lengths)):
        lengths[net] = _length(cells, nets, net)
    return lengths


@machine_code
def _listed(groups: Nets, moved: np.ndarray, seen: np.ndarray, now: int, found: np.ndarray) -> int:
    """Groups that the cells belong to, each once."""
    count = 0
    for cell in moved:
        for place in range(groups.of_first[cell], groups.of_first[cell + 1]):
            group = groups.of[place]
            if seen[group] != now:
                seen[group] = now
                found[count] = group
                count += 1
    return count


@machine_code
def _delays(problem: Problem, weights: np.ndarray, found: np.ndarray) -> float:
    cells, total = problem.cells, 0.0
    for number in found:
        if weights[number] > _LEAST_WEIGHT:
            source, sink = problem.sources[number], problem.sinks[number]
            total += weights[number] * wire_ps(cells.x[source] - cells.x[sink],
                                               cells.y[source] - cells.y[sink])
    return total / WIRE_STEP_PS


@machine_code
def _target(problem: Problem, cell: int, radius: int) -> int:
    """A tile around the cell's, or on the way to another one on its nets; -1: none with logic."""
    cells, grid, nets = problem.cells, problem.grid, problem.nets
    x, y, around = cells.x[cell], cells.y[cell], radius
    first, behind = nets.of_first[cell], nets.of_first[cell + 1]
    if behind > first and np.random.random() < 0.5:
        net = nets.of[first + np.random.randint(behind - first)]
        start, end = nets.first[net], nets.first[net + 1]
        other = nets.members[start + np.random.randint(end - start)]
        x, y, around = (x + cells.x[other]) // 2, (y + cells.y[other]) // 2, _NEAR
    x += np.random.randint(-around, around + 1)
    y += np.random.randint(-around, around + 1)
    width = grid.width[0]
    if not (0 <= x < width and 0 <= y < len(grid.logic) // width) or not grid.logic[y * width + x]:
        return -1
    return y * width + x


@machine_code
def _allowed_around(cells: Cells, grid: Grid, first: int, size: int) -> bool:
    if size >= HALVES:
        return True   # whole tiles may be anywhere
    for place in range(first // 2 * 2, first + size, 2):
        if not slice_allowed(cells, grid, place):
            return False
    return tile_allowed(cells, grid, first // HALVES)


@machine_code
def _exchanged(cells: Cells, grid: Grid, one: int, tile: int, size: int, unit: int, with_luts: bool,
               with_registers: bool) -> int:
    """Exchange what lies from a half on with what lies somewhere in a tile, where both may be; where that
    was, or -1."""
    if not free(cells, grid, one, size, unit, with_luts, with_registers):
        return -1
    places = max(1, HALVES // size)
    turn = np.random.randint(places)
    for step in range(places):
        other = tile * HALVES + (turn + step) % places * size
        if not free(cells, grid, other, size, unit, with_luts, with_registers):
            continue
        exchange(grid, one, other, size, with_luts, with_registers)
        if _allowed_around(cells, grid, one, size) and _allowed_around(cells, grid, other, size):
            return other
        exchange(grid, one, other, size, with_luts, with_registers)
    return -1


@machine_code
def anneal(problem: Problem, weights: np.ndarray, moves: int, radius: int, temperature: float,
           seed: int) -> int:
    """Try that many exchanges; how many were made.

    Parameters
    ----------
    weights : of the connections' delays, against the nets' lengths
    radius : tiles that a cell goes at most, but for moves towards cells that it is connected with
    temperature : in tiles; at 0 nothing gets longer
    """
    cells, grid, nets, lengths = problem.cells, problem.grid, problem.nets, problem.lengths
    np.random.seed(seed)
    seen_nets, seen = np.full(len(lengths), -1), np.full(len(weights), -1)
    net_list, list_ = np.zeros(len(lengths), np.int64), np.zeros(len(weights), np.int64)
    new_lengths = np.zeros(len(lengths), np.int64)
    moved = np.zeros(2 * _MOST_IN_TILE * np.max(cells.span), np.int64)
    made = 0
    for now in range(moves):
        # ---- what goes where -------------------------------------------------------------------
        cell = problem.movable[np.random.randint(len(problem.movable))]
        there = _target(problem, cell, radius)
        here = cells.y[cell] * grid.width[0] + cells.x[cell]
        if there < 0 or there == here:
            continue
        unit = cells.unit[cell]
        with_luts = unit != HALF or cells.kind[cell] == LUT or cells.tied[cell] != 0
        with_registers = unit != HALF or cells.kind[cell] == REGISTER or cells.tied[cell] != 0
        if unit == HALF and with_registers and np.random.random() < _SLICES:
            unit = SLICE
            with_luts = with_luts or np.random.random() < _SLICES
        size = 1 << unit
        if unit == TILE:
            span = cells.span[cell]
            here -= cells.lead[cell]
            there -= cells.lead[cell]
            if abs(here - there) < span or not row_of_logic(grid, there, span):
                continue
            size = HALVES * span
        one = here * HALVES
        if unit < TILE:
            one += cells.half[cell] // size * size
        other = _exchanged(cells, grid, one, there, size, unit, with_luts, with_registers)
        if other < 0:
            continue
        # ---- what it costs ---------------------------------------------------------------------
        count = cells_in(grid, one, size, with_luts, with_registers, moved, 0)
        count = cells_in(grid, other, size, with_luts, with_registers, moved, count)
        nets_count = _listed(nets, moved[:count], seen_nets, now, net_list)
        connections = list_[:_listed(problem.connections, moved[:count], seen, now, list_)]
        cost = -_delays(problem, weights, connections)
        settle(cells, grid, one, size, with_luts, with_registers)
        settle(cells, grid, other, size, with_luts, with_registers)
        cost += _delays(problem, weights, connections)
        for place in range(nets_count):
            net = net_list[place]
            new_lengths[place] = _length(cells, nets, net)
            cost += new_lengths[place] - lengths[net]
        if cost > 0 and (temperature <= 0 or np.random.random() >= np.exp(-cost / temperature)):
            exchange(grid, one, other, size, with_luts, with_registers)
            settle(cells, grid, one, size, with_luts, with_registers)
            settle(cells, grid, other, size, with_luts, with_registers)
            continue
        for place in range(nets_count):
            lengths[net_list[place]] = new_lengths[place]
        made += 1
    return made


def anneal_round(problem: Problem, weights: np.ndarray, schedule: Schedule, number: int, seed: int) -> None:
    """One round of a schedule, 0 being the first; a seed has other moves in each."""
    left = 1 - number / schedule.rounds
    cold = number >= schedule.rounds - schedule.cold_rounds
    anneal(problem, weights, schedule.moves * len(problem.movable),
           max(_LEAST_RADIUS, round(schedule.radius * left)), 0.0 if cold else schedule.hot * left ** 2,
           seed * schedule.rounds + number)
