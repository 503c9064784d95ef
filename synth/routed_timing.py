"""The clock of a routed ECP5 design that nextpnr has read back with its places.

nextpnr counts the way of a carry through its cell at one of the two halves. Which half is which it remembers
from packing, so in a design that was written and read again each counts as the lower one (`getCellDelay` in
its `ecp5/arch.cc` asks for `constr_z`): a carry over 32 bits takes twice its time, 1.1 ns too long. Here the
upper halves have the delays that they had when the design was packed. All others, and the wires', are
nextpnr's own.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from .delay_file import CLOCKS, SECOND_HALF, Setup, Through, Wire, read_delays

__all__ = ["Hop", "correct_report", "slowest_path"]

_CARRY = "FCI"


class Hop(NamedTuple):
    """One step of a path, `nextpnr`'s kind of it, between two pins, `cell/port`."""

    kind: str          # "clk-to-q", "routing", "logic", "setup"
    source: str
    sink: str
    delay_ps: int


class _Delays:
    """Of a routed design: wires by their output, ways through cells by their input."""

    def __init__(self, routed: Path, upper: dict[str, int]):
        self.wires: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self.through: dict[str, dict[str, int]] = defaultdict(dict)
        self.setup: dict[str, int] = {}
        for entry in read_delays(routed):
            match entry:
                case Wire(source, sink, delay):
                    self.wires[source].append((sink, delay))
                case Through(_, cell, start, end, delay):
                    if start == _CARRY and cell.endswith(SECOND_HALF):
                        delay = upper[end]
                    ways, output = self.through[f"{cell}/{start}"], f"{cell}/{end}"
                    ways[output] = max(ways.get(output, 0), delay)
                case Setup(_, cell, port, delay):
                    pin = f"{cell}/{port}"
                    self.setup[pin] = max(self.setup.get(pin, 0), delay)


def correct_report(report: Path, routed: Path, packed: Path) -> None:
    """Put the clock and its slowest path into nextpnr's report. With several clocks, which the delays do not
    tell apart, it stays as it is.

    Parameters
    ----------
    report : nextpnr's, JSON, of the routed design
    routed : its delays
    packed : delays of the same cells, of the run that packed them
    """
    fields: dict[str, Any] = json.loads(report.read_text())
    path = slowest_path(routed, packed)
    if len(fields["fmax"]) != 1 or not path:
        return
    (clock, figures), = fields["fmax"].items()
    figures["achieved"] = 1e6 / sum(hop.delay_ps for hop in path)
    edge = f"posedge {clock}"
    others = [entry for entry in fields["critical_paths"] if not entry["from"] == entry["to"] == edge]
    steps = [{"type": hop.kind, "delay": hop.delay_ps / 1000, "from": _pin(hop.source), "to": _pin(hop.sink)}
             for hop in path]
    fields["critical_paths"] = [{"from": edge, "to": edge, "path": steps}, *others]
    report.write_text(json.dumps(fields))


def _pin(name: str) -> dict[str, str]:
    cell, _, port = name.rpartition("/")
    return {"cell": cell, "port": port}


def slowest_path(routed: Path, packed: Path) -> list[Hop]:
    """From a register to a register; empty where there is none."""
    upper = {entry.end: entry.delay_ps for entry in read_delays(packed)
             if isinstance(entry, Through) and entry.start == _CARRY and entry.cell.endswith(SECOND_HALF)}
    delays = _Delays(routed, upper)
    arrival, before = _arrivals(delays)
    slowest, source, end, last = 0, "", "", 0
    for output, sinks in delays.wires.items():
        for sink, wire in sinks:
            setup = delays.setup.get(sink)
            if output in arrival and setup is not None and arrival[output] + wire + setup > slowest:
                slowest, source, end, last = arrival[output] + wire + setup, output, sink, wire
    if not end:
        return []
    hops = [Hop("setup", end, end, delays.setup[end]), Hop("routing", source, end, last)]
    while source in before:
        earlier, pin, wire = before[source]
        hops += [Hop("logic", pin, source, delays.through[pin][source]), Hop("routing", earlier, pin, wire)]
        source = earlier
    return [Hop("clk-to-q", source, source, arrival[source]), *reversed(hops)]


def _arrivals(delays: _Delays) -> tuple[dict[str, int], dict[str, tuple[str, str, int]]]:
    """When each output changes after the clock at the latest, and what it waits for: output, input, wire."""
    arrival: dict[str, int] = {}
    waits: dict[str, int] = defaultdict(int)
    for pin, ways in delays.through.items():
        if pin.rpartition("/")[2] in CLOCKS:
            for output, delay in ways.items():
                arrival[output] = max(arrival.get(output, 0), delay)
    ways_on: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for source, sinks in delays.wires.items():
        for sink, wire in sinks:
            if sink.rpartition("/")[2] in CLOCKS:
                continue
            for output in delays.through.get(sink, {}):
                if output in delays.wires:
                    ways_on[source].append((output, sink, wire))
                    waits[output] += 1
    before: dict[str, tuple[str, str, int]] = {}
    order = [source for source in delays.wires if not waits[source]]
    for source in order:   # grows on the way
        for output, sink, wire in ways_on[source]:
            if source in arrival:
                time = arrival[source] + wire + delays.through[sink][output]
                if time > arrival.get(output, -1):
                    arrival[output], before[output] = time, (source, sink, wire)
            waits[output] -= 1
            if not waits[output]:
                order.append(output)
    # What waits for itself would drop out, with all behind it, and the clock would be too high.
    assert not any(waits.values()), f"a ring of logic through {next(pin for pin in waits if waits[pin])}"
    return arrival, before
