"""Measures what docs/sparse_results.md shows and writes the page: every figure from a record, none typed.

    scripts/sparse_results.py FOLDER [--run] [--matrices DIR]

FOLDER holds the records (NAME.json); `--run` makes those that are missing, with the commands the page names.
Products in CSR of large matrices take an hour and more.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.results import PRODUCT_HEADS, Record, geometric_mean, measure, product_row, table  # noqa: E402

RUNS = {
    "elementwise": "add,mul",
    "sampled": "sddmm:64,sddmm:128,sddmm:256",
    "squares": "spgemm",
    "transposed": "spgemm_t",
}
"""Name of the record to its kernels."""
WANTED = {"add": 0.85, "mul": 0.85, "sddmm": 0.80, "spgemm": 0.70, "spgemm_t": 0.70}
"""Efficiency that is asked for: of elementwise operations and SDDMM the least, of products the mean."""


def command(name: str, matrices: str, folder: str) -> str:
    return (f"zerolane bench --preset large --matrices {matrices} --kernels {RUNS[name]} "
            f"--json {folder}/{name}.json")


def summary(records: list[Record]) -> str:
    rows = []
    for kernel in dict.fromkeys(record["bench_kernel"] for record in records):
        own = [record for record in records if record["bench_kernel"] == kernel]
        found = [record["efficiency"] for record in own]
        one = [record["efficiency"] for record in own if record["passes"] == 1]
        worst = min(own, key=lambda record: record["efficiency"])
        measured = {record["matrix"] for record in own}
        absent = [name for name in dict.fromkeys(record["matrix"] for record in records)
                  if name not in measured]
        rows.append([kernel, str(len(own)), f"{geometric_mean(found):.3f}",
                     f"{geometric_mean(one):.3f} ({len(one)})" if one else "-",
                     f"{worst['efficiency']:.3f} ({worst['matrix']})",
                     f"{WANTED[kernel.partition(':')[0]]:.2f}", ", ".join(absent) or "-"])
    return table(("kernel", "matrices", "geometric mean", "of those with one pass", "worst", "asked",
                  "not measured"), rows)


def kernel_section(kernel: str, records: list[Record]) -> str:
    heads = [*PRODUCT_HEADS[:3], "entries of C", *PRODUCT_HEADS[3:]]
    rows = []
    for record in records:
        row = product_row(record)
        rows.append([*row[:3], f"{record['out_nnz']:,}", *row[3:]])
    plans = "\n".join(f"- {record['matrix']}: {record['plan']}" for record in records)
    return f"### {kernel}\n\n{table(heads, rows, left=2)}\nPlans:\n\n{plans}\n"


def page(parts: dict[str, list[Record]], matrices: str) -> str:
    """The page's text; records that were not made are named as such."""
    records = [record for name in RUNS for record in parts.get(name, [])]
    wrong = sum(record["mismatches"] for record in records)
    commands = "\n".join(f"    {command(name, matrices, 'records')}"
                         + ("" if name in parts else "     # not measured yet") for name in RUNS)
    kernels = dict.fromkeys(record["bench_kernel"] for record in records)
    sections = "\n".join(kernel_section(kernel, [r for r in records if r["bench_kernel"] == kernel])
                         for kernel in kernels)
    return f"""# Measured results: sparse in, sparse out

Made by `scripts/sparse_results.py records --run`, which runs

{commands}

and writes this page from the records; nothing in it is typed by hand. Preset `large`, simulated, memory
latency 32 cycles. {len(records)} results, {wrong} wrong elements against the golden model.
[kernels.md](kernels.md) has the bounds and says what each kernel does; spgemm is A·A, or A·Aᵀ where A is not
square, spgemm_t A·Aᵀ; sddmm:K samples a product of dense matrices with K columns and rows; add and mul take A
and A with its columns shifted by one. A *pass* is a column block of C as the bound has it; the plan says how
many there were.

{summary(records)}
{sections}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", action="store_true", help="make records that are missing")
    parser.add_argument("--matrices", type=Path, default=ROOT.parent / "shared" / "matrices")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "sparse_results.md")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if options.run:
        matrices = str(options.matrices.resolve())
        measure(folder, {name: command(name, matrices, str(folder)) for name in RUNS})
    made = {name: folder / f"{name}.json" for name in RUNS if (folder / f"{name}.json").exists()}
    if not made:
        sys.exit(f"sparse_results.py: {folder}: no record; --run makes them")
    parts = {name: json.loads(path.read_text()) for name, path in made.items()}
    options.output.write_text(page(parts, "../shared/matrices"))


if __name__ == "__main__":
    main()
