"""hdl.selectors: one of many values, in plain logic and by the table of ECP5's LUT."""

import itertools
import random

import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from hdl.emit import emit_rtlil, emit_verilog
from hdl.selectors import CHOICE_TABLE, WideSelect


@pytest.mark.parametrize("count", [2, 4, 7, 8, 11, 16])
def test_the_value_of_the_number_comes_out(count: int) -> None:
    rng, width = random.Random(count), 5
    dut = WideSelect(width, count)
    m = Module()
    m.submodules.dut = dut

    async def bench(ctx):
        for _ in range(20):
            values = [rng.randrange(1 << width) for _ in range(count)]
            ctx.set(dut.i, values)
            for number, value in enumerate(values):
                ctx.set(dut.i_number, number)
                await ctx.delay(1e-9)
                assert ctx.get(dut.o) == value

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_lut_with_the_table_chooses_its_second_input_where_the_third_is_set() -> None:
    for low, high, bit in itertools.product(range(2), repeat=3):
        assert CHOICE_TABLE >> (low | high << 1 | bit << 2) & 1 == (high if bit else low)


@pytest.mark.parametrize(("count", "cells"), [
    (2, (1, 0, 0)), (4, (2, 1, 0)), (8, (4, 2, 1)), (16, (8, 4, 2)), (11, (5, 2, 1)),
])
def test_on_ecp5_a_bit_takes_half_as_many_luts_as_there_are_values(count: int, cells: tuple) -> None:
    text = "".join(emit_rtlil(WideSelect(3, count), "block", "ecp5"))
    found = tuple(text.count(f"cell \\{kind} ") for kind in ("LUT4", "PFUMX", "L6MUX21"))
    assert found == tuple(3 * number for number in cells)


def test_it_converts_to_verilog() -> None:
    assert "LUT4" not in emit_verilog(WideSelect(8, 8), "block")
