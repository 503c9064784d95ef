"""A deep queue in block RAM."""

from amaranth.hdl import Module, Shape
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .attributes import IN_BLOCK_RAM
from .level import count_both_ways
from .queue import Queue

__all__ = ["BlockQueue", "queue_anywhere"]


class BlockQueue(wiring.Component):
    """First in, first out, in a memory with a synchronous read port.

    Throughput: one entry in and one out a cycle.
    Latency: an entry is offered two cycles after it was taken.
    Backpressure: `i.ready` falls when the memory is full and does not look at `o.ready`.
    Order: kept.

    Parameters
    ----------
    shape : shape of the payload
    depth : int, entries of the memory, a power of two; one more waits at the output
    however_shallow : bool; without it synthesis takes distributed RAM where that is smaller

    Members
    -------
    i, o : streams of `shape`
    level : entries in the memory, 0..depth
    o_freed : an entry leaves the memory for the output: a place is free in the next cycle
    """

    def __init__(self, shape, depth: int, *, however_shallow: bool = False):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth = {depth}; it must be a power of two, at least 2")
        self._shape, self._depth = shape, depth
        self._attributes = IN_BLOCK_RAM if however_shallow else None
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "level": Out(range(depth + 1)),
            "o_freed": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        # The payload is stored flat, as a plain word.
        m.submodules.memory = memory = Memory(shape=Shape.cast(self._shape).width, depth=self._depth, init=[],
                                              attrs=self._attributes)
        write, read = memory.write_port(), memory.read_port()
        level = self.level
        flat_in, flat_out = self.i.p, self.o.p
        m.d.comb += [
            self.i.ready.eq(level != self._depth),
            write.en.eq(self.i.valid & self.i.ready),
            write.data.eq(flat_in),
            # What is read was written in an earlier cycle, so the two never meet at one address.
            read.en.eq((level != 0) & (~self.o.valid | self.o.ready)),
            flat_out.eq(read.data),
            self.o_freed.eq(read.en),
        ]
        count_both_ways(m, level, write.en, read.en)
        with m.If(write.en):
            m.d.sync += write.addr.eq(write.addr + 1)
        with m.If(read.en):
            m.d.sync += [read.addr.eq(read.addr + 1), self.o.valid.eq(1)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m


def queue_anywhere(shape, depth: int, in_block_ram: bool) -> BlockQueue | Queue:
    """A queue of at least so many entries, in block RAM or in distributed RAM."""
    return BlockQueue(shape, depth, however_shallow=True) if in_block_ram else Queue(shape, depth)
