"""synth.placing: what does not fit is not placed, who gets no better is stopped, another placer tries."""

from pathlib import Path

import pytest

from hdl.config import PRESETS
from synth import placing
from synth.flow import Progress, Request, synthesize
from synth.placement import Placement
from synth.scripts import DESIGN_JSON, TOP
from synth.targets import TARGETS
from synth.tools import ToolFailed, run_tool
from tests.test_synth_flow import Heard


def test_another_way_to_place_or_to_pack_is_another_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(target: str = "ecp5-25k", pins: str = "") -> str:
        command = placing.place_command(TARGETS[target], TARGETS[target].speed, 50, 1)
        return placing.placed_key("netlist", TARGETS[target], command, pins)

    keys = [key(), key("ecp5-45k"), key(pins="LOCATE")]
    for name, other in (("pack_command", lambda target: ("ecppack", [])), ("_ROUTING", ()),
                        ("tool_versions", lambda family: {})):
        with monkeypatch.context() as patch:
            patch.setattr(placing, name, other)
            keys.append(key())
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("used, failure", [(24_769, "nextpnr was stopped: TRELLIS_COMB: 24769/24288"),
                                           (9, None)])
def test_a_design_that_needs_more_than_there_is_is_not_placed(used: int, failure: str | None,
                                                              monkeypatch: pytest.MonkeyPatch,
                                                              tmp_path: Path) -> None:
    heard = Heard()

    def counts(name, arguments, folder, log, tell, silence) -> None:
        for line in ("Info: Device utilisation:", f"Info: TRELLIS_COMB: {used}/24288 9%",
                     "Info: DCCA: 1/56 1%", "Info: Creating initial placement", "Info: done"):
            tell(line)

    monkeypatch.setattr(placing, "run_tool", counts)
    assert placing.run_place(("nextpnr", []), tmp_path, heard) == (failure and f"{failure} 9%")
    assert heard.lines == (4 if failure else 5)   # all that it counts is heard


@pytest.mark.parametrize("gives_up", ["router", "silence", "fill", "size"])
@pytest.mark.parametrize("remaining, failure", [
    ([900, *[950] * 59, 899, 0], None),
    ([900, *[950] * 60, 0], "it cannot be routed, 900 connections are to be made at best, after 61,000"),
    ([100_000, *range(5000, 4401, -1), 0], None),
    ([100_000, *range(5000, 4398, -1), 0],
     "it cannot be routed, 4,400 connections are to be made at best, after 602,000")])
def test_where_the_better_placer_leads_to_nothing_the_other_one_tries(
        remaining: list[int], failure: str | None, gives_up: str, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    def works(name, arguments, folder, log, tell, silence) -> None:
        places = arguments[-3:-1] == ["--no-route", "--sdf"]
        if places:
            (folder / arguments[-1]).touch()
        if "heap" in arguments:
            if gives_up == "silence":
                raise ToolFailed("it wrote nothing", ["ERROR"])
            if gives_up in ("fill", "size"):
                use = {"fill": "19431/24288 80%", "size": "40001/83640 47%"}[gives_up]
                for line in ("TRELLIS_FF: 9/24288 0%", f"TRELLIS_COMB: {use}", "DCCA: 1/56 1%"):
                    tell(f"Info: {line}")
                tell("Info: Creating initial placement")
            elif places:
                return
            for number in range(100):
                tell(f"Info: {number + 1:>10} |  5545      31454 |  -52   848 | 3000|      0.64     42.52|")
            raise AssertionError("it was not stopped")
        if places:
            return
        assert arguments == ["--json", "placed.json", "--seed", "1", "--placer", "static",
                             "--placer-heap-timingweight", "20", "--router", "router1", "--no-pack",
                             "--no-place"]
        for number, arcs in enumerate(remaining):
            tell(f"Info: {number + 1:>10} |     5545      31454 |  -52   848 | {arcs}|      0.64     42.52|")

    heard = Heard()
    monkeypatch.setattr(placing, "run_tool", works)
    monkeypatch.setattr("synth.refining.refine", lambda *given: None)
    heap = ["--placer", "heap", "--placer-heap-timingweight", "20"]
    options = ["--json", DESIGN_JSON, "--seed", "1", *heap, "--router", "router1"]
    found = placing.run_place(("nextpnr", options), tmp_path, heard)
    assert found == (failure and f"nextpnr was stopped: {failure}")
    assert [stage for stage in heard.stages if "full parts" in stage] == [
        "place and route, with the placer for full parts and large designs"]


def test_what_is_placed_is_refined_before_it_is_routed(monkeypatch: pytest.MonkeyPatch,
                                                       tmp_path: Path) -> None:
    heard, steps = Heard(), []

    def works(name, arguments, folder, log, tell, silence) -> None:
        steps.append((log, arguments[arguments.index("--json") + 1]))
        if "--no-route" in arguments:
            (folder / arguments[-1]).write_text("delays")

    def refines(placed: Path, sdf: Path, top: str, seed: int, tell) -> None:
        assert (placed, sdf.read_text(), seed) == (tmp_path / "placed.json", "delays", 7)
        steps.append(("refine", ""))

    monkeypatch.setattr(placing, "run_tool", works)
    monkeypatch.setattr("synth.refining.refine", refines)
    command = placing.place_command(TARGETS["ecp5-25k"], "6", 50, 7)
    assert placing.run_place(command, tmp_path, heard) is None
    assert steps == [("place.log", DESIGN_JSON), ("refine", ""), ("route.log", "placed.json")]
    assert heard.stages == ["better places", "routing"]
    assert not list(tmp_path.iterdir())   # the delays, of the size of the design, are gone


@pytest.mark.parametrize("block", ["multiplier", "accumulator", "lane_store"])
def test_a_design_that_is_read_again_is_configured_as_before(block: str, tmp_path: Path) -> None:
    """What the bitstream says of cells, pads and clocks; wires are not routed here."""
    target = TARGETS["ecp5-25k"]
    netlist = synthesize(Request(PRESETS["tiny"], target, "6", 50, block), Progress())
    (tmp_path / DESIGN_JSON).write_bytes(netlist.design.read_bytes())
    (tmp_path / placing.PINS).write_text("")
    name, options = placing.place_command(target, "6", 50, 1)
    again = [placing.PLACED_JSON if option == DESIGN_JSON else option for option in options]
    found = []
    for words in (options, [*again, "--no-pack", "--no-place"]):
        if found:
            Placement.read(tmp_path / placing.PLACED_JSON, TOP).write(tmp_path / placing.PLACED_JSON)
        run_tool(name, [*words, "--no-route"], tmp_path, "log", lambda line: None)
        lines = (tmp_path / "placed.config").read_text().splitlines()
        found.append(sorted(line for line in lines if not line.startswith("arc:")))
    assert found[0] == found[1] and len(found[0]) > 100
