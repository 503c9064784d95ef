"""The scale arithmetic a bit a cycle, value by value; `hdl.scaler` does the same at once."""

import random
from itertools import pairwise

import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from hdl.serial_scaler import SerialScaler
from sim.models.collector import scale_int8
from tests.harness import run_block
from tests.test_scaler import EDGES

CYCLES = 31 + 18
SETTLED = CYCLES + 10
"""So many cycles after the last value an extra one would have come."""


def scaled(values, multiplier, shift, **options):
    """The bytes that come out for the values, with one scale."""
    scale = {"multiplier": multiplier, "shift": shift, "reserved": 0x7FF}
    return run_block(SerialScaler(), {"i": values}, {"o": len(values)}, signals={"i_scale": scale},
                     settle_cycles=SETTLED, timeout_cycles=2 * CYCLES * len(values) + 1000, **options)["o"]


def expected(values, multiplier, shift):
    return [scale_int8(value, multiplier, shift) for value in values]


def run_cases(cases):
    """Feeds (value, multiplier, shift), each with its own scale when the one before is done; returns the
    bytes and the cycles from each value to its byte."""
    dut, results, cycles = SerialScaler(), [], []
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def feed(ctx):
        ctx.set(dut.o.ready, 1)
        for value, multiplier, shift in cases:
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.i.payload, value)
            ctx.set(dut.i_scale, {"multiplier": multiplier, "shift": shift, "reserved": 0})
            *_, taken = await ctx.tick().sample(dut.i.ready)
            assert taken, "nothing else is at work"
            ctx.set(dut.i.valid, 0)
            for cycle in range(1, 2 * CYCLES):
                *_, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
                if valid:
                    results.append(payload)
                    cycles.append(cycle)
                    break
        for _ in range(SETTLED):
            *_, valid = await ctx.tick().sample(dut.o.valid)
            assert not valid, "a result of no value"

    simulator.add_testbench(feed)
    simulator.run()
    return results, cycles


@pytest.mark.parametrize("seed", range(2))
def test_random_values_scale_as_the_layout_says(seed):
    rng = random.Random(seed)
    cases = [(rng.choice([rng.choice(EDGES), rng.randrange(-(1 << 31), 1 << 31) >> rng.randrange(32)]),
              rng.choice([rng.randrange(1 << 16), 0xFFFF, 1 << 15]), rng.randrange(32)) for _ in range(60)]
    results, cycles = run_cases(cases)
    assert results == [scale_int8(*case) for case in cases]
    assert cycles == [shift + 18 for _, _, shift in cases]


def around_limits(shift):
    """Values whose y are the farthest ones and those beside them, before and after rounding."""
    half = 1 << shift >> 18
    limits = [(y << shift >> 17) + near for y in (-(1 << 17), (1 << 17) - 1, 1 << 17, -1, 0)
              for near in (-half - 1, -half, -half + 1, 0, half - 1, half, half + 1)]
    return [value for value in dict.fromkeys(limits) if -(1 << 31) <= value < 1 << 31]


@pytest.mark.parametrize("shifts", [range(first, first + 8) for first in range(0, 32, 8)], ids=str)
def test_y_rounds_and_saturates_with_every_shift(shifts):
    rng, cases = random.Random(0), []
    for shift in shifts:
        limits = around_limits(shift)
        values = [-(1 << 31), (1 << 31) - 1, -1, 0, *rng.sample(EDGES, 5),
                  *rng.sample(limits, min(5, len(limits)))]
        # Half of the largest multiplier shows the upper bits of y in z, the largest one z's own limits.
        cases += [(value, rng.choice([0x7FFF, 0x8000, 0xFFFF]), shift) for value in values]
    assert run_cases(cases)[0] == [scale_int8(*case) for case in cases]


def test_z_rounds_halves_up_and_saturates():
    # y is the value, and z = round(value * 2 ** 15 / 2 ** 25), or twice that.
    values = [near + (z << 10) for z in (-129, -128, -127, -1, 0, 1, 126, 127) for near in (511, 512, 513)]
    cases = [(value, 1 << 15, 17) for value in values] + [(value, 0xFFFF, 17) for value in values]
    cases += [(value, 1, 17) for value in (-1, (1 << 17) - 1, -(1 << 17))]
    assert run_cases(cases)[0] == [scale_int8(*case) for case in cases]


def test_halves_of_y_round_up():
    # With this multiplier z is 1 from 512 on, and -1 below -512.
    cases = [((y << shift - 17) - (1 << shift - 18) - less, 1 << 15, shift)
             for shift in range(18, 32) for y in (512, -512) for less in (0, 1)]
    results = run_cases(cases)[0]
    assert results == [scale_int8(*case) for case in cases] == [1, 0, 0, -1] * 14


@pytest.mark.parametrize("shift", [18, 24, 31])
def test_the_largest_y_is_not_rounded_up(shift):
    # With such a multiplier one more in y makes one more of z: (2 ** 17 - 1) * 128 is just below half of it.
    largest, multiplier = (1 << shift) - 1, 0x5580
    values = [value for value in (largest, largest - (1 << shift - 18), largest + 1, -largest - 1)
              if value < 1 << 31]
    results = scaled(values, multiplier, shift)
    assert results == expected(values, multiplier, shift) and results[:2] == [0x55] * 2


@pytest.mark.parametrize("shift", [18, 24, 31])
def test_what_falls_off_below_y_does_not_come_into_the_product(shift):
    # 256 * 0xFFFF is less than half of z's last bit by 256.
    values = [(256 << shift - 17) + (1 << shift - 18) - 1, 256 << shift - 17, 257 << shift - 17]
    assert scaled(values, 0xFFFF, shift) == expected(values, 0xFFFF, shift) == [0, 0, 1]


@pytest.mark.parametrize("gap, stall", [(0.0, 0.98), (0.98, 0.0), (0.5, 0.5)])
@pytest.mark.parametrize("seed", range(2))
def test_gaps_and_stalls_change_nothing(gap, stall, seed):
    rng = random.Random(seed)
    multiplier, shift = rng.randrange(1 << 15, 1 << 16), rng.randrange(12, 30)
    # Neighbours saturate on either side, and not at all.
    values = [rng.choice([rng.randrange(-(1 << 31), 1 << 31),
                          rng.randrange(-(1 << 16), 1 << 16) << shift >> 17]) for _ in range(12)]
    results = scaled(values, multiplier, shift, gap=gap, stall=stall, seed=seed)
    assert results == expected(values, multiplier, shift)


@pytest.mark.parametrize("shift", [0, 10, 16, 17, 31])
def test_values_follow_each_other_while_others_are_multiplied(shift):
    dut, results = SerialScaler(), []
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def bench(ctx):
        ctx.set(dut.i_scale, {"multiplier": 0xFFFF, "shift": shift, "reserved": 0})
        ctx.set(dut.i.payload, 5)
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.o.ready, 1)
        for cycle in range(400):
            *_, valid = await ctx.tick().sample(dut.o.valid)
            if valid:
                results.append(cycle)

    simulator.add_testbench(bench)
    simulator.run()
    assert {after - before for before, after in pairwise(results)} == {max(shift + 1, 17)}


@pytest.mark.parametrize("value, shift", [(-5, 0), (5, 0), (-(1 << 31), 31), ((1 << 31) - 1, 31), (-1, 31)])
def test_a_result_that_waits_long_stays(value, shift):
    dut = SerialScaler()
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def bench(ctx):
        ctx.set(dut.i_scale, {"multiplier": 0xFFFF, "shift": shift, "reserved": 0})
        ctx.set(dut.i.payload, value)
        ctx.set(dut.i.valid, 1)
        await ctx.tick().until(dut.i.ready)
        # Others stand behind it.
        ctx.set(dut.i.payload, ~value)
        await ctx.tick().until(dut.o.valid)
        for _ in range(3 * CYCLES):
            *_, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            assert valid and payload == scale_int8(value, 0xFFFF, shift)

    simulator.add_testbench(bench)
    simulator.run()


def test_a_reset_at_work_leaves_nothing_behind():
    dut, reset = SerialScaler(), Signal()
    simulator = Simulator(ResetInserter(reset)(dut))
    simulator.add_clock(1e-6)
    saturated, other = 1 << 20, 3 << 10      # as y: one saturates, the other does not

    async def bench(ctx):
        ctx.set(dut.i_scale, {"multiplier": 1 << 15, "shift": 17, "reserved": 0})
        for number, cycles in enumerate(range(1, CYCLES + 4, 5)):
            values = (saturated, other) if number % 2 else (other, saturated)
            ctx.set(dut.i.payload, values[0])
            ctx.set(dut.i.valid, 1)
            await ctx.tick().repeat(cycles)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            ctx.set(dut.i.payload, values[1])
            ctx.set(dut.o.ready, 1)
            *_, result = await ctx.tick().sample(dut.o.payload).until(dut.o.valid)
            assert result == scale_int8(values[1], 1 << 15, 17)
            ctx.set(dut.o.ready, 0)

    simulator.add_testbench(bench)
    simulator.run()

