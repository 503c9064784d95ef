"""The scale arithmetic, value by value."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.scaler import SCALER_STAGES, Scaler
from sim.models.collector import scale_int8

EDGES = [0, 1, -1, 127, 128, -128, -129, (1 << 17) - 1, 1 << 17, -(1 << 17), -(1 << 17) - 1, (1 << 31) - 1,
         -(1 << 31), (1 << 30) + 1]


def run_scaler(cases):
    """Feeds one (value, multiplier, pre, post) a cycle into one lane; returns the bytes that come out."""
    dut, results = Scaler(1, tag_bits=1), []
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def feed(ctx):
        ctx.set(dut.i_advance, 1)
        for number in range(len(cases) + SCALER_STAGES):
            if number < len(cases):
                value, multiplier, pre, post = cases[number]
                scale = {"multiplier": multiplier, "pre": pre, "post": post, "reserved0": 0, "reserved1": 0}
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
              rng.randrange(1 << 16), rng.randrange(32), rng.randrange(64) if wide else rng.randrange(10, 26))
             for wide in 750 * [True, False]]
    assert run_scaler(cases) == [scale_int8(*case) for case in cases]


def test_halves_round_up_and_ends_saturate():
    cases = [(value, 1 << 14, pre, post) for value in EDGES + [3, 5, -3, -5, 6, -6]
             for pre in (0, 1, 2, 31) for post in (0, 14, 15, 34, 35, 63)]
    assert run_scaler(cases) == [scale_int8(*case) for case in cases]
