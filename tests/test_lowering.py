"""Device.einsum: recognition, lowering and refusals, against NumPy in int64, on the model of the device."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import zerolane
from hdl.config import PRESETS
from tests.device_model import DeviceModel
from tests.simulators import EVERY_SIMULATOR, need
from zerolane.device import Device
from zerolane.operands import OperandError
from zerolane.subscripts import EinsumError

PRODUCTS = [
    "ik,kj->ij", "ki,kj->ij", "ik,jk->ij", "ki,jk->ij", "ik,kj->ji", "ki,kj->ji", "ik,jk->ji", "ki,jk->ji",
    "ik,kj", "ij,j->i", "ij,i->j", "i,ij->j", "j,ij->i", "i,i->", "i,i", "ij,ij->", "ij,ji->", "i,j->ij",
    "i,j->ji",
]
TENSOR_PRODUCTS = ["ijk,k->ij", "ijk,j->ki", "ijk,i->jk", "ijk,kr->ijr", "ijk,jr->irk", "ir,ijk->rjk",
                   "jk,ijk->i", "ijk,ijk->", "ijk,jkl->il"]
MTTKRPS = ["ijk,jr,kr->ir", "ijk,kr,jr->ir", "ijk,rj,kr->ri", "ijk,ir,kr->jr", "ijk,ir,rj->kr",
           "jr,ijk,kr->ir"]


def device_of(preset="base"):
    return Device(preset, DeviceModel(PRESETS[preset]))


def draw(rng, shape, density, form, largest=128):
    dense = rng.integers(-largest, largest, shape).astype(np.int8)
    dense[rng.random(shape) >= density] = 0
    if form == "dense":
        return dense
    return sp.coo_array(dense) if dense.ndim != 2 else getattr(sp, f"{form}_array")(dense)


def wide(value):
    return (value.toarray() if sp.issparse(value) else value).astype(np.int64)


def check(device, text, *operands):
    """The result equals NumPy's, is of its shape, and what the host does is told."""
    kept = [value.copy() for value in operands]
    expected = np.einsum(text, *[wide(value) for value in operands])
    result = device.einsum(text, *operands)
    assert result.shape == expected.shape and result.dtype == np.int32
    np.testing.assert_array_equal(result, expected)
    for value, before in zip(operands, kept, strict=True):
        np.testing.assert_array_equal(wide(value), wide(before))
    return device.last_lowering


def operands_of(data, text):
    """Drawn operands for subscripts; sides from 0 on, forms of every kind."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32), label="seed"))
    inputs = text.partition("->")[0].split(",")
    side = st.integers(0, 3) if data.draw(st.booleans(), label="tiny") else st.integers(1, 20)
    sizes = {letter: data.draw(side, label=letter) for letter in sorted(set("".join(inputs)))}
    forms = st.sampled_from(["dense", "csr", "csc", "coo"])
    return [draw(rng, tuple(sizes[letter] for letter in subscript),
                 data.draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])), data.draw(forms)) for subscript in inputs]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_products_in_every_order_of_indices_equal_numpys(data):
    text = data.draw(st.sampled_from(PRODUCTS + TENSOR_PRODUCTS))
    check(device_of(data.draw(st.sampled_from(["tiny", "base"]))), text, *operands_of(data, text))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_mttkrp_equals_numpys(data):
    text = data.draw(st.sampled_from(MTTKRPS))
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32), label="seed"))
    sizes = {letter: data.draw(st.integers(1, 7), label=letter) for letter in "ijkr"}
    largest = data.draw(st.sampled_from([2, 128]))  # products of the factors within int8, and beyond
    shapes = [tuple(sizes[letter] for letter in part) for part in text.partition("->")[0].split(",")]
    operands = [draw(rng, shape, 0.4, data.draw(st.sampled_from(["coo", "dense"])) if len(shape) == 3 else
                     "dense", largest) for shape in shapes]
    check(device_of(), text, *operands)


def test_sums_of_mttkrp_wrap_as_int32_does():
    tensor, factor = np.full((1, 40, 40), 127, np.int8), np.full((40, 1), 127, np.int8)
    expected = 127 ** 3 * 1600
    result = device_of().einsum("ijk,jr,kr->ir", tensor, factor, factor)
    assert expected > 1 << 31
    assert result[0, 0] == (expected + (1 << 31)) % (1 << 32) - (1 << 31)


@pytest.mark.parametrize("text, forms", [
    ("ik,kj->ij", ("csr", "dense")), ("ik,kj->ij", ("csr", "csr")), ("ki,kj->ij", ("csc", "dense")),
    ("ki,kj->ij", ("csr", "dense")), ("ik,kj->ij", ("csc", "dense")), ("ik,kj->ij", ("csc", "csc")),
    ("ik,jk->ji", ("csr", "csc")), ("ij,i->j", ("csr", "dense")), ("ij,j->i", ("csc", "dense"))])
def test_csr_and_csc_are_taken_as_they_lie_whichever_order_is_asked_for(text, forms):
    rng = np.random.default_rng(1)
    shapes = [(12, 12)[:len(part)] for part in text.partition("->")[0].split(",")]
    operands = [draw(rng, shape, 0.3, form) for shape, form in zip(shapes, forms, strict=True)]
    device = device_of()
    lowering = check(device, text, *operands)
    given = [value for value in operands if sp.issparse(value)]
    used = [value for value in (lowering.left, lowering.right) if sp.issparse(value)]
    for value in used:
        assert value.format == "csr" and any(np.shares_memory(value.data, other.data) for other in given)
    assert not any("sorted" in step for step in lowering.host)
    assert not device.last_job.plan.transposed


@pytest.mark.parametrize("text, forms, words", [
    ("ik,kj->ij", ("csr", "csc"), "operand . is csc?r?, needed|is csc: "),
    ("ik,kj->ij", ("coo", "dense"), "operand 0 is coo.*entries sorted into rows"),
    ("ijk,k->ij", ("coo", "dense"), "operand 0 is matricized to 25 x 5"),
    ("ik,kj->ji", ("csr", "dense"), "the result is transposed"),
    ("ijk,jr,kr->ir", ("coo", "dense", "dense"), "two digits")])
def test_what_the_host_must_convert_is_told(text, forms, words):
    rng = np.random.default_rng(2)
    operands = [draw(rng, (5,) * len(part), 0.9, form)
                for part, form in zip(text.partition("->")[0].split(","), forms, strict=True)]
    device = device_of()
    check(device, text, *operands)
    told = device.explain()
    assert "on the host" in told and "predicted" in told
    assert re.search(words, told), told


@pytest.mark.parametrize("text, shapes, words", [
    ("ij,ij->ij", [(2, 3), (2, 3)], "'i' is in both operands and in the result.*elementwise"),
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 3)], "'b' is in both.*one product for each 'b'"),
    ("ij,k->ik", [(2, 3), (4,)], r"'j' is summed in 'ij' alone.*ij,j->i"),
    ("ii,ij->j", [(2, 2), (2, 3)], "'ii' repeats a letter"),
    ("ij,jk->iik", [(2, 3), (3, 4)], "result 'iik' repeats"),
    ("ij,jk->iz", [(2, 3), (3, 4)], "'z' of the result is in no operand"),
    ("ij,jk->ik", [(2, 3), (4, 4)], "'j' is 3 before operand 1 and 4 there"),
    ("ij,jk->ik", [(2, 3)], "subscripts for 2 operands, 1 given"),
    ("ijk,jk->ik", [(2, 3), (3, 4)], "operand 0 has 2 dimensions; 'ijk' names 3"),
    ("...j,jk->...k", [(2, 3), (3, 4)], "write a letter for every dimension"),
    ("i1,1j->ij", [(2, 3), (3, 4)], "'1' is no letter"),
    ("ij->ji", [(2, 3)], "1 operands; the array multiplies two"),
    ("ij,ik,kj->ij", [(2, 3), (2, 4), (4, 3)], "SDDMM.*with a sparse 'ij'"),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)], "int32 sums between them"),
    ("ijk,jr,kr->rr", [(2, 3, 4), (3, 2), (4, 2)], "result 'rr' repeats"),
])
def test_what_cannot_be_done_is_refused_with_the_reason(text, shapes, words):
    with pytest.raises(EinsumError, match=words):
        device_of().einsum(text, *[np.ones(shape, np.int8) for shape in shapes])


@pytest.mark.parametrize("operand, words", [
    ([[1]], "is a list"), (np.ones((2, 2)), "float64.*must be int8"),
    (sp.csr_array(np.ones((2, 2))), "float64.*must be int8"),
    (np.ma.masked_array(np.ones((2, 2), np.int8)), "MaskedArray")])
def test_operands_that_are_not_int8_arrays_are_refused_by_number(operand, words):
    with pytest.raises(OperandError, match=f"operand 1 of einsum 'ij,jk->ik'.*{words}"):
        device_of().einsum("ij,jk->ik", np.ones((2, 2), np.int8), operand)


def test_a_sparse_factor_of_mttkrp_is_refused():
    ones = np.ones((2, 2), np.int8)
    with pytest.raises(EinsumError, match="the factor 'kr' is sparse"):
        device_of().einsum("ijk,jr,kr->ir", np.ones((2, 2, 2), np.int8), ones, sp.csr_array(ones))


def test_coordinates_outside_a_tensor_are_refused():
    broken = sp.coo_array((np.ones(1, np.int8), ([0], [1], [1])), shape=(2, 2, 2))
    broken.coords = (np.array([0]), np.array([7]), np.array([1]))
    with pytest.raises(OperandError, match="operand 0 has coordinates outside its shape"):
        device_of().einsum("ijk,k->ij", broken, np.ones(2, np.int8))


# ---- shapes on which other projects tripped ------------------------------------------------------------


def trap(name, rng):
    """Two sparse operands (M, K) and (K, N)."""
    if name == "all-zero product":
        a, b = np.zeros((6, 8), np.int8), np.zeros((8, 5), np.int8)
        a[:, :4], b[4:] = 3, 3
    elif name == "rectangular":
        a, b = draw(rng, (3, 40), 0.3, "dense"), draw(rng, (40, 17), 0.3, "dense")
    elif name == "one dense row":
        a, b = draw(rng, (12, 30), 0.03, "dense"), draw(rng, (30, 12), 0.2, "dense")
        a[5] = 77
    elif name == "odd N":
        a, b = draw(rng, (9, 11), 0.4, "dense"), draw(rng, (11, 13), 0.4, "dense")
    elif name == "one element":
        a, b = np.full((1, 1), -128, np.int8), np.full((1, 1), -128, np.int8)
    else:
        a, b = draw(rng, (10, 9), 0.5, "dense"), draw(rng, (9, 10), 0.5, "dense")
        a[:3] = a[-2:] = 0
        b[:2] = b[-3:] = 0
    return sp.csr_array(a), sp.csr_array(b)


TRAPS = ["all-zero product", "rectangular", "one dense row", "odd N", "one element",
         "empty rows at both ends"]


@pytest.mark.parametrize("name", TRAPS)
@pytest.mark.parametrize("text", ["ik,kj->ij", "ik,kj->ji"])
def test_the_traps_of_other_projects_are_none(name, text):
    a, b = trap(name, np.random.default_rng(7))
    for left in (a, a.tocsc(), a.toarray()):
        for right in (b, b.tocsc(), b.toarray()):
            check(device_of("tiny"), text, left, right)


@pytest.mark.parametrize("simulator", EVERY_SIMULATOR)
def test_kernels_run_on_the_array_itself(simulator):
    need(simulator)
    rng = np.random.default_rng(11)
    memory_bytes = 1 << 16 if simulator == "amaranth" else None
    with Device("tiny", simulator=simulator, memory_bytes=memory_bytes, latency_cycles=8, gaps=0.2) as device:
        tensor = draw(rng, (4, 5, 3), 0.3, "coo")
        check(device, "ijk,k->ij", tensor, draw(rng, (3,), 1, "dense"))
        check(device, "ijk,jr->irk", tensor, draw(rng, (5, 3), 1, "dense"))
        check(device, "ijk,jr,kr->ir", tensor, draw(rng, (5, 3), 1, "dense"), draw(rng, (3, 3), 1, "dense"))
        check(device, "ij,i->j", draw(rng, (9, 7), 0.3, "csr"), draw(rng, (9,), 0.4, "coo"))
        check(device, "i,i->", draw(rng, (30,), 0.5, "coo"), draw(rng, (30,), 1, "dense"))
        for name in TRAPS:
            check(device, "ik,kj->ij", *trap(name, rng))


@pytest.mark.parametrize("text", ["ik,kj->ij", "ki,jk->ij", "ik,kj->ji", "ki,jk->ji"])
@pytest.mark.parametrize("forms", [("csr", "csr"), ("csc", "csr"), ("dense", "coo"), ("csr", "dense")])
def test_a_matrix_product_can_be_csr(text, forms):
    rng = np.random.default_rng(3)
    operands = [draw(rng, (9, 9), 0.2, form) for form in forms]
    device = device_of("large")
    result = device.einsum(text, *operands, out="csr")
    assert result.format == "csr" and result.has_sorted_indices
    np.testing.assert_array_equal(result.toarray(), np.einsum(text, *[wide(value) for value in operands]))


@pytest.mark.parametrize("text, shapes, words", [
    ("ij,j->i", [(3, 3), (3,)], "only a product of two whose result is a matrix"),
    ("ijk,k->ij", [(3, 3, 3), (3,)], "takes its rows from one operand"),
    ("ijk,jr,kr->ir", [(3, 3, 3), (3, 3), (3, 3)], "only a product of two")])
def test_what_cannot_be_csr_is_refused(text, shapes, words):
    with pytest.raises(EinsumError, match=words):
        device_of("large").einsum(text, *[np.ones(shape, np.int8) for shape in shapes], out="csr")


def test_the_front_door_takes_a_device():
    a, b = np.full((2, 3), 5, np.int8), np.full((3, 4), 7, np.int8)
    device = device_of()
    np.testing.assert_array_equal(zerolane.einsum("ik,kj->ij", a, b, device=device), np.full((2, 4), 105))
    assert device.last_job is not None
    assert zerolane.lower("ik,kj->ij", a, b).kernel == "GEMM"
