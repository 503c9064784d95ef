"""The scale arithmetic of `layouts.ScaleWord`, pipelined."""

from typing import Any

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .adders import MaskedAdder
from .config import ACC_BITS, VALUE_BITS
from .layouts import SCALE_LEFT_BITS, SCALE_RIGHT_BITS, ScaleWord

__all__ = ["SCALER_STAGES", "ScaleMultiplier", "Scaler"]

SCALER_STAGES = 5
"""Registers from input to output."""

_MIDDLE_BITS = 18
"""Width of the multiplier's signed operand."""

_MULTIPLIER_BITS = 16
_PRODUCT_BITS = _MIDDLE_BITS + _MULTIPLIER_BITS
_COARSE, _FINE = (16, 8), (4, 2, 1)   # steps of the shift, those of each stage


class ScaleMultiplier(wiring.Component):
    """One lane's product; its operands need no registers before it.

    Throughput: one product a cycle.
    Latency: two cycles in which `i_advance` is high. On ECP5 both registers are those of the DSP block.
    Backpressure: `i_advance` low holds both.
    Order: kept.

    Members
    -------
    i_advance : 1
    i_value : signed, 18 bits
    i_multiplier : unsigned, 16 bits
    o : signed, 34 bits
    """

    def __init__(self):
        super().__init__({
            "i_advance": In(1),
            "i_value": In(signed(_MIDDLE_BITS)),
            "i_multiplier": In(_MULTIPLIER_BITS),
            "o": Out(signed(_PRODUCT_BITS)),
        })

    def elaborate(self, platform):
        m = Module()
        if getattr(platform, "family", None) == "ecp5":
            m.submodules.block = self._ecp5_block()
            return m
        value = Signal(signed(_MIDDLE_BITS))
        multiplier = Signal(_MULTIPLIER_BITS)
        product = Signal(signed(_PRODUCT_BITS))
        with m.If(self.i_advance):
            m.d.sync += [value.eq(self.i_value), multiplier.eq(self.i_multiplier),
                         product.eq(value * multiplier)]
        m.d.comb += self.o.eq(product)
        return m

    def _ecp5_block(self) -> Instance:
        bits = 18
        ports: dict[str, Any] = {"i_CLK0": ClockSignal(), "i_CE0": self.i_advance, "i_RST0": Const(0)}
        for name, value in (("A", self.i_value), ("B", self.i_multiplier)):
            ports |= {f"i_SIGNED{name}": Const(1), f"i_SOURCE{name}": Const(0)}
            ports |= {f"i_{name}{bit}": value[bit] if bit < len(value) else Const(0) for bit in range(bits)}
        ports |= {f"o_P{bit}": self.o[bit] for bit in range(_PRODUCT_BITS)}
        registers = {f"p_REG_{place}_CLK": "CLK0" for place in ("INPUTA", "INPUTB", "OUTPUT")}
        return Instance("MULT18X18D", **registers, **ports)


class Scaler(wiring.Component):
    """Scales `lanes` int32 values to int8, each by a scale of its own, one multiplier a lane.

    Throughput: one set of lanes a cycle.
    Latency: 5 cycles (`SCALER_STAGES`) in which `i_advance` is high.
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
    i_relu : 1, negative values count as 0; constant while a value is on its way
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
            "i_relu": In(1),
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
            next_tag = self.o_tag if last else Signal.like(tag, name=f"tag_{stage}")
            with m.If(self.i_advance):
                m.d.sync += [next_valid.eq(valid), next_tag.eq(tag)]
            valid, tag = next_valid, next_tag
        for lane in range(self._lanes):
            self._lane(m, lane)
        return m

    def _lane(self, m, lane: int):
        taken, put = self.i[lane], self.o[lane]

        def register(name, shape, value):
            stage = Signal(shape, name=f"{name}_{lane}")
            with m.If(self.i_advance):
                m.d.sync += stage.eq(value)
            return stage

        # ---- 1, 2: shift, the large steps first; only the bits that can still count go on. The lowest one is
        # below the point, for rounding. Bits that fall off the top must be copies of the sign.
        sign = taken.value[-1]
        window, lost = Cat(Const(0, SCALE_LEFT_BITS + 1), taken.value), Const(0, 1)
        shift = taken.scale.shift
        for stage, steps in enumerate((_COARSE, _FINE)):
            for step in steps:
                width = _MIDDLE_BITS + step      # with the bit below the point
                here = shift[step.bit_length() - 1]
                above = window[width:]
                lost = lost | (~here & (above ^ sign.replicate(len(above))).any())
                moved = Signal(width, name=f"moved_{step}_{lane}")
                m.d.comb += moved.eq(Mux(here, Cat(window[step:], sign.replicate(step)), window))
                window = moved
            window = register(f"shifted_{stage}", len(window), window)
            lost = register(f"lost_{stage}", 1, lost)
            sign = register(f"sign_{stage}", 1, sign)
            shift = register(f"shift_{stage}", len(shift), shift)

        # ---- on the way to the multiplier: round, saturate to its width; the adder chooses -----------
        value, limit, largest = window[1:], Signal(name=f"limit_{lane}"), Signal(name=f"largest_{lane}")
        keeps = Signal(name=f"keeps_{lane}")
        m.submodules[f"rounding{lane}"] = adder = MaskedAdder(_MIDDLE_BITS)
        m.d.comb += [
            limit.eq(lost | (window[-1] != sign)),
            largest.eq(value[:-1].all() & ~sign),             # rounding must not make it negative
            keeps.eq(~limit & ~(self.i_relu & sign)),
            adder.i_a.eq(value), adder.i_use_a.eq(keeps),
            # The farthest number of that sign; with ReLU 0 instead of a negative one, as where none is used.
            adder.i_b.eq(Cat((limit & ~sign).replicate(_MIDDLE_BITS - 1), limit & sign & ~self.i_relu)),
            adder.i_use_b.eq(limit),
            adder.i_carry.eq(keeps & window[0] & ~largest),
        ]
        factor = adder.o
        multiplier = taken.scale.multiplier
        for stage in range(2):
            multiplier = register(f"multiplier_{stage}", _MULTIPLIER_BITS, multiplier)

        # ---- 3, 4: the multiplier's own registers --------------------------------------------------
        m.submodules[f"multiplier{lane}"] = block = ScaleMultiplier()
        product = block.o
        m.d.comb += [block.i_advance.eq(self.i_advance), block.i_value.eq(factor),
                     block.i_multiplier.eq(multiplier)]

        # ---- 5: round, saturate --------------------------------------------------------------------
        rounded = Signal(signed(_PRODUCT_BITS - SCALE_RIGHT_BITS + 1), name=f"rounded_{lane}")
        m.d.comb += rounded.eq(product[SCALE_RIGHT_BITS:].as_signed() + product[SCALE_RIGHT_BITS - 1])
        upper = rounded[VALUE_BITS - 1:]
        with m.If(self.i_advance):
            m.d.sync += put.eq(Mux(upper.all() | ~upper.any(), rounded[:VALUE_BITS],
                                   Cat((~rounded[-1]).replicate(VALUE_BITS - 1), rounded[-1])))
