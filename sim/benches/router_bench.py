"""hdl.router: owners, addresses and padding of tokens, jobs of every kind one after another."""

import random
from typing import Any

import cocotb

from sim.benches.blocks import BLOCKS, TINY
from sim.benches.streams import Block
from sim.models.router import expected, facts, random_beats, random_job


@cocotb.test(timeout_time=50, timeout_unit="us")
@cocotb.parametrize(seed=[0, 1], rates=[(0.0, 0.0), (0.2, 0.4)])
async def tokens_find_owner_and_address(dut: Any, seed: int, rates: tuple[float, float]) -> None:
    rng = random.Random(seed)
    jobs, beats, wanted = [], [], []
    for number in range(4):
        job, columns = random_job(TINY, rng, grouped=bool(number % 2))
        work = random_beats(TINY, rng.randrange(1, 25), columns, rng)
        jobs.append(job)
        beats += work
        wanted += expected(TINY, job, work)
    block = Block(dut, BLOCKS["router"](), seed, gap=rates[0], stall=rates[1])
    await block.start()
    block.source("i_job", jobs)
    block.source("i", beats)
    sink = block.sink("o")
    await block.finish({"o": len(wanted)})
    assert [facts(beat) for beat in sink.items] == wanted


@cocotb.test(timeout_time=50, timeout_unit="us")
async def a_beat_passes_every_cycle(dut: Any) -> None:
    rng = random.Random(3)
    beats = random_beats(TINY, 60, 16, rng)
    block = Block(dut, BLOCKS["router"](), 3)
    await block.start()
    block.source("i_job", [{"pk_log2": 1, "slice_words": 3, "packed": 0, "group_log2": 0}])
    block.source("i", beats)
    sink = block.sink("o")
    await block.finish({"o": len(beats)})
    assert sink.cycles[-1] - sink.cycles[0] == len(beats) - 1
