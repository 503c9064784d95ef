"""One layer over all shares of zeros: dense, dense with zeros, CSR, and CSR times CSR."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from zerolane.device import Device
from zerolane.outputs import write_files
from zerolane.quantize import Quantized, random_values
from zerolane.report import run_work
from zerolane.work import Kernel, WorkError, make_work
from zerolane.workloads import random_pattern

__all__ = ["FORMS", "LAYER_SIDE", "SWEEP_COLUMNS", "ZEROS", "plot_sweep", "speedups", "summarise_sweep",
           "sweep_rows"]

LAYER_SIDE = 768
SWEEP_COLUMNS = 128
ZEROS = (0.0, 0.125, 0.25, 0.5, 0.625, 0.75, 0.875, 0.9, 0.95, 0.99)
FORMS = ("dense", "dense with zeros", "CSR", "CSR x CSR")
"""How A and B are stored. `dense` has no zeros and is run once; in `CSR x CSR` B has as many zeros as A."""


def sweep_rows(device: Device, out_dtype: str, seed: int, progress: Callable[[str], None], *,
               side: int = LAYER_SIDE, columns: int = SWEEP_COLUMNS) -> Iterator[dict[str, Any]]:
    """A record for every form and share of zeros, as `run_work` makes it, plus `form` and `zeros`.

    A is side×side, B side×columns; random positions, random nonzero values.
    """
    def run(form: str, zeros: float, a: Any, b: Any) -> dict[str, Any]:
        progress(f"{form}, {zeros:.1%} zeros")
        work = make_work(Kernel.SPMM, f"{form}, {zeros:.1%} zeros", Quantized(a, None, 0),
                         Quantized(b, None, 0))
        return {"bench_kernel": "sweep", "form": form, "zeros": zeros, "seed": seed,
                **run_work(device, work, out_dtype).record}

    rng = np.random.default_rng(seed)
    full_b = random_values(random_pattern((side, columns), 0.0, rng), rng)
    yield run("dense", 0.0, random_values(random_pattern((side, side), 0.0, rng), rng), full_b)
    for zeros in ZEROS:
        a = random_values(random_pattern((side, side), zeros, rng), rng)
        b = random_values(random_pattern((side, columns), zeros, rng), rng)
        yield run("dense with zeros", zeros, a, full_b)
        yield run("CSR", zeros, sp.csr_array(a), full_b)
        yield run("CSR x CSR", zeros, sp.csr_array(a), sp.csr_array(b))


def speedups(records: list[dict[str, Any]]) -> dict[tuple[str, float], float]:
    """(form, zeros) to how many times fewer cycles than dense it takes."""
    dense = next(record["cycles"] for record in records if record["form"] == "dense")
    return {(record["form"], record["zeros"]): dense / max(1, record["cycles"]) for record in records}


def summarise_sweep(records: list[dict[str, Any]]) -> list[str]:
    """The figures that matter, each in a line."""
    times = speedups(records)
    slowest = min((times["CSR", zeros], zeros) for zeros in ZEROS if zeros >= 0.125)
    return [
        f"CSR from 12.5 % zeros on: at least {slowest[0]:.2f} times fewer cycles than dense "
        f"(at {slowest[1]:.1%})",
        f"75 % zeros: CSR {times['CSR', 0.75]:.2f}, dense with zeros {times['dense with zeros', 0.75]:.2f}, "
        f"CSR x CSR {times['CSR x CSR', 0.75]:.2f} times fewer cycles than dense",
    ]


def plot_sweep(records: list[dict[str, Any]], path: Path) -> None:
    """Speedup over dense by share of zeros, as a picture, .png or .svg; WorkError where matplotlib is not
    installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise WorkError("--plot needs matplotlib: pip install 'zerolane[plot]'") from None
    times = speedups(records)
    positions = list(range(len(ZEROS)))
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    ideal = [1 / (1 - zeros) for zeros in ZEROS]
    axes.plot(positions, ideal, color="0.75", linestyle=":", label="zeros of A cost nothing")
    axes.plot(positions, [1.0] * len(ZEROS), color="0.4", label="dense")
    for form, marker in zip(FORMS[1:], "osD", strict=True):
        axes.plot(positions, [times[form, zeros] for zeros in ZEROS], marker=marker, label=form)
    axes.set_xticks(positions, [f"{zeros:.1%}".replace(".0%", "%") for zeros in ZEROS])
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("zeros of A (and of B in CSR x CSR)")
    axes.set_ylabel("times fewer cycles than dense")
    rows, inner, columns = records[0]["shape"]
    axes.set_title(f"{rows}x{inner} times {inner}x{columns}, preset {records[0]['preset']}, "
                   f"{records[0]['out_dtype']} out")
    axes.grid(True, alpha=0.3)
    axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix.removeprefix("."), dpi=120)
    write_files({path: content.getvalue()})
