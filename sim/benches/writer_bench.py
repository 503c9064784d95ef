"""hdl.writer: chunks end up in memory, byte for byte, and nothing else does."""

import random
from typing import Any

import cocotb

from sim.benches.blocks import BLOCKS, TINY
from sim.benches.memory import take_writes
from sim.benches.streams import Block
from sim.models.segments import chunks_of_rows, random_segment

MEMORY_BYTES, UNTOUCHED = 1 << 14, 0xA5


async def write(block: Block, jobs: list[dict[str, int]], sizes: list[int], errors: float = 0.0) -> list:
    """Write random rows for each job and compare all of memory; the bursts."""
    rng = random.Random(f"{block.seed} data")
    wanted, memory = bytearray([UNTOUCHED]) * MEMORY_BYTES, bytearray([UNTOUCHED]) * MEMORY_BYTES
    chunks, log = [], []
    for job in jobs:
        rows = [rng.randbytes(job["row_bytes"]) for _ in range(job["rows"] if job["row_bytes"] else 0)]
        chunks += chunks_of_rows(rows, sizes, rng)
        for number, row in enumerate(rows):
            start = job["address"] + number * job["stride"]
            wanted[start:start + len(row)] = row
    await block.start()
    block.run(take_writes(block, TINY, memory, errors=errors, log=log))
    block.source("i_job", jobs)
    block.source("i", chunks)
    await block.finish()
    await block.until(lambda: block.get("o_idle"), "idle")
    await block.cycles(30)
    assert block.get("o_idle")
    assert memory == wanted
    return log


@cocotb.test(timeout_time=60, timeout_unit="us")
@cocotb.parametrize(sizes=[[4], [2], [1, 2, 3, 4]], rates=[(0.0, 0.0), (0.3, 0.4)])
async def random_jobs_reach_memory(dut: Any, sizes: list[int], rates: tuple[float, float]) -> None:
    rng = random.Random(str(sizes))
    block = Block(dut, BLOCKS["writer"](), len(sizes), gap=rates[0], stall=rates[1])
    jobs = [random_segment(rng, most_bytes=80) for _ in range(12)]
    await write(block, [job for job in jobs if job["rows"] * job["row_bytes"]], sizes)


@cocotb.test(timeout_time=50, timeout_unit="us")
async def a_run_of_short_rows_is_written_in_long_bursts(dut: Any) -> None:
    block = Block(dut, BLOCKS["writer"]())
    log = await write(block, [{"address": 0, "row_bytes": 3, "rows": 64, "stride": 3}], [4])
    assert [burst["beats"] for burst in log] == [16] * 3


@cocotb.test(timeout_time=50, timeout_unit="us")
async def every_error_response_is_reported(dut: Any) -> None:
    block = Block(dut, BLOCKS["writer"](), 5)
    seen = block.pulses("o_error")
    log = await write(block, [{"address": 0, "row_bytes": 4, "rows": 30, "stride": 16}], [4], errors=0.4)
    assert len(seen) == sum(burst["response"] == 2 for burst in log) > 0
