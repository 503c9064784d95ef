"""Kernels with arguments of their own, lowered to one product each: gemv, residual, embedding bag."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from .lowering import Lowering, lower
from .operands import OperandError

__all__ = ["Bags", "lower_embedding_bag", "lower_gemv"]

_INT8 = np.iinfo(np.int8)
_INT32 = np.iinfo(np.int32)

_MOST_PARTS = 8
"""int8 that an element of alpha·x may be the sum of."""


# ---- alpha·A@x + beta·b ----------------------------------------------------------------------------------


def lower_gemv(a: Any, x: Any, *, alpha: int = 1, beta: int = 0, b: Any = None,
               transpose: bool = False) -> Lowering:
    """alpha·A@x + beta·b (M,), or with `transpose` alpha·Aᵀ@x + beta·b (K,), in int32.

    Parameters
    ----------
    a : int8 matrix (M, K), dense or sparse; Aᵀ of CSR costs no transposition
    x : int8 vector, dense or sparse
    alpha, beta : integers. The array has no multiplier behind its sums, so that alpha goes into x where
        alpha·x fits in int8, else into A's values; else -alpha, if it is not negative, and the result is
        negated; else into x as a sum of parts that fit, for each of which A may be read again, of _MOST_PARTS
        at most. beta·b must fit in int32.
    b : integers, of the result's shape; needed where beta is not 0

    Raises OperandError.
    """
    for name, factor in (("alpha", alpha), ("beta", beta)):
        if isinstance(factor, bool) or int(factor) != factor:
            raise OperandError(f"{name} is {factor!r}; it must be an integer, as sums are int32")
    alpha, beta = int(alpha), int(beta)
    for name, value, dimensions in (("a", a, 2), ("x", x, 1)):
        if getattr(value, "ndim", None) != dimensions or value.dtype != np.int8:
            raise OperandError(f"{name} must be an int8 {'matrix' if dimensions == 2 else 'vector'}; it is "
                               f"{getattr(value, 'dtype', type(value).__name__)} of "
                               f"{getattr(value, 'ndim', 'no')} dimensions")
    a_times, x_times, sign, steps = _scaled(a, x, alpha)
    bias = None
    if beta:
        bias = _scaled_bias(b, sign * beta, a.shape[1 if transpose else 0])
        if beta != 1 or sign < 0:
            steps.append(f"b is multiplied by {sign * beta}")
    elif b is not None:
        raise OperandError("b without beta is not added; beta must not be 0")
    lowering = lower("ij,i->j" if transpose else "ij,j->i", a_times, x_times, bias=bias)
    finish = lowering.finish
    if sign < 0:
        steps.append(f"the result is negated ({a.shape[1 if transpose else 0]:,} values)")
        return replace(lowering, host=(*steps, *lowering.host), finish=lambda sums: np.negative(finish(sums)))
    return replace(lowering, host=(*steps, *lowering.host))


def _scaled(a: Any, x: Any, alpha: int) -> tuple[Any, Any, int, list[str]]:
    """A and x, one of them times alpha or -alpha; the sign that the result takes; what was done."""
    for sign in (1, -1) if alpha < 0 else (1,):
        factor = sign * alpha
        for name, value in (("x", x), ("A", a)):
            scaled = _times(value, factor)
            if scaled is not None:
                steps = [f"{name} is multiplied by {factor}"] if factor != 1 else []
                return (a, scaled, sign, steps) if name == "x" else (scaled, x, sign, steps)
    return a, _in_parts(x, alpha), 1, [f"x is multiplied by {alpha}, as a sum of int8"]


def _times(value: Any, factor: int) -> Any | None:
    """value·factor as int8 in the same form, or None where it does not fit."""
    if factor == 1:
        return value
    values = value.data if sp.issparse(value) else value
    if values.size and abs(factor) * int(np.abs(values.astype(np.int16)).max()) > -_INT8.min:
        return None
    wide = values.astype(np.int64) * factor if values.size else values.astype(np.int64)
    if wide.size and not (_INT8.min <= wide.min() and wide.max() <= _INT8.max):
        return None
    if not sp.issparse(value):
        return wide.astype(np.int8)
    scaled = value.copy()
    scaled.data = wide.astype(np.int8)
    return scaled


def _in_parts(x: Any, factor: int) -> sp.coo_array:
    """x·factor as a sparse vector with duplicates, which are int8 and add up to it, as few as can be."""
    if abs(factor) > _MOST_PARTS * -_INT8.min:
        raise _too_large(factor)
    entries = sp.coo_array(x)
    wide = entries.data.astype(np.int64) * factor
    place, wide = entries.coords[0][wide != 0], wide[wide != 0]
    most = np.where(wide > 0, _INT8.max, _INT8.min).astype(np.int64)
    count = -(-np.abs(wide) // np.abs(most))
    if count.max() > _MOST_PARTS:
        raise _too_large(factor)
    parts = np.repeat(most, count)
    parts[np.cumsum(count) - 1] = wide - most * (count - 1)
    return sp.coo_array((parts.astype(np.int8), (np.repeat(place, count),)), shape=x.shape)


def _too_large(factor: int) -> OperandError:
    return OperandError(f"alpha = {factor}: neither alpha·x nor alpha·A fits in int8, nor alpha·x in a sum "
                        f"of {_MOST_PARTS} int8, and the array has no multiplier for int32 sums; scale x or "
                        "A down, or the result")


def _scaled_bias(b: Any, beta: int, length: int) -> npt.NDArray[np.int32]:
    if b is None:
        raise OperandError(f"beta = {beta} needs b")
    b = np.asarray(b)
    if b.dtype.kind not in "iu" or b.shape != (length,):
        raise OperandError(f"b is {b.dtype} of shape {b.shape}; it must be integers of shape ({length},)")
    largest = max((abs(int(value)) for value in (b.min(initial=0), b.max(initial=0))), default=0)
    if largest * abs(beta) > _INT32.max:
        raise OperandError(f"beta·b reaches {largest * abs(beta)}; it must stay within {_INT32.max}, as sums "
                           "are int32")
    return (b.astype(np.int64) * beta).astype(np.int32)


# ---- embedding bag ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Bags:
    """An embedding bag as a product, and the options of that."""

    lowering: Lowering
    options: dict[str, Any] = field(default_factory=dict)


def lower_embedding_bag(indices: Any, offsets: Any, table: Any, *, mode: str = "sum",
                        per_sample_weights: Any = None, include_last_offset: bool = False) -> Bags:
    """PyTorch's EmbeddingBag: the indices of a bag are the nonzeros of a CSR row, offsets its row pointers.

    Parameters
    ----------
    indices : integers (n,); or (bags, n), bags of one length, with `offsets` None
    offsets : integers, where each bag begins; the first is 0. A bag may be empty: zeros
    table : int8 (rows, dimension), dense
    mode : "sum": int32, exact (sums wrap). "mean": int8; the sums are exact, 1 / length is rounded to
        2**-16 of itself, the product rounded to the nearest and halves up (`hdl.layouts.ScaleWord`)
    per_sample_weights : int8 of the shape of `indices`, with mode "sum" only, as in PyTorch
    include_last_offset : `offsets` has the number of indices at its end

    Raises OperandError.
    """
    if mode not in ("sum", "mean"):
        reason = ": the array adds, it has no maximum" if mode == "max" else ""
        raise OperandError(f"mode is {mode!r}; it must be 'sum' or 'mean'{reason}")
    if sp.issparse(table) or getattr(table, "ndim", 0) != 2 or table.dtype != np.int8:
        raise OperandError("table must be a dense int8 matrix (rows, dimension)")
    indices = _integers(indices, "indices")
    bounds = _bounds(indices, offsets, include_last_offset)
    shape, indices = indices.shape, indices.reshape(-1)
    if indices.size and not (0 <= indices.min() and indices.max() < table.shape[0]):
        worst = indices.min() if indices.min() < 0 else indices.max()
        raise OperandError(f"indices hold {worst}; table has rows 0 to {table.shape[0] - 1}")
    weights = np.ones(indices.size, np.int8)
    if per_sample_weights is not None:
        weights = np.asarray(per_sample_weights)
        if mode != "sum":
            raise OperandError("per_sample_weights go with mode 'sum' only")
        if weights.dtype != np.int8 or weights.shape != shape:
            raise OperandError(f"per_sample_weights are {weights.dtype} of shape {weights.shape}; they must "
                               f"be int8 of shape {shape}, as indices")
        weights = weights.reshape(-1)
    a = sp.csr_array((weights, indices.astype(np.int32, copy=False), bounds),
                     shape=(len(bounds) - 1, table.shape[0]))
    options: dict[str, Any] = {}
    if mode == "mean":
        lengths = np.maximum(np.diff(bounds), 1)
        options = {"scale": (1.0 / lengths)[:, None], "out_dtype": np.int8}
    lowering = Lowering(f"embedding bag ({mode})", a, table, np.ascontiguousarray, keeps_order=True)
    return Bags(lowering, options)


def _integers(value: Any, name: str) -> npt.NDArray:
    array = np.asarray(value)
    if array.size == 0:
        array = array.astype(np.int32)
    if array.dtype.kind not in "iu" or array.ndim not in (1, 2):
        raise OperandError(f"{name} are {array.dtype} of {array.ndim} dimensions; they must be integers of "
                           "one dimension (indices: or two, without offsets)")
    return array


def _bounds(indices: npt.NDArray, offsets: Any, include_last_offset: bool) -> npt.NDArray[np.int32]:
    """Row pointers: the offsets, with the number of indices at the end."""
    if indices.ndim == 2:
        if offsets is not None:
            raise OperandError("indices of two dimensions are bags of one length; offsets must be None")
        return np.arange(0, indices.size + 1, indices.shape[1], dtype=np.int32) if indices.shape[1] else (
            np.zeros(indices.shape[0] + 1, np.int32))
    if offsets is None:
        raise OperandError("indices of one dimension need offsets, where each bag begins")
    starts = _integers(offsets, "offsets")
    if starts.ndim != 1:
        raise OperandError(f"offsets have {starts.ndim} dimensions; they must have one")
    if include_last_offset and (not starts.size or starts[-1] != indices.size):
        raise OperandError(f"the last offset must be the number of indices, {indices.size}")
    bounds = starts.astype(np.int64) if include_last_offset else np.append(starts.astype(np.int64),
                                                                           indices.size)
    if bounds[0] != 0 or (np.diff(bounds) < 0).any():
        raise OperandError(f"offsets must rise from 0 to at most {indices.size}, the number of indices")
    return bounds.astype(np.int32)
