"""Sparse and dense matrix products on generated processing-element arrays."""

from hdl.config import PRESETS, Config, ConfigError
from zerolane.device import Device, DeviceError

__all__ = ["PRESETS", "Config", "ConfigError", "Device", "DeviceError"]
