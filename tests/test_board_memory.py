"""synth.boards.memory: bursts back to back, a host's words between them, what one port does not let meet."""

import random
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS, Config
from synth.boards.memory import OnChipMemory

TINY, MICRO = PRESETS["tiny"], PRESETS["micro"]
MEMORY_BYTES = 1024
BEATS = 4
CYCLES = 400
BEAT_BYTES = 4
OKAY, DECERR = 0, 3
Process = Callable[[Any], Coroutine[Any, Any, None]]

both_kinds = pytest.mark.parametrize("config", [TINY, MICRO], ids=["two ports", "one port"])


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


@both_kinds
@pytest.mark.parametrize("bursts_of, write", [(reads, False), (writes, True)], ids=["read", "write"])
def test_a_host_s_words_and_bursts_take_turns_while_both_always_have_more(
        bursts_of: Callable[[OnChipMemory, list[int]], Process], write: bool, config: Config) -> None:
    memory = OnChipMemory(config, MEMORY_BYTES)
    bursts: list[int] = []
    words: list[int] = []
    simulate(memory, bursts_of(memory, bursts), host(memory, write, words))
    assert len(words) > CYCLES // 20 and len(bursts) > CYCLES // 20
    assert abs(len(words) - len(bursts)) <= 2
    for first, second in pairwise(words):
        assert sum(first < burst <= second for burst in bursts) <= 2


@both_kinds
@pytest.mark.parametrize("bursts_of, period", [(reads, BEATS + 1), (writes, BEATS + 2)],
                         ids=["read", "write"])
def test_without_a_host_bursts_follow_each_other_in_as_many_cycles_as_ever(
        bursts_of: Callable[[OnChipMemory, list[int]], Process], period: int, config: Config) -> None:
    memory = OnChipMemory(config, MEMORY_BYTES)
    bursts: list[int] = []
    simulate(memory, bursts_of(memory, bursts), nobody)
    assert bursts == list(range(0, CYCLES, period))[:len(bursts)] and len(bursts) >= CYCLES // period


# ---- what is in the memory ----


WORDS = MEMORY_BYTES // BEAT_BYTES
BURSTS_OWN, QUIET, HOSTS_OWN = range(0, 64), range(64, 128), range(128, WORDS)
"""Words that only bursts write, that nobody does while others are, and that only the host does: what is read
does not depend on when it is."""
ROUNDS = 40


class Traffic:
    """Bursts both ways and a host's words, all at once, with gaps; what is read is compared.

    Attributes
    ----------
    held : words by their number, as written
    """

    def __init__(self, memory: OnChipMemory, seed: int):
        self.memory, self._seed = memory, seed
        self.held: dict[int, int] = {}

    def _random(self, name: str) -> random.Random:
        return random.Random(f"{name} {self._seed}")

    async def _pause(self, ctx: Any, rng: random.Random) -> None:
        while rng.random() < 0.4:
            await ctx.tick()

    async def write(self, ctx: Any, rng: random.Random, first: int, count: int, sparse: bool) -> int:
        """A burst; what it is answered with."""
        port = self.memory.memory
        ctx.set(port.aw.payload, {"id": 1, "address": BEAT_BYTES * first, "length": count - 1})
        ctx.set(port.aw.valid, 1)
        await ctx.tick().until(port.aw.ready)
        ctx.set(port.aw.valid, 0)
        for word in range(first, first + count):
            await self._pause(ctx, rng)
            data, strobe = rng.getrandbits(32), rng.randrange(16) if sparse else 15
            ctx.set(port.w.payload, {"data": data, "strobe": strobe, "last": word == first + count - 1})
            ctx.set(port.w.valid, 1)
            await ctx.tick().until(port.w.ready)
            ctx.set(port.w.valid, 0)
            mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
            self.held[word] = self.held.get(word, 0) & ~mask | data & mask
        await self._pause(ctx, rng)
        ctx.set(port.b.ready, 1)
        answer, = await ctx.tick().sample(port.b.payload.response).until(port.b.valid)
        ctx.set(port.b.ready, 0)
        return answer

    async def read(self, ctx: Any, rng: random.Random, first: int, count: int) -> list[tuple[int, int]]:
        """A burst's words and what each is answered with."""
        port, found = self.memory.memory, []
        ctx.set(port.ar.payload, {"id": 2, "address": BEAT_BYTES * first, "length": count - 1})
        ctx.set(port.ar.valid, 1)
        await ctx.tick().until(port.ar.ready)
        ctx.set(port.ar.valid, 0)
        for beat in range(count):
            await self._pause(ctx, rng)
            ctx.set(port.r.ready, 1)
            data, answer, last = await ctx.tick().sample(
                port.r.payload.data, port.r.payload.response, port.r.payload.last).until(port.r.valid)
            ctx.set(port.r.ready, 0)
            assert last == (beat == count - 1)
            found.append((data, answer))
        return found

    async def access(self, ctx: Any, word: int, data: int | None = None) -> tuple[int, int]:
        """The host's, with data a write; word read, and whether it exists."""
        memory = self.memory
        ctx.set(memory.i_host.payload, {"write": data is not None, "address": BEAT_BYTES * word,
                                        "data": data or 0})
        ctx.set(memory.i_host.valid, 1)
        await ctx.tick().until(memory.i_host.ready)
        ctx.set(memory.i_host.valid, 0)
        found, exists = await ctx.tick().sample(
            memory.o_host.payload.data, memory.o_host.payload.exists).until(memory.o_host.valid)
        if data is not None:
            self.held[word] = data
        return found, exists

    def _burst(self, rng: random.Random, words: range) -> tuple[int, int]:
        count = rng.randint(1, 16)
        return rng.randrange(words.start, words.stop - count + 1), count

    async def _bursts(self, ctx: Any, rng: random.Random, write: bool) -> None:
        for _ in range(ROUNDS):
            await self._pause(ctx, rng)
            first, count = self._burst(rng, BURSTS_OWN if write else QUIET)
            if write:
                assert await self.write(ctx, rng, first, count, sparse=True) == OKAY
            else:
                assert await self.read(ctx, rng, first, count) == [
                    (self.held[word], OKAY) for word in range(first, first + count)]

    async def _host(self, ctx: Any, rng: random.Random) -> None:
        for _ in range(ROUNDS):
            await self._pause(ctx, rng)
            word = rng.choice(HOSTS_OWN)
            await self.access(ctx, word, rng.getrandbits(32))
            for read in (word, rng.choice(QUIET)):
                await self._pause(ctx, rng)
                assert await self.access(ctx, read) == (self.held[read], 1)

    def run(self) -> None:
        """Fill the memory, let all three work at once, compare every word."""
        started, done = list[bool](), list[bool]()

        def bursts(write: bool) -> Process:
            async def process(ctx: Any) -> None:
                while not started:
                    await ctx.tick()
                await self._bursts(ctx, self._random(f"write {write}"), write)
                done.append(write)
            return process

        async def main(ctx: Any) -> None:
            rng = self._random("main")
            for word in range(WORDS):
                await self.access(ctx, word, rng.getrandbits(32))
            started.append(True)
            await self._host(ctx, rng)
            while len(done) < 2:
                await ctx.tick()
            for first in range(0, WORDS, 16):
                assert await self.read(ctx, rng, first, 16) == [
                    (self.held[word], OKAY) for word in range(first, first + 16)]

        simulate(self.memory, bursts(True), bursts(False), main)


@both_kinds
@pytest.mark.parametrize("seed", range(4))
def test_what_is_read_is_what_was_written_while_bursts_and_a_host_want_the_memory_at_once(
        config: Config, seed: int) -> None:
    Traffic(OnChipMemory(config, MEMORY_BYTES), seed).run()


@both_kinds
def test_words_past_the_end_are_answered_as_such_and_not_written(config: Config) -> None:
    memory = OnChipMemory(config, MEMORY_BYTES)
    traffic, rng = Traffic(memory, 0), random.Random(0)

    async def bench(ctx: Any) -> None:
        for word in range(16):
            await traffic.access(ctx, word, word + 1)
        assert await traffic.write(ctx, rng, WORDS - 2, 4, sparse=False) == DECERR
        for word, data in ((WORDS, 7), (WORDS, None), (2 * WORDS, None)):
            _, exists = await traffic.access(ctx, word, data)
            assert not exists
        words, answers = zip(*await traffic.read(ctx, rng, WORDS - 2, 4), strict=True)
        assert answers == (OKAY, OKAY, DECERR, DECERR)
        assert words[:2] == (traffic.held[WORDS - 2], traffic.held[WORDS - 1])
        for first in (WORDS, 2 * WORDS - 2, 5 * WORDS):
            assert await traffic.write(ctx, rng, first, 4, sparse=False) == DECERR
            assert [answer for _, answer in await traffic.read(ctx, rng, first, 4)] == [DECERR] * 4
        for word in range(16):
            assert await traffic.access(ctx, word) == (word + 1, 1)

    simulate(memory, bench)


@both_kinds
@pytest.mark.parametrize("seed", range(2))
def test_an_answer_has_the_id_of_its_burst_though_the_next_one_is_asked_for_already(config: Config,
                                                                                    seed: int) -> None:
    memory, rng = OnChipMemory(config, MEMORY_BYTES), random.Random(seed)
    port, ids = memory.memory, list(range(1, 13))
    answered: dict[str, list[int]] = {"r": [], "b": []}

    def ask(channel: Any) -> Process:
        async def process(ctx: Any) -> None:
            for number in ids:
                ctx.set(channel.payload, {"id": number, "address": 0, "length": 1})
                ctx.set(channel.valid, 1)
                await ctx.tick().until(channel.ready)
            ctx.set(channel.valid, 0)
        return process

    async def give(ctx: Any) -> None:
        ctx.set(port.w.valid, 1)
        for beat in range(2 * len(ids)):
            ctx.set(port.w.payload, {"data": 0, "strobe": 0, "last": beat % 2})
            await ctx.tick().until(port.w.ready)

    async def take(ctx: Any) -> None:
        while len(answered["r"]) < 2 * len(ids) or len(answered["b"]) < len(ids):
            ready = rng.random() < 0.3
            ctx.set(port.r.ready, ready)
            ctx.set(port.b.ready, ready)
            _, _, *found = await ctx.tick().sample(port.r.valid, port.r.payload.id, port.b.valid,
                                                   port.b.payload.id)
            for name, valid, number in (("r", *found[:2]), ("b", *found[2:])):
                if ready and valid:
                    answered[name].append(number)

    simulate(memory, ask(port.ar), ask(port.aw), give, take)
    assert answered == {"r": [number for number in ids for _ in range(2)], "b": ids}


@both_kinds
def test_a_host_s_word_to_write_that_waits_for_a_burst_does_not_keep_others_from_reading(
        config: Config) -> None:
    memory = OnChipMemory(config, MEMORY_BYTES)
    bursts: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(memory.memory.aw.valid, 1)
        ctx.set(memory.memory.aw.payload.length, BEATS - 1)
        await ctx.tick().until(memory.memory.aw.ready)
        ctx.set(memory.memory.aw.valid, 0)
        words: list[int] = []
        await host(memory, True, words)(ctx)
        assert not words     # no beat of the burst has come

    simulate(memory, reads(memory, bursts), bench)
    assert bursts[:CYCLES // (BEATS + 1)] == list(range(0, CYCLES, BEATS + 1))


# ---- one port ----


class Wires:
    """A memory whose channels are set by hand, cycle by cycle: a read and a write burst of 16 beats each have
    begun, and a host may want a word."""

    def __init__(self, config: Config):
        self.memory = OnChipMemory(config, MEMORY_BYTES)

    async def begin(self, ctx: Any) -> None:
        port = self.memory.memory
        for word in range(32):
            await Traffic(self.memory, 0).access(ctx, word, 0x1000 + word)
        for channel, first in ((port.ar, 0), (port.aw, 16)):
            ctx.set(channel.payload, {"id": 0, "address": BEAT_BYTES * first, "length": 15})
            ctx.set(channel.valid, 1)
        await ctx.tick().until(port.ar.ready & port.aw.ready)
        ctx.set(port.ar.valid, 0)
        ctx.set(port.aw.valid, 0)
        ctx.set(port.w.payload, {"data": 0xFFFF_FFFF, "strobe": 15, "last": 0})

    def host_wants(self, ctx: Any, write: bool, word: int) -> None:
        ctx.set(self.memory.i_host.payload, {"write": write, "address": BEAT_BYTES * word, "data": 5})
        ctx.set(self.memory.i_host.valid, 1)

    async def cycle(self, ctx: Any, *, w: bool = False, r: bool = True) -> tuple[bool, bool, bool]:
        """Whether a beat was written, one was there to be read, and the host's word taken."""
        port = self.memory.memory
        ctx.set(port.w.valid, w)
        ctx.set(port.r.ready, r)
        _, _, written, read, taken = await ctx.tick().sample(
            port.w.ready & port.w.valid, port.r.valid, self.memory.i_host.ready & self.memory.i_host.valid)
        if taken:
            ctx.set(self.memory.i_host.valid, 0)
        return bool(written), bool(read), bool(taken)


def by_hand(config: Config, bench: Callable[[Any, Wires], Coroutine[Any, Any, None]]) -> None:
    wires = Wires(config)

    async def process(ctx: Any) -> None:
        await wires.begin(ctx)
        await bench(ctx, wires)

    simulate(wires.memory, process)


def test_two_ports_read_a_beat_and_write_one_in_each_cycle() -> None:
    async def bench(ctx: Any, wires: Wires) -> None:
        await wires.cycle(ctx, w=True)
        assert [await wires.cycle(ctx, w=True) for _ in range(10)] == [(True, True, False)] * 10

    by_hand(TINY, bench)


def test_one_port_writes_a_beat_a_cycle_and_reads_none_in_these_cycles() -> None:
    async def bench(ctx: Any, wires: Wires) -> None:
        assert [await wires.cycle(ctx, w=True) for _ in range(8)] == [(True, False, False)] * 8
        # What is issued in a cycle without a write is there in the next one.
        await wires.cycle(ctx)
        assert await wires.cycle(ctx) == (False, True, False)

    by_hand(MICRO, bench)


@pytest.mark.parametrize("seed", range(3))
def test_one_port_reads_a_beat_in_each_cycle_in_which_none_is_written(seed: int) -> None:
    rng = random.Random(seed)

    async def bench(ctx: Any, wires: Wires) -> None:
        issued = False
        for _ in range(14):
            writes = rng.random() < 0.5
            assert await wires.cycle(ctx, w=writes) == (writes, issued, False)
            issued = not writes

    by_hand(MICRO, bench)


@pytest.mark.parametrize("waits", [1, 2, 9])
def test_one_port_writes_no_beat_while_one_that_was_read_is_not_taken(waits: int) -> None:
    async def bench(ctx: Any, wires: Wires) -> None:
        await wires.cycle(ctx, r=False)
        for _ in range(waits):
            assert await wires.cycle(ctx, w=True, r=False) == (False, True, False)
            assert ctx.get(wires.memory.memory.r.payload.data) == 0x1000
        assert await wires.cycle(ctx, w=True, r=True) == (True, True, False)

    by_hand(MICRO, bench)


@pytest.mark.parametrize("waits", [1, 2, 9])
def test_one_port_takes_no_host_s_word_to_write_while_a_beat_that_was_read_is_not_taken(waits: int) -> None:
    async def bench(ctx: Any, wires: Wires) -> None:
        for _ in range(15):
            await wires.cycle(ctx, w=True)
        ctx.set(wires.memory.memory.w.payload.last, 1)
        await wires.cycle(ctx, w=True)
        # The burst's writes are done, so that the host's words are only kept from it by the beat that waits.
        await wires.cycle(ctx, r=False)
        wires.host_wants(ctx, write=True, word=20)
        for _ in range(waits):
            assert await wires.cycle(ctx, r=False) == (False, True, False)
        assert await wires.cycle(ctx) == (False, True, True)
        assert await wires.cycle(ctx) == (False, False, False)   # nor is one read while the word is written

    by_hand(MICRO, bench)


def test_one_port_reads_no_host_s_word_in_a_cycle_in_which_a_beat_is_written() -> None:
    async def bench(ctx: Any, wires: Wires) -> None:
        for _ in range(17):
            await wires.cycle(ctx)
        wires.host_wants(ctx, write=False, word=3)
        for _ in range(8):
            assert await wires.cycle(ctx, w=True) == (True, False, False)
        assert await wires.cycle(ctx) == (False, False, True)
        assert ctx.get(wires.memory.o_host.valid) and ctx.get(wires.memory.o_host.payload.data) == 0x1003

    by_hand(MICRO, bench)
