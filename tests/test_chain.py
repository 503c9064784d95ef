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


@pytest.mark.parametrize("name", ["tiny", "base", "large"])
def test_it_converts_to_verilog(name: str) -> None:
    assert "module" in emit_verilog(ChainStage(PRESETS[name]), "stage")
    assert "module" in emit_verilog(ChainStage(PRESETS[name], cuts=True), "stage")
