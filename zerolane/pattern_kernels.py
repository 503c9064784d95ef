"""Kernels that a benchmark makes of the pattern of one matrix."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from sim import golden

from .kernel_work import ELEMENTWISE, KernelWork, NamedKernel, sampled_work, spgemm_work
from .quantize import random_dense, random_values

__all__ = ["PATTERN_KERNELS", "pattern_kernel"]

PATTERN_KERNELS = (NamedKernel.SPGEMM, NamedKernel.SPGEMM_T, NamedKernel.SDDMM, NamedKernel.ADD,
                   NamedKernel.SUB, NamedKernel.MUL, NamedKernel.MASK)


def pattern_kernel(kernel: NamedKernel, name: str, pattern: Any, seed: int, length: int = 0) -> KernelWork:
    """A benchmark's kernel on random values in a pattern's places.

    SpGEMM: A·A, or A·Aᵀ where A is not square or the kernel says so. SDDMM: of rows of `length` dense values.
    Elementwise: A and A with its columns shifted by one, the last to the front, as the Sparse Abstract
    Machine's benchmarks have it.
    """
    rng = np.random.default_rng(seed)
    a = sp.csr_array(random_values(pattern, rng))
    a.sort_indices()
    if kernel in (NamedKernel.SPGEMM, NamedKernel.SPGEMM_T):
        itself = kernel is NamedKernel.SPGEMM and a.shape[0] == a.shape[1]
        return spgemm_work(kernel, name, a, a if itself else sp.csr_array(a.T))
    if kernel is NamedKernel.SDDMM:
        # Rows of the second one's transpose are what the array reads.
        x, y = random_dense((a.shape[0], length), rng), random_dense((a.shape[1], length), rng).T
        return sampled_work(name, a, x, y)
    operation = ELEMENTWISE[kernel]
    b = sp.csr_array((a.data, (a.indices + 1) % a.shape[1], a.indptr), shape=a.shape).copy()
    b.sort_indices()
    return KernelWork(kernel, name, {"a": a, "b": b}, lambda device: getattr(device, operation)(a, b),
                      lambda: golden.elementwise(operation, a, b, 0, False, np.int32))
