"""hdl.packer: every nonzero of B reaches its lane, in order."""

import random
from typing import Any

import cocotb

from sim.benches.blocks import BLOCKS, SMALL
from sim.benches.streams import Block
from sim.models.tile import TileModel, expected_packed
from sim.models.tile_jobs import random_work


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(pk_log2=[0, 1, 2], gap=[0.0, 0.4])
async def nonzeros_reach_their_slice_and_lane_in_order(dut: Any, pk_log2: int, gap: float) -> None:
    rng = random.Random(pk_log2)
    work = [random_work(SMALL, rng, pk_log2) for _ in range(3)]
    block = Block(dut, BLOCKS["packer"](), pk_log2, gap=gap)
    await block.start()
    done = block.pulses("o_done")
    block.source("i_job", [job for job, _, _ in work])
    block.source("i", [beat for _, _, beats in work for beat in beats])
    sink = block.sink("o")
    await block.until(lambda: len(done) == len(work), "all tiles done", 6000)
    await block.finish()
    assert len(done) == len(work)
    start = 0
    for (job, rows, _), (end, _) in zip(work, done, strict=True):
        beats = [beat for beat, cycle in zip(sink.items, sink.cycles, strict=True) if start <= cycle < end]
        model = TileModel(SMALL, job).take_all(beats)
        model.assert_closed()
        assert model.packed == expected_packed(SMALL, job, rows), job
        start = end
    assert sink.cycles[-1] < start, "beats after the last tile"
