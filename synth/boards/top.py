"""The top of a board: clock generator, reset, system."""

from typing import Any

from amaranth.hdl import ClockDomain, Module
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In, Out

from hdl.config import Config

from .clocks import ClockGenerator
from .system import BoardSystem

__all__ = ["BoardTop"]


class BoardTop(wiring.Component):
    """A `BoardSystem` on its part's clock generator, in reset until that is locked.

    Throughput, Latency, Backpressure, Order: those of `BoardSystem`.

    Parameters
    ----------
    config, memory_bytes, baud : see `BoardSystem`
    generator : ClockGenerator

    Members
    -------
    clock : the oscillator
    rx, tx : the serial line, seen from the board
    """

    def __init__(self, config: Config, memory_bytes: int, baud: int, generator: ClockGenerator):
        self._generator = generator
        self._system = BoardSystem(config, memory_bytes, generator.output_hz, baud)
        super().__init__({"clock": In(1), "rx": In(1), "tx": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains += ClockDomain("sync")
        locked = self._generator.add(m, self.clock)
        m.submodules.reset = ResetSynchronizer(~locked)
        m.submodules.system = system = self._system
        m.d.comb += [system.rx.eq(self.rx), self.tx.eq(system.tx)]
        return m
