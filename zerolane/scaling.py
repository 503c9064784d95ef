"""A real scale as the multiplier and the two shifts that the hardware applies (`hdl.layouts.ScaleWord`)."""

import math

import numpy as np
import numpy.typing as npt

__all__ = ["LARGEST_SCALE", "scale_value", "scale_word", "scale_words"]

_MULTIPLIER_BITS = 16
_SUM_BITS = 17   # magnitude bits of the scaler's 18-bit operand
_OUT_BITS = 7    # magnitude bits of int8
_LARGEST_PRE = 31 - _SUM_BITS
_LARGEST_POST = 63

LARGEST_SCALE = float((1 << _MULTIPLIER_BITS) - 1)
"""The largest scale a ScaleWord can hold; any sum but 0 is then out of int8's range anyway."""


def scale_word(scale: float) -> int:
    """The 32-bit ScaleWord nearest to `scale` (relative error at most 2**-16).

    The first shift is the smallest with which no sum whose result fits in int8 saturates at 18 bits.
    Raises ValueError for a negative, infinite, NaN or too large scale.
    """
    scale = float(scale)
    if not (math.isfinite(scale) and 0 <= scale <= LARGEST_SCALE):
        raise ValueError(f"scale {scale!r}: it must be from 0 to {LARGEST_SCALE:g}")
    if scale == 0:
        return 0
    fraction, exponent = math.frexp(scale)
    # scale * 2**(pre + 17) >= 2**7; a power of two needs one bit less than frexp's exponent says.
    pre = min(max(0, _OUT_BITS - _SUM_BITS - exponent + 1), _LARGEST_PRE)
    multiplier = round(fraction * (1 << _MULTIPLIER_BITS))
    post = _MULTIPLIER_BITS - exponent - pre
    if multiplier == 1 << _MULTIPLIER_BITS:
        multiplier, post = multiplier >> 1, post - 1
    if post > _LARGEST_POST:
        return 0  # no 32-bit sum reaches one half
    return multiplier | pre << 16 | post << 24


def scale_words(scales: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """`scale_word` of every element, in the shape of `scales`."""
    array = np.asarray(scales, np.float64)
    return np.array([scale_word(scale) for scale in array.ravel()], np.uint32).reshape(array.shape)


def scale_value(word: int) -> float:
    """The real number that a ScaleWord multiplies by, rounding left aside."""
    return math.ldexp(word & 0xFFFF, -(word >> 16 & 31) - (word >> 24 & 63))
