"""A serial line's two directions: 8 bits, no parity, one stop bit."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["MAX_BAUD_ERROR", "UartReceiver", "UartTransmitter", "baud_error", "bit_cycles"]

MAX_BAUD_ERROR = 0.02
"""Of a line's rate, up or down. A byte is read wrong from some 5 % between both ends on; the host's end has a
share of that."""
_DATA_BITS = 8


def baud_error(clock_hz: int, baud: int) -> float:
    """How much faster than `baud` a line is whose bits are whole cycles of a clock; below 0 where slower."""
    return clock_hz / (_nearest_cycles(clock_hz, baud) * baud) - 1


def bit_cycles(clock_hz: int, baud: int) -> int:
    """Clock cycles of one bit; ValueError where the line would be off by more than MAX_BAUD_ERROR."""
    error = baud_error(clock_hz, baud)
    if abs(error) > MAX_BAUD_ERROR:
        raise ValueError(f"clock_hz = {clock_hz}; its line would be {100 * error:+.3g} % off {baud:,} baud, "
                         f"and {100 * MAX_BAUD_ERROR:g} % are allowed")
    return _nearest_cycles(clock_hz, baud)


def _nearest_cycles(clock_hz: int, baud: int) -> int:
    return max(1, round(clock_hz / baud))


class UartReceiver(wiring.Component):
    """Bytes from a line.

    Throughput: as the line gives them.
    Latency: half a bit after a byte's last bit.
    Backpressure: none; what is not taken at once is lost.
    Order: kept. A byte without its stop bit is dropped.

    Parameters
    ----------
    bit_cycles : clock cycles of one bit, at least 4

    Members
    -------
    rx : the line, idle high
    o : stream of bytes, always taken
    """

    def __init__(self, bit_cycles: int):
        if bit_cycles < 4:
            raise ValueError(f"bit_cycles = {bit_cycles}; it must be at least 4")
        self._bit_cycles = bit_cycles
        super().__init__({"rx": In(1), "o": Out(stream.Signature(8, always_ready=True))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        line, count, bits = Signal(init=1), Signal(range(self._bit_cycles)), Signal(range(_DATA_BITS + 2))
        busy, shift = Signal(), Signal(_DATA_BITS)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)
        m.d.comb += self.o.payload.eq(shift)
        m.d.sync += self.o.valid.eq(0)
        with m.If(~busy):
            # The middle of the start bit is half a bit from here.
            m.d.sync += [count.eq(self._bit_cycles // 2 - 1), bits.eq(0), busy.eq(~line)]
        with m.Elif(count != 0):
            m.d.sync += count.eq(count - 1)
        with m.Else():
            m.d.sync += [count.eq(self._bit_cycles - 1), bits.eq(bits + 1)]
            with m.If(bits == 0):
                m.d.sync += busy.eq(~line)  # a spike is no start bit
            with m.Elif(bits <= _DATA_BITS):
                m.d.sync += shift.eq(Cat(shift[1:], line))
            with m.Else():
                m.d.sync += [busy.eq(0), self.o.valid.eq(line)]
        return m


class UartTransmitter(wiring.Component):
    """Bytes to a line.

    Throughput: a byte each 10 bits.
    Latency: the start bit begins the cycle after a byte was taken.
    Backpressure: `i.ready` is low while a byte is on the line.
    Order: kept.

    Parameters
    ----------
    bit_cycles : clock cycles of one bit, at least 4

    Members
    -------
    i : stream of bytes
    tx : the line, idle high
    """

    def __init__(self, bit_cycles: int):
        if bit_cycles < 4:
            raise ValueError(f"bit_cycles = {bit_cycles}; it must be at least 4")
        self._bit_cycles = bit_cycles
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        count, left = Signal(range(self._bit_cycles)), Signal(range(_DATA_BITS + 3))
        shift = Signal(_DATA_BITS + 1, init=-1)
        m.d.comb += self.i.ready.eq(left == 0)
        m.d.sync += self.tx.eq(shift[0])
        with m.If(self.i.ready):
            with m.If(self.i.valid):
                # Start bit, data; ones that move in behind make the stop bit.
                m.d.sync += [shift.eq(Cat(0, self.i.payload)), left.eq(_DATA_BITS + 2),
                             count.eq(self._bit_cycles - 1)]
        with m.Elif(count != 0):
            m.d.sync += count.eq(count - 1)
        with m.Else():
            m.d.sync += [count.eq(self._bit_cycles - 1), left.eq(left - 1), shift.eq(Cat(shift[1:], 1))]
        return m
