"""hdl.counters: every cycle of a job has one cause."""

import random
from typing import Any

import cocotb

from hdl.registers import COUNTERS
from sim.benches.blocks import BLOCKS, TINY
from sim.benches.streams import Block
from sim.models.counters import count, draw


@cocotb.test(timeout_time=50, timeout_unit="us")
@cocotb.parametrize(seed=[0, 1])
async def every_cycle_of_a_job_is_counted_once_and_jobs_do_not_mix(dut: Any, seed: int) -> None:
    rng = random.Random(seed)
    block = Block(dut, BLOCKS["counters"](), seed)
    await block.start()

    def drive() -> dict[str, int]:
        inputs = draw(TINY, rng)
        for name, value in inputs.items():
            block.set(name, value)
        return inputs

    for length in (40, 1, 100):
        model = dict.fromkeys((name for name, _ in block.shape("o")), 0)
        found = dict(model)

        async def cycle(found: dict[str, int] = found) -> None:
            await block.cycles()
            for name, step in block.get("o").items():
                found[name] += step

        drive()
        await cycle()
        block.set("i_running", 1)
        for _ in range(length):
            count(model, drive())
            await cycle()
        block.set("i_running", 0)
        for _ in range(rng.randrange(3, 6)):
            drive()
            await cycle()
        assert found == model
        assert sum(found[f"count_{name}"] for name, _ in COUNTERS) == found["cycles"]
