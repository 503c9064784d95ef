"""synth.boards.top: a board begins when its clock generator says that the clock is good, and not before."""

import random
import struct
from typing import Any

import pytest
from amaranth.hdl import ClockSignal, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hdl.config import Config
from hdl.registers import ID_VALUE, register
from synth.boards import top
from synth.boards.protocol import SYNC_COMMAND, Info, Operation, crc
from synth.boards.top import BoardTop
from tests.reduced import REDUCED

CLOCK_HZ = 400_000
CYCLE = 1 / CLOCK_HZ
BIT_CYCLES = 4
MEMORY_BYTES = 1024
RELEASE_CYCLES = 4
"""In which a reset ends, at most, of a clock that is good."""
MOST_CYCLES = 5000
"""Of any bench here: one that waits for what never comes ends."""


class LateGenerator:
    """In a clock generator's place: its clock runs from the beginning, and is good when the test says so."""

    output_hz = vco_hz = CLOCK_HZ

    def __init__(self) -> None:
        self.locked = Signal()

    def add(self, m: Module, clock: Value) -> Value:
        m.d.comb += ClockSignal().eq(clock)
        return self.locked


class ShownReset(wiring.Component):
    """In a board system's place: has the interrupt while it is in reset."""

    def __init__(self, config: Config, memory_bytes: int, clock_hz: int, baud: int):
        super().__init__({"rx": In(1), "tx": Out(1), "irq": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.irq.eq(ResetSignal())
        return m


def simulate(bench: Any) -> None:
    """A board at whose clock pin there is a clock; `bench` is given it and its generator's `locked`."""
    generator = LateGenerator()
    board = BoardTop(REDUCED, MEMORY_BYTES, CLOCK_HZ // BIT_CYCLES, generator, led_lit=1)

    async def oscillator(ctx: Any) -> None:
        for _ in range(MOST_CYCLES):
            for level in (1, 0):
                ctx.set(board.clock, level)
                await ctx.delay(CYCLE / 2)
        raise TimeoutError(f"the bench still waits after {MOST_CYCLES} cycles")

    async def testbench(ctx: Any) -> None:
        await bench(ctx, board, generator.locked)

    simulator = Simulator(board)
    simulator.add_testbench(oscillator, background=True)
    simulator.add_testbench(testbench)
    simulator.run()


async def resets(ctx: Any, board: BoardTop, cycles: int) -> set[int]:
    """Levels that the reset has, or what shows it, in so many cycles."""
    levels = set()
    for _ in range(4 * cycles):
        levels.add(ctx.get(board.led))
        await ctx.delay(CYCLE / 4)
    return levels


@pytest.fixture
def shown_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "BoardSystem", ShownReset)


@pytest.mark.usefixtures("shown_reset")
@pytest.mark.parametrize("seed", range(4))
def test_the_reset_lasts_until_the_clock_is_good_and_ends_then(seed: int) -> None:
    rng = random.Random(seed)

    async def bench(ctx: Any, board: BoardTop, locked: Signal) -> None:
        await ctx.delay(rng.random() * CYCLE)
        assert await resets(ctx, board, rng.randint(20, 60)) == {1}
        ctx.set(locked, 1)
        await ctx.delay(RELEASE_CYCLES * CYCLE)
        assert await resets(ctx, board, 50) == {0}

    simulate(bench)


@pytest.mark.usefixtures("shown_reset")
@pytest.mark.parametrize("seed", range(4))
def test_a_clock_that_is_good_no_more_resets_the_board_again(seed: int) -> None:
    rng = random.Random(seed)

    async def bench(ctx: Any, board: BoardTop, locked: Signal) -> None:
        for _ in range(3):
            ctx.set(locked, 1)
            await ctx.delay((RELEASE_CYCLES + 10 + rng.random()) * CYCLE)
            assert ctx.get(board.led) == 0
            ctx.set(locked, 0)
            assert await resets(ctx, board, 20) == {1}

    simulate(bench)


@pytest.mark.usefixtures("shown_reset")
@pytest.mark.parametrize("seed", range(4))
def test_the_reset_ends_with_an_edge_of_the_clock(seed: int) -> None:
    rng = random.Random(seed)

    async def bench(ctx: Any, board: BoardTop, locked: Signal) -> None:
        await ctx.delay((10 + rng.random()) * CYCLE)
        ctx.set(locked, 1)
        await ctx.negedge(board.led)
        # The clock has just risen: it stays high for half a cycle from here.
        await ctx.delay(0.49 * CYCLE)
        assert ctx.get(board.clock) == 1
        await ctx.delay(0.02 * CYCLE)
        assert ctx.get(board.clock) == 0

    simulate(bench)


def command(sequence: int, operation: Operation, words: int, address: int) -> bytes:
    body = struct.pack("<BBBI", sequence, operation, words, address)
    return bytes([SYNC_COMMAND]) + body + struct.pack(">H", crc(body))


class Line:
    """The host's end of a board's serial pins."""

    def __init__(self, board: BoardTop):
        self._board = board

    async def say(self, ctx: Any, frame: bytes) -> None:
        for byte in frame:
            for bit in (0, *(byte >> place & 1 for place in range(8)), 1):
                ctx.set(self._board.rx, bit)
                await ctx.delay(BIT_CYCLES * CYCLE)

    async def hear(self, ctx: Any, words: int) -> list[int]:
        """The words of an answer that is to come."""
        answer = bytes([await self._byte(ctx) for _ in range(6 + 4 * words)])
        assert answer[-2:] == struct.pack(">H", crc(answer[1:-2]))
        return list(struct.unpack_from(f"<{words}I", answer, 4))

    async def _byte(self, ctx: Any) -> int:
        if ctx.get(self._board.tx):
            await ctx.negedge(self._board.tx)
        await ctx.delay(1.5 * BIT_CYCLES * CYCLE)
        byte = 0
        for place in range(8):
            byte |= ctx.get(self._board.tx) << place
            await ctx.delay(BIT_CYCLES * CYCLE)
        return byte


def test_a_board_is_deaf_and_dumb_until_its_clock_is_good_and_works_from_then_on() -> None:
    frame = command(1, Operation.READ_REGISTER, 1, register("ID").address)

    async def bench(ctx: Any, board: BoardTop, locked: Signal) -> None:
        line = Line(board)
        ctx.set(board.rx, 1)
        await line.say(ctx, frame)
        for _ in range(20 * BIT_CYCLES * len(frame)):
            assert ctx.get(board.tx) == 1
            await ctx.delay(CYCLE)
        ctx.set(locked, 1)
        await ctx.delay(RELEASE_CYCLES * CYCLE)
        await line.say(ctx, frame)
        assert await line.hear(ctx, 1) == [ID_VALUE]
        # What the board counts from its reset on, which was long after its clock began.
        await line.say(ctx, command(2, Operation.INFO, Info.CYCLES_LOW + 1, 0))
        cycles = (await line.hear(ctx, Info.CYCLES_LOW + 1))[Info.CYCLES_LOW]
        on_the_line = 10 * BIT_CYCLES * (len(frame) + 10 + len(frame))  # bits of command, answer, command
        assert on_the_line <= cycles <= on_the_line + 200

    simulate(bench)
