"""The benchmark: kernels over a folder of matrices, or over a set made by seed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zerolane.bench_plans import compare_plans
from zerolane.device import Device
from zerolane.formats import Matrix, MatrixFileError, load_matrix
from zerolane.kernel_work import NamedKernel
from zerolane.operands import OperandError
from zerolane.pattern_kernels import LENGTHS, PATTERN_KERNELS, pattern_kernel
from zerolane.report import Request, run_kernel, run_request
from zerolane.work import Kernel, WorkError, pattern_work
from zerolane.workloads import generated_patterns, layer_patterns

__all__ = ["BenchKernel", "bench_rows", "parse_kernels", "summarise"]

_DEFAULT_COLUMNS = 128
_LARGE_GEMM = 256**3
_SUFFIXES = (".mtx", ".smtx", ".npz", ".npy")


@dataclass(frozen=True)
class BenchKernel:
    """A kernel and the columns of its random B; kernels of PATTERN_KERNELS make their operands of A, those of
    LENGTHS with so many values in each row of a dense one.

    `gemm` without columns and without a folder of matrices means dense layers, each with columns of its own.
    """

    kernel: Kernel | NamedKernel
    columns: int | None

    def __str__(self) -> str:
        plain = self.kernel is Kernel.SPMV or self.columns is None
        return self.kernel.value if plain else f"{self.kernel.value}:{self.columns}"


def parse_kernels(text: str) -> list[BenchKernel]:
    """`spmm:32,spmv,gemm,add` and the like; WorkError names what is wrong."""
    kernels: list[BenchKernel] = []
    for word in text.split(","):
        name, _, columns = word.strip().partition(":")
        if name not in [kernel.value for kernel in (*Kernel, *PATTERN_KERNELS)]:
            others = ", ".join(kernel.value for kernel in PATTERN_KERNELS)
            raise WorkError(f"--kernels: unknown kernel {name!r}; it must be spmm, spmv, gemm, {others}")
        if columns and (not columns.isdigit() or int(columns) < 1):
            raise WorkError(f"--kernels: {word.strip()!r}: columns must be a number, at least 1")
        if name in set(PATTERN_KERNELS):
            named = NamedKernel(name)
            if columns and named not in LENGTHS:
                raise WorkError(f"--kernels: {word.strip()!r}: {name} makes its other operands of the first")
            kernels.append(BenchKernel(named, int(columns) if columns else LENGTHS.get(named)))
            continue
        if name == Kernel.SPMV and columns not in ("", "1"):
            raise WorkError(f"--kernels: {word.strip()!r}: spmv has one column")
        default = {Kernel.SPMV: 1, Kernel.SPMM: _DEFAULT_COLUMNS, Kernel.GEMM: None}[Kernel(name)]
        kernels.append(BenchKernel(Kernel(name), int(columns) if columns else default))
    return kernels


@dataclass(frozen=True)
class _Item:
    """One product to measure, still without values."""

    bench_kernel: str
    kernel: Kernel | NamedKernel
    name: str
    pattern: Matrix
    columns: int


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


def _items(folder: Path | None, kernels: list[BenchKernel], seed: int) -> Iterator[_Item]:
    patterns: list[tuple[str, Matrix]] | None = None
    for kernel in kernels:
        if folder is None and kernel.kernel is Kernel.GEMM and kernel.columns is None:
            for name, pattern, columns in layer_patterns():
                yield _Item(str(kernel), kernel.kernel, name, pattern, columns)
            continue
        if patterns is None:
            patterns = list(_patterns(folder, seed))
        for name, pattern in patterns:
            yield _Item(str(kernel), kernel.kernel, name, pattern, kernel.columns or _DEFAULT_COLUMNS)


def bench_rows(device: Device, folder: Path | None, kernels: list[BenchKernel], out_dtype: str, seed: int,
               progress: Callable[[str], None],
               plans_within: float | None = None) -> Iterator[dict[str, Any]]:
    """A record for every kernel and matrix, as `run_work` makes it, plus `bench_kernel`.

    With `plans_within` each has `plans`, `best_cycles` and `choice_excess`, too (`compare_plans`).
    """
    items = list(_items(folder, kernels, seed))
    for number, item in enumerate(items):
        where = f"{number + 1} of {len(items)}: {item.bench_kernel} {item.name}"
        progress(where)
        if isinstance(item.kernel, NamedKernel):
            yield from _named_rows(device, item, out_dtype, seed, plans_within, where, progress)
            continue
        work = pattern_work(item.kernel, item.name, item.pattern, item.columns, seed)
        request = Request(work, out_dtype)
        record = {"bench_kernel": item.bench_kernel, "seed": seed, **run_request(device, request).record}
        if plans_within is not None:
            record |= compare_plans(device, request, record, plans_within,
                                    lambda text: progress(f"{where}: {text}"))
        yield record


def _named_rows(device: Device, item: _Item, out_dtype: str, seed: int, plans_within: float | None,
                where: str, progress: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """The record of a kernel of PATTERN_KERNELS; none, and the reason, where the array does not take it."""
    if out_dtype != "int32" or plans_within is not None:
        raise WorkError(f"--kernels: {item.bench_kernel} has int32 results and one plan; leave --out-dtype "
                        "and --plans out")
    assert isinstance(item.kernel, NamedKernel)
    work = pattern_kernel(item.kernel, item.name, item.pattern, seed, item.columns)
    try:
        yield {"bench_kernel": item.bench_kernel, "seed": seed, **run_kernel(device, work).record}
    except OperandError as error:
        progress(f"{where}: left out: {error}")


def summarise(records: list[dict[str, Any]]) -> list[str]:
    """Geometric mean and worst efficiency a kernel, where B fits the tile memory and where it does not."""
    lines = []
    for kernel in dict.fromkeys(record["bench_kernel"] for record in records):
        own = [record for record in records if record["bench_kernel"] == kernel]
        for fits, label in ((True, "B fits"), (False, "B does not fit")):
            lines += _summary(f"{kernel}, {label}", [r for r in own if (r["passes"] == 1) == fits])
        if kernel == Kernel.GEMM:
            large = [record for record in own if np.prod(record["shape"], dtype=float) >= _LARGE_GEMM]
            lines += _summary(f"{kernel}, from 256x256x256 up", large)
            lines += _summary(f"{kernel}, all", own)
    return lines


def _summary(label: str, records: list[dict[str, Any]]) -> list[str]:
    if not records:
        return []
    efficiencies = np.array([record["efficiency"] for record in records])
    worst = records[int(efficiencies.argmin())]["matrix"]
    mean = np.exp(np.log(np.maximum(efficiencies, 1e-9)).mean())
    return [f"{label}: {len(records)} product{'s' * (len(records) > 1)}, efficiency geometric mean "
            f"{mean:.3f}, worst {efficiencies.min():.3f} ({worst})"]
