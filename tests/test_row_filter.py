"""hdl.row_filter: every token learns which PEs have something of its row of B."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.owner import owner_value
from hdl.row_filter import TILE_LAG_CYCLES, RowFilter
from tests.harness import as_python

CONFIG = replace(PRESETS["base"], index_rows=256, table_rows=128, row_filter=True)


@dataclass
class Tile:
    """A packed tile in one half: for each row k a bit for each PE that has an entry of it."""

    filled: list[int]
    pk_log2: int = 0
    half: int = 0
    whole: bool = False

    def row(self, k: int) -> int:
        return k >> self.pk_log2 << self.pk_log2 | owner_value(k, self.pk_log2)


def tile(rng: random.Random, rows: int, pk_log2: int = 0, half: int = 0, density: float = 0.5,
         whole: bool = False) -> Tile:
    filled = []
    for k in range(rows):
        owner = owner_value(k, pk_log2)
        filled.append(sum(1 << pe for pe in range(CONFIG.pes)
                          if pe % (1 << pk_log2) == owner and rng.random() < density))
    return Tile(filled, pk_log2, half, whole)


def beats_of(config: Config, rng: random.Random, rows: int, pk_log2: int, count: int) -> list[dict[str, Any]]:
    """Beats of tokens at random rows k, some masked out; `k` beside each for the model."""
    beats = []
    for number in range(count):
        ks = [rng.randrange(rows) for _ in range(config.beat_tokens)]
        ends = sorted(rng.randrange(config.beat_tokens + 1) for _ in range(rng.randrange(3)))
        beats.append({
            "k": ks,
            "tokens": [{"owner": owner_value(k, pk_log2), "address": k >> pk_log2, "part": 0,
                        "value": rng.randrange(-128, 128)} for k in ks],
            "mask": rng.choice((0, (1 << config.beat_tokens) - 1, rng.randrange(1 << config.beat_tokens))),
            "ends": [{"valid": 1, "position": end} for end in ends]
            + [{"valid": 0, "position": 0}] * (2 - len(ends)),
            "last": int(number == count - 1),
        })
    return beats


def run(tiles: Sequence[Tile], jobs: Sequence[tuple[Tile, int, list[dict[str, Any]]]], *, seed: int = 0,
        gap: float = 0.0, stall: float = 0.0) -> tuple[list[list[dict[str, Any]]], int]:
    """Load the tiles, then pass each job's beats, (tile, packed, beats); what came out of each, and the
    cycles of the last one."""
    dut, rng = RowFilter(CONFIG), random.Random(seed)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    results: list[list[dict[str, Any]]] = []
    took: list[dict[str, Any]] = []
    state = {"cycles": 0}

    async def load(ctx: Any) -> None:
        for one in tiles:
            ctx.set(dut.i_row.p, {"start": 1, "half": one.half, "whole": one.whole,
                                   "row": rng.randrange(256)})
            ctx.set(dut.i_row.valid, 1)
            await ctx.tick()
            lag = [0] * TILE_LAG_CYCLES
            for k, filled in enumerate(one.filled):
                while rng.random() < gap:
                    ctx.set(dut.i_row.valid, 0)
                    ctx.set(dut.i_filled, lag[0])
                    await ctx.tick()
                    lag = [*lag[1:], rng.randrange(256)]
                ctx.set(dut.i_row.p, {"start": 0, "half": one.half, "whole": one.whole,
                                       "row": one.row(k)})
                ctx.set(dut.i_row.valid, 1)
                ctx.set(dut.i_filled, lag[0])
                await ctx.tick()
                lag = [*lag[1:], filled]
            ctx.set(dut.i_row.valid, 0)
            for filled in lag:
                ctx.set(dut.i_filled, filled)
                await ctx.tick()

    async def take(ctx: Any) -> None:
        held = None
        while True:
            ready = rng.random() >= stall
            ctx.set(dut.o.ready, int(ready))
            _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            state["cycles"] += 1
            item = as_python(payload) if valid else None
            assert held is None or item == held, "payload changed while stalled"
            if item is not None and ready:
                took.append(item)
            held = item if not ready else None

    async def bench(ctx: Any) -> None:
        await load(ctx)
        for one, packed, beats in jobs:
            ctx.set(dut.i_job, {"pk_log2": one.pk_log2, "packed": packed, "half": one.half})
            ctx.set(dut.i_open, 0)
            await ctx.tick().repeat(2)
            ctx.set(dut.i_open, 1)
            start, state["cycles"] = len(took), 0
            for beat in beats:
                while rng.random() < gap:
                    await ctx.tick()
                ctx.set(dut.i.p, {name: value for name, value in beat.items() if name != "k"})
                ctx.set(dut.i.valid, 1)
                await ctx.tick().until(dut.i.ready)
                ctx.set(dut.i.valid, 0)
            while len(took) < start + len(beats):
                await ctx.tick()
                assert state["cycles"] < 20_000, "beats do not come"
            cycles = state["cycles"]
            # Behind the last beat nothing is taken, whatever is offered.
            ctx.set(dut.i.valid, 1)
            for _ in range(8):
                assert not ctx.get(dut.i.ready)
                await ctx.tick()
            ctx.set(dut.i.valid, 0)
            results.append(took[start:])
            state["job"] = cycles
        assert len(took) == sum(len(beats) for _, _, beats in jobs), "beats that nobody sent"

    simulator.add_testbench(take, background=True)
    simulator.add_testbench(bench)
    simulator.run()
    return results, state["job"]


def check(result: list[dict[str, Any]], beats: list[dict[str, Any]], filled: list[int] | None) -> None:
    """Beats are as they were; wanted PEs as the tile has them, all where it is None."""
    for found, beat in zip(result, beats, strict=True):
        for name in ("tokens", "mask", "ends", "last"):
            assert found[name] == beat[name]
        for place, (k, pes) in enumerate(zip(beat["k"], found["pes"], strict=True)):
            if beat["mask"] >> place & 1:
                assert pes == (255 if filled is None else filled[k])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pk_log2", range(4))
def test_tokens_learn_the_pes_of_their_row_in_either_half(pk_log2: int, seed: int) -> None:
    rng = random.Random(f"{pk_log2} {seed}")
    tiles = [tile(rng, 128, pk_log2, half, rng.choice((0.1, 0.5, 0.9))) for half in (1, 0)]
    jobs = [(one, 1, beats_of(CONFIG, rng, 128, pk_log2, 30)) for one in tiles]
    results, _ = run(tiles, jobs, seed=seed, gap=0.3 * (seed > 0), stall=0.3 * (seed > 1))
    for result, (one, _, beats) in zip(results, jobs, strict=True):
        check(result, beats, one.filled)


def test_a_whole_tile_takes_all_places_and_a_later_one_replaces_it() -> None:
    rng = random.Random(5)
    tiles = [tile(rng, 256, whole=True), tile(rng, 256, 1, whole=True)]
    job = tiles[1], 1, beats_of(CONFIG, rng, 256, 1, 40)
    results, _ = run(tiles, [job])
    check(results[0], job[2], tiles[1].filled)


def test_tokens_of_tiles_that_are_not_packed_go_to_all() -> None:
    rng = random.Random(6)
    one = tile(rng, 100)
    jobs = [(one, 0, beats_of(CONFIG, rng, 100, 0, 20)), (one, 1, beats_of(CONFIG, rng, 100, 0, 20))]
    results, _ = run([one], jobs)
    check(results[0], jobs[0][2], None)
    check(results[1], jobs[1][2], one.filled)


@pytest.mark.parametrize(("rows", "pk_log2", "half", "whole"), [
    (257, 1, 0, True), (400, 2, 0, True), (129, 0, 1, False), (129, 1, 0, False), (256, 2, 0, False)])
def test_a_tile_with_more_rows_than_places_goes_to_all_until_the_next_one(rows, pk_log2, half, whole) -> None:
    rng = random.Random(7)
    large, small = tile(rng, rows, pk_log2, half, whole=whole), tile(rng, 60, pk_log2, half)
    job = large, 1, beats_of(CONFIG, rng, rows, pk_log2, 20)
    results, _ = run([large], [job])
    check(results[0], job[2], None)
    job = small, 1, beats_of(CONFIG, rng, 60, pk_log2, 20)
    results, _ = run([large, small], [job])
    check(results[0], job[2], small.filled)


@pytest.mark.parametrize("half", [0, 1])
def test_a_tile_with_more_rows_than_places_leaves_those_of_the_other_half(half: int) -> None:
    rng = random.Random(9)
    small, large = tile(rng, 128, 1, half), tile(rng, 256, 1, 1 - half)
    job = small, 1, beats_of(CONFIG, rng, 128, 1, 40)
    results, _ = run([small, large], [job])
    check(results[0], job[2], small.filled)


def test_a_beat_takes_a_cycle_for_each_token_in_its_fullest_bank() -> None:
    rng = random.Random(8)
    one, width = tile(rng, 128), CONFIG.beat_tokens
    beats = beats_of(CONFIG, rng, 128, 0, 50)
    banks = [[k % width for k, bit in zip(beat["k"], range(width), strict=True) if beat["mask"] >> bit & 1]
             for beat in beats]
    needed = sum(max(1, max((part.count(bank) for bank in part), default=0)) for part in banks)
    _, cycles = run([one], [(one, 1, beats)])
    assert needed <= cycles <= needed + 4
    _, cycles = run([one], [(one, 0, beats)])
    assert cycles <= 50 + 4


def test_it_converts_to_verilog() -> None:
    assert "module" in emit_verilog(RowFilter(CONFIG), "filter")
