"""What every stage of a drain chain must do, as checks for the tests of each kind."""

import random
from collections.abc import Mapping
from functools import reduce
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from sim.models.chain import as_words, merged, merged_words, random_row, read_rows, sums_of
from tests.harness import run_block

__all__ = ["OVERFLOWS", "RATES", "SIDES_VALID", "STAGE_CONFIG", "check_chain", "check_merging",
           "check_overflow", "full_rows", "word_cycles"]

STAGE_CONFIG = PRESETS["tiny"]
RATES = pytest.mark.parametrize(("gap", "stall"), [(0, 0), (0.3, 0), (0, 0.5), (0.4, 0.4)])

LARGEST, LOWEST = (1 << 31) - 1, -1 << 31
OVERFLOWS = pytest.mark.parametrize("own, up, wraps", [
    (LARGEST, 0, 0), (LARGEST, 1, 1), (LARGEST, -1, 0), (LOWEST, 0, 0), (LOWEST, -1, 1), (LOWEST, LARGEST, 0),
    (1 << 30, 1 << 30, 1), (1 << 30, (1 << 30) - 1, 0), (-1 << 30, -1 << 30, 0), (LOWEST, LOWEST, 1)])
SIDES_VALID = pytest.mark.parametrize("valid", [(1, 1), (1, 0), (0, 1), (0, 0)])


def check_merging(dut: Any, seed: int, gap: float, stall: float) -> None:
    """Rows by chance of both sides are merged word by word."""
    _check_rows(dut, ["i_own", "i_up"], seed, gap, stall)


def check_chain(dut: Any, seed: int, gap: float, stall: float) -> None:
    """The same of all inputs of a chain."""
    _check_rows(dut, [f"i.{number}" for number in range(len(dut.i))], seed, gap, stall)


def _check_rows(dut: Any, inputs: list[str], seed: int, gap: float, stall: float) -> None:
    config, rng = STAGE_CONFIG, random.Random(seed)
    words = rng.choice((1, 3, 8))
    sides = [[random_row(config, rng, words) for _ in range(60)] for _ in inputs]
    rows_of_all = list(zip(*sides, strict=True))
    expected = [merged(config, [], [word for row in rows for word in row]) for rows in rows_of_all]
    total = sum(len(reduce(lambda up, own: merged_words(config, own, up), reversed(rows)))
                for rows in rows_of_all)
    result = run_block(dut, {name: as_words(config, side) for name, side in zip(inputs, sides, strict=True)},
                       {"o": total}, seed=seed, gap=gap, stall=stall)
    rows = read_rows(result["o"])
    assert len(rows) == 60
    for row, sums in zip(rows, expected, strict=True):
        assert sums_of(config, row) == sums


def check_overflow(dut: Any, own: int, up: int, wraps: int, valid: tuple[int, int]) -> None:
    """Three words of each side, of which one lane may wrap: it is told of each, once."""
    seen, lane = [], 2

    async def watch(ctx) -> None:
        while True:
            _, _, overflow = await ctx.tick().sample(dut.o_overflow)
            seen.append(overflow)

    def word(value: int, there: int) -> dict:
        return {"word": 0, "valid": (there << lane) | 1, "last": 1,
                "data": [5, 0, value, 0]}

    run_block(dut, {"i_own": [word(own, valid[0])] * 3, "i_up": [word(up, valid[1])] * 3}, {"o": 3},
              processes=[watch])
    assert sum(seen) == 3 * wraps * (valid == (1, 1))


def full_rows(words: range, count: int = 20) -> list[list[tuple]]:
    """Rows of these words, with sums in all lanes."""
    return [[(word, 15, [1, 2, 3, 4]) for word in words] for _ in range(count)]


def word_cycles(dut: Any, feeds: Mapping[str, list[list[tuple]]], count: int) -> list[int]:
    """The cycles in which words leave that are never made to wait; the first word comes in cycle 1."""
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    taken: list[int] = []

    def feed(path: str, rows: list[list[tuple]]):
        async def process(ctx):
            name, *index = path.split(".")
            port = getattr(dut, name)[int(index[0])] if index else getattr(dut, name)
            for item in as_words(STAGE_CONFIG, rows):
                ctx.set(port.payload, item)
                ctx.set(port.valid, 1)
                await ctx.tick().until(port.ready)
            ctx.set(port.valid, 0)
        return process

    async def take(ctx):
        ctx.set(dut.o.ready, 1)
        cycle = 0
        while len(taken) < count:
            _, _, valid = await ctx.tick().sample(dut.o.valid)
            cycle += 1
            if valid:
                taken.append(cycle)
            assert cycle < 1000

    for path, rows in feeds.items():
        simulator.add_testbench(feed(path, rows), background=True)
    simulator.add_testbench(take)
    simulator.run()
    return taken
