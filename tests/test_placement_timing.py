"""synth.placement_timing: paths of a placed design, as long as a hand works them out."""

from pathlib import Path

import numpy as np
import pytest

from synth.placement import Placement
from synth.placement_timing import CellDelays, Timing, wire_ps
from tests.placements import cell, design, lut, register

SDF = """(DELAYFILE
  (CELL (CELLTYPE "top")
    (INSTANCE )
  )
  (CELL
    (CELLTYPE "TRELLIS_FF")
    (INSTANCE first)
    (DELAY
      (ABSOLUTE
        (IOPATH CLK Q (430:477:525) (430:477:525))
      )
    )
    (TIMINGCHECK
      (SETUPHOLD (posedge M) (posedge CLK) (1:2:10) (233:268:303))
      (SETUPHOLD (negedge M) (posedge CLK) (1:2:20) (233:268:303))
      (SETUPHOLD (posedge CE) (posedge CLK) (1:2:30) (233:268:303))
      (SETUPHOLD (posedge DI) (posedge CLK) (0:0:0) (267:285:303))
    )
  )
  (CELL
    (CELLTYPE "TRELLIS_COMB")
    (INSTANCE between)
    (DELAY
      (ABSOLUTE
        (IOPATH A F (200:218:236) (200:218:236))
      )
    )
  )
  (CELL
    (CELLTYPE "MULT18X18D")
    (INSTANCE slow\\[0\\])
    (DELAY
      (ABSOLUTE
        (IOPATH A0 P0 (2909:3418:3927) (2909:3418:3927))
      )
    )
  )
)
"""


@pytest.fixture
def delays(tmp_path: Path) -> CellDelays:
    (tmp_path / "delays.sdf").write_text(SDF)
    return CellDelays(tmp_path / "delays.sdf")


def by_names(placement: Placement, timing: Timing, values: np.ndarray) -> dict[tuple[str, str], float]:
    """Of each connection."""
    names = placement.names
    return {(names[source], names[sink]): value for source, sink, value in
            zip(timing.sources, timing.sinks, values, strict=True)}


def slowest(placement: Placement, delays: CellDelays) -> dict[tuple[str, str], float]:
    timing = Timing(placement, delays)
    return by_names(placement, timing, timing.slowest())


def shares(placement: Placement, delays: CellDelays, exponent: float) -> dict[tuple[str, str], float]:
    timing = Timing(placement, delays)
    return by_names(placement, timing, timing.shares(exponent, timing.slowest().max()))


@pytest.mark.parametrize("distance, expected", [((0, 0), 0), ((-1, 0), 206), ((0, 1), 260), ((-3, 1), 519),
                                                ((9, -12), 1451), ((0, 224), 12_790)])
def test_a_wire_takes_what_was_measured(distance: tuple[int, int], expected: float) -> None:
    assert wire_ps(*distance) == expected


def test_a_path_takes_the_time_of_its_cells_and_wires(delays: CellDelays) -> None:
    placement = Placement(design({
        "start": register("X1/Y1/SLICEA.FF0", 99, 10), "one": lut("X2/Y1/SLICEA.K0", [10], 11),
        "two": lut("X2/Y3/SLICEA.K0", [11], 12), "end": register("X5/Y3/SLICEA.FF0", 12, 13),
        "near": register("X1/Y1/SLICEB.FF0", 10, 14)}), "top")
    whole = 525 + (206 + 680) + 236 + (321 + 680) + 236 + (384 + 450) + 20
    found = slowest(placement, delays)
    assert found == {("start", "one"): whole, ("one", "two"): whole, ("two", "end"): whole,
                     ("start", "near"): 525 + 450 + 20}


@pytest.mark.parametrize("exponent", [0.0, 12.0, 60.0])
def test_a_connection_has_the_share_of_all_its_paths(delays: CellDelays, exponent: float) -> None:
    """Two registers, a LUT, and three registers that hear it: six paths."""
    placement = Placement(design({
        "here": register("X1/Y1/SLICEA.FF0", 99, 10), "there": register("X9/Y1/SLICEA.FF0", 98, 20),
        "one": lut("X2/Y1/SLICEA.K0", [10], 11), "two": lut("X3/Y1/SLICEA.K0", [11, 20], 12),
        **{f"end{x}": register(f"X{x}/Y2/SLICEA.FF0", 12, 100 + x) for x in (2, 4, 30)}}), "top")
    delays._through["TRELLIS_COMB", "B"] = {"F": 236}
    comes = {"here": 525 + (wire_ps(1, 0) + 680) + 236 + (wire_ps(1, 0) + 680) + 236,
             "there": 525 + (wire_ps(6, 0) + 680) + 236}
    goes = {x: wire_ps(x - 3, 1) + 450 + 20 for x in (2, 4, 30)}
    paths = {(start, end): before + behind for start, before in comes.items() for end, behind in goes.items()}
    slowest = max(paths.values())
    share = {path: np.exp(exponent * (time - slowest) / slowest) for path, time in paths.items()}
    of_start = {start: sum(share[start, end] for end in goes) for start in comes}
    assert shares(placement, delays, exponent) == pytest.approx({
        ("here", "one"): of_start["here"], ("one", "two"): of_start["here"],
        ("there", "two"): of_start["there"],
        **{("two", f"end{end}"): sum(share[start, end] for start in comes) for end in goes}})


def test_what_is_on_no_path_has_no_share(delays: CellDelays) -> None:
    placement = Placement(design({"pad": cell("TRELLIS_IO", "X0/Y1/PIOA", {}, {"O": 10}),
                                  "end": register("X9/Y1/SLICEA.FF0", 10, 11)}), "top")
    assert shares(placement, delays, 12.0) == {("pad", "end"): 0}


def test_an_input_takes_time_of_its_own(delays: CellDelays) -> None:
    enabled = register("X2/Y1/SLICEA.FF0", 99, 12, enable=10)
    placement = Placement(design({"start": register("X1/Y1/SLICEA.FF0", 99, 10), "end": enabled}), "top")
    assert slowest(placement, delays)["start", "end"] == 525 + 206 + 400 + 30


def test_a_carry_passes_the_upper_half_of_its_cell_sooner(tmp_path: Path) -> None:
    def half(number: int, through: int) -> str:
        return (f'(CELL\n(CELLTYPE "TRELLIS_COMB")\n(INSTANCE sum\\$CCU2_COMB{number})\n'
                f"(IOPATH FCI FCO ({through}:{through}:{through}) ({through}:{through}:{through}))\n)\n")

    (tmp_path / "delays.sdf").write_text(half(0, 71) + half(1, 0))
    delays = CellDelays(tmp_path / "delays.sdf")
    assert [delays.through(f"any$CCU2_COMB{number}", "TRELLIS_COMB", "FCI") for number in (0, 1)] == [
        {"FCO": 71}, {"FCO": 0}]


def test_a_register_takes_its_lut_s_output_without_a_wire(delays: CellDelays) -> None:
    placement = Placement(design({
        "start": register("X1/Y1/SLICEA.FF0", 99, 10), "one": lut("X2/Y1/SLICEA.K0", [10], 11),
        "end": register("X2/Y1/SLICEA.FF0", 11, 12, by_lut=True)}), "top")
    assert set(slowest(placement, delays).values()) == {525 + (206 + 680) + 236 + 0}


def test_cells_of_a_type_with_parameters_have_delays_of_their_own(delays: CellDelays) -> None:
    def product(name: str) -> Placement:
        return Placement(design({
            "start": register("X1/Y1/SLICEA.FF0", 99, 10), "end": register("X1/Y1/SLICEB.FF0", 11, 12),
            name: cell("MULT18X18D", "X1/Y1/MULT18_0", {"A0": 10}, {"P0": 11})}), "top")

    whole = 525 + 570 + 3927 + 450 + 20
    assert slowest(product("slow[0]"), delays) == {("start", "slow[0]"): whole, ("slow[0]", "end"): whole}
    assert set(slowest(product("clocked"), delays).values()) == {0}


def test_what_comes_from_outside_has_no_time(delays: CellDelays) -> None:
    placement = Placement(design({"pad": cell("TRELLIS_IO", "X0/Y1/PIOA", {}, {"O": 10}),
                                  "end": register("X9/Y1/SLICEA.FF0", 10, 11)}), "top")
    assert slowest(placement, delays) == {("pad", "end"): 0}


def test_connections_without_a_wire_are_in_no_group(delays: CellDelays) -> None:
    placement = Placement(design({
        "start": register("X1/Y1/SLICEA.FF0", 99, 10), "one": lut("X2/Y1/SLICEA.K0", [10], 11),
        "end": register("X2/Y1/SLICEA.FF0", 11, 12, by_lut=True)}), "top")
    groups = Timing(placement, delays).connections()
    sizes = list(groups.first[1:] - groups.first[:-1])
    assert sorted(sizes) == [0, 2]


def test_pins_are_those_of_the_connections(delays: CellDelays) -> None:
    placement = Placement(design({
        "start": register("X1/Y1/SLICEA.FF0", 99, 10), "one": lut("X2/Y1/SLICEA.K0", [10, 10], 11),
        "end": register("X2/Y1/SLICEA.FF0", 11, 12, by_lut=True)}), "top")
    timing, names = Timing(placement, delays), placement.names
    found = [(pin.net, names[pin.cell], pin.port, names[source], names[sink], bool(by_wire))
             for pin, source, sink, by_wire in
             zip(timing.pins, timing.sources, timing.sinks, timing.by_wire, strict=True)]
    assert found == [(10, "one", "A", "start", "one", True), (10, "one", "B", "start", "one", True),
                     (11, "end", "DI", "one", "end", False)]
