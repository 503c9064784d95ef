"""Measures what docs/results.md shows and writes the page: every figure from a record, none typed.

    scripts/results.py FOLDER [--run] [--matrices DIR]
    scripts/results.py FOLDER --fpga [--run [--only NAME]...]

FOLDER holds the records (NAME.json); `--run` makes those that are missing, with the commands the page names.
`--fpga` is for the section about FPGAs alone, whose records are kept in docs/records; it takes hours where
the others take half of one, and makes records of earlier hardware again, too. Builds that do not end are run
only where `--only` names them.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hdl.registers import COUNTERS  # noqa: E402
from scripts import fpga_results, fpga_runs  # noqa: E402
from zerolane.bench_plans import CHOICE_TOLERANCE  # noqa: E402
from zerolane.bench_tables import COUNTER_HEADS  # noqa: E402
from zerolane.sweep import FORMS, ZEROS, speedups  # noqa: E402

Record = dict[str, Any]

PICTURE = "sweep.png"
RUNS = {
    "wide": "--matrices {matrices} --kernels spmm:128 --plans --plans-within 1.05",
    "narrow": "--matrices {matrices} --kernels spmm:32,spmm:8,spmv --plans --plans-within 1.1",
    "int8": "--matrices {matrices} --kernels spmm:128,spmm:32,spmm:8,spmv --out-dtype int8",
    "gemm": "--kernels gemm",
    "gemm8": "--kernels gemm --out-dtype int8",
    "sweep": "--sweep --plot {folder}/" + PICTURE,
}
"""Name of the record to what follows `zerolane bench --preset large`."""

LOW = 0.9
MATRIX_KERNELS = ("spmm:128", "spmm:32", "spmm:8", "spmv")
FLOORS = {"spmm:128": (0.92, 0.70, 0.55), "spmm:32": (0.94, 0.80, 0.55), "spmm:8": (0.95, 0.80, 0.55),
          "spmv": (0.92, 0.70, None)}
"""Geometric mean and worst where B fits the tile memory, worst where it does not."""
CAUSES = {
    "wait_tile": "tokens wait for the first tile, or while the array passes from one descriptor to the next",
    "wait_collector": "finished rows wait for the memory port",
    "wait_memory": "the A fetch waits for memory",
    "wait_a": "tokens are on their way from the A fetch",
    "drain": "the last sums move to memory",
    "command": "descriptors are read and checked",
}


def command(name: str, matrices: str, folder: str) -> str:
    arguments = RUNS[name].format(matrices=matrices, folder=folder)
    return f"zerolane bench --preset large {arguments} --json {folder}/{name}.json"


def measure(folder: Path, commands: dict[str, str]) -> None:
    """Run the commands, by the names of their records, whose record is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, line in commands.items():
        if not (folder / f"{name}.json").exists():
            print(line, flush=True)
            subprocess.run([sys.executable, "-m", *line.split()], cwd=ROOT, check=True)


# ---- pieces of Markdown ------------------------------------------------------------------------------


def table(heads: Iterable[str], rows: Iterable[Iterable[str]], left: int = 1) -> str:
    heads = list(heads)
    lines = ["| " + " | ".join(heads) + " |",
             "|" + "|".join("---" if number < left else "---:" for number in range(len(heads))) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def geometric_mean(values: Iterable[float]) -> float:
    return float(np.exp(np.log(list(values)).mean()))


def shares(record: Record) -> list[str]:
    return [f"{100 * record['counters'][name] / max(1, record['cycles']):.1f}" for name, _ in COUNTERS]


def product_row(record: Record) -> list[str]:
    bound = max(record["token_cycles"], record["memory_cycles"])
    limit = "lanes" if record["token_cycles"] >= record["memory_cycles"] else "memory"
    return [record["matrix"], "x".join(map(str, record["shape"])), f"{record['nnz']:,}",
            str(record["passes"]), f"{record['cycles']:,}", f"{bound:,.0f}", limit,
            f"{record['efficiency']:.3f}", *shares(record)]


PRODUCT_HEADS = ("matrix", "M x K x N", "nonzeros", "passes", "cycles", "bound", "limit", "efficiency",
                 *(f"{head} %" for head in COUNTER_HEADS))


def products(records: list[Record]) -> str:
    return table(PRODUCT_HEADS, map(product_row, records), left=2)


def where_cycles_go(record: Record) -> str:
    """For a product under LOW: what the cycles beyond the bound are, from counters and the plan."""
    cycles, counters = record["cycles"], record["counters"]
    moved = record["read_beats"] + record["write_beats"]
    bound = max(record["token_cycles"], record["memory_cycles"])
    parts = []
    extra_beats = moved - record["memory_cycles"]
    if record["memory_cycles"] >= record["token_cycles"] and extra_beats > 0.02 * cycles:
        parts.append(f"{extra_beats:,.0f} beats moved beyond the bound's (A and partial sums again for each "
                     "tile, rows cut at beats)")
    lanes_beyond = counters["busy"] - record["token_cycles"]
    if record["memory_cycles"] < record["token_cycles"] and lanes_beyond > 0.02 * cycles:
        parts.append(f"{lanes_beyond:,.0f} busy cycles beyond the bound's (PEs with fewer tokens wait for "
                     "the others, or all for the port)")
    for name, text in CAUSES.items():
        if counters[name] > 0.02 * cycles:
            parts.append(f"{counters[name]:,}: {text}")
    return (f"- {record['bench_kernel']} {record['matrix']}, {record['out_dtype']}: "
            f"{record['efficiency']:.3f}, {cycles - bound:,.0f} cycles over the bound. "
            f"{'; '.join(parts)}. Plan: {record['plan']}.")


def low_ones(records: list[Record]) -> str:
    low = [where_cycles_go(record) for record in records if record["efficiency"] < LOW]
    return "\n".join(low or [f"None is under {LOW}."]) + "\n"


# ---- sections ------------------------------------------------------------------------------------------


def floors_section(records: list[Record]) -> str:
    rows = []
    for kernel in MATRIX_KERNELS:
        own = [record for record in records if record["bench_kernel"] == kernel]
        fits = [record["efficiency"] for record in own if record["passes"] == 1]
        others = [record["efficiency"] for record in own if record["passes"] > 1]
        mean, worst, worst_other = FLOORS[kernel]
        rows.append([kernel, f"{len(fits)} / {len(others)}",
                     f"{geometric_mean(fits):.3f} ({mean})" if fits else "-",
                     f"{min(fits):.3f} ({worst})" if fits else "-",
                     f"{min(others):.3f} ({worst_other})" if others else "-"])
    return table(("kernel", "products where B fits / does not", "geometric mean where B fits",
                  "worst where B fits", "worst where it does not"), rows)


def matrices_section(records: list[Record]) -> str:
    parts = []
    for kernel in MATRIX_KERNELS:
        parts.append(f"### {kernel}\n\n{products([r for r in records if r['bench_kernel'] == kernel])}")
    return "\n".join(parts)


def plans_section(records: list[Record]) -> str:
    measured = sum(len(record["plans"]) for record in records)
    good = sum(record["choice_excess"] <= CHOICE_TOLERANCE for record in records)
    ratios = [record["predicted_cycles"] / record["cycles"] for record in records]
    most = max(entry["predicted_cycles"] / entry["cycles"] for record in records for entry in record["plans"])
    rows = []
    for record in records:
        best = min(record["plans"], key=lambda entry: entry["cycles"])
        rows.append([record["bench_kernel"], record["matrix"],
                     f"{len(record['plans'])} of {record['legal_plans']}", f"{record['predicted_cycles']:,}",
                     f"{record['cycles']:,}", f"{best['cycles']:,}", f"{100 * record['choice_excess']:.1f}"])
    return (f"{good} of {len(records)} choices are within {CHOICE_TOLERANCE:.0%} of the best of the measured "
            f"plans ({measured} in all). What was predicted for the choice is {min(ratios):.2f} to "
            f"{max(ratios):.2f} of what was measured. No plan took less than {1 / most:.3f} of its "
            "prediction, so plans predicted far above the best one were left out. `zerolane bench --plans` "
            "prints every plan with its cycles.\n\n"
            + table(("kernel", "matrix", "plans measured", "predicted", "chosen", "best", "over best %"),
                    rows, left=2))


def gemm_section(records: list[Record]) -> str:
    large = [r["efficiency"] for r in records if np.prod(r["shape"], dtype=float) >= 256**3]
    every = [record["efficiency"] for record in records]
    return (f"Geometric mean from 256x256x256 up {geometric_mean(large):.3f} (floor 0.97), worst of all "
            f"{min(every):.3f} (floor 0.80).\n\n{products(records)}")


def sweep_section(records: list[Record]) -> str:
    times = speedups(records)
    cycles = {(record["form"], record["zeros"]): record["cycles"] for record in records}
    rows = [[f"{zeros:.1%}", f"{cycles['dense', 0.0]:,}",
             *(f"{cycles[form, zeros]:,} ({times[form, zeros]:.2f})" for form in FORMS[1:])]
            for zeros in ZEROS]
    least = min(times["CSR", zeros] for zeros in ZEROS if zeros >= 0.125)
    checks = [
        ("CSR over dense, least from 12.5 % zeros on", f"{least:.2f}", "1"),
        ("CSR over dense at 75 %", f"{times['CSR', 0.75]:.2f}", "3.7"),
        ("dense with zeros over CSR at 75 %, cycles",
         f"{cycles['dense with zeros', 0.75] / cycles['CSR', 0.75]:.3f}", "0.95 to 1.05"),
        ("CSR x CSR over dense at 75 %", f"{times['CSR x CSR', 0.75]:.2f}", "7"),
    ]
    return (table(("zeros", *FORMS), rows) + "\nIn brackets: times fewer cycles than dense.\n\n"
            + table(("figure", "measured", "asked"), checks)
            + f"\n![Speedup over dense by share of zeros]({PICTURE})\n")


def page(records: dict[str, list[Record]], matrices: str) -> str:
    """The page's text."""
    whole = sorted(records["wide"] + records["narrow"],
                   key=lambda record: MATRIX_KERNELS.index(record["bench_kernel"]))
    wrong = sum(record["mismatches"] for part in records.values() for record in part)
    count = sum(len(part) for part in records.values())
    commands = "\n".join("    " + command(name, matrices, "records") for name in RUNS)
    return f"""# Measured results

Made by `scripts/results.py records --run`, which runs

{commands}

and writes this page from the records; nothing in it is typed by hand. Preset `large` (16 PEs of 8 lanes, a
port of 16 bytes, 256 KiB of tile memory), simulated, memory latency 32 cycles. {count} products, {wrong}
wrong elements against the golden model. Cycles count from doorbell to done; no machine makes them others.

*Efficiency* is the bound over the cycles; the bound is the larger of the lanes' cycles (nonzeros times words
of a row of C, over PEs) and the memory's (each operand once, over the port's width; for each further *pass*,
where B does not fit, A or partial sums once more). The last seven columns are the array's own counters and
add up to 100 %: *busy*, then what no PE worked for: waiting for the *tile*, the *collector*, *memory*, *A*,
*drain* of the last sums, *command* reading.

## Matrices, int32 out

Floors are in brackets.

{floors_section(whole)}
{matrices_section(whole)}
### Under {LOW}: where the cycles go

{low_ones(whole)}
## Matrices, int8 out

The figures in brackets are asked of int32; here they are for comparison.

{floors_section(records["int8"])}
{matrices_section(records["int8"])}
### Under {LOW}: where the cycles go, int8

{low_ones(records["int8"])}
## What is behind it

- *A small job* pays 130 to 160 cycles that no plan avoids: reading its descriptor, two round trips to memory
  (row pointers, then what they point to), the pipeline and the last write's answer. It shows where a job
  takes less than about 2,000 cycles.
- *The first tile* loads before anything can compute. Where the lanes are the limit the planner cuts B into
  column blocks, so that only the first block's load is waited for; A is then read once more a block.
- *Matrices with tens of thousands of columns*: a few columns of B fill the tile memory, so B comes in many
  narrow column blocks and A is read for each; the bound charges A again for each 256 KiB of B only.
- *int8 out*: the memory's share of the bound shrinks to a quarter for C, and the loading of tiles and the
  reading of A show. With one column slice a PE's row queue gives one word of 8 results a cycle, half of what
  the port takes; the planner prefers two slices where that is the limit.
- *Uneven columns*: with P_k owners a PE may have most tokens of a stretch of A while the others' queues (16
  beats) run dry. The planner estimates it from samples of A and takes more slices and fewer owners.

## Plans

{plans_section(whole)}
## Dense layers

int32 out:

{gemm_section(records["gemm"])}
int8 out:

{gemm_section(records["gemm8"])}
## One layer, 0 to 99 % zeros

768x768 times 768x128, int32 out.

{sweep_section(records["sweep"])}"""


def write_fpga_section(folder: Path, output: Path, run: bool, only: Sequence[str]) -> None:
    if run:
        fpga_runs.measure(folder, only)
    records = fpga_runs.load(folder)
    if not records:
        sys.exit(f"results.py: {folder}: no record of a build; --run makes them")
    output.write_text(fpga_results.with_section(output.read_text(), fpga_results.section(records)))
    if (folder / fpga_runs.PICTURE).exists():
        shutil.copyfile(folder / fpga_runs.PICTURE, output.parent / fpga_runs.PICTURE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", action="store_true",
                        help="make records that are missing; with --fpga also those of earlier hardware")
    parser.add_argument("--matrices", type=Path, default=ROOT.parent / "shared" / "matrices")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "results.md")
    parser.add_argument("--fpga", action="store_true", help="the section about FPGAs only")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        choices=[built.name for built in fpga_runs.ALL],
                        help="with --fpga --run: this record alone; the only way to one that does not end")
    options = parser.parse_args()
    if options.only and not (options.fpga and options.run):
        parser.error(f"--only {options.only[0]}: goes with --fpga --run")
    folder = options.folder.resolve()
    if options.fpga:
        write_fpga_section(folder, options.output, options.run, options.only)
        return
    if options.run:
        matrices = str(options.matrices.resolve())
        measure(folder, {name: command(name, matrices, str(folder)) for name in RUNS})
    missing = [name for name in RUNS if not (folder / f"{name}.json").exists()]
    if missing:
        sys.exit(f"results.py: {folder}: no record {', '.join(missing)}; --run makes it")
    records = {name: json.loads((folder / f"{name}.json").read_text()) for name in RUNS}
    text = page(records, "../shared/matrices")
    old = options.output.read_text() if options.output.exists() else ""
    # The section about FPGAs has records of its own: it stays as it is.
    found = re.search(rf"^{fpga_results.TITLE}$.*?(?=^## |\Z)", old, re.MULTILINE | re.DOTALL)
    options.output.write_text(fpga_results.with_section(text, found[0]) if found else text)
    if (folder / PICTURE).exists():
        shutil.copyfile(folder / PICTURE, options.output.parent / PICTURE)


if __name__ == "__main__":
    main()
