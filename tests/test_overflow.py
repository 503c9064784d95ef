"""STATUS.overflow on the RTL: set by exactly those sums that leave int32, wherever they are added."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from tests.products import run_checked
from tests.simulators import need
from zerolane.device import Device

pytestmark = pytest.mark.verilator

WHOLE = 1 << 17   # so many products of -128 and -128 are 2 ** 31


@pytest.fixture(scope="module", params=["tiny", pytest.param("small", marks=pytest.mark.slow)])
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """One simulator process for all jobs of a preset."""
    need("verilator")
    with Device(request.param, simulator="verilator") as opened:
        yield opened


def overflows(device: Device) -> bool:
    assert device.last_job is not None
    return device.last_job.overflow


@pytest.mark.parametrize("entries, factor, wraps", [
    (WHOLE - 1, -128, False), (WHOLE, -128, True), (WHOLE + 1, 127, False)])
def test_an_accumulator_that_wraps_is_told(device: Device, entries: int, factor: int, wraps: bool) -> None:
    # One column so many times, in one row: one accumulator, and no other sum.
    row = sp.csr_array((np.full(entries, -128, np.int8), np.zeros(entries, np.int32), [0, entries]),
                       shape=(1, 2))
    b = np.array([[factor, 0, 0, 1], [0, 0, 0, 0]], np.int8)
    plan = next(plan for plan in device.plans(row, b) if not plan.transposed)
    run_checked(device, row, b, plan=plan)
    assert overflows(device) == wraps
    run_checked(device, b.T, b)
    assert not overflows(device), "the flag belongs to the job"


@pytest.mark.parametrize("bias, wraps", [((1 << 31) - 1 - 6, False), ((1 << 31) - 1 - 5, True),
                                         (-1 << 31, False)])
@pytest.mark.parametrize("side", ["row", "column"])
def test_a_bias_that_makes_a_sum_wrap_is_told(device: Device, side: str, bias: int, wraps: bool) -> None:
    a, b = np.ones((5, 6), np.int8), np.ones((6, 7), np.int8)
    shape = (5, 1) if side == "row" else (1, 7)
    run_checked(device, a, b, bias=np.full(shape, bias, np.int32))
    assert overflows(device) == wraps


def test_a_negative_bias_wraps_downwards(device: Device) -> None:
    a, b = np.full((3, 4), -1, np.int8), np.ones((4, 5), np.int8)
    for bias, wraps in ((-(1 << 31) + 4, False), (-(1 << 31) + 3, True)):
        run_checked(device, a, b, bias=np.full((3, 1), bias, np.int32))
        assert overflows(device) == wraps


@pytest.mark.parametrize("wraps", [False, True])
def test_partial_sums_through_memory_that_wrap_are_told(device: Device, wraps: bool) -> None:
    half = WHOLE // 2 + (0 if wraps else -1)
    entries = np.repeat([0, 1], half).astype(np.int32)
    row = sp.csr_array((np.full(2 * half, -128, np.int8), entries, [0, 2 * half]), shape=(1, 2))
    b = np.full((2, 3), -128, np.int8)
    plan = next(plan for plan in device.plans(row, b) if not plan.transposed)
    run_checked(device, row, b, plan=replace(plan, k_cuts=(0, 1, 2)))
    assert overflows(device) == wraps


@pytest.mark.parametrize("wraps", [False, True])
def test_partial_rows_of_two_elements_that_wrap_are_told(device: Device, wraps: bool) -> None:
    half = WHOLE // 2 + (0 if wraps else -1)
    entries = np.repeat([0, 1], half).astype(np.int32)   # rows 0 and 1 of B belong to two PEs
    row = sp.csr_array((np.full(2 * half, -128, np.int8), entries, [0, 2 * half]), shape=(1, 2))
    b = np.full((2, 3), -128, np.int8)
    plan = next(plan for plan in device.plans(row, b) if not plan.transposed and plan.pk_log2 > 0)
    run_checked(device, row, b, plan=plan)
    assert overflows(device) == wraps


def test_the_explanation_warns(device: Device) -> None:
    a, b = np.ones((2, 2), np.int8), np.ones((2, 2), np.int8)
    for bias, wraps in ((0, False), ((1 << 31) - 1, True)):
        run_checked(device, a, b, bias=np.int32(bias))
        assert device.last_job is not None
        assert ("wrapped" in device.explain()) == device.last_job.as_record()["overflow"] == wraps
