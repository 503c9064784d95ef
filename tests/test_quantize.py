"""zerolane.quantize: scales, dropped values, patterns."""

import numpy as np
import pytest
import scipy.sparse as sp

from zerolane.quantize import as_int8, quantize, random_values


def test_int8_values_are_used_as_they_are() -> None:
    matrix = sp.csr_array(np.array([[-128, 0], [3, 127]]))
    result = as_int8(matrix, 0)
    assert result.scales is None and result.matrix.dtype == np.int8
    np.testing.assert_array_equal(result.matrix.toarray(), [[-128, 0], [3, 127]])


def test_integers_beyond_int8_are_quantized() -> None:
    assert as_int8(np.array([[128, 1]]), 0).scales is not None


@pytest.mark.parametrize("seed", range(3))
def test_each_row_has_its_own_scale_and_the_error_is_half_a_step(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dense = rng.standard_normal((6, 9)) * 10.0 ** rng.integers(-3, 4, (6, 1))
    for operand in (dense, sp.csr_array(dense)):
        result = quantize(operand, 0)
        int8 = result.matrix.toarray() if sp.issparse(result.matrix) else result.matrix
        assert np.abs(int8).max(axis=1).tolist() == [127] * 6
        error = np.abs(int8 * result.scales[:, None] - dense)
        assert (error <= result.scales[:, None] / 2 + 1e-12).all()


def test_columns_can_have_the_scales() -> None:
    dense = np.array([[1.0, 100.0], [0.5, -51.0]])
    np.testing.assert_array_equal(quantize(dense, 1).matrix, [[127, 127], [64, -65]])
    np.testing.assert_array_equal(quantize(sp.csr_array(dense), 1).matrix.toarray(), [[127, 127], [64, -65]])


def test_what_rounds_to_zero_is_dropped_and_counted_but_a_stored_zero_stays() -> None:
    matrix = sp.csr_array((np.array([1.0, 0.001, 0.0]), [0, 1, 2], [0, 3]), shape=(1, 3))
    result = quantize(matrix, 0)
    assert result.dropped == 1
    np.testing.assert_array_equal(result.matrix.indices, [0, 2])
    np.testing.assert_array_equal(result.matrix.data, [127, 0])


def test_patterns_get_nonzero_values_and_keep_stored_zeros() -> None:
    matrix = sp.csr_array((np.array([1.0] * 500 + [0.0]), np.arange(501), [0, 501]), shape=(1, 501))
    first, second = (random_values(matrix, np.random.default_rng(1)) for _ in range(2))
    assert (first.data[:500] != 0).all() and first.data[500] == 0
    np.testing.assert_array_equal(first.data, second.data)


def test_a_vector_is_quantized_with_one_scale_a_row() -> None:
    assert quantize(np.array([0.5, -1.0]), 0).matrix.shape == (2,)
