"""From files and options to the int8 operands of one kernel."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from zerolane.formats import Matrix, MatrixFile, load_matrix
from zerolane.quantize import Quantized, as_int8, random_dense, random_values

__all__ = ["Kernel", "Values", "Work", "WorkError", "make_work", "pattern_work", "prepare_work"]


class WorkError(ValueError):
    """Matrices that do not go together, or a kernel that they do not suit."""


class Kernel(StrEnum):
    """What is multiplied: sparse or dense A by a dense or sparse matrix, by a vector, or both dense."""

    SPMM = "spmm"
    SPMV = "spmv"
    GEMM = "gemm"


class Values(StrEnum):
    """Whether a file's values count, or only their positions."""

    FILE = "file"
    PATTERN = "pattern"


@dataclass(frozen=True)
class Work:
    """One kernel's operands.

    Attributes
    ----------
    name : str
        Of the matrix.
    a : csr_array or ndarray of int8, (M, K)
    b : csr_array or ndarray of int8, (K, N), or (K,) for spmv
    a_scales, b_scales : float64 (M,) or (N,), or None where values were int8 already
    dropped : int
        Values that quantization rounded to zero.
    reference : float64 (M, N) or None
        The product of the values before quantization, where there was any.
    """

    kernel: Kernel
    name: str
    a: Matrix
    b: Matrix
    a_scales: np.ndarray | None = None
    b_scales: np.ndarray | None = None
    dropped: int = 0
    reference: np.ndarray | None = None

    @property
    def columns(self) -> int:
        return 1 if self.b.ndim == 1 else self.b.shape[1]

    @property
    def nnz(self) -> int:
        """Stored entries of A; of a dense A those that are not zero."""
        return self.a.nnz if sp.issparse(self.a) else int(np.count_nonzero(self.a))

    def quantization_error(self, c: np.ndarray) -> dict[str, float] | None:
        """Largest absolute and relative Frobenius error of the int32 result `c` against float64."""
        if self.reference is None:
            return None
        real = c.reshape(self.reference.shape).astype(np.float64)
        if self.a_scales is not None:
            real *= self.a_scales[:, None]
        if self.b_scales is not None:
            real *= self.b_scales
        difference = real - self.reference
        norm = float(np.linalg.norm(self.reference))
        return {"max_absolute": float(np.abs(difference).max(initial=0.0)),
                "relative_frobenius": float(np.linalg.norm(difference)) / norm if norm else 0.0}


def prepare_work(kernel: Kernel, a_path: Path, b_path: Path | None, columns: int, values: Values,
                 seed: int) -> Work:
    """The operands of `zerolane run`.

    Raises MatrixFileError for a bad file and WorkError for operands that do not go together.
    """
    if columns < 1:
        raise WorkError(f"--cols {columns}; it must be at least 1")
    rng = np.random.default_rng(seed)
    a_file = load_matrix(a_path)
    b_file = load_matrix(b_path) if b_path is not None else None
    a, a_real = _operand(a_file, values, rng, axis=0)
    if b_file is None:
        inner = a.matrix.shape[1]
        shape = (inner,) if kernel is Kernel.SPMV else (inner, columns)
        b, b_real = Quantized(random_dense(shape, rng), None, 0), None
    else:
        b, b_real = _operand(b_file, values, rng, axis=1)
    work = make_work(kernel, a_path.stem, a, b)
    if work.a_scales is None and work.b_scales is None:
        return work
    left = a_real if a_real is not None else work.a.astype(np.float64)
    right = b_real if b_real is not None else work.b.astype(np.float64)
    product = left @ right
    dense = product.toarray() if sp.issparse(product) else np.asarray(product)
    return Work(**{**vars(work), "reference": dense.reshape(work.a.shape[0], work.columns)})


def pattern_work(kernel: Kernel, name: str, pattern: Matrix, columns: int, seed: int) -> Work:
    """A benchmark's operands: random values in a pattern's places, a random dense B."""
    rng = np.random.default_rng(seed)
    a = Quantized(random_values(pattern, rng), None, 0)
    shape = (pattern.shape[1],) if kernel is Kernel.SPMV else (pattern.shape[1], columns)
    return make_work(kernel, name, a, Quantized(random_dense(shape, rng), None, 0))


def make_work(kernel: Kernel, name: str, a: Quantized, b: Quantized) -> Work:
    """Check that the operands suit the kernel and each other."""
    left, right = a.matrix, b.matrix
    if kernel is Kernel.GEMM:
        left, right = (matrix.toarray() if sp.issparse(matrix) else matrix for matrix in (left, right))
    if kernel is Kernel.SPMV:
        if right.ndim == 2 and right.shape[1] == 1:
            right = (right.toarray() if sp.issparse(right) else right)[:, 0]
        if right.ndim != 1:
            raise WorkError(f"{kernel.value}: B has shape {right.shape}; it must be a vector or one column")
    elif right.ndim == 1:
        right = right.reshape(-1, 1)
    if left.shape[1] != right.shape[0]:
        raise WorkError(f"A has {left.shape[1]} columns and B has {right.shape[0]} rows; they must be equal")
    return Work(kernel, name, left, right, a.scales, b.scales, a.dropped + b.dropped)


def _operand(file: MatrixFile, values: Values, rng: np.random.Generator,
             axis: int) -> tuple[Quantized, Matrix | None]:
    """The int8 operand, and the float64 one where values were quantized."""
    # A vector on the left is one row, with one scale.
    matrix = file.matrix.reshape(1, -1) if axis == 0 and file.matrix.ndim == 1 else file.matrix
    if file.pattern or values is Values.PATTERN:
        return Quantized(random_values(matrix, rng), None, 0), None
    result = as_int8(matrix, axis)
    return result, matrix.astype(np.float64) if result.scales is not None else None
