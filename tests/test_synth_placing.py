"""synth.placing: what does not fit is not placed, who gets no better is stopped, another placer tries."""

from pathlib import Path

import pytest

from synth import placing
from synth.targets import TARGETS
from synth.tools import ToolFailed
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
    def routes(name, arguments, folder, log, tell, silence) -> None:
        if "heap" in arguments:
            if gives_up == "silence":
                raise ToolFailed("it wrote nothing", ["ERROR"])
            if gives_up in ("fill", "size"):
                use = {"fill": "19431/24288 80%", "size": "40001/83640 47%"}[gives_up]
                for line in ("TRELLIS_FF: 9/24288 0%", f"TRELLIS_COMB: {use}", "DCCA: 1/56 1%"):
                    tell(f"Info: {line}")
                tell("Info: Creating initial placement")
                raise AssertionError("it was not stopped")
            for number in range(100):
                tell(f"Info: {number + 1:>10} |  5545      31454 |  -52   848 | 3000|      0.64     42.52|")
            raise AssertionError("it was not stopped")
        assert arguments == ["--seed", "1", "--placer", "static", "--placer-heap-timingweight", "20",
                             "--router", "router1"]
        for number, arcs in enumerate(remaining):
            tell(f"Info: {number + 1:>10} |     5545      31454 |  -52   848 | {arcs}|      0.64     42.52|")

    heard = Heard()
    monkeypatch.setattr(placing, "run_tool", routes)
    heap = ["--placer", "heap", "--placer-heap-timingweight", "20"]
    found = placing.run_place(("nextpnr", ["--seed", "1", *heap, "--router", "router1"]), tmp_path, heard)
    assert found == (failure and f"nextpnr was stopped: {failure}")
    assert [stage for stage in heard.stages if "full parts" in stage] == [
        "place and route, with the placer for full parts and large designs"]
