"""DenseLoader: every value of a dense tile reaches its place, whatever the split and the stride."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from hdl.config import PRESETS, Config
from hdl.dense_loader import DenseLoader
from hdl.emit import emit_verilog
from hdl.owner import owner_value
from sim.models.tile import TileModel, expected_dense
from sim.models.tile_jobs import job_fields, narrow_job, wide_job
from tests.harness import as_python, run_block
from tests.presets import PARALLEL


def chunks_of(read: Mapping[str, int], memory: bytes, width: int) -> list[dict[str, int]]:
    """What a segment reader gives for a job."""
    chunks = []
    for row in range(read["rows"]):
        start = read["address"] + row * read["stride"]
        for offset in range(0, read["row_bytes"], width):
            count = min(width, read["row_bytes"] - offset)
            piece = memory[start + offset:start + offset + count]
            chunks.append({"data": int.from_bytes(piece, "little"), "count": count,
                           "row_last": int(offset + count == read["row_bytes"]), "last": 0})
    chunks[-1]["last"] = 1
    return chunks


def reader(dut: DenseLoader, memory: bytes, width: int, seed: int, gap: float) -> Callable:
    """A stand-in for the segment reader between `o_read_job` and `i`."""
    rng = random.Random(seed)

    async def process(ctx: Any) -> None:
        while True:
            ctx.set(dut.o_read_job.ready, 1)
            _, _, asked, read = await ctx.tick().sample(dut.o_read_job.valid, dut.o_read_job.payload)
            ctx.set(dut.o_read_job.ready, 0)
            if not asked:
                continue
            for chunk in chunks_of(as_python(read), memory, width):
                while rng.random() < gap:
                    await ctx.tick()
                ctx.set(dut.i.payload, chunk)
                ctx.set(dut.i.valid, 1)
                await ctx.tick().until(dut.i.ready)
                ctx.set(dut.i.valid, 0)
    return process


def load(config: Config, jobs: Sequence[dict[str, Any]], memory: bytes, *, seed: int = 0,
         gap: float = 0.0) -> list[list[tuple[int, dict[str, Any]]]]:
    """The beats of each job, with the cycle in which each came."""
    dut = DenseLoader(config)
    done: list[list[tuple[int, dict[str, Any]]]] = []

    async def collect(ctx: Any) -> None:
        beats: list[tuple[int, dict[str, Any]]] = []
        cycle = 0
        while True:
            _, _, valid, beat, ended = await ctx.tick().sample(dut.o.valid, dut.o.payload, dut.o_done)
            cycle += 1
            if ended:
                done.append(beats)
                beats = []
            if valid:
                beats.append((cycle, as_python(beat)))

    # An empty job at the end is taken only when all before it are done.
    run_block(dut, {"i_job": [*jobs, job_fields(config)]}, {}, seed=seed, gap=gap,
              processes=[collect, reader(dut, memory, config.port_bytes, seed, gap)])
    assert len(done) == len(jobs) + 1 and not done[-1]
    return done[:-1]


def check(config: Config, jobs: Sequence[dict[str, Any]], seed: int, gap: float = 0.0) -> list[list[int]]:
    """Run jobs over random memory, compare every tile; return each job's beat cycles."""
    memory = random.Random(seed).randbytes(1 << 15)
    result = load(config, jobs, memory, seed=seed, gap=gap)
    for job, beats in zip(jobs, result, strict=True):
        rows = []
        for k in range(job["k_count"]):
            start = job["values"] + k * job["stride"]
            rows.append([byte - 256 if byte & 128 else byte
                         for byte in memory[start:start + job["n_count"]]])
        model = TileModel(config, job).take_all(beat for _, beat in beats)
        assert model.dense == expected_dense(config, job, rows), job
    return [[cycle for cycle, _ in beats] for beats in result]


def splits() -> list[Any]:
    return [(name, pk_log2) for name, config in PARALLEL.items() for pk_log2 in range(config.pe_bits + 1)]


@pytest.mark.parametrize(("preset", "pk_log2"), splits())
def test_rows_of_whole_words_reach_their_slices(preset, pk_log2):
    config = PRESETS[preset]
    rng = random.Random(f"{preset} {pk_log2}")
    check(config, [wide_job(config, rng, pk_log2) for _ in range(6)], seed=pk_log2, gap=rng.choice((0, 0.4)))


@pytest.mark.parametrize("preset", PARALLEL)
@pytest.mark.parametrize("seed", range(2))
def test_narrow_rows_share_words(preset, seed):
    config = PRESETS[preset]
    rng = random.Random(f"{preset} {seed}")
    jobs = [narrow_job(config, rng, group_log2) for group_log2 in range(1, config.lane_bits + 1)
            for _ in range(2)]
    check(config, jobs, seed=seed, gap=0.4 * seed)


def test_a_long_run_of_single_columns_fills_every_part():
    for name in ("tiny", "base"):
        config = PRESETS[name]
        check(config, [job_fields(config, pk_log2=config.pe_bits, slice_words=1, n_count=1, stride=1,
                                  group_log2=config.lane_bits, k_count=601)], seed=1)


@pytest.mark.parametrize("preset", PARALLEL)
@pytest.mark.parametrize("slice_words", [1, 3])
def test_rows_of_one_word_go_to_all_owners(preset, slice_words):
    config = PRESETS[preset]
    check(config, [job_fields(config, pk_log2=config.pe_bits, slice_words=slice_words, n_count=config.lanes,
                              stride=stride, k_count=67, values=3)
                   for stride in (config.lanes, config.lanes + 1)], seed=1)


def test_a_tile_without_rows_is_done_at_once():
    config = PRESETS["base"]
    assert check(config, [job_fields(config, n_count=8, pk_log2=3, slice_words=1)], seed=0) == [[]]


@pytest.mark.parametrize(("preset", "pk_log2", "slice_words", "n_count"), [
    ("tiny", 1, 4, 16), ("small", 1, 2, 16), ("base", 3, 16, 128), ("base", 1, 4, 128),
    ("base", 0, 1, 64), ("large", 0, 1, 128), ("large", 0, 2, 256), ("large", 4, 8, 64)])
def test_full_chunks_make_a_beat_a_cycle(preset, pk_log2, slice_words, n_count):
    config = PRESETS[preset]
    k_count = 20
    cycles, = check(config, [job_fields(config, pk_log2=pk_log2, slice_words=slice_words, n_count=n_count,
                                        stride=n_count, k_count=k_count)], seed=3)
    beats = k_count * n_count // config.port_bytes
    assert len(cycles) == beats and cycles[-1] - cycles[0] == beats - 1


@pytest.mark.parametrize(("preset", "group_log2", "rows_a_beat"),
                         [("tiny", 2, 2), ("small", 0, 2), ("small", 1, 4), ("base", 0, 2), ("base", 1, 4),
                          ("base", 3, 8), ("large", 0, 2), ("large", 3, 16)])
def test_runs_of_narrow_rows_make_a_beat_a_cycle(preset, group_log2, rows_a_beat):
    config = PRESETS[preset]
    width = config.lanes >> group_log2
    cycles, = check(config, [job_fields(config, pk_log2=config.pe_bits, slice_words=1, n_count=width,
                                        stride=width, group_log2=group_log2, k_count=240)], seed=4)
    assert len(cycles) == 240 // rows_a_beat and cycles[-1] - cycles[0] == len(cycles) - 1


def test_owners_of_the_model_are_those_of_the_array():
    assert [owner_value(k, 2) for k in range(8)] == [0, 1, 2, 3, 1, 0, 3, 2]


@pytest.mark.parametrize("preset", PARALLEL)
def test_converts_to_verilog(preset):
    assert "module dense_loader" in emit_verilog(DenseLoader(PRESETS[preset]), "dense_loader")
