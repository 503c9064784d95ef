"""synth.boards.halved_words: a word in two halves is whole when it is looked at."""

import random
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.emit import emit_rtlil
from synth.boards.halved_words import HalvedWords

WORDS = 16
STEPS = 300
LATENCY = 3
"""Cycles from the first of a new address to that in which its word is there, both counted."""


@pytest.mark.parametrize("seed", range(3))
def test_a_word_is_whole_from_the_third_cycle_of_its_address_on(seed: int) -> None:
    rng, memory = random.Random(seed), HalvedWords(WORDS)
    held: dict[int, int] = {}

    async def store(ctx: Any, place: int) -> None:
        held[place] = rng.getrandbits(32)
        ctx.set(memory.store.addr, place)
        ctx.set(memory.store.data, held[place])
        ctx.set(memory.store.en, 1)
        await ctx.tick()
        # The second half does not need what brought it any more.
        ctx.set(memory.store.addr, rng.randrange(WORDS))
        ctx.set(memory.store.data, rng.getrandbits(32))
        ctx.set(memory.store.en, 0)
        await ctx.tick()

    async def bench(ctx: Any) -> None:
        ctx.set(memory.load.en, 1)
        for place in range(WORDS):
            await store(ctx, place)
        loaded = 0
        for _ in range(STEPS):
            if rng.random() < 0.3:
                await store(ctx, rng.choice([place for place in range(WORDS) if place != loaded]))
            loaded = (loaded + rng.randrange(1, WORDS)) % WORDS
            ctx.set(memory.load.addr, loaded)
            await ctx.tick().repeat(LATENCY - 1)
            for _ in range(rng.randint(1, 4)):
                assert ctx.get(memory.load.data) == held[loaded]
                await ctx.tick()

    simulator = Simulator(memory)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_word_s_halves_lie_one_behind_the_other_in_a_memory_of_16_bits() -> None:
    text, = emit_rtlil(HalvedWords(64), "top", "ice40")
    assert "memory width 16 size 128" in text
