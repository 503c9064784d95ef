"""zerolane.sddmm: what is taken, how it is planned and laid out, against NumPy on the model of the device."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from hdl.config import PRESETS
from sim import golden
from tests.device_model import DeviceModel
from tests.test_lowering import draw, wide
from zerolane.device import Device, DeviceError
from zerolane.lowering import lower
from zerolane.operands import OperandError
from zerolane.runtime import LayoutError
from zerolane.sddmm import as_sddmm, sddmm_bound, sddmm_plans
from zerolane.subscripts import EinsumError

TINY = replace(PRESETS["tiny"], name="tiny_sddmm", sddmm=True)


def device_of(config=PRESETS["large"], memory_bytes=1 << 22):
    return Device(config, DeviceModel(config, memory_bytes))


def operands_of(rng, rows, columns, inner, density=0.3, form="csr"):
    return (draw(rng, (rows, columns), density, form), draw(rng, (rows, inner), 1, "dense"),
            draw(rng, (inner, columns), 1, "dense"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_samples_are_numpys_whatever_the_tiles_are(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32), label="seed"))
    rows, columns, inner = data.draw(st.tuples(st.integers(0, 40), st.integers(0, 300), st.integers(0, 300)))
    form = data.draw(st.sampled_from(["csr", "csc", "coo"]))
    s, a, b = operands_of(rng, rows, columns, inner, data.draw(st.sampled_from([0, 0.02, 0.5])), form)
    if data.draw(st.booleans(), label="pattern"):
        s = s.astype(bool)
    device = device_of(TINY)
    result = device.sddmm(s, a, b)
    np.testing.assert_array_equal(result.toarray(), (wide(s) * (wide(a) @ wide(b))).astype(np.int32))
    assert result.format == "csr" and result.dtype == np.int32 and result.nnz == s.nnz


def test_rows_are_taken_as_they_lie():
    """Unsorted columns, duplicates, stored zeros, an empty row."""
    s = sp.csr_array((np.array([5, -7, 0, 100, 100, 1], np.int8), np.array([3, 0, 1, 2, 2, 0], np.int32),
                      np.array([0, 3, 3, 6], np.int32)), shape=(3, 4))
    rng = np.random.default_rng(1)
    a, b = draw(rng, (3, 6), 1, "dense"), draw(rng, (6, 4), 1, "dense")
    result = device_of().sddmm(s, a, b)
    np.testing.assert_array_equal(result.indices, s.indices)
    np.testing.assert_array_equal(result.data, golden.sampled_matmul(s, a, b))


@pytest.mark.parametrize("text", ["ij,ik,kj->ij", "ij,ik,jk->ij", "ij,ki,kj->ij", "ik,kj,ij->ij",
                                  "kj,ij,ik->ij", "ji,ik,kj->ji", "mn,mr,nr->mn"])
def test_einsum_knows_it_in_any_order_of_letters_and_operands(text):
    rng = np.random.default_rng(2)
    output = text.partition("->")[2]
    sizes = dict(zip(output, (6, 9), strict=True))
    operands = []
    for letters in text.partition("->")[0].split(","):
        shape = tuple(sizes.get(letter, 5) for letter in letters)
        operands.append(draw(rng, shape, *((0.4, "csr") if set(letters) == set(output) else (1, "dense"))))
    device = device_of()
    result = device.einsum(text, *operands)
    np.testing.assert_array_equal(result.toarray(), np.einsum(text, *map(wide, operands)))
    assert device.last_lowering.kernel == "SDDMM" and sp.issparse(result)
    assert device.explain().startswith("SDDMM: a product of")


@pytest.mark.parametrize("text, forms, words", [
    ("ij,ik,kj->ji", ("csr", "dense", "dense"), "write 'ij' and transpose the result"),
    ("ij,ik,kj->ij", ("csr", "csr", "dense"), "a factor of what is sampled is sparse"),
    ("ij,ik,kj->ij", ("dense", "dense", "dense"), "SDDMM, as 'ij,ik,kj->ij' with a sparse 'ij'"),
    ("ij,ik,kj->ik", ("csr", "dense", "dense"), "other products of three"),
    ("ij,ik,ik->ij", ("csr", "dense", "dense"), "other products of three")])
def test_what_einsum_cannot_sample_is_refused(text, forms, words):
    rng = np.random.default_rng(3)
    operands = [draw(rng, (4, 4), 0.5, form) for form in forms]
    with pytest.raises(EinsumError, match=words):
        lower(text, *operands)


def test_what_the_host_does_is_told():
    rng = np.random.default_rng(4)
    s, a, b = operands_of(rng, 5, 6, 7, form="coo")
    told = lower("ij,ik,kj->ij", s, a.copy("F"), b).explain()
    assert "S is converted to CSR" in told and "A is copied row by row (35" in told
    assert "B is transposed (42 values)" in told
    # Rows of both lie as the array wants them.
    assert lower("ij,ik,jk->ij", s.tocsr(), a, np.ascontiguousarray(b.T)).host == ()


@pytest.mark.parametrize("change, words", [
    ({"s": np.ones((2, 3), np.int8)}, "s is dense; it must be sparse"),
    ({"a": sp.csr_array(np.ones((2, 4), np.int8))}, "a is sparse; sddmm samples a product of two dense"),
    ({"a": np.ones((2, 4))}, "a holds values of type float64"),
    ({"s": sp.csr_array(np.ones((2, 3)))}, "s holds values of type float64"),
    ({"b": np.ones(4, np.int8)}, "b has 1 dimensions"),
    ({"b": np.ones((5, 3), np.int8)}, r"must be \(M, N\), \(M, K\) and \(K, N\)"),
    ({"a": [[1]]}, "a is a list")])
def test_operands_that_do_not_suit_are_refused(change, words):
    operands = {"s": sp.csr_array(np.ones((2, 3), np.int8)), "a": np.ones((2, 4), np.int8),
                "b": np.ones((4, 3), np.int8)}
    with pytest.raises(OperandError, match=words):
        device_of().sddmm(**(operands | change))


def test_a_configuration_without_it_refuses():
    s, a, b = operands_of(np.random.default_rng(5), 4, 4, 4)
    with pytest.raises(OperandError, match="configuration 'tiny' has sddmm = False"):
        device_of(PRESETS["tiny"]).sddmm(s, a, b)


def test_too_little_memory_is_told():
    s, a, b = operands_of(np.random.default_rng(6), 100, 100, 100)
    with pytest.raises(LayoutError, match=r"the job needs .* bytes of memory; the device has 16,384"):
        device_of(memory_bytes=1 << 14).sddmm(s, a, b)


def test_a_plan_is_used_and_one_of_another_shape_or_array_is_refused():
    s, a, b = operands_of(np.random.default_rng(7), 20, 30, 64)
    device = device_of()
    plans = sddmm_plans(as_sddmm(s, a, b), device.config)
    for plan in plans:
        np.testing.assert_array_equal(device.sddmm(s, a, b, plan=plan).data, golden.sampled_matmul(s, a, b))
        assert device.last_job.plan == plan
    with pytest.raises(OperandError, match="the plan was made for M, N, K"):
        device.sddmm(s, a[:, :60], b[:60], plan=plans[0])
    with pytest.raises(DeviceError, match="the plan was made for configuration 'large'"):
        device_of(TINY).sddmm(s, a, b, plan=plans[0])


def test_every_pe_has_the_same_work_where_the_length_allows_it():
    config = PRESETS["large"]
    for words in (16, 32, 64):
        s, a, b = operands_of(np.random.default_rng(8), 30, 40, words * config.lanes)
        best = sddmm_plans(as_sddmm(s, a, b), config)[0]
        assert best.pk_log2 == 0 and best.slice_words == words // config.pes


def test_the_bound_counts_each_operand_once_and_a_pass_more_where_b_does_not_fit():
    config = PRESETS["large"]
    rng = np.random.default_rng(9)
    s, a, b = operands_of(rng, 50, 60, 32)
    ones = sp.csr_array((np.ones(s.nnz, np.int8), s.indices, s.indptr), shape=s.shape)
    for places, value_bytes in ((s, 1), (ones, 0)):
        bound = sddmm_bound(config, as_sddmm(places, a, b))
        assert bound.token_cycles == s.nnz * 32 / 128 and bound.passes == 1
        moved = 4 * 51 + (2 + value_bytes) * s.nnz + 50 * 32 + 60 * 32 + 4 * s.nnz
        assert bound.memory_cycles == moved / 16
    wide_s = sp.csr_array((np.ones(3, np.int8), [0, 4000, 8191], [0, 2, 3]), shape=(2, 8192))
    problem = as_sddmm(wide_s, np.ones((2, 64), np.int8), np.ones((64, 8192), np.int8))
    bound = sddmm_bound(config, problem)
    assert bound.passes == 2
    once = 4 * 3 + 2 * 3 + 2 * 64 + 8192 * 64 + 4 * 3
    assert bound.memory_cycles == (once + 4 * 3 + 2 * 3 + 8 * 3) / 16
