"""One value after the other to int8, with a multiplier, as a stream; the arithmetic is `hdl.scaler`'s."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.scaler import SCALER_STAGES
from hdl.stream_scaler import StreamScaler
from sim.models.collector import scale_int8
from tests.harness import run_block
from tests.test_scaler import EDGES


def some_values(rng, count):
    return [rng.choice([rng.choice(EDGES), rng.randrange(-(1 << 31), 1 << 31) >> rng.randrange(32)])
            for _ in range(count)]


@pytest.mark.parametrize("gap, stall", [(0.0, 0.0), (0.0, 0.9), (0.9, 0.0), (0.5, 0.5)])
@pytest.mark.parametrize("seed", range(3))
def test_values_come_out_scaled_in_order_and_none_is_lost_or_made(gap, stall, seed):
    rng = random.Random(seed)
    values, shift = some_values(rng, 60), rng.randrange(32)
    multiplier = rng.choice([rng.randrange(1 << 16), 0xFFFF])
    scale = {"multiplier": multiplier, "shift": shift, "reserved": 0x7FF}
    outputs = run_block(StreamScaler(), {"i": values}, {"o": len(values)}, signals={"i_scale": scale},
                        gap=gap, stall=stall, seed=seed, settle_cycles=20)["o"]
    assert outputs == [scale_int8(value, multiplier, shift) for value in values]


def test_a_value_a_cycle_each_with_its_own_scale():
    rng, dut, results, cycles = random.Random(0), StreamScaler(), [], []
    cases = [(value, rng.randrange(1 << 16), rng.randrange(32)) for value in some_values(rng, 200)]
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.valid, 1)
        for cycle, (value, multiplier, shift) in enumerate(cases + [(0, 0, 0)] * SCALER_STAGES):
            ctx.set(dut.i.valid, cycle < len(cases))
            ctx.set(dut.i.payload, value)
            ctx.set(dut.i_scale, {"multiplier": multiplier, "shift": shift, "reserved": 0})
            *_, taken, valid, payload = await ctx.tick().sample(dut.i.ready, dut.o.valid, dut.o.payload)
            assert taken
            if valid:
                results.append(payload)
                cycles.append(cycle)
        *_, valid = await ctx.tick().sample(dut.o.valid)
        assert not valid

    simulator.add_testbench(bench)
    simulator.run()
    assert results == [scale_int8(*case) for case in cases]
    assert cycles == list(range(SCALER_STAGES, SCALER_STAGES + len(cases)))


def test_a_result_that_waits_stays_and_holds_up_what_is_behind_it():
    dut = StreamScaler()
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def bench(ctx):
        ctx.set(dut.i_scale, {"multiplier": 0xFFFF, "shift": 17, "reserved": 0})
        ctx.set(dut.i.payload, 1 << 15)
        ctx.set(dut.i.valid, 1)
        await ctx.tick().until(dut.o.valid)
        ctx.set(dut.i.payload, 0)
        for _ in range(30):
            *_, ready, valid, payload = await ctx.tick().sample(dut.i.ready, dut.o.valid, dut.o.payload)
            assert valid and not ready and payload == scale_int8(1 << 15, 0xFFFF, 17) != 0

    simulator.add_testbench(bench)
    simulator.run()
