"""synth.last_rounds: the slowest paths of a placed design become faster."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth import last_rounds, refining
from synth.annealing import Problem, net_lengths
from synth.ecp5_sites import sites_of
from synth.placement import Placement
from synth.placement_timing import CellDelays, Timing
from synth.tile_rules import all_allowed
from tests.placements import Design, cell, design, lut, register
from tests.test_annealing import chain
from tests.test_placement_timing import SDF


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_rounds, "_ROUNDS", 150)


def problem_of(placed: Design, folder: Path) -> tuple[Placement, Timing, Problem]:
    file = folder / "placed.json"
    file.write_text(json.dumps(placed))
    (folder / "delays.sdf").write_text(SDF)
    placement = Placement.read(file, "top")
    return placement, *refining._problem(placement, CellDelays(folder / "delays.sdf"))


def hurried(placed: Design, folder: Path, seed: int = 1, *, period_ps: float = 1.0,
            rounds: int = 150) -> tuple[Placement, float, float]:
    """The slowest path before and after."""
    placement, timing, problem = problem_of(placed, folder)
    before, heard = timing.slowest().max(), list[str]()
    last_rounds.hurry(placement, problem, timing, sites_of("--25k"), {}, seed, period_ps, heard.append)
    assert all_allowed(placement.cells, placement.grid)
    assert list(problem.lengths) == list(net_lengths(placement.cells, placement.nets))
    after = timing.slowest().max()
    foreseen = [float(re.search(r"path ([\d.]+) ns", line)[1]) for line in heard]
    assert len(heard) == rounds + 1 and foreseen[-1] == min(foreseen)
    assert heard[-1].endswith(f"slowest path {after / 1000:.1f} ns as foreseen")
    return placement, before, after


def far_away() -> Design:
    """A LUT that four wires hold far away from a path that it is part of."""
    cells = {"start": register("X1/Y1/SLICEA.FF0", 99, 10), "end": register("X2/Y1/SLICEA.FF0", 11, 12),
             "between": lut("X30/Y1/SLICEA.K0", [10, 20, 21, 22], 11)}
    cells |= {f"far{number}": cell("MULT18X18D", f"X{60 + number}/Y1/MULT18_0", {}, {"P0": 20 + number})
              for number in range(3)}
    return design(cells | {f"free{x}": lut(f"X{x}/Y1/SLICEA.K0", [], 100 + x) for x in range(3, 30)})


def crowded() -> Design:
    """A chain on a path from and to what is far away, among LUTs that many wires hold where they are."""
    cells: dict[str, Any] = chain(40)
    cells |= {"start": register("X1/Y1/SLICEA.FF0", 99, 10), "end": register("X2/Y1/SLICEA.FF0", 420, 12)}
    for x in (*range(3, 20), *range(42, 50)):
        for half in range(4):
            net, place = 2000 + 100 * x + 10 * half, f"X{x}/Y1/SLICE{'ABCD'[half]}"
            cells[f"here{x}_{half}"] = lut(f"{place}.K0", [net, net + 1], net + 2)
            for number in range(2):
                cells[f"by{x}_{half}_{number}"] = register(f"{place}.FF{number}", net + 2, net + number)
    return design(cells)


def test_a_cell_on_the_slowest_path_goes_where_others_do_not_want_it(tmp_path: Path) -> None:
    _, before, after = hurried(far_away(), tmp_path)
    assert after < before / 2


@pytest.mark.parametrize("seed", range(3))
def test_a_carry_chain_and_its_path_meet_where_others_must_make_room(
        seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, before, after = hurried(crowded(), tmp_path, seed)
    assert after < before / 2
    monkeypatch.setattr(last_rounds, "displace", lambda *given: np.zeros(0, np.int64))
    placement, _, alone = hurried(crowded(), tmp_path, seed)
    assert placement.cells.x[placement.names.index("carry0")] >= 20 and alone > 1.5 * after


def test_what_makes_nothing_faster_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells are thrown about, and find no better places."""
    placement, timing, problem = problem_of(far_away(), tmp_path)
    before = [part.copy() for part in (*placement.cells, *placement.grid, problem.lengths)]
    calls = []

    def displace(*given: Any) -> np.ndarray:
        calls.append(given)
        placement.cells.x[placement.names.index("between")] = 60
        return np.array([placement.names.index("free7")])

    monkeypatch.setattr(last_rounds, "displace", displace)
    monkeypatch.setattr(last_rounds, "anneal", lambda *given: 0)
    last_rounds.hurry(placement, problem, timing, sites_of("--25k"), {}, 1, 1.0, lambda line: None)
    assert len(calls) >= 150
    for part, now in zip(before, (*placement.cells, *placement.grid, problem.lengths), strict=True):
        assert (part == now).all()


def test_what_is_fast_enough_is_not_made_faster(tmp_path: Path) -> None:
    placement, timing, _ = problem_of(far_away(), tmp_path)
    before = timing.slowest().max()
    same, _, after = hurried(far_away(), tmp_path, period_ps=before / 0.84, rounds=0)
    assert after == before and (same.cells.x == placement.cells.x).all()


def test_a_seed_gives_the_same_again(tmp_path: Path) -> None:
    one, again = (hurried(crowded(), tmp_path)[0] for _ in range(2))
    assert (one.cells.x == again.cells.x).all() and (one.grid.luts == again.grid.luts).all()
