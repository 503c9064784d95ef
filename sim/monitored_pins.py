"""The array on its flat pins with a monitor on both buses."""

from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hdl.config import Config
from hdl.pins import FlatTop

from .axi_monitor import RULES, AxiMonitor, watch

__all__ = ["MonitoredPins"]

_MEMORY = {"aw": ("id", "addr", "len"), "ar": ("id", "addr", "len"), "w": ("data", "strb", "last"),
           "r": ("id", "data", "resp", "last"), "b": ("id", "resp")}
_CONTROL = {"aw": ("addr",), "ar": ("addr",), "w": ("data", "strb"), "r": ("data", "resp"), "b": ("resp",)}
"""Pins of a channel in the order of its layout's fields."""


class MonitoredPins(wiring.Component):
    """hdl.pins.FlatTop with one pin more.

    Throughput, Latency, Backpressure, Order: those of FlatTop.

    Parameters
    ----------
    config : Config

    Members
    -------
    m_axi_*, s_axil_*, irq : see FlatTop
    violation : see AxiMonitor
    """

    def __init__(self, config: Config):
        self._config, self._pins = config, FlatTop(config)
        super().__init__({**dict(self._pins.signature.members.items()), "violation": Out(len(RULES))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.pins = pins = self._pins
        for name, member in pins.signature.members.items():
            inner, outer = getattr(pins, name), getattr(self, name)
            m.d.comb += outer.eq(inner) if member.flow == Out else inner.eq(outer)
        m.submodules.monitor = monitor = AxiMonitor(self._config)
        watch(m, monitor, self._bus("m_axi_", _MEMORY), self._bus("s_axil_", _CONTROL), self.irq)
        m.d.comb += self.violation.eq(monitor.violation)
        return m

    def _bus(self, prefix: str, channels: dict[str, tuple[str, ...]]) -> SimpleNamespace:
        def pin(channel: str, name: str) -> Any:
            return getattr(self, f"{prefix}{channel}{name}")

        return SimpleNamespace(**{channel: SimpleNamespace(
            valid=pin(channel, "valid"), ready=pin(channel, "ready"),
            payload=Cat(pin(channel, name) for name in names)) for channel, names in channels.items()})
