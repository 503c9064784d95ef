"""zerolane.report: a run's files, whole or not at all."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from zerolane.outputs import OutputError
from zerolane.report import RUN_FILES, Outcome, operand_files, write_outcome
from zerolane.work import Kernel, Work

A = np.array([[1, 0], [0, 2]], np.int8)
B = np.array([[3], [4]], np.int8)


def write(folder: Path, a: np.ndarray | sp.csr_array, cycles: int) -> None:
    write_outcome(folder, Work(Kernel.SPMM, "m", a, B), Outcome(A @ B, None, {"cycles": cycles}))


def test_a_matrix_that_was_sparse_and_is_dense_now_leaves_one_file(tmp_path: Path) -> None:
    write(tmp_path, sp.csr_array(A), 1)
    write(tmp_path, A, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".zerolane.json", "a.npy", "b.npy", "c.npy", "run.json", "scales.npz"]


def test_what_cannot_be_written_leaves_the_run_before_as_it_was(tmp_path: Path) -> None:
    write(tmp_path, sp.csr_array(A), 1)
    (tmp_path / "c.npy").unlink()
    (tmp_path / "c.npy").mkdir()
    with pytest.raises(OutputError, match=r"c\.npy"):
        write(tmp_path, A, 2)
    assert json.loads((tmp_path / "run.json").read_text()) == {"cycles": 1}
    np.testing.assert_array_equal(sp.load_npz(tmp_path / "a.npz").toarray(), A)
    assert not (tmp_path / "a.npy").exists()


def test_a_user_s_matrix_of_the_same_name_is_not_written_over(tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", np.zeros(9))
    with pytest.raises(OutputError, match=r"b\.npy was not written by an earlier `zerolane run`"):
        write(tmp_path, A, 1)
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), np.zeros(9))


def test_a_run_s_files_are_known_before_it(tmp_path: Path) -> None:
    work = Work(Kernel.SPMM, "m", sp.csr_array(A), B)
    write_outcome(tmp_path, work, Outcome(A @ B, None, {}))
    written = {path.name for path in tmp_path.iterdir()} - {".zerolane.json"}
    assert set(operand_files(work)) == written - {"c.npy"} and written <= set(RUN_FILES)
