"""hdl.writer: what ends up in memory, in which bursts, and how fast."""

import random
from dataclasses import replace
from typing import Any

import pytest

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.writer import SegmentWriter
from sim.models.segments import chunks_of_rows
from tests.harness import run_block
from tests.memory_model import take_writes

MEMORY_BYTES = 1 << 16
UNTOUCHED = 0xA5


def chunks_of(job: dict[str, int], rng: random.Random, sizes: list[int]) -> tuple[list[dict], list[bytes]]:
    """A job's chunks, their sizes chosen from `sizes`, and its rows as bytes."""
    rows = [rng.randbytes(job["row_bytes"]) for _ in range(job["rows"] if job["row_bytes"] else 0)]
    return chunks_of_rows(rows, sizes, rng), rows


def run(config: Config, jobs: list[dict[str, int]], sizes: list[int], *, seed: int = 0, gap: float = 0.0,
        stall: float = 0.0, errors: float = 0.0, log: list | None = None, processes: tuple = ()) -> None:
    """Writes the jobs and compares the whole memory with a plain byte array."""
    rng = random.Random(f"{seed} data")
    dut = SegmentWriter(config)
    wanted, memory = bytearray([UNTOUCHED]) * MEMORY_BYTES, bytearray([UNTOUCHED]) * MEMORY_BYTES
    chunks = []
    for job in jobs:
        more, rows = chunks_of(job, rng, sizes)
        chunks += more
        for number, row in enumerate(rows):
            start = job["address"] + number * job["stride"]
            wanted[start:start + len(row)] = row
    idle = []

    async def watch(ctx: Any) -> None:
        while True:
            _, _, value = await ctx.tick().sample(dut.o_idle)
            idle.append(value)

    run_block(dut, {"i_job": jobs, "i": chunks}, {}, seed=seed, gap=gap, settle_cycles=200,
              timeout_cycles=60_000, processes=[
                  take_writes(dut, config, memory, seed=seed, stall=stall, errors=errors, log=log), watch,
                  *(make(dut) for make in processes)])
    assert memory == wanted
    assert idle[-1] == 1


def scattered_job(rng: random.Random, sizes: list[int]) -> tuple[list[dict], list[tuple[int, bytes]]]:
    """Chunks of a scattered job, and its segments, which do not meet."""
    segments, at = [], rng.randrange(4096)
    for _ in range(rng.randrange(1, 30)):
        segments.append((at, rng.randbytes(rng.choice([1, 3, 4, 8, 16, 17, 40, 300]))))
        at += len(segments[-1][1]) + rng.choice([0, 0, 4, 50])
    rng.shuffle(segments)
    chunks = []
    for number, (address, content) in enumerate(segments):
        of_segment = chunks_of_rows([content], sizes, rng)
        for chunk in of_segment:
            chunk["last"] = int(chunk["row_last"] and number == len(segments) - 1)
            chunk["at"] = rng.getrandbits(32)       # counts in the first one only
        of_segment[0]["at"] = address
        chunks += of_segment
    return chunks, segments


@pytest.mark.parametrize("name", ["base", "large"])
@pytest.mark.parametrize("seed", range(4))
def test_scattered_segments_go_where_their_first_chunks_say(name: str, seed: int) -> None:
    config, rng = PRESETS[name], random.Random(f"scattered {name} {seed}")
    sizes = list(rng.choice([[config.port_bytes], range(1, config.port_bytes + 1)]))
    wanted, memory = bytearray([UNTOUCHED]) * MEMORY_BYTES, bytearray([UNTOUCHED]) * MEMORY_BYTES
    jobs, chunks, written = [], [], []
    for _ in range(6):
        if rng.random() < 0.4:
            jobs.append(random_job(rng))
            more, rows = chunks_of(jobs[-1], rng, sizes)
            segments = [(jobs[-1]["address"] + number * jobs[-1]["stride"], row)
                        for number, row in enumerate(rows)]
        else:
            jobs.append({"address": rng.getrandbits(32), "rows": 1, "row_bytes": 1, "scattered": 1})
            more, segments = scattered_job(rng, sizes)
        chunks += more
        for address, content in segments:
            wanted[address:address + len(content)] = content
    dut = SegmentWriter(config)

    async def watch(ctx: Any) -> None:
        async for _, _, value in ctx.tick().sample(dut.o_job_written):
            written.append(value)

    stall = rng.choice([0, 0.3])
    run_block(dut, {"i_job": jobs, "i": chunks}, {}, seed=seed, gap=rng.choice([0, 0.3]), settle_cycles=300,
              timeout_cycles=60_000,
              processes=[take_writes(dut, config, memory, seed=seed, stall=stall), watch])
    assert memory == wanted
    assert sum(written) == sum(job["rows"] * job["row_bytes"] != 0 for job in jobs)


def test_a_segment_a_cycle_goes_to_any_place() -> None:
    config, taken = PRESETS["base"], []
    chunks = [{"data": number, "count": 12, "row_last": 1, "last": int(number == 199),
               "at": 64 * (number * 77 % 200)} for number in range(200)]
    dut = SegmentWriter(config)

    async def watch(ctx: Any) -> None:
        cycle = 0
        async for _, _, moves in ctx.tick().sample(dut.i.valid & dut.i.ready):
            cycle += 1
            if moves:
                taken.append(cycle)

    run_block(dut, {"i_job": [{"rows": 1, "row_bytes": 1, "scattered": 1}], "i": chunks}, {},
              settle_cycles=200,
              processes=[take_writes(dut, config, bytearray(MEMORY_BYTES), seed=0, stall=0), watch])
    assert taken[-1] - taken[0] <= 201


def random_job(rng: random.Random) -> dict[str, int]:
    row_bytes = rng.choice([1, 3, 4, 8, 12, 16, 17, 32, 100, 300, 1000])
    rows = min(rng.choice([1, 1, 2, 3, 5, 17, 64]), 1 + 2000 // max(row_bytes, 1))
    stride = rng.choice([row_bytes, row_bytes, row_bytes + rng.randrange(1, 70), max(64, row_bytes)])
    return {"address": rng.randrange(4096), "row_bytes": row_bytes, "rows": rows, "stride": stride}


@pytest.mark.parametrize("config", [
    *(PRESETS[name] for name in ("tiny", "small", "base", "lean64")),
    replace(PRESETS["small"], name="block_queues", compressed_b=False),
], ids=lambda config: config.name)
@pytest.mark.parametrize("seed", range(4))
def test_random_jobs_reach_memory(config, seed):
    rng = random.Random(f"{config.name} {seed}")
    sizes = rng.choice([[config.port_bytes], [config.port_bytes // 2], range(1, config.port_bytes + 1)])
    run(config, [random_job(rng) for _ in range(12)], list(sizes), seed=seed, gap=rng.choice([0, 0.4]),
        stall=rng.choice([0, 0.3, 0.6]))


def test_a_row_written_again_ends_with_the_later_bytes():
    run(PRESETS["base"], [{"address": 5, "row_bytes": 40, "rows": 6, "stride": 0}], [16])


@pytest.mark.parametrize("address, row_bytes, rows, stride, size, cycles", [
    (0, 8192, 1, 0, 16, 512),
    (7, 8192, 1, 0, 16, 513),
    (0, 16, 512, 16, 16, 512),
    (0, 4096, 1, 0, 8, 512),       # half chunks make full beats
    (0, 16, 200, 64, 16, 200),     # bursts of one beat
    (8, 16, 200, 64, 16, 400),     # rows that spill
    (0, 128, 50, 256, 16, 400),
])
@pytest.mark.parametrize("name", ["base", "lean64"])
def test_a_full_chunk_goes_every_cycle(name, address, row_bytes, rows, stride, size, cycles):
    log: list[dict[str, int]] = []
    taken: list[int] = []

    def watch(dut: SegmentWriter):
        async def process(ctx: Any) -> None:
            cycle = 0
            while True:
                _, _, valid, ready = await ctx.tick().sample(dut.i.valid, dut.i.ready)
                cycle += 1
                if valid and ready:
                    taken.append(cycle)
        return process

    config = PRESETS[name]
    share = 16 // config.port_bytes        # the bytes above are of a port of 16
    job = {"address": address // share, "row_bytes": row_bytes // share, "rows": rows,
           "stride": stride // share}
    run(config, [job], [size // share], log=log, processes=(watch,))
    assert taken[-1] - taken[0] <= cycles + 1
    assert log[-1]["last_cycle"] - taken[-1] <= 20


def test_a_run_of_short_rows_is_written_in_long_bursts():
    log: list[dict[str, int]] = []
    run(PRESETS["base"], [{"address": 0, "row_bytes": 12, "rows": 256, "stride": 12}], [12], log=log)
    assert [burst["beats"] for burst in log] == [16] * 12


def test_the_last_data_leaves_at_once():
    log: list[dict[str, int]] = []
    run(PRESETS["base"], [{"address": 3, "row_bytes": 5, "rows": 1, "stride": 5}], [16], log=log)
    assert log[0]["last_cycle"] <= 8


def cycles_of_data(config: Config, jobs: list[dict[str, int]], seed: int, stall: float) -> list[int]:
    """When beats leave to a memory that takes an address and data of it in the same cycle, or nothing."""
    rng, dut, taken = random.Random(f"{seed} data"), SegmentWriter(config), []
    chunks = [chunk for job in jobs for chunk in chunks_of(job, rng, [config.port_bytes])[0]]

    async def memory(ctx: Any) -> None:
        stalls, cycle, owed = random.Random(f"{seed} stalls"), 0, 0
        while True:
            takes = stalls.random() >= stall
            ctx.set(dut.aw.ready, takes)
            ctx.set(dut.w.ready, takes)
            ctx.set(dut.b.valid, owed > 0)
            _, _, leaves, last = await ctx.tick().sample(dut.w.valid & dut.w.ready, dut.w.payload.last)
            owed += (leaves and last) - (owed > 0)
            if leaves:
                taken.append(cycle)
            cycle += 1

    run_block(dut, {"i_job": jobs, "i": chunks}, {}, seed=seed, settle_cycles=200, processes=[memory])
    return taken


@pytest.mark.parametrize("rows, beats", [(1, 1), (1, 2), (30, 1), (20, 2), (2, 40)])
@pytest.mark.parametrize("seed, stall", [(0, 0.0), (0, 0.5), (2, 0.5)])
def test_far_registers_cost_no_cycle(rows: int, beats: int, seed: int, stall: float) -> None:
    near, far = (replace(PRESETS["lean64"], far_registers=far) for far in (False, True))
    row_bytes = beats * far.port_bytes
    job = {"address": 0, "row_bytes": row_bytes, "rows": rows, "stride": row_bytes + far.burst_bytes}
    found = cycles_of_data(far, [job] * 4, seed, stall)
    assert found == cycles_of_data(near, [job] * 4, seed, stall)
    assert len(found) == 4 * rows * beats


def test_every_error_response_is_reported_with_its_burst():
    log: list[dict[str, int]] = []
    seen: list[int] = []

    def watch(dut: SegmentWriter):
        async def process(ctx: Any) -> None:
            while True:
                _, _, error, address = await ctx.tick().sample(dut.o_error, dut.o_error_address)
                if error:
                    seen.append(address)
        return process

    job = {"address": 0, "row_bytes": 16, "rows": 40, "stride": 80}
    run(PRESETS["base"], [job], [16], errors=0.4, log=log, processes=(watch,))
    assert seen == [burst["address"] for burst in log if burst["response"] == 2] != []


@pytest.mark.parametrize("name", ["tiny", "base"])
@pytest.mark.parametrize("seed", range(3))
def test_a_job_is_written_when_its_last_burst_is_answered(name, seed):
    config, rng = PRESETS[name], random.Random(f"written {seed}")
    jobs = [random_job(rng) for _ in range(12)]
    log: list[dict[str, int]] = []
    answers: list[int] = []          # how many had come when each job was said to be written

    def watch(dut: SegmentWriter):
        async def process(ctx: Any) -> None:
            answered = 0
            while True:
                _, _, valid, written = await ctx.tick().sample(dut.b.valid, dut.o_job_written)
                if written:
                    answers.append(answered)
                answered += valid
        return process

    run(config, jobs, [config.port_bytes], seed=seed, stall=0.3, log=log, processes=(watch,))
    places = [{(job["address"] + row * job["stride"] + byte) // config.burst_bytes
               for row in range(job["rows"]) for byte in range(job["row_bytes"])}
              for job in jobs if job["rows"] * job["row_bytes"]]
    assert len(answers) == len(places) and answers == sorted(answers) and answers[-1] == len(log)
    for first, last, blocks in zip([0, *answers], answers, places, strict=False):
        assert {burst["address"] // config.burst_bytes for burst in log[first:last]} == blocks


@pytest.mark.parametrize("name", ["tiny", "base", "large"])
def test_it_converts_to_verilog(name):
    assert "module block" in emit_verilog(SegmentWriter(PRESETS[name]), "block")
