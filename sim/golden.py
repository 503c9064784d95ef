"""The product as plain mathematics, bit for bit what the array must give; it knows no tiles and no plans."""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from hdl.layouts import SCALE_LEFT_BITS, SCALE_RIGHT_BITS

__all__ = ["apply_scale", "elementwise", "matmul", "sampled_matmul", "sparse_matmul"]

_BLOCK_VALUES = 1 << 22
_EXACT_FLOAT_INNER = 1 << 38  # products are at most 2**14: below this float64 sums of them are exact


def matmul(a: Any, b: Any, bias: npt.ArrayLike | None = None, scale_words: npt.ArrayLike | None = None,
           relu: bool = False, out_dtype: npt.DTypeLike = np.int32) -> npt.NDArray[Any]:
    """C = A·B (M×K, K×N) + bias, wrapped to int32, then ReLU, then scaled to int8 if `out_dtype` is int8.

    Parameters
    ----------
    a, b : int8, dense or sparse, two-dimensional
    bias : integers that broadcast to (M, N) as NumPy does it
    scale_words : `hdl.layouts.ScaleWord` as uint32, broadcasting to (M, N); needed for int8

    The result is made in column blocks, so that no more than a few times the result's memory is used.
    """
    rows, columns = a.shape[0], b.shape[1]
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not multiply")
    dtype = np.dtype(out_dtype)
    if dtype == np.int8 and scale_words is None:
        raise ValueError("int8 results need scale_words")
    result = np.empty((rows, columns), dtype)
    left = _exact(a, b)
    by_columns: Any = sp.csc_array(b) if sp.issparse(b) else np.asarray(b)
    block = max(1, _BLOCK_VALUES // max(1, rows, a.shape[1]))
    for start in range(0, columns, block):
        stop = min(start + block, columns)
        right: Any = by_columns[:, start:stop]
        if sp.issparse(right):
            right = right.astype(np.int64).toarray()  # wide first: duplicates are added up
        sums = (left @ right.astype(left.dtype)).astype(np.int64)
        result[:, start:stop] = _finish(sums, _columns_of(bias, start, stop, columns),
                                        _columns_of(scale_words, start, stop, columns), relu, dtype)
    return result


def sampled_matmul(s: Any, a: npt.NDArray, b: npt.NDArray) -> npt.NDArray[np.int32]:
    """Of S ∘ (A·B) the values at S's stored entries, in their order, wrapped to int32.

    Parameters
    ----------
    s : M×N CSR, integers or bool; a, b : dense integers, M×K and K×N
    """
    rows = np.repeat(np.arange(s.shape[0]), np.diff(s.indptr))
    left, right = a.astype(np.int64), np.ascontiguousarray(b.T).astype(np.int64)
    result = np.empty(len(rows), np.int64)
    block = max(1, _BLOCK_VALUES // max(1, a.shape[1]))
    for start in range(0, len(rows), block):
        part = slice(start, start + block)
        result[part] = np.einsum("ek,ek->e", left[rows[part]], right[s.indices[part]])
    return (result * s.data.astype(np.int64)).astype(np.int32)


def sparse_matmul(a: Any, b: Any, scale_words: npt.ArrayLike, relu: bool, out_dtype: npt.DTypeLike,
                  drop_zeros: bool) -> sp.csr_array:
    """C = A·B as CSR with sorted columns, an entry where two nonzeros meet.

    Parameters
    ----------
    a, b : int8, dense or sparse, two-dimensional
    scale_words : one, or one a row; used for int8
    drop_zeros : results that are zero are no entries
    """
    left, right = (_wide(value) for value in (a, b))
    pattern = sp.csr_array(_ones(left) @ _ones(right))
    pattern.sort_indices()
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    sums = sp.csr_array(left @ right)
    sums.sort_indices()
    if np.array_equal(sums.indptr, pattern.indptr) and np.array_equal(sums.indices, pattern.indices):
        values = sums.data
    else:  # what cancels was left out
        values = np.asarray(sums[rows, pattern.indices]).reshape(-1)
    per_row = np.broadcast_to(np.asarray(scale_words), (pattern.shape[0],))[rows]
    finished = _finish(values, None, per_row, relu, np.dtype(out_dtype))
    result = sp.csr_array((finished, pattern.indices, pattern.indptr), shape=pattern.shape)
    if drop_zeros:
        result.eliminate_zeros()
    return result


def _wide(matrix: Any) -> sp.csr_array:
    """The same in int64, without stored zeros; SciPy's `astype` would add up duplicates, some to zero."""
    stored = sp.csr_array(matrix)
    wide = sp.csr_array((stored.data.astype(np.int64), stored.indices.copy(), stored.indptr.copy()),
                        shape=stored.shape)
    wide.eliminate_zeros()
    return wide


def _ones(matrix: sp.csr_array) -> sp.csr_array:
    return sp.csr_array((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)


def elementwise(operation: str, a: Any, b: Any | None, scale_words: npt.ArrayLike, relu: bool,
                out_dtype: npt.DTypeLike) -> sp.csr_array:
    """C = A op B as CSR with sorted columns, an entry where the result is not zero, as SciPy has it.

    Parameters
    ----------
    operation : "add", "subtract", "multiply", "mask": A where B is not zero, or "convert": A itself
    a, b : integers, dense or sparse, two-dimensional
    scale_words : one, or one a row; used for int8
    """
    left = sp.csr_array(a.astype(np.int64))
    right = sp.csr_array(left.shape, dtype=np.int64) if b is None else sp.csr_array(b.astype(np.int64))
    found = sp.csr_array({
        "add": lambda: left + right,
        "convert": lambda: left,
        "subtract": lambda: left - right,
        "multiply": lambda: left.multiply(right),
        "mask": lambda: left.multiply(right != 0),
    }[operation]())
    found.sum_duplicates()
    rows = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
    per_row = np.broadcast_to(np.asarray(scale_words), (found.shape[0],))[rows]
    finished = _finish(found.data, None, per_row, relu, np.dtype(out_dtype))
    result = sp.csr_array((finished, found.indices, found.indptr), shape=found.shape)
    result.eliminate_zeros()
    return result


def _exact(a: Any, b: Any) -> Any:
    """A in a type whose sums of products are exact: float64 where both are dense (fast), else int64."""
    if sp.issparse(a):
        return sp.csr_array(a.astype(np.int64))
    dense_and_exact = not sp.issparse(b) and a.shape[1] < _EXACT_FLOAT_INNER
    return np.asarray(a).astype(np.float64 if dense_and_exact else np.int64)


def _columns_of(values: npt.ArrayLike | None, start: int, stop: int, columns: int) -> npt.NDArray | None:
    if values is None:
        return None
    array = np.asarray(values)
    return array[..., start:stop] if array.ndim and array.shape[-1] == columns and columns > 1 else array


def _finish(sums: npt.NDArray[np.int64], bias: npt.NDArray | None, scale_words: npt.NDArray | None,
            relu: bool, dtype: np.dtype) -> npt.NDArray:
    if bias is not None:
        sums = sums + bias.astype(np.int64)
    wrapped = sums.astype(np.int32)
    if relu:
        wrapped = np.maximum(wrapped, 0)
    return apply_scale(wrapped, scale_words) if dtype == np.int8 and scale_words is not None else wrapped


def _round_shift(values: npt.NDArray[np.int64], shift: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    return (values + half) >> shift


def apply_scale(sums: npt.NDArray[np.int32], scale_words: npt.ArrayLike) -> npt.NDArray[np.int8]:
    """What `hdl.layouts.ScaleWord` says, on int32 sums; words broadcast against them."""
    words = np.asarray(scale_words).astype(np.int64)
    multiplier, shift = words & 0xFFFF, words >> 16 & 31
    y = np.clip(_round_shift(sums.astype(np.int64) << SCALE_LEFT_BITS, shift), -(1 << 17), (1 << 17) - 1)
    return np.clip(_round_shift(y * multiplier, np.asarray(SCALE_RIGHT_BITS)), -128, 127).astype(np.int8)
