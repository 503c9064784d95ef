"""zerolane.work: operands of every kernel, from files."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from zerolane.work import Kernel, Values, WorkError, pattern_work, prepare_work

A = np.array([[1.5, 0, -3.0], [0, 0.001, 70.0]])


@pytest.fixture
def files(tmp_path: Path) -> Path:
    sp.save_npz(tmp_path / "real.npz", sp.csr_array(A))
    sp.save_npz(tmp_path / "int8.npz", sp.csr_array(np.array([[1, 0, -3], [0, 2, 70]], np.int8)))
    np.save(tmp_path / "vector.npy", np.array([1, 2, 3], np.int8))
    np.save(tmp_path / "column.npy", np.array([[1], [2], [3]], np.int8))
    np.save(tmp_path / "four.npy", np.ones((4, 2), np.int8))
    return tmp_path


def test_int8_values_are_taken_as_they_are_with_a_random_dense_b(files: Path) -> None:
    work = prepare_work(Kernel.SPMM, files / "int8.npz", None, 5, Values.FILE, 0)
    assert work.a.data.tolist() == [1, -3, 2, 70] and work.b.shape == (3, 5) and work.reference is None


def test_real_values_are_quantized_by_rows_and_the_error_is_known(files: Path) -> None:
    work = prepare_work(Kernel.SPMM, files / "real.npz", None, 4, Values.FILE, 0)
    assert work.dropped == 1 and work.a_scales is not None
    error = work.quantization_error(work.a.astype(np.int64) @ work.b.astype(np.int64))
    assert error is not None and 0 < error["relative_frobenius"] < 0.01


def test_pattern_values_are_random_and_never_zero(files: Path) -> None:
    work = prepare_work(Kernel.SPMM, files / "real.npz", None, 4, Values.PATTERN, 7)
    assert work.a.nnz == 4 and (work.a.data != 0).all() and work.a_scales is None


@pytest.mark.parametrize("name", ["vector.npy", "column.npy"])
def test_spmv_takes_a_vector_or_one_column(files: Path, name: str) -> None:
    work = prepare_work(Kernel.SPMV, files / "int8.npz", files / name, 8, Values.FILE, 0)
    assert work.b.tolist() == [1, 2, 3] and work.columns == 1


def test_gemm_makes_both_operands_dense(files: Path) -> None:
    work = prepare_work(Kernel.GEMM, files / "int8.npz", None, 2, Values.FILE, 0)
    assert isinstance(work.a, np.ndarray) and work.nnz == 4


def test_a_vector_on_the_left_is_one_row_with_one_scale(files: Path) -> None:
    np.save(files / "left.npy", np.array([0.5, -1.0, 0.25]))
    work = prepare_work(Kernel.SPMM, files / "left.npy", None, 2, Values.FILE, 0)
    assert work.a.shape == (1, 3) and work.a_scales is not None and work.a_scales.shape == (1,)


@pytest.mark.parametrize("kernel, b, columns, reason", [
    (Kernel.SPMM, "four.npy", 1, "A has 3 columns and B has 4 rows"),
    (Kernel.SPMV, "four.npy", 1, "must be a vector"),
    (Kernel.SPMM, None, 0, "--cols 0"),
])
def test_operands_that_do_not_fit_are_refused(files: Path, kernel: Kernel, b: str | None, columns: int,
                                             reason: str) -> None:
    with pytest.raises(WorkError, match=reason):
        prepare_work(kernel, files / "int8.npz", files / b if b else None, columns, Values.FILE, 0)


def test_the_same_seed_gives_the_same_work() -> None:
    pattern = sp.csr_array(np.eye(9, dtype=np.int8))
    one, two, other = (pattern_work(Kernel.SPMM, "eye", pattern, 3, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.b, two.b)
    np.testing.assert_array_equal(one.a.data, two.a.data)
    assert (one.b != other.b).any()
