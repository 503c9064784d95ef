"""One job's record: what `run` writes as run.json and `bench` prints as a row."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sim import golden
from zerolane.device import Device, expected_result
from zerolane.kernel_work import KernelWork
from zerolane.work import Work

__all__ = ["Outcome", "Request", "run_kernel", "run_request", "run_work", "write_kernel",
           "write_outcome"]


@dataclass(frozen=True)
class Outcome:
    """A kernel's raw result, an ndarray or a csr_array, and its record (see `run_work`)."""

    c: Any
    scale: float | None
    record: dict[str, Any]

    @property
    def mismatches(self) -> int:
        return self.record["mismatches"]


class Request:
    """A kernel with its options and the result it must give, for any number of runs.

    For int8 results one scale is chosen, so that the largest sum becomes 127.

    Attributes
    ----------
    options : of `Device.matmul`
    expected : ndarray, by the golden model
    scale : of int8 results, else None
    """

    def __init__(self, work: Work, out_dtype: str):
        self.work, self.out_dtype = work, out_dtype
        columns = work.b.reshape(-1, 1) if work.b.ndim == 1 else work.b
        self.sums = golden.matmul(work.a, columns).reshape((work.a.shape[0], *work.b.shape[1:]))
        self.scale: float | None = None
        self.expected = self.sums
        self.options: dict[str, Any] = {}
        if out_dtype == "int8":
            largest = int(np.abs(self.sums.astype(np.int64)).max(initial=0))
            self.scale = 127 / largest if largest else 1.0
            self.options = {"scale": self.scale, "out_dtype": np.int8}
            self.expected = expected_result(work.a, work.b, **self.options)

    def mismatches(self, c: np.ndarray) -> int:
        """Elements of a result that are not the golden model's."""
        return int((c != self.expected).sum()) if c.shape == self.expected.shape else self.expected.size


def run_work(device: Device, work: Work, out_dtype: str) -> Outcome:
    """Run one kernel on the device and compare every element with the golden model."""
    return run_request(device, Request(work, out_dtype))


def run_request(device: Device, request: Request) -> Outcome:
    """As `run_work`, of a request that may be used again."""
    work = request.work
    began = time.perf_counter()
    c = device.matmul(work.a, work.b, **request.options)
    seconds = time.perf_counter() - began
    record = {
        "kernel": work.kernel.value,
        "matrix": work.name,
        "shape": [work.a.shape[0], work.a.shape[1], work.columns],
        "nnz": work.nnz,
        "out_dtype": request.out_dtype,
        **_measured(device, seconds),
        "dropped_values": work.dropped,
        "quantization_error": work.quantization_error(request.sums),
        "mismatches": request.mismatches(c),
    }
    return Outcome(c, request.scale, record)


def _measured(device: Device, seconds: float) -> dict[str, Any]:
    """What the device tells about its last job."""
    job = device.last_job
    assert job is not None
    return {
        "preset": device.config.name,
        **job.as_record(),
        "bytes_read": job.read_beats * device.config.port_bytes,
        "bytes_written": job.write_beats * device.config.port_bytes,
        "simulator": device.simulator,
        "seconds": round(seconds, 3),
    }


def run_kernel(device: Device, work: KernelWork) -> Outcome:
    """Run a kernel of `NamedKernel` and compare every element with the golden model.

    The record's shape and nonzeros are those of the product that it became, or (of two sizes) of the matrices
    of an elementwise operation; `lowering` says how.
    """
    began = time.perf_counter()
    c = work.run(device)
    seconds = time.perf_counter() - began
    lowering = device.last_lowering
    assert lowering is not None
    expected = work.expected()
    record = {
        "kernel": work.kernel.value,
        "matrix": work.name,
        "shape": list(lowering.shape),
        "nnz": lowering.nnz,
        "out_dtype": str(c.dtype),
        **_measured(device, seconds),
        "lowering": lowering.explain(),
        "quantization_error": None,
        "mismatches": _differences(c, expected),
    } | ({"out_nnz": int(c.nnz)} if sp.issparse(c) else {})
    return Outcome(c, None, record)


def _differences(found: Any, expected: Any) -> int:
    """Elements that differ; all of them where already shape, type or the places of entries do."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return max(1, expected.size)
    if not sp.issparse(found):
        return int((found != expected).sum())
    if not (np.array_equal(found.indptr, expected.indptr)
            and np.array_equal(found.indices, expected.indices)):
        return max(1, expected.nnz)
    return int((found.data != expected.data).sum())


def _save(folder: Path, name: str, value: npt.NDArray | sp.sparray) -> None:
    """As .npz or .npy; an older one of the other kind goes."""
    for suffix in (".npy", ".npz"):
        (folder / name).with_suffix(suffix).unlink(missing_ok=True)
    if sp.issparse(value):
        sp.save_npz(folder / f"{name}.npz", value)
    else:
        np.save(folder / f"{name}.npy", value)


def write_kernel(folder: Path, work: KernelWork, outcome: Outcome) -> None:
    """Write a kernel's operands, result and record into `folder`, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in (work.operands | {"c": outcome.c}).items():
        _save(folder, name, value)
    (folder / "run.json").write_text(json.dumps(outcome.record, indent=2) + "\n")


def write_outcome(folder: Path, work: Work, outcome: Outcome) -> None:
    """Write operands, raw result, scales and record into `folder`, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, matrix in (("a", work.a), ("b", work.b), ("c", outcome.c)):
        _save(folder, name, matrix)
    scales = {"a": work.a_scales, "b": work.b_scales,
              "out": None if outcome.scale is None else np.array([outcome.scale])}
    np.savez(folder / "scales.npz", allow_pickle=False,
             **{name: value for name, value in scales.items() if value is not None})
    (folder / "run.json").write_text(json.dumps(outcome.record, indent=2) + "\n")
