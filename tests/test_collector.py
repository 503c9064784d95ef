"""The collector against a plain model: the bytes in memory, whatever the job and whoever stalls."""

import random
from dataclasses import replace
from types import SimpleNamespace

import pytest

from hdl.collector import Collector, CollectorPath
from hdl.collector_layouts import record_bytes
from hdl.config import PRESETS
from hdl.emit import emit_verilog
from sim.models.collector import EARLIER_ADDRESS, PARAMETER_ADDRESS, Job, chunks, random_job, write
from tests.harness import run_block
from tests.memory_model import answer_reads
from tests.presets import PARALLEL

CONFIGS = {
    **PARALLEL,
    "unscaled": replace(PRESETS["tiny"], name="unscaled", scale_multipliers=0),
    "one_chain": replace(PRESETS["base"], name="one_chain", chains=1),
    "lean": PRESETS["lean64"],
    "square": replace(PRESETS["base"], name="square", port_bytes=8, beat_tokens=4, scale_multipliers=1),
}


def run_jobs(config, jobs, *, seed=0, gap=0.0, stall=0.0, overflows=None):
    """Streams of all jobs at once through one collector; checks bytes and events, returns cycle numbers of
    the chunks; those in which a wrapped sum is told go into `overflows`."""
    feeds = {
        "i_job": [job.job for job in jobs],
        **{f"i.{chain}": [word for job in jobs for word in job.chains[chain]]
           for chain in range(config.chains)},
    }
    dut = CollectorPath(config)
    cycles, drained, taken = [], [], [0]

    async def watch(ctx):
        cycle = 0
        total = sum(len(feeds[f"i.{chain}"]) for chain in range(config.chains))
        async for _, _, valid, ready, end, wraps, *words in ctx.tick().sample(
                dut.o.valid, dut.o.ready, dut.o_drained, dut.o_overflow,
                *(stream.valid & stream.ready for stream in dut.i)):
            taken[0] += sum(words)
            if wraps and overflows is not None:
                overflows.append(cycle)
            if valid and ready:
                cycles.append(cycle)
            if end:
                drained.append(taken[0] == total)
            cycle += 1

    def reader(asked, stream, answers, name):
        rng = random.Random(f"{seed} {name}")

        async def process(ctx):
            for answer in answers:
                await ctx.tick().until(asked.valid & asked.ready)
                for chunk in answer:
                    while rng.random() < gap:
                        await ctx.tick()
                    ctx.set(stream.payload, chunk)
                    ctx.set(stream.valid, 1)
                    await ctx.tick().until(stream.ready)
                    ctx.set(stream.valid, 0)
        return process

    earlier = [chunks(job.earlier_stream(), config.port_bytes) for job in jobs if job.accumulate]
    parameters = [chunks(job.parameter_bytes(), record_bytes(config))
                  for job in jobs if job.row_bias or job.row_scale]
    readers = [reader(dut.o_earlier_job, dut.i_earlier, earlier, "earlier"),
               reader(dut.o_parameter_job, dut.i_parameters, parameters, "parameters")]
    expect = {
        "o_write_job": len(jobs),
        "o_earlier_job": sum(job.accumulate for job in jobs),
        "o_parameter_job": sum(job.row_bias or job.row_scale for job in jobs),
        "o": sum(job.chunk_count() for job in jobs),
    }
    results = run_block(dut, feeds, expect, seed=seed, gap=gap, stall=stall, processes=[watch, *readers])
    for job, write_job in zip(jobs, results["o_write_job"], strict=True):
        assert write(write_job, results["o"]) == job.image()
    assert not results["o"]
    accumulating = [job for job in jobs if job.accumulate]
    for job, read_job in zip(accumulating, results["o_earlier_job"], strict=True):
        assert read_job == {"address": job.job["cin_address"], "rows": job.groups,
                            "row_bytes": 4 * config.lanes * job.words, "stride": job.job["cin_stride"]}
    with_parameters = [job for job in jobs if job.row_bias or job.row_scale]
    for job, read_job in zip(with_parameters, results["o_parameter_job"], strict=True):
        assert read_job["address"] == job.job["params_address"]
        assert read_job["rows"] * read_job["row_bytes"] == len(job.parameter_bytes())
    assert len(drained) == len(jobs) and drained[-1] and not any(drained[:-1])
    return cycles


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", CONFIGS)
def test_random_jobs_in_a_row_write_what_the_model_writes(name, seed):
    config = CONFIGS[name]
    jobs = [random_job(config, f"{name} {seed} {number}") for number in range(8)]
    run_jobs(config, jobs, seed=seed, gap=0.3 * seed, stall=0.3 * seed)


@pytest.mark.parametrize("n_count", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["tiny", "base", "lean64"])
def test_rows_that_share_a_word_are_written_with_and_without_gaps_between_them(name, n_count):
    config = PRESETS[name]
    group_log2 = max(0, config.lane_bits - (n_count - 1).bit_length())
    run_jobs(config, [
        Job(config, rows=rows, n_count=n_count, group_log2=group_log2, out_int8=out_int8, gap_bytes=gap_bytes,
            row_bias=True, row_scale=out_int8, seed=f"{rows} {gap_bytes}")
        for rows in (1, 13) for out_int8 in (False, True) for gap_bytes in (0, 3)], seed=n_count, stall=0.2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CONFIGS)
def test_a_word_whose_sums_wrap_is_told_once_and_the_next_job_has_nothing_of_it(name, seed):
    config = CONFIGS[name]
    job = Job(config, rows=1, n_count=config.lanes, accumulate=True, large=True, density=1, seed=seed)
    totals = [one + other for one, other in zip(job.sums[0], job.earlier[0], strict=True)]
    overflows = []
    run_jobs(config, [job, Job(config, rows=9, n_count=config.lanes, large=True, seed=seed)], seed=seed,
             gap=0.3, stall=0.3, overflows=overflows)
    assert len(overflows) == any(not -(1 << 31) <= total < 1 << 31 for total in totals)


@pytest.mark.parametrize("stalled", ["feeds", "output"])
def test_nothing_is_lost_when_one_side_stalls_for_long(stalled):
    config = PRESETS["base"]
    jobs = [Job(config, rows=20, n_count=29, out_int8=out_int8, accumulate=True, row_bias=True, seed=7)
            for out_int8 in (False, True)]
    run_jobs(config, jobs, gap=0.8 * (stalled == "feeds"), stall=0.8 * (stalled == "output"))


def test_a_write_job_stays_offered_until_taken_however_short_the_job():
    config = PRESETS["base"]
    run_jobs(config, [Job(config, rows=1, n_count=1, seed=number) for number in range(20)], stall=0.93)


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_empty_rows_are_written_as_zeros(name):
    config = PRESETS[name]
    run_jobs(config, [Job(config, rows=9, n_count=11, density=0.0)])


@pytest.mark.parametrize("name, out_int8, words_a_cycle", [
    ("tiny", False, 1 / 4), ("tiny", True, 1 / 4), ("small", False, 1 / 2), ("small", True, 1.0),
    ("base", False, 1 / 2), ("base", True, 1.0), ("large", True, 1.0)])
def test_output_fills_the_port(name, out_int8, words_a_cycle):
    config = PRESETS[name]
    job = Job(config, rows=24, n_count=8 * config.lanes, out_int8=out_int8, density=1.0)
    cycles = run_jobs(config, [job])
    measured = (job.groups * job.words - 8) / (cycles[-1] - cycles[0])
    assert measured > 0.93 * words_a_cycle


@pytest.mark.parametrize("flag", ["accumulate", "row_bias", "row_scale"])
def test_operands_of_a_row_cost_no_cycles_beyond_their_bytes(flag):
    config = PRESETS["base"]
    job = Job(config, rows=60, n_count=8, out_int8=True, density=1.0, **{flag: True})
    cycles = run_jobs(config, [job])
    cost = (cycles[-1] - cycles[0]) / (job.rows - 1)
    assert cost < (2.1 if flag == "accumulate" else 1.1)


def test_first_chunk_comes_soon_after_its_word():
    config = PRESETS["base"]
    for out_int8, limit in ((False, 12), (True, 20)):
        assert run_jobs(config, [Job(config, rows=1, n_count=8, out_int8=out_int8)])[0] <= limit


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_earlier_sums_and_parameters_are_read_from_memory(name):
    config = PRESETS[name]
    for seed in range(4):
        job = random_job(config, f"{name} {seed}", accumulate=True, row_bias=True)
        memory = bytearray(0x8000)
        memory[EARLIER_ADDRESS:EARLIER_ADDRESS + len(job.earlier_bytes())] = job.earlier_bytes()
        memory[PARAMETER_ADDRESS:PARAMETER_ADDRESS + len(job.parameter_bytes())] = job.parameter_bytes()
        dut = Collector(config)
        readers = [answer_reads(SimpleNamespace(o_request=request, i_beat=beat), config, memory, seed=seed)
                   for request, beat in zip(dut.o_request, dut.i_beat, strict=True)]
        feeds = {"i_job": [job.job], **{f"i.{chain}": words for chain, words in enumerate(job.chains)}}
        results = run_block(dut, feeds, {"o_write_job": 1, "o": job.chunk_count()}, seed=seed, stall=0.1,
                            processes=readers)
        assert write(results["o_write_job"][0], results["o"]) == job.image()


@pytest.mark.parametrize("name", ["tiny", "base", "unscaled", "lean"])
def test_collector_converts_to_verilog(name):
    assert "module collector" in emit_verilog(Collector(CONFIGS[name]), "collector")
