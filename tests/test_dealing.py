"""synth.dealing: block RAMs take the places where their wires are shortest."""

import numpy as np
import pytest

from synth import dealing
from synth.annealing import Problem, net_lengths
from synth.ecp5_sites import Sites
from synth.placement import Placement, grouped
from tests.placements import cell, design, lut

PLACES = [(x, 0, f"X{x}/Y0/EBR{x}") for x in (0, 10, 20)]


@pytest.fixture(autouse=True)
def _one_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dealing, "BLOCKS", ("DP16KD",))


def memory(data: int, output: int) -> dict:
    return cell("DP16KD", "X0/Y0/EBR0", {"A0": data}, {"B0": output})


def dealt(cells: dict, slow: list[tuple[str, str, float]] = ()) -> dict[str, str]:
    """Places by name; of connections in `slow` with their weights."""
    placement = Placement(design(cells), "top")
    number = placement.names.index
    pairs = [[number(source), number(sink)] for source, sink, _ in slow]
    problem = Problem(
        placement.cells, placement.grid, placement.nets, net_lengths(placement.cells, placement.nets),
        grouped(pairs, len(placement.names)), np.array([one for one, _ in pairs], np.int32),
        np.array([other for _, other in pairs], np.int32), placement.movable)
    found = dealing.deal_blocks(placement, problem, np.array([weight for *_, weight in slow]),
                                Sites(np.ones((2, 21), np.bool_), {"DP16KD": PLACES}))
    assert {name: int(placement.cells.x[number(name)]) for name in found} == {
        name: int(place[1:place.index("/")]) for name, place in found.items()}
    return found


def at(x: int, inputs: list[int], output: int) -> dict:
    return lut(f"X{x}/Y1/SLICEA.K0", inputs, output)


def test_a_block_lies_where_its_wires_are_shortest() -> None:
    assert dealt({"near": at(9, [50], 10), "memory": memory(10, 11), "heard": at(12, [11], 12)}) == {
        "memory": "X10/Y0/EBR10"}


def test_of_two_that_want_a_place_the_one_goes_elsewhere_that_loses_less() -> None:
    cells = {"one": at(10, [50], 10), "other": at(10, [50], 20), "far": at(19, [21], 30),
             "stays": memory(10, 11), "goes": memory(20, 21), "heard": at(10, [11], 31)}
    assert dealt(cells) == {"stays": "X10/Y0/EBR10", "goes": "X20/Y0/EBR20"}


@pytest.mark.parametrize("weight, place", [(0.1, "X0/Y0/EBR0"), (9.0, "X20/Y0/EBR20")])
@pytest.mark.parametrize("into", [False, True])
def test_a_slow_connection_counts_by_its_weight(weight: float, place: str, into: bool) -> None:
    cells = {f"near{number}": at(number, [11], 30 + number) for number in range(2)}
    cells |= {"far": at(20, [50], 10) if into else at(20, [11], 40), "near": at(0, [50], 60),
              "memory": memory(10 if into else 60, 11)}
    ends = ("far", "memory") if into else ("memory", "far")
    slow = [(*ends, weight), ("near" if not into else "memory", "memory" if not into else "near0", 1.0)]
    assert dealt(cells, slow)["memory"] == place
