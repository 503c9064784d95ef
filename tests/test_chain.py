"""hdl.chain: rows of two sides become one row."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.chain import ChainStage
from hdl.config import PRESETS
from hdl.emit import emit_verilog
from sim.models.chain import as_words, merged, random_row, read_rows, sums_of, word_count
from tests.harness import run_block

CUTS = pytest.mark.parametrize("cuts", [False, True])


@pytest.mark.parametrize(("gap", "stall"), [(0, 0), (0.3, 0), (0, 0.5), (0.4, 0.4)])
@pytest.mark.parametrize("seed", range(4))
@CUTS
def test_rows_are_merged_word_by_word(cuts: bool, seed: int, gap: float, stall: float) -> None:
    config, rng = PRESETS["tiny"], random.Random(seed)
    words = rng.choice((1, 3, 8))
    sides = [[random_row(config, rng, words) for _ in range(60)] for _ in range(2)]
    expected = [merged(config, own, up) for own, up in zip(*sides, strict=True)]
    total = sum(word_count(own, up) for own, up in zip(*sides, strict=True))
    result = run_block(ChainStage(config, cuts=cuts),
                       {"i_own": as_words(config, sides[0]), "i_up": as_words(config, sides[1])},
                       {"o": total}, seed=seed, gap=gap, stall=stall)
    rows = read_rows(result["o"])
    assert len(rows) == 60
    for row, sums in zip(rows, expected, strict=True):
        assert sums_of(config, row) == sums


def cycles_for(own: list[list[tuple]], up: list[list[tuple]], count: int, cuts: bool) -> int:
    config, dut = PRESETS["tiny"], ChainStage(PRESETS["tiny"], cuts=cuts)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    taken = []

    def feed(port, rows):
        async def process(ctx):
            for item in as_words(config, rows):
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

    simulator.add_testbench(feed(dut.i_own, own), background=True)
    simulator.add_testbench(feed(dut.i_up, up), background=True)
    simulator.add_testbench(take)
    simulator.run()
    return taken[-1]


@CUTS
def test_equal_words_pass_one_a_cycle(cuts: bool) -> None:
    rows = [[(word, 15, [1, 2, 3, 4]) for word in range(5)] for _ in range(20)]
    assert cycles_for(rows, rows, 100, cuts) <= 100 + 2


@CUTS
def test_an_empty_row_costs_no_cycle_beside_words(cuts: bool) -> None:
    rows = [[(word, 15, [1, 2, 3, 4]) for word in range(5)] for _ in range(20)]
    assert cycles_for([[]] * 20, rows, 100, cuts) <= 100 + 2
    assert cycles_for(rows, [[]] * 20, 100, cuts) <= 100 + 2


@CUTS
def test_slices_pass_in_order_one_word_a_cycle(cuts: bool) -> None:
    own = [[(word, 15, [1, 2, 3, 4]) for word in range(2)] for _ in range(20)]
    up = [[(word, 15, [1, 2, 3, 4]) for word in range(2, 5)] for _ in range(20)]
    assert cycles_for(own, up, 100, cuts) <= 100 + 2


LARGEST, LOWEST = (1 << 31) - 1, -1 << 31


@pytest.mark.parametrize("own, up, wraps", [
    (LARGEST, 0, 0), (LARGEST, 1, 1), (LARGEST, -1, 0), (LOWEST, 0, 0), (LOWEST, -1, 1), (LOWEST, LARGEST, 0),
    (1 << 30, 1 << 30, 1), (1 << 30, (1 << 30) - 1, 0), (-1 << 30, -1 << 30, 0), (LOWEST, LOWEST, 1)])
@pytest.mark.parametrize("valid", [(1, 1), (1, 0), (0, 1)])
@CUTS
def test_overflow_is_told_where_two_valid_words_are_added(cuts: bool, own: int, up: int, wraps: int,
                                                          valid: tuple[int, int]) -> None:
    config, seen = PRESETS["tiny"], []
    dut, lane = ChainStage(config, cuts=cuts), 2

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


@pytest.mark.parametrize("name", ["tiny", "base", "large"])
def test_it_converts_to_verilog(name: str) -> None:
    assert "module" in emit_verilog(ChainStage(PRESETS[name]), "stage")
    assert "module" in emit_verilog(ChainStage(PRESETS[name], cuts=True), "stage")
