"""What the tools' reports say: cells, what is used of what there is, clock, critical path."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .targets import Resources, Target

__all__ = ["Path", "Step", "Timing", "Use", "cells_by_type", "read_timing", "read_use",
           "registers_of", "remaining_line", "use_line", "used_of", "why_not"]

Use = dict[str, tuple[int, int]]
"""Kind of site to (used, available), as nextpnr counts them."""

_LUTRAM_LUTS = 4  # of a Gowin RAM16SDP4
_REGISTERS = re.compile(r"TRELLIS_FF|SB_DFF.*|DFF[A-Z]*")
_REMAINING = re.compile(r"Info:\s+\d+ \|(?:\s+\d+){2} \|(?:\s+-?\d+){2} \|\s+(\d+)\|")
_SITE = re.compile(r"^Info:\s+(\S+):\s*(\d+)/\s*(\d+)\s+\d+%$", re.MULTILINE)


def use_line(line: str) -> tuple[int, int] | None:
    """Used and available of a kind of site, if a line of nextpnr's says so."""
    found = _SITE.match(line)
    return (int(found[2]), int(found[3])) if found else None


def remaining_line(line: str) -> int | None:
    """Connections that are still to be made, if a line of router1's tells of its progress."""
    found = _REMAINING.match(line)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class Step:
    """One hop of a path: through a cell, or from one to another."""

    kind: str          # "clk-to-q", "logic", "routing", "setup"
    delay_ns: float
    from_cell: str
    to_cell: str
    net: str


@dataclass(frozen=True)
class Path:
    """The slowest path between registers of the clock."""

    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Timing:
    """Of one placed design; the slowest clock's where it has several."""

    fmax_mhz: float
    path: Path

    @property
    def shown_mhz(self) -> float:
        """Two decimals, rounded down: a clock that is missed by less is missed."""
        return math.floor(round(100 * self.fmax_mhz, 6)) / 100


def cells_by_type(stat: str) -> dict[str, int]:
    """Primitive cells of Yosys's `stat -json`, most frequent first."""
    counts = json.loads(stat[stat.index("{"):])["design"]["num_cells_by_type"]
    return {kind: count for kind, count in sorted(counts.items(), key=lambda item: -item[1])
            if not kind.startswith("$")}


def registers_of(cells: Mapping[str, int]) -> int:
    """Flip-flops among primitive cells of any family."""
    return sum(count for kind, count in cells.items() if _REGISTERS.fullmatch(kind))


def read_use(report: str | None, log: str) -> Use:
    """What is used, from nextpnr's report, or where there is none from its log (empty if it says nothing)."""
    if report is not None:
        return {kind: (entry["used"], entry["available"])
                for kind, entry in json.loads(report)["utilization"].items()}
    start = log.find("Device utilisation")
    return {kind: (int(used), int(available)) for kind, used, available in _SITE.findall(log, max(0, start))}


def is_short(use: Use) -> bool:
    """Something is wanted more often than the part has it."""
    return any(count > available for count, available in use.values() if available)


def used_of(target: Target, use: Use, cells: Mapping[str, int]) -> Resources:
    """A design's use in the terms of `Resources`."""
    def of(kind: str) -> int:
        return use.get(kind, (0, 0))[0]

    luts, dsps, brams = {
        "ecp5": (of("TRELLIS_COMB"), of("MULT18X18D"), of("DP16KD")),
        "ice40": (of("ICESTORM_LC"), of("ICESTORM_DSP"), of("ICESTORM_RAM")),
        "gowin": (of("LUT4") + of("ALU") + _LUTRAM_LUTS * of("RAM16SDP4"),
                  of("MULT18X18") + -(-of("MULT9X9") // 2), of("BSRAM")),
    }[target.family]
    # A Gowin's RAM takes its slices' registers, too.
    registers = of("DFF") if target.family == "gowin" else registers_of(cells)
    return Resources(luts, registers, dsps, brams)


def read_timing(report: str) -> Timing | None:
    """Clock and slowest path of nextpnr's report; None where nothing is clocked."""
    fields = json.loads(report)
    clocks = {name: entry["achieved"] for name, entry in fields["fmax"].items()}
    if not clocks:
        return None
    slowest = min(clocks, key=lambda name: clocks[name])
    for path in fields["critical_paths"]:
        if path["from"] == path["to"] == f"posedge {slowest}":
            break
    else:
        return Timing(clocks[slowest], Path(()))
    return Timing(clocks[slowest], Path(tuple(
        Step(step["type"], step["delay"], step["from"]["cell"], step["to"]["cell"], step.get("net", ""))
        for step in path["path"])))


def why_not(target: Target, use: Use, failure: str) -> str:
    """Why a design was not placed and routed: what is short by how much, or the tool's own words."""
    short = [f"{kind} {used:,} of {available:,} ({used - available:,} too many, {used / available:.0%})"
             for kind, (used, available) in use.items() if available and used > available]
    return f"{target.part} is too small: {'; '.join(short)}" if short else failure
