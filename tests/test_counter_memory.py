"""hdl.counter_memory: exact sums whenever they are read, a start clears them, saturation."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.counter_memory import CounterMemory, counter_number
from hdl.counters import counter_names
from hdl.emit import emit_verilog

CONFIG = PRESETS["tiny"]
TURNS = 16
MOST_CYCLES = TURNS + 2


def simulate(body: Callable[[Any, CounterMemory], Any]) -> None:
    dut = CounterMemory(CONFIG)

    async def testbench(ctx: Any) -> None:
        await body(ctx, dut)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


async def read(ctx: Any, dut: CounterMemory, name: str, step: Callable[[], None] = lambda: None) -> int:
    """A counter's value; `step` is called before each clock edge."""
    ctx.set(dut.i.p, counter_number(name))
    ctx.set(dut.i.valid, 1)
    for _ in range(MOST_CYCLES + 1):
        if ctx.get(dut.i.ready):
            value = ctx.get(dut.o)
            step()
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            return value
        step()
        await ctx.tick()
    raise AssertionError(f"{name} did not come within {MOST_CYCLES} cycles")


@pytest.mark.parametrize("seed", range(4))
def test_sums_are_exact_and_a_start_clears_them(seed: int) -> None:
    rng = random.Random(seed)

    async def body(ctx: Any, dut: CounterMemory) -> None:
        for length in (1, 5, 40, 300, 17, 2):
            for starts in (1, 0):
                ctx.set(dut.i_start, starts)
                await ctx.tick()
            model = dict.fromkeys(counter_names(), 0)
            for _ in range(length):
                for name in model:
                    step = rng.randrange(CONFIG.pes + 1 if name == "mac_words" else 2)
                    ctx.set(dut.i_steps[name], step)
                    model[name] += step
                await ctx.tick()
            for name in model:
                ctx.set(dut.i_steps[name], 0)
            order = rng.sample(sorted(model), len(model))
            assert {name: await read(ctx, dut, name) for name in order} == model

    simulate(body)


@pytest.mark.parametrize("seed", range(4))
def test_a_value_holds_what_came_before_it_was_asked_for_and_nothing_that_has_not_come(seed: int) -> None:
    rng = random.Random(seed)

    async def body(ctx: Any, dut: CounterMemory) -> None:
        sums = dict.fromkeys(counter_names(), 0)

        def step() -> None:
            for name in sums:
                number = rng.randrange(CONFIG.pes + 1 if name == "mac_words" else 2)
                ctx.set(dut.i_steps[name], number)
                sums[name] += number

        for _ in range(60):
            for _ in range(rng.randrange(20)):
                step()
                await ctx.tick()
            name = rng.choice(sorted(sums))
            least = sums[name]
            assert least <= await read(ctx, dut, name, step) <= sums[name]

    simulate(body)


def test_a_value_that_is_asked_for_as_a_job_starts_is_the_new_job_s() -> None:
    async def body(ctx: Any, dut: CounterMemory) -> None:
        for wait in range(1, TURNS + 1):
            for name in counter_names():
                ctx.set(dut.i_steps[name], 1)
            await ctx.tick().repeat(50)
            for name in counter_names():
                ctx.set(dut.i_steps[name], 0)
            await ctx.tick().repeat(wait)
            ctx.set(dut.i.p, counter_number("cycles"))
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.i_start, 1)
            await ctx.tick()
            ctx.set(dut.i_start, 0)
            assert await read(ctx, dut, "cycles") == 0

    simulate(body)


def test_what_comes_with_a_start_and_in_the_cycle_behind_it_belongs_to_the_job_before() -> None:
    async def body(ctx: Any, dut: CounterMemory) -> None:
        for name in counter_names():
            ctx.set(dut.i_steps[name], 1)
        await ctx.tick().repeat(50)
        for starts in (1, 0):
            ctx.set(dut.i_start, starts)
            await ctx.tick()
        await ctx.tick()
        for name in counter_names():
            ctx.set(dut.i_steps[name], 0)
        for name in counter_names():
            assert await read(ctx, dut, name) == 1, name

    simulate(body)


def test_counters_stay_at_their_largest_value() -> None:
    async def body(ctx: Any, dut: CounterMemory) -> None:
        await ctx.tick().repeat(2 * TURNS)   # cleared after the reset
        for _ in range(2):                   # what is being added to now is stored again after the first time
            for name in counter_names():
                ctx.set(dut._memory.data[counter_number(name)], 0xFFFFFFF0)
            await ctx.tick().repeat(3)
        for name in counter_names():
            ctx.set(dut.i_steps[name], 1)
        await ctx.tick().repeat(60)
        for name in counter_names():
            ctx.set(dut.i_steps[name], 0)
        await ctx.tick().repeat(3 * TURNS)
        for name in counter_names():
            assert await read(ctx, dut, name) == 0xFFFFFFFF, name

    simulate(body)


@pytest.mark.parametrize("preset", ["tiny", "base", "large"])
def test_it_converts_to_verilog(preset: str) -> None:
    assert "module" in emit_verilog(CounterMemory(PRESETS[preset]), "counter_memory")
