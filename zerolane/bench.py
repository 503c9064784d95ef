"""The benchmark: kernels over a folder of matrices, or over a set made by seed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zerolane.device import Device
from zerolane.formats import Matrix, MatrixFileError, load_matrix
from zerolane.report import run_work
from zerolane.work import Kernel, WorkError, pattern_work
from zerolane.workloads import generated_patterns

__all__ = ["BenchKernel", "bench_rows", "parse_kernels", "summarise"]

_DEFAULT_COLUMNS = 128
_SUFFIXES = (".mtx", ".smtx", ".npz", ".npy")


@dataclass(frozen=True)
class BenchKernel:
    """A kernel and the columns of its random B."""

    kernel: Kernel
    columns: int

    def __str__(self) -> str:
        return self.kernel.value if self.kernel is Kernel.SPMV else f"{self.kernel.value}:{self.columns}"


def parse_kernels(text: str) -> list[BenchKernel]:
    """`spmm:32,spmv` and the like; WorkError names what is wrong."""
    kernels = []
    for word in text.split(","):
        name, _, columns = word.strip().partition(":")
        if name not in [kernel.value for kernel in Kernel]:
            raise WorkError(f"--kernels: unknown kernel {name!r}; it must be spmm, spmv or gemm")
        if columns and (not columns.isdigit() or int(columns) < 1):
            raise WorkError(f"--kernels: {word.strip()!r}: columns must be a number, at least 1")
        if name == Kernel.SPMV and columns not in ("", "1"):
            raise WorkError(f"--kernels: {word.strip()!r}: spmv has one column")
        count = 1 if name == Kernel.SPMV else int(columns or _DEFAULT_COLUMNS)
        kernels.append(BenchKernel(Kernel(name), count))
    return kernels


def _patterns(folder: Path | None, seed: int) -> Iterator[tuple[str, Matrix]]:
    if folder is None:
        yield from generated_patterns(seed)
        return
    if not folder.is_dir():
        raise MatrixFileError(f"{folder}: no such folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    if not paths:
        raise MatrixFileError(f"{folder}: no matrix files; they end in {', '.join(_SUFFIXES)}")
    for path in paths:
        yield path.stem, load_matrix(path).matrix


def bench_rows(device: Device, folder: Path | None, kernels: list[BenchKernel], out_dtype: str, seed: int,
               progress: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """A record for every kernel and matrix, as `run_work` makes it, plus `bench_kernel`."""
    patterns = list(_patterns(folder, seed))
    total = len(patterns) * len(kernels)
    for number, (kernel, (name, pattern)) in enumerate((kernel, item) for kernel in kernels
                                                       for item in patterns):
        progress(f"{number + 1} of {total}: {kernel} {name}")
        work = pattern_work(kernel.kernel, name, pattern, kernel.columns, seed)
        yield {"bench_kernel": str(kernel), **run_work(device, work, out_dtype).record}


def summarise(records: list[dict[str, Any]]) -> list[str]:
    """Geometric mean and worst efficiency a kernel, where B fits the tile memory and where it does not."""
    lines = []
    for kernel in dict.fromkeys(record["bench_kernel"] for record in records):
        for fits, label in ((True, "B fits"), (False, "B does not fit")):
            chosen = [record for record in records
                      if record["bench_kernel"] == kernel and (record["passes"] == 1) == fits]
            if not chosen:
                continue
            efficiencies = np.array([record["efficiency"] for record in chosen])
            worst = chosen[int(efficiencies.argmin())]["matrix"]
            mean = np.exp(np.log(efficiencies).mean())
            lines.append(f"{kernel}, {label}: {len(chosen)} matrices, efficiency geometric mean {mean:.3f}, "
                         f"worst {efficiencies.min():.3f} ({worst})")
    return lines
