"""The array's RTL, by Verilator, against the golden model: presets, kernels, and drawn products."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hdl.config import PRESETS
from tests.products import draw_matrix, draw_options, run_checked
from tests.reduced import REDUCED
from tests.simulators import on
from zerolane.device import Device
from zerolane.plan import Plan

pytestmark = pytest.mark.verilator

ALL_PRESETS = ["micro", "mini", "tiny", "small", "lean64", "base",
               *(pytest.param(name, marks=pytest.mark.slow) for name in ("lean128", "large"))]
LEAN = replace(REDUCED, name="reduced_lean", pes=4, compressed_b=True, table_rows=32, index_rows=64,
               lean_drain=True, far_registers=True)
"""With packed tiles, which no preset of that kind has."""

DRAWN = settings(derandomize=True, database=None, deadline=None,
                 suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


# ---- every kernel --------------------------------------------------------------------------------------

SHAPES = {"spmm": (19, 45, 37), "spmv": (70, 45, 1), "gemm": (13, 30, 41)}
FORMS = [("spmm", "csr", "dense"), ("spmm", "dense", "csr"), ("spmm", "csr", "csr"), ("spmm", "odd", "odd"),
         ("spmv", "csr", "dense"), ("spmv", "dense", "csr"), ("gemm", "dense", "dense")]
FINISHES = [(None, None, False), ("row", None, True), ("column", None, False), ("one", "one", False),
            ("column", "one", True), ("row", "row", True), (None, "row", False)]


@on(*ALL_PRESETS)
@pytest.mark.parametrize("kernel, a_form, b_form", FORMS)
def test_every_kernel_with_every_finish(device: Device, kernel: str, a_form: str, b_form: str) -> None:
    rng = np.random.default_rng(len(kernel + a_form + b_form))
    rows, inner, columns = SHAPES[kernel]
    a = draw_matrix(rng, rows, inner, 1 if kernel == "gemm" else 0.2, a_form)
    b = draw_matrix(rng, inner, columns, 0.2 if b_form != "dense" else 0.95, b_form)
    for bias, scale, relu in FINISHES:
        run_checked(device, a, b, **draw_options(rng, rows, columns, bias, scale, relu))


@on(*ALL_PRESETS)
def test_vectors_on_either_side(device: Device) -> None:
    rng = np.random.default_rng(5)
    matrix = draw_matrix(rng, 40, 23, 0.3, "csr")
    left, right = (rng.integers(-128, 128, size).astype(np.int8) for size in matrix.shape)
    assert run_checked(device, matrix, right).shape == (40,)
    assert run_checked(device, left, matrix).shape == (23,)
    assert run_checked(device, matrix.toarray(), right, bias=np.arange(40, dtype=np.int32)).shape == (40,)
    assert run_checked(device, left, left).shape == ()
    assert run_checked(device, sp.coo_array(left), left).shape == ()


# ---- drawn ---------------------------------------------------------------------------------------------

SIDE = st.one_of(st.integers(0, 3), st.integers(1, 20), st.integers(1, 60))
FORM = st.sampled_from(["dense", "csr", "odd"])
DENSITY = st.sampled_from([0.0, 0.03, 0.2, 0.6, 1.0])


@on("micro", "mini", "tiny", "small")
@settings(DRAWN, max_examples=150)
@given(st.data())
def test_drawn_products_equal_the_golden_model(device: Device, data: st.DataObject) -> None:
    rows, inner, columns = data.draw(st.tuples(SIDE, SIDE, SIDE), label="shape")
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32), label="seed"))
    a = draw_matrix(rng, rows, inner, data.draw(DENSITY), data.draw(FORM, label="a"))
    b = draw_matrix(rng, inner, columns, data.draw(DENSITY), data.draw(FORM, label="b"))
    bias = data.draw(st.sampled_from([None, "one", "row", "column"]), label="bias")
    scale = data.draw(st.sampled_from([None, "one", "row"]), label="scale")
    run_checked(device, a, b, **draw_options(rng, rows, columns, bias, scale, data.draw(st.booleans())))


# ---- by hand -------------------------------------------------------------------------------------------


def _rows_of(lengths: list[int], columns: int) -> sp.csr_array:
    """CSR with so many nonzeros at the beginning of each row."""
    a = np.zeros((len(lengths), columns), np.int8)
    for row, length in enumerate(lengths):
        a[row, :length] = np.arange(1, length + 1)
    return sp.csr_array(a)


@on("micro", "tiny", "small", "base")
@pytest.mark.parametrize("lengths", [
    [0], [1], [37], [0] * 9, [0, 0, 0, 37, 0, 0, 0], [37] + [0] * 40, [0] * 40 + [37], [1, 0] * 20,
    [0, 37] * 5, [1] * 33], ids=str)
@pytest.mark.parametrize("columns", [1, 3, 29])
def test_empty_and_full_rows_in_any_order(device: Device, lengths: list[int], columns: int) -> None:
    b = np.random.default_rng(len(lengths)).integers(-128, 128, (37, columns)).astype(np.int8)
    run_checked(device, _rows_of(lengths, 37), b, bias=-3)


@on("micro", "mini", "tiny", "small", "base")
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 50, 1), (1, 50, 40), (50, 1, 1), (50, 1, 40), (1, 1, 40),
                                   (17, 50, 1), (0, 5, 4), (5, 0, 4), (5, 4, 0), (0, 0, 0), (1, 0, 1)],
                         ids=str)
def test_sides_of_one_and_none(device: Device, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    rows, inner, columns = shape
    for a_form, b_form in (("csr", "dense"), ("dense", "csr"), ("dense", "dense"), ("csr", "csr")):
        a, b = draw_matrix(rng, rows, inner, 0.7, a_form), draw_matrix(rng, inner, columns, 0.7, b_form)
        run_checked(device, a, b, **draw_options(rng, rows, columns, "column", "one", False))


@on("micro", "tiny", "small")
@pytest.mark.parametrize("form", ["csr", "dense"])
def test_extreme_values_and_wrapping_sums(device: Device, form: str) -> None:
    """-128 times -128 everywhere, and biases at the ends of int32 that make the sums wrap."""
    a = np.full((5, 70), -128, np.int8)
    b = np.full((70, 9), -128, np.int8)
    b[:, ::2] = 127
    bias = np.array([[-(1 << 31)], [(1 << 31) - 1], [0], [-1], [1 << 30]], np.int32)
    left = sp.csr_array(a) if form == "csr" else a
    for relu in (False, True):
        run_checked(device, left, b, bias=bias, relu=relu)
        run_checked(device, left, b, bias=bias, relu=relu, scale=1e-7, out_dtype=np.int8)
        run_checked(device, left, b, relu=relu, scale=np.array([[1e-9], [1e-3], [1.0], [1e-5], [0.5]]),
                    out_dtype=np.int8)


@on("micro", "tiny", "small")
def test_explicit_zeros_only(device: Device) -> None:
    a = _rows_of([5, 0, 37, 1], 37)
    a.data[:] = 0
    b = np.ones((37, 11), np.int8)
    assert not run_checked(device, a, b).any()
    assert not run_checked(device, b.T.copy(), sp.csr_array(a.T)).any()


@on("micro", "tiny", "small", "base")
def test_the_same_job_twice_takes_the_same_cycles(device: Device) -> None:
    rng = np.random.default_rng(8)
    a, b = draw_matrix(rng, 20, 40, 0.3, "csr"), draw_matrix(rng, 40, 33, 0.9, "dense")
    other = draw_matrix(rng, 7, 9, 0.5, "csr"), draw_matrix(rng, 9, 5, 0.5, "csr")
    jobs = []
    for _ in range(2):
        run_checked(device, a, b, bias=1)
        jobs.append(device.last_job.as_record())
        run_checked(device, *other)
    assert jobs[0] == jobs[1]


@on("micro", "tiny", "small", "base")
def test_counters_account_for_every_cycle_and_word(device: Device) -> None:
    """Also after a job that was much longer."""
    run_checked(device, np.ones((60, 50), np.int8), np.ones((50, 40), np.int8))
    a = _rows_of([2, 0, 3], 10)
    a.data[0] = 0
    run_checked(device, a, np.ones((10, 37), np.int8), plan=_first_dense(device, a, 37))
    job = device.last_job
    assert job.mac_words == 4 * -(-37 // device.config.lanes)
    assert sum(job.counters.values()) == job.cycles
    assert job.counters["busy"] <= job.mac_words
    assert job.write_beats * device.config.port_bytes >= 3 * 37 * 4


@on(LEAN)
@pytest.mark.parametrize("a_form, b_form", [("csr", "csr"), ("odd", "odd"), ("dense", "csr")])
@pytest.mark.parametrize("columns", [1, 13, 30])
def test_packed_and_dense_rows_leave_while_nothing_is_added(device: Device, a_form: str, b_form: str,
                                                            columns: int) -> None:
    """By every plan that holds B: rows of one word to four in a PE, whole rows and parts of their sums."""
    rng = np.random.default_rng(columns)
    a = draw_matrix(rng, 40, 31, 1 if a_form == "dense" else 0.4, a_form)
    b = draw_matrix(rng, 31, columns, 0.3, b_form)
    plans = device.plans(a, b, keep_order=True)
    assert {plan.packed for plan in plans} == {False, True}
    for plan in plans:
        run_checked(device, a, b, plan, **draw_options(rng, 40, columns, "column", None, True))


def _first_dense(device: Device, a: sp.csr_array, columns: int) -> Plan:
    """The best plan that streams A against a dense tile."""
    plans = device.plans(a, np.ones((a.shape[1], columns), np.int8))
    return next(plan for plan in plans if not plan.packed and not plan.transposed)


def test_every_preset_is_covered() -> None:
    names = {getattr(preset, "values", (preset,))[0] for preset in ALL_PRESETS}
    assert names == set(PRESETS)
