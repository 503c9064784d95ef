"""Words in a memory that is half as wide."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.config import log2_exact

__all__ = ["HalvedWords"]

_HALF_BITS = 16


class HalvedWords(wiring.Component):
    """Words of 32 bits as two halves one behind the other: in one block RAM of an iCE40, where words side by
    side take two.

    Throughput: a word stored every other cycle, one loaded in three.
    Latency: a word is loaded from the third cycle of its address on.
    Backpressure: none.
    Order: a word that is stored is loaded when its address comes after another one.

    Parameters
    ----------
    words : a power of two

    Members
    -------
    store : address, data and enable, which is not 1 in two cycles one behind the other
    load : address, data and enable, which stays 1
    """

    def __init__(self, words: int):
        self._depth, address_bits = 2 * words, log2_exact(words)
        super().__init__({
            "store": In(wiring.Signature({
                "addr": Out(address_bits), "data": Out(2 * _HALF_BITS), "en": Out(1)})),
            "load": In(wiring.Signature({
                "addr": Out(address_bits), "data": In(2 * _HALF_BITS), "en": Out(1)})),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=_HALF_BITS, depth=self._depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        store, load = self.store, self.load

        # ---- storing: the low half at once, the high one in the next cycle ----
        second, kept_address, kept_half = Signal(), Signal.like(store.addr), Signal(_HALF_BITS)
        m.d.sync += [second.eq(store.en), kept_address.eq(store.addr), kept_half.eq(store.data[_HALF_BITS:])]
        m.d.comb += [
            write.addr.eq(Mux(second, Cat(1, kept_address), Cat(0, store.addr))),
            write.data.eq(Mux(second, kept_half, store.data[:_HALF_BITS])),
            write.en.eq(store.en | second),
        ]

        # ---- loading: the low half of a new address once, the high one ever after ----
        seen, high, shows_low, low_half = (Signal.like(load.addr), Signal(), Signal(), Signal(_HALF_BITS))
        m.d.comb += [high.eq(load.addr == seen), read.addr.eq(Cat(high, load.addr)), read.en.eq(load.en),
                     load.data.eq(Cat(low_half, read.data))]
        m.d.sync += [seen.eq(load.addr), shows_low.eq(~high)]
        with m.If(shows_low):
            m.d.sync += low_half.eq(read.data)
        return m
