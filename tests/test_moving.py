"""synth.moving: a design placed on a large part finds places on a small one, and is the same design."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from synth import dealing, moving
from synth.annealing import net_lengths
from synth.ecp5_sites import Sites
from synth.placement import Placement
from synth.tile_rules import all_allowed
from tests.placements import Design, cell, scattered, sites
from tests.test_annealing import chain, multiplexer

BLOCK_PLACES = [(x, 0, f"X{x}/Y0/EBR{x}") for x in range(4)]


@pytest.fixture(autouse=True)
def _small_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four by four logic tiles under a row of block RAMs."""
    logic = np.ones((5, 4), np.bool_)
    logic[0] = False
    part = Sites(logic, {"DP16KD": BLOCK_PLACES, "MULT18X18D": []})
    monkeypatch.setattr(moving, "sites_of", lambda size: part)
    monkeypatch.setattr(dealing, "BLOCKS", ("DP16KD",))
    monkeypatch.setattr(moving, "_ROUNDS", 20)


def crowded(seed: int, links: int = 90) -> Design:
    """Registers with their LUTs, a chain, multiplexers and a block RAM."""
    placed = scattered(seed, size=9, links=links)
    cells = placed["modules"]["top"]["cells"]
    more = chain(1) | multiplexer(5, 820) | multiplexer(6, 830)
    cells |= {name: moved_down(entry) for name, entry in more.items()}
    cells["memory"] = cell("DP16KD", "X3/Y70/EBR0", {"A0": 101}, {"B0": 50})
    return placed


def moved_down(entry: dict) -> dict:
    """Into a row that `scattered` leaves free."""
    site = entry["attributes"]["NEXTPNR_BEL"]
    return {**entry, "attributes": {"NEXTPNR_BEL": site.replace("/Y1/", "/Y40/")}}


def moved(placed: Design, folder: Path, seed: int = 1) -> tuple[Design, list[str]]:
    larger, packed, heard = folder / "larger.json", folder / "placed.json", []
    larger.write_text(json.dumps(placed))
    packed.write_text(json.dumps(without_sites(placed)))
    moving.move(larger, packed, "--25k", "top", seed, heard.append)
    return json.loads(packed.read_text()), heard


def without_sites(placed: Design) -> Design:
    """But for the clock's, which has its place when a design is packed."""
    placed = copy.deepcopy(placed)
    for name, entry in placed["modules"]["top"]["cells"].items():
        if name != "clock":
            entry["attributes"].pop("NEXTPNR_BEL")
    return placed


@pytest.mark.parametrize("seed", range(3))
def test_every_cell_is_on_the_part_where_it_may_be(seed: int, tmp_path: Path) -> None:
    found, heard = moved(crowded(seed), tmp_path, seed)
    placement = Placement(found, "top")
    cells = placement.cells
    logic = cells.kind > 0
    assert all_allowed(cells, placement.grid)
    assert len(set(sites(found).values())) == len(cells.x)
    assert cells.x[logic].max() < 4 and cells.y[logic].min() > 0 and cells.y[logic].max() < 5
    assert sites(found)["memory"] in [name for _, _, name in BLOCK_PLACES]
    assert f": {net_lengths(cells, placement.nets).sum():,} of wire" in heard[-1]


@pytest.mark.parametrize("seed", range(3))
def test_the_design_stays_and_with_it_what_belongs_together(seed: int, tmp_path: Path) -> None:
    placed = crowded(seed)
    found, _ = moved(placed, tmp_path, seed)
    assert without_sites(found) == without_sites(placed)
    before, after = Placement(placed, "top"), Placement(found, "top")
    assert (before.cells.unit == after.cells.unit).all() and (before.cells.tied == after.cells.tied).all()
    assert (before.cells.span == after.cells.span).all()


def test_a_seed_gives_the_same_again_and_another_one_something_else(tmp_path: Path) -> None:
    one, again, other = (moved(crowded(1), tmp_path, seed)[0] for seed in (1, 1, 2))
    assert one == again != other


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    with pytest.raises(moving.NoPlace, match=r"^\d+ of \d+ groups of cells found no place$"):
        moved(crowded(1, links=140), tmp_path)
