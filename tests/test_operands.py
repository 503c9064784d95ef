"""What is accepted as an operand, what is refused and with which words."""

import numpy as np
import pytest
import scipy.sparse as sp

from zerolane.operands import OperandError, as_operand
from zerolane.problem import as_problem


def csr(values=(1, 2, 3), indices=(0, 1, 2), indptr=(0, 1, 3)):
    arrays = np.array(values, np.int8), np.array(indices, np.int32), np.array(indptr, np.int32)
    return sp.csr_array(arrays, shape=(2, 3))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64, np.float32, float, np.complex64])
@pytest.mark.parametrize("make", [np.ones, lambda shape, dtype: sp.csr_array(np.ones(shape, dtype))])
def test_other_types_than_int8_are_refused_by_name(dtype, make):
    with pytest.raises(OperandError, match=f"left holds values of type {np.dtype(dtype)}"):
        as_operand(make((2, 2), dtype=dtype), "left")


@pytest.mark.parametrize("value, words", [
    ([[1, 2]], "is a list"), (np.ones((1, 1, 1), np.int8), "3 dimensions"),
    (np.array(1, np.int8), "0 dimensions"),
    (np.ma.masked_array(np.ones(3, np.int8)), "MaskedArray"), (None, "NoneType")])
def test_other_things_than_matrices_are_refused(value, words):
    with pytest.raises(OperandError, match=words):
        as_operand(value, "a")


@pytest.mark.parametrize("indptr, indices", [
    ((0, 2, 1), (0, 1, 2)), ((0, 1, 3), (0, 1, 3)), ((0, 1, 3), (0, 1, -1))])
def test_broken_csr_is_refused(indptr, indices):
    broken = csr()
    broken.indptr, broken.indices = np.array(indptr, np.int32), np.array(indices, np.int32)
    with pytest.raises(OperandError, match="not a valid csr matrix"):
        as_operand(broken, "a")


def test_broken_coordinates_are_refused():
    broken = sp.coo_array((np.ones(1, np.int8), (np.array([0]), np.array([1]))), shape=(2, 2))
    broken.coords = (np.array([0]), np.array([9]))
    with pytest.raises(OperandError, match="outside"):
        as_operand(broken, "a")


def test_csr_is_taken_as_it_is():
    odd = csr(values=(1, 0, 100, 100), indices=(2, 1, 0, 0), indptr=(0, 2, 4))
    operand = as_operand(odd, "a")
    assert operand.stored.data is odd.data or np.shares_memory(operand.stored.data, odd.data)
    np.testing.assert_array_equal(operand.stored.indices, [2, 1, 0, 0])
    np.testing.assert_array_equal(operand.column_nonzeros, [2, 0, 1])
    np.testing.assert_array_equal(operand.row_nonzeros, [1, 2])
    assert operand.entries == 4 and operand.nonzeros == 3


def test_64_bit_indices_are_narrowed():
    wide = csr()
    wide.indptr, wide.indices = wide.indptr.astype(np.int64), wide.indices.astype(np.int64)
    operand = as_operand(wide, "a")
    assert operand.stored.indptr.dtype == operand.stored.indices.dtype == np.int32


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_every_format_becomes_the_same_matrix(form, kind):
    dense = np.array([[1, 0, -3], [0, 5, 0], [7, 0, 0]], np.int8)
    value = getattr(sp, f"{form}_{kind}")(dense)
    np.testing.assert_array_equal(as_operand(value, "a").dense.stored, dense)


def test_duplicates_of_other_formats_are_added_without_wrapping():
    twice = sp.coo_array((np.array([100, 27], np.int8), ([0, 0], [1, 1])), shape=(1, 2))
    assert as_operand(twice, "a").stored.data.tolist() == [127]
    twice.data = np.array([100, 100], np.int8)
    with pytest.raises(OperandError, match="add up to 200"):
        as_operand(twice, "a")


def test_duplicates_beyond_int8_become_layers():
    operand = as_operand(csr(values=(127, 127, 127, -5), indices=(0, 0, 0, 1), indptr=(0, 3, 4)), "b")
    total = sum(layer.stored.astype(np.int64).toarray() for layer in operand.layers)
    assert len(operand.layers) == 3
    np.testing.assert_array_equal(total, [[381, 0, 0], [0, -5, 0]])


@pytest.mark.parametrize("bias", [np.zeros(3, np.int32), np.zeros((4, 1), np.int32), 5, np.int32(5),
                                  np.zeros((1, 3), np.int32)])
def test_biases_that_broadcast_are_taken(bias):
    problem = as_problem(np.ones((4, 2), np.int8), np.ones((2, 3), np.int8), bias=bias)
    assert (problem.row_bias is None) != (problem.column_bias is None)


@pytest.mark.parametrize("options, words", [
    ({"bias": np.zeros(4, np.int32)}, r"bias has shape \(4,\)"),
    ({"bias": np.zeros((4, 3), np.int32)}, "bias has shape"),
    ({"bias": np.zeros(3)}, "float64"), ({"bias": np.zeros(3, np.int64)}, "int64"),
    ({"bias": 1 << 31}, "int32"), ({"bias": True}, "bool"), ({"scale": 0.5}, "only applied to int8"),
    ({"out_dtype": np.int8}, "needs a scale"),
    ({"out_dtype": np.int16}, "int16"), ({"scale": -1, "out_dtype": np.int8}, "scale -1"),
    ({"scale": np.ones((2, 2)), "out_dtype": np.int8}, "scale has shape"),
    ({"scale": "big", "out_dtype": np.int8}, "big")])
def test_other_options_are_refused(options, words):
    with pytest.raises(OperandError, match=words):
        as_problem(np.ones((4, 2), np.int8), np.ones((2, 3), np.int8), **options)


def test_shapes_that_do_not_multiply_are_named():
    with pytest.raises(OperandError, match=r"\(4, 2\) and \(3,\) do not multiply"):
        as_problem(np.ones((4, 2), np.int8), np.ones(3, np.int8))
