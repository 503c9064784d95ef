"""A product as it was asked for: operands, bias, scale, checked and brought into two dimensions."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .operands import Operand, OperandError, as_operand, nonzero_products
from .scaling import scale_words

__all__ = ["Problem", "as_problem", "checked_capacity", "checked_out_dtype", "scale_by_side"]

_INT32_MAX = (1 << 31) - 1


@dataclass(frozen=True, eq=False)
class Problem:
    """C = A·B and what happens to its sums, in two dimensions.

    Attributes
    ----------
    a, b : Operand, M×K and K×N
    row_bias, column_bias : int32 (M,) and (N,), or None
    row_scale, column_scale : uint32 ScaleWords (M,) and (N,), or None
    scale : ScaleWord of all results
    relu, out_int8 : bool
    result_shape : what NumPy's `@` would give
    csr : the result is CSR
    capacity : entries that a CSR result gets room for; None: as many as it can have
    """

    a: Operand
    b: Operand
    result_shape: tuple[int, ...]
    row_bias: npt.NDArray[np.int32] | None = None
    column_bias: npt.NDArray[np.int32] | None = None
    row_scale: npt.NDArray[np.uint32] | None = None
    column_scale: npt.NDArray[np.uint32] | None = None
    scale: int = 0
    relu: bool = False
    out_int8: bool = False
    csr: bool = False
    capacity: int | None = None

    @property
    def rows(self) -> int:
        return self.a.shape[0]

    @property
    def inner(self) -> int:
        return self.a.shape[1]

    @property
    def columns(self) -> int:
        return self.b.shape[1]

    @property
    def out_bytes(self) -> int:
        """Of one element of C."""
        return 1 if self.out_int8 else 4

    @cached_property
    def products(self) -> int:
        """Pairs of nonzeros that meet."""
        return nonzero_products(self.a, self.b)

    @property
    def entries(self) -> int:
        """Room of a CSR result: what was asked for, or what it can need at most."""
        return min(self.products, self.rows * self.columns) if self.capacity is None else self.capacity

    @property
    def drops_zeros(self) -> bool:
        """Of a CSR result: with a dense operand zeros are no entries; else sums that cancel are."""
        return not (self.a.sparse and self.b.sparse)

    def layers_of(self, resident: Operand) -> tuple[Operand, ...]:
        """What the resident operand is the sum of. Of a CSR result duplicates stay apart: each is a nonzero
        that meets others, even where they cancel, and packed tiles take them as they are."""
        return (resident,) if self.csr else resident.layers

    @cached_property
    def transposed(self) -> "Problem":
        """C^T = B^T·A^T with rows and columns of bias and scale exchanged."""
        return Problem(self.b.transposed, self.a.transposed, self.result_shape[::-1], self.column_bias,
                       self.row_bias, self.column_scale, self.row_scale, self.scale, self.relu, self.out_int8)


def as_problem(a: Any, b: Any, *, bias: Any = None, scale: Any = None, relu: bool = False,
               out_dtype: npt.DTypeLike = np.int32, out: str = "dense",
               capacity: int | None = None) -> Problem:
    """Check everything `Device.matmul` takes; see there. Raises OperandError."""
    left, right = as_operand(a, "a"), as_operand(b, "b", row_vector=False)
    if left.shape[1] != right.shape[0]:
        raise OperandError(f"shapes {a.shape} and {b.shape} do not multiply: "
                           f"{left.shape[1]} columns of a, {right.shape[0]} rows of b")
    result_shape = left.shape[:a.ndim - 1] + right.shape[3 - b.ndim:]
    sides = (left.shape[0], right.shape[1])
    out_int8 = checked_out_dtype(out_dtype, scale)
    if out not in ("dense", "csr"):
        raise OperandError(f"out is {out!r}; it must be 'dense' or 'csr'")
    csr = out == "csr"
    if csr and bias is not None:
        raise OperandError("a bias reaches what is absent, too: it cannot be added to a CSR result")
    if csr and len(result_shape) != 2:
        raise OperandError(f"a result of shape {result_shape} cannot be CSR; it must have two dimensions")
    checked_capacity(capacity, csr)
    row_bias = column_bias = None
    if bias is not None:
        values = _checked_bias(bias)
        # One number is a bias of every row: four bytes a row to fetch, not four a column and row.
        row_bias, column_bias = _by_side(values, "bias", result_shape, sides)
        if row_bias is None and column_bias is None:
            row_bias = np.full(sides[0], values.ravel()[0], np.int32)
    word, row_scale, column_scale = scale_by_side(scale, result_shape, sides)
    return Problem(left, right, result_shape, row_bias, column_bias, row_scale, column_scale, word,
                   bool(relu), out_int8, csr, capacity)


def checked_out_dtype(out_dtype: npt.DTypeLike, scale: Any) -> bool:
    """Whether results are int8, which go with a scale. Raises OperandError."""
    dtype = np.dtype(out_dtype)
    if dtype not in (np.int8, np.int32):
        raise OperandError(f"out_dtype is {dtype}; it must be int32 or int8")
    if (dtype == np.int8) != (scale is not None):
        raise OperandError("out_dtype int8 needs a scale" if scale is None else
                           "scale is only applied to int8 results; pass out_dtype=numpy.int8")
    return dtype == np.int8


def checked_capacity(capacity: int | None, csr: bool) -> None:
    """Raises OperandError for room that no CSR result can have."""
    if capacity is not None and not (csr and 0 <= capacity <= _INT32_MAX):
        raise OperandError(f"capacity is {capacity}; it must be from 0 to {_INT32_MAX}, with out='csr'")


def scale_by_side(scale: Any, result_shape: tuple[int, ...], sides: tuple[int, int]
                  ) -> tuple[int, npt.NDArray | None, npt.NDArray | None]:
    """ScaleWords: one for all results, one a row (M,), one a column (N,). Raises OperandError."""
    if scale is None:
        return 0, None, None
    try:
        words = scale_words(scale)
    except (TypeError, ValueError) as error:
        raise OperandError(str(error)) from error
    row_scale, column_scale = _by_side(words, "scale", result_shape, sides)
    return int(words.ravel()[0]) if row_scale is None and column_scale is None else 0, row_scale, column_scale


def _checked_bias(bias: Any) -> npt.NDArray[np.int32]:
    array = np.asarray(bias)
    if array.dtype != np.int32 and type(bias) is not int:
        raise OperandError(f"bias holds values of type {array.dtype}; they must be int32")
    if array.size and not (-_INT32_MAX - 1 <= array.min() and array.max() <= _INT32_MAX):
        raise OperandError(f"bias is {bias}; it must fit in int32")
    return array.astype(np.int32)


def _by_side(values: npt.NDArray, name: str, result_shape: tuple[int, ...], sides: tuple[int, int]
             ) -> tuple[npt.NDArray | None, npt.NDArray | None]:
    """`values` as one for each row or one for each column of C; both None where there is only one."""
    rows, columns = sides
    if values.ndim <= len(result_shape) and values.size == 1 and (result_shape == () or values.ndim <= 2):
        return None, None
    if len(result_shape) == 1 and values.shape == result_shape:
        # A vector result: its elements are rows of C for matrix @ vector, columns for vector @ matrix.
        return (values, None) if columns == 1 else (None, values)
    if len(result_shape) == 2 and values.shape in ((columns,), (1, columns)):
        return None, np.ascontiguousarray(values.reshape(-1))
    if len(result_shape) == 2 and values.shape == (rows, 1):
        return np.ascontiguousarray(values.reshape(-1)), None
    raise OperandError(f"{name} has shape {values.shape}; for a result of shape {result_shape} it must be "
                       "one number, one a column (N,) or (1, N), or one a row (M, 1)")
