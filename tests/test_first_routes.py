"""synth.first_routes: slow connections alone, for nextpnr, and their routes in the whole design."""

import json
from pathlib import Path
from typing import Any

import pytest

from synth.first_routes import forget_routes, keep_routes, write_slow_connections
from synth.placement import Placement
from synth.placement_timing import CellDelays, Timing
from tests.placements import Design, cell, design, lut, register
from tests.test_placement_timing import delays

__all__ = ["delays"]
ROUTE = ("X1/Y1/Q0_SLICE;;1;X1/Y1/Q0;a->b;1;X4/Y1/H06E0103;c->d;1;X2/Y1/V01N0001;e->f;1;"
         "X5/Y1/D7;g->0_0_D7;1;X5/Y1/D7_SLICE;0_0_D7->0_0_D7_SLICE;1;"
         "X5/Y1/A3;h->0_0_A3;1;X5/Y1/C3_SLICE;0_0_A3->0_0_C3_SLICE;1;"
         "X6/Y1/M0;i->0_0_M0;1;X6/Y1/M0_SLICE;0_0_M0->0_0_M0_SLICE;1")


def paths() -> Design:
    """A long path, a short one from the same register, and a clock from a pin."""
    placed = design({
        "pad": cell("TRELLIS_IO", "X0/Y0/PIOA", {}, {"O": 2}),
        "start": register("X1/Y1/SLICEA.FF0", 99, 10), "between": lut("X2/Y1/SLICEA.K0", [10, 14], 11),
        "far": register("X60/Y1/SLICEA.FF0", 11, 12), "near": register("X1/Y1/SLICEB.FF0", 10, 13),
        "own": register("X2/Y1/SLICEA.FF0", 11, 15, by_lut=True)})
    module = placed["modules"]["top"]
    module["cells"]["clock"] = cell("DCCA", "X0/Y0/DCC", {"CLKI": 2}, {"CLKO": 1})
    module["settings"], module["ports"] = {"router": "router1"}, {"clk": {"bits": [3]}}
    module["netnames"] = {name: {"bits": [bit], "attributes": {"ROUTING": " "}} for name, bit in {
        "$glbnet$clk": 1, "pin": 2, "start": 10, "between": 11, "unheard": 13}.items()}
    return placed


def slow_design(delays: CellDelays, file: Path, period_ps: float = 1.0) -> tuple[int, dict[str, Any]]:
    placement = Placement(paths(), "top")
    count = write_slow_connections(placement, Timing(placement, delays), period_ps, file)
    return count, json.loads(file.read_text())["modules"]["top"]


def test_only_slow_connections_and_clocks_are_left(delays: CellDelays, tmp_path: Path) -> None:
    count, module = slow_design(delays, tmp_path / "slow.json")
    left = {(name, port, *bits) for name, entry in module["cells"].items()
            for port, bits in entry["connections"].items() if bits != ["x"]}
    assert count == 2
    assert left == {("start", "Q", 10), ("between", "A", 10), ("between", "F", 11), ("far", "M", 11),
                    ("pad", "O", 2), ("clock", "CLKI", 2), ("clock", "CLKO", 1),
                    *((name, "CLK", 1) for name in ("start", "far", "near", "own"))}
    assert module["netnames"].keys() == {"$glbnet$clk", "pin", "start", "between"}
    assert module["ports"] == {} and module["settings"] == {"router": "router1"}


def test_cells_stay_where_they_are(delays: CellDelays, tmp_path: Path) -> None:
    _, module = slow_design(delays, tmp_path / "slow.json")
    for name, entry in paths()["modules"]["top"]["cells"].items():
        assert module["cells"][name]["attributes"] == entry["attributes"]
        assert module["cells"][name]["connections"].keys() == entry["connections"].keys()


def test_the_design_itself_is_not_changed(delays: CellDelays, tmp_path: Path) -> None:
    placed = paths()
    placement = Placement(placed, "top")
    write_slow_connections(placement, Timing(placement, delays), 1.0, tmp_path / "slow.json")
    assert placed == paths()


def test_where_no_path_is_slow_nothing_is_written(delays: CellDelays, tmp_path: Path) -> None:
    placement = Placement(paths(), "top")
    timing = Timing(placement, delays)
    period_ps = timing.slowest().max() / 0.8
    assert write_slow_connections(placement, timing, 1.001 * period_ps, tmp_path / "slow.json") == 0
    assert not (tmp_path / "slow.json").exists()
    assert write_slow_connections(placement, timing, 0.999 * period_ps, tmp_path / "slow.json") == 2


def routed(**routes: str) -> Design:
    placed = paths()
    for name, route in routes.items():
        placed["modules"]["top"]["netnames"][name]["attributes"]["ROUTING"] = route
    return placed


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """`start` has a route in the design of slow connections, and so has the clock."""
    slow, file = tmp_path / "slow.json", tmp_path / "placed.json"
    slow.write_text(json.dumps(routed(start=ROUTE, **{"$glbnet$clk": ROUTE})))
    file.write_text(json.dumps(paths()))
    keep_routes(slow, file, "top")
    return file


def test_wires_between_tiles_and_inputs_in_their_places_are_held_and_no_others(kept: Path) -> None:
    held = ROUTE
    for wire in ("H06E0103;c->d", "V01N0001;e->f", "D7;g->0_0_D7", "D7_SLICE;0_0_D7->0_0_D7_SLICE"):
        assert f"/{wire};1" in held
        held = held.replace(f"/{wire};1", f"/{wire};5")
    assert json.loads(kept.read_text()) == routed(start=held)


def test_what_is_held_can_be_forgotten(kept: Path) -> None:
    forget_routes(kept, "top")
    assert json.loads(kept.read_text()) == paths()
