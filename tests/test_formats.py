"""zerolane.formats: every file kind in, everything wrong refused by name."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from zerolane.formats import MatrixFileError, load_matrix

MATRIX = np.array([[1, 0, -3], [0, 0, 0], [7, 2, 0]], np.int8)


def mtx(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "a.mtx"
    path.write_text(text)
    return path


def test_every_sparse_and_dense_file_kind_gives_the_same_matrix(tmp_path: Path) -> None:
    sp.save_npz(tmp_path / "a.npz", sp.csr_array(MATRIX))
    sp.save_npz(tmp_path / "coo.npz", sp.coo_array(MATRIX))
    np.save(tmp_path / "a.npy", MATRIX)
    scipy.io.mmwrite(tmp_path / "a.mtx", sp.coo_array(MATRIX.astype(int)))
    scipy.io.mmwrite(tmp_path / "dense.mtx", MATRIX.astype(int))
    for name in ("a.npz", "coo.npz", "a.npy", "a.mtx", "dense.mtx"):
        matrix = load_matrix(tmp_path / name).matrix
        dense = matrix.toarray() if sp.issparse(matrix) else matrix
        np.testing.assert_array_equal(dense, MATRIX)


@pytest.mark.parametrize("symmetry, expected", [
    ("symmetric", [[1, 5], [5, 0]]), ("skew-symmetric", [[0, -5], [5, 0]]), ("general", [[1, 0], [5, 0]])])
def test_symmetries_are_expanded(tmp_path: Path, symmetry: str, expected: list) -> None:
    entries = ["2 1 5"] if symmetry == "skew-symmetric" else ["1 1 1", "2 1 5"]
    path = mtx(tmp_path, f"%%MatrixMarket matrix coordinate integer {symmetry}\n2 2 {len(entries)}\n"
               + "\n".join(entries) + "\n")
    np.testing.assert_array_equal(load_matrix(path).matrix.toarray(), expected)


def test_a_pattern_is_told_from_values_and_stored_zeros_stay(tmp_path: Path) -> None:
    pattern = load_matrix(mtx(tmp_path, "%%MatrixMarket matrix coordinate pattern general\n2 2 1\n1 2\n"))
    assert pattern.pattern and pattern.matrix.nnz == 1
    text = "%%MatrixMarket matrix coordinate real general\n2 2 2\n1 2 0.0\n2 2 1.5\n"
    zeros = load_matrix(mtx(tmp_path, text))
    assert not zeros.pattern and zeros.matrix.nnz == 2


def test_smtx_is_a_pattern_with_indices_from_zero(tmp_path: Path) -> None:
    (tmp_path / "a.smtx").write_text("2, 3, 3\n0 2 3\n0 2 1\n")
    loaded = load_matrix(tmp_path / "a.smtx")
    assert loaded.pattern
    np.testing.assert_array_equal(loaded.matrix.toarray(), [[1, 0, 1], [0, 1, 0]])


def test_an_smtx_matrix_without_entries_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.smtx").write_text("2, 3, 0\n0 0 0\n\n")
    assert load_matrix(tmp_path / "a.smtx").matrix.nnz == 0


def test_unsorted_and_duplicate_csr_entries_are_kept(tmp_path: Path) -> None:
    matrix = sp.csr_array((np.array([1, 2, 3], np.int8), [2, 0, 2], [0, 3]), shape=(1, 3))
    sp.save_npz(tmp_path / "a.npz", matrix)
    np.testing.assert_array_equal(load_matrix(tmp_path / "a.npz").matrix.indices, [2, 0, 2])


def test_duplicates_of_other_formats_do_not_wrap(tmp_path: Path) -> None:
    sp.save_npz(tmp_path / "a.npz", sp.coo_array((np.array([100, 100], np.int8), ([0, 0], [0, 0])), (1, 1)))
    assert load_matrix(tmp_path / "a.npz").matrix.toarray() == [[200]]


@pytest.mark.parametrize("name, text, reason", [
    ("a.mtx", "%%MatrixMarket matrix coordinate complex general\n1 1 1\n1 1 1 2\n", "complex"),
    ("a.mtx", "%%MatrixMarket matrix coordinate real general\n2 2 2\n1 1 1.0\n", "garbled"),
    ("a.mtx", "%%MatrixMarket matrix coordinate real general\n2 2 1\n3 1 1.0\n", "garbled"),
    ("a.mtx", "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 nan\n", "NaN"),
    ("a.mtx", "%%MatrixMarket matrix coordinate pattern general\n9999999999 2 1\n1 1\n", "2\\*\\*31"),
    ("a.mtx", "hello", "not a Matrix Market"),
    ("a.smtx", "2, 2, 1\n0 1 1\n", "1 lines|2 lines|column indices"),
    ("a.smtx", "2, 2, 1\n0 1 1\n5\n", "outside"),
    ("a.smtx", "2, 2, 1\n0 2 1\n0\n", "rise"),
    ("a.smtx", "2, 2, 2\n0 1 1\n0\n", "column indices"),
    ("a.smtx", "2, x, 2\n0 1 1\n0\n", "not a number"),
    ("a.npz", "garbage", "npz"),
    ("a.npy", "garbage", "npy"),
    ("a.txt", "1", "suffix"),
])
def test_wrong_files_are_refused_with_name_and_reason(tmp_path: Path, name: str, text: str,
                                                      reason: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(MatrixFileError, match=reason) as error:
        load_matrix(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("array, reason", [
    (np.array([[1j]]), "complex"), (np.array([[np.inf]]), "infinity"), (np.array([["a"]]), "type"),
    (np.zeros((1, 1, 1)), "dimensions"), (np.array([[True]]), "type"),
])
def test_wrong_arrays_are_refused(tmp_path: Path, array: np.ndarray, reason: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(MatrixFileError, match=reason):
        load_matrix(tmp_path / "a.npy")


def test_csr_indices_out_of_range_are_refused(tmp_path: Path) -> None:
    matrix = sp.csr_array((np.ones(1, np.int8), [0], [0, 1]), shape=(1, 3))
    matrix.indices[0] = 7
    np.savez(tmp_path / "a.npz", format=b"csr", shape=(1, 3), data=matrix.data, indices=matrix.indices,
             indptr=matrix.indptr)
    with pytest.raises(MatrixFileError, match="invalid CSR"):
        load_matrix(tmp_path / "a.npz")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MatrixFileError, match="no such file"):
        load_matrix(tmp_path / "none.mtx")
