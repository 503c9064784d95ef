"""zerolane.synth_report: what is shown while a build works, and what is left when nobody reads it."""

import io
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hdl.config import PRESETS
from synth.boards.boards import BOARDS
from synth.report import how_it_failed
from synth.targets import TARGETS
from zerolane import synth_report
from zerolane.synth_report import SynthOptions, run_build, run_synth

_LINE = "Info:     185000 |    92734      92265 |  485   485 |     23012|       5.84     329.27|"


def shown(width: int, *, terminal: bool = True) -> tuple[synth_report._Shown, io.StringIO]:
    text = io.StringIO()
    return synth_report._Shown(Console(file=text, width=width, force_terminal=terminal, color_system=None,
                                       legacy_windows=False)), text


@pytest.mark.parametrize("width", [60, 80, 150])
def test_of_a_long_line_only_its_end_is_cut(width: int) -> None:
    progress, text = shown(width)
    with progress:
        progress.stage("place and route, seed 1")
        progress.line(_LINE)
        progress._bar.refresh()
    last = [line for line in text.getvalue().split("\r") if "place and route" in line][-1]
    assert "place and route, seed 1 0:00 of 0:00 Info:" in last
    assert (_LINE in last) == (width == 150)


def test_without_a_terminal_stages_notes_and_a_line_a_minute_are_printed(
        monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress, text = shown(80, terminal=False)
    progress.stage("routing")
    for second in range(1, 131):
        now[0] = 100 + second
        progress.line(f"line {second}")
    progress.note("logs: " + "x" * 100)
    assert text.getvalue().splitlines() == [
        "... 0 s: routing", "... 60 s: line 60", "... 120 s: line 120", "... 130 s: logs: " + "x" * 100]


class NobodyReads(Exception):
    """In place of BrokenPipeError, on which rich closes this process's own output."""


class Closed(io.StringIO):
    """A pipe that nobody reads any more."""

    def write(self, text: str) -> int:
        raise NobodyReads


def record(folder: Path, **more: Any) -> dict[str, Any]:
    (folder / "bitstream.bit").write_bytes(b"bits")
    (folder / "place.log").write_text("placed")
    (folder / "report.json").write_text("{}")
    kinds = {"luts": 5, "registers": 4, "dsps": 0, "brams": 0}
    return {"preset": "tiny", "block": "array", "target": "ecp5-25k", "part": "LFE5U-25F", "speed": "6",
            "seed": 1, "seeds": {"1": 50.0}, "fits": True, "fmax_mhz": 50.0, "clock_mhz": 40.0,
            "short": False, "cells": {}, "older_mapper": False, "critical_path": [], "area": {},
            "log": str(folder),
            "available": asdict(TARGETS["ecp5-25k"].holds), "reason": None, "synthesis_log": str(folder),
            "bitstream": str(folder / "bitstream.bit")} | kinds | more


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept"


def synth(tmp_path: Path, console: Console) -> str | None:
    options = SynthOptions("ecp5-25k", None, None, [1], "array", True, 3, None, tmp_path / "o",
                           tmp_path / "r.json")
    return run_synth(PRESETS["tiny"], options, console, Console(file=io.StringIO()))[1]


def test_files_are_written_also_where_nobody_reads_what_is_printed(
        kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synth_report, "build", lambda *given: record(kept))
    with pytest.raises(NobodyReads):
        synth(tmp_path, Console(file=Closed()))
    assert json.loads((tmp_path / "r.json").read_text())["fmax_mhz"] == 50
    assert (tmp_path / "o" / "bitstream.bit").read_bytes() == b"bits"


def test_a_report_of_what_was_not_routed_is_not_exported(kept: Path, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {"fits": False, "fmax_mhz": None, "bitstream": None, "reason": "it cannot be routed"}
    monkeypatch.setattr(synth_report, "build", lambda *given: record(kept, **failed))
    (kept / "bitstream.bit").unlink(missing_ok=True)
    failure = synth(tmp_path, Console(file=io.StringIO()))
    assert failure is not None and "is not routed: it cannot be routed" in failure
    assert not (tmp_path / "o" / "report.json").exists() and (tmp_path / "o" / "place.log").exists()


@pytest.mark.parametrize("short, reason, said", [
    (True, "too small", "does not fit"), (False, "it cannot be routed", "is not routed"),
    (False, "Failed to find a route for arc 1 of net a.", "is not routed"),
    (False, "it wrote nothing", "is not placed"),
    (False, "Unable to find a placement location for cell 'array.core.router.a'", "is not placed")])
def test_how_far_a_build_came_is_said(short: bool, reason: str, said: str) -> None:
    assert how_it_failed({"short": short, "reason": reason}) == said


def test_a_board_s_bitstream_and_record_are_written_also_where_nobody_reads_what_is_printed(
        kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.boards.build.build_board", lambda *given, **named: record(kept))
    with pytest.raises(NobodyReads):
        run_build(PRESETS["tiny"], BOARDS["ulx3s"], 40, 65536, 1, tmp_path / "x.bit", tmp_path / "r.json",
                  Console(file=Closed()), Console(file=io.StringIO()))
    assert (tmp_path / "x.bit").read_bytes() == b"bits" and (tmp_path / "r.json").exists()


def test_a_netlist_of_the_older_mapper_is_told_of(kept: Path, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr(synth_report, "build", lambda *given: record(kept, older_mapper=True))
    synth(tmp_path, Console(file=text))
    assert "mapped by ABC's older mapper" in text.getvalue()


def test_what_other_seeds_gave_is_told(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    seeds = {"1": 50.0, "2": 48.5, "3": None}
    monkeypatch.setattr(synth_report, "build", lambda *given: record(kept, seeds=seeds))
    synth(tmp_path, Console(file=text))
    assert "Fmax 50.0 MHz, seed 1 (others: 2: 48.5, 3: none)" in text.getvalue()
