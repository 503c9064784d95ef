"""hdl.reader: segments of memory come as chunks, whatever the memory's pace."""

import random
from typing import Any

import cocotb

from sim.benches.blocks import BLOCKS, TINY
from sim.benches.memory import answer_reads
from sim.benches.streams import Block
from sim.models.segments import chunks_of_rows, random_segment, segment_bytes

MEMORY = random.Random(1).randbytes(1 << 14)
CHUNK_BYTES = TINY.port_bytes


@cocotb.test(timeout_time=50, timeout_unit="us")
@cocotb.parametrize(seed=[0, 1], rates=[(0.0, 0.0), (0.3, 0.4)])
async def jobs_give_the_bytes_of_memory(dut: Any, seed: int, rates: tuple[float, float]) -> None:
    rng = random.Random(seed)
    jobs = [random_segment(rng, most_bytes=100) for _ in range(8)]
    chunks = [chunk for job in jobs for chunk in chunks_of_rows(segment_bytes(MEMORY, job), [CHUNK_BYTES])]
    block = Block(dut, BLOCKS["reader"](), seed, gap=rates[0], stall=rates[1])
    await block.start()
    block.run(answer_reads(block, TINY, MEMORY, latency=rng.choice([1, 8])))
    block.source("i_job", jobs)
    sink = block.sink("o")
    await block.finish({"o": len(chunks)})
    assert sink.items == chunks
    assert block.get("o_idle") and not block.get("o_waiting")


@cocotb.test(timeout_time=50, timeout_unit="us")
@cocotb.parametrize(address=[0, 3])
async def a_chunk_comes_every_cycle(dut: Any, address: int) -> None:
    job = {"address": address, "row_bytes": 400, "rows": 1, "stride": 0}
    block = Block(dut, BLOCKS["reader"]())
    await block.start()
    block.run(answer_reads(block, TINY, MEMORY))
    block.source("i_job", [job])
    sink = block.sink("o")
    await block.finish({"o": 100})
    assert sink.cycles[-1] - sink.cycles[0] <= 100
