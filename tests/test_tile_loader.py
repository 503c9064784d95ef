"""TileLoader: tiles in every format, one after another, from memory into the right places."""

import random
from types import SimpleNamespace
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.layouts import BFormat
from hdl.registers import ErrorCode
from hdl.tile_loader import TileLoader
from sim.models.tile import TileModel, expected_dense, expected_packed
from sim.models.tile_jobs import Image, dense_case, job_fields, narrow_job, packed_case, wide_job
from tests.harness import as_python, run_block
from tests.memory_model import answer_reads
from tests.presets import PARALLEL

PACKING = [name for name, config in PRESETS.items() if config.compressed_b]


def load(config: Config, jobs: list[dict[str, Any]], memory: bytes, *, seed: int = 0, gap: float = 0.0,
         stall: float = 0.0) -> tuple[list[list[dict[str, Any]]], list[int]]:
    """Each job's beats, and the codes of all faults."""
    dut = TileLoader(config)
    done: list[list[dict[str, Any]]] = []
    faults: list[int] = []

    async def collect(ctx: Any) -> None:
        beats: list[dict[str, Any]] = []
        while True:
            _, _, valid, beat, ended, idle, fault = await ctx.tick().sample(
                dut.o.valid, dut.o.payload, dut.o_done, dut.o_idle, dut.o_fault)
            assert not (idle and (valid or ended)), "a beat or the end of a job while idle"
            if ended:
                done.append(beats)
                beats = []
            if valid:
                beats.append(as_python(beat))
            if fault.valid:
                faults.append(fault.code)

    bus: set[int] = set()
    memories = [answer_reads(SimpleNamespace(o_request=dut.o_request[n], i_beat=dut.i_beat[n]), config,
                             bytes(memory), seed=seed + n, latency=12 + seed, gap=gap, stall=stall,
                             bus=bus)
                for n in range(len(dut.o_request))]
    # An empty tile at the end is taken only when all before it are done.
    run_block(dut, {"i_job": [*jobs, job_fields(config, format=BFormat.DENSE)]}, {}, seed=seed,
              processes=[collect, *memories])
    assert len(done) == len(jobs) + 1 and not done[-1]
    return done[:-1], faults


def check(config: Config, cases: list[tuple[dict[str, Any], list]], image: Image, **settings: Any) -> None:
    result, faults = load(config, [job for job, _ in cases], bytes(image.bytes), **settings)
    assert not faults
    for (job, rows), beats in zip(cases, result, strict=True):
        model = TileModel(config, job).take_all(beats)
        model.assert_closed()
        if job["format"] == BFormat.DENSE:
            assert model.dense == expected_dense(config, job, rows), job
            assert not model.started
        else:
            assert model.packed == expected_packed(config, job, rows), job
            assert not any(model.dense)


@pytest.mark.parametrize("preset", PARALLEL)
@pytest.mark.parametrize("seed", range(2))
def test_dense_tiles_follow_each_other(preset, seed):
    config = PRESETS[preset]
    rng = random.Random(f"{preset} {seed}")
    image = Image(rng)
    jobs = [wide_job(config, rng, rng.randint(0, config.pe_bits)) for _ in range(3)]
    jobs += [narrow_job(config, rng, rng.randint(1, config.lane_bits)) for _ in range(3)]
    rng.shuffle(jobs)
    check(config, [dense_case(image, job, rng) for job in jobs], image, seed=seed, gap=0.3 * seed,
          stall=0.3 * seed)


@pytest.mark.parametrize("preset", PACKING)
@pytest.mark.parametrize("form", [BFormat.DENSE_PACKED, BFormat.CSR16_PACKED, BFormat.CSR32_PACKED])
def test_packed_tiles_follow_each_other(preset, form):
    config = PRESETS[preset]
    rng = random.Random(f"{preset} {form}")
    image = Image(rng)
    cases = [packed_case(config, image, rng, form, pk_log2) for pk_log2 in range(config.pe_bits + 1)]
    check(config, cases, image, seed=form.value, gap=0.3 * (form.value - 1))


@pytest.mark.parametrize("seed", range(2))
def test_dense_and_packed_tiles_alternate(seed):
    config = PRESETS["base"]
    rng = random.Random(seed)
    image = Image(rng)
    cases = []
    for form in (BFormat.CSR16_PACKED, BFormat.DENSE_PACKED, BFormat.CSR32_PACKED):
        cases.append(packed_case(config, image, rng, form, rng.randint(0, 3)))
        cases.append(dense_case(image, wide_job(config, rng, rng.randint(0, 3)), rng))
    check(config, cases, image, seed=seed, gap=0.3 * seed)


def test_a_packed_tile_without_rows_is_done_at_once():
    config = PRESETS["base"]
    empty = job_fields(config, format=BFormat.CSR16_PACKED, n_count=8, pk_log2=3, slice_words=1)
    beats, faults = load(config, [empty, empty], bytes(64))
    assert beats == [[], []] and not faults


def test_a_column_past_the_matrix_is_reported_and_the_tile_still_ends():
    config = PRESETS["base"]
    rng = random.Random(3)
    image = Image(rng)
    job, rows = packed_case(config, image, rng, BFormat.CSR16_PACKED, 3)
    while not rows[-1]:
        job, rows = packed_case(config, image, rng, BFormat.CSR16_PACKED, 3)
    beats, faults = load(config, [{**job, "columns": job["n_start"]}], bytes(image.bytes))
    assert ErrorCode.COLUMN_INDEX in faults and len(beats) == 1


@pytest.mark.parametrize("preset", [name for name, config in PRESETS.items() if config.sddmm])
def test_rows_of_x_do_not_wait_for_memory_while_the_pes_have_no_room_for_what_has_come(preset):
    config = PRESETS[preset]
    dut = TileLoader(config)
    waiting = []

    async def testbench(ctx: Any) -> None:
        n_count = 4 * config.port_bytes
        ctx.set(dut.i_job.payload, job_fields(config, rows=1, k_count=3, n_count=n_count, stride=n_count))
        ctx.set(dut.i_job.valid, 1)
        ctx.set(dut.o_request[0].ready, 1)
        await ctx.tick().until(dut.i_job.ready)
        ctx.set(dut.i_job.valid, 0)
        await ctx.tick().until(dut.o_request[0].valid)
        for cycle in range(30):
            # One beat of the burst, and no further one.
            ctx.set(dut.i_beat[0].valid, cycle == 8)
            *_, waits = await ctx.tick().sample(dut.o_rows_waiting)
            waiting.append(waits)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert all(waiting[4:8]) and not any(waiting[16:])


@pytest.mark.parametrize("preset", PARALLEL)
def test_converts_to_verilog(preset):
    assert "module tile_loader" in emit_verilog(TileLoader(PRESETS[preset]), "tile_loader")
