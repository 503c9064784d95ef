"""One lane of a serial array: its column of the tile, its multiplier, its sum."""

from typing import Any

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .attributes import IN_BLOCK_RAM
from .config import ACC_BITS, VALUE_BITS, Config
from .overflow import sum_wraps

__all__ = ["SerialLane"]


class SerialLane(wiring.Component):
    """Multiplies a value of its column of the tile by a token's, and adds that to its sum; sums can be moved
    from lane to lane.

    Throughput: one product, or one sum that moves, a cycle.
    Latency: a value read in a cycle is multiplied in the next one, in which `i_step` is high; the sum is
        there in the cycle after that. On a part with SB_MAC16 multiplier and sum are one block of that.
    Backpressure: none. A word is not read while it is written.
    Overflow: sums wrap; `o_overflow` says so.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_write, i_address, i_value : stores a signed value at a row of the tile; the address reads as well
    o_value : what was read in the cycle before
    i_factor : signed value to be multiplied, that one or another lane's
    i_token : signed value of A, in the same cycle
    i_step : adds the product
    i_move : the sum becomes `i_sum` instead
    i_sum, o_sum : int32
    o_overflow : an addition wrapped, in the cycle after it
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_write": In(1),
            "i_address": In(range(config.lane_values)),
            "i_value": In(signed(VALUE_BITS)),
            "o_value": Out(signed(VALUE_BITS)),
            "i_factor": In(signed(VALUE_BITS)),
            "i_token": In(signed(VALUE_BITS)),
            "i_step": In(1),
            "i_move": In(1),
            "i_sum": In(signed(ACC_BITS)),
            "o_sum": Out(signed(ACC_BITS)),
            "o_overflow": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=signed(VALUE_BITS), depth=self._config.lane_values,
                                              init=[], attrs=IN_BLOCK_RAM)
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [write.addr.eq(self.i_address), write.data.eq(self.i_value), write.en.eq(self.i_write),
                     read.addr.eq(self.i_address), read.en.eq(~self.i_write), self.o_value.eq(read.data)]
        # ---- whether the sum wraps: its sign before and after, and the product's ----
        stepped, sign, product_sign = Signal(), Signal(), Signal()
        m.d.sync += [stepped.eq(self.i_step), sign.eq(self.o_sum[-1]),
                     product_sign.eq(self.i_factor[-1] ^ self.i_token[-1])]
        # A product of 0 changes no sum: what its sign is taken for does not matter.
        m.d.comb += self.o_overflow.eq(stepped & sum_wraps(sign, product_sign, self.o_sum))
        if getattr(platform, "family", None) == "ice40":
            m.submodules.block = self._block(self.i_factor)
            return m
        product = Signal(signed(2 * VALUE_BITS))
        m.d.comb += product.eq(self.i_factor * self.i_token)
        with m.If(self.i_step | self.i_move):
            m.d.sync += self.o_sum.eq(Mux(self.i_move, self.i_sum, self.o_sum + product))
        return m

    def _block(self, value: Signal) -> Instance:
        """A 16 by 16 multiplier whose product goes to its two adders of 16 bits, one after the other, with
        their registers. Unknown parameters of it are 0."""
        parameters: dict[str, Any] = {
            "p_A_SIGNED": Const(1, 1), "p_B_SIGNED": Const(1, 1),
            # The product, to the registers' sums, the upper half's with the lower one's carry.
            "p_TOPADDSUB_LOWERINPUT": Const(2, 2), "p_BOTADDSUB_LOWERINPUT": Const(2, 2),
            "p_TOPADDSUB_CARRYSELECT": Const(2, 2),
            # Out of the registers.
            "p_TOPOUTPUT_SELECT": Const(1, 2), "p_BOTOUTPUT_SELECT": Const(1, 2),
        }
        holds, half = ~(self.i_step | self.i_move), ACC_BITS // 2
        unused = ("AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT",
                  "ADDSUBTOP", "ADDSUBBOT", "CI", "ACCUMCI", "SIGNEXTIN")
        return Instance(
            "SB_MAC16", **parameters, **{f"i_{name}": Const(0, 1) for name in unused},
            i_CLK=ClockSignal(), i_CE=Const(1, 1),
            i_A=Cat(value, value[-1].replicate(half - VALUE_BITS)),
            i_B=Cat(self.i_token, self.i_token[-1].replicate(half - VALUE_BITS)),
            i_C=self.i_sum[half:], i_D=self.i_sum[:half],
            i_OLOADTOP=self.i_move, i_OLOADBOT=self.i_move, i_OHOLDTOP=holds, i_OHOLDBOT=holds,
            o_O=self.o_sum)
