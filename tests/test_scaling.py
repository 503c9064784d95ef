"""Scales as multiplier and shift, against real arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.golden import apply_scale
from zerolane.scaling import LARGEST_SCALE, scale_value, scale_word, scale_words


@given(st.floats(1e-12, LARGEST_SCALE))
def test_a_word_is_within_half_a_step_of_its_scale(scale):
    error = abs(scale_value(scale_word(scale)) - scale)
    if scale < 255.99:
        assert error <= max(2**-16 * scale, 2**-40)
    else:
        assert scale_value(scale_word(scale)) > 255.99   # any sum but 0 is out of range


@given(st.floats(1e-9, LARGEST_SCALE), st.integers(-(1 << 31), (1 << 31) - 1))
def test_a_scaled_sum_is_the_real_product_rounded_or_its_neighbour(scale, total):
    result = int(apply_scale(np.array([total], np.int32), scale_word(scale))[0])
    exact = Fraction(scale) * total
    nearest = min(max(math.floor(exact + Fraction(1, 2)), -128), 127)
    assert abs(result - nearest) <= 1


def test_powers_of_two_are_exact_while_one_shift_is_enough():
    sums = np.arange(-3000, 3000, dtype=np.int32)
    for exponent in range(11):  # below, the first shift rounds too
        expected = np.clip(np.floor(sums / 2**exponent + 0.5), -128, 127)
        np.testing.assert_array_equal(apply_scale(sums, scale_word(2.0**-exponent)), expected)


@pytest.mark.parametrize("scale", [-0.5, math.nan, math.inf, 1e6])
def test_scales_that_cannot_be_applied_are_refused(scale):
    with pytest.raises(ValueError, match="scale"):
        scale_word(scale)


def test_zero_and_shapes():
    assert scale_word(0.0) == 0
    assert scale_words([[0.5], [0.25]]).shape == (2, 1) and scale_words(0.5).shape == ()
