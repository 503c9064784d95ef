"""`zerolane synth` and `zerolane build`: run the flow, show it working, print what came out."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Column, Table
from rich.text import Text

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
from zerolane.cli_shared import write_json
from zerolane.output_folder import OutputFolder
from zerolane.outputs import write_files

__all__ = ["SynthOptions", "exported_names", "run_build", "run_synth"]

_LINE_WIDTH = 90
_LINE_SECONDS = 60
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
    json_file: Path | None


class _Times(ProgressColumn):
    """How long the stage has taken, and all stages."""

    def __init__(self, began: float):
        self._began = began
        super().__init__(Column(no_wrap=True))

    def render(self, task: Task) -> Text:
        return Text(f"{_clock(task.elapsed or 0)} of {_clock(time.monotonic() - self._began)}", "yellow")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class _Shown(Progress):
    """Stage, elapsed times and the tool's last line; where nobody watches a terminal a line for each stage,
    and the tool's last one every minute."""

    def __init__(self, console: Console):
        self._console = console
        self._began = self._told = time.monotonic()
        line = TextColumn("[dim]{task.fields[line]}", table_column=Column(
            no_wrap=True, overflow="ellipsis", ratio=1))
        self._bar = Bar(SpinnerColumn(), TextColumn("{task.description}", table_column=Column(no_wrap=True)),
                        _Times(self._began), line, console=console, transient=True, expand=True,
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
            self.note(name)

    def line(self, text: str) -> None:
        if self._task is not None:
            self._bar.update(self._task, line=text.replace("[", r"\["))
        elif not self._console.is_terminal and time.monotonic() - self._told >= _LINE_SECONDS:
            self.note(text[:_LINE_WIDTH])

    def note(self, text: str) -> None:
        self._told = time.monotonic()
        self._console.print(f"... {self._told - self._began:.0f} s: {text}", markup=False, highlight=False,
                            style="dim", soft_wrap=True)


def run_synth(config: Config, options: SynthOptions, console: Console,
              errors: Console) -> tuple[Record, str | None]:
    """Build, write the files, print, and say what was not reached (None if all was).

    Raises TargetError, ToolMissing, ToolFailed, OutputError, OSError.
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
    # Before anything is printed, which may go into a pipe that somebody has closed.
    write_json(options.json_file, record)
    written = [] if options.out is None else [_export(record, target, options.out)]
    if options.picture is not None and record["fits"]:
        from synth.picture import draw

        write_files({options.picture: draw(record, options.picture.suffix, options.depth)})
        written.append(f"picture: {options.picture}")
    elif options.picture is not None:
        written.append("no picture: there is no placed design")
    _print_record(record, options.depth, console)
    for line in written:
        console.print(line, markup=False)
    return record, _missed(record, options.freq_mhz) if options.place else None


def run_build(config: Config, board: Board, clock_mhz: float, memory_bytes: int, seed: int, out: Path,
              json_file: Path | None, console: Console, errors: Console) -> tuple[Record, str | None]:
    """A board's bitstream at `out`, unless it does not fit or the clock is not reached, and its record; what
    failed, or None.

    Raises TargetError, ToolMissing, ToolFailed, OSError.
    """
    from synth.boards.build import build_board

    with _Shown(errors) as progress:
        record = build_board(board, config, progress, clock_mhz=clock_mhz, memory_bytes=memory_bytes,
                             seed=seed)
    # Before anything is printed, which may go into a pipe that somebody has closed.
    write_json(json_file, record)
    what = f"{config.name} on {board.title}"
    if not record["fits"]:
        return record, f"{what} {how_it_failed(record)}: {record['reason']}; logs: {record['log']}"
    reached = record["fmax_mhz"] >= record["clock_mhz"]
    if reached:
        write_files({out: Path(record["bitstream"]).read_bytes()})
    console.print(f"{what}: {record['luts']:,} LUTs, {record['registers']:,} registers, "
                  f"{record['dsps']} DSPs, {record['brams']} block RAMs", markup=False)
    console.print(f"clock {record['clock_mhz']:g} MHz, Fmax {record['fmax_mhz']} MHz", markup=False)
    console.print(f"logs: {record['log']}", markup=False)
    if not reached:
        return record, (f"{what} reaches {record['fmax_mhz']} MHz, less than its clock of "
                        f"{record['clock_mhz']:g} MHz; no bitstream was written (try --freq, --seed)")
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


def _print_record(record: Record, depth: int, console: Console) -> None:
    placed = record["seed"] is not None
    console.print(_title(record) + ("" if placed else ": after synthesis"), markup=False)
    table = Table("", "used", "available", "%")
    for column in table.columns[1:]:
        column.justify = "right"
    for kind in KINDS:
        used, available = record[kind], record["available"][kind]
        share = f"{100 * used / available:.1f}" if available else ""
        table.add_row(kind, f"{used:,}", f"{available:,}", share)
    console.print(table)
    console.print("cells: " + ", ".join(f"{kind} {count:,}" for kind, count in record["cells"].items()))
    if record["older_mapper"]:
        console.print("mapped by ABC's older mapper, which takes more LUTs: the newer one broke off")
    if record["fits"]:
        console.print(f"Fmax {record['fmax_mhz']} MHz, seed {record['seed']}{_others(record)}", markup=False)
        _print_path(record, console)
    _print_area(record, depth, console)
    if record["block"] == ARRAY and "peak_gmacs" in record:
        per_dsp = f", {record['gmacs_per_dsp']} per DSP" if record["gmacs_per_dsp"] else ""
        console.print(f"peak {record['peak_gmacs']} int8 GMAC/s: {record['gmacs_per_klut']} per kLUT"
                      f"{per_dsp}")
    if record["fits"]:
        console.print(f"bitstream: {record['bitstream']}", markup=False)
    console.print(f"logs: {record['synthesis_log']}" + (f" and {record['log']}" if placed else ""),
                  markup=False)


def _others(record: Record) -> str:
    """What the other seeds gave."""
    others = [f"{seed}: {'none' if fmax is None else fmax}" for seed, fmax in record["seeds"].items()
              if seed != str(record["seed"])]
    return f" (others: {', '.join(others)})" if others else ""


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


def _export(record: Record, target: Target, folder: Path) -> str:
    """Copies of what the cache keeps, in place of what an earlier run left; what to say of it."""
    names = exported_names(target)
    OutputFolder("synth", folder).replace({
        path.name: path.read_bytes() for place in (record["synthesis_log"], record["log"])
        for path in Path(place).iterdir() if path.name in names
        and (record["fits"] or path.name != _REPORT)})  # it is written before there is a route
    what = "bitstream, report and logs" if record["fits"] else "logs, as there is no bitstream"
    return f"{what}: {folder}"
