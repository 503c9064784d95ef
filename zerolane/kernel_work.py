"""Kernels beside the plain products, on operands that are there: how they run, and what they must give."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sim import golden
from zerolane.device import Device, expected_result
from zerolane.scaling import scale_words

__all__ = ["ELEMENTWISE", "KernelWork", "NamedKernel", "bags_work", "einsum_of_entries", "einsum_work",
           "elementwise_work", "gemv_work", "sampled_work", "spgemm_work", "to_dense_work"]


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


ELEMENTWISE = {NamedKernel.ADD: "add", NamedKernel.SUB: "subtract", NamedKernel.MUL: "multiply",
               NamedKernel.MASK: "mask", NamedKernel.TO_CSR: "convert"}



def _wide(value: Any) -> npt.NDArray[np.int64]:
    return (value.toarray() if sp.issparse(value) else value).astype(np.int64)


def einsum_work(kernel: NamedKernel, name: str, text: str, operands: dict[str, Any]) -> KernelWork:
    """What `Device.einsum` makes of `text` and the operands, in their order."""
    return KernelWork(kernel, name, operands, lambda device: device.einsum(text, *operands.values()),
                      lambda: einsum_of_entries(text, *operands.values()).astype(np.int32))


def einsum_of_entries(text: str, first: Any, *others: Any) -> npt.NDArray[np.int64]:
    """np.einsum in int64, also where the first operand is sparse and too large to be dense.

    Parameters
    ----------
    text : of the others, letters that the first has not come last, and are one letter, as in "ijk,jr,kr->ir"
    first : array or sparse array; duplicates count
    others : arrays, or sparse arrays that may be dense
    """
    factors = [_wide(value) for value in others]
    if not sp.issparse(first):
        return np.asarray(np.einsum(text, _wide(first), *factors, optimize=True))
    inputs, output = text.split("->")
    names = inputs.split(",")
    entries = sp.coo_array(first)
    at, size = dict(zip(names[0], entries.coords, strict=True)), dict(zip(names[0], first.shape, strict=True))
    terms = entries.data.astype(np.int64)
    for letters, factor in zip(names[1:], factors, strict=True):
        here = factor[tuple(at[letter] for letter in letters if letter in at)]
        terms = (terms[:, None] if here.ndim > terms.ndim else terms) * here
    kept = [letter for letter in output if letter in at]
    lengths = tuple(size[letter] for letter in kept)
    place = (np.ravel_multi_index(tuple(at[letter] for letter in kept), lengths) if kept
             else np.zeros(len(terms), np.int64))
    sums = np.zeros((math.prod(lengths), *terms.shape[1:]), np.int64)
    np.add.at(sums, place, terms)
    sums = sums.reshape((*lengths, *terms.shape[1:]))
    free = [axis for axis, letter in enumerate(output) if letter not in at]
    return np.moveaxis(sums, -1, free[0]) if free else sums


def elementwise_work(kernel: NamedKernel, name: str, operands: list[Any]) -> KernelWork:
    """A kernel of ELEMENTWISE: of one matrix, of two, or (add, sub) of more."""
    operation = ELEMENTWISE[kernel]

    def expected() -> sp.csr_array:
        second = operands[1] if len(operands) > 1 else None
        result = golden.elementwise(operation, operands[0], second, 0, False, np.int32)
        for other in operands[2:]:
            result = golden.elementwise(operation, result, other, 0, False, np.int32)
        return result

    def run(device: Device) -> sp.csr_array:
        if kernel is NamedKernel.TO_CSR:
            return device.to_csr(operands[0])
        return getattr(device, operation)(*operands)

    return KernelWork(kernel, name, dict(zip("abd", operands, strict=False)), run, expected)


def spgemm_work(kernel: NamedKernel, name: str, a: Any, b: Any, mask: Any = None) -> KernelWork:
    """A·B of two CSR matrices, in CSR; only where the mask has entries, if there is one."""
    def expected() -> sp.csr_array:
        product = expected_result(a, b, out="csr")
        return product if mask is None else golden.elementwise("mask", product, mask, 0, False, np.int32)

    return KernelWork(kernel, name, {"a": a, "b": b} | ({} if mask is None else {"d": mask}),
                      lambda device: device.spgemm(a, b, mask=mask), expected)


def sampled_work(name: str, s: Any, a: npt.NDArray, b: npt.NDArray) -> KernelWork:
    """S ∘ (A·B), S in CSR, A and B dense."""
    return KernelWork(NamedKernel.SDDMM, name, {"a": s, "b": a, "d": b},
                      lambda device: device.sddmm(s, a, b),
                      lambda: sp.csr_array((golden.sampled_matmul(s, a, b), s.indices, s.indptr),
                                           shape=s.shape))


def to_dense_work(kernel: NamedKernel, name: str, a: Any) -> KernelWork:
    return KernelWork(kernel, name, {"a": a}, lambda device: device.to_dense(a),
                      lambda: np.clip(a.astype(np.int64).toarray(), -128, 127).astype(np.int8))


def gemv_work(kernel: NamedKernel, name: str, a: Any, x: Any, b: Any, *, alpha: int, beta: int,
              transpose: bool) -> KernelWork:
    """alpha·A@x + beta·b, or of Aᵀ; `b` is None where beta is 0."""
    def expected() -> npt.NDArray:
        matrix = a.astype(np.int64).T if transpose else a.astype(np.int64)
        earlier = 0 if b is None else beta * b.astype(np.int64)
        return (alpha * (matrix @ _wide(x)) + earlier).astype(np.int32)

    return KernelWork(kernel, name, {"a": a, "b": x} | ({} if b is None else {"d": b}),
                      lambda device: device.gemv(a, x, alpha=alpha, beta=beta, b=b, transpose=transpose),
                      expected)


def bags_work(name: str, indices: npt.NDArray, offsets: npt.NDArray, table: npt.NDArray, *,
              reduce: str = "sum", weights: Any = None) -> KernelWork:
    """An embedding bag, as PyTorch has it."""
    operands = {"a": indices, "b": offsets, "d": table} | ({} if weights is None else {"weights": weights})

    def run(device: Device) -> npt.NDArray:
        return device.embedding_bag(indices, offsets, table, mode=reduce, per_sample_weights=weights)

    def expected() -> npt.NDArray:
        bounds = np.append(offsets, indices.size).astype(np.int64)
        lengths = bounds[1:] - bounds[:-1]
        rows = _wide(table)[indices]
        if weights is not None:
            rows *= _wide(weights)[:, None]
        sums = np.zeros((len(offsets), table.shape[1]), np.int64)
        np.add.at(sums, np.repeat(np.arange(len(offsets)), lengths), rows)
        if reduce == "sum":
            return sums.astype(np.int32)
        words = scale_words(1 / np.maximum(lengths, 1))
        return golden.apply_scale(sums.astype(np.int32), words[:, None])

    return KernelWork(NamedKernel.EMBEDDING_BAG, name, operands, run, expected)
