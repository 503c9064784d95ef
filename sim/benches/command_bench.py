"""hdl.command: descriptors become jobs, in order and one array at a time, for units of random speed."""

import itertools
import random
from typing import Any

import cocotb

from hdl.descriptor import field_number
from hdl.registers import ErrorCode
from sim.benches.blocks import BLOCKS, TINY
from sim.benches.memory import answer_reads
from sim.benches.streams import Block
from sim.models.command import BASE, UNITS, check_jobs, good, numbered, pack


class Units:
    """The units around a command processor: each takes a job, is busy for a while, and says so."""

    def __init__(self, block: Block):
        self._block, self._rng = block, random.Random(f"{block.seed} units")
        self.jobs = {unit: block.sink(f"o_{unit}_job") for unit in UNITS}
        for sink in self.jobs.values():
            sink.allowance = 0
        self.owners: list[dict] = []
        self.loaded = self.drained = 0
        for name in ("i_collector_idle", "i_writer_idle"):
            block.set(name, 1)
        for unit in (self._tile, self._array, self._collector):
            block.run(unit())

    async def _job(self, unit: str, number: int) -> None:
        """Until the job of that number was taken."""
        sink = self.jobs[unit]
        sink.allowance = max(sink.allowance or 0, number + 1)
        while len(sink.items) <= number:
            await self._block.cycles()

    async def _work(self, most_cycles: int) -> None:
        await self._block.cycles(self._rng.randrange(1, most_cycles))

    async def _pulse(self, name: str) -> None:
        self._block.set(name, 1)
        await self._block.cycles()
        self._block.set(name, 0)

    async def _tile(self) -> None:
        for number in itertools.count():
            await self._job("tile", number)
            await self._work(60)
            await self._pulse("i_tile_done")
            self.loaded += 1

    async def _array(self) -> None:
        block = self._block
        for number in itertools.count():
            await self._job("fetch", number)
            await self._job("router", number)
            self.jobs["fetch"].allowance = number + 2   # its next job may be taken while tokens pass
            while not block.get("o_open"):
                await block.cycles()
            job = block.get("o_pe_job")
            await self._work(60)
            assert block.get("o_open") and self.drained == number
            assert len(self.jobs["collector"].items) > number, "tokens pass without a collector"
            await self._pulse("i_last")
            await self._work(12)
            assert block.get("o_pe_job") == job, "PeJob changed before the array had drained"
            assert not block.get("o_open")
            await self._pulse("i_drained")
            self.owners.append(job)
            self.drained += 1

    async def _collector(self) -> None:
        block = self._block
        for number in itertools.count():
            await self._job("collector", number)
            block.set("i_collector_idle", 0)
            while self.drained <= number:
                await block.cycles()
            block.set("i_writer_idle", 0)
            await self._work(8)
            block.set("i_collector_idle", 1)
            await self._work(30)
            block.set("i_writer_idle", 1)
            await self._pulse("i_job_written")


async def run(block: Block, descriptors: list[dict[str, int]], *, jobs: int = 1) -> tuple[Units, list[dict]]:
    """Ring the doorbell for these descriptors; the status after each time."""
    memory = bytes(BASE) + b"".join(map(pack, descriptors))
    await block.start()
    block.run(answer_reads(block, TINY, memory))
    units, finished, statuses = Units(block), block.pulses("o_finished"), []
    block.set("i_quiet", 1)
    block.set("i_moves", 1)
    block.set("i_descriptor", BASE)
    block.set("i_count", len(descriptors))
    for number in range(jobs):
        block.set("i_start", 1)
        await block.cycles()
        block.set("i_start", 0)
        await block.until(lambda: len(finished) > number, "the job's end")
        await block.cycles(20)
        assert len(finished) == number + 1
        assert block.get("i_collector_idle") and block.get("i_writer_idle")
        statuses.append(block.get("o_status"))
    return units, statuses


def ended(completed: int, code: int = 0, detail: int = 0, descriptor: int = 0) -> dict:
    return {"busy": 0, "closing": 0, "overflow": 0, "completed": completed,
            "error": {"code": code, "detail": detail, "descriptor": descriptor, "address": 0}}


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(tiles=["01", "0", "w", "0r1r", "01w"], rates=[(0.0, 0.0), (0.3, 0.5)])
async def every_unit_gets_its_jobs_once_and_in_order(dut: Any, tiles: str,
                                                     rates: tuple[float, float]) -> None:
    descriptors = numbered(TINY, 4, tiles)
    block = Block(dut, BLOCKS["command"](), tiles, gap=rates[0], stall=rates[1])
    units, statuses = await run(block, descriptors)
    assert statuses == [ended(4)]
    check_jobs(descriptors, {unit: sink.items for unit, sink in units.jobs.items()}, units.owners)
    assert units.loaded == sum(not values["reuse_tile"] for values in descriptors)


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_bad_field_is_named_and_a_job_runs_after_it(dut: Any) -> None:
    block = Block(dut, BLOCKS["command"](), 3)
    units, statuses = await run(block, [good(TINY), good(TINY, rows=0), good(TINY)], jobs=2)
    assert statuses == [ended(1, ErrorCode.FIELD, field_number("rows"), 1)] * 2
    assert all(len(sink.items) == 2 for sink in units.jobs.values())
