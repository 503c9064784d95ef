"""synth.copying: a LUT of slow sinks that lie far apart has a copy near each group of them."""

import pytest

from synth.copying import copy_far_drivers
from synth.placement import Placement
from synth.placement_timing import CellDelays, Timing
from synth.tile_rules import all_allowed
from tests.placements import Design, design, lut, register, sites
from tests.test_placement_timing import delays

__all__ = ["delays"]
PERIOD_PS = 3_500


def fan(*sinks: str, **more: object) -> Design:
    """A register, a LUT in the middle of a row, and registers at some places that hear it."""
    middle = lut("X30/Y1/SLICEA.K0", [10, 20], 11)
    middle["parameters"]["INIT"] = "1000"
    return design({"start": register("X29/Y1/SLICEA.FF0", 99, 10), "middle": middle,
                   **{f"end{number}": register(site, 11, 100 + number) for number, site in enumerate(sinks)},
                   # There are logic tiles everywhere.
                   **{f"tile{x}": lut(f"X{x}/Y2/SLICEA.K0", [], 200 + x) for x in range(61)}, **more})


def copied(placed: Design, delays: CellDelays, period_ps: float = PERIOD_PS) -> tuple[int, Placement]:
    placement = Placement(placed, "top")
    before = sites(placed)
    made = copy_far_drivers(placement, Timing(placement, delays), period_ps)
    again = placement.read_again({})
    assert all_allowed(again.cells, again.grid)
    assert {name: site for name, site in sites(placed).items() if name in before} == before
    assert len(again.names) == len(before) + made
    return made, again


def driver_of(placement: Placement, name: str, port: str = "M") -> str:
    (net,) = placement.connections(placement.names.index(name))[port]
    return placement.names[placement.drivers[net][0]]


def test_each_group_of_slow_sinks_has_a_lut_of_its_own_and_all_else_the_original(delays: CellDelays) -> None:
    sinks = ["X28/Y1/SLICEA.FF0", "X58/Y1/SLICEA.FF0", "X57/Y1/SLICEA.FF0", "X0/Y1/SLICEA.FF0",
             "X30/Y60/SLICEA.FF0"]
    made, placement = copied(fan(*sinks), delays)
    drivers = [driver_of(placement, f"end{number}") for number in range(5)]
    assert made == 2 == len({*drivers}) - 1
    assert drivers[0] == drivers[1] == drivers[2] == "middle"
    x, y = ([int(place[placement.names.index(driver)]) for driver in drivers[3:]]
            for place in (placement.cells.x, placement.cells.y))
    assert (x[0], x[1]) == (0, 30) and abs(y[0] - 1) <= 1 and y[1] == 60


def test_a_copy_is_the_same_lut_of_the_same_inputs(delays: CellDelays) -> None:
    placed = fan("X0/Y1/SLICEA.FF0", "X60/Y1/SLICEA.FF0")
    copied(placed, delays)
    cells = placed["modules"]["top"]["cells"]
    copy = cells[next(name for name in cells if "$copy" in name)]
    original = cells["middle"]
    assert copy["parameters"] == original["parameters"] == {"INIT": "1000"}
    assert {port: bits for port, bits in copy["connections"].items() if port != "F"} == {"A": [10], "B": [20]}
    assert copy["connections"]["F"] != original["connections"]["F"] == [11]
    nets = placed["modules"]["top"]["netnames"]
    assert [net["bits"] for net in nets.values()] == [copy["connections"]["F"]]


@pytest.mark.parametrize("period_ps, sinks", [
    (20_000, ["X0/Y1/SLICEA.FF0", "X60/Y1/SLICEA.FF0"]),      # fast enough
    (PERIOD_PS, ["X60/Y1/SLICEA.FF0"]),                       # one sink
    (PERIOD_PS, ["X60/Y1/SLICEA.FF0", "X50/Y1/SLICEA.FF0"]),  # one group
    (PERIOD_PS, ["X60/Y1/SLICEA.FF0", "X28/Y1/SLICEA.FF0"]),  # one slow group
])
def test_what_gains_nothing_has_none(period_ps: float, sinks: list[str], delays: CellDelays) -> None:
    assert copied(fan(*sinks), delays, period_ps)[0] == 0


def test_what_is_not_a_plain_lut_has_none(delays: CellDelays) -> None:
    placed = fan("X0/Y1/SLICEA.FF0", "X60/Y1/SLICEA.FF0")
    placed["modules"]["top"]["cells"]["middle"]["parameters"]["MODE"] = "CCU2"
    assert copied(placed, delays)[0] == 0


def test_a_sink_in_the_same_slice_keeps_the_original(delays: CellDelays) -> None:
    own = register("X30/Y1/SLICEA.FF0", 11, 50, by_lut=True)
    _, placement = copied(fan("X0/Y1/SLICEA.FF0", "X60/Y1/SLICEA.FF0", own=own), delays)
    assert driver_of(placement, "own", "DI") == "middle"


def test_without_a_free_place_nearby_there_is_none(delays: CellDelays) -> None:
    placed = fan("X0/Y1/SLICEA.FF0", "X60/Y1/SLICEA.FF0")
    cells = placed["modules"]["top"]["cells"]
    for number, (x, half) in enumerate((x, half) for x in range(61) for half in range(8)):
        cells.pop(f"tile{x}", None)
        if x != 30:
            cells[f"full{number}"] = lut(f"X{x}/Y1/SLICE{'ABCD'[half // 2]}.K{half % 2}", [], 1000 + number)
    assert copied(placed, delays)[0] == 0
