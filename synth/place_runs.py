"""nextpnr's runs, one after another, from a netlist to a routed design.

ECP5 designs are placed, by way of a larger part where they nearly fill their own (see `moving`), then refined
(see `refining`), then routed; the tools for other families place and route at once.
"""

import re
from pathlib import Path

from .progress import Progress
from .readings import remaining_line, use_line
from .routed_timing import correct_report
from .scripts import DESIGN_JSON, TOP
from .tools import ToolFailed, ToolStopped, run_tool

__all__ = ["BY_TIMING", "LOGS", "PLACED_JSON", "PLACE_LOG", "REPORT", "found_no_route", "run_place"]

PLACED_JSON, PLACE_LOG = "placed.json", "place.log"
REPORT = "report.json"
_FIRST_LOG, _PADS_LOG = "place_first.log", "place_pads.log"
"""Of the first placer where another one had its turn, and of the last step of a move."""
_ROUTE_LOG, _DELAYS, _ROUTED_DELAYS = "route.log", "delays.sdf", "routed.sdf"
_LARGER_JSON, _LARGER_LOG = "larger.json", "larger.log"
_SLOW_JSON, _SLOW_LOG = "slow.json", "route_slow.log"
LOGS = (_FIRST_LOG, _LARGER_LOG, PLACE_LOG, _PADS_LOG, _SLOW_LOG, _ROUTE_LOG)
"""Of those runs that there were."""
_NO_ROUTE = r"cannot be routed|failed to (find a route|route)|unrouted arcs|routing design failed"
"""What is said where there are places and no routes, by nextpnr, or where the flow stops its router."""
_NO_WAY = re.compile(rf"(?i)unable to (place|find (a |legal )?placement)|failed to (place|expand)"
                     rf"|{_NO_ROUTE}")
"""What nextpnr says where it finds no places or no routes. Any other error is none of the design's size."""
_THOUSAND = 1000
"""Connections that the router makes from one line to the next."""
_REROUTED = 60
"""Thousands of connections that the router makes again without less to do than ever before."""
_MOST_ROUNDS = 6
"""Times that the router makes as many connections as there are. Where it came to an end it took two to
three, on a nearly full part four; from nextpnr's own places `small` on the 25F had a quarter left after six.
"""
_SILENCE_SECONDS = 600
"""Of a placer, which looks for a legal place of a cell without a word and without an end."""
BY_TIMING, _BY_DENSITY = "heap", "static"
"""Of nextpnr's placers the one that looks at delays, and the one that copes with a nearly full
part, and with much."""
_LOGIC, _FULL, _MANY = "TRELLIS_COMB", 0.8, 20_000
"""From this part of ECP5's LUTs on the first one has not found a place for every cell in any time. With so
many it leaves a fifth more wire: of `small` the router makes the last thousands in half a minute each and
more, where after the other one it ends in six minutes, at as high a clock."""
_NEARLY_FULL = 0.83
"""From this part of the LUTs on the second one finds no allowed place for every cell: 20 minutes of work
on `small` on the 25F, 88 to 91 %, led to nothing, ten on an earlier `lean64` on the 45F, 85 %; 73 % did not
trouble it."""
_LARGER = {"12k": "45k", "25k": "45k", "45k": "85k"}
"""Parts on which what nearly fills one is placed first."""
_LARGER_PACKAGE = "CABGA381"
"""There is one of every size."""


def run_place(command: tuple[str, list[str]], folder: Path, progress: Progress) -> str | None:
    """Run nextpnr; what it says where the design does not fit, None where it does. ToolMissing, ToolFailed.

    It counts what is used before it places, and tries for minutes to place more than there is: it is stopped
    then. So are routers, which have no end of their own, where they do not get better any more or have tried
    for long, and a placer that does not find a place for a cell, which says nothing at all. Where ECP5's
    better placer leads to nothing, or the part is nearly full, or the design large, the other one has its
    turn; where that does not either, or could not, it places on a larger part, and the design moves.
    """
    name, options = command
    try:
        return _place_and_route(command, folder, progress)
    except _GivenUp as error:
        why = error
    if BY_TIMING not in options:
        return str(why)
    if not why.nearly_full:
        progress.stage("place and route, with the placer for full parts and large designs")
        (folder / PLACE_LOG).rename(folder / _FIRST_LOG)
        try:
            return _place_and_route((name, _by_density(options)), folder, progress)
        except _GivenUp as error:
            why = error
    larger = _larger_part(options[0])
    if larger is None:
        return str(why)
    progress.stage(f"place and route, by way of a larger part, {larger.removeprefix('--')}")
    try:
        return _move_and_route(command, larger, folder, progress)
    except _GivenUp as error:
        return str(error)


def found_no_route(failure: str) -> bool:
    """What `run_place` says is of a design that was placed. Names of cells may stand in it, too."""
    return re.search(_NO_ROUTE, failure, re.IGNORECASE) is not None


def _larger_part(size: str) -> str | None:
    """nextpnr's option for it."""
    prefix, _, kilo = size.rpartition("-")
    return f"{prefix}-{_LARGER[kilo]}" if kilo in _LARGER else None


def _place_and_route(command: tuple[str, list[str]], folder: Path, progress: Progress) -> str | None:
    name, options = command
    if "--placer" not in options:
        return _run_placer(command, folder, progress, PLACE_LOG)
    failure = _run_placer((name, [*options, "--no-route", "--sdf", _DELAYS]), folder, progress, PLACE_LOG)
    return failure or _refine_and_route(command, folder, progress)


def _move_and_route(command: tuple[str, list[str]], larger: str, folder: Path,
                    progress: Progress) -> str | None:
    from .moving import NoPlace, move

    name, options = command
    # A design without places has no configuration, and no report.
    unplaced = _without(options, "--report", "--textcfg")
    elsewhere = _without(_by_density(unplaced), "--lpf", "--package", "--write")
    elsewhere[0] = larger
    failure = _run_placer((name, [*elsewhere, "--package", _LARGER_PACKAGE, "--write", _LARGER_JSON,
                                  "--sdf", _DELAYS, "--no-route"]), folder, progress, _LARGER_LOG)
    if failure is not None:
        return failure
    failure = _run_placer((name, [*unplaced, "--no-place", "--no-route"]), folder, progress, PLACE_LOG)
    if failure is not None:
        return failure
    progress.stage("moving to the part")
    on_larger = folder / _LARGER_JSON
    try:
        move(on_larger, folder / PLACED_JSON, options[0], TOP, _seed(options), progress.line)
    except NoPlace as error:
        (folder / _DELAYS).unlink()
        raise _GivenUp(str(error)) from None
    finally:
        on_larger.unlink()
    # What is no logic, as pads, gets its place from the tool: its second placer would not end with so little.
    failure = _run_placer((name, [*_read_again(options), "--no-pack", "--no-route"]), folder, progress,
                          _PADS_LOG)
    return failure or _refine_and_route(command, folder, progress)


def _refine_and_route(command: tuple[str, list[str]], folder: Path, progress: Progress) -> str | None:
    # Here: what it needs takes a second to import, and every other command would wait for it.
    from .first_routes import forget_routes, keep_routes
    from .refining import refine

    name, options = command
    progress.stage("better places")
    placed, slow, delays, routed = (folder / file for file in (PLACED_JSON, _SLOW_JSON, _DELAYS,
                                                               _ROUTED_DELAYS))
    routing = [*_read_again(options), "--no-pack", "--no-place"]

    def route() -> str | None:
        failure = _run_placer((name, [*routing, "--sdf", _ROUTED_DELAYS]), folder, progress, _ROUTE_LOG)
        if failure is None:
            correct_report(folder / REPORT, routed, delays)
        return failure

    try:
        count = refine(placed, slow, delays, options[0], TOP, _seed(options), 1e6 / _frequency(options),
                       progress.line)
        if count:
            progress.stage(f"routing, {count:,} slow connections first")
            alone = _without(routing, "--json", "--report", "--textcfg", "--write")
            alone += ["--json", _SLOW_JSON, "--write", _SLOW_JSON]
            _run_placer((name, alone), folder, progress, _SLOW_LOG)
            keep_routes(slow, placed, TOP)
        progress.stage("routing")
        try:
            return route()
        except _GivenUp:
            if not count:
                raise
            progress.stage("routing, with no routes kept")
            forget_routes(placed, TOP)
            return route()
    finally:
        delays.unlink()
        for file in (slow, routed):
            file.unlink(missing_ok=True)


def _by_density(options: list[str]) -> list[str]:
    return [_BY_DENSITY if option == BY_TIMING else option for option in options]


def _seed(options: list[str]) -> int:
    return int(options[options.index("--seed") + 1])


def _frequency(options: list[str]) -> float:
    return float(options[options.index("--freq") + 1])


def _read_again(options: list[str]) -> list[str]:
    return [PLACED_JSON if option == DESIGN_JSON else option for option in options]


def _without(options: list[str], *names: str) -> list[str]:
    """Options without these, each of which has a value."""
    left = list(options)
    for name in names:
        if name in left:
            place = left.index(name)
            del left[place:place + 2]
    return left


class _GivenUp(Exception):
    """A placer or a router found no way."""

    def __init__(self, message: str, nearly_full: bool = False):
        super().__init__(message)
        self.nearly_full = nearly_full


def _run_placer(command: tuple[str, list[str]], folder: Path, progress: Progress, log: str) -> str | None:
    places_all = BY_TIMING in command[1] and not {"--no-pack", "--no-place"} & {*command[1]}
    short: list[str] = []
    full: list[str] = []
    fill = 0.0
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
        nonlocal fill
        progress.line(line)
        stop_stuck_router(line)
        use = use_line(line)
        if use is not None and use[0] > use[1]:
            short.append(line)
        elif use is not None and _LOGIC in line and use[0] > min(_FULL * use[1], _MANY):
            full.append(line)
            fill = use[0] / use[1]
        elif use is None and short:
            raise ToolStopped(stopped(short[0]))
        elif use is None and full and places_all:
            raise _GivenUp(stopped(full[0]), fill > _NEARLY_FULL)

    try:
        run_tool(*command, folder, log, hear, _SILENCE_SECONDS)
    except ToolFailed as error:
        no_way = any(line.startswith("ERROR") and _NO_WAY.search(line) for line in error.lines)
        if not (no_way or isinstance(error, ToolStopped)):
            raise  # a constraint that cannot be kept, or no memory: says nothing about the design's size
        if short:
            return str(error)
        raise _GivenUp(str(error)) from None
    return None
