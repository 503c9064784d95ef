"""hdl.reader: chunks, bursts and speed against a plain byte array."""

import random
from dataclasses import replace
from typing import Any

import pytest

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.reader import SegmentReader
from sim.models.segments import chunks_of_rows, random_segment, segment_bytes
from tests.harness import run_block
from tests.memory_model import answer_reads

MEMORY = random.Random(1).randbytes(1 << 16)


def expected_chunks(jobs: list[dict[str, int]], chunk_bytes: int) -> list[dict[str, int]]:
    return [chunk for job in jobs for chunk in chunks_of_rows(segment_bytes(MEMORY, job), [chunk_bytes])]


def run(config: Config, chunk_bytes: int, jobs: list[dict[str, int]], *, seed: int = 0, gap: float = 0.0,
        stall: float = 0.0, latency: int = 8, request_stall: float = 0.0, processes: tuple = (),
        log: list | None = None, **built: Any) -> None:
    dut = SegmentReader(config, chunk_bytes, **built)
    memory = answer_reads(dut, config, MEMORY, seed=seed, latency=latency, gap=gap, stall=request_stall,
                          log=log)
    chunks = expected_chunks(jobs, chunk_bytes)
    results = run_block(dut, {"i_job": jobs}, {"o": len(chunks)}, seed=seed, stall=stall,
                        processes=[memory, *(make(dut) for make in processes)], timeout_cycles=60_000)
    assert results["o"] == chunks


@pytest.mark.parametrize("name, chunk_bytes", [
    ("tiny", 1), ("tiny", 4), ("small", 4), ("base", 8), ("base", 16), ("lean64", 4), ("lean64", 8)])
@pytest.mark.parametrize("seed", range(3))
def test_random_jobs_give_the_bytes_of_memory(name, chunk_bytes, seed):
    rng = random.Random(f"{name} {chunk_bytes} {seed}")
    jobs = [random_segment(rng) for _ in range(12)]
    run(PRESETS[name], chunk_bytes, jobs, seed=seed, latency=rng.choice([1, 5, 32]),
        gap=rng.choice([0, 0.3]), stall=rng.choice([0, 0.4]), request_stall=rng.choice([0, 0.5]))


@pytest.mark.parametrize("seed", range(3))
def test_a_reader_for_single_rows_ignores_the_stride(seed):
    rng = random.Random(seed)
    jobs = [{"address": rng.randrange(4096), "row_bytes": rng.choice([0, 1, 15, 16, 17, 300, 2000]),
             "rows": rng.choice([0, 1, 1, 1]), "stride": rng.randrange(1 << 32)} for _ in range(15)]
    run(PRESETS["base"], 16, jobs, seed=seed, single_row=True, gap=rng.choice([0, 0.3]),
        stall=rng.choice([0, 0.4]))


@pytest.mark.parametrize("align_bytes, chunk_bytes", [(2, 16), (4, 8), (4, 16), (16, 16)])
def test_a_reader_for_aligned_elements_does_not_look_at_the_bits_below(align_bytes, chunk_bytes):
    rng, down = random.Random(align_bytes), -align_bytes
    jobs = [random_segment(rng) for _ in range(12)]
    for job in jobs:
        job["row_bytes"] &= down
    exact = [job | {"address": job["address"] & down, "stride": job["stride"] & down} for job in jobs]
    expected = expected_chunks(exact, chunk_bytes)
    dut = SegmentReader(PRESETS["base"], chunk_bytes, align_bytes=align_bytes)
    memory = answer_reads(dut, PRESETS["base"], MEMORY, seed=1)
    results = run_block(dut, {"i_job": jobs}, {"o": len(expected)}, processes=[memory], timeout_cycles=60_000)
    assert results["o"] == expected


def test_a_shallow_reader_asks_for_two_bursts_at_most():
    log: list[dict[str, int]] = []
    job = {"address": 4, "row_bytes": 4000, "rows": 1, "stride": 0}
    run(PRESETS["base"], 8, [job], latency=60, log=log, single_row=True, align_bytes=4, shallow=True)
    early = [burst for burst in log if burst["cycle"] < 60]
    assert sum(burst["beats"] for burst in early) <= 32


def first_and_last(dut: Any, times: list[int]):
    """A process that notes the cycle of every chunk taken."""
    async def process(ctx: Any) -> None:
        cycle = 0
        while True:
            _, _, valid, ready = await ctx.tick().sample(dut.o.valid, dut.o.ready)
            cycle += 1
            if valid and ready:
                times.append(cycle)
    return process


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("address, row_bytes, rows, stride, chunk_bytes, cycles_a_chunk", [
    (0, 8192, 1, 0, 16, 1),        # one beat a chunk
    (13, 8192, 1, 0, 16, 1),       # unaligned
    (5, 8192, 1, 0, 8, 1),
    (4, 4, 1000, 4, 8, 1),         # short rows of one run
    (3, 12, 500, 12, 16, 1),
    (0, 16, 300, 48, 16, 1),       # aligned rows with gaps: one beat each
    (8, 16, 300, 48, 16, 2),       # two beats each
])
def test_a_chunk_comes_every_cycle(address, row_bytes, rows, stride, chunk_bytes, cycles_a_chunk, far):
    config = replace(PRESETS["base"], sddmm=False, far_registers=far)
    times: list[int] = []
    job = {"address": address, "row_bytes": row_bytes, "rows": rows, "stride": stride}
    run(config, chunk_bytes, [job], latency=32, processes=(lambda dut: first_and_last(dut, times),))
    assert times[-1] - times[0] <= cycles_a_chunk * (len(times) - 1) + 1


def test_latencies_are_short():
    times: list[int] = []
    log: list[dict[str, int]] = []
    job = {"address": 40, "row_bytes": 16, "rows": 1, "stride": 16}
    run(PRESETS["base"], 16, [job], latency=1, processes=(lambda dut: first_and_last(dut, times),), log=log)
    assert log[0]["cycle"] <= 4    # taken by the edge after the third cycle
    assert times[0] - log[0]["cycle"] <= 8


def test_it_says_when_it_waits_and_when_it_is_idle():
    seen: list[tuple[int, int, int]] = []

    def watch(dut: SegmentReader):
        async def process(ctx: Any) -> None:
            while True:
                _, _, waiting, idle, valid = await ctx.tick().sample(dut.o_waiting, dut.o_idle, dut.o.valid)
                seen.append((waiting, idle, valid))
        return process

    job = {"address": 0, "row_bytes": 64, "rows": 1, "stride": 0}
    run(PRESETS["base"], 16, [job], latency=40, processes=(watch,))
    assert seen[-1] == (0, 1, 0)
    assert 40 <= sum(waiting for waiting, _, _ in seen) <= 46
    assert all(not (idle and (valid or waiting)) for waiting, idle, valid in seen)


def test_short_rows_of_one_run_make_long_bursts():
    log: list[dict[str, int]] = []
    run(PRESETS["base"], 16, [{"address": 0, "row_bytes": 8, "rows": 512, "stride": 8}], log=log)
    assert [burst["beats"] for burst in log] == [16] * 16
    assert log[0]["cycle"] <= 5 + 256 // 8    # a row a cycle


def test_no_more_is_asked_than_there_is_room_for():
    config, log = PRESETS["base"], []
    dut = SegmentReader(config, 16)

    async def supervise_nothing_taken(ctx: Any) -> None:
        ctx.set(dut.o.ready, 0)

    memory = answer_reads(dut, config, MEMORY, seed=0, log=log)
    job = {"address": 0, "row_bytes": 8192, "rows": 1, "stride": 0}
    run_block(dut, {"i_job": [job]}, {}, settle_cycles=400, processes=[memory, supervise_nothing_taken])
    # The window and the memory's register hold three beats beside the buffer.
    asked = sum(burst["beats"] for burst in log)
    assert config.read_buffer_beats - 16 < asked <= config.read_buffer_beats + 3


@pytest.mark.parametrize("name", ["tiny", "base", "large"])
@pytest.mark.parametrize("single_row", [False, True])
def test_it_converts_to_verilog(name, single_row):
    config = PRESETS[name]
    dut = SegmentReader(config, config.port_bytes, single_row=single_row)
    assert "module reader" in emit_verilog(dut, "reader")
