"""Kernels that a benchmark makes of the pattern of one matrix."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy.sparse as sp

from .kernel_work import (
    KernelWork,
    NamedKernel,
    bags_work,
    einsum_work,
    elementwise_work,
    gemv_work,
    sampled_work,
    spgemm_work,
)
from .quantize import random_dense, random_values

__all__ = ["LENGTHS", "PATTERN_KERNELS", "folded", "pattern_kernel"]

LENGTHS = MappingProxyType({NamedKernel.SDDMM: 128, NamedKernel.EMBEDDING_BAG: 32, NamedKernel.TTM: 32,
                            NamedKernel.MTTKRP: 32})
"""Kernels with dense operands, and how many values their rows have if nothing is said."""

_VECTOR_DENSITY = 0.25


def pattern_kernel(kernel: NamedKernel, name: str, pattern: Any, seed: int, length: int = 0) -> KernelWork:
    """A benchmark's kernel on random values in a pattern's places; everything else it needs is random, too.

    - SpGEMM: A·A, or A·Aᵀ where A is not square or the kernel says so.
    - SDDMM: of rows of `length` dense values.
    - Elementwise: A and A with its columns shifted by one, the last to the front, as the Sparse Abstract
      Machine's benchmarks have it.
    - SpMSpV: a vector of which a quarter is not zero. gemv: A·x. residual: b - A·x.
    - Embedding bag: the columns of a row are a bag; a table of rows of `length`.
    - TTV, TTM, MTTKRP: the tensor of `folded`; i is summed, of MTTKRP kept; factors of `length` columns.
    """
    rng = np.random.default_rng(seed)
    a = sp.csr_array(random_values(pattern, rng))
    a.sort_indices()
    return _MAKERS[kernel](kernel, name, a, rng, length)


def folded(a: sp.csr_array) -> sp.coo_array:
    """The tensor (M, J, K) whose entry (i, n // K, n % K) is A[i, n]; K is the least power of two with
    K·K >= N, J the fewest that hold all columns."""
    entries = sp.coo_array(a)
    inner = 1 << ((max(1, a.shape[1]) - 1).bit_length() + 1) // 2
    outer = max(1, -(-a.shape[1] // inner))
    row, column = entries.coords
    return sp.coo_array((entries.data, (row, column // inner, column % inner)),
                        shape=(a.shape[0], outer, inner))


def _spgemm(kernel: NamedKernel, name: str, a: Any, rng: np.random.Generator, length: int) -> KernelWork:
    itself = kernel is NamedKernel.SPGEMM and a.shape[0] == a.shape[1]
    return spgemm_work(kernel, name, a, a if itself else sp.csr_array(a.T))


def _sampled(kernel: NamedKernel, name: str, a: Any, rng: np.random.Generator, length: int) -> KernelWork:
    # Rows of the second one's transpose are what the array reads.
    x, y = random_dense((a.shape[0], length), rng), random_dense((a.shape[1], length), rng).T
    return sampled_work(name, a, x, y)


def _elementwise(kernel: NamedKernel, name: str, a: Any, rng: np.random.Generator,
                 length: int) -> KernelWork:
    b = sp.csr_array((a.data, (a.indices + 1) % a.shape[1], a.indptr), shape=a.shape).copy()
    b.sort_indices()
    return elementwise_work(kernel, name, [a, b])


def _spmspv(kernel: NamedKernel, name: str, a: Any, rng: np.random.Generator, length: int) -> KernelWork:
    x = random_dense((a.shape[1],), rng)
    x[rng.random(x.shape) >= _VECTOR_DENSITY] = 0
    return einsum_work(kernel, name, "ij,j->i", {"a": a, "b": sp.coo_array(x)})


def _gemv(kernel: NamedKernel, name: str, a: Any, rng: np.random.Generator, length: int) -> KernelWork:
    x, residual = random_dense((a.shape[1],), rng), kernel is NamedKernel.RESIDUAL
    b = rng.integers(-1000, 1000, a.shape[0]).astype(np.int32) if residual else None
    return gemv_work(kernel, name, a, x, b, alpha=-1 if residual else 1, beta=int(residual), transpose=False)


def _bags(kernel: NamedKernel, name: str, a: Any, rng: np.random.Generator, length: int) -> KernelWork:
    return bags_work(name, a.indices, a.indptr[:-1], random_dense((a.shape[1], length), rng))


def _tensor(kernel: NamedKernel, name: str, a: Any, rng: np.random.Generator, length: int) -> KernelWork:
    tensor = folded(a)
    rows, outer, inner = tensor.shape
    if kernel is NamedKernel.TTV:
        return einsum_work(kernel, name, "ijk,i->jk", {"a": tensor, "b": random_dense((rows,), rng)})
    if kernel is NamedKernel.TTM:
        return einsum_work(kernel, name, "ijk,ir->rjk", {"a": tensor, "b": random_dense((rows, length), rng)})
    factors = {"b": random_dense((outer, length), rng), "d": random_dense((inner, length), rng)}
    return einsum_work(kernel, name, "ijk,jr,kr->ir", {"a": tensor} | factors)


_MAKERS: dict[NamedKernel, Callable[..., KernelWork]] = {
    NamedKernel.SPGEMM: _spgemm, NamedKernel.SPGEMM_T: _spgemm, NamedKernel.SDDMM: _sampled,
    NamedKernel.ADD: _elementwise, NamedKernel.SUB: _elementwise, NamedKernel.MUL: _elementwise,
    NamedKernel.MASK: _elementwise, NamedKernel.SPMSPV: _spmspv, NamedKernel.GEMV: _gemv,
    NamedKernel.RESIDUAL: _gemv, NamedKernel.EMBEDDING_BAG: _bags, NamedKernel.TTV: _tensor,
    NamedKernel.TTM: _tensor, NamedKernel.MTTKRP: _tensor,
}

PATTERN_KERNELS = tuple(_MAKERS)
