"""The golden model against plain Python integers."""

import numpy as np
import pytest
import scipy.sparse as sp

from sim import golden


def by_hand(a, b, bias, word, relu):
    rows, inner = a.shape
    result = np.zeros((rows, b.shape[1]), object)
    for i in range(rows):
        for j in range(b.shape[1]):
            total = sum(int(a[i, k]) * int(b[k, j]) for k in range(inner)) + (int(bias[i, j]))
            total = (total + (1 << 31)) % (1 << 32) - (1 << 31)
            total = max(total, 0) if relu else total
            if word is not None:
                multiplier, shift = word & 0xFFFF, word >> 16 & 31
                y = min(max(((total << 17) + (1 << shift >> 1)) >> shift, -(1 << 17)), (1 << 17) - 1)
                total = min(max((y * multiplier + (1 << 24)) >> 25, -128), 127)
            result[i, j] = total
    return result


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("word", [None, 40000 | 18 << 16, 65535, 33000 | 31 << 16])
def test_it_does_what_plain_integers_do(form, relu, word):
    rng = np.random.default_rng(5)
    a, b = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((5, 7), (7, 6)))
    bias = rng.integers(-(1 << 31), 1 << 31, (5, 6)).astype(np.int32)
    bias[0] = 0
    result = golden.matmul(form(a), form(b), bias, word, relu, np.int32 if word is None else np.int8)
    np.testing.assert_array_equal(result, by_hand(a, b, bias, word, relu))


def test_column_blocks_do_not_show(monkeypatch):
    rng = np.random.default_rng(6)
    a, b = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((5, 7), (7, 26)))
    bias, words = np.arange(26)[None, :], np.arange(40000, 40005)[:, None] | 12 << 16
    whole = golden.matmul(a, b, bias, words, True, np.int8)
    monkeypatch.setattr(golden, "_BLOCK_VALUES", 30)
    np.testing.assert_array_equal(golden.matmul(a, b, bias, words, True, np.int8), whole)
    sparse = golden.matmul(sp.csr_array(a), sp.csr_array(b), bias, words, True, np.int8)
    np.testing.assert_array_equal(sparse, whole)


def test_wrong_shapes_and_a_missing_scale_are_refused():
    ones = np.ones((2, 3), np.int8)
    with pytest.raises(ValueError, match="do not multiply"):
        golden.matmul(ones, ones)
    with pytest.raises(ValueError, match="scale_words"):
        golden.matmul(ones, ones.T, out_dtype=np.int8)


def test_duplicates_that_cancel_each_other_are_nonzeros_that_meet() -> None:
    twice = sp.csr_array((np.array([5, -5], np.int8), [0, 0], [0, 2]), shape=(1, 1))
    result = golden.sparse_matmul(twice, sp.csr_array(np.array([[3]], np.int8)), 0, False, np.int32, False)
    assert result.nnz == 1 and result.data.tolist() == [0]
