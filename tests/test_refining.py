"""synth.refining: a placed design's file has shorter wires than before, and is the same design."""

import copy
import json
import re
from pathlib import Path

import pytest

from synth import refining
from synth.annealing import Problem, net_lengths
from synth.ecp5_sites import sites_of
from synth.placement import Placement
from synth.placement_timing import CellDelays, Timing
from synth.tile_rules import all_allowed
from tests.placements import Design, cell, design, lut, register, scattered
from tests.test_placement_timing import SDF


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refining, "_ROUNDS", 30)
    monkeypatch.setattr(refining, "_LAST_ROUNDS", 10)


PERIOD_PS = 20_000.0


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
    assert len(heard) == 42 and f": {wire(found):,} of wire" in heard[-1]


def test_a_seed_gives_the_same_again_and_another_one_something_else(tmp_path: Path) -> None:
    placed = scattered(1)
    one, again, other = (refined(placed, tmp_path, seed)[0] for seed in (1, 1, 2))
    assert one == again != other


def test_the_last_rounds_are_for_the_slowest_path(tmp_path: Path) -> None:
    """A LUT that four wires hold far away from a path that it is part of."""
    cells = {"start": register("X1/Y1/SLICEA.FF0", 99, 10), "end": register("X2/Y1/SLICEA.FF0", 11, 12),
             "between": lut("X30/Y1/SLICEA.K0", [10, 20, 21, 22], 11)}
    cells |= {f"far{number}": cell("MULT18X18D", f"X{60 + number}/Y1/MULT18_0", {}, {"P0": 20 + number})
              for number in range(3)}
    cells |= {f"free{x}": lut(f"X{x}/Y1/SLICEA.K0", [], 100 + x) for x in range(3, 30)}
    file = tmp_path / "placed.json"
    file.write_text(json.dumps(design(cells)))
    (tmp_path / "delays.sdf").write_text(SDF)
    placement = Placement.read(file, "top")
    timing = Timing(placement, CellDelays(tmp_path / "delays.sdf"))
    problem = Problem(placement.cells, placement.grid, placement.nets,
                      net_lengths(placement.cells, placement.nets), timing.connections(), timing.sources,
                      timing.sinks, placement.movable)
    before = timing.slowest().max()
    heard: list[str] = []
    refining._hurry(placement, problem, timing, sites_of("--25k"), {}, 1, heard.append)
    assert timing.slowest().max() < before / 2
    assert list(problem.lengths) == list(net_lengths(placement.cells, placement.nets))
    foreseen = [float(re.search(r"path ([\d.]+) ns", line)[1]) for line in heard]
    assert foreseen[-1] == min(foreseen)
    assert heard[-1].endswith(f"slowest path {timing.slowest().max() / 1000:.1f} ns as foreseen")


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
