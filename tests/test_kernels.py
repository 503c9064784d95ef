"""gemv, residual and embedding bag against NumPy in int64, on the model of the device and on the array."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import golden
from tests.simulators import EVERY_SIMULATOR, need
from tests.test_lowering import device_of, draw, wide
from zerolane.device import Device
from zerolane.operands import OperandError
from zerolane.scaling import scale_words

# ---- gemv and residual -----------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_gemv_equals_numpys(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32), label="seed"))
    rows, columns = data.draw(st.tuples(st.integers(0, 20), st.integers(0, 20)))
    transpose = data.draw(st.booleans(), label="transpose")
    given, made = (rows, columns) if transpose else (columns, rows)
    a = draw(rng, (rows, columns), data.draw(st.sampled_from([0, 0.3, 1])),
             data.draw(st.sampled_from(["dense", "csr", "csc", "coo"])))
    x = draw(rng, (given,), 0.8, data.draw(st.sampled_from(["dense", "coo"])), 30)
    alpha, beta = data.draw(st.integers(-4, 4), label="alpha"), data.draw(st.integers(-4, 4), label="beta")
    b = rng.integers(-1000, 1000, made).astype(np.int32) if beta else None
    matrix = wide(a).T if transpose else wide(a)
    expected = alpha * matrix @ wide(x) + (beta * b.astype(np.int64) if beta else 0)
    device = device_of()
    result = device.gemv(a, x, alpha=alpha, beta=beta, b=b, transpose=transpose)
    np.testing.assert_array_equal(result, expected)
    assert result.shape == (made,)


@pytest.mark.parametrize("x_least, a_least", [(-127, -128), (-128, -127)])
def test_the_residual_negates_the_operand_that_can_be(x_least, a_least):
    a, x = np.full((3, 4), a_least, np.int8), np.full(4, x_least, np.int8)
    b = np.array([1, 2, 3], np.int32)
    for matrix in (a, sp.csr_array(a)):
        device = device_of()
        np.testing.assert_array_equal(device.residual(matrix, x, b), b - 4 * a_least * x_least)
        assert "is multiplied by -1" in device.explain()


@pytest.mark.parametrize("alpha", [-1, 2, -3, 8])
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_where_alpha_fits_nowhere_the_result_is_negated_or_x_a_sum_of_int8(alpha, transpose, sparse):
    rng = np.random.default_rng(abs(alpha))
    a, x = rng.integers(-128, 128, (5, 5)).astype(np.int8), rng.integers(-128, 128, 5).astype(np.int8)
    a[0, 0] = x[0] = -128
    b = rng.integers(-1000, 1000, 5).astype(np.int32)
    device = device_of()
    operands = (sp.csr_array(a), sp.coo_array(x)) if sparse else (a, x)
    result = device.gemv(*operands, alpha=alpha, beta=1, b=b, transpose=transpose)
    np.testing.assert_array_equal(result, alpha * (wide(a).T if transpose else wide(a)) @ wide(x) + b)
    assert ("the result is negated (5 values)" if alpha == -1
            else f"x is multiplied by {alpha}, as a sum of int8") in device.explain()


@pytest.mark.parametrize("arguments, words", [
    ({"alpha": 0.5}, "alpha is 0.5; it must be an integer"),
    ({"alpha": True}, "alpha is True"),
    ({"alpha": 9}, "alpha = 9: neither .* in a sum of 8 int8, .* no multiplier for int32 sums"),
    ({"alpha": -10**30}, "alpha = -10{30}: neither"),
    ({"beta": 2}, "beta = 2 needs b"),
    ({"b": np.ones(2, np.int32)}, "beta must not be 0"),
    ({"beta": 1, "b": np.ones(3, np.int32)}, r"shape \(3,\); it must be integers of shape \(2,\)"),
    ({"beta": 1, "b": np.ones(2)}, "b is float64"),
    ({"beta": 3, "b": np.full(2, 1 << 30)}, "beta·b reaches 3221225472"),
    ({"x": np.ones((2, 1), np.int8)}, "x must be an int8 vector"),
    ({"a": np.ones((2, 2))}, "a must be an int8 matrix"),
])
def test_what_gemv_cannot_do_exactly_is_refused(arguments, words):
    full = np.full((2, 2), -128, np.int8)
    with pytest.raises(OperandError, match=words):
        device_of().gemv(**({"a": full, "x": full[0]} | arguments))


# ---- embedding bag ---------------------------------------------------------------------------------------


def expected_bags(indices, bounds, table, weights, mode):
    """By rows, one after the other; means by the rounding that the hardware documents."""
    result = np.zeros((len(bounds) - 1, table.shape[1]), np.int64)
    for bag, (start, stop) in enumerate(pairwise(bounds)):
        for place in range(start, stop):
            result[bag] += int(weights[place]) * table[indices[place]].astype(np.int64)
    if mode == "sum":
        return result
    scales = [1 / max(1, length) for length in np.diff(bounds)]
    return golden.apply_scale(result.astype(np.int32), scale_words(scales)[:, None])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_bags_are_pytorchs(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32), label="seed"))
    lengths = data.draw(st.lists(st.integers(0, 12), max_size=8), label="lengths")
    table = draw(rng, (data.draw(st.integers(1, 30)), data.draw(st.integers(1, 20))), 1, "dense")
    bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    indices = rng.integers(0, len(table), bounds[-1])
    mode = data.draw(st.sampled_from(["sum", "weighted", "mean"]), label="mode")
    weights = rng.integers(-128, 128, len(indices)).astype(np.int8) if mode == "weighted" else None
    last = data.draw(st.booleans(), label="include_last_offset")
    result = device_of().embedding_bag(
        indices, bounds if last else bounds[:-1], table, mode="mean" if mode == "mean" else "sum",
        per_sample_weights=weights, include_last_offset=last) if last or lengths else None
    if result is None:
        return
    ones = np.ones(len(indices), np.int8) if weights is None else weights
    expected = expected_bags(indices, bounds, table, ones, "mean" if mode == "mean" else "sum")
    np.testing.assert_array_equal(result, expected)
    assert result.dtype == (np.int8 if mode == "mean" else np.int32)


def test_means_are_the_true_ones_rounded_to_the_nearest():
    rng = np.random.default_rng(5)
    table = rng.integers(-128, 128, (50, 16)).astype(np.int8)
    bounds = np.cumsum([0, 1, 2, 3, 5, 7, 11, 13, 0, 4])
    indices = rng.integers(0, 50, bounds[-1])
    means = device_of().embedding_bag(indices, bounds[:-1], table, mode="mean")
    exact = np.array([table[indices[a:b]].astype(float).mean(axis=0) if b > a else np.zeros(16)
                      for a, b in pairwise(bounds)])
    assert np.abs(means - exact).max() <= 0.5 + 2.0 ** -8
    np.testing.assert_array_equal(means[7], 0)


def test_bags_of_one_length_are_rows_of_indices():
    table = np.arange(12, dtype=np.int8).reshape(4, 3)
    indices = np.array([[0, 1], [3, 3]])
    np.testing.assert_array_equal(device_of().embedding_bag(indices, None, table),
                                  table.astype(int)[indices].sum(axis=1))


def test_indices_and_offsets_are_the_operand_as_they_are():
    indices, offsets = np.array([2, 0, 0, 1], np.int32), np.array([0, 3], np.int32)
    device = device_of()
    device.embedding_bag(indices, offsets, np.eye(3, dtype=np.int8))
    operand = device.last_lowering.left
    assert np.shares_memory(operand.indices, indices)
    np.testing.assert_array_equal(operand.indptr, [0, 3, 4])
    assert device.last_lowering.host == () and not device.last_job.plan.transposed


@pytest.mark.parametrize("arguments, words", [
    ({"mode": "max"}, "mode is 'max'.*no maximum"),
    ({"mode": "median"}, "mode is 'median'; it must be 'sum' or 'mean'$"),
    ({"table": np.ones((3, 2))}, "table must be a dense int8 matrix"),
    ({"table": sp.csr_array(np.ones((3, 2), np.int8))}, "table must be a dense int8 matrix"),
    ({"indices": np.array([0, 3])}, "indices hold 3; table has rows 0 to 2"),
    ({"indices": np.array([0, -1])}, "indices hold -1"),
    ({"indices": np.array([0.5, 1])}, "indices are float64"),
    ({"offsets": None}, "need offsets"),
    ({"offsets": np.array([1, 2])}, "offsets must rise from 0 to at most 2"),
    ({"offsets": np.array([0, 2, 1])}, "offsets must rise"),
    ({"offsets": np.array([0, 3])}, "offsets must rise from 0 to at most 2"),
    ({"offsets": np.array([[0]])}, "offsets have 2 dimensions"),
    ({"indices": np.array([[0, 1]])}, "offsets must be None"),
    ({"include_last_offset": True}, "last offset must be the number of indices, 2"),
    ({"mode": "mean", "per_sample_weights": np.ones(2, np.int8)}, "mode 'sum' only"),
    ({"per_sample_weights": np.ones(3, np.int8)}, r"must be int8 of shape \(2,\)"),
    ({"per_sample_weights": np.ones(2)}, "float64"),
])
def test_bags_that_pytorch_or_the_array_do_not_know_are_refused(arguments, words):
    usual = {"indices": np.array([0, 1]), "offsets": np.array([0, 1]), "table": np.ones((3, 2), np.int8)}
    with pytest.raises(OperandError, match=words):
        device_of().embedding_bag(**(usual | arguments))


@pytest.mark.parametrize("simulator", EVERY_SIMULATOR)
def test_bags_and_residuals_run_on_the_array_itself(simulator):
    need(simulator)
    rng = np.random.default_rng(12)
    memory_bytes = 1 << 16 if simulator == "amaranth" else None
    with Device("tiny", simulator=simulator, memory_bytes=memory_bytes, latency_cycles=8, gaps=0.2) as device:
        table, bounds = draw(rng, (9, 6), 1, "dense"), np.array([0, 0, 3, 4, 9])
        indices, weights = rng.integers(0, 9, 9), rng.integers(-128, 128, 9).astype(np.int8)
        for mode, given in (("sum", None), ("sum", weights), ("mean", None)):
            result = device.embedding_bag(indices, bounds[:-1], table, mode=mode, per_sample_weights=given)
            used = np.ones(9, np.int8) if given is None else given
            np.testing.assert_array_equal(result, expected_bags(indices, bounds, table, used, mode))
        a, x = draw(rng, (7, 10), 0.3, "csr"), draw(rng, (10,), 1, "dense", 100)
        b = rng.integers(-1000, 1000, 7).astype(np.int32)
        np.testing.assert_array_equal(device.residual(a, x, b), b - wide(a) @ wide(x))
