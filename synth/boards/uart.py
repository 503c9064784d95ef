"""A serial line's two directions: 8 bits, no parity, one stop bit."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["UartReceiver", "UartTransmitter"]

_DATA_BITS = 8


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
