"""A stream's register slice: nothing passes through it in the same cycle, neither forth nor back."""

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RegisterSlice"]


class RegisterSlice(wiring.Component):
    """Two places: the entry on offer, and one that came while that was not taken.

    Throughput: one entry a cycle.
    Latency: one cycle.
    Backpressure: `i.ready` is a register: it falls in the cycle after an entry had to wait.
    Order: kept.

    Parameters
    ----------
    shape : shape of the payload

    Members
    -------
    i, o : streams of `shape`
    o_waits : an entry waits behind the one on offer
    """

    def __init__(self, shape):
        self._shape = shape
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "o_waits": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        waiting = Signal(Shape.cast(self._shape).width)
        flat_in, flat_out = self.i.p, self.o.p
        m.d.comb += self.i.ready.eq(~self.o_waits)
        with m.If(~self.o_waits):
            m.d.sync += waiting.eq(flat_in)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.valid.eq(self.o_waits | self.i.valid), self.o_waits.eq(0),
                flat_out.eq(Mux(self.o_waits, waiting, flat_in)),
            ]
        with m.Elif(self.i.valid):
            m.d.sync += self.o_waits.eq(1)
        return m
