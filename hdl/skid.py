"""A stream's place of rest: cuts the path of ready."""

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Skid"]


class Skid(wiring.Component):
    """Lets a stream pass; what the other side does not take in its cycle waits here.

    Throughput: one entry a cycle.
    Latency: none.
    Backpressure: `i.ready` is a register: it falls in the cycle after an entry was not taken.
    Order: kept.

    Parameters
    ----------
    shape : shape of the payload

    Members
    -------
    i, o : streams of `shape`; `o` looks at `i` in the same cycle
    o_held : an entry waits
    """

    def __init__(self, shape):
        self._shape = shape
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "o_held": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        kept = Signal(Shape.cast(self._shape).width)
        # A register of its own, near to whoever asks: `o_held` goes to every bit of the payload.
        room = Signal(init=1)
        flat_in, flat_out = self.i.p, self.o.p
        m.d.comb += [
            self.i.ready.eq(room),
            self.o.valid.eq(self.i.valid | self.o_held),
            flat_out.eq(Mux(self.o_held, kept, flat_in)),
        ]
        m.d.sync += [
            self.o_held.eq(self.o.valid & ~self.o.ready),
            room.eq(~self.o.valid | self.o.ready),
            # What is offered, not what comes: on the same LUT.
            kept.eq(flat_out),
        ]
        return m
