"""The section of docs/results.md about FPGAs, from records of `zerolane synth`; see scripts/results.py."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from synth.area import merged  # noqa: E402
from synth.targets import TARGETS  # noqa: E402

Record = dict[str, Any]

TITLE = "## On FPGAs"
SEEDS = 1
_SEEDS_MEAN = "One seed, and not the best of several" if SEEDS == 1 else f"The fastest of {SEEDS} seeds"
PICTURE = "fpga.png"
HEADS = ("", "part, speed grade", "LUTs", "registers", "DSPs", "block RAMs", "Fmax (asked) MHz",
         "GMAC/s, per kLUT, per DSP", "slowest path")


@dataclass(frozen=True)
class Run:
    """One row: what is built, for which part, and the clock that place and route works towards."""

    name: str
    preset: str
    target: str
    asked_mhz: int
    dense_only: bool = False
    picture: bool = False


RUNS = (
    Run("tiny-up5k", "tiny", "ice40-up5k", 24),
    Run("tiny-gw2ar", "tiny", "gw2ar-18", 80),
    Run("tiny-25k", "tiny", "ecp5-25k", 100, picture=True),
    Run("small-gw2a", "small", "gw2a-18", 80),
    # It fills the part: to work towards more than can be reached costs time only.
    Run("small-25k", "small", "ecp5-25k", 60),
    Run("small-45k", "small", "ecp5-45k", 100),
    Run("base-45k", "base", "ecp5-45k", 100),
    Run("base-dense-45k", "base", "ecp5-45k", 100, dense_only=True),
    Run("large-85k", "large", "ecp5-85k", 100),
)


def arguments(run: Run, folder: Path | str) -> list[str]:
    """Of zerolane."""
    words = ["synth", "--target", run.target, "--freq", str(run.asked_mhz), "--seeds", str(SEEDS),
             "--json", f"{folder}/{run.name}.json"]
    words += ["--config", f"{folder}/{run.name}.toml"] if run.dense_only else ["--preset", run.preset]
    return words + (["--picture", f"{folder}/{PICTURE}"] if run.picture else [])


def measure(folder: Path) -> None:
    """Run what has no record yet; a design that does not fit has one, too."""
    folder.mkdir(parents=True, exist_ok=True)
    for run in RUNS:
        record = folder / f"{run.name}.json"
        if record.exists():
            continue
        if run.dense_only:
            (folder / f"{run.name}.toml").write_text(f'preset = "{run.preset}"\ncompressed_b = false\n')
        words = ["zerolane", *arguments(run, folder)]
        print(" ".join(words), flush=True)
        subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=False)
        if not record.exists():
            sys.exit(f"results.py: {' '.join(words)}: no record was written")


def section(records: dict[str, Record]) -> str:
    """The section's text; `records` by the runs' names. A run without one is named as not measured."""
    rows, areas = [], []
    for run in RUNS:
        record = records.get(run.name)
        what = f"`{run.preset}`" + (", dense B only" if run.dense_only else "")
        if record is None:
            target = TARGETS[run.target]
            rows.append([what, f"{target.part}, {target.speed}", f"not measured ({run.asked_mhz})",
                         *["-"] * (len(HEADS) - 3)])
            continue
        rows.append([what, f"{record['part']}, {record['speed']}", *_figures(record, run)])
        areas.append(f"### {what} on {record['target']}, by block\n\n{_area(record)}")
        if run.picture and record["fits"]:
            areas.append(f"![Cells of {run.preset} on {record['part']}, coloured by block]({PICTURE})\n")
    some = next(iter(records.values()))
    versions = ", ".join(f"{name} {version}" for name, version in sorted(
        {item for record in records.values() for item in record["versions"].items()}))
    commands = "\n".join("    zerolane " + " ".join(arguments(run, "records")) for run in RUNS)
    return f"""{TITLE}

Made by `scripts/results.py records --fpga --run`, which runs

{commands}

(dense B only: `compressed_b = false`). {_SEEDS_MEAN}; registers around the ports are in the
figures ([fpga.md](fpga.md)). {some['date']}; {versions}.

| {" | ".join(HEADS)} |
|---|---|---:|---:|---:|---:|---:|---:|---|
{chr(10).join("| " + " | ".join(row) + " |" for row in rows)}

{chr(10).join(areas)}"""


def _figures(record: Record, run: Run) -> list[str]:
    cells = [f"{record[kind]:,} ({record[kind] / available:.0%})" if available else f"{record[kind]:,}"
             for kind, available in record["available"].items()]
    if not record["fits"]:
        return [*cells, f"does not fit ({run.asked_mhz})", "-", "-"]
    blocks = " → ".join(dict.fromkeys(part["block"].rpartition("array.")[2] or "(fence)"
                                      for part in record["critical_path"]))
    peak = [record["peak_gmacs"], record["gmacs_per_klut"], record["gmacs_per_dsp"]]
    return [*cells, f"{record['fmax_mhz']:.1f} ({run.asked_mhz})",
            ", ".join(f"{value:.3g}" if value else "-" for value in peak), blocks]


def _area(record: Record) -> str:
    lines = ["| block | LUTs | registers | DSPs | block RAMs |", "|---|---:|---:|---:|---:|"]
    for block, counts in merged(record["area"], 3).items():
        lines.append(f"| {block} | " + " | ".join(f"{count:,}" for count in counts.values()) + " |")
    return "\n".join(lines) + "\n"


def load(folder: Path) -> dict[str, Record]:
    return {run.name: json.loads((folder / f"{run.name}.json").read_text())
            for run in RUNS if (folder / f"{run.name}.json").exists()}


def with_section(page: str, text: str) -> str:
    """The page with its section about FPGAs replaced, or added at the end."""
    before, found, after = page.partition(f"{TITLE}\n")
    if not found:
        return page.rstrip("\n") + "\n\n" + text
    rest = re.search(r"^## ", after, re.MULTILINE)
    return before + text.rstrip("\n") + "\n" + ("\n" + after[rest.start():] if rest else "")
