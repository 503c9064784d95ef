"""Shallow queues in distributed RAM."""

from amaranth.hdl import Module, Shape
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .level import count_both_ways

__all__ = ["Queue"]


class Queue(wiring.Component):
    """First in, first out, for a few dozen entries.

    Throughput: one entry in and one out a cycle.
    Latency: an entry is offered the cycle after it was taken.
    Backpressure: `i.ready` falls when full and does not look at `o.ready`.
    Order: kept.

    Parameters
    ----------
    shape : shape of the payload
    depth : int, entries, a power of two

    Members
    -------
    i, o : streams of `shape`
    level : entries held, 0..depth
    """

    def __init__(self, shape, depth: int):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth = {depth}; it must be a power of two, at least 2")
        self._shape, self._depth = shape, depth
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "level": Out(range(depth + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        # The payload is stored flat: memories of structs do not keep their field names anyway.
        m.submodules.memory = memory = Memory(shape=Shape.cast(self._shape).width, depth=self._depth, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        put, take = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        flat_in, flat_out = self.i.p, self.o.p
        m.d.comb += [
            self.i.ready.eq(self.level != self._depth),
            self.o.valid.eq(self.level != 0),
            write.data.eq(flat_in),
            write.en.eq(put),
            flat_out.eq(read.data),
        ]
        count_both_ways(m, self.level, put, take)
        with m.If(put):
            m.d.sync += write.addr.eq(write.addr + 1)
        with m.If(take):
            m.d.sync += read.addr.eq(read.addr + 1)
        return m
