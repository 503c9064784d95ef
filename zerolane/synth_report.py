"""`zerolane synth` and `zerolane build`: run the flow, show it working, print what came out."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from hdl.config import Config
from synth import place_runs, yosys_runs
from synth.area import FENCE, KINDS, merged
from synth.blocks import ARRAY, check_block_name
from synth.boards.boards import Board
from synth.flow import Request
from synth.placing import PACK_LOG
from synth.progress import Progress
from synth.report import Record, build, estimate, how_it_failed
from synth.targets import Target, target_by_name
from zerolane.output_folder import OutputFolder
from zerolane.outputs import write_files

__all__ = ["SynthOptions", "exported_names", "run_build", "run_synth"]

_LINE_WIDTH = 90
_REPORT, _BITSTREAM = "report.json", "bitstream"
_LOGS = (*yosys_runs.LOGS, *place_runs.LOGS, PACK_LOG)


@dataclass(frozen=True)
class SynthOptions:
    """What `zerolane synth` was asked, beside the configuration."""

    target: str
    speed: str | None
    freq_mhz: float | None
    seeds: Sequence[int]
    block: str
    place: bool
    depth: int
    picture: Path | None
    out: Path | None


class _Shown(Progress):
    """Stage, elapsed time and the tool's last line; one line a stage where nobody watches a terminal."""

    def __init__(self, console: Console):
        self._console = console
        self._began = time.monotonic()
        self._bar = Bar(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
                        TextColumn("[dim]{task.fields[line]}", markup=True), console=console, transient=True,
                        disable=not console.is_terminal)
        self._task: Any = None

    def __enter__(self) -> "_Shown":
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def stage(self, name: str) -> None:
        if self._console.is_terminal:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(name, total=None, line="")
        else:
            elapsed = time.monotonic() - self._began
            self._console.print(f"... {elapsed:.0f} s: {name}", markup=False, style="dim")

    def line(self, text: str) -> None:
        if self._task is not None:
            self._bar.update(self._task, line=text[:_LINE_WIDTH].replace("[", r"\["))


def run_synth(config: Config, options: SynthOptions, console: Console,
              errors: Console) -> tuple[Record, str | None]:
    """Build, print, and say what was not reached (None if all was).

    Raises TargetError, ToolMissing, ToolFailed, OutputError.
    """
    target = target_by_name(options.target)
    speed = target.speed if options.speed is None else options.speed
    target.speed_options(speed)  # refuses one that does not exist, before minutes are spent
    check_block_name(options.block)
    request = Request(config, target, speed, options.freq_mhz or target.freq_mhz, options.block)
    with _Shown(errors) as progress:
        if not options.place:
            record = estimate(request, progress)
        else:
            record = build(request, options.seeds, progress,
                           lambda one: errors.print(_seed_line(one), markup=False, style="dim"))
    if not options.place:
        _print_cells(record, options.depth, console)
        return record, None
    _print_record(record, options.depth, console)
    if options.out is not None:
        _export(record, target, options.out, console)
    if options.picture is not None and record["fits"]:
        from synth.picture import draw

        write_files({options.picture: draw(record, options.picture.suffix, options.depth)})
        console.print(f"picture: {options.picture}", markup=False)
    elif options.picture is not None:
        console.print("no picture: there is no placed design", markup=False)
    return record, _missed(record, options.freq_mhz)


def run_build(config: Config, board: Board, clock_mhz: float, memory_bytes: int, seed: int, out: Path,
              console: Console, errors: Console) -> tuple[Record, str | None]:
    """A board's bitstream at `out`, unless it does not fit or the clock is not reached; what failed, or None.

    Raises TargetError, ToolMissing, ToolFailed.
    """
    from synth.boards.build import build_board

    with _Shown(errors) as progress:
        record = build_board(board, config, progress, clock_mhz=clock_mhz, memory_bytes=memory_bytes,
                             seed=seed)
    what = f"{config.name} on {board.title}"
    if not record["fits"]:
        return record, f"{what} {how_it_failed(record)}: {record['reason']}; logs: {record['log']}"
    console.print(f"{what}: {record['luts']:,} LUTs, {record['registers']:,} registers, "
                  f"{record['dsps']} DSPs, {record['brams']} block RAMs", markup=False)
    console.print(f"clock {record['clock_mhz']:g} MHz, Fmax {record['fmax_mhz']} MHz", markup=False)
    if record["fmax_mhz"] < record["clock_mhz"]:
        return record, (f"{what} reaches {record['fmax_mhz']} MHz, less than its clock of "
                        f"{record['clock_mhz']:g} MHz; no bitstream was written (try --freq, --seed)")
    write_files({out: Path(record["bitstream"]).read_bytes()})
    console.print(f"bitstream: {out}; a host reaches the board with --device serial:PORT", markup=False)
    return record, None


def _seed_line(record: Record) -> str:
    result = f"{record['fmax_mhz']} MHz" if record["fits"] else record["reason"]
    return f"... seed {record['seed']}: {result}"


def _missed(record: Record, asked_mhz: float | None) -> str | None:
    what = f"{record['preset']} ({record['block']}) on {record['target']}-{record['speed']}"
    if not record["fits"]:
        return f"{what} {how_it_failed(record)}: {record['reason']}; logs: {record['log']}"
    if asked_mhz is not None and (record["fmax_mhz"] or 0) < asked_mhz:
        short = asked_mhz - record["fmax_mhz"]
        return (f"{what} reaches {record['fmax_mhz']} MHz, {short:.2f} MHz less than the {asked_mhz:g} MHz "
                f"asked; logs: {record['log']}")
    return None


def _title(record: Record) -> str:
    return f"{record['preset']} ({record['block']}) on {record['part']}, speed {record['speed']}"


def _print_cells(record: Record, depth: int, console: Console) -> None:
    console.print(f"{_title(record)}: after synthesis", markup=False)
    _print_cell_counts(record, console)
    _print_area(record, depth, console)
    console.print(f"log: {record['synthesis_log']}", markup=False)


def _print_record(record: Record, depth: int, console: Console) -> None:
    console.print(_title(record), markup=False)
    table = Table("", "used", "available", "%")
    for column in table.columns[1:]:
        column.justify = "right"
    for kind in KINDS:
        used, available = record[kind], record["available"][kind]
        share = f"{100 * used / available:.1f}" if available else ""
        table.add_row(kind, f"{used:,}", f"{available:,}", share)
    console.print(table)
    _print_cell_counts(record, console)
    if record["fits"]:
        console.print(f"Fmax {record['fmax_mhz']} MHz, seed {record['seed']}"
                      + (f" of {record['seeds']}" if len(record["seeds"]) > 1 else ""), markup=False)
        _print_path(record, console)
    _print_area(record, depth, console)
    if record["block"] == ARRAY and "peak_gmacs" in record:
        per_dsp = f", {record['gmacs_per_dsp']} per DSP" if record["gmacs_per_dsp"] else ""
        console.print(f"peak {record['peak_gmacs']} int8 GMAC/s: {record['gmacs_per_klut']} per kLUT"
                      f"{per_dsp}")
    if record["fits"]:
        console.print(f"bitstream: {record['bitstream']}", markup=False)
    console.print(f"logs: {record['synthesis_log']} and {record['log']}", markup=False)


def _print_cell_counts(record: Record, console: Console) -> None:
    console.print("cells: " + ", ".join(f"{kind} {count:,}" for kind, count in record["cells"].items()))
    if record["older_mapper"]:
        console.print("mapped by ABC's older mapper, which takes more LUTs: the newer one broke off")


def _print_path(record: Record, console: Console) -> None:
    table = Table("slowest path: block", "from signal", "cells ns", "wires ns", "levels")
    for part in record["critical_path"]:
        table.add_row(part["block"] or FENCE, part["signal"].split(".")[-1], f"{part['logic_ns']:.2f}",
                      f"{part['routing_ns']:.2f}", str(part["levels"]))
    console.print(table)


def _print_area(record: Record, depth: int, console: Console) -> None:
    table = Table("block", *KINDS)
    for column in table.columns[1:]:
        column.justify = "right"
    for block, counts in merged(record["area"], depth).items():
        table.add_row(block, *(f"{counts[kind]:,}" for kind in KINDS))
    console.print(table)


def exported_names(target: Target) -> list[str]:
    """Of the files that `--out` may get."""
    return [_REPORT, f"{_BITSTREAM}{target.suffix}", *_LOGS]


def _export(record: Record, target: Target, folder: Path, console: Console) -> None:
    """Copies of what the cache keeps, in place of what an earlier run left."""
    names = exported_names(target)
    OutputFolder("synth", folder).replace({
        path.name: path.read_bytes() for place in (record["synthesis_log"], record["log"])
        for path in Path(place).iterdir() if path.name in names
        and (record["fits"] or path.name != _REPORT)})  # it is written before there is a route
    what = "bitstream, report and logs" if record["fits"] else "logs, as there is no bitstream"
    console.print(f"{what}: {folder}", markup=False)
