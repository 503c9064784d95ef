"""Tensors as matrices: which letters become rows and columns, and what that costs the host."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from .operands import OperandError

__all__ = ["Matricized", "khatri_rao", "matricize", "occupied_columns"]

_INT64_MAX = (1 << 63) - 1
_INT32_MAX = (1 << 31) - 1


@dataclass(frozen=True)
class Matricized:
    """A matrix made of an operand, and what the host did for it.

    Attributes
    ----------
    matrix : ndarray or csr_array, two-dimensional
    moved : stored values of a sparse operand that were sorted anew; 0 where its arrays serve as they are
    copied : values of a dense operand that changed places
    note : what the host does, in words; empty where it does nothing
    """

    matrix: Any
    moved: int = 0
    copied: int = 0
    note: str = ""


def matricize(value: Any, letters: str, rows: str, columns: str, name: str) -> Matricized:
    """`value`, whose dimensions are `letters`, as a matrix with the dimensions `rows` down, `columns` across.

    CSR is taken as it is, CSC as the CSR of its transpose. Raises OperandError for what the product of
    dimensions makes too long to index.
    """
    axes = [letters.index(letter) for letter in rows + columns]
    shape = (_product(value.shape[axis] for axis in axes[:len(rows)]),
             _product(value.shape[axis] for axis in axes[len(rows):]))
    if max(shape) > _INT64_MAX:
        raise OperandError(f"{name} as a matrix of {shape[0]} x {shape[1]} is too long to index")
    if not sp.issparse(value):
        matrix = np.ascontiguousarray(np.transpose(value, axes).reshape(shape))
        stays = matrix.size == 0 or np.may_share_memory(matrix, value)
        return Matricized(matrix, copied=0 if stays else matrix.size,
                          note="" if stays else f"{name} is brought into rows ({matrix.size:,} values)")
    if value.ndim == 2:
        return _matrix(value, axes == [1, 0], len(rows) == len(columns), shape, name)
    try:
        entries = sp.coo_array(value)
        lines = [_flat(entries, part) for part in (axes[:len(rows)], axes[len(rows):])]
    except ValueError as error:
        raise OperandError(f"{name} has coordinates outside its shape {value.shape}: {error}") from error
    matrix = (_line(entries.data, lines, shape) if value.ndim == 1 and max(shape) <= _INT32_MAX
              else sp.coo_array((entries.data, (lines[0], lines[1])), shape=shape))
    note = "" if value.ndim == 1 else (f"{name} is matricized to {shape[0]:,} x {shape[1]:,}: "
                                       f"{value.nnz:,} entries sorted into rows")
    return Matricized(matrix, moved=0 if value.ndim == 1 else value.nnz, note=note)


def _line(values: npt.NDArray, lines: list[npt.NDArray[np.int64]], shape: tuple[int, int]) -> sp.csr_array:
    """A vector as CSR; duplicates stay, which may add up to more than their type holds."""
    order = np.argsort(lines[0], kind="stable")
    pointers = np.concatenate(([0], np.cumsum(np.bincount(lines[0], minlength=shape[0]))))
    return sp.csr_array((values[order], lines[1][order], pointers), shape=shape)


def _matrix(value: Any, transposed: bool, square: bool, shape: tuple[int, int], name: str) -> Matricized:
    """A sparse matrix by its format: CSR rows, or CSC columns as the rows of the transpose, are free."""
    if not square:  # both dimensions down or across: a vector
        axes = value.T if transposed else value
        return Matricized(sp.coo_array(axes).reshape(shape), moved=value.nnz,
                          note=f"{name} is made one line of {max(shape):,}: {value.nnz:,} entries sorted")
    turned = value.T if transposed else value
    if turned.format == "csr":
        return Matricized(turned)
    return Matricized(turned, moved=value.nnz, note=(
        f"{name} is {value.format}{', needed transposed' if transposed else ''}: "
        f"{value.nnz:,} entries sorted into rows"))


def _flat(entries: Any, axes: list[int]) -> npt.NDArray[np.int64]:
    """Each entry's place along several dimensions taken as one."""
    if not axes:
        return np.zeros(entries.nnz, np.int64)
    return np.ravel_multi_index(tuple(entries.coords[axis] for axis in axes),
                                tuple(entries.shape[axis] for axis in axes))


def _product(sizes: Any) -> int:
    result = 1
    for size in sizes:
        result *= int(size)
    return result


def occupied_columns(matrix: Any) -> tuple[Any, npt.NDArray[np.int64]]:
    """A sparse matrix without its empty columns, as CSR, and the columns that it keeps."""
    entries = sp.coo_array(matrix)
    kept, places = np.unique(entries.col, return_inverse=True)
    narrow = sp.coo_array((entries.data, (entries.row, places)), shape=(matrix.shape[0], len(kept)))
    return narrow, kept.astype(np.int64)


def khatri_rao(first: npt.NDArray[np.int8], second: npt.NDArray[np.int8],
               pairs: npt.NDArray[np.int64] | None = None) -> tuple[npt.NDArray[np.int8], bool]:
    """Rows (j, k), j outer, of the products first[j, r]·second[k, r], as int8.

    `pairs`: only these rows. Where a product does not fit in int8, each row is two: the upper and the lower
    digit of the products to the base of 256, side by side, upper = (product + 128) >> 8 (at most 64).
    Returns the rows, and whether they have two digits.
    """
    if pairs is None:
        pairs = np.arange(first.shape[0] * second.shape[0])
    rows, columns = np.divmod(pairs, max(1, second.shape[0]))
    products = first[rows].astype(np.int16) * second[columns].astype(np.int16)
    if products.size == 0 or (products.min() >= -128 and products.max() <= 127):
        return products.astype(np.int8), False
    upper = (products + 128) >> 8
    return np.concatenate([upper, products - (upper << 8)], axis=1).astype(np.int8), True
