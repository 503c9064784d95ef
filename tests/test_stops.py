"""A memory that goes wrong, an abort or a soft reset at any time: the error is told, the next job is exact.

A few dozen cases of each kind run always, thousands in the slow tier.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hdl.config import PRESETS, Config
from hdl.registers import ErrorCode
from sim.host_transport import HostTransport
from sim.memory_faults import CHANNELS, MemoryFaults
from sim.models.extents import extents
from sim.transport import open_simulator
from tests.raw_array import LIST, MEMORY_BYTES, RawArray, RawJob, draw_job, written_places
from tests.simulators import EVERY_SIMULATOR, need

CASES = {"few": 60, "many": 1500}  # of each preset
TIERS = [pytest.param("few"), pytest.param("many", marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
ABORT, RESET = 2, 4
LONGEST_JOB_CYCLES = 2500


FAR = replace(PRESETS["tiny"], name="far", lean_drain=True, far_registers=True)
"""An abort takes a cycle more until the array hears of it."""


def opened(simulator: str, config: Config) -> Iterator[RawArray]:
    need(simulator)
    with open_simulator(simulator, config, memory_bytes=MEMORY_BYTES, latency_cycles=12,
                        gaps=0.1) as transport:
        assert isinstance(transport, HostTransport)
        yield RawArray(transport, config)


@pytest.fixture(scope="module", params=[PRESETS["micro"], PRESETS["tiny"], PRESETS["small"], FAR],
                ids=lambda config: config.name)
def array(request: pytest.FixtureRequest) -> Iterator[RawArray]:
    """One simulator process for all cases of a preset."""
    yield from opened("verilator", request.param)


@pytest.fixture(scope="module", params=EVERY_SIMULATOR)
def any_array(request: pytest.FixtureRequest) -> Iterator[RawArray]:
    yield from opened(request.param, PRESETS["tiny"])


def check_memory(array: RawArray, job: RawJob) -> None:
    """Only C may have changed, whatever happened."""
    found = bytearray(array.memory())
    for place in written_places(array.config, job.descriptors):
        found[place.start:place.stop] = job.memory[place.start:place.stop]
    assert found == job.memory


def case_of(array: RawArray, kind: str, seed: int) -> tuple[RawJob, random.Random]:
    return draw_job(array.config, 2_000_000 + seed), random.Random(f"{kind} {seed}")


# ---- errors of the memory ----------------------------------------------------------------------------------


def bad_memory(array: RawArray, seed: int) -> ErrorCode:
    """One beat, a few or all, read or written, are answered with an error."""
    job, rng = case_of(array, "errors", seed)
    first = rng.randrange(rng.choice([5, 60, 400]))
    reads = rng.random() < 0.7
    array.transport.inject(MemoryFaults(read_errors=reads, write_errors=not reads, first=first,
                                        last=first + rng.choice([0, 0, 3, 1000])))
    array.start(job)
    code, _, number, address = array.finish()
    assert code in (ErrorCode.NONE, ErrorCode.READ_BUS if reads else ErrorCode.WRITE_BUS)
    check_memory(array, job)
    if code == ErrorCode.NONE:
        assert array.memory() == job.expected
    else:
        assert array.read("COMPLETED") <= number < len(job.descriptors)
        burst = range(address, address + array.config.burst_bytes)
        spans = extents(array.config, job.descriptors[number])
        places = [range(span.address, span.end) for span in spans if span.write != reads]
        places.append(range(LIST, LIST + 128 * len(job.descriptors)))
        assert any(place.start < burst.stop and burst.start < place.stop for place in places)
    array.transport.inject(None)
    array.run_good(draw_job(array.config, seed))
    return code


@pytest.mark.verilator
@pytest.mark.parametrize("tier", TIERS)
def test_an_error_on_any_beat_ends_the_job_and_names_its_burst(array: RawArray, tier: str) -> None:
    codes = [bad_memory(array, seed) for seed in range(CASES[tier])]
    assert {ErrorCode.NONE, ErrorCode.READ_BUS, ErrorCode.WRITE_BUS} == set(codes)


# ---- a memory that stops ---------------------------------------------------------------------------------


def stopped_memory(array: RawArray, seed: int) -> ErrorCode:
    """Some channels stand still from some handover on; later they go on."""
    job, rng = case_of(array, "stops", seed)
    job.watchdog_cycles = 200
    frozen = tuple(rng.sample(CHANNELS, rng.choice([1, 1, 2, 5])))
    array.transport.inject(MemoryFaults(frozen=frozen, first=rng.randrange(rng.choice([10, 100, 1000]))))
    array.start(job)
    code, _, number, _ = array.finish()
    assert code in (ErrorCode.NONE, ErrorCode.TIMEOUT)
    if code == ErrorCode.TIMEOUT:
        assert number == array.read("COMPLETED") < len(job.descriptors)
        if array.fields("STATUS")["closing"] and rng.random() < 0.5:
            # A job that comes now waits for the memory, and is given up like any other.
            array.write("DOORBELL", 1)
            assert array.finish()[0] == ErrorCode.TIMEOUT
    array.transport.inject(None)
    array.transport.run_cycles(1000)
    assert not array.fields("STATUS")["closing"]
    check_memory(array, job)
    array.run_good(draw_job(array.config, seed))
    return code


@pytest.mark.verilator
@pytest.mark.parametrize("tier", TIERS)
def test_a_memory_that_stops_is_told_and_all_is_well_when_it_goes_on(array: RawArray, tier: str) -> None:
    codes = [stopped_memory(array, seed) for seed in range(CASES[tier])]
    assert {ErrorCode.NONE, ErrorCode.TIMEOUT} == set(codes)


@pytest.mark.verilator
def test_a_job_that_waits_for_the_memory_runs_when_it_goes_on(array: RawArray) -> None:
    job = draw_job(array.config, 1)
    job.watchdog_cycles = 200
    array.transport.inject(MemoryFaults(frozen=("r",), first=4))
    array.start(job)
    assert array.finish()[0] == ErrorCode.TIMEOUT
    array.transport.write_memory(0, job.memory)
    array.write("WATCHDOG", 0)
    array.write("DOORBELL", 1)
    array.transport.run_cycles(100)
    array.transport.inject(None)
    assert array.finish() == (ErrorCode.NONE, 0, 0, 0)
    assert array.memory() == job.expected


# ---- abort and reset -------------------------------------------------------------------------------------


def told_to_stop(array: RawArray, seed: int, most_cycles: int = LONGEST_JOB_CYCLES) -> bool:
    """Whether the job was still running."""
    job, rng = case_of(array, "told", seed)
    how = rng.choice([ABORT, RESET])
    array.start(job)
    array.transport.run_cycles(rng.randrange(rng.choice([20, 300, most_cycles])))
    array.write("CONTROL", 1 | how)
    if how == ABORT:
        code, _, number, _ = array.finish()
        assert code in (ErrorCode.NONE, ErrorCode.ABORTED)
        ran = code == ErrorCode.ABORTED
        assert not ran or number == array.read("COMPLETED") < len(job.descriptors)
    else:
        array.transport.run_cycles(400)
        assert array.read("STATUS") == array.read("ERROR") == array.read("COMPLETED") == 0
        ran = array.read("IRQ") == 0
    check_memory(array, job)
    if not ran:
        assert array.memory() == job.expected
    array.run_good(draw_job(array.config, seed))
    return ran


@pytest.mark.verilator
@pytest.mark.parametrize("tier", TIERS)
def test_an_abort_or_reset_at_any_time_ends_the_job(array: RawArray, tier: str) -> None:
    assert {told_to_stop(array, seed) for seed in range(CASES[tier])} == {False, True}


# ---- every simulator -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [bad_memory, stopped_memory, told_to_stop], ids=lambda case: case.__name__)
def test_every_simulator_can_do_it(any_array: RawArray, case) -> None:
    for seed in range(2):
        case(any_array, seed)


@pytest.mark.verilator
@pytest.mark.parametrize("config", [PRESETS["tiny"], FAR], ids=lambda config: config.name)
def test_every_simulator_ends_jobs_alike(config: Config) -> None:
    """The same errors at the same places after the same cycles."""
    seen = []
    for simulator in ("verilator", "amaranth"):
        for array in opened(simulator, config):
            ends = []
            for first in (3, 70, 130):
                job = draw_job(array.config, 5)
                array.transport.inject(MemoryFaults(read_errors=True, first=first, last=first))
                array.start(job)
                ends.append((array.finish(), array.read("CYCLES"), array.memory()))
            seen.append(ends)
    assert seen[0] == seen[1]
