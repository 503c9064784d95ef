"""A queue whose output is a register."""

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .block_queue import queue_anywhere
from .register_slice import RegisterSlice

__all__ = ["HeadQueue"]


class HeadQueue(wiring.Component):
    """First in, first out, for a few dozen entries; what it offers is in a register, and whether it is taken
    goes no further than that.

    Throughput: one entry in and one out a cycle; in block RAM nothing is on offer for one cycle where the
        entries before leave as soon as they can, and the next one came behind them.
    Latency: an entry is offered the cycle after it was taken, if none is before it.
    Backpressure: `i.ready` falls when full and does not look at `o.ready`.
    Order: kept.

    Parameters
    ----------
    shape : shape of the payload
    depth : int, entries in the memory, a power of two; one more is on offer, and one waits behind that
    in_block_ram : the memory is block RAM, which holds one entry more

    Members
    -------
    i, o : streams of `shape`
    level : entries in the memory, 0..depth
    """

    def __init__(self, shape, depth: int, in_block_ram: bool = False):
        # The payload is one flat word within.
        self._width = Shape.cast(shape).width
        self._behind = queue_anywhere(self._width, depth, in_block_ram)
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "level": Out(range(depth + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.behind = behind = self._behind
        m.submodules.head = head = RegisterSlice(self._width)
        straight, flat_in, flat_out = Signal(), self.i.p, self.o.p
        m.d.comb += [
            straight.eq(head.i.ready & ~behind.o.valid & (behind.level == 0)),   # past the memory
            behind.i.valid.eq(self.i.valid & ~straight),
            behind.i.p.eq(flat_in),
            behind.o.ready.eq(head.i.ready),
            head.i.valid.eq(behind.o.valid | (self.i.valid & straight)),
            head.i.p.eq(Mux(behind.o.valid, behind.o.p, flat_in)),
            self.i.ready.eq(behind.i.ready),
            self.level.eq(behind.level),
            self.o.valid.eq(head.o.valid),
            flat_out.eq(head.o.p),
            head.o.ready.eq(self.o.ready),
        ]
        return m
