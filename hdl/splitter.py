"""Hands wide chunks on in narrow ones."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import log2_exact
from .layouts import Chunk

__all__ = ["ChunkSplitter"]


class ChunkSplitter(wiring.Component):
    """Cuts chunks of `wide_bytes` into chunks of `narrow_bytes`; a row's stay full but for its last one.

    Throughput: one narrow chunk a cycle.
    Latency: one cycle.
    Backpressure: `i.ready` follows `o.ready` in the same cycle.
    Order: lowest bytes first.

    Parameters
    ----------
    wide_bytes, narrow_bytes : int, powers of two, the latter the smaller one

    Members
    -------
    i : stream of Chunk(wide_bytes)
    o : stream of Chunk(narrow_bytes)
    """

    def __init__(self, wide_bytes: int, narrow_bytes: int):
        if log2_exact(narrow_bytes) >= log2_exact(wide_bytes):
            raise ValueError(f"narrow_bytes = {narrow_bytes}; it must be less than wide_bytes, {wide_bytes}")
        self._wide, self._narrow = wide_bytes, narrow_bytes
        super().__init__({
            "i": In(stream.Signature(Chunk(wide_bytes))),
            "o": Out(stream.Signature(Chunk(narrow_bytes))),
        })

    def elaborate(self, platform):
        m = Module()
        narrow = self._narrow
        held = Signal(Chunk(self._wide))
        final = Signal()                 # nothing of the wide chunk is left after this one
        m.d.comb += [
            final.eq(held.count <= narrow),
            self.i.ready.eq(~self.o.valid | (self.o.ready & final)),
            self.o.p.data.eq(held.data),
            self.o.p.count.eq(narrow),
            self.o.p.row_last.eq(held.row_last & final),
            self.o.p.last.eq(held.last & final),
        ]
        with m.If(final):
            m.d.comb += self.o.p.count.eq(held.count)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), held.eq(self.i.p)]
        with m.Elif(self.o.ready):
            m.d.sync += [held.data.eq(held.data >> (8 * narrow)), held.count.eq(held.count - narrow)]
        return m
