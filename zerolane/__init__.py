"""Sparse and dense matrix products on generated processing-element arrays."""

from typing import Any

from hdl.config import PRESETS, Config, ConfigError
from zerolane.device import Device, DeviceError
from zerolane.lowering import lower

__all__ = ["PRESETS", "Config", "ConfigError", "Device", "DeviceError", "einsum", "lower"]


def einsum(subscripts: str, *operands: Any, device: Device | None = None, out: str = "dense") -> Any:
    """`Device.einsum` on `device`, or on a device of preset `base` that lives for this call only."""
    if device is not None:
        return device.einsum(subscripts, *operands, out=out)
    with Device() as own:
        return own.einsum(subscripts, *operands, out=out)
