"""The tables that `bench` prints."""

from typing import Any

from rich.table import Table

from hdl.registers import COUNTERS
from zerolane.bench_plans import CHOICE_TOLERANCE
from zerolane.sweep import FORMS, ZEROS, speedups

__all__ = ["COUNTER_HEADS", "bench_table", "plans_table", "sweep_table"]

COUNTER_HEADS = ("busy", "tile", "collector", "memory", "A", "drain", "command")
"""Headings for `hdl.registers.COUNTERS`: what no PE computed for, as a share of the cycles."""


def _table(title: str | None, *columns: str, left: int = 1) -> Table:
    table = Table(title=title)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right", overflow="fold",
                         no_wrap=number >= left)
    return table


def _counter_shares(record: dict[str, Any]) -> list[str]:
    total = max(1, record["cycles"])
    return [f"{100 * record['counters'][name] / total:.1f}" for name, _ in COUNTERS]


def bench_table(records: list[dict[str, Any]]) -> Table:
    """A row a record: cycles, the bound's two terms, efficiency, and where the cycles went, in percent."""
    table = _table("shape: M x K x N; compute, memory: the bound is the larger one; busy to "
                   "command: percent of the cycles", "kernel", "matrix", "shape",
                   "nnz", "cycles", "compute", "memory", "efficiency", *COUNTER_HEADS, "wrong", left=2)
    for record in records:
        table.add_row(
            record["bench_kernel"], record["matrix"], "x".join(str(size) for size in record["shape"]),
            f"{record['nnz']:,}", f"{record['cycles']:,}",
            f"{record['token_cycles']:,.0f}", f"{record['memory_cycles']:,.0f}",
            f"{record['efficiency']:.3f}",
            *_counter_shares(record), str(record["mismatches"]))
    return table


def plans_table(records: list[dict[str, Any]]) -> Table:
    """Rows for every measured plan of every record, the chosen one first, over the best one's cycles."""
    table = _table("measured plans, the planner's choice first", "kernel", "matrix", "plan", "predicted",
                   "measured", "over best", left=3)
    for record in records:
        for number, entry in enumerate(record["plans"]):
            excess = entry["cycles"] / max(1, record["best_cycles"]) - 1
            mark = " !" if number == 0 and excess > CHOICE_TOLERANCE else ""
            table.add_row(record["bench_kernel"] if number == 0 else "",
                          record["matrix"] if number == 0 else "",
                          entry["plan"], f"{entry['predicted_cycles']:,}", f"{entry['cycles']:,}",
                          f"{excess:.1%}{mark}", end_section=number == len(record["plans"]) - 1)
    return table


def sweep_table(records: list[dict[str, Any]]) -> Table:
    """A row a share of zeros: cycles of each form, and how many times fewer than dense."""
    rows, inner, columns = records[0]["shape"]
    table = _table(f"{rows}x{inner} times {inner}x{columns}: cycles, and times fewer than dense", "zeros",
                   *FORMS)
    cycles = {(record["form"], record["zeros"]): record["cycles"] for record in records}
    times = speedups(records)
    for zeros in ZEROS:
        cells = [f"{cycles['dense', 0.0]:,}", *(f"{cycles[form, zeros]:,}  {times[form, zeros]:6.2f}"
                                                for form in FORMS[1:])]
        table.add_row(f"{zeros:.1%}", *cells)
    return table
