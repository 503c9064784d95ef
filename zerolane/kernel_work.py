"""From files to the operands of the kernels that `Device.einsum` and its neighbours run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sim import golden
from zerolane.device import Device, expected_result
from zerolane.formats import load_matrix, load_tensor
from zerolane.quantize import random_dense, random_values
from zerolane.scaling import scale_words
from zerolane.work import Values, WorkError

__all__ = ["ELEMENTWISE", "KernelOptions", "KernelWork", "NamedKernel", "prepare_kernel", "sampled_work",
           "spgemm_work"]

_LETTERS = "ijk"
_RANDOM_DENSITY = 0.25


class NamedKernel(StrEnum):
    """Kernels beside the plain products."""

    SPGEMM = "spgemm"                 # two sparse matrices, CSR out; A times itself if B is left out; a mask
    SPGEMM_T = "spgemm_t"             # A times its transpose, CSR out
    ADD = "add"                       # two matrices or more, CSR out
    SUB = "sub"                       # the first less the others
    MUL = "mul"                       # two matrices, element by element
    MASK = "mask"                     # the first where the second is not zero
    TO_CSR = "to_csr"                 # a dense matrix
    TO_DENSE = "to_dense"             # a sparse matrix
    SDDMM = "sddmm"                   # S sparse, A and B dense: S ∘ (A·B)
    SPMSPV = "spmspv"                 # matrix, sparse vector
    DOT = "dot"                       # two vectors
    GEMV = "gemv"                     # matrix, vector, b: alpha·A@x + beta·b
    RESIDUAL = "residual"             # matrix, vector, b: b - A@x
    EMBEDDING_BAG = "embedding_bag"   # indices, offsets, table
    TTV = "ttv"                       # tensor, vector
    TTM = "ttm"                       # tensor, matrix
    MTTKRP = "mttkrp"                 # tensor, two matrices


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


@dataclass(frozen=True)
class KernelWork:
    """A kernel that is ready to run.

    Attributes
    ----------
    operands : by name, as they are kept in a folder
    run : gives the result on a device
    expected : what that must be; for operands that the device does not refuse
    """

    kernel: NamedKernel
    name: str
    operands: dict[str, Any]
    run: Callable[[Device], Any] = field(repr=False)
    expected: Callable[[], Any] = field(repr=False)


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


def _wide(value: Any) -> npt.NDArray[np.int64]:
    return (value.toarray() if sp.issparse(value) else value).astype(np.int64)


def _einsum(files: _Files, text: str, operands: dict[str, Any]) -> KernelWork:
    def expected() -> npt.NDArray:
        wide = [_wide(value) for value in operands.values()]
        return np.asarray(np.einsum(text, *wide, optimize=True)).astype(np.int32)

    return KernelWork(files.kernel, files.name, operands,
                      lambda device: device.einsum(text, *operands.values()), expected)


ELEMENTWISE = {NamedKernel.ADD: "add", NamedKernel.SUB: "subtract", NamedKernel.MUL: "multiply",
               NamedKernel.MASK: "mask", NamedKernel.TO_CSR: "convert"}


def _elementwise(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    operation, joins = ELEMENTWISE[kernel], kernel in (NamedKernel.ADD, NamedKernel.SUB)
    least = 1 if kernel is NamedKernel.TO_CSR else 2
    files.most(3 if joins else least)
    operands = [files.of_two_dimensions(place) for place in range(max(least, len(files.paths)))]
    for other in operands[1:]:
        for side, name in enumerate(("rows", "columns")):
            _same(operands[0].shape[side], other.shape[side], f"{name} of A", f"{name} of the other")

    def expected() -> sp.csr_array:
        result = golden.elementwise(operation, operands[0], operands[1] if least > 1 else None, 0, False,
                                    np.int32)
        for other in operands[2:]:
            result = golden.elementwise(operation, result, other, 0, False, np.int32)
        return result

    def run(device: Device) -> sp.csr_array:
        if kernel is NamedKernel.TO_CSR:
            return device.to_csr(operands[0])
        return getattr(device, operation)(*operands)

    return KernelWork(kernel, files.name, dict(zip("abd", operands, strict=False)), run, expected)


def spgemm_work(kernel: NamedKernel, name: str, a: Any, b: Any) -> KernelWork:
    """A·B of two CSR matrices, in CSR."""
    return KernelWork(kernel, name, {"a": a, "b": b}, lambda device: device.spgemm(a, b),
                      lambda: expected_result(a, b, out="csr"))


def sampled_work(name: str, s: Any, a: npt.NDArray, b: npt.NDArray) -> KernelWork:
    """S ∘ (A·B), S in CSR, A and B dense."""
    return KernelWork(NamedKernel.SDDMM, name, {"a": s, "b": a, "d": b},
                      lambda device: device.sddmm(s, a, b),
                      lambda: sp.csr_array((golden.sampled_matmul(s, a, b), s.indices, s.indptr),
                                           shape=s.shape))


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
    return KernelWork(kernel, files.name, {"a": a, "b": b, "d": mask},
                      lambda device: device.spgemm(a, b, mask=mask),
                      lambda: golden.elementwise("mask", expected_result(a, b, out="csr"), mask, 0, False,
                                                 np.int32))


def _spgemm_t(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    files.most(1)
    a = sp.csr_array(files.of_two_dimensions(0))
    return spgemm_work(kernel, files.name, a, sp.csr_array(a.T))


def _to_dense(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    files.most(1)
    a = sp.csr_array(files.of_two_dimensions(0))
    return KernelWork(kernel, files.name, {"a": a}, lambda device: device.to_dense(a),
                      lambda: np.clip(a.astype(np.int64).toarray(), -128, 127).astype(np.int8))


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
    return _einsum(files, "ij,j->i", {"a": a, "b": sp.coo_array(x)})


def _dot(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    files.most(2)
    x = files.vector(0)
    y = files.vector(1, x.shape[0])
    _same(x.shape[0], y.shape[0], "elements of x", "elements of y")
    return _einsum(files, "i,i->", {"a": x, "b": y})


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

    def expected() -> npt.NDArray:
        matrix = a.astype(np.int64).T if transpose else a.astype(np.int64)
        earlier = 0 if b is None else beta * b.astype(np.int64)
        return (alpha * (matrix @ _wide(x)) + earlier).astype(np.int32)

    return KernelWork(kernel, files.name, {"a": a, "b": x} | ({} if b is None else {"d": b}),
                      lambda device: device.gemv(a, x, alpha=alpha, beta=beta, b=b, transpose=transpose),
                      expected)


def _embedding_bag(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    files.most(3)
    indices, offsets = files.integers(0), files.integers(1)
    rows = int(indices.max(initial=0)) + 1
    table = files.matrix(2, (rows, options.columns))
    table = table.toarray() if sp.issparse(table) else table
    weights = None
    if options.weights is not None:
        weights = _Files(kernel, [options.weights], Values.FILE, 0).matrix(0)
    operands = {"a": indices, "b": offsets, "d": table} | ({} if weights is None else {"weights": weights})

    def run(device: Device) -> npt.NDArray:
        return device.embedding_bag(indices, offsets, table, mode=options.reduce, per_sample_weights=weights)

    def expected() -> npt.NDArray:
        bounds = np.append(offsets, indices.size).astype(np.int64)
        lengths = bounds[1:] - bounds[:-1]
        rows = _wide(table)[indices]
        if weights is not None:
            rows *= _wide(weights)[:, None]
        sums = np.zeros((len(offsets), table.shape[1]), np.int64)
        np.add.at(sums, np.repeat(np.arange(len(offsets)), lengths), rows)
        if options.reduce == "sum":
            return sums.astype(np.int32)
        words = scale_words(1 / np.maximum(lengths, 1))
        return golden.apply_scale(sums.astype(np.int32), words[:, None])

    return KernelWork(kernel, files.name, operands, run, expected)


def _tensor(kernel: NamedKernel, files: _Files, options: KernelOptions) -> KernelWork:
    files.most(3 if kernel is NamedKernel.MTTKRP else 2)
    tensor, letter = files.tensor(), _LETTERS[options.mode]
    others = _LETTERS.replace(letter, "")
    size = dict(zip(_LETTERS, tensor.shape, strict=True))
    if kernel is NamedKernel.TTV:
        vector = files.vector(1, size[letter])
        _same(size[letter], vector.shape[0], f"of dimension {options.mode}", "elements of the vector")
        return _einsum(files, f"ijk,{letter}->{others}", {"a": tensor, "b": vector})
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
    return _einsum(files, text, {"a": tensor} | factors)


def _same(one: int, other: int, what: str, against: str) -> None:
    if one != other:
        raise WorkError(f"{one} {what} against {other} {against}; they must be equal")
