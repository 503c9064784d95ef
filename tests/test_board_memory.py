"""synth.boards.memory: bursts back to back, and a host's words between them."""

from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from synth.boards.memory import OnChipMemory

CONFIG = PRESETS["tiny"]
MEMORY_BYTES = 1024
BEATS = 4
CYCLES = 400
Process = Callable[[Any], Coroutine[Any, Any, None]]


def simulate(memory: OnChipMemory, *processes: Process) -> None:
    simulator = Simulator(memory)
    simulator.add_clock(1e-8)
    for process in processes:
        simulator.add_testbench(process, background=process is not processes[-1])
    simulator.run()


def reads(memory: OnChipMemory, bursts: list[int]) -> Process:
    """Asks for bursts without a pause and always takes the beats; the cycles in which they were taken."""
    async def process(ctx: Any) -> None:
        ar, cycle = memory.memory.ar, 0
        ctx.set(memory.memory.r.ready, 1)
        ctx.set(ar.valid, 1)
        ctx.set(ar.payload.length, BEATS - 1)
        async for _, _, taken in ctx.tick().sample(ar.ready):
            if taken:
                bursts.append(cycle)
            cycle += 1
    return process


def writes(memory: OnChipMemory, bursts: list[int]) -> Process:
    async def process(ctx: Any) -> None:
        port, cycle, beat = memory.memory, 0, 0
        ctx.set(port.b.ready, 1)
        ctx.set(port.aw.valid, 1)
        ctx.set(port.aw.payload.length, BEATS - 1)
        ctx.set(port.w.valid, 1)
        async for _, _, taken, moved in ctx.tick().sample(port.aw.ready, port.w.ready):
            if taken:
                bursts.append(cycle)
            beat = (beat + moved) % BEATS
            ctx.set(port.w.payload.last, beat == BEATS - 1)
            cycle += 1
    return process


def host(memory: OnChipMemory, write: bool, words: list[int]) -> Process:
    """Always has a word to read or write; the cycles in which they were taken."""
    async def process(ctx: Any) -> None:
        ctx.set(memory.i_host.valid, 1)
        ctx.set(memory.i_host.payload.write, write)
        ctx.set(memory.i_host.payload.address, MEMORY_BYTES // 2)
        for cycle in range(CYCLES):
            _, _, taken = await ctx.tick().sample(memory.i_host.ready)
            if taken:
                words.append(cycle)
    return process


async def nobody(ctx: Any) -> None:
    await ctx.tick().repeat(CYCLES)


@pytest.mark.parametrize("bursts_of, write", [(reads, False), (writes, True)], ids=["read", "write"])
def test_a_host_s_words_and_bursts_take_turns_while_both_always_have_more(
        bursts_of: Callable[[OnChipMemory, list[int]], Process], write: bool) -> None:
    memory = OnChipMemory(CONFIG, MEMORY_BYTES)
    bursts: list[int] = []
    words: list[int] = []
    simulate(memory, bursts_of(memory, bursts), host(memory, write, words))
    assert len(words) > CYCLES // 20 and len(bursts) > CYCLES // 20
    assert abs(len(words) - len(bursts)) <= 2
    for first, second in pairwise(words):
        assert sum(first < burst <= second for burst in bursts) <= 2


@pytest.mark.parametrize("bursts_of, period", [(reads, BEATS + 1), (writes, BEATS + 2)],
                         ids=["read", "write"])
def test_without_a_host_bursts_follow_each_other_in_as_many_cycles_as_ever(
        bursts_of: Callable[[OnChipMemory, list[int]], Process], period: int) -> None:
    memory = OnChipMemory(CONFIG, MEMORY_BYTES)
    bursts: list[int] = []
    simulate(memory, bursts_of(memory, bursts), nobody)
    assert bursts == list(range(0, CYCLES, period))[:len(bursts)] and len(bursts) >= CYCLES // period
