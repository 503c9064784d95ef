"""hdl.row_queue: rows leave in order, empty ones as counts."""

import random
from collections import deque
from dataclasses import replace
from typing import NamedTuple

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.row_queue import RowQueue, settling_cycles
from tests.harness import as_python

TINY, BASE = PRESETS["tiny"], PRESETS["base"]
LEAN = replace(TINY, name="lean", lean_drain=True, far_registers=True)
CONFIGS = pytest.mark.parametrize("config", [TINY, LEAN, BASE], ids=lambda config: config.name)

WALK_CYCLES = 4
"""From a cycle in which a place is free, or not, to the one in which the word that goes there is added."""


class Run(NamedTuple):
    """What came of some jobs.

    rows: of each job, read from the chains in turn, as lists of their words' numbers
    cycles: from the first close to the last word
    not_free: cycles in which the open row's place was called taken
    """

    rows: list[list[list]]
    cycles: int
    not_free: int


def run(config: Config, jobs: list[list[int]], own_words: int, *, seed: int = 0, stall: float = 0.0,
        gap: float = 0.0, adds: float = 0.0, burst: int = 4, packed: bool = False, density: float = 1.0,
        heeds: bool = False) -> Run:
    """jobs: rows of each job, 1 for a touched one.

    Words of a packed row get a sum with the chance `density`; those that get none have no number in the list,
    or, if none does, the first one leaves as -1. With `heeds`, what adds does so only where there was a
    place, as the walker.
    """
    rng = random.Random(seed)
    first_word, slices_log2 = (rng.randrange(config.pes), config.pe_bits) if packed else (3, 0)
    flags = [0, 0]                         # words of each bank with a sum
    dut = RowQueue(config)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    chains: list[list] = [[] for _ in range(config.chains)]
    results, last_out, not_free = [], [0], [0]
    # Of each cycle that is on its way to the accumulators.
    placed = deque([True] * (WALK_CYCLES + config.far_registers))
    banks: dict[tuple[int, int], int] = {}       # what the accumulators hold
    adding: dict[tuple[int, int], int] = {}      # of closed rows, not there yet: cycle
    shown = None

    async def bench(ctx):
        nonlocal shown
        ctx.set(dut.i_own_words, own_words)
        ctx.set(dut.i_packed, int(packed))
        ctx.set(dut.i_first_word, first_word)
        ctx.set(dut.i_slices_log2, slices_log2)
        while not ctx.get(dut.o_swept):
            await ctx.tick()
        number, cycle = 0, 0
        for job in jobs:
            rows, sent_last, begun = list(job), False, False    # begun: the open row has had its place
            while True:
                adds_now = (placed.popleft() or not heeds) and rng.random() < adds
                ctx.set(dut.i_adding, {"valid": int(adds_now), "bank": rng.randrange(2)})
                for output in dut.o:
                    ctx.set(output.ready, int(rng.random() >= stall))
                touched = empties = 0
                begun = begun or ctx.get(dut.o_open_free)
                following = ctx.get(dut.o_next)
                if ctx.get(dut.o_next_free):
                    assert (following.bank, following.word) not in banks, "a taken place is called free"
                if rows and ctx.get(dut.o_run_room) and rng.random() >= gap:
                    limit = rng.randint(1, burst) if burst > 1 else 1
                    if rows[0] and ctx.get(dut.o_room) and begun:
                        rows.pop(0)
                        touched, limit = 1, limit - 1
                        place = ctx.get(dut.o_open)
                        gets = [word for word in range(own_words) if rng.random() < density]
                        for word in gets or [0]:
                            # Dense rows lie across the banks, packed ones in one of them.
                            across = 2 * place.word + place.bank + word
                            key = (place.bank, place.word + word) if packed else (across % 2, across // 2)
                            assert key not in banks, "a place is taken twice"
                            assert key[1] < config.acc_words
                            banks[key] = number + word if gets else -1
                            adding[key] = cycle + settling_cycles(config)
                            flags[key[0]] |= bool(gets) << key[1]
                        number += own_words
                    while rows and not rows[0] and empties < limit:
                        rows.pop(0)
                        empties += 1
                placed.append(bool(ctx.get(dut.o_next_free if touched else dut.o_open_free)))
                begun = placed[-1] if touched else begun
                not_free[0] += not ctx.get(dut.o_open_free)
                ctx.set(dut.i_touched, touched)
                ctx.set(dut.i_empties, empties)
                ctx.set(dut.i_last, int(not rows and not sent_last))
                sent_last = not rows
                for index, output in enumerate(dut.o):
                    if ctx.get(output.valid) and ctx.get(output.ready):
                        item = as_python(ctx.get(output.payload))
                        chains[index].append((item, shown if item["touched"] else None))
                        last_out[0] = cycle
                if config.csr_out:
                    ctx.set(dut.i_touched_words, flags)
                    for bank in range(2):
                        flags[bank] &= ~ctx.get(dut.o_clear_words[bank])
                if ctx.get(dut.o_drain.valid):
                    bank, word = ctx.get(dut.o_drain.bank), ctx.get(dut.o_drain.word)
                    reads = ctx.get(dut.i_adding)
                    beside = config.lean_drain or reads.bank == bank
                    assert not (reads.valid and beside), "read while sums are added"
                    assert adding.pop((bank, word)) <= cycle, "read before all sums are there"
                    shown = banks.pop((bank, word))
                await ctx.tick()
                cycle += 1
                assert cycle < 20_000
                if sum(item["last"] for items in chains for item, _ in items) == len(job) and sent_last:
                    break
            order = []
            for index in range(len(job)):
                order.append([])
                while True:
                    item, sums = chains[index % config.chains].pop(0)
                    if item["touched"]:
                        place, rest = divmod(item["word"] - first_word, 1 << slices_log2)
                        assert not rest
                        assert place == (0 if sums < 0 else sums % own_words)
                        order[-1].append(sums)
                    if item["last"]:
                        break
            results.append(order)
            for _ in range(6):
                await ctx.tick()
                cycle += 1
        assert not any(chains)
        assert not banks

    simulator.add_testbench(bench)
    simulator.run()
    return Run(results, last_out[0], not_free[0])


def expected(jobs: list[list[int]], own_words: int) -> list[list[list]]:
    number, results = 0, []
    for job in jobs:
        results.append([])
        for touched in job:
            results[-1].append([number + word for word in range(own_words)] if touched else [])
            number += own_words * touched
    return results


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("own_words", [1, 3, 16])
@CONFIGS
@pytest.mark.parametrize("seed", range(4))
def test_rows_leave_in_order_on_alternating_chains(config, own_words, seed, packed) -> None:
    rng = random.Random(seed)
    jobs = [[int(rng.random() < rng.choice((0.05, 0.5, 0.9))) for _ in range(rng.choice((1, 7, 60)))]
            for _ in range(5)]
    result = run(config, jobs, own_words, seed=seed, stall=(0, 0.3, 0.6, 0.8)[seed], gap=(0, 0.3)[seed % 2],
                 adds=(0.3, 0, 0.8, 0.5)[seed], packed=packed)
    assert result.rows == expected(jobs, own_words)


@pytest.mark.parametrize("own_words", [1, 3, 8, 16])
@pytest.mark.parametrize("seed", range(4))
def test_of_a_packed_row_only_words_that_got_a_sum_leave(own_words: int, seed: int) -> None:
    rng = random.Random(seed)
    jobs = [[int(rng.random() < 0.7) for _ in range(rng.choice((1, 7, 60)))] for _ in range(5)]
    result = run(BASE, jobs, own_words, seed=seed, stall=(0, 0.3, 0.6, 0.8)[seed],
                 adds=(0.3, 0)[seed % 2], packed=True, density=(0.1, 0.4)[seed // 2])
    everything = [row for job in expected(jobs, own_words) for row in job]
    rows = [row for job in result.rows for row in job]
    assert len(rows) == len(everything)
    for row, whole in zip(rows, everything, strict=True):
        assert row == ([] if not whole else [number for number in whole if number in row] or [-1])
    assert 0 < sum(len(row) for row in rows) < sum(len(row) for row in everything) or own_words == 1


def test_a_row_with_a_sum_in_one_of_its_words_takes_one_cycle() -> None:
    # Sixteen rows of two words have room, more than settle at a time.
    result = run(BASE, [[1] * 200], 2, burst=1, packed=True, density=0.02)
    assert len(result.rows[0]) == 200
    assert result.cycles < 200 * 1.1 + 20


def test_a_long_run_of_empty_rows_waits_behind_a_word() -> None:
    jobs = [[1] + [0] * 700 + [1] + [0] * 300]
    assert run(BASE, jobs, 2, stall=0.9, seed=5).rows == expected(jobs, 2)


def test_every_other_row_with_a_word_leaves_two_rows_a_cycle() -> None:
    jobs = [[0, 1] * 100]
    # A touched row a cycle comes in, together with the empty row behind it.
    result = run(BASE, jobs, 1, burst=4)
    assert result.rows == expected(jobs, 1)
    assert result.cycles <= 100 * 1.6 + 20


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("own_words", [1, 3, 16])
@pytest.mark.parametrize("seed", range(2))
def test_a_word_leaves_though_something_is_added_wherever_there_is_a_place(own_words, seed, packed) -> None:
    rng = random.Random(seed)
    jobs = [[int(rng.random() < rng.choice((0.3, 0.9))) for _ in range(30)] for _ in range(3)]
    result = run(LEAN, jobs, own_words, seed=seed, stall=(0, 0.6)[seed], gap=(0, 0.3)[seed], adds=1,
                 heeds=True, packed=packed)
    assert result.rows == expected(jobs, own_words)


@pytest.mark.parametrize("own_words", [1, 2])
@pytest.mark.parametrize("stall", [0, 0.6])
@pytest.mark.parametrize("seed", range(2))
def test_where_places_are_left_there_is_one_gap_a_word(own_words: int, stall: float, seed: int) -> None:
    # A row in twenty cycles: the one before has left, or has a place beside it.
    jobs = [[1] * 40]
    result = run(LEAN, jobs, own_words, seed=seed, stall=stall, gap=0.95, adds=1, heeds=True)
    assert result.rows == expected(jobs, own_words)
    assert result.not_free == 40 * own_words


def test_where_nothing_is_added_no_gap_is_asked_for() -> None:
    result = run(LEAN, [[1] * 40], 2, gap=0.95)
    assert result.not_free == 0


@CONFIGS
def test_it_converts_to_verilog(config: Config) -> None:
    assert "module" in emit_verilog(RowQueue(config), "row_queue")
