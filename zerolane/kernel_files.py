"""From files to the operands of the kernels that `Device.einsum` and its neighbours run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from zerolane.formats import load_matrix, load_tensor
from zerolane.kernel_work import (
    ELEMENTWISE,
    KernelWork,
    NamedKernel,
    bags_work,
    einsum_work,
    elementwise_work,
    gemv_work,
    sampled_work,
    spgemm_work,
    to_dense_work,
)
from zerolane.quantize import random_dense, random_values
from zerolane.work import Values, WorkError

__all__ = ["KernelOptions", "prepare_kernel"]

_LETTERS = "ijk"
_RANDOM_DENSITY = 0.25


@dataclass(frozen=True)
class KernelOptions:
    """What `zerolane run` takes beside operands.

    Attributes
    ----------
    columns : of random matrices; of sddmm the length of what is multiplied
    mode : dimension of a tensor that is summed (ttv, ttm), or that stays (mttkrp)
    alpha, beta, transpose : of gemv
    reduce : "sum" or "mean", weights : a file of int8, of embedding_bag
    """

    columns: int = 32
    mode: int = 0
    alpha: int = 1
    beta: int = 0
    transpose: bool = False
    reduce: str = "sum"
    weights: Path | None = None


def prepare_kernel(kernel: NamedKernel, paths: list[Path], options: KernelOptions, values: Values,
                   seed: int) -> KernelWork:
    """The operands of a kernel; those that no file is given for are random.

    Raises MatrixFileError for a bad file, WorkError for operands that do not suit the kernel.
    """
    if options.columns < 1:
        raise WorkError(f"--cols {options.columns}; it must be at least 1")
    if not 0 <= options.mode < 3:
        raise WorkError(f"--mode {options.mode}; it must be 0, 1 or 2")
    make = {**dict.fromkeys(ELEMENTWISE, _elementwise), NamedKernel.SPGEMM: _spgemm,
            NamedKernel.SPGEMM_T: _spgemm_t, NamedKernel.TO_DENSE: _to_dense,
            NamedKernel.SDDMM: _sddmm, NamedKernel.SPMSPV: _spmspv, NamedKernel.DOT: _dot,
            NamedKernel.GEMV: _gemv, NamedKernel.RESIDUAL: _gemv, NamedKernel.EMBEDDING_BAG: _embedding_bag,
            NamedKernel.TTV: _tensor, NamedKernel.TTM: _tensor, NamedKernel.MTTKRP: _tensor}[kernel]
    return make(kernel, _Files(kernel, paths, values, seed), options)


class _Files:
    """Operands by their place on the command line."""

    def __init__(self, kernel: NamedKernel, paths: list[Path], values: Values, seed: int):
        self.kernel, self.paths, self.values = kernel, paths, values
        self.rng = np.random.default_rng(seed)
        self.name = paths[0].stem

    def most(self, count: int) -> None:
        if len(self.paths) > count:
            raise WorkError(f"{self.kernel.value} takes {count} operands; {len(self.paths)} are given")

    def matrix(self, place: int, otherwise: tuple[int, ...] | None = None) -> Any:
        """int8, of a file, or random where there is none."""
        if place >= len(self.paths) and otherwise is not None:
            return random_dense(otherwise, self.rng)
        file = load_matrix(self._path(place))
        if file.pattern or self.values is Values.PATTERN:
            return random_values(file.matrix, self.rng)
        return self._int8(file.matrix, place)

    def of_two_dimensions(self, place: int, otherwise: tuple[int, ...] | None = None) -> Any:
        found = self.matrix(place, otherwise)
        if found.ndim != 2:
            raise WorkError(f"{self.paths[place]}: {found.ndim} dimensions; it must be a matrix")
        return found

    def vector(self, place: int, length: int | None = None) -> Any:
        found = self.matrix(place, None if length is None else (length,))
        if found.ndim == 2 and 1 not in found.shape:
            raise WorkError(f"{self.paths[place]}: shape {found.shape}; it must be a vector")
        return (sp.coo_array(found) if sp.issparse(found) else found).reshape(-1)

    def tensor(self) -> Any:
        return self._int8(load_tensor(self.paths[0]).matrix, 0)

    def integers(self, place: int) -> npt.NDArray:
        """Of any width: indices, sums."""
        found = load_matrix(self._path(place)).matrix
        if sp.issparse(found) or found.dtype.kind not in "iu":
            raise WorkError(f"{self.paths[place]}: it must be a dense array of integers")
        return found

    def _path(self, place: int) -> Path:
        if place >= len(self.paths):
            raise WorkError(f"{self.kernel.value} needs {place + 1} operands")
        return self.paths[place]

    def _int8(self, value: Any, place: int) -> Any:
        numbers = value.data if sp.issparse(value) else value
        if numbers.dtype.kind not in "iu" or (numbers.size and not (
                numbers.min() >= -128 and numbers.max() <= 127)):
            raise WorkError(f"{self.paths[place]}: values must be integers from -128 to 127; "
                            f"{self.kernel.value} quantizes none (--values pattern draws some)")
        return value.astype(np.int8)


def _elementwise(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    joins = kernel in (NamedKernel.ADD, NamedKernel.SUB)
    least = 1 if kernel is NamedKernel.TO_CSR else 2
    files.most(3 if joins else least)
    operands = [files.of_two_dimensions(place) for place in range(max(least, len(files.paths)))]
    for other in operands[1:]:
        for side, name in enumerate(("rows", "columns")):
            _same(operands[0].shape[side], other.shape[side], f"{name} of A", f"{name} of the other")
    return elementwise_work(kernel, files.name, operands)


def _spgemm(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    files.most(3)
    a = sp.csr_array(files.of_two_dimensions(0))
    b = sp.csr_array(files.of_two_dimensions(1)) if len(files.paths) > 1 else a
    _same(a.shape[1], b.shape[0], "columns of A", "rows of B")
    if len(files.paths) < 3:
        return spgemm_work(kernel, files.name, a, b)
    mask = files.of_two_dimensions(2)
    _same(a.shape[0], mask.shape[0], "rows of A", "rows of the mask")
    _same(b.shape[1], mask.shape[1], "columns of B", "columns of the mask")
    return spgemm_work(kernel, files.name, a, b, mask)


def _spgemm_t(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    files.most(1)
    a = sp.csr_array(files.of_two_dimensions(0))
    return spgemm_work(kernel, files.name, a, sp.csr_array(a.T))


def _to_dense(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    files.most(1)
    return to_dense_work(kernel, files.name, sp.csr_array(files.of_two_dimensions(0)))


def _sddmm(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    files.most(3)
    s = sp.csr_array(files.of_two_dimensions(0))
    a = files.of_two_dimensions(1, (s.shape[0], options.columns))
    b = files.of_two_dimensions(2, (a.shape[1], s.shape[1]))
    a, b = (value.toarray() if sp.issparse(value) else value for value in (a, b))
    _same(s.shape[0], a.shape[0], "rows of S", "rows of A")
    _same(a.shape[1], b.shape[0], "columns of A", "rows of B")
    _same(s.shape[1], b.shape[1], "columns of S", "columns of B")
    return sampled_work(files.name, s, a, b)


def _spmspv(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    files.most(2)
    a = files.of_two_dimensions(0)
    x = files.vector(1, a.shape[1])
    if len(files.paths) == 1:
        x[files.rng.random(x.shape) >= _RANDOM_DENSITY] = 0
    _same(a.shape[1], x.shape[0], "columns of A", "elements of x")
    return einsum_work(kernel, files.name, "ij,j->i", {"a": a, "b": sp.coo_array(x)})


def _dot(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    files.most(2)
    x = files.vector(0)
    y = files.vector(1, x.shape[0])
    _same(x.shape[0], y.shape[0], "elements of x", "elements of y")
    return einsum_work(kernel, files.name, "i,i->", {"a": x, "b": y})


def _gemv(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    files.most(3)
    residual = kernel is NamedKernel.RESIDUAL
    alpha, beta = (-1, 1) if residual else (options.alpha, options.beta)
    transpose = options.transpose and not residual
    a = files.of_two_dimensions(0)
    rows, columns = a.shape[::-1] if transpose else a.shape
    x = files.vector(1, columns)
    _same(columns, x.shape[0], "columns" if not transpose else "rows", "elements of x")
    b = None
    if beta:
        b = files.integers(2).reshape(-1) if len(files.paths) > 2 else files.rng.integers(
            -1000, 1000, rows).astype(np.int32)
        _same(rows, len(b), "elements of the result", "elements of b")

    return gemv_work(kernel, files.name, a, x, b, alpha=alpha, beta=beta, transpose=transpose)


def _embedding_bag(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    files.most(3)
    indices, offsets = files.integers(0), files.integers(1)
    rows = int(indices.max(initial=0)) + 1
    table = files.matrix(2, (rows, options.columns))
    table = table.toarray() if sp.issparse(table) else table
    weights = None
    if options.weights is not None:
        weights = _Files(kernel, [options.weights], Values.FILE, 0).matrix(0)
    return bags_work(files.name, indices, offsets, table, reduce=options.reduce, weights=weights)


def _tensor(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    files.most(3 if kernel is NamedKernel.MTTKRP else 2)
    tensor, letter = files.tensor(), _LETTERS[options.mode]
    others = _LETTERS.replace(letter, "")
    size = dict(zip(_LETTERS, tensor.shape, strict=True))
    if kernel is NamedKernel.TTV:
        vector = files.vector(1, size[letter])
        _same(size[letter], vector.shape[0], f"of dimension {options.mode}", "elements of the vector")
        return einsum_work(kernel, files.name, f"ijk,{letter}->{others}", {"a": tensor, "b": vector})
    modes = letter if kernel is NamedKernel.TTM else others
    factors: dict[str, Any] = {}
    for place, mode in enumerate(modes, start=1):
        columns = factors["b"].shape[1] if factors else options.columns
        factor = files.of_two_dimensions(place, (size[mode], columns))
        factor = factor.toarray() if sp.issparse(factor) else factor
        _same(size[mode], factor.shape[0], f"of dimension {_LETTERS.index(mode)}", "rows of the matrix")
        _same(columns if factors else factor.shape[1], factor.shape[1], "columns of a factor", "of the other")
        factors["d" if factors else "b"] = factor
    text = (f"ijk,{letter}r->" + "ijk".replace(letter, "r") if kernel is NamedKernel.TTM
            else f"ijk,{others[0]}r,{others[1]}r->{letter}r")
    return einsum_work(kernel, files.name, text, {"a": tensor} | factors)


def _same(one: int, other: int, what: str, against: str) -> None:
    if one != other:
        raise WorkError(f"{one} {what} against {other} {against}; they must be equal")
