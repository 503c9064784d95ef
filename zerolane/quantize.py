"""Real values to int8, symmetrically, and random int8 values for patterns."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from zerolane.formats import Matrix

__all__ = ["Quantized", "as_int8", "quantize", "random_dense", "random_values"]

_LIMIT = 127


@dataclass(frozen=True)
class Quantized:
    """An int8 operand and how it came about.

    Attributes
    ----------
    matrix : csr_array or ndarray of int8
    scales : float64 vector or None
        One a row (`axis` 0) or a column (`axis` 1); value ~ scale * int8. None: values were int8 already.
    dropped : int
        Stored values that rounded to zero and are no longer stored.
    """

    matrix: Matrix
    scales: np.ndarray | None
    dropped: int


def as_int8(matrix: Matrix, axis: int) -> Quantized:
    """Use integer values that fit int8 as they are; quantize all others."""
    values = matrix.data if sp.issparse(matrix) else matrix
    if values.dtype.kind in "iu" and (values.size == 0 or (values.min() >= -128 and values.max() <= _LIMIT)):
        return Quantized(matrix.astype(np.int8), None, 0)
    return quantize(matrix, axis)


def quantize(matrix: Matrix, axis: int) -> Quantized:
    """Symmetric quantization, a scale of max|value| / 127 a row (axis 0) or column (axis 1).

    Halves round to even. Of a sparse matrix, what rounds to zero is dropped and counted.
    """
    if sp.issparse(matrix):
        return _quantize_sparse(matrix, axis)
    dense = np.atleast_2d(np.asarray(matrix, np.float64).T).T
    largest = np.abs(dense).max(axis=1 - axis, initial=0.0)
    scales = np.where(largest > 0, largest / _LIMIT, 1.0)
    rounded = np.rint(dense / np.expand_dims(scales, 1 - axis)).astype(np.int8)
    return Quantized(rounded.reshape(matrix.shape), scales, 0)


def _quantize_sparse(matrix: sp.csr_array, axis: int) -> Quantized:
    values = matrix.data.astype(np.float64)
    row_of = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    group = row_of if axis == 0 else matrix.indices
    largest = np.zeros(matrix.shape[axis])
    np.maximum.at(largest, group, np.abs(values))
    scales = np.where(largest > 0, largest / _LIMIT, 1.0)
    rounded = np.rint(values / scales[group]).astype(np.int8)
    # A zero that the file stores was no value to lose: it stays where it is.
    keep = (rounded != 0) | (values == 0)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(row_of[keep], minlength=matrix.shape[0]))))
    kept = sp.csr_array((rounded[keep], matrix.indices[keep], indptr.astype(matrix.indptr.dtype)),
                        shape=matrix.shape)
    return Quantized(kept, scales, int((~keep).sum()))


def random_values(matrix: Matrix, rng: np.random.Generator) -> Matrix:
    """Random nonzero int8 values where the matrix has entries; stored zeros stay stored zeros."""
    if not sp.issparse(matrix):
        return np.where(matrix != 0, _nonzero(matrix.size, rng).reshape(matrix.shape), 0).astype(np.int8)
    values = np.where(matrix.data != 0, _nonzero(matrix.nnz, rng), 0).astype(np.int8)
    return sp.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def random_dense(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random int8, every value as likely."""
    return rng.integers(-128, 128, shape, np.int8)


def _nonzero(count: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.integers(-127, 128, count, np.int8)
    return np.where(drawn == 0, np.int8(-128), drawn)
