"""synth.refining: a placed design's file has shorter wires than before, and is the same design."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from synth import refining
from synth.annealing import net_lengths
from synth.placement import Placement
from synth.tile_rules import all_allowed
from tests.placements import Design, design, lut, scattered
from tests.test_last_rounds import problem_of
from tests.test_placement_timing import SDF


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refining, "_ROUNDS", 30)


PERIOD_PS = 20_000.0
"""No path is slow."""


def refined(placed: Design, folder: Path, seed: int = 1) -> tuple[Design, list[str]]:
    file, sdf, heard = folder / "placed.json", folder / "delays.sdf", []
    file.write_text(json.dumps(placed))
    sdf.write_text(SDF)
    count = refining.refine(file, folder / "slow.json", sdf, "--25k", "top", seed, PERIOD_PS, heard.append)
    assert not count and not (folder / "slow.json").exists()
    return json.loads(file.read_text()), heard


def wire(placed: Design) -> int:
    placement = Placement(placed, "top")
    assert all_allowed(placement.cells, placement.grid)
    return net_lengths(placement.cells, placement.nets).sum()


def without_sites(placed: Design) -> Design:
    placed = copy.deepcopy(placed)
    for entry in placed["modules"]["top"]["cells"].values():
        del entry["attributes"]["NEXTPNR_BEL"]
    return placed


@pytest.mark.parametrize("seed", range(3))
def test_wires_get_shorter_and_the_design_stays(seed: int, tmp_path: Path) -> None:
    placed = scattered(seed)
    found, heard = refined(placed, tmp_path, seed)
    assert wire(found) < 0.6 * wire(placed)
    assert without_sites(found) == without_sites(placed)
    assert len(heard) == 32 and f": {wire(found):,} of wire" in heard[-1]


def test_a_seed_gives_the_same_again_and_another_one_something_else(tmp_path: Path) -> None:
    placed = scattered(1)
    one, again, other = (refined(placed, tmp_path, seed)[0] for seed in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize("exponent", [15.0, 80.0])
def test_weights_are_worth_a_share_of_the_wire_or_less_where_paths_are_fast(exponent: float,
                                                                            tmp_path: Path) -> None:
    _, timing, problem = problem_of(scattered(1), tmp_path)
    slowest = timing.slowest()
    slow = refining._weights(timing, problem, slowest, exponent, slowest.max())
    fast = refining._weights(timing, problem, slowest, exponent, 3 * slowest.max())
    assert slow.sum() == pytest.approx(refining._SHARE * problem.lengths.sum())
    assert 0 < fast.sum() < 0.1 * slow.sum()
    assert slow.argmax() in np.flatnonzero(slowest == slowest.max())


def test_a_design_without_wire_and_paths_has_no_weights(tmp_path: Path) -> None:
    _, timing, problem = problem_of(design({"alone": lut("X3/Y1/SLICEA.K0", [], 9)}), tmp_path)
    assert not problem.lengths.sum() and not refining._weights(
        timing, problem, timing.slowest(), 15.0, PERIOD_PS).any()


def test_a_placement_against_the_rules_is_not_touched(tmp_path: Path) -> None:
    placed = scattered(1)
    cells = placed["modules"]["top"]["cells"]
    register = next(cell for cell in cells.values() if "CE" in cell["connections"])
    copied = copy.deepcopy(register)
    copied["connections"] |= {"CE": [999], "M": [998]}
    copied["connections"].pop("DI", None)
    site = register["attributes"]["NEXTPNR_BEL"]
    copied["attributes"]["NEXTPNR_BEL"] = f"{site[:-1]}{1 - int(site[-1])}"
    cells["wrong"] = copied
    with pytest.raises(AssertionError, match=r"placed\.json"):
        refined(placed, tmp_path)
