"""hdl.guard: nothing outside the windows, nothing cut, whatever comes and whenever the port closes."""

import random
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.guard import MemoryGuard
from tests.harness import as_python

WINDOWS = {"read": {"base": 0x4000 >> 6, "last": 0x7FFF >> 6},
           "write": {"base": 0x6000 >> 6, "last": 0x60BF >> 6}}


def range_of(name: str) -> range:
    return range(WINDOWS[name]["base"] << 6, (WINDOWS[name]["last"] + 1) << 6)


def is_inside(config: Config, name: str, burst: dict[str, int]) -> bool:
    first = burst["address"]
    last = first + (burst["length"] + 1) * config.port_bytes - 1
    piece = config.burst_bytes
    return first in range_of(name) and last in range_of(name) and first // piece == last // piece


class Ports:
    """An array that offers random bursts, and a memory that takes and answers them as it likes."""

    def __init__(self, config: Config, seed: int, bursts: int, outside: float):
        self.config, self.rng = config, random.Random(seed)
        self.outside = outside
        self.reads, self.writes = ([self.burst(name) for _ in range(bursts)] for name in ("read", "write"))
        self.passed: dict[str, list] = {"ar": [], "aw": [], "w": []}
        self.quiet_at: int | None = None

    def burst(self, name: str) -> dict[str, int]:
        rng, size, inside = self.rng, self.config.port_bytes, range_of(name)
        if rng.random() < self.outside:
            address = rng.choice([inside.start - size, inside.stop - size, inside.stop, 0, (1 << 32) - size,
                                  inside.start - 16 * size, rng.randrange(1 << 32) // size * size])
            return {"id": rng.randrange(16), "address": address, "length": rng.choice([0, 1, 15, 255])}
        while True:
            burst = {"id": rng.randrange(16), "length": rng.randrange(16),
                     "address": rng.randrange(inside.start, inside.stop, size)}
            if is_inside(self.config, name, burst):
                return burst

    async def run(self, ctx: Any, dut: MemoryGuard, close_at: int, cycles: int = 400,
                  stall: float = 0.3) -> None:
        rng, passed = self.rng, self.passed
        ctx.set(dut.i_windows, WINDOWS)
        to_offer = {"ar": list(self.reads), "aw": list(self.writes), "w": [
            {"data": number, "strobe": number % 3, "last": int(beat == burst["length"])}
            for number, burst in enumerate(self.writes) for beat in range(burst["length"] + 1)]}
        reading: list[list[int]] = []        # id and beats to come of bursts that went out
        written = acknowledged = 0           # write bursts whose data went out; whose answer was given
        offered: set[str] = set()            # by the array, and not taken
        shown: dict[str, Any] = {}           # to the memory, and not taken
        dropped: set[str] = set()            # channels that had an address outside
        for cycle in range(cycles):
            ctx.set(dut.i_close, cycle >= close_at)
            ctx.set(dut.i_hold, rng.random() < 0.1)
            for name, queue in to_offer.items():
                if queue and (name in offered or rng.random() > stall):
                    offered.add(name)
                    ctx.set(getattr(dut.port, name).payload, queue[0])
                ctx.set(getattr(dut.port, name).valid, name in offered)
                ctx.set(getattr(dut.memory, name).ready, rng.random() > stall)
            answer = rng.choice(reading) if reading and rng.random() > stall else None
            if answer is not None:
                # Of one id the oldest burst goes first.
                answer = next(entry for entry in reading if entry[0] == answer[0])
                ctx.set(dut.memory.r.payload, {"id": answer[0], "last": int(answer[1] == 1)})
            acknowledges = acknowledged < min(written, len(passed["aw"])) and rng.random() > stall
            for channel, valid in (("r", answer is not None), ("b", acknowledges)):
                ctx.set(getattr(dut.memory, channel).valid, valid)
                ctx.set(getattr(dut.port, channel).ready, 1)
            await ctx.delay(1e-9)
            now = {name: as_python(ctx.get(getattr(dut.memory, name).payload)) for name in to_offer
                   if ctx.get(getattr(dut.memory, name).valid)}
            for name, payload in shown.items():
                assert now.get(name) == payload, f"{name} did not hold"
            if cycle >= close_at:
                assert now.keys() & {"ar", "aw"} <= shown.keys(), "a new address after closing"
            if cycle >= close_at and ctx.get(dut.o_quiet):
                assert not now and not reading and len(passed["aw"]) == written == acknowledged
                self.quiet_at = cycle if self.quiet_at is None else self.quiet_at
            assert self.quiet_at is None or ctx.get(dut.o_quiet)
            assert "w" not in now or written < len(passed["aw"]) + ("aw" in now), "data before its address"
            for name, queue in to_offer.items():
                accepted = bool(ctx.get(getattr(dut.port, name).ready)) and name in offered
                taken = name in now and bool(ctx.get(getattr(dut.memory, name).ready))
                if accepted and not taken:
                    # Dropped: the first one outside, and the last one that is taken.
                    assert name != "w" and name not in dropped
                    assert not is_inside(self.config, {"ar": "read", "aw": "write"}[name], queue[0])
                    dropped.add(name)
                    queue.pop(0)
                    offered.discard(name)
                    continue
                assert accepted == taken and not (taken and name in dropped)
                if taken:
                    passed[name].append(queue.pop(0))
                    offered.discard(name)
                    if name == "ar":
                        reading.append([passed[name][-1]["id"], passed[name][-1]["length"] + 1])
                    written += name == "w" and passed[name][-1]["last"]
                shown.pop(name, None)
                if name in now and not taken:
                    shown[name] = now[name]
            if answer is not None:
                answer[1] -= 1
                if not answer[1]:
                    reading.remove(answer)
            acknowledged += acknowledges
            await ctx.tick()


def simulate(config: Config, ports: Ports, **options: Any) -> None:
    dut = MemoryGuard(config)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx: Any) -> None:
        await ports.run(ctx, dut, **options)

    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("preset", ["tiny", "base"])
@pytest.mark.parametrize("seed", range(4))
def test_bursts_inside_the_windows_pass_in_order_and_become_quiet(preset: str, seed: int) -> None:
    config = PRESETS[preset]
    ports = Ports(config, seed, bursts=12, outside=0)
    simulate(config, ports, close_at=1200, cycles=1300)
    assert ports.passed["ar"] == ports.reads and ports.passed["aw"] == ports.writes
    assert sum(beat["last"] for beat in ports.passed["w"]) == 12
    assert ports.quiet_at == 1201


@pytest.mark.parametrize("preset", ["tiny", "base"])
@pytest.mark.parametrize("seed", range(12))
def test_no_address_outside_its_window_goes_out(preset: str, seed: int) -> None:
    config = PRESETS[preset]
    ports = Ports(config, seed, bursts=8, outside=0.3)
    simulate(config, ports, close_at=300)
    for name, channel, offered in (("read", "ar", ports.reads), ("write", "aw", ports.writes)):
        inside = [is_inside(config, name, burst) for burst in offered]
        assert len(ports.passed[channel]) == (inside.index(False) if False in inside else 8)
        assert all(is_inside(config, name, burst) for burst in ports.passed[channel])


@pytest.mark.parametrize("seed", range(25))
def test_what_is_outstanding_when_the_port_closes_is_completed(seed: int) -> None:
    config = PRESETS["tiny"]
    ports = Ports(config, seed, bursts=10, outside=0)
    simulate(config, ports, close_at=2 * seed)
    assert ports.quiet_at is not None
    assert sum(beat["last"] for beat in ports.passed["w"]) == len(ports.passed["aw"])


@pytest.mark.parametrize("name, channel", [("read", "ar"), ("write", "aw")])
@pytest.mark.parametrize("ready", [0, 1])
def test_what_is_outside_is_told_until_the_port_closes(name: str, channel: str, ready: int) -> None:
    dut = MemoryGuard(PRESETS["base"])

    async def testbench(ctx: Any) -> None:
        ctx.set(dut.i_windows, WINDOWS)
        stream, memory = getattr(dut.port, channel), getattr(dut.memory, channel)
        ctx.set(memory.ready, ready)
        for address, length, outside in ((range_of(name).start, 0, 0), (range_of(name).start - 64, 0, 1),
                                         (range_of(name).stop - 64, 3, 0), (range_of(name).stop - 64, 4, 1)):
            ctx.set(stream.payload, {"id": 5, "address": address, "length": length})
            ctx.set(stream.valid, 1)
            await ctx.tick()
            # What comes behind it is neither taken nor told.
            ctx.set(stream.payload, {"id": 6, "address": range_of(name).start if outside else address,
                                     "length": 0 if outside else length})
            for _ in range(3):
                blocked = as_python(ctx.get(dut.o_blocked))
                assert (blocked[name], blocked["read"] + blocked["write"]) == (outside, outside)
                if outside:
                    assert blocked["address"] == address and (name == "write" or blocked["id"] == 5)
                    assert not ctx.get(stream.ready) and not ctx.get(memory.valid)
                await ctx.tick()
            ctx.set(stream.valid, 0)
            ctx.set(dut.i_close, 1)
            await ctx.tick()
            assert not ctx.get(dut.o_blocked[name])
            ctx.set(dut.i_close, 0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("name, channel", [("read", "ar"), ("write", "aw")])
def test_while_addresses_are_held_nothing_is_told_of_them(name: str, channel: str) -> None:
    dut = MemoryGuard(PRESETS["base"])

    async def testbench(ctx: Any) -> None:
        ctx.set(dut.i_windows, WINDOWS)
        ctx.set(dut.i_hold, 1)
        stream = getattr(dut.port, channel)
        ctx.set(stream.payload, {"id": 5, "address": range_of(name).stop, "length": 0})
        ctx.set(stream.valid, 1)
        for held in (1, 1, 1, 1, 0):
            assert not any(ctx.get(dut.o_blocked[kind]) for kind in ("read", "write"))
            ctx.set(dut.i_hold, held)
            await ctx.tick()
        await ctx.tick()
        assert ctx.get(dut.o_blocked[name])

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("preset", PRESETS)
def test_it_converts_to_verilog(preset: str) -> None:
    assert "module block" in emit_verilog(MemoryGuard(PRESETS[preset]), "block")
