"""A whole system for a board: array, memory on the chip, and a serial line for the host; connections only."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from hdl.config import Config
from hdl.top import Top

from .bridge import Bridge
from .memory import OnChipMemory
from .uart import UartReceiver, UartTransmitter, bit_cycles

__all__ = ["GAP_SECONDS", "BoardSystem"]

GAP_SECONDS = 0.02
"""Between two bytes of a command at most; a host that repeats one waits longer."""


class BoardSystem(wiring.Component):
    """What is on a board behind its clock and its pins.

    Throughput, Latency, Backpressure, Order: those of the array and of the bridge.

    Parameters
    ----------
    config : Config
    memory_bytes : a power of two
    clock_hz : of the clock that it gets
    baud : of the line

    Members
    -------
    rx, tx : the serial line, seen from the board
    irq : the array's interrupt, for an LED

    Raises ValueError for a clock that does not give the line its rate within MAX_BAUD_ERROR.
    """

    def __init__(self, config: Config, memory_bytes: int, clock_hz: int, baud: int):
        self._config, self._memory_bytes = config, memory_bytes
        self._clock_hz, self._bit_cycles = clock_hz, bit_cycles(clock_hz, baud)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "irq": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.array = array = Top(self._config)
        m.submodules.memory = memory = OnChipMemory(self._config, self._memory_bytes)
        m.submodules.receiver = receiver = UartReceiver(self._bit_cycles)
        m.submodules.transmitter = transmitter = UartTransmitter(self._bit_cycles)
        m.submodules.bridge = bridge = Bridge(self._clock_hz, self._memory_bytes,
                                              round(self._clock_hz * GAP_SECONDS),
                                              halved=self._config.serial)
        connect(m, array.memory, memory.memory)
        connect(m, bridge.control, array.control)
        connect(m, bridge.o_host, memory.i_host)
        connect(m, memory.o_host, bridge.i_host)
        connect(m, receiver.o, bridge.i)
        connect(m, bridge.o, transmitter.i)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx), bridge.i_irq.eq(array.irq),
                     self.irq.eq(array.irq)]
        return m
