"""hdl.serial_queue: words in order, and what is said of how many there are."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.emit import emit_verilog
from hdl.serial_queue import QUEUE_WORDS, SerialQueue

SPARE = 64


class Board:
    """A queue on its own; `words` are in it, as a list."""

    def __init__(self, ctx: Any, dut: SerialQueue):
        self.ctx, self.dut = ctx, dut
        self.words: list[int] = []

    async def cycle(self, write: int | None = None, pop: bool = False, clear: bool = False) -> dict[str, int]:
        """Let one happen with these inputs; the outputs in it. What is popped must be the oldest word."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.i_write, write is not None)
        ctx.set(dut.i_data, 0xDEAD_BEEF if write is None else write)
        ctx.set(dut.i_clear, clear)
        # Only the head may be taken.
        pop = pop and bool(ctx.get(dut.o_valid))
        ctx.set(dut.i_pop, pop)
        names = ("o_data", "o_valid", "o_empty", "o_room", "o_taken")
        _, _, *values = await ctx.tick().sample(*(getattr(dut, name) for name in names))
        seen = dict(zip(names, values, strict=True))
        if seen["o_valid"]:
            assert self.words and seen["o_data"] == self.words[0]
        if pop:
            self.words.pop(0)
        if write is not None:
            self.words.append(write)
        if clear:
            self.words = []
        return seen

    async def fill(self, count: int) -> None:
        for _ in range(count):
            await self.cycle(write=len(self.words) * 0x0101_0101)


def run(body: Callable, spare_words: int = SPARE) -> None:
    dut = SerialQueue(spare_words)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx: Any) -> None:
        await body(Board(ctx, dut))

    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("seed", range(6))
def test_words_leave_in_order_whenever_they_come_and_are_taken(seed: int) -> None:
    rng = random.Random(seed)

    async def body(board: Board) -> None:
        taken, busy = 0, 0.5
        for cycle in range(1500):
            if cycle % 100 == 0:
                busy = rng.choice([0.0, 0.1, 0.5, 0.9, 1.0])
            writes = rng.random() < busy and len(board.words) < QUEUE_WORDS - 1
            before = len(board.words)
            seen = await board.cycle(write=rng.getrandbits(32) if writes else None, pop=rng.random() > busy)
            assert seen["o_empty"] == (before == 0)
            assert seen["o_taken"] == taken % QUEUE_WORDS
            taken += before + writes - len(board.words)
        assert taken > 300
        while board.words:
            await board.cycle(pop=True)
        for _ in range(5):
            assert not (await board.cycle(pop=True))["o_valid"], "a word that has not come"
    run(body)


def test_a_word_is_at_the_head_two_cycles_after_it_came() -> None:
    async def body(board: Board) -> None:
        for number in range(3):
            assert not (await board.cycle(write=number))["o_valid"]
            assert not (await board.cycle())["o_valid"]
            assert (await board.cycle(pop=True))["o_valid"]
            assert not (await board.cycle())["o_valid"]
    run(body)


def test_a_word_goes_in_and_another_one_out_each_cycle() -> None:
    async def body(board: Board) -> None:
        await board.fill(2)
        for number in range(2 * QUEUE_WORDS):
            seen = await board.cycle(write=number, pop=True)
            assert seen["o_valid"]
    run(body)


def test_a_head_that_is_not_taken_stays() -> None:
    async def body(board: Board) -> None:
        await board.fill(3)
        for number in range(20):
            assert (await board.cycle(write=number if number % 3 else None))["o_valid"]
    run(body)


def test_it_holds_one_word_less_than_its_memory() -> None:
    async def body(board: Board) -> None:
        await board.fill(QUEUE_WORDS - 1)
        assert not (await board.cycle())["o_empty"]
        for _ in range(QUEUE_WORDS - 1):
            assert (await board.cycle(pop=True))["o_valid"]
        assert not board.words and (await board.cycle())["o_empty"]
    run(body)


def test_a_word_on_its_way_to_the_head_is_there() -> None:
    async def body(board: Board) -> None:
        assert (await board.cycle(write=7))["o_empty"]
        seen = await board.cycle()
        assert not seen["o_empty"] and not seen["o_valid"]
    run(body)


@pytest.mark.parametrize("spare_words", [16, 64, 128])
def test_room_is_told_from_a_cycle_after_it_is_there(spare_words: int) -> None:
    rng = random.Random(spare_words)

    async def body(board: Board) -> None:
        seen_room, level = set(), 0
        for cycle in range(1200):
            up = cycle // 300 % 2 == 0
            before, level = level, len(board.words)
            writes = rng.random() < (0.9 if up else 0.2) and level < QUEUE_WORDS - 1
            seen = await board.cycle(write=cycle if writes else None, pop=rng.random() < (0.2 if up else 0.9))
            if cycle:
                # One place is never filled.
                assert seen["o_room"] == (before + spare_words < QUEUE_WORDS), before
            seen_room.add(seen["o_room"])
        assert seen_room == {0, 1}
    run(body, spare_words)


@pytest.mark.parametrize("count", [1, 2, 3, 100, QUEUE_WORDS - 1])
@pytest.mark.parametrize("popped", [0, 1, 2])
def test_nothing_is_left_of_words_that_are_cleared(popped: int, count: int) -> None:
    async def body(board: Board) -> None:
        await board.fill(count)
        for _ in range(popped):
            await board.cycle(pop=True)
        await board.cycle(clear=True)
        for _ in range(4):
            seen = await board.cycle(pop=True)
            assert (seen["o_valid"], seen["o_empty"], seen["o_taken"]) == (0, 1, 0)
        assert seen["o_room"]
        await board.cycle(write=0x1234)
        for _ in range(3):
            seen = await board.cycle(pop=True)
        assert not board.words and seen["o_taken"] == 1
    run(body)


def test_the_head_is_not_there_in_the_cycle_after_it_was_cleared() -> None:
    async def body(board: Board) -> None:
        await board.fill(5)
        await board.cycle()
        assert (await board.cycle(clear=True))["o_valid"]
        assert not (await board.cycle())["o_valid"]
    run(body)


def test_it_converts_to_verilog() -> None:
    assert "module block" in emit_verilog(SerialQueue(SPARE), "block")
