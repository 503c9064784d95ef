"""hdl.gates: the function that was asked for, in plain logic and in ECP5's LUT."""

import itertools

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hdl.emit import emit_rtlil, emit_verilog
from hdl.gates import fixed_gate, gate_table

FUNCTIONS = {
    1: lambda a: ~a,
    2: lambda a, b: a & ~b,
    3: lambda a, b, c: (~a | b) & c,
    4: lambda a, b, c, d: (a ^ b) | (c & d),
}
INPUTS = pytest.mark.parametrize("inputs", FUNCTIONS)


class _Gate(wiring.Component):
    def __init__(self, inputs: int):
        self._inputs = inputs
        super().__init__({"i": In(inputs), "o": Out(1)})

    def elaborate(self, platform):
        m = Module()
        bits = [Signal(name=f"bit{place}") for place in range(self._inputs)]
        m.d.comb += [bit.eq(value) for bit, value in zip(bits, self.i, strict=True)]
        m.d.comb += self.o.eq(fixed_gate(m, platform, "gate", FUNCTIONS[self._inputs], *bits))
        return m


@INPUTS
def test_plain_logic_and_the_table_are_the_function(inputs: int) -> None:
    function, dut = FUNCTIONS[inputs], _Gate(inputs)

    async def bench(ctx):
        for bits in itertools.product(range(2), repeat=inputs):
            number = sum(bit << place for place, bit in enumerate(bits))
            ctx.set(dut.i, number)
            await ctx.delay(1e-9)
            assert ctx.get(dut.o) == function(*bits) & 1
            assert gate_table(function, inputs) >> number & 1 == function(*bits) & 1

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()


@INPUTS
def test_the_table_does_not_look_at_inputs_that_are_not_used(inputs: int) -> None:
    table = gate_table(FUNCTIONS[inputs], inputs)
    assert all(table >> index & 1 == table >> (index % (1 << inputs)) & 1 for index in range(16))


@INPUTS
def test_on_ecp5_it_is_one_lut(inputs: int) -> None:
    text = "".join(emit_rtlil(_Gate(inputs), "block", "ecp5"))
    assert text.count("cell \\LUT4 ") == 1
    assert "LUT4" not in emit_verilog(_Gate(inputs), "block")
