"""The command line as a user runs it: a process of its own, files on disk, the array's RTL."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from sim.golden import matmul
from tests.simulators import need

pytestmark = pytest.mark.verilator

RECORD_KEYS = {
    "kernel", "matrix", "preset", "shape", "nnz", "out_dtype", "plan", "predicted_cycles", "descriptors",
    "cycles", "counters", "read_beats", "write_beats", "mac_words", "bytes", "token_cycles",
    "product_cycles", "memory_cycles", "passes", "efficiency", "bytes_read", "bytes_written", "simulator",
    "seconds", "dropped_values", "quantization_error", "mismatches", "overflow", "host",
}


def zerolane(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in `folder`."""
    project = str(Path(__file__).resolve().parent.parent)
    return subprocess.run([sys.executable, "-m", "zerolane", *arguments], cwd=folder, capture_output=True,
                          env=os.environ | {"PYTHONPATH": project}, text=True, check=False, timeout=500)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a matrix file."""
    rng = np.random.default_rng(2)
    dense = rng.integers(-128, 128, (14, 20))
    dense[rng.random(dense.shape) < 0.7] = 0
    scipy.io.mmwrite(tmp_path / "m.mtx", sp.coo_array(dense), field="integer")
    return tmp_path


@pytest.mark.parametrize("kernel, arguments", [
    ("spmm", ["--cols", "9"]), ("spmv", []), ("gemm", ["--cols", "5", "--out-dtype", "int8"])])
def test_a_matrix_file_is_multiplied_and_everything_written(folder: Path, kernel: str,
                                                            arguments: list[str]) -> None:
    need("verilator")
    done = zerolane(folder, "run", kernel, "m.mtx", "--preset", "tiny", "--simulator", "verilator", "--out",
                    "out", *arguments)
    assert done.returncode == 0, done.stderr
    assert "every result equals the golden model's" in done.stdout
    record = json.loads((folder / "out" / "run.json").read_text())
    assert set(record) == RECORD_KEYS
    assert record["mismatches"] == 0 and record["simulator"] == "verilator" and record["preset"] == "tiny"
    assert sum(record["counters"].values()) == record["cycles"] > 0
    c = np.load(folder / "out" / "c.npy")
    b = np.load(folder / "out" / "b.npy")
    a = np.load(folder / "out" / "a.npy") if kernel == "gemm" else sp.load_npz(folder / "out" / "a.npz")
    np.testing.assert_array_equal(a if kernel == "gemm" else a.toarray(),
                                  scipy.io.mmread(folder / "m.mtx").toarray())
    if c.dtype == np.int32:
        np.testing.assert_array_equal(c, matmul(a, b.reshape(20, -1)).reshape(c.shape))


@pytest.mark.parametrize("content, arguments, reason", [
    (None, ["run", "spmm", "none.mtx"], "none.mtx: no such file"),
    ("not a matrix\n", ["run", "spmm", "x.mtx"], "x.mtx"),
    ("%%MatrixMarket matrix coordinate integer general\n2 2 2\n1 1 5\n", ["run", "spmm", "x.mtx"], "x.mtx"),
    ("%%MatrixMarket matrix coordinate integer general\n2 2 1\n3 1 5\n", ["run", "spmm", "x.mtx"], "x.mtx"),
    ("%%MatrixMarket matrix coordinate integer general\n2 2 1\n1 1 5\n", ["run", "spmm", "x.mtx", "x.mtx",
                                                                           "--preset", "bass"], "base"),
])
def test_wrong_input_is_exit_status_2_one_line_and_no_result(folder: Path, content: str | None,
                                                             arguments: list[str], reason: str) -> None:
    if content is not None:
        (folder / "x.mtx").write_text(content)
    done = zerolane(folder, *arguments, "--out", "out", "--json", "record.json")
    assert done.returncode == 2
    assert reason in done.stderr and done.stderr.count("\n") == 1 and not done.stdout
    assert not (folder / "out").exists() and not (folder / "record.json").exists()
