"""The array itself gives the same product in the same cycles on every simulator."""

import pytest

from hdl.config import PRESETS
from hdl.registers import COUNTERS, register
from sim.transport import open_simulator
from tests.dense_job import dense_job
from tests.simulators import COCOTB_SIMULATORS, need

CONFIG = PRESETS["tiny"]


def run(simulator: str, gaps: float) -> tuple[bytes, list[int]]:
    """Memory after the job; cycles from doorbell to done, all counters, cycles in all."""
    job = dense_job(CONFIG)
    with open_simulator(simulator, CONFIG, memory_bytes=len(job.image), gaps=gaps, seed=2) as transport:
        transport.write_memory(0, job.image)
        for address, value in job.writes:
            transport.write_register(address, value)
        transport.wait_interrupt(20_000)
        assert transport.read_register(register("ERROR").address) == 0
        names = ("CYCLES", *(f"COUNT_{name.upper()}" for name, _ in COUNTERS))
        counts = [transport.read_register(register(name).address) for name in names]
        assert counts[0] == sum(counts[1:])
        return transport.read_memory(0, len(job.image)), [*counts, transport.stats.cycles]


@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_the_product_is_right(gaps: float) -> None:
    assert run("amaranth", gaps)[0] == dense_job(CONFIG).expected


@pytest.mark.parametrize("simulator", COCOTB_SIMULATORS)
@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_every_simulator_agrees_to_the_cycle(simulator: str, gaps: float) -> None:
    need(simulator)
    assert run(simulator, gaps) == run("amaranth", gaps)
