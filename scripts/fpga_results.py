"""The section of docs/results.md about FPGAs, from records of `zerolane synth`; see scripts/results.py."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from synth.area import merged  # noqa: E402
from synth.boards.boards import board_by_name  # noqa: E402
from synth.targets import TARGETS  # noqa: E402

Record = dict[str, Any]

TITLE = "## On FPGAs"
SEEDS = 1
_SEEDS_MEAN = "One seed, and not the best of several" if SEEDS == 1 else f"The fastest of {SEEDS} seeds"
PICTURE = "fpga.png"
HEADS = ("", "part, speed grade", "LUTs", "registers", "DSPs", "block RAMs", "Fmax (asked) MHz",
         "GMAC/s, per kLUT, per DSP", "slowest path")


Changes = tuple[tuple[str, bool | int], ...]
"""Fields of the preset that a run sets to something else."""

DENSE_B: Changes = (("compressed_b", False),)
FOUR_LANES: Changes = (("lanes", 2), ("tile_bytes", 2048), ("scale_multipliers", 0), ("block_queues", True))
PRODUCTS: Changes = (("csr_out", False), ("sddmm", False), ("merge_lanes", 0))


class Built:
    """A preset, maybe changed: what the rows of arrays and of whole systems have in common."""

    preset: str
    changes: Changes
    note: str

    @property
    def configuration(self) -> str:
        """Name of a changed preset's file."""
        raise NotImplementedError

    @property
    def title(self) -> str:
        return f"`{self.preset}`" + (f", {self.note}" if self.note else "")

    @property
    def file(self) -> str:
        """The configuration file of a changed preset."""
        lines = [f"{key} = {str(value).lower()}" for key, value in self.changes]
        return "\n".join([f'preset = "{self.preset}"', *lines, ""])

    def arguments(self, folder: Path | str) -> list[str]:
        """Of zerolane."""
        if self.changes:
            return ["--config", f"{folder}/{self.configuration}.toml"]
        return ["--preset", self.preset]


@dataclass(frozen=True)
class Run(Built):
    """One row: what is built, for which part, and the clock that place and route works towards, 0 where it is
    not placed; `note` is what the changes mean."""

    name: str
    preset: str
    target: str
    asked_mhz: int
    changes: Changes = ()
    note: str = ""
    picture: bool = False

    @property
    def configuration(self) -> str:
        return self.name

    def arguments(self, folder: Path | str) -> list[str]:
        place = ["--freq", str(self.asked_mhz), "--seeds", str(SEEDS)] if self.asked_mhz else ["--no-place"]
        return ["synth", "--target", self.target, *place, "--json", f"{folder}/{self.name}.json",
                *super().arguments(folder), *(["--picture", f"{folder}/{PICTURE}"] if self.picture else [])]


FOUR = Run("tiny-4-gw2ar", "tiny", "gw2ar-18", 40, FOUR_LANES,
           "four lanes, no int8 results, queues in block RAM")
SPARSE = Run("small-45k", "small", "ecp5-45k", 75)
DENSE = Run("small-dense-45k", "small", "ecp5-45k", 75, DENSE_B, "dense B only")
BASE_SPARSE = Run("base-products-85k", "base", "ecp5-85k", 60, PRODUCTS, "products into dense results only")
BASE_DENSE = Run("base-dense-85k", "base", "ecp5-85k", 60, (*PRODUCTS, *DENSE_B),
                 f"{BASE_SPARSE.note}, {DENSE.note}")
ESTIMATES = tuple(replace(run, name=run.name.replace("85k", "cells"), asked_mhz=0)
                  for run in (BASE_SPARSE, BASE_DENSE))
PAIRS = ((SPARSE, DENSE), (BASE_SPARSE, BASE_DENSE), ESTIMATES)
"""What sparsity of B costs is the difference of the two."""

RUNS = (
    Run("tiny-up5k", "tiny", "ice40-up5k", 24),
    Run("tiny-gw2ar", "tiny", "gw2ar-18", 80),
    FOUR,
    # To work towards more than can be reached costs time only.
    Run("tiny-25k", "tiny", "ecp5-25k", 80, picture=True),
    Run("small-gw2a", "small", "gw2a-18", 80),
    Run("small-25k", "small", "ecp5-25k", 60),
    Run("small-dense-25k", "small", "ecp5-25k", 75, DENSE_B, DENSE.note),
    SPARSE,
    DENSE,
    Run("base-45k", "base", "ecp5-45k", 60),
    BASE_SPARSE,
    BASE_DENSE,
    Run("large-85k", "large", "ecp5-85k", 60),
)


@dataclass(frozen=True)
class System(Built):
    """One row of whole systems: a preset with its memory, clock generator and serial line, on a board."""

    board: str
    preset: str
    called: str = ""     # the configuration, where the preset is changed
    changes: Changes = ()
    note: str = ""
    memory_kib: int | None = None

    @property
    def name(self) -> str:
        return f"{self.board}-{self.called or self.preset}"

    @property
    def configuration(self) -> str:
        return self.called

    def arguments(self, folder: Path | str) -> list[str]:
        path = f"{folder}/{self.name}"
        return ["build", "--board", self.board, "-o", path + board_by_name(self.board).target.suffix,
                "--json", f"{path}.json", *super().arguments(folder),
                *(["--memory-kib", str(self.memory_kib)] if self.memory_kib else [])]


SYSTEMS = (
    System("orangecrab-25f", "tiny"),
    System("ulx3s", "tiny"),
    System("ulx3s", "small"),
    System("ecpix5", "tiny"),
    System("tangnano20k", "tiny", "four", FOUR.changes, FOUR.note, 32),
    System("icebreaker", "tiny"),
)


def measure(folder: Path) -> None:
    """Run what has no record yet; a design that does not fit has one, too."""
    folder.mkdir(parents=True, exist_ok=True)
    for run in (*RUNS, *ESTIMATES, *SYSTEMS):
        record = folder / f"{run.name}.json"
        if record.exists():
            continue
        if run.changes:
            (folder / f"{run.configuration}.toml").write_text(run.file)
        words = ["zerolane", *run.arguments(folder)]
        print(" ".join(words), flush=True)
        subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=False)
        if not record.exists():
            sys.exit(f"results.py: {' '.join(words)}: no record was written")


def section(records: dict[str, Record]) -> str:
    """The section's text; `records` by the runs' names. A run without one is named as not measured."""
    rows, areas = [], []
    for run in RUNS:
        record = records.get(run.name)
        if record is None:
            target = TARGETS[run.target]
            rows.append([run.title, f"{target.part}, {target.speed}", f"not measured ({run.asked_mhz})",
                         *["-"] * (len(HEADS) - 3)])
            continue
        rows.append([run.title, f"{record['part']}, {record['speed']}", *_figures(record, run)])
        areas.append(f"### {run.title} on {record['target']}, by block\n\n{_area(record)}")
        if run.picture and record["fits"]:
            areas.append(f"![Cells of {run.preset} on {record['part']}, coloured by block]({PICTURE})\n")
    dates = sorted({record["date"] for record in records.values() if "date" in record})
    when = dates[0] + (f" to {dates[-1]}" if len(dates) > 1 else "")
    versions = ", ".join(f"{name} {version}" for name, version in sorted(
        {item for record in records.values() for item in record["versions"].items()}))
    commands = "\n".join("    zerolane " + " ".join(run.arguments("records")) for run in (*RUNS, *ESTIMATES))
    files = "\n".join(f"- `{built.configuration}.toml`: `" + "`, `".join(built.file.splitlines()) + "`"
                      for built in (*RUNS, *ESTIMATES, *SYSTEMS) if built.changes)
    return f"""{TITLE}

Made by `scripts/results.py records --fpga --run`, which runs

{commands}

with these files:

{files}

{_SEEDS_MEAN}; registers around the ports are in the figures ([fpga.md](fpga.md)). {when}; {versions}.

| {" | ".join(HEADS)} |
|---|---|---:|---:|---:|---:|---:|---:|---|
{chr(10).join("| " + " | ".join(row) + " |" for row in rows)}

{_cost(records)}{_boards(records)}{chr(10).join(areas)}"""


def _boards(records: dict[str, Record]) -> str:
    """Whole systems; those that were measured."""
    rows = [_system_row(system, records[system.name]) for system in SYSTEMS if system.name in records]
    if not rows:
        return ""
    commands = "\n".join("    zerolane " + " ".join(system.arguments("records"))
                         for system in SYSTEMS)
    lines = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"""### Whole systems on boards

{commands}

make bitstreams with the array, block RAM as its memory, a clock generator and the bridge on the serial line:

| board | part, speed grade | array | memory KiB | LUTs | registers | DSPs | block RAMs | MHz | Fmax |
|---|---|---|---:|---:|---:|---:|---:|---:|---:|
{lines}

"""


def _system_row(system: System, record: Record) -> list[str]:
    board = board_by_name(system.board)
    return [board.title, f"{board.target.part}, {board.speed}", system.title,
            f"{record['memory_bytes'] // 1024}",
            *(f"{record[kind]:,}" for kind in ("luts", "registers", "dsps", "brams")),
            f"{record['clock_mhz']:g}", f"{record['fmax_mhz']:.1f}" if record["fits"] else _failure(record)]


def _cost(records: dict[str, Record]) -> str:
    """What packed tiles take, by pairs of builds that differ in them alone."""
    lines = [_pair_cost(sparse, records[sparse.name], records[dense.name]) for sparse, dense in PAIRS
             if sparse.name in records and dense.name in records]
    if not lines:
        return ""
    text = "\n".join(lines)
    return f"""### What sparsity costs

With packed tiles against without:

{text}

A sparse A costs nothing beside this: both read it, by the same unit as dense rows.

"""


def _pair_cost(run: Run, sparse: Record, dense: Record) -> str:
    kinds = (("luts", "LUTs"), ("registers", "registers"), ("brams", "block RAMs"))
    taken = [(name, _taken(sparse, kind), _taken(dense, kind)) for kind, name in kinds]
    more = ", ".join(f"{ours:,} {name} against {theirs:,} ({ours / theirs - 1:+.0%})"
                     for name, ours, theirs in taken)
    if not run.asked_mhz:
        return f"- {run.title} on {sparse['part']}, after synthesis: {more}"
    clocks = [f"{record['fmax_mhz']:.1f} MHz" if record["fits"] else "no clock, as it is not routed"
              for record in (sparse, dense)]
    return f"- {run.title} on {sparse['part']}: {more}; {clocks[0]} against {clocks[1]}"


def _taken(record: Record, kind: str) -> int:
    """What is not placed has the sum of its blocks."""
    return record[kind] if kind in record else sum(counts[kind] for counts in record["area"].values())


def _figures(record: Record, run: Run) -> list[str]:
    cells = [f"{record[kind]:,} ({record[kind] / available:.0%})" if available else f"{record[kind]:,}"
             for kind, available in record["available"].items()]
    if not record["fits"]:
        return [*cells, f"{_failure(record)} ({run.asked_mhz})", "-", "-"]
    blocks = " → ".join(dict.fromkeys(part["block"].rpartition("array.")[2] or "(fence)"
                                      for part in record["critical_path"]))
    peak = [record["peak_gmacs"], record["gmacs_per_klut"], record["gmacs_per_dsp"]]
    return [*cells, f"{record['fmax_mhz']:.1f} ({run.asked_mhz})",
            ", ".join(f"{value:.3g}" if value else "-" for value in peak), blocks]


def _failure(record: Record) -> str:
    """How far a build came that has no bitstream."""
    if record["short"]:
        return "does not fit"
    return "is not routed" if "cannot be routed" in record["reason"] else "is not placed"


def _area(record: Record) -> str:
    lines = ["| block | LUTs | registers | DSPs | block RAMs |", "|---|---:|---:|---:|---:|"]
    for block, counts in merged(record["area"], 3).items():
        lines.append(f"| {block} | " + " | ".join(f"{count:,}" for count in counts.values()) + " |")
    return "\n".join(lines) + "\n"


def load(folder: Path) -> dict[str, Record]:
    return {run.name: json.loads((folder / f"{run.name}.json").read_text())
            for run in (*RUNS, *ESTIMATES, *SYSTEMS) if (folder / f"{run.name}.json").exists()}


def with_section(page: str, text: str) -> str:
    """The page with its section about FPGAs replaced, or added at the end."""
    before, found, after = page.partition(f"{TITLE}\n")
    if not found:
        return page.rstrip("\n") + "\n\n" + text
    rest = re.search(r"^## ", after, re.MULTILINE)
    return before + text.rstrip("\n") + "\n" + ("\n" + after[rest.start():] if rest else "")
