"""Routes for a placed ECP5 design's slow connections, before all others.

nextpnr's router1 takes wires away from what lies there already, and what has lost its own several times
makes do with what is left: 4.9 ns where 3.4 would do, on one of the slowest paths. So slow connections are
routed as if there were no others, and their wires between tiles stay theirs; the others, a hundred times as
many, go around. Of what is within a tile only inputs of LUTs that keep their places stay: others could be
shut out from a LUT whose inputs change places, and from what has few ways in.
"""

import json
import re
from pathlib import Path

from .placement import NO_ROUTE, Placement
from .placement_timing import Timing

__all__ = ["forget_routes", "keep_routes", "write_slow_connections"]

_SLOW = 0.85
"""Of the slowest path: connections that are routed first, about one in a hundred."""
_BETWEEN_TILES = re.compile(r".*/[HV]0[126][^/]*")
_OWN_INPUT = re.compile(r".*_([ABCD]\d)->.*_\1_SLICE")
"""The switch from a wire to the input of a LUT of its own name."""
_EASY = 0.8
"""Of the period: what is foreseen to take less needs nothing of this."""
_CLOCK = "$glbnet$"
"""How the names of clocks begin, which nextpnr routes by itself."""
_KEPT, _LOOSE = "5", "1"
"""How firmly a wire is held: nextpnr's STRENGTH_LOCKED and STRENGTH_WEAK."""


def write_slow_connections(placement: Placement, timing: Timing, period_ps: float, file: Path) -> int:
    """The design without all other connections, but with its clocks, for nextpnr; how many there are.

    None, and no file, where no path is slow.
    """
    slowest = timing.slowest()
    if slowest.max(initial=0.0) < _EASY * period_ps:
        return 0
    slow = slowest > _SLOW * slowest.max(initial=0.0)
    pins = [pin for pin, is_slow in zip(timing.pins, slow, strict=True) if is_slow]
    ends = {(pin.cell, pin.port) for pin in pins} | {placement.drivers[pin.net] for pin in pins}
    clocks = {bit for number in placement.of_type("DCCA")
              for bits in placement.connections(number).values() for bit in bits}
    design = placement.with_connections(lambda number, port, bit: bit in clocks or (number, port) in ends)
    file.write_text(json.dumps(design))
    return len(pins)


def keep_routes(routed: Path, placed: Path, top: str) -> None:
    """Hold the first file's routes in the second one, of the same places, in which nothing is routed."""
    design = json.loads(placed.read_text())
    nets = design["modules"][top]["netnames"]
    for name, net in json.loads(routed.read_text())["modules"][top]["netnames"].items():
        route = net["attributes"].get("ROUTING", "").strip()
        if route and not name.startswith(_CLOCK):
            nets[name]["attributes"]["ROUTING"] = _held(route)
    placed.write_text(json.dumps(design))


def forget_routes(placed: Path, top: str) -> None:
    """As it was before `keep_routes`."""
    design = json.loads(placed.read_text())
    for net in design["modules"][top]["netnames"].values():
        net["attributes"]["ROUTING"] = NO_ROUTE
    placed.write_text(json.dumps(design))


def _held(route: str) -> str:
    """A net's wires: each one's name, the switch before it, and how firmly it is held."""
    fields = route.split(";")
    wires, switches = fields[0::3], fields[1::3]
    own = {wire for wire, switch in zip(wires, switches, strict=True) if _OWN_INPUT.fullmatch(switch)}
    own |= {wire.removesuffix("_SLICE") for wire in own}
    return ";".join(f"{wire};{switch};{_KEPT if wire in own or _BETWEEN_TILES.fullmatch(wire) else _LOOSE}"
                    for wire, switch in zip(wires, switches, strict=True))
