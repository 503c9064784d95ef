"""A record of one build: what it takes, how fast it is, where its slowest path runs."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from .area import KINDS, Owners, area_by_block, netlist_cells, placed_cells
from .blocks import ARRAY
from .flow import Netlist, Request, synthesize
from .kept import made_on
from .place_runs import found_no_route
from .placing import Placed, place
from .progress import Progress
from .readings import Path, cells_by_type, is_short, read_timing, read_use, used_of, why_not
from .scripts import TOP
from .yosys_runs import read_paths

__all__ = ["Record", "build", "estimate", "how_it_failed"]

Record = dict[str, Any]


def build(request: Request, seeds: Sequence[int], progress: Progress,
          heard: Callable[[Record], None] = lambda record: None) -> Record:
    """Synthesize, place and route with each seed; the record of the fastest.

    `heard` is told each seed's record as it comes. ToolMissing, ToolFailed.
    """
    netlist = synthesize(request, progress)
    records = []
    for seed in seeds:
        placed = place(request, netlist, seed, progress)
        records.append(_record(request, netlist, placed, progress))
        heard(records[-1])
        if not records[-1]["fits"] and records[-1]["short"]:
            break  # no seed makes a part larger
    best = max(records, key=lambda record: (record["fits"], record["fmax_mhz"] or 0))
    return best | {"seeds": {str(record["seed"]): record["fmax_mhz"] for record in records}}


def estimate(request: Request, progress: Progress) -> Record:
    """Synthesis only: cells by type and what they take, without a place and a clock, which are None."""
    netlist = synthesize(request, progress)
    area = area_by_block(netlist_cells(netlist.design, TOP), Owners(read_paths(netlist.folder)))
    return _head(request, netlist, made_on(netlist.folder)) | {
        "seed": None, "fits": None, "fmax_mhz": None,
        **{kind: sum(counts[kind] for counts in area.values()) for kind in KINDS},
        "available": asdict(request.target.holds), "cells": cells_by_type(netlist.stat),
        "synthesis_log": str(netlist.folder), "area": area,
    }


def _head(request: Request, netlist: Netlist, date: str) -> Record:
    return {
        "preset": request.config.name, "block": request.block, "target": request.target.name,
        "part": request.target.part, "speed": request.speed, "freq_mhz": request.freq_mhz,
        "lanes": request.config.total_lanes,
        "versions": netlist.versions, "older_mapper": netlist.older_mapper,
        "design_hash": netlist.design_hash, "date": date,
        "config": asdict(request.config),
    }


def _record(request: Request, netlist: Netlist, placed: Placed, progress: Progress) -> Record:
    progress.stage("report")
    target, cells = request.target, cells_by_type(netlist.stat)
    fits = placed.failure is None
    use = read_use(placed.report if fits else None, placed.log)
    used = used_of(target, use, cells)
    timing = read_timing(placed.report) if fits else None
    owners = Owners(read_paths(netlist.folder))
    record = _head(request, netlist, made_on(placed.folder)) | {
        "seed": placed.seed, "fits": fits, "fmax_mhz": timing and timing.shown_mhz,
        "luts": used.luts, "registers": used.registers, "dsps": used.dsps, "brams": used.brams,
        "available": asdict(target.holds), "cells": cells,
        "use": {kind: list(counts) for kind, counts in use.items() if counts[0]},
        "short": is_short(use),
        "reason": None if placed.failure is None else why_not(target, use, placed.failure),
        "critical_path": critical_path(timing.path, owners) if timing else [],
        "area": area_by_block(placed_cells(placed.design, TOP) if fits else
                              netlist_cells(netlist.design, TOP), owners),
        "log": str(placed.folder), "synthesis_log": str(netlist.folder),
        "bitstream": str(placed.bitstream) if fits else None,
    }
    if request.block == ARRAY and timing and fits:
        peak = request.config.total_lanes * timing.fmax_mhz / 1000
        record |= {"peak_gmacs": round(peak, 3),
                   "gmacs_per_klut": round(1000 * peak / used.luts, 4),
                   "gmacs_per_dsp": round(peak / used.dsps, 4) if used.dsps else None}
    return record


def how_it_failed(record: Record) -> str:
    """How far a build came that has no bitstream."""
    if record["short"]:
        return "does not fit"
    return "is not routed" if found_no_route(record["reason"]) else "is not placed"


def critical_path(path: Path, owners: Owners) -> list[dict[str, Any]]:
    """The path block by block: delay through cells and over wires, levels of logic, first signal."""
    parts: list[dict[str, Any]] = []
    for step in path.steps:
        block = owners.of(step.to_cell)
        if not parts or parts[-1]["block"] != block:
            parts.append({"block": block, "logic_ns": 0.0, "routing_ns": 0.0, "levels": 0,
                          "signal": step.net or step.to_cell})
        part = parts[-1]
        part["routing_ns" if step.kind == "routing" else "logic_ns"] += step.delay_ns
        part["levels"] += step.kind == "logic"
    return [part | {"logic_ns": round(part["logic_ns"], 2), "routing_ns": round(part["routing_ns"], 2)}
            for part in parts]
