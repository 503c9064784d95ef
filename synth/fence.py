"""Registers around a design, so that it can be placed and timed alone: few pins, none of its paths cut."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.shared import add_shared, flat_ports

__all__ = ["Fence"]

_FOLD = 3  # output bits that one LUT4 adds to the chain


class Fence(wiring.Component):
    """Every input bit of a design from a shift register, every output bit into a register; four pins in all.

    Nothing is optimised away, since no input is known and every output has an influence on `o`. All paths of
    the design are between registers, with its ports' wires in them, as they would be in a larger system.

    Throughput, Latency, Backpressure, Order: none of its own; it is for measuring.

    Parameters
    ----------
    design : component
    name : of its instance

    Members
    -------
    i : next bit of the inputs
    o : a sum of all outputs so far
    """

    def __init__(self, design: wiring.Component, name: str):
        self._design, self._name = design, name
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        # A module of its own with its members' names for ports, so that its netlist can stand for it.
        add_shared(m, self._name, self._design, self._name, platform)
        inputs: list[Value] = []
        outputs: list[Value] = []
        for _, is_input, value in flat_ports(self._design):
            (inputs if is_input else outputs).append(value)

        # ---- in ----
        width = sum(len(value) for value in inputs)
        chain = Signal(max(1, width), name="fence_in", reset_less=True)
        m.d.sync += chain.eq(Cat(self.i, chain))
        position = 0
        for value in inputs:
            m.d.comb += value.eq(chain[position:position + len(value)])
            position += len(value)

        # ---- out ----
        bits = Cat(outputs)
        caught = Signal(max(1, len(bits)), name="fence_out", reset_less=True)
        groups = -(-len(caught) // _FOLD)
        total = Signal(groups, name="fence_total", reset_less=True)
        m.d.sync += caught.eq(bits)
        for group in range(groups):
            before = total[group - 1] if group else Const(0, 1)
            m.d.sync += total[group].eq(before ^ caught[_FOLD * group:_FOLD * (group + 1)].xor())
        m.d.comb += self.o.eq(total[-1])
        return m
