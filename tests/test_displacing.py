"""synth.displacing: what is on a slow path goes elsewhere by whole tiles, what was there in its place."""

import random

import numpy as np
import pytest

from synth.annealing import Problem, net_lengths
from synth.displacing import displace
from synth.placement import FIXED, HALVES, Placement, grouped
from synth.tile_rules import all_allowed
from tests.placements import Design, assert_every_cell_has_a_place, cell, design, lut, register, scattered
from tests.test_annealing import chain

PAD = cell("MULT18X18D", "X30/Y1/MULT18_0", {}, {"P0": 10})
"""Drives the net that `chain` adds, far from it."""


def logic(*columns: int, row: int = 1) -> Design:
    """Tiles with a single LUT."""
    return {f"free{x}": lut(f"X{x}/Y{row}/SLICEC.K0", [60 + x], 180 + x) for x in columns}


def full(*columns: int) -> Design:
    """Tiles with a LUT and a register at each half."""
    cells = {}
    for x in columns:
        for half in range(HALVES):
            place = f"X{x}/Y1/SLICE{'ABCD'[half // 2]}."
            cells[f"full{x}_{half}"] = lut(f"{place}K{half % 2}", [60 + x], 1000 + 10 * x + half)
            cells[f"stored{x}_{half}"] = register(f"{place}FF{half % 2}", 60 + x, 2000 + 10 * x + half)
    return cells


def displaced(placed: Design, pairs: list[tuple[str, str]], seed: int = 1,
              moved: list[str] | None = None) -> tuple[Placement, list[str]]:
    """The placement after one move, and names of cells that were in one of the two places."""
    placement = Placement(placed, "top")
    cells, names = placement.cells, placement.names
    numbers = np.array([[names.index(name) for name in pair] for pair in pairs])
    problem = Problem(
        cells, placement.grid, placement.nets, net_lengths(cells, placement.nets),
        grouped(numbers.tolist(), len(cells.x)), numbers[:, 0], numbers[:, 1], placement.movable)
    stay = np.zeros(len(names), np.bool_)
    stay[[names.index(name) for name in moved or []]] = True
    found = displace(problem, np.arange(len(pairs)), stay, random.Random(seed))
    assert (problem.lengths == net_lengths(cells, placement.nets)).all()
    assert all_allowed(cells, placement.grid)
    return placement, [names[number] for number in found]


def columns(placement: Placement, *names: str) -> list[int]:
    return [int(placement.cells.x[placement.names.index(name)]) for name in names]


@pytest.mark.parametrize("seed", range(10))
def test_a_chain_goes_towards_where_its_path_comes_from(seed: int) -> None:
    placed = design({**chain(2), **logic(*range(5, 30)), "pad": PAD})
    placement, found = displaced(placed, [("pad", "carry0")], seed)
    first, behind = columns(placement, "carry0", "carry8")
    assert behind == first + 1 and first >= 11       # half the way, or all of it
    others = {f"free{first}", f"free{behind}"}
    assert set(found) == {*chain(2), *others}
    assert sorted(columns(placement, *others)) == [2, 3]


@pytest.mark.parametrize("seed", range(10))
def test_a_lut_takes_its_tile_along(seed: int) -> None:
    placed = design({**full(2), **logic(*range(5, 30)), "pad": PAD})
    placement, found = displaced(placed, [("pad", "full2_3")], seed)
    x, = set(columns(placement, *full(2)))
    assert x >= 13 and set(found) == {*full(2), f"free{x}"}


@pytest.mark.parametrize("seed", range(10))
def test_where_fewer_cells_must_leave_is_better(seed: int) -> None:
    """Around where the path comes from all is full but for some tiles, and there is one halfway."""
    placed = design({**chain(2, halves=8), **full(*range(12, 16), *range(17, 36)), **logic(16, 36),
                     "pad": PAD})
    placement, _ = displaced(placed, [("pad", "carry0")], seed)
    assert columns(placement, "carry0")[0] in (16, 36)


def test_what_may_not_move_stays() -> None:
    """A register whose data come from a LUT of which nothing is known."""
    fixed = {f"fixed{x}": register(f"X{x}/Y1/SLICEA.FF0", 300 + x, 400 + x, by_lut=True)
             for x in range(4, 30)}
    placed = design({**chain(2), **fixed, "pad": PAD})
    assert (Placement(placed, "top").cells.unit == FIXED).any()
    placement, found = displaced(placed, [("pad", "carry0")])
    assert not found and columns(placement, "carry0") == [2]
    placement, found = displaced(placed, [("pad", "fixed4")])
    assert not found and columns(placement, "fixed4") == [4]


@pytest.mark.parametrize("seed", range(10))
def test_chains_do_not_cut_each_other(seed: int) -> None:
    placed = design({**chain(2), **chain(28, "other", 600), **logic(*range(6, 28)), "pad": PAD})
    placement, _ = displaced(placed, [("pad", "carry0")], seed)
    for name in ("carry", "other"):
        first, behind = columns(placement, f"{name}0", f"{name}11")
        assert behind == first + 1


def test_what_has_moved_stays_where_it_is() -> None:
    placed = design({**chain(2), **logic(*range(5, 30)), "pad": PAD})
    placement, found = displaced(placed, [("pad", "carry0")], moved=list(chain(2)))
    assert not found and columns(placement, "carry0") == [2]


def test_a_connection_within_a_tile_moves_nothing() -> None:
    placed = design({**full(2), **logic(*range(5, 30))})
    assert not displaced(placed, [("full2_0", "full2_3")])[1]


@pytest.mark.parametrize("seed", range(20))
def test_every_cell_has_a_place_of_its_own(seed: int) -> None:
    placed = scattered(seed)
    pairs = [(f"lut{number}", f"register{number + 7}") for number in range(30)]
    placement, found = displaced(placed, pairs, seed)
    assert found
    assert_every_cell_has_a_place(placement)
