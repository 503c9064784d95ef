"""The scale arithmetic, value by value."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.scaler import SCALER_STAGES, Scaler
from sim.models.collector import scale_int8

EDGES = [0, 1, -1, 127, 128, -128, -129, (1 << 17) - 1, 1 << 17, -(1 << 17), -(1 << 17) - 1, (1 << 31) - 1,
         -(1 << 31), (1 << 30) + 1]


def run_scaler(cases, relu=0):
    """Feeds one (value, multiplier, shift) a cycle into one lane; returns the bytes that come out."""
    dut, results = Scaler(1, tag_bits=1), []
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def feed(ctx):
        ctx.set(dut.i_advance, 1)
        ctx.set(dut.i_relu, relu)
        for number in range(len(cases) + SCALER_STAGES):
            if number < len(cases):
                value, multiplier, shift = cases[number]
                scale = {"multiplier": multiplier, "shift": shift, "reserved": 0}
                ctx.set(dut.i[0], {"value": value, "scale": scale})
            ctx.set(dut.i_valid, number < len(cases))
            await ctx.tick()
            if ctx.get(dut.o_valid):
                results.append(ctx.get(dut.o[0]))

    simulator.add_testbench(feed)
    simulator.run()
    return results


@pytest.mark.parametrize("seed", range(2))
def test_random_values_scale_as_the_layout_says(seed):
    rng = random.Random(seed)
    cases = [(rng.choice([rng.choice(EDGES), rng.randrange(-(1 << 31), 1 << 31) >> rng.randrange(32)]),
              rng.randrange(1 << 16), rng.randrange(32)) for _ in range(1500)]
    assert run_scaler(cases) == [scale_int8(*case) for case in cases]


def test_halves_round_up_and_ends_saturate():
    cases = [(value, multiplier, shift) for value in EDGES + [3, 5, -3, -5, 6, -6]
             for multiplier in (0, 1, 1 << 14, 1 << 15, 0xFFFF) for shift in (0, 1, 2, 16, 17, 18, 30, 31)]
    assert run_scaler(cases) == [scale_int8(*case) for case in cases]


def test_negative_values_count_as_zero_with_relu():
    cases = [(value, 1 << 15, shift) for value in EDGES for shift in range(32)]
    assert run_scaler(cases, relu=1) == [scale_int8(max(0, value), *scale) for value, *scale in cases]
