"""hdl.collector: sums become the bytes of C, whatever the job and whoever stalls."""

from typing import Any

import cocotb

from sim.benches.blocks import BLOCKS, TINY
from sim.benches.memory import answer_reads
from sim.benches.streams import Block
from sim.models.collector import EARLIER_ADDRESS, PARAMETER_ADDRESS, Job, random_job, write


async def collect(block: Block, jobs: list[Job], settled: int = 1) -> None:
    """Run jobs, whose operands in memory are those of the first, and compare the bytes of C."""
    memory = bytearray(0x8000)
    for address, content in ((EARLIER_ADDRESS, jobs[0].earlier_bytes()),
                             (PARAMETER_ADDRESS, jobs[0].parameter_bytes())):
        memory[address:address + len(content)] = content
    await block.start()
    block.set("i_settled", settled)
    drained = block.pulses("o_drained")
    asked = [block.pulses(f"o_request.{number}.valid") for number in range(2)]
    for number in range(2):
        block.run(answer_reads(block, TINY, memory, request=f"o_request.{number}", beat=f"i_beat.{number}"))
    block.source("i_job", [job.job for job in jobs])
    for chain in range(TINY.chains):
        block.source(f"i.{chain}", [word for job in jobs for word in job.chains[chain]])
    write_jobs, sink = block.sink("o_write_job"), block.sink("o")
    if not settled:
        await block.cycles(60)
        assert not asked[0], "earlier sums were asked for before they had arrived"
        block.set("i_settled", 1)
    await block.finish({"o_write_job": len(jobs), "o": sum(job.chunk_count() for job in jobs)})
    chunks = sink.items[:]
    for job, write_job in zip(jobs, write_jobs.items, strict=True):
        assert write(write_job, chunks) == job.image()
    assert not chunks
    assert len(drained) == len(jobs) and block.get("o_idle")


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(seed=range(6))
async def a_job_of_any_kind_writes_what_the_model_writes(dut: Any, seed: int) -> None:
    block = Block(dut, BLOCKS["collector"](), seed, gap=0.2 * (seed % 2), stall=0.3 * (seed % 3))
    await collect(block, [random_job(TINY, f"tiny {seed}", rows=6)])


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(rates=[(0.0, 0.0), (0.3, 0.5)])
async def jobs_follow_each_other(dut: Any, rates: tuple[float, float]) -> None:
    jobs = [Job(TINY, rows=rows, n_count=n_count, group_log2=group_log2, out_int8=out_int8, relu=out_int8,
                density=density, seed=rows)
            for rows, n_count, group_log2, out_int8, density in (
                (3, 9, 0, False, 0.8), (5, 2, 1, True, 0.8), (1, 1, 2, False, 1.0), (4, 5, 0, True, 0.0))]
    await collect(Block(dut, BLOCKS["collector"](), 1, gap=rates[0], stall=rates[1]), jobs)


@cocotb.test(timeout_time=100, timeout_unit="us")
async def earlier_sums_are_read_when_they_have_arrived(dut: Any) -> None:
    job = Job(TINY, rows=3, n_count=6, accumulate=True, row_bias=True)
    await collect(Block(dut, BLOCKS["collector"]()), [job], settled=0)
