"""Words behind one port, as the memories of small parts have."""

from typing import Any

from amaranth.hdl import Array, Cat, ClockSignal, Const, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.config import log2_exact

__all__ = ["WORD_BYTES", "SinglePort"]

WORD_BYTES = 4
_SPRAM_ADDRESS_BITS = 14
_SPRAM_BYTES = 2


class SinglePort(wiring.Component):
    """Words of 32 bits of which one is written or read in a cycle: in an iCE40's SPRAM, in block RAM in other
    parts.

    Throughput: a word a cycle.
    Latency: one cycle. What was read stays until the next access; what is shown after a write is nothing in
        particular.
    Backpressure: none.
    Order: kept.

    Parameters
    ----------
    words : a power of two; an iCE40 has SPRAM for 16,384, or for several times as many

    Members
    -------
    i_address : of the word
    i_write : bytes of `i_data` that are written
    i_data : what is written
    i_read : the word is read, if nothing is written
    o_data : what was read
    """

    def __init__(self, words: int):
        self._address_bits = log2_exact(words)
        super().__init__({
            "i_address": In(self._address_bits), "i_write": In(WORD_BYTES), "i_data": In(8 * WORD_BYTES),
            "i_read": In(1), "o_data": Out(8 * WORD_BYTES),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        chosen = Signal()
        m.d.comb += chosen.eq(self.i_read | self.i_write.any())
        if getattr(platform, "family", None) == "ice40":
            self._spram(m, chosen)
        else:
            m.submodules.memory = memory = Memory(shape=8 * WORD_BYTES, depth=1 << self._address_bits,
                                                  init=[])
            write, read = memory.write_port(granularity=8), memory.read_port()
            m.d.comb += [
                write.addr.eq(self.i_address), write.data.eq(self.i_data), write.en.eq(self.i_write),
                # A write loses what was read here, too: who needs it afterwards fails in every simulation.
                read.addr.eq(self.i_address), read.en.eq(chosen), self.o_data.eq(read.data),
            ]
        return m

    def _spram(self, m: Module, chosen: Value) -> None:
        """Pairs of SPRAMs, whose words are half as wide; an address's high bits are the pair's number."""
        high = self.i_address[_SPRAM_ADDRESS_BITS:]
        if not len(high):
            m.d.comb += self.o_data.eq(self._pair(m, 0, chosen))
            return
        shown = Signal(len(high))
        with m.If(chosen):
            m.d.sync += shown.eq(high)
        m.d.comb += self.o_data.eq(Array(self._pair(m, number, chosen & (high == number))
                                         for number in range(1 << len(high)))[shown])

    def _pair(self, m: Module, number: int, chosen: Value) -> Signal:
        """What the pair shows."""
        word = Signal(8 * WORD_BYTES, name=f"word{number}")
        address = Signal(_SPRAM_ADDRESS_BITS, name=f"address{number}")
        m.d.comb += address.eq(self.i_address)
        for half in range(WORD_BYTES // _SPRAM_BYTES):
            written = self.i_write.word_select(half, _SPRAM_BYTES)
            m.submodules[f"spram{number}_{half}"] = Instance(
                "SB_SPRAM256KA",
                i_ADDRESS=address,
                i_DATAIN=self.i_data.word_select(half, 8 * _SPRAM_BYTES),
                i_MASKWREN=Cat(byte.replicate(2) for byte in written),     # of four bits each
                i_WREN=self.i_write.any(), i_CHIPSELECT=chosen, i_CLOCK=ClockSignal(),
                # The last one is active low.
                i_STANDBY=Const(0), i_SLEEP=Const(0), i_POWEROFF=Const(1),
                o_DATAOUT=word.word_select(half, 8 * _SPRAM_BYTES))
        return word
