"""The scale arithmetic of `layouts.ScaleWord`, a bit a cycle."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import ACC_BITS, VALUE_BITS
from .layouts import SCALE_LEFT_BITS, SCALE_RIGHT_BITS, ScaleWord

__all__ = ["ScaledStream", "SerialScaler"]

_MIDDLE_BITS = 18
"""Bits of y, as `layouts.ScaleWord` calls it."""
_MULTIPLIER_BITS = 16


def ScaledStream() -> wiring.Signature:
    """int32 values, the scale that they get, and what comes of them."""
    return wiring.Signature({
        "i": In(stream.Signature(signed(ACC_BITS))),
        "i_scale": In(ScaleWord()),
        "o": Out(stream.Signature(signed(VALUE_BITS))),
    })


class SerialScaler(wiring.Component):
    """Scales int32 values to int8, one after the other, with two shift registers and an adder.

    Throughput: one value in `shift` + 1 or 17 cycles, whichever is more.
    Latency: `shift` + 18 cycles from the cycle in which a value is taken to the first one of `o.valid`.
    Backpressure: `i.ready` while the one before is not shifted; `o` holds what comes behind it.
    Overflow: both roundings saturate.
    Order: kept.

    Members
    -------
    i : stream of int32
    i_scale : ScaleWord, constant while a value is at work
    o : stream of int8
    """

    def __init__(self):
        super().__init__(ScaledStream())

    def elaborate(self, platform):
        m = Module()
        # ---- shift: y, below it the bit for rounding, above it copies of its sign, or y saturates ----
        window = Signal(signed(ACC_BITS + SCALE_LEFT_BITS + 1))
        left, shifting, shifted, free = Signal.like(self.i_scale.shift), Signal(), Signal(), Signal()
        m.d.comb += [
            shifted.eq(shifting & (left == 0)),
            self.i.ready.eq(~shifting | (shifted & free)),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [shifting.eq(1), left.eq(self.i_scale.shift),
                         window.eq(Cat(Const(0, SCALE_LEFT_BITS + 1), self.i.p))]
        with m.Elif(shifted & free):
            m.d.sync += shifting.eq(0)
        with m.Elif(~shifted):
            m.d.sync += [window.eq(window >> 1), left.eq(left - 1)]
        # ---- saturate y; rounding must not make the largest one negative ----
        y, above, sign = window[1:1 + _MIDDLE_BITS], window[_MIDDLE_BITS:], window[-1]
        factor, rounds, within = Signal(signed(_MIDDLE_BITS)), Signal(), Signal()
        m.d.comb += within.eq(above.all() | ~above.any())
        # ---- multiply, the lowest bit first; what falls off below cannot change the rounding ----
        product, bit, multiplies = Signal(signed(_MIDDLE_BITS)), Signal(_MULTIPLIER_BITS), Signal()
        total = Signal(signed(_MIDDLE_BITS + 1))
        counts = Signal()
        m.d.comb += [
            free.eq(~multiplies & (~self.o.valid | self.o.ready)),
            counts.eq((bit & self.i_scale.multiplier).any()),
            total.eq(product + Mux(counts, factor, 0) + (counts & rounds)),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(multiplies):
            m.d.sync += [product.eq(total >> 1), bit.eq(bit << 1)]
            with m.If(bit[-1]):
                m.d.sync += [multiplies.eq(0), self.o.valid.eq(1)]
        with m.Elif(shifted & free):
            m.d.sync += [
                multiplies.eq(1), bit.eq(1), product.eq(0),
                factor.eq(Mux(within, y, Cat((~sign).replicate(_MIDDLE_BITS - 1), sign))),
                rounds.eq(window[0] & within & ~(y[:-1].all() & ~sign)),
            ]
        # ---- round and saturate z ----
        rest = SCALE_RIGHT_BITS - _MULTIPLIER_BITS
        rounded = Signal(signed(_MIDDLE_BITS - rest + 1))
        upper = rounded[VALUE_BITS - 1:]
        m.d.comb += [
            rounded.eq(product[rest:].as_signed() + product[rest - 1]),
            self.o.p.eq(Mux(upper.all() | ~upper.any(), rounded[:VALUE_BITS],
                            Cat((~rounded[-1]).replicate(VALUE_BITS - 1), rounded[-1]))),
        ]
        return m
