"""synth.place_runs: what does not fit is not placed, who gets no better is stopped, other ways are tried."""

import itertools
from pathlib import Path

import pytest

from hdl.config import PRESETS
from synth import moving, place_runs, refining
from synth.flow import Request, synthesize
from synth.moving import NoPlace
from synth.placing import PINS, place_command
from synth.progress import Progress
from synth.readings import read_timing
from synth.scripts import DESIGN_JSON
from synth.targets import TARGETS
from synth.tools import ToolFailed, ToolStopped
from tests.test_synth_flow import Heard


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

    monkeypatch.setattr(place_runs, "run_tool", counts)
    assert place_runs.run_place(("nextpnr", []), tmp_path, heard) == (failure and f"{failure} 9%")
    assert heard.lines == (4 if failure else 5)   # all that it counts is heard


@pytest.mark.parametrize("message", [
    "Unable to place cell 'a.b', no BELs remaining to implement cell type 'DP16KD'",
    "Unable to find legal placement for all cells, design is probably at utilisation limit.",
    "Unable to find a placement location for cell 'a.b'",
    "failed to place chain starting at cell 'a.b'",
    "Failed to expand region (0, 0) |_> (9, 9) of 10 TRELLIS_FFs",
    "Failed to find a route for arc 1 of net a."])
def test_where_the_tool_finds_no_way_the_design_does_not_fit(message: str, monkeypatch: pytest.MonkeyPatch,
                                                             tmp_path: Path) -> None:
    def fails(name, arguments, folder, log, tell, silence) -> None:
        raise ToolFailed(f"nextpnr failed with 1: ERROR: {message}", [f"ERROR: {message}", "1 error"])

    monkeypatch.setattr(place_runs, "run_tool", fails)
    assert message in str(place_runs.run_place(("nextpnr", []), tmp_path, Heard()))


@pytest.mark.parametrize("lines", [
    ["ERROR: package does not have a pin named '99'"], ["ERROR: cannot place differential IO at location X0"],
    ["terminate called after throwing an instance of 'std::bad_alloc'"], []])
def test_any_other_error_is_none_of_the_designs_size(lines: list[str], monkeypatch: pytest.MonkeyPatch,
                                                     tmp_path: Path) -> None:
    def fails(name, arguments, folder, log, tell, silence) -> None:
        raise ToolFailed("nextpnr failed with 1", lines)

    monkeypatch.setattr(place_runs, "run_tool", fails)
    with pytest.raises(ToolFailed, match="failed with 1"):
        place_runs.run_place(("nextpnr", []), tmp_path, Heard())


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
        (folder / log).touch()
        places = arguments[-3:-1] == ["--no-route", "--sdf"]
        if places:
            (folder / arguments[-1]).touch()
        if "heap" in arguments:
            if gives_up == "silence":
                raise ToolStopped("it wrote nothing")
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
        assert arguments == ["--json", "placed.json", "--seed", "1", "--freq", "50", "--placer", "static",
                             "--placer-heap-timingweight", "20", "--router", "router1", "--no-pack",
                             "--no-place", "--sdf", "routed.sdf"]
        for number, arcs in enumerate(remaining):
            tell(f"Info: {number + 1:>10} |     5545      31454 |  -52   848 | {arcs}|      0.64     42.52|")

    heard = Heard()
    monkeypatch.setattr(place_runs, "run_tool", works)
    monkeypatch.setattr("synth.refining.refine", lambda *given: 0)
    monkeypatch.setattr(place_runs, "correct_report", lambda *given: None)
    heap = ["--placer", "heap", "--placer-heap-timingweight", "20"]
    options = ["--json", DESIGN_JSON, "--seed", "1", "--freq", "50", *heap, "--router", "router1"]
    found = place_runs.run_place(("nextpnr", options), tmp_path, heard)
    assert found == (failure and f"nextpnr was stopped: {failure}")
    assert [stage for stage in heard.stages if "full parts" in stage] == [
        "place and route, with the placer for full parts and large designs"]


def test_what_is_placed_is_refined_before_it_is_routed(monkeypatch: pytest.MonkeyPatch,
                                                       tmp_path: Path) -> None:
    heard, steps = Heard(), []

    def works(name, arguments, folder, log, tell, silence) -> None:
        steps.append((log, arguments[arguments.index("--json") + 1]))
        (folder / arguments[arguments.index("--sdf") + 1]).write_text(log)

    def corrects(report: Path, routed: Path, packed: Path) -> None:
        assert (report, routed.read_text(), packed.read_text()) == (
            tmp_path / "report.json", "route.log", "place.log")
        steps.append(("correct", ""))

    def refines(placed: Path, slow: Path, sdf: Path, size: str, top: str, seed: int, period_ps: float,
                tell) -> int:
        assert (placed, slow, sdf.read_text(), size, seed, period_ps) == (
            tmp_path / "placed.json", tmp_path / "slow.json", "place.log", "--25k", 7, 20_000)
        steps.append(("refine", ""))
        return 0

    monkeypatch.setattr(place_runs, "run_tool", works)
    monkeypatch.setattr("synth.refining.refine", refines)
    monkeypatch.setattr(place_runs, "correct_report", corrects)
    command = place_command(TARGETS["ecp5-25k"], "6", 50, 7)
    assert place_runs.run_place(command, tmp_path, heard) is None
    assert steps == [("place.log", DESIGN_JSON), ("refine", ""), ("route.log", "placed.json"),
                     ("correct", "")]
    assert heard.stages == ["better places", "routing"]
    assert not list(tmp_path.iterdir())   # the delays, of the size of the design, are gone


@pytest.mark.parametrize("finds", [True, False])
def test_slow_connections_are_routed_first_and_again_with_all_where_that_leads_to_nothing(
        finds: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    heard, steps = Heard(), []

    def works(name, arguments, folder, log, tell, silence) -> None:
        after = dict(itertools.pairwise(arguments))
        written = after.get("--write")
        steps.append((log, after["--json"], written, [word for word in arguments if word in (
            "--report", "--textcfg", "--sdf")]))
        if "--no-place" not in arguments:
            (folder / after["--sdf"]).touch()
        elif log == "route.log" and not finds and ("keep", "") == steps[-2]:
            raise ToolFailed("nextpnr failed with 1", ["ERROR: Routing design failed."])

    def refines(placed: Path, slow: Path, *given) -> int:
        slow.touch()
        return 1234

    monkeypatch.setattr(place_runs, "run_tool", works)
    monkeypatch.setattr("synth.refining.refine", refines)
    for does in ("keep", "forget"):
        monkeypatch.setattr(f"synth.first_routes.{does}_routes",
                            lambda *files, does=does: steps.append((does, "")))
    monkeypatch.setattr(place_runs, "correct_report", lambda *given: None)
    assert place_runs.run_place(place_command(TARGETS["ecp5-25k"], "6", 50, 7), tmp_path, heard) is None
    whole = ("route.log", "placed.json", "placed.json", ["--report", "--textcfg", "--sdf"])
    again = [] if finds else [("forget", ""), whole]
    assert steps[1:] == [("route_slow.log", "slow.json", "slow.json", []), ("keep", ""), whole, *again]
    assert heard.stages == ["better places", "routing, 1,234 slow connections first", "routing",
                            *([] if finds else ["routing, with no routes kept"])]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("used", [20_000, 22_011])
def test_what_nearly_fills_a_part_is_placed_on_a_larger_one_and_moves(
        used: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """At once, where the second placer would find no place either."""
    heard, steps = Heard(), []
    command = place_command(TARGETS["ecp5-25k"], "6", 50, 7)

    def works(name, arguments, folder, log, tell, silence) -> None:
        (folder / log).touch()
        after = dict(itertools.pairwise(arguments))
        steps.append((log, arguments[0], after["--placer"], after["--json"], after["--write"],
                      [word for word in arguments if word.startswith("--no-")]))
        assert ("--lpf" in arguments) == (arguments[0] == "--25k") and after["--package"] == "CABGA381"
        if "--no-place" in arguments and "--no-pack" not in arguments:
            assert not {"--textcfg", "--report"} & {*arguments}   # nextpnr fails with them
        if "--sdf" in arguments:
            (folder / after["--sdf"]).touch()
        (folder / after["--write"]).touch()
        if arguments[0] == "--25k":
            tell(f"Info: TRELLIS_COMB: {used}/24288 {used // 243}%")
        tell("Info: Creating initial placement")
        if arguments[0] == "--25k" and after["--placer"] == "static" and "--sdf" in arguments and (
                after["--json"] == DESIGN_JSON):
            raise ToolStopped("it wrote nothing")

    def moves(larger: Path, packed: Path, size: str, top: str, seed: int, tell) -> None:
        assert (larger.name, packed.name, size, seed) == ("larger.json", "placed.json", "--25k", 7)
        assert larger.exists() and packed.exists()

    monkeypatch.setattr(place_runs, "run_tool", works)
    monkeypatch.setattr("synth.moving.move", moves)
    monkeypatch.setattr("synth.refining.refine", lambda *given: 0)
    monkeypatch.setattr(place_runs, "correct_report", lambda *given: None)
    assert place_runs.run_place(command, tmp_path, heard) is None
    tries = [("place.log", "--25k", "static", DESIGN_JSON, "placed.json", ["--no-route"])]
    assert steps[1:] == (tries if used == 20_000 else []) + [
        ("larger.log", "--45k", "static", DESIGN_JSON, "larger.json", ["--no-route"]),
        ("place.log", "--25k", "heap", DESIGN_JSON, "placed.json", ["--no-place", "--no-route"]),
        ("place_pads.log", "--25k", "heap", "placed.json", "placed.json", ["--no-pack", "--no-route"]),
        ("route.log", "--25k", "heap", "placed.json", "placed.json", ["--no-pack", "--no-place"])]
    logs = {log for log, *_ in steps} | ({"place_first.log"} if used == 20_000 else set())
    assert {path.name for path in tmp_path.iterdir()} == {"placed.json", *logs} <= {
        "placed.json", *place_runs.LOGS}


def test_a_design_that_finds_no_places_on_its_part_is_told(monkeypatch: pytest.MonkeyPatch,
                                                           tmp_path: Path) -> None:
    def works(name, arguments, folder, log, tell, silence) -> None:
        if arguments[0] == "--25k":
            tell("Info: TRELLIS_COMB: 24000/24288 98%")
        tell("Info: Creating initial placement")
        (folder / arguments[arguments.index("--write") + 1]).touch()
        if "--sdf" in arguments:
            (folder / arguments[arguments.index("--sdf") + 1]).touch()

    def moves(*given) -> None:
        raise NoPlace("9 of 10 groups of cells found no place")

    monkeypatch.setattr(place_runs, "run_tool", works)
    monkeypatch.setattr("synth.moving.move", moves)
    command = place_command(TARGETS["ecp5-25k"], "6", 50, 7)
    assert place_runs.run_place(command, tmp_path, Heard()) == "9 of 10 groups of cells found no place"
    assert [path.name for path in tmp_path.iterdir()] == ["placed.json"]


def test_there_is_no_larger_part_than_the_largest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def works(name, arguments, folder, log, tell, silence) -> None:
        (folder / log).touch()
        tell("Info: TRELLIS_COMB: 80000/83640 95%")
        tell("Info: Creating initial placement")
        assert "heap" not in arguments

    monkeypatch.setattr(place_runs, "run_tool", works)
    command = place_command(TARGETS["ecp5-85k"], "6", 50, 7)
    assert "80000/83640" in str(place_runs.run_place(command, tmp_path, Heard()))


@pytest.mark.parametrize("block", ["accumulator", "lane_store"])
def test_a_block_moves_from_part_to_part_with_the_tools_themselves(
        block: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    target = TARGETS["ecp5-25k"]
    netlist = synthesize(Request(PRESETS["tiny"], target, "6", 50, block), Progress())
    (tmp_path / DESIGN_JSON).write_bytes(netlist.design.read_bytes())
    (tmp_path / PINS).write_text("")
    monkeypatch.setattr(moving, "_ROUNDS", 20)
    monkeypatch.setattr(refining, "_ROUNDS", 20)
    monkeypatch.setattr(place_runs, "_FULL", 0.0)
    monkeypatch.setattr(place_runs, "_NEARLY_FULL", 0.0)
    heard = Heard()
    assert place_runs.run_place(place_command(target, "6", 50, 1), tmp_path, heard) is None
    assert [stage for stage in heard.stages if not stage.startswith("routing,")] == [
        "place and route, by way of a larger part, 45k", "moving to the part", "better places", "routing"]
    timing = read_timing((tmp_path / "report.json").read_text())
    assert timing is not None and timing.fmax_mhz > 50
    assert "LFE5U-25F" in (tmp_path / "placed.config").read_text()
