"""hdl.row_queue: rows leave in order, empty ones as counts."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from hdl.row_queue import RowQueue
from tests.harness import as_python

DRAIN_CYCLES = 6


def run(name: str, jobs: list[list[int]], own_words: int, *, seed: int = 0, stall: float = 0.0,
        gap: float = 0.0, burst: int = 4, skip: float = 0.0) -> tuple[list[list[list]], int]:
    """jobs: rows of each job, 1 for a touched one; returns each job's rows, read from the chains in turn, as
    lists of their words' data, and the last cycle. `skip`: chance that a word, but no row's last, does not
    come."""
    config, rng = PRESETS[name], random.Random(seed)
    dut = RowQueue(config)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    chains: list[list] = [[] for _ in range(config.chains)]
    results, cycles = [], [0]

    async def bench(ctx):
        ctx.set(dut.i_own_words, own_words)
        due: list[tuple[int, dict]] = []
        number, cycle, free_from = 0, 0, 0
        for job in jobs:
            rows, sent_last = list(job), False
            while True:
                touched = empties = 0
                if rows and ctx.get(dut.o_run_room) and rng.random() >= gap:
                    limit = rng.randint(1, burst) if burst > 1 else 1
                    if rows[0] and ctx.get(dut.o_room) and cycle >= free_from:
                        rows.pop(0)
                        touched, limit, free_from = 1, limit - 1, cycle + own_words
                        for word in range(own_words):
                            last = word == own_words - 1
                            skipped = not last and rng.random() < skip
                            due.append((cycle + DRAIN_CYCLES + word, None if skipped else {
                                "word": word, "valid": 1, "last": int(last),
                                "data": [number] + [0] * (config.lanes - 1)}))
                            number += not skipped
                    while rows and not rows[0] and empties < limit:
                        rows.pop(0)
                        empties += 1
                ctx.set(dut.i_touched, touched)
                ctx.set(dut.i_empties, empties)
                ctx.set(dut.i_last, int(not rows and not sent_last))
                sent_last = not rows
                word = due.pop(0)[1] if due and due[0][0] == cycle else False
                ctx.set(dut.i.valid, int(bool(word)))
                if config.csr_out:
                    ctx.set(dut.i_skips, int(word is None))
                if word:
                    ctx.set(dut.i.payload, word)
                for index, output in enumerate(dut.o):
                    ctx.set(output.ready, int(rng.random() >= stall))
                    if ctx.get(output.valid) and ctx.get(output.ready):
                        chains[index].append(as_python(ctx.get(output.payload)))
                        cycles[0] = cycle
                await ctx.tick()
                cycle += 1
                assert cycle < 20_000
                if sum(word["last"] for words in chains for word in words) == len(job) and sent_last:
                    break
            order = []
            for index in range(len(job)):
                order.append([])
                while True:
                    word = chains[index % config.chains].pop(0)
                    order[-1] += [word["data"][0]] if word["valid"] else []
                    if word["last"]:
                        break
            results.append(order)
            for _ in range(6):
                await ctx.tick()
                cycle += 1
        assert not any(chains)

    simulator.add_testbench(bench)
    simulator.run()
    return results, cycles[0]


def expected(jobs: list[list[int]], own_words: int) -> list[list[list]]:
    number, results = 0, []
    for job in jobs:
        results.append([])
        for touched in job:
            results[-1].append([number + word for word in range(own_words)] if touched else [])
            number += own_words * touched
    return results


@pytest.mark.parametrize("own_words", [1, 3, 16])
@pytest.mark.parametrize("name", ["tiny", "base"])
@pytest.mark.parametrize("seed", range(4))
def test_rows_leave_in_order_on_alternating_chains(name, own_words, seed) -> None:
    rng = random.Random(seed)
    jobs = [[int(rng.random() < rng.choice((0.05, 0.5, 0.9))) for _ in range(rng.choice((1, 7, 60)))]
            for _ in range(5)]
    result, _ = run(name, jobs, own_words, seed=seed, stall=(0, 0.3, 0.6, 0.8)[seed], gap=(0, 0.3)[seed % 2])
    assert result == expected(jobs, own_words)


def test_a_long_run_of_empty_rows_waits_behind_a_word() -> None:
    jobs = [[1] + [0] * 700 + [1] + [0] * 300]
    result, _ = run("base", jobs, 2, stall=0.9, seed=5)
    assert result == expected(jobs, 2)


def test_every_other_row_with_a_word_leaves_two_rows_a_cycle() -> None:
    jobs = [[0, 1] * 100]
    # A touched row a cycle comes in, together with the empty row behind it.
    result, cycles = run("base", jobs, 1, burst=4)
    assert result == expected(jobs, 1)
    assert cycles <= 100 * 1.6 + 20


@pytest.mark.parametrize("skip", [0.5, 1.0])
@pytest.mark.parametrize("own_words", [2, 16])
def test_words_that_do_not_come_leave_their_room_to_others(own_words: int, skip: float) -> None:
    jobs = [[1, 1, 0] * 20, [1] * 30]
    result, _ = run("large", jobs, own_words, skip=skip, stall=0.3, seed=own_words)
    flat = [number for job in result for row in job for number in row]
    assert flat == list(range(len(flat)))
    assert [[int(bool(row)) for row in job] for job in result] == jobs
    assert len(flat) == 70 if skip == 1 else 70 < len(flat) < 70 * own_words


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_it_converts_to_verilog(name: str) -> None:
    assert "module" in emit_verilog(RowQueue(PRESETS[name]), "row_queue")
