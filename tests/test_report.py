"""zerolane.report: a run's files, whole or not at all."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from zerolane.report import Outcome, write_outcome
from zerolane.work import Kernel, Work

A = np.array([[1, 0], [0, 2]], np.int8)
B = np.array([[3], [4]], np.int8)


def write(folder: Path, a: np.ndarray | sp.csr_array, cycles: int) -> None:
    write_outcome(folder, Work(Kernel.SPMM, "m", a, B), Outcome(A @ B, None, {"cycles": cycles}))


def test_a_matrix_that_was_sparse_and_is_dense_now_leaves_one_file(tmp_path: Path) -> None:
    write(tmp_path, sp.csr_array(A), 1)
    write(tmp_path, A, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "b.npy", "c.npy", "run.json",
                                                                 "scales.npz"]


def test_what_cannot_be_written_leaves_the_run_before_as_it_was(tmp_path: Path) -> None:
    write(tmp_path, sp.csr_array(A), 1)
    (tmp_path / "c.npy").unlink()
    (tmp_path / "c.npy").mkdir()
    with pytest.raises(OSError, match=r"c\.npy"):
        write(tmp_path, A, 2)
    assert json.loads((tmp_path / "run.json").read_text()) == {"cycles": 1}
    np.testing.assert_array_equal(sp.load_npz(tmp_path / "a.npz").toarray(), A)
    assert not (tmp_path / "a.npy").exists()
