"""Payloads of streams: bits of a port to plain Python and back."""

from typing import Any

from amaranth.hdl import Const, Shape
from amaranth.lib import data, enum

__all__ = ["as_python", "from_bits", "to_bits"]


def as_python(value: Any) -> Any:
    """A constant of some layout as plain dicts, lists and ints."""
    if isinstance(value, data.Const):
        layout = value.shape()
        if isinstance(layout, data.ArrayLayout):
            return [as_python(value[index]) for index in range(layout.length)]
        return {name: as_python(value[name]) for name, _ in layout}
    if isinstance(value, enum.Enum):
        return value
    return value


def to_bits(shape: Any, item: Any) -> int:
    """A payload as its port carries it: dicts for structs (fields may be missing: zero), lists for arrays."""
    width = Shape.cast(shape).width
    value = Const.cast(shape.const(item)).value if hasattr(shape, "const") else item
    return value & ((1 << width) - 1)


def from_bits(shape: Any, bits: int) -> Any:
    """A port's bits as `as_python` gives them."""
    if hasattr(shape, "from_bits"):
        return as_python(shape.from_bits(bits))
    width, signed = Shape.cast(shape).width, Shape.cast(shape).signed
    return bits - (1 << width) if signed and bits >> (width - 1) else bits
