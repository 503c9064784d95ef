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
    led_lit : level at which the board's LED shines; None: it has none

    Members
    -------
    clock : the oscillator
    rx, tx : the serial line, seen from the board
    led : shines while the array's interrupt waits for the host, if there is an LED
    """

    def __init__(self, config: Config, memory_bytes: int, baud: int, generator: ClockGenerator,
                 led_lit: int | None):
        self._generator, self._led_lit = generator, led_lit
        self._system = BoardSystem(config, memory_bytes, generator.output_hz, baud)
        led = {} if led_lit is None else {"led": Out(1)}
        super().__init__({"clock": In(1), "rx": In(1), "tx": Out(1), **led})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains += ClockDomain("sync")
        locked = self._generator.add(m, self.clock)
        m.submodules.reset = ResetSynchronizer(~locked)
        m.submodules.system = system = self._system
        m.d.comb += [system.rx.eq(self.rx), self.tx.eq(system.tx)]
        if self._led_lit is not None:
            m.d.comb += self.led.eq(system.irq if self._led_lit else ~system.irq)
        return m
