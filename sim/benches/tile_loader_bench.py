"""hdl.tile_loader: tiles in every format, from memory into the right places."""

import random
from typing import Any

import cocotb

from hdl.layouts import BFormat
from sim.benches.blocks import BLOCKS, SMALL
from sim.benches.memory import answer_reads
from sim.benches.streams import Block
from sim.models.tile import TileModel, expected_dense, expected_packed
from sim.models.tile_jobs import Image, dense_case, narrow_job, packed_case, wide_job


async def load(block: Block, cases: list[tuple[dict[str, Any], list]], image: Image) -> None:
    """Load each tile and compare what its beats leave in the PEs."""
    await block.start()
    done, faults = block.pulses("o_done"), block.pulses("o_fault")
    memory, bus = bytes(image.bytes), set[int]()
    for number in range(SMALL.tile_readers):
        block.run(answer_reads(block, SMALL, memory, request=f"o_request.{number}", beat=f"i_beat.{number}",
                               bus=bus))
    block.source("i_job", [job for job, _ in cases])
    sink = block.sink("o")
    await block.until(lambda: len(done) == len(cases), "all tiles done", 6000)
    await block.finish()
    assert len(done) == len(cases) and block.get("o_idle") and not faults
    start = 0
    for (job, rows), (end, _) in zip(cases, done, strict=True):
        beats = [beat for beat, cycle in zip(sink.items, sink.cycles, strict=True) if start <= cycle < end]
        model = TileModel(SMALL, job).take_all(beats)
        model.assert_closed()
        if job["format"] == BFormat.DENSE:
            assert model.dense == expected_dense(SMALL, job, rows), job
            assert not model.started
        else:
            assert model.packed == expected_packed(SMALL, job, rows), job
            assert not any(model.dense)
        start = end
    assert sink.cycles[-1] < start, "beats after the last tile"


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(seed=[0, 1], rates=[(0.0, 0.0), (0.3, 0.3)])
async def dense_tiles_follow_each_other(dut: Any, seed: int, rates: tuple[float, float]) -> None:
    rng = random.Random(seed)
    image = Image(rng)
    jobs = [wide_job(SMALL, rng, pk_log2) for pk_log2 in (seed, 2)]
    jobs += [narrow_job(SMALL, rng, group_log2) for group_log2 in (1, 2)]
    jobs = [job | {"k_count": min(job["k_count"], 10 if job["group_log2"] == 0 else 60)} for job in jobs]
    rng.shuffle(jobs)
    block = Block(dut, BLOCKS["tile_loader"](), seed, gap=rates[0], stall=rates[1])
    await load(block, [dense_case(image, job, rng) for job in jobs], image)


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(pk_log2=[0, 2], rates=[(0.0, 0.0), (0.3, 0.3)])
async def tiles_of_every_format_follow_each_other(dut: Any, pk_log2: int,
                                                  rates: tuple[float, float]) -> None:
    rng = random.Random(pk_log2)
    image = Image(rng)
    cases = [packed_case(SMALL, image, rng, form, pk_log2) for form in BFormat if form != BFormat.DENSE]
    job = wide_job(SMALL, rng, pk_log2)
    cases.insert(1, dense_case(image, job | {"k_count": min(job["k_count"], 5)}, rng))
    block = Block(dut, BLOCKS["tile_loader"](), pk_log2, gap=rates[0], stall=rates[1])
    await load(block, cases, image)
