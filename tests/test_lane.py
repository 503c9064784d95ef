"""hdl.lane: operand selection and the product."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from hdl.lane import Multiplier, OperandSelect


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_a_part_is_copied_to_all_parts(name: str) -> None:
    config, rng = PRESETS[name], random.Random(1)
    dut = OperandSelect(config)
    simulator = Simulator(dut)

    async def bench(ctx):
        for group_log2 in range(config.lane_bits + 1):
            width = config.lanes >> group_log2
            for part in range(1 << group_log2):
                halves = [[rng.randint(-128, 127) for _ in range(2)] for _ in range(config.lanes)]
                upper = rng.randint(0, 1)
                read = [halves[lane][upper] & 255 if lane // width == part else 0
                        for lane in range(config.lanes)]
                ctx.set(dut.i, [value << upper * config.half_word_bits for value in read])
                ctx.set(dut.i_mask, config.lanes - width)
                await ctx.delay(1e-9)
                for lane in range(config.lanes):
                    assert ctx.get(dut.o[lane]) == halves[part * width + lane % width][upper]

    simulator.add_testbench(bench)
    simulator.run()


def test_an_upper_half_that_is_no_value_is_left_out() -> None:
    config = PRESETS["base"]
    dut = OperandSelect(config)
    simulator = Simulator(dut)

    async def bench(ctx):
        ctx.set(dut.i, [lane - 4 & 255 | 3 << config.half_word_bits for lane in range(config.lanes)])
        ctx.set(dut.i_packed, 1)
        await ctx.delay(1e-9)
        assert [ctx.get(dut.o[lane]) for lane in range(config.lanes)] == [*range(-4, 4)]

    simulator.add_testbench(bench)
    simulator.run()


def test_extreme_operands_multiply_exactly() -> None:
    dut = Multiplier()
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def bench(ctx):
        for operand in (-128, -1, 0, 1, 127):
            for value in (-128, -1, 1, 127):
                ctx.set(dut.i_operand, operand)
                ctx.set(dut.i_value, value)
                await ctx.tick().repeat(2)
                assert ctx.get(dut.o) == operand * value

    simulator.add_testbench(bench)
    simulator.run()


def test_they_convert_to_verilog() -> None:
    assert "module" in emit_verilog(Multiplier(), "multiplier")
    assert "module" in emit_verilog(OperandSelect(PRESETS["base"]), "operands")
