"""A real scale as the multiplier and the shift that the hardware applies (`hdl.layouts.ScaleWord`)."""

import math

import numpy as np
import numpy.typing as npt

from hdl.layouts import SCALE_LEFT_BITS, SCALE_RIGHT_BITS

__all__ = ["LARGEST_SCALE", "scale_value", "scale_word", "scale_words"]

_MULTIPLIER_BITS = 16
_LARGEST_SHIFT = 31
_UNIT_BITS = SCALE_RIGHT_BITS - SCALE_LEFT_BITS

LARGEST_SCALE = float((1 << _MULTIPLIER_BITS) - 1)
"""The largest scale that is accepted. From 256 on any sum but 0 is out of int8's range anyway."""


def scale_word(scale: float) -> int:
    """The 32-bit ScaleWord nearest to `scale` (relative error at most 2**-16 from 2**-24 to 256).

    Below that the error stays under 2**-40, half of what moves the largest sum by 2**-8. The shift is the one
    with which no sum whose result fits in int8 saturates at 18 bits.
    Raises ValueError for a negative, infinite, NaN or too large scale.
    """
    scale = float(scale)
    if not (math.isfinite(scale) and 0 <= scale <= LARGEST_SCALE):
        raise ValueError(f"scale {scale!r}: it must be from 0 to {LARGEST_SCALE:g}")
    if scale == 0:
        return 0
    _, exponent = math.frexp(scale)
    shift = min(_MULTIPLIER_BITS - _UNIT_BITS - exponent, _LARGEST_SHIFT)
    if shift < 0:
        return (1 << _MULTIPLIER_BITS) - 1
    multiplier = round(math.ldexp(scale, shift + _UNIT_BITS))
    if multiplier == 1 << _MULTIPLIER_BITS:
        if shift == 0:
            return multiplier - 1
        multiplier, shift = multiplier >> 1, shift - 1
    return multiplier | shift << _MULTIPLIER_BITS


def scale_words(scales: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """`scale_word` of every element, in the shape of `scales`."""
    array = np.asarray(scales, np.float64)
    return np.array([scale_word(scale) for scale in array.ravel()], np.uint32).reshape(array.shape)


def scale_value(word: int) -> float:
    """The real number that a ScaleWord multiplies by, rounding left aside."""
    return math.ldexp(word & 0xFFFF, -(word >> _MULTIPLIER_BITS & _LARGEST_SHIFT) - _UNIT_BITS)
