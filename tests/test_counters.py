"""hdl.counters: one cause a cycle, exact sums."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.counters import Counters, counter_names
from hdl.emit import emit_verilog
from hdl.registers import COUNTERS
from sim.models.counters import count, draw

CONFIG = PRESETS["tiny"]


@pytest.mark.parametrize("seed", range(4))
def test_every_cycle_of_a_job_is_counted_once_and_jobs_do_not_mix(seed: int) -> None:
    dut = Counters(CONFIG)
    rng = random.Random(seed)

    async def testbench(ctx) -> None:
        for length in (40, 1, 200):
            model, found = dict.fromkeys(counter_names(), 0), dict.fromkeys(counter_names(), 0)
            for cycle in range(length + 1 + rng.randrange(3, 6)):
                inputs = draw(CONFIG, rng)
                for name, value in inputs.items():
                    ctx.set(getattr(dut, name), value)
                if 0 < cycle <= length:
                    count(model, inputs)
                await ctx.tick()
                ctx.set(dut.i_running, cycle < length)
                for name in found:
                    found[name] += ctx.get(dut.o[name])
            assert found == model
            assert sum(found[f"count_{name}"] for name, _ in COUNTERS) == found["cycles"]

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("preset", ["tiny", "base", "large"])
def test_it_converts_to_verilog(preset: str) -> None:
    assert "module" in emit_verilog(Counters(PRESETS[preset]), "counters")
