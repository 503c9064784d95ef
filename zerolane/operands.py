"""What a caller may hand over, checked and brought into one of two forms: int8 rows or CSR."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

__all__ = ["INDEX16_COLUMNS", "Operand", "OperandError", "as_index32", "as_operand", "nonzero_products"]

INDEX16_COLUMNS = 1 << 16
"""Up to so many columns, indices are stored in 16 bits."""

_INT32_MAX = (1 << 31) - 1


class OperandError(ValueError):
    """An operand cannot be multiplied by the array; the message says which, why and what would be right."""


@dataclass(frozen=True, eq=False)
class Operand:
    """A matrix of int8 in two dimensions: `stored` is a C-contiguous array or CSR with int32 indices.

    Elementwise operations take CSR of int32 values, too.

    CSR is as the caller holds it: duplicates, any order of columns and stored zeros stay.
    """

    stored: Any

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.stored.shape
        return rows, columns

    @property
    def sparse(self) -> bool:
        return sp.issparse(self.stored)

    @property
    def wide(self) -> bool:
        """Values are int32."""
        return bool(self.stored.dtype == np.int32)

    @cached_property
    def entries(self) -> int:
        """Values in memory, zeros included."""
        return int(self.stored.nnz) if self.sparse else int(self.stored.size)

    @cached_property
    def row_nonzeros(self) -> npt.NDArray[np.int64]:
        if not self.sparse:
            return np.count_nonzero(self.stored, axis=1).astype(np.int64)
        before = np.concatenate(([0], np.cumsum(self.stored.data != 0)))
        return np.diff(before[self.stored.indptr])

    @cached_property
    def column_nonzeros(self) -> npt.NDArray[np.int64]:
        if not self.sparse:
            return np.count_nonzero(self.stored, axis=0).astype(np.int64)
        return np.bincount(self.stored.indices[self.stored.data != 0], minlength=self.shape[1])

    @cached_property
    def nonzeros(self) -> int:
        return int(self.row_nonzeros.sum())

    @cached_property
    def transposed(self) -> "Operand":
        """The transpose in the same form; duplicates stay."""
        if self.sparse:
            return Operand(_with_int32(sp.csr_array(self.stored.T.tocsr())))
        return Operand(np.ascontiguousarray(self.stored.T))

    @cached_property
    def layers(self) -> tuple["Operand", ...]:
        """Operands without duplicates whose sum is this one: one, unless duplicates add up beyond int8."""
        if not self.sparse or self.stored.has_canonical_format:
            return (self,)
        rest = self.stored.astype(np.int64)
        rest.sum_duplicates()
        layers: list[Operand] = []
        while not layers or rest.data.any():
            part = rest.copy()
            part.data = np.clip(rest.data, -128, 127)
            rest.data = rest.data - part.data
            if layers:
                part.eliminate_zeros()
            layers.append(Operand(_with_int32(part.astype(np.int8))))
        return tuple(layers)

    @cached_property
    def dense(self) -> "Operand":
        """The same matrix as rows of int8; only of an operand without duplicates beyond int8."""
        return Operand(self.stored.toarray()) if self.sparse else self

    def stream_bytes(self, *, transposed: bool = False) -> int:
        """Bytes in memory: dense rows, or row pointers, narrowed column indices and values."""
        if not self.sparse:
            return self.entries
        rows, columns = self.shape[::-1] if transposed else self.shape
        index_bytes = 2 if columns <= INDEX16_COLUMNS else 4
        return 4 * (rows + 1) + self.entries * (index_bytes + self.stored.dtype.itemsize)


def _with_int32(matrix: sp.csr_array) -> sp.csr_array:
    if matrix.indptr.dtype == np.int32 and matrix.indices.dtype == np.int32:
        return matrix
    return sp.csr_array((matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)),
                        shape=matrix.shape)


def nonzero_products(a: Operand, b: Operand) -> int:
    """Pairs of nonzeros that meet in A·B."""
    return int(a.column_nonzeros @ b.row_nonzeros)


def as_operand(value: Any, name: str, *, row_vector: bool = True) -> Operand:
    """Check one operand and bring it into an `Operand`; `value` itself is never changed.

    A vector becomes a single row, or a single column where `row_vector` is false. Formats other than CSR are
    converted with 64-bit sums of duplicates. Raises OperandError naming `name`.
    """
    if sp.issparse(value):
        return Operand(_sparse(value, name, row_vector))
    if isinstance(value, np.ma.MaskedArray) or not isinstance(value, np.ndarray):
        raise OperandError(f"{name} is a {type(value).__name__}; "
                           "it must be a NumPy array or a SciPy sparse matrix")
    _check_type(value, name)
    array = np.asarray(value)
    if array.ndim not in (1, 2):
        raise OperandError(f"{name} has {array.ndim} dimensions; it must have one or two")
    if array.ndim == 1:
        array = array[None, :] if row_vector else array[:, None]
    _check_shape(array.shape, name)
    return Operand(np.ascontiguousarray(array))


def _check_type(value: Any, name: str) -> None:
    if value.dtype != np.int8:
        raise OperandError(f"{name} holds values of type {value.dtype}; they must be int8 "
                           "(check that they fit, then .astype(numpy.int8); reals need quantizing first)")


def _check_shape(shape: tuple[int, ...], name: str) -> None:
    if max(shape) > _INT32_MAX:
        raise OperandError(f"{name} has shape {shape}; no side may exceed {_INT32_MAX}")


def _sparse(value: sp.sparray | sp.spmatrix, name: str, row_vector: bool) -> sp.csr_array:
    _check_type(value, name)
    if value.ndim not in (1, 2):
        raise OperandError(f"{name} has {value.ndim} dimensions; it must have one or two")
    _check_shape(value.shape, name)
    if value.ndim == 1:
        value = sp.coo_array(value).reshape((1, -1) if row_vector else (-1, 1))
    try:
        matrix = _checked_csr(value) if value.format == "csr" else _converted_csr(value, name)
    except (ValueError, IndexError, TypeError) as error:
        if isinstance(error, OperandError):
            raise
        raise OperandError(f"{name} is not a valid {value.format} matrix: {error}") from error
    if matrix.nnz > _INT32_MAX:
        raise OperandError(f"{name} has {matrix.nnz} entries; row pointers are 32-bit, at most {_INT32_MAX}")
    return _with_int32(matrix)


def as_index32(value: sp.sparray | sp.spmatrix, name: str) -> sp.csr_array:
    """A sparse matrix of any values as CSR with int32 indices, its arrays checked. Raises OperandError."""
    _check_shape(value.shape, name)
    try:
        return _with_int32(_checked_csr(value if value.format == "csr" else value.tocsr()))
    except (ValueError, IndexError, TypeError) as error:
        raise OperandError(f"{name} is not a valid {value.format} matrix: {error}") from error


def _checked_csr(value: sp.sparray | sp.spmatrix) -> sp.csr_array:
    """The caller's arrays in a wrapper of our own: SciPy's check may prune and narrow what it checks."""
    matrix = sp.csr_array((value.data, value.indices, value.indptr), shape=value.shape, copy=False)
    matrix.check_format(full_check=True)
    return matrix


def _converted_csr(value: sp.sparray | sp.spmatrix, name: str) -> sp.csr_array:
    if value.format in ("csc", "bsr"):
        value = type(value)((value.data, value.indices, value.indptr), shape=value.shape, copy=False)
        value.check_format(full_check=True)
    elif value.format == "coo":
        for axis, indices in enumerate((value.row, value.col)):
            if len(indices) != len(value.data):
                raise ValueError(f"{len(indices)} indices on axis {axis} for {len(value.data)} values")
            if len(indices) and not (0 <= indices.min() and indices.max() < value.shape[axis]):
                raise ValueError(f"an index on axis {axis} is outside 0..{value.shape[axis] - 1}")
    # Values widen first: converting adds duplicates up in the values' own type.
    matrix = sp.csr_array(value.astype(np.int64))
    if matrix.nnz and not (matrix.data.min() >= -128 and matrix.data.max() <= 127):
        worst = matrix.data[np.argmax(np.abs(matrix.data))]
        raise OperandError(f"{name}: duplicate entries add up to {worst}, outside int8")
    return matrix.astype(np.int8)
