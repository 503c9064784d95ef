"""The scale arithmetic of `layouts.ScaleWord`, pipelined."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import ACC_BITS, VALUE_BITS
from .layouts import ScaleWord

__all__ = ["SCALER_STAGES", "Scaler"]

SCALER_STAGES = 8
"""Registers from input to output."""

_MIDDLE_BITS = 18
"""Width of the multiplier's signed operand."""

_PRODUCT_BITS = _MIDDLE_BITS + 16


def _rounded(m, name: str, shifted, bits: int):
    """Adds the bit below the point (bit 0 of `shifted`) to what stands above it; saturates to `bits`.

    floor(x / 2**s) plus the highest bit shifted out is (x + (1 << s >> 1)) >> s.
    """
    value = shifted[1:].as_signed()
    total = Signal(signed(bits + 1), name=f"{name}_total")
    fits, negative = Signal(name=f"{name}_fits"), value[-1]
    upper = value[bits - 1:]
    m.d.comb += [
        # One of the low bits more than needed: the rounded sum may leave the range by one.
        total.eq(value[:bits].as_signed() + shifted[0]),
        fits.eq((upper.all() | ~upper.any()) & (total[-1] == total[-2])),
    ]
    limit = Mux(negative, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return Mux(fits, total, limit)


class Scaler(wiring.Component):
    """Scales `lanes` int32 values to int8, each by a scale of its own, one multiplier a lane.

    Throughput: one set of lanes a cycle.
    Latency: 8 cycles (`SCALER_STAGES`) in which `i_advance` is high.
    Backpressure: `i_advance` low holds every stage, the output too.
    Overflow: both roundings saturate.

    Parameters
    ----------
    lanes : int
    tag_bits : int, width of what travels beside the values

    Members
    -------
    i_advance : 1
    i_valid : 1, i_tag : tag_bits
    i : array of {value: int32, scale: ScaleWord}
    o_valid : 1, o_tag : tag_bits
    o : array of int8
    """

    def __init__(self, lanes: int, tag_bits: int):
        self._lanes = lanes
        super().__init__({
            "i_advance": In(1),
            "i_valid": In(1),
            "i_tag": In(tag_bits),
            "i": In(data.ArrayLayout(
                data.StructLayout({"value": signed(ACC_BITS), "scale": ScaleWord()}), lanes)),
            "o_valid": Out(1),
            "o_tag": Out(tag_bits),
            "o": Out(data.ArrayLayout(signed(VALUE_BITS), lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        valid, tag = self.i_valid, self.i_tag
        for stage in range(SCALER_STAGES):
            last = stage == SCALER_STAGES - 1
            next_valid = self.o_valid if last else Signal(name=f"valid_{stage}")
            next_tag = self.o_tag if last else Signal.like(tag, name=f"tag_{stage}", reset_less=True)
            with m.If(self.i_advance):
                m.d.sync += [next_valid.eq(valid), next_tag.eq(tag)]
            valid, tag = next_valid, next_tag
        for lane in range(self._lanes):
            self._lane(m, lane)
        return m

    def _lane(self, m, lane: int):
        taken, put = self.i[lane], self.o[lane]

        def register(name, shape, value):
            stage = Signal(shape, name=f"{name}_{lane}", reset_less=True)
            with m.If(self.i_advance):
                m.d.sync += stage.eq(value)
            return stage

        # ---- 1, 2: shift by `pre`, coarse then fine; a bit below the point stays for rounding ------
        coarse = register("pre_coarse", signed(ACC_BITS + 1),
                          (taken.value << 1) >> (taken.scale.pre[3:] << 3))
        fine_shift = register("pre_fine_shift", 3, taken.scale.pre[:3])
        fine = register("pre_fine", signed(ACC_BITS + 1), coarse >> fine_shift)

        # ---- 3: round, saturate to the multiplier's width ------------------------------------------
        factor = register("factor", signed(_MIDDLE_BITS), _rounded(m, f"pre_{lane}", fine, _MIDDLE_BITS))

        multiplier, post = taken.scale.multiplier, taken.scale.post
        for stage in range(3):
            multiplier = register(f"multiplier_{stage}", 16, multiplier)
            post = register(f"post_{stage}", 6, post)

        # ---- 4, 5: multiply; the second register is the multiplier block's own output register -----
        product = register("product", signed(_PRODUCT_BITS), factor * multiplier)
        product = register("product_settled", signed(_PRODUCT_BITS), product)
        post = register("post_3", 6, post)
        post = register("post_4", 6, post)

        # ---- 6, 7: shift by `post` -----------------------------------------------------------------
        coarse = register("post_coarse", signed(_PRODUCT_BITS + 1), (product << 1) >> (post[3:] << 3))
        fine_shift = register("post_fine_shift", 3, post[:3])
        fine = register("post_fine", signed(_PRODUCT_BITS + 1), coarse >> fine_shift)

        # ---- 8: round, saturate --------------------------------------------------------------------
        with m.If(self.i_advance):
            m.d.sync += put.eq(_rounded(m, f"post_{lane}", fine, VALUE_BITS))
