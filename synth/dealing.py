"""Deals out block RAMs and multipliers over their places on an ECP5 part."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from .annealing import Problem, net_lengths
from .ecp5_sites import BLOCKS, Sites
from .placement import Placement
from .placement_timing import WIRE_STEP_PS, wire_ps

__all__ = ["deal_blocks"]


def deal_blocks(placement: Placement, problem: Problem, weights: np.ndarray, sites: Sites) -> dict[str, str]:
    """Block RAMs, then multipliers, where wires are shortest and slow connections fastest, each as if the
    others stayed: an assignment problem for each kind.

    Parameters
    ----------
    problem : of the placement
    weights : of its connections

    Returns
    -------
    dict : the places of all, cell to nextpnr's name
    """
    cells, nets, places = placement.cells, placement.nets, {}
    for kind in BLOCKS:
        numbers = placement.of_type(kind)
        columns, rows, names = (np.array(column) for column in zip(*sites.blocks[kind], strict=True))
        costs = np.zeros((len(numbers), len(names)))
        for line, number in zip(costs, numbers, strict=True):
            for net in nets.of[nets.of_first[number]:nets.of_first[number + 1]]:
                others = nets.members[nets.first[net]:nets.first[net + 1]]
                others = others[others != number]
                x, y = cells.x[others], cells.y[others]
                line += (np.maximum(columns, x.max()) - np.minimum(columns, x.min())
                         + np.maximum(rows, y.max()) - np.minimum(rows, y.min()))
            pairs = problem.connections
            for pair in pairs.of[pairs.of_first[number]:pairs.of_first[number + 1]]:
                source, sink = problem.sources[pair], problem.sinks[pair]
                other = sink if source == number else source
                line += (weights[pair] / WIRE_STEP_PS
                         * wire_ps(columns - cells.x[other], rows - cells.y[other]))
        for block, site in zip(*linear_sum_assignment(costs), strict=True):
            number = numbers[block]
            cells.x[number], cells.y[number] = columns[site], rows[site]
            places[placement.names[number]] = str(names[site])
    problem.lengths[:] = net_lengths(cells, nets)
    return places
