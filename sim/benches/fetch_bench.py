"""hdl.fetch: matrices in memory come out as tokens and row ends."""

import random
from typing import Any

import cocotb

from hdl.fetch import FETCH_READERS
from sim.benches.blocks import BLOCKS, TINY
from sim.benches.memory import answer_reads
from sim.benches.streams import Block
from sim.models.fetch import Case, Memory, csr_case, dense_case, events_of, random_csr

LENGTHS = ([3, 1, 0, 0, 0, 7, 2], [0, 0, 0, 5, 1], [4, 4, 4], [9, 0, 0, 0, 0])


async def fetch(block: Block, memory: Memory, cases: list[Case]) -> None:
    """Run the jobs; events and faults must be those of the model."""
    await block.start()
    faults, image = block.pulses("o_fault"), bytes(memory.bytes[:1 << 14])
    for number in range(FETCH_READERS):
        block.run(answer_reads(block, TINY, image, request=f"o_request.{number}", beat=f"i_beat.{number}"))
    block.source("i_job", [case.job for case in cases])
    sink = block.sink("o")
    wanted = [case.events for case in cases if case.job["rows"]]
    await block.until(lambda: sum(beat["last"] for beat in sink.items) == len(wanted) and block.get("o_idle"),
                      "all jobs done")
    await block.cycles(40)
    assert events_of(TINY, sink.items) == wanted
    assert {fault["code"] for _, fault in faults} == set().union(*(case.faults for case in cases))


@cocotb.test(timeout_time=60, timeout_unit="us")
@cocotb.parametrize(wide=[False, True], rates=[(0.0, 0.0), (0.3, 0.4)])
async def rows_of_every_format_come_out_in_order(dut: Any, wide: bool, rates: tuple[float, float]) -> None:
    rng, memory = random.Random(int(wide)), Memory(int(wide))
    cases = [csr_case(memory, *random_csr(rng, lengths, 40, zeros=0.1), columns=40, wide=wide)
             for lengths in LENGTHS]
    rows = [[rng.choice([0, rng.randrange(-128, 128)]) for _ in range(7)] for _ in range(4)]
    cases.insert(2, dense_case(memory, rows, gap_bytes=3))
    await fetch(Block(dut, BLOCKS["fetch"](), 1, gap=rates[0], stall=rates[1]), memory, cases)


@cocotb.test(timeout_time=50, timeout_unit="us")
async def columns_outside_the_block_are_dropped(dut: Any) -> None:
    memory = Memory(2)
    arrays = random_csr(random.Random(2), [10] * 5, 60)
    case = csr_case(memory, *arrays, columns=60, wide=False, start=20, count=15)
    await fetch(Block(dut, BLOCKS["fetch"]()), memory, [case])


@cocotb.test(timeout_time=50, timeout_unit="us")
@cocotb.parametrize(pointers=[[0, 5, 3, 20], [0, 50, 60, 20], [0, -5, -2**31, 20], [0, 20, 19]])
async def wrong_row_pointers_are_reported_and_the_next_job_runs(dut: Any, pointers: list[int]) -> None:
    memory = Memory(3)
    cases = [csr_case(memory, pointers, list(range(20)), list(range(1, 21)), columns=20, wide=False)]
    assert cases[0].faults
    await fetch(Block(dut, BLOCKS["fetch"](), 3, stall=0.2), memory,
                [*cases, dense_case(memory, [[1, 2, 3]])])


@cocotb.test(timeout_time=50, timeout_unit="us")
async def a_column_index_that_is_too_large_is_dropped_and_reported(dut: Any) -> None:
    memory = Memory(4)
    case = csr_case(memory, [0, 3, 5], [1, 10, 2, -1, 9], [1, 2, 3, 4, 5], columns=10, wide=True)
    assert case.faults
    await fetch(Block(dut, BLOCKS["fetch"]()), memory, [case])
