"""The scale arithmetic of `layouts.ScaleWord` for one value after the other, with one multiplier."""

from amaranth.hdl import Module
from amaranth.lib import wiring

from .scaler import Scaler
from .serial_scaler import ScaledStream

__all__ = ["StreamScaler"]


class StreamScaler(wiring.Component):
    """Scales int32 values to int8; its members are those of `SerialScaler`.

    Throughput: one value a cycle.
    Latency: five cycles (`scaler.SCALER_STAGES`) from the cycle in which a value is taken to the first one of
        `o.valid`.
    Backpressure: while `o` is not taken nothing moves, and `i.ready` is low.
    Overflow: both roundings saturate.
    Order: kept.

    Members
    -------
    i : stream of int32
    i_scale : ScaleWord, for the value at `i`
    o : stream of int8
    """

    def __init__(self):
        super().__init__(ScaledStream())

    def elaborate(self, platform):
        m = Module()
        m.submodules.scaler = scaler = Scaler(1, 0)
        m.d.comb += [
            self.i.ready.eq(~self.o.valid | self.o.ready),
            scaler.i_advance.eq(self.i.ready),
            scaler.i_valid.eq(self.i.valid),
            scaler.i[0].value.eq(self.i.p), scaler.i[0].scale.eq(self.i_scale),
            self.o.valid.eq(scaler.o_valid),
            self.o.p.eq(scaler.o[0]),
        ]
        return m
