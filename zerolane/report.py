"""One job's record: what `run` writes as run.json and `bench` prints as a row."""

import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sim import golden
from zerolane.device import Device, expected_result
from zerolane.kernel_work import KernelWork
from zerolane.output_folder import OutputFolder
from zerolane.work import Work

__all__ = ["RUN_FILES", "Outcome", "Request", "operand_files", "run_folder", "run_kernel", "run_request",
           "run_work", "write_kernel", "write_outcome"]

_RECORD, _SCALES = "run.json", "scales.npz"
RUN_FILES = (_RECORD, _SCALES, *(f"{name}.{kind}" for name in ("a", "b", "c", "d", "weights")
                                 for kind in ("npy", "npz")))
"""Names of all files that some kernel's run may write."""


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
    job, transport = device.last_job, device.transport
    assert job is not None
    # Of a board the time that the job's cycles take, beside `seconds`, of which the line takes most.
    board = transport.record() if transport is not None else {}
    if board:
        board["array_seconds"] = job.cycles / board["clock_hz"]
    return {
        "preset": device.config.name,
        **job.as_record(),
        "bytes_read": job.read_beats * device.config.port_bytes,
        "bytes_written": job.write_beats * device.config.port_bytes,
        "simulator": device.simulator,
        "seconds": round(seconds, 3),
    } | ({"board": board} if board else {})


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


def run_folder(path: Path) -> OutputFolder:
    """Of a run's operands, result and record."""
    return OutputFolder("run", path)


def operand_files(work: Work | KernelWork) -> list[str]:
    """Names of the files that are written of a run whatever its result is."""
    matrices = {"a": work.a, "b": work.b} if isinstance(work, Work) else work.operands
    others = [_RECORD, _SCALES] if isinstance(work, Work) else [_RECORD]
    return [_matrix_name(*item) for item in matrices.items()] + others


def _matrix_name(name: str, value: npt.NDArray | sp.sparray) -> str:
    return f"{name}.npz" if sp.issparse(value) else f"{name}.npy"


def _matrix_file(name: str, value: npt.NDArray | sp.sparray) -> tuple[str, bytes]:
    """A matrix as .npz or .npy."""
    content = io.BytesIO()
    if sp.issparse(value):
        sp.save_npz(content, value)
    else:
        np.save(content, value)
    return _matrix_name(name, value), content.getvalue()


def _write_run(folder: Path, matrices: Mapping[str, Any], record: dict[str, Any],
               others: Mapping[str, bytes]) -> None:
    """All files or none, in place of those of an older run."""
    files = dict(_matrix_file(*item) for item in matrices.items())
    run_folder(folder).replace({**files, **others, _RECORD: (json.dumps(record, indent=2) + "\n").encode()})


def write_kernel(folder: Path, work: KernelWork, outcome: Outcome) -> None:
    """Write a kernel's operands, result and record into `folder`, made if need be.

    Raises OutputError where files are in the way that no earlier run wrote, OSError.
    """
    _write_run(folder, work.operands | {"c": outcome.c}, outcome.record, {})


def write_outcome(folder: Path, work: Work, outcome: Outcome) -> None:
    """Write operands, raw result, scales and record into `folder`; else as `write_kernel`."""
    scales = {"a": work.a_scales, "b": work.b_scales,
              "out": None if outcome.scale is None else np.array([outcome.scale])}
    content = io.BytesIO()
    np.savez(content, allow_pickle=False,
             **{name: value for name, value in scales.items() if value is not None})
    _write_run(folder, {"a": work.a, "b": work.b, "c": outcome.c}, outcome.record,
               {_SCALES: content.getvalue()})
