"""The section of docs/results.md about FPGAs, from records of `zerolane synth`; see scripts/results.py."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.fpga_runs import (  # noqa: E402
    ALL,
    ESTIMATES,
    FOLDER,
    PAIRS,
    PICTURE,
    RUNS,
    SYSTEMS,
    Built,
    Record,
    Run,
    System,
)
from synth.area import merged  # noqa: E402
from synth.boards.boards import board_by_name  # noqa: E402
from synth.report import how_it_failed  # noqa: E402
from synth.targets import TARGETS  # noqa: E402

TITLE = "## On FPGAs"
HEADS = ("", "part, speed grade", "LUTs", "registers", "DSPs", "block RAMs", "Fmax (asked) MHz",
         "GMAC/s, per kLUT, per DSP", "slowest path")
MARK = "†"
MARK_MEANS = (f"{MARK} of earlier hardware, or of other options than today's: `--run` measures it again. "
              "What the flow does and its tools' versions set no mark.\n\n")


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
        rows.append([_title(run, record), f"{record['part']}, {record['speed']}", *_figures(record, run)])
        areas.append(f"### {_title(run, record)} on {record['target']}, by block\n\n{_area(record)}")
        if run.picture and record["fits"]:
            areas.append(f"![Cells of {run.preset} on {record['part']}, coloured by block]({PICTURE})\n")
    dates = sorted({record["date"] for record in records.values() if "date" in record})
    when = dates[0] + (f" to {dates[-1]}" if len(dates) > 1 else "")
    versions = ", ".join(f"{name} {version}" for name, version in sorted(
        {item for record in records.values() for item in record["versions"].items()}))
    arrays = (*RUNS, *ESTIMATES)
    files = "\n".join(f"- `{built.configuration}.toml`: `" + "`, `".join(built.file.splitlines()) + "`"
                      for built in ALL if built.changes)
    return f"""{TITLE}

Made by `scripts/results.py {FOLDER} --fpga --run`, which runs

{_commands(arrays)}

with these files:

{files}

{_seeds(records)}; registers around the ports are in the figures ([fpga.md](fpga.md)). {when}; {versions}.

| {" | ".join(HEADS)} |
|---|---|---:|---:|---:|---:|---:|---:|---|
{chr(10).join("| " + " | ".join(row) + " |" for row in rows)}

{_what_the_mark_means(records, arrays)}{_cost(records)}{_boards(records)}{chr(10).join(areas)}"""


def _seeds(records: dict[str, Record]) -> str:
    """What a row is of."""
    counts = {len(record["seeds"]) for record in records.values() if "seeds" in record} or {1}
    if counts == {1}:
        return "One seed, and not the best of several"
    return "The fastest of " + " or ".join(str(count) for count in sorted(counts)) + " seeds"


def _commands(builds: Iterable[Run | System]) -> str:
    return "\n".join("    zerolane " + " ".join(built.arguments(FOLDER)) for built in builds)


def _title(built: Built, record: Record) -> str:
    return _marked(built, built.is_of_today(record))


def _marked(built: Built, of_today: bool) -> str:
    """Its title, with a mark where what follows is not all of today's hardware."""
    return built.title if of_today else f"{built.title} {MARK}"


def _what_the_mark_means(records: dict[str, Record], builds: Iterable[Run | System]) -> str:
    """Nothing where there is none."""
    marked = any(not built.is_of_today(records[built.name]) for built in builds if built.name in records)
    return MARK_MEANS if marked else ""


def _boards(records: dict[str, Record]) -> str:
    """Whole systems."""
    rows = [_system_row(system, records.get(system.name)) for system in SYSTEMS]
    lines = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"""### Whole systems on boards

{_commands(SYSTEMS)}

build the array with memory on the chip, a clock generator and the bridge on the serial line. What does
not fit its part, or misses its clock, has no bitstream. No board has been tried in reality: these systems
have run in simulation only.

| board | part, speed grade | array | memory KiB | LUTs | registers | DSPs | block RAMs | MHz | Fmax |
|---|---|---|---:|---:|---:|---:|---:|---:|---:|
{lines}

{_what_the_mark_means(records, SYSTEMS)}"""


def _system_row(system: System, record: Record | None) -> list[str]:
    board = board_by_name(system.board)
    part = f"{board.target.part}, {board.speed}"
    if record is None:
        return [board.title, part, system.title, "-", "not measured", *["-"] * 5]
    return [board.title, part, _title(system, record), f"{record['memory_bytes'] // 1024}",
            *(f"{record[kind]:,}" for kind in ("luts", "registers", "dsps", "brams")),
            f"{record['clock_mhz']:g}",
            f"{record['fmax_mhz']:.1f}" if record["fits"] else how_it_failed(record)]


def _cost(records: dict[str, Record]) -> str:
    """What packed tiles take, by pairs of builds that differ in them alone."""
    lines = [_pair_cost(pair, [records[run.name] for run in pair]) for pair in PAIRS
             if all(run.name in records for run in pair)]
    if not lines:
        return ""
    text = "\n".join(lines)
    return f"""### What sparsity costs

With packed tiles against without:

{text}

A sparse A costs nothing beside this: both read it, by the same unit as dense rows.

"""


def _pair_cost(runs: tuple[Run, Run], records: list[Record]) -> str:
    run, (sparse, dense) = runs[0], records
    of_today = all(one.is_of_today(record) for one, record in zip(runs, records, strict=True))
    what = f"- {_marked(run, of_today)} on {sparse['part']}"
    kinds = (("luts", "LUTs"), ("registers", "registers"), ("brams", "block RAMs"))
    taken = [(name, _taken(sparse, kind), _taken(dense, kind)) for kind, name in kinds]
    more = ", ".join(f"{ours:,} {name} against {theirs:,} ({ours / theirs - 1:+.0%})"
                     for name, ours, theirs in taken)
    if not run.asked_mhz:
        return f"{what}, after synthesis: {more}"
    clocks = [f"{record['fmax_mhz']:.1f} MHz" if record["fits"] else
              f"no clock, as it {how_it_failed(record)}" for record in records]
    return f"{what}: {more}; {clocks[0]} against {clocks[1]}"


def _taken(record: Record, kind: str) -> int:
    """What is not placed has the sum of its blocks."""
    return record[kind] if kind in record else sum(counts[kind] for counts in record["area"].values())


def _figures(record: Record, run: Run) -> list[str]:
    cells = [f"{record[kind]:,} ({record[kind] / available:.0%})" if available else f"{record[kind]:,}"
             for kind, available in record["available"].items()]
    if not record["fits"]:
        return [*cells, f"{how_it_failed(record)} ({run.asked_mhz})", "-", "-"]
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


def with_section(page: str, text: str) -> str:
    """The page with its section about FPGAs replaced, or added at the end."""
    before, found, after = page.partition(f"{TITLE}\n")
    if not found:
        return page.rstrip("\n") + "\n\n" + text
    rest = re.search(r"^## ", after, re.MULTILINE)
    return before + text.rstrip("\n") + "\n" + ("\n" + after[rest.start():] if rest else "")
