"""Preset base against the Sparse Abstract Machine's published cycles, on its own operands."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import scipy.sparse as sp

from tests.csr_results import assert_same_csr
from tests.simulators import need
from zerolane.device import Device

pytestmark = pytest.mark.verilator

CYCLES = {"spgemm": 4228, "add": 854, "multiply": 854, "spmv": 550, "sddmm": 105_448}
"""Of its best order, with one pipeline and an ideal memory."""


def operands() -> tuple[sp.csr_array, sp.csr_array]:
    """64×64, 410 nonzeros, all 2; and the same with its columns shifted by one, the last to the front."""
    places = np.random.default_rng(1).permutation(64 * 64)[:410]
    dense = np.zeros(64 * 64, np.int8)
    dense[places] = 2
    dense = dense.reshape(64, 64)
    return sp.csr_array(dense), sp.csr_array(np.roll(dense, 1, axis=1))


def sampled() -> tuple[np.ndarray, np.ndarray]:
    """64×256 and 256×64, of whose product the entries at the first operand's places are wanted."""
    rng = np.random.default_rng(2)
    x, y = rng.integers(-128, 128, (2, 64, 256), dtype=np.int8)
    return x, y.T


def sampled_product(places: sp.csr_array) -> sp.csr_array:
    """Entries in int32 at the places, times what stands there."""
    x, y = (value.astype(np.int32) for value in sampled())
    rows = np.repeat(np.arange(64), np.diff(places.indptr))
    return sp.csr_array((places.data * (x @ y)[rows, places.indices], places.indices, places.indptr),
                        shape=places.shape)


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    need("verilator")
    with Device("base", simulator="verilator") as device:
        yield device


@pytest.mark.parametrize("kernel, run, expected", [
    ("spgemm", lambda d, b, c: d.spgemm(b, sp.csr_array(c.T)), lambda b, c: sp.csr_array(b @ c.T)),
    ("add", lambda d, b, c: d.add(b, c), lambda b, c: sp.csr_array(b + c)),
    ("multiply", lambda d, b, c: d.multiply(b, c), lambda b, c: sp.csr_array(b.multiply(c))),
    ("spmv", lambda d, b, c: sp.csr_array(d.matmul(b, c.toarray()[0])[None]),
     lambda b, c: sp.csr_array((b @ c.toarray()[0])[None])),
    ("sddmm", lambda d, b, c: d.sddmm(b, *sampled()), lambda b, c: sampled_product(b)),
])
def test_base_needs_fewer_cycles_than_its_best_order(device: Device, kernel: str, run: Callable,
                                                     expected: Callable) -> None:
    b, c = operands()
    found = run(device, b, c)
    wanted = expected(*(value.astype(np.int32) for value in (b, c)))
    wanted.sort_indices()
    assert_same_csr(found, wanted)
    assert device.last_job is not None and device.last_job.cycles < CYCLES[kernel]
