"""Files of matrices and tensors in: Matrix Market, .smtx, .tns, .npz, .npy, checked before anything runs."""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import scipy.io
import scipy.sparse as sp

__all__ = ["Matrix", "MatrixFile", "MatrixFileError", "load_matrix", "load_tensor"]

Matrix: TypeAlias = Any
"""A csr_array or an ndarray; SciPy has no types to say so."""


class MatrixFileError(ValueError):
    """A file is missing, cut, garbled, or holds what the array cannot multiply; names file and reason."""


@dataclass(frozen=True)
class MatrixFile:
    """What a file holds.

    Attributes
    ----------
    matrix : csr_array or ndarray
        CSR with the file's own values (ones for a pattern), or a dense array of one or two dimensions.
    pattern : bool
        The file has positions but no values.
    path : Path
    """

    matrix: Matrix
    pattern: bool
    path: Path


def load_matrix(path: str | Path) -> MatrixFile:
    """Read a matrix by its suffix.

    Raises MatrixFileError for everything wrong with the file: not there, unknown suffix, cut or garbled
    content, indices out of range, complex values, NaN or infinity, more than two dimensions.
    """
    path = Path(path)
    loaded = _read(path, {".mtx": _load_mtx, ".smtx": _load_smtx, ".npz": _load_npz, ".npy": _load_npy})
    _check_values(path, loaded.matrix)
    return loaded


def load_tensor(path: str | Path) -> MatrixFile:
    """Read a tensor of three dimensions: .tns (a line an entry: indices from 1, value), SciPy's .npz, .npy.

    A sparse one is a coo_array. A .tns file's shape is that of its largest indices. Raises MatrixFileError.
    """
    path = Path(path)
    tensor = _read(path, {".tns": _load_tns, ".npz": _read_npz,
                          ".npy": lambda place: _load_npy(place).matrix})
    if tensor.ndim != 3:
        raise MatrixFileError(f"{path}: {tensor.ndim} dimensions; it must have three")
    if sp.issparse(tensor) and tensor.nnz and any(
            axis.min() < 0 or axis.max() >= size
            for axis, size in zip(tensor.coords, tensor.shape, strict=True)):
        raise MatrixFileError(f"{path}: indices outside the shape {tensor.shape}")
    _check_numbers(path, tensor)
    return MatrixFile(tensor, False, path)


def _read(path: Path, readers: Mapping[str, Callable[[Path], Any]]) -> Any:
    """What the reader of the file's suffix makes of it."""
    if not path.is_file():
        raise MatrixFileError(f"{path}: " + ("it is a folder; it must be a file" if path.is_dir() else
                                             "no such file"))
    if path.suffix not in readers:
        known = ", ".join(readers)
        raise MatrixFileError(f"{path}: unknown suffix {path.suffix!r}; it must be one of {known}")
    return readers[path.suffix](path)


def _check_values(path: Path, matrix: Matrix) -> None:
    if matrix.ndim not in (1, 2):
        raise MatrixFileError(f"{path}: {matrix.ndim} dimensions; it must be a matrix or a vector")
    _check_numbers(path, matrix)


def _check_numbers(path: Path, matrix: Matrix) -> None:
    values = matrix.data if sp.issparse(matrix) else matrix
    if values.dtype.kind == "c":
        raise MatrixFileError(f"{path}: complex values; the array multiplies real ones only")
    if values.dtype.kind not in "iuf":
        raise MatrixFileError(f"{path}: values of type {values.dtype}; they must be integer or floating")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise MatrixFileError(f"{path}: NaN or infinity among the values")


def _to_csr(path: Path, matrix: sp.sparray | sp.spmatrix) -> sp.csr_array:
    """CSR as SciPy makes it; CSR itself is left as it is, duplicates and order included."""
    if matrix.ndim != 2:
        raise MatrixFileError(f"{path}: {matrix.ndim} dimensions; a sparse operand must have two")
    if matrix.format != "csr" and matrix.dtype.kind in "iub":
        # Conversion adds duplicates up, in the values' own type.
        matrix = matrix.astype(np.int64)
    csr = sp.csr_array(matrix)
    try:
        csr.check_format(full_check=True)
    except ValueError as error:
        raise MatrixFileError(f"{path}: invalid CSR structure: {error}") from error
    return csr


def _load_mtx(path: Path) -> MatrixFile:
    try:
        rows, columns, *_, field, _ = scipy.io.mminfo(path)
    except (ValueError, OverflowError, UnicodeDecodeError) as error:
        raise MatrixFileError(f"{path}: not a Matrix Market file: {error}") from error
    if max(rows, columns) >= 1 << 31:
        raise MatrixFileError(f"{path}: {rows} rows, {columns} columns; both must be below 2**31")
    if field == "complex":
        raise MatrixFileError(f"{path}: field is complex; the array multiplies real values only")
    try:
        matrix = scipy.io.mmread(path, spmatrix=False)
    except (ValueError, OverflowError, TypeError, UnicodeDecodeError) as error:
        raise MatrixFileError(f"{path}: garbled Matrix Market content: {error}") from error
    if sp.issparse(matrix):
        matrix = _to_csr(path, matrix)
    return MatrixFile(matrix, field == "pattern", path)


def _load_smtx(path: Path) -> MatrixFile:
    """Three lines: `rows, cols, nnz`; row pointers; column indices, from 0 (the DLMC data set's format)."""
    lines = path.read_text(errors="replace").split("\n")
    lines = [line for number, line in enumerate(lines) if number < 3 or line.strip()]
    if len(lines) != 3:
        raise MatrixFileError(f"{path}: {len(lines)} lines; an .smtx file has three")
    try:
        header = [int(word) for word in lines[0].replace(",", " ").split()]
        indptr, indices = (np.array(line.split(), dtype=np.int64) for line in lines[1:])
    except (ValueError, OverflowError) as error:
        raise MatrixFileError(f"{path}: not a number: {error}") from error
    if len(header) != 3 or min(header) < 0:
        raise MatrixFileError(f"{path}: first line is {lines[0]!r}; it must be `rows, cols, nnz`")
    rows, columns, nnz = header
    if max(rows, columns) >= 1 << 31:
        raise MatrixFileError(f"{path}: {rows} rows, {columns} columns; both must be below 2**31")
    if len(indptr) != rows + 1:
        raise MatrixFileError(f"{path}: {len(indptr)} row pointers for {rows} rows; there must be {rows + 1}")
    if len(indices) != nnz:
        raise MatrixFileError(f"{path}: {len(indices)} column indices; the first line says {nnz}")
    if indptr[0] != 0 or indptr[-1] != nnz or (np.diff(indptr) < 0).any():
        raise MatrixFileError(f"{path}: row pointers must rise from 0 to {nnz}")
    if nnz and not (0 <= indices.min() and indices.max() < columns):
        raise MatrixFileError(f"{path}: column index {indices.min() if indices.min() < 0 else indices.max()} "
                              f"outside 0..{columns - 1}")
    matrix = sp.csr_array((np.ones(nnz, np.int8), indices, indptr), shape=(rows, columns))
    return MatrixFile(matrix, True, path)


def _load_tns(path: Path) -> sp.coo_array:
    """FROSTT's text format; lines that begin with # are remarks."""
    lines = [line.split() for line in path.read_text(errors="replace").splitlines()
             if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise MatrixFileError(f"{path}: no entries, hence no shape")
    for number, line in enumerate(lines, start=1):
        if len(line) != 4:
            raise MatrixFileError(f"{path}: entry {number} has {len(line)} numbers; it must have three "
                                  "indices and a value")
    try:
        coords = tuple(np.array([int(line[axis]) for line in lines]) - 1 for axis in range(3))
        values = np.array([float(line[3]) for line in lines])
    except (ValueError, OverflowError) as error:
        raise MatrixFileError(f"{path}: not a number: {error}") from error
    if min(axis.min() for axis in coords) < 0:
        raise MatrixFileError(f"{path}: an index below 1; indices count from 1")
    if np.isfinite(values).all() and (values == np.rint(values)).all():
        values = values.astype(np.int64)
    return sp.coo_array((values, coords), shape=tuple(int(axis.max()) + 1 for axis in coords))


def _load_npz(path: Path) -> MatrixFile:
    return MatrixFile(_to_csr(path, _read_npz(path)), False, path)


def _read_npz(path: Path) -> Matrix:
    try:
        return sp.load_npz(path)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise MatrixFileError(f"{path}: not a SciPy sparse .npz file: {error}") from error


def _load_npy(path: Path) -> MatrixFile:
    try:
        matrix = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise MatrixFileError(f"{path}: not a NumPy .npy file: {error}") from error
    if not isinstance(matrix, np.ndarray):
        raise MatrixFileError(f"{path}: holds an archive; it must hold one array")
    return MatrixFile(matrix, False, path)
