"""Running the fetch unit on matrices of sim.models.fetch."""

import random
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from amaranth.sim import Simulator

from hdl.config import Config
from hdl.fetch import FETCH_READERS, Fetch
from sim.models.fetch import Case, Memory, events_of
from tests.harness import as_python
from tests.memory_model import answer_reads

__all__ = ["check_fetch", "run_fetch"]


def run_fetch(config: Config, memory: Memory, cases: Sequence[Case], *, seed: int = 0, gap: float = 0.0,
              stall: float = 0.0, latency: int = 8, timeout_cycles: int = 20_000,
              ) -> tuple[list[dict[str, Any]], list[int], list[int]]:
    """All beats of the jobs, the cycle of each beat, and the fault codes; checks that the unit ends idle."""
    dut = Fetch(config)
    beats: list[dict[str, Any]] = []
    cycles: list[int] = []
    faults: list[int] = []
    rng = random.Random(f"{seed} take")
    wanted = sum(1 for case in cases if case.job["rows"])

    async def supervise(ctx: Any) -> None:
        held, ready, cycle, lasts, quiet = None, False, 0, 0, 0
        while quiet < 60:
            _, _, valid, payload, fault, idle = await ctx.tick().sample(
                dut.o.valid, dut.o.payload, dut.o_fault, dut.o_idle)
            beat = as_python(payload)
            if held is not None:
                assert valid and beat == held, "the output changed while it was stalled"
            if valid and ready:
                beats.append(beat)
                cycles.append(cycle)
                lasts += beat["last"]
            held = beat if valid and not ready else None
            if fault.valid:
                faults.append(fault.code)
            ready = rng.random() >= stall
            ctx.set(dut.o.ready, int(ready))
            cycle += 1
            quiet = quiet + 1 if lasts >= wanted and idle else 0
            if cycle > timeout_cycles:
                raise TimeoutError(f"{len(beats)} beats, {lasts} of {wanted} jobs in {cycle} cycles, {idle=}")

    async def offer(ctx: Any) -> None:
        for case in cases:
            ctx.set(dut.i_job.payload, case.job)
            ctx.set(dut.i_job.valid, 1)
            await ctx.tick().until(dut.i_job.ready)
            ctx.set(dut.i_job.valid, 0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for number in range(FETCH_READERS):
        port = SimpleNamespace(o_request=dut.o_request[number], i_beat=dut.i_beat[number])
        simulator.add_testbench(answer_reads(port, config, bytes(memory.bytes), seed=seed + 1000 * number,
                                             latency=latency, gap=gap, stall=gap), background=True)
    simulator.add_testbench(offer, background=True)
    simulator.add_testbench(supervise)
    simulator.run()
    return beats, cycles, faults


def check_fetch(config: Config, memory: Memory, cases: Sequence[Case], **options: Any) -> list[int]:
    """Runs the jobs and compares events and faults with the model; the cycles of the beats."""
    beats, cycles, faults = run_fetch(config, memory, cases, **options)
    found = events_of(config, beats)
    expected = [case.events for case in cases if case.job["rows"]]
    assert len(found) == len(expected)
    for number, (got, want) in enumerate(zip(found, expected, strict=True)):
        assert got == want, f"job {number}"
    assert set(faults) == set().union(*(case.faults for case in cases))
    return cycles
