"""Running a PE on jobs of sim.models.pe."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth.sim import Simulator

from hdl.config import Config
from hdl.pe import ProcessingElement
from sim.models.heard import BehindTileBus
from sim.models.pe import Job, Row, meaning, own_beats, take_rows, tile_beats, token_beats
from tests.harness import as_python

__all__ = ["PeRun", "run_pe"]


@dataclass
class PeRun:
    """What came out of a PE: rows of each job in order, cycles from its first beat to its last word, and
    cycles with a word in the lanes."""

    rows: list[list[Row]] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)
    active: int = 0
    blocked: int = 0
    faults: int = 0


def run_pe(config: Config, number: int, jobs: Sequence[Job], *, seed: int = 0, gap: float = 0.0,
           stall: float = 0.0, fill: float = 0.8, timeout_cycles: int = 20_000) -> PeRun:
    """Load each job's tile, send its tokens when there is room, collect its rows from the chains."""
    rng = random.Random(seed)
    dut = BehindTileBus(config, ProcessingElement(config, number), number)
    run = PeRun()
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    chains: list[list[Mapping[str, Any]]] = [[] for _ in range(config.chains)]
    state = {"cycle": 0, "out": 0}

    def chain(index: int) -> Any:
        chain_rng = random.Random(f"{seed} {index}")

        async def take(ctx: Any) -> None:
            output, held = dut.o[index], None
            while True:
                ready = chain_rng.random() >= stall
                ctx.set(output.ready, int(ready))
                _, _, valid, payload = await ctx.tick().sample(output.valid, output.payload)
                item = as_python(payload) if valid else None
                assert held is None or (item and meaning(item)) == held, "payload changed while stalled"
                if valid and ready:
                    chains[index].append(item)
                    state["out"] = state["cycle"]
                held = meaning(item) if valid and not ready else None
        return take

    async def watch(ctx: Any) -> None:
        while True:
            _, _, active, blocked, fault = await ctx.tick().sample(dut.o_active, dut.o_blocked,
                                                                   dut.o_fault.valid)
            state["cycle"] += 1
            run.active += active
            run.blocked += blocked
            run.faults += fault

    def collect(rows: int) -> list[Row] | None:
        """Rows of a job, alternating from chain 0; None while some are missing."""
        if sum(word["last"] for words in chains for word in words) < rows:
            return None
        return take_rows(config, chains, rows)

    async def bench(ctx: Any) -> None:
        for job in jobs:
            ctx.set(dut.i_job, job.pe_job(config))
            await ctx.tick().repeat(4)
            for beat in tile_beats(config, job, rng) if job.load else ():
                while rng.random() < gap:
                    await ctx.tick()
                ctx.set(dut.i_tile.payload, beat)
                ctx.set(dut.i_tile.valid, 1)
                await ctx.tick()
                ctx.set(dut.i_tile.valid, 0)
            while not ctx.get(dut.o_room):
                await ctx.tick()
            started, rooms = state["cycle"], [0, 0]
            owner = number & ((1 << job.pk_log2) - 1)
            for beat in own_beats(token_beats(config, job, rng, fill), owner):
                while True:
                    # Three registers lie between the PE's room and a beat that it lets through.
                    passes, *rooms = *rooms, ctx.get(dut.o_room)
                    if passes and rng.random() >= gap:
                        break
                    await ctx.tick()
                    ctx.set(dut.i.valid, 0)
                delayed = beat
                await ctx.tick()
                ctx.set(dut.i.payload, delayed)
                ctx.set(dut.i.valid, 1)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            count = -(-len(job.a) // (1 << job.group_log2))
            while (rows := collect(count)) is None:
                await ctx.tick()
                assert state["cycle"] - started < timeout_cycles, f"{len(jobs)} jobs: rows do not come"
            run.rows.append(rows)
            run.cycles.append(state["out"] - started)
            await ctx.tick().repeat(12)
        await ctx.tick().repeat(60)
        assert not any(chains), "words after the job's end"

    for index in range(config.chains):
        simulator.add_testbench(chain(index), background=True)
    simulator.add_testbench(watch, background=True)
    simulator.add_testbench(bench)
    simulator.run()
    return run
