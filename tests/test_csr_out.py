"""The collector's results in CSR against a plain model: bytes in memory, whatever stalls."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from amaranth.hdl import Cat

from hdl.collector import CollectorPath
from hdl.collector_layouts import record_bytes
from hdl.config import PRESETS
from hdl.csr_spool import BLOCK_BEATS
from hdl.layouts import CsrMode
from sim.models.collector import chunks, random_job, write
from sim.models.csr import CsrJob, write_segments
from tests.harness import run_block
from tests.presets import PARALLEL

CONFIGS = {name: replace(config, name=f"{name}_csr", csr_out=True) for name, config in PARALLEL.items()} | {
    "one_chain": replace(PRESETS["base"], name="one_chain", chains=1, csr_out=True),
    "square": replace(PRESETS["base"], name="square", port_bytes=8, beat_tokens=4, scale_multipliers=1,
                      csr_out=True),
}


def run_jobs(config, jobs, *, seed=0, gap=0.0, stall=0.0, taken=None):
    """All jobs at once through one collector; checks bytes and events, returns the cycle of each chunk.

    taken : gets the cycles in which a chain's word was taken
    """
    dut = CollectorPath(config)
    feeds = {
        "i_job": [job.job for job in jobs],
        **{f"i.{chain}": [word for job in jobs for word in job.chains[chain]]
           for chain in range(config.chains)},
    }
    full, cycles, drained = [], [], [0]

    async def watch(ctx):
        cycle = 0
        async for _, _, event, end, moves, words in ctx.tick().sample(
                dut.o_full.valid, dut.o_drained, dut.o.valid & dut.o.ready,
                Cat(source.valid & source.ready for source in dut.i)):
            if taken is not None and words:
                taken.append(cycle)
            if event:
                full.append(ctx.get(dut.o_full.needed))
            drained[0] += end
            if moves:
                cycles.append(cycle)
            cycle += 1

    def reader(asked, stream, answers):
        async def process(ctx):
            for answer in answers:
                await ctx.tick().until(asked.valid & asked.ready)
                for chunk in answer:
                    ctx.set(stream.payload, chunk)
                    ctx.set(stream.valid, 1)
                    await ctx.tick().until(stream.ready)
                    ctx.set(stream.valid, 0)
        return process

    with_parameters = [job for job in jobs if job.job["row_scale"] or job.job.get("row_bias")]
    with_earlier = [job for job in jobs if job.job.get("accumulate")]
    readers = [
        reader(dut.o_parameter_job, dut.i_parameters,
               [chunks(job.parameter_bytes(), record_bytes(config)) for job in with_parameters]),
        reader(dut.o_earlier_job, dut.i_earlier,
               [chunks(job.earlier_stream(), config.port_bytes) for job in with_earlier])]
    expect = {"o_parameter_job": len(with_parameters), "o_earlier_job": len(with_earlier),
              "o": sum(chunk_count(job) for job in jobs), "o_write_job": len(jobs)}
    results = run_block(dut, feeds, expect, seed=seed, gap=gap, stall=stall,
                        processes=[watch, *readers], timeout_cycles=60_000)
    stream = results["o"]
    for job, write_job in zip(jobs, results["o_write_job"], strict=True):
        if isinstance(job, CsrJob):
            assert write_job["scattered"] and write_job["rows"] and write_job["row_bytes"]
            count = next(number for number, chunk in enumerate(stream, 1) if chunk["last"])
            assert write_segments(stream[:count]) == job.image()
            del stream[:count]
        else:
            assert not write_job["scattered"]
            assert write(write_job, stream) == job.image()
    assert not stream
    assert drained[0] == len(jobs)
    assert full == [job.needed for job in jobs if isinstance(job, CsrJob) and job.full]
    return cycles


def chunk_count(job):
    """A chunk for each beat of indices, of values and of row pointers."""
    if not isinstance(job, CsrJob):
        return job.chunk_count()
    size = job.config.pair_lanes
    runs = [len(job.placed)]
    if job.mode is CsrMode.PLACE:
        # A row's places follow each other.
        first = {place for place, *_ in job.placed if place in job.numbers}
        starts = sorted(first) + [job.placed[-1][0] + 1] if job.placed else []
        places = sorted(place for place, *_ in job.placed)
        runs = [sum(low <= place < high for place in places) for low, high in pairwise(starts)]
    return sum(2 * -(-run // size) for run in runs) + -(-len(job.written) // size)


def csr_job(config, seed, **fixed):
    """A job of every kind that the configuration can do."""
    rng = random.Random(f"csr flags {seed}")
    values = {
        "rows": rng.randrange(1, 14), "n_count": rng.randrange(1, 4 * config.lanes + 1),
        "out_int8": config.scale_multipliers > 0 and rng.random() < 0.4,
        "density": rng.choice([0.0, 0.1, 0.5, 1.0]), "skipping": rng.random() < 0.5,
        "dense_row": rng.choice([None, 0, 3]), "capacity": rng.choice([None, None, 0, rng.randrange(40)]),
        **{name: rng.random() < 0.5 for name in ("index32", "drop_zeros", "relu", "row_scale")},
    } | fixed
    values["row_scale"] = values["row_scale"] and values["out_int8"]
    mode = values.setdefault("mode", rng.choice(list(CsrMode)))
    if mode in (CsrMode.COUNT, CsrMode.POINTERS) and rng.random() < 0.7:
        values["numbers"] = [rng.randrange(40) for _ in range(values["rows"])]
    values.setdefault("blocks_before", rng.choice([0, 1, 5]))
    if mode in (CsrMode.COUNT, CsrMode.POINTERS) and not values["drop_zeros"]:
        values.setdefault("counted", rng.random() < 0.5)
    return CsrJob(config, **values, seed=seed)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", CONFIGS)
def test_random_jobs_in_a_row_write_what_the_model_writes(name, seed):
    config = CONFIGS[name]
    jobs = [csr_job(config, f"{name} {seed} {number}") for number in range(6)]
    run_jobs(config, jobs, seed=seed, gap=0.3 * seed, stall=0.4 * seed)


@pytest.mark.parametrize("name", ["tiny", "large", "square"])
def test_jobs_of_dense_and_of_sparse_results_follow_each_other(name):
    config = CONFIGS[name]
    jobs = [csr_job(config, f"mixed {number}") if number % 2 else random_job(config, f"mixed {number}")
            for number in range(6)]
    run_jobs(config, jobs, seed=4, gap=0.1, stall=0.2)


@pytest.mark.parametrize("name", ["tiny", "small"])
@pytest.mark.parametrize("density", [0.0, 1.0])
def test_results_of_many_blocks_come_whole(name, density):
    """Rows enough for some blocks of row pointers, entries enough for some of indices and values."""
    config = CONFIGS[name]
    size = config.pair_lanes
    for extra in (0, 1, size):
        rows = (2 * BLOCK_BEATS * size if not density else 30) - 1 + extra
        run_jobs(config, [CsrJob(config, rows=rows, n_count=2 * size * config.lanes + 1, density=density,
                                 seed=extra)], seed=extra, stall=0.05 * extra)


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_nothing_is_written_past_the_room_and_the_size_needed_is_told(name):
    config = CONFIGS[name]
    for capacity in (0, 1, 3, 4, 8):
        job = CsrJob(config, rows=5, n_count=9, density=0.8, capacity=capacity, seed=1)
        assert job.needed > 8
        run_jobs(config, [job], stall=0.1)
    enough = CsrJob(config, rows=5, n_count=9, density=0.8, capacity=job.needed, seed=1)
    run_jobs(config, [enough, job, enough])


@pytest.mark.parametrize("name", ["tiny", "base"])
@pytest.mark.parametrize("mode", CsrMode)
def test_numbers_of_rows_that_are_too_large_stop_at_the_largest(name, mode):
    config, largest = CONFIGS[name], (1 << 32) - 1
    numbers = [largest - 2, 5, largest]
    job = CsrJob(config, rows=3, n_count=9, density=0.8, capacity=40, mode=mode,
                 numbers=None if mode is CsrMode.WHOLE else numbers, seed=2)
    job.written = [min(number, largest) for number in job.written]
    job.needed = job.written[-1] if mode is CsrMode.PLACE else min(job.needed, largest)
    run_jobs(config, [job, csr_job(config, "after")])


def test_short_runs_go_without_a_pause_between_them():
    """A chunk of indices and one of values for each row of a few entries."""
    config = CONFIGS["base"]
    job = CsrJob(config, rows=200, n_count=4, density=1.0, mode=CsrMode.PLACE, index32=True)
    cycles = run_jobs(config, [job])
    assert len(cycles) / (cycles[-1] - cycles[0]) > 0.95


@pytest.mark.parametrize("name, words_a_cycle", [("tiny", 1 / 8), ("small", 1 / 4), ("base", 1 / 4)])
def test_full_words_fill_the_port(name, words_a_cycle):
    """Four bytes of index and four of value an entry."""
    config = CONFIGS[name]
    job = CsrJob(config, rows=40, n_count=8 * config.lanes, density=1.0, index32=True)
    cycles = run_jobs(config, [job])
    assert job.rows * job.words / (cycles[-1] - cycles[0]) > 0.9 * words_a_cycle


def test_two_chains_of_words_with_an_entry_each_fill_more_than_a_word_a_cycle() -> None:
    """Entries at random: words join until a lane is not above the last one's."""
    config = CONFIGS["base"]
    job = CsrJob(config, rows=40, n_count=16 * config.lanes, density=0.12, index32=True, seed=1,
                 mode=CsrMode.COUNT)
    words, entries = sum(len(words) for words in job.chains), sum(len(row) for row in job.entries)
    assert entries < 1.3 * words        # rows end in words without any, too
    begins: list[int] = []
    run_jobs(config, [job], taken=begins)
    assert begins[-1] - begins[0] < 0.8 * words
