"""The array's RTL, by Verilator, with slow and stuttering memories, and products that need many tiles."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from tests.products import draw_matrix, draw_options, run_checked
from tests.simulators import need
from zerolane.device import Device

pytestmark = pytest.mark.verilator

PROBLEMS = [  # M, K, N, density of A, form of A, density of B, form of B
    (23, 60, 37, 0.2, "csr", 1.0, "dense"),
    (37, 60, 23, 1.0, "dense", 0.2, "csr"),
    (20, 90, 50, 0.1, "odd", 0.1, "odd"),
    (11, 50, 30, 1.0, "dense", 1.0, "dense"),
    (90, 70, 1, 0.2, "csr", 1.0, "dense"),
    (6, 130, 3, 0.4, "csr", 0.5, "csr"),
]


@pytest.fixture(scope="module")
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """One simulator process for all jobs of a preset and memory."""
    need("verilator")
    preset, settings = request.param
    with Device(preset, simulator="verilator", **settings) as opened:
        yield opened


def on(presets: list[str], *memories: dict[str, float]) -> pytest.MarkDecorator:
    cases = [pytest.param((preset, memory), id="-".join([preset, *(f"{k}={v}" for k, v in memory.items())]))
             for preset in presets for memory in memories]
    return pytest.mark.parametrize("device", cases, indirect=True, scope="module")


# ---- any memory ----------------------------------------------------------------------------------------


@on(["micro", "tiny", "small", "base"], {"gaps": 0.2}, {"gaps": 0.5, "latency_cycles": 2},
    {"latency_cycles": 2}, {"latency_cycles": 5}, {"latency_cycles": 100},
    {"gaps": 0.5, "latency_cycles": 100})
@pytest.mark.parametrize("number", range(len(PROBLEMS)))
def test_results_do_not_depend_on_the_memory(device: Device, number: int) -> None:
    rows, inner, columns, a_density, a_form, b_density, b_form = PROBLEMS[number]
    rng = np.random.default_rng(number)
    a = draw_matrix(rng, rows, inner, a_density, a_form)
    b = draw_matrix(rng, inner, columns, b_density, b_form)
    for bias, scale in ((None, None), ("row", "row"), ("column", None), ("column", "one")):
        run_checked(device, a, b, **draw_options(rng, rows, columns, bias, scale, False))


# ---- many tiles ----------------------------------------------------------------------------------------


@on(["micro", "tiny", "small", "base"], {"gaps": 0.3, "latency_cycles": 5})
@pytest.mark.parametrize("number", range(len(PROBLEMS)))
def test_every_plan_gives_the_same_result(device: Device, number: int) -> None:
    rows, inner, columns, a_density, a_form, b_density, b_form = PROBLEMS[number]
    rng = np.random.default_rng(number)
    a = draw_matrix(rng, rows, inner, a_density, a_form)
    b = draw_matrix(rng, inner, columns, b_density, b_form)
    for bias, scale in ((None, None), ("column", "one")):
        options = draw_options(rng, rows, columns, bias, scale, True)
        plans = device.plans(a, b, **options)
        assert len(plans) > 1
        for plan in plans:
            run_checked(device, a, b, plan=plan, **options)


LARGE = [("micro", 3, 1500, 5), ("micro", 40, 300, 20), ("micro", 5, 40, 300), ("micro", 1, 2000, 1),
         ("mini", 3, 5000, 5), ("mini", 4, 30, 300), ("mini", 1, 40_000, 1),
         ("tiny", 3, 1500, 5), ("tiny", 40, 300, 20), ("tiny", 5, 40, 300), ("tiny", 1, 2000, 1),
         ("small", 3, 5000, 7), ("small", 2, 500, 150), ("small", 4, 64, 1100), ("small", 9, 12000, 1)]


@pytest.mark.parametrize("device, shape", [((preset, {}), shape) for preset, *shape in LARGE],
                         indirect=["device"], scope="module", ids=str)
@pytest.mark.parametrize("form", ["csr", "dense"])
def test_products_larger_than_the_tile_memory_and_the_lanes(device: Device, shape: list[int],
                                                            form: str) -> None:
    """K is cut and sums go through memory, or N is cut, or both; bias and scale are applied once."""
    rows, inner, columns = shape
    rng = np.random.default_rng(inner)
    a = draw_matrix(rng, rows, inner, 0.1 if form == "csr" else 1, form)
    b = draw_matrix(rng, inner, columns, 0.9, "dense")
    for bias, scale in (("row", "row"), ("column", None)):
        options = draw_options(rng, rows, columns, bias, scale, True)
        run_checked(device, a, b, **options)
        plans = device.plans(a, b, **options)
        most = max(plans, key=lambda plan: (len(plan.k_cuts), plan.descriptors))
        run_checked(device, a, b, plan=most, **options)


@on(["micro", "tiny"], {"gaps": 0.8, "latency_cycles": 2}, {"gaps": 0.8, "latency_cycles": 5},
    {"latency_cycles": 100})
@pytest.mark.parametrize("rows, columns", [(1, 16), (2, 8), (4, 4), (1, 64)])
def test_sums_are_read_back_only_when_they_have_arrived(device: Device, rows: int, columns: int) -> None:
    """All sums fit in one burst, which the next tile, long there, asks for while it is being written."""
    rng = np.random.default_rng(0)
    a = draw_matrix(rng, rows, 41, 1, "dense")
    b = draw_matrix(rng, 41, columns, 0.9, "dense")
    for plan in device.plans(a, b):
        if not plan.whole:
            run_checked(device, a, b, plan=replace(plan, k_cuts=(0, 16, 18, 21, 22, 30, 41)))


@on(["micro", "tiny", "small"], {})
def test_k_may_be_cut_anywhere(device: Device) -> None:
    rng = np.random.default_rng(6)
    b = draw_matrix(rng, 50, 21, 0.3, "csr")
    for a_form in ("csr", "dense"):
        a = draw_matrix(rng, 12, 50, 0.3, a_form)
        for plan in device.plans(a, b, bias=5):
            run_checked(device, a, b, plan=replace(plan, k_cuts=(0, 1, 2, 5, 16, 31, 32, 49, 50)), bias=5)


@on(["micro", "tiny", "small"], {})
def test_wide_matrices_have_32_bit_indices(device: Device) -> None:
    rng = np.random.default_rng(7)
    for inner in (65_536, 65_537):
        a = sp.random_array((5, inner), density=0.002, rng=rng, dtype=np.int8, format="csr",
                            data_sampler=lambda size: rng.integers(-128, 128, size))
        b = sp.random_array((inner, 3), density=0.01, rng=rng, dtype=np.int8, format="csr",
                            data_sampler=lambda size: rng.integers(-128, 128, size))
        assert run_checked(device, a, rng.integers(-128, 128, inner).astype(np.int8)).any()
        run_checked(device, a, b)
