"""Jobs on the array's flat pins, against AXI models that are not ours, under every pattern of pauses.

$ZEROLANE_JOBS names a JSON file: `memory_bytes`, `rules` (of the monitor, by bit), `bursts` (a file that gets
the lengths of bursts that were seen, a JSON line a test) and `jobs`, a list of: `image` (a file: memory from
address 0), `expected` (a file: memory after it, or null: only what lies below the first of `outputs` is
compared), `writes` and `reads` (registers: address and value, before the doorbell and after the interrupt).

The memory is cocotbext-axi's AxiSlave on a region of memory: it answers SLVERR beyond its end.
"""

import itertools
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiSlave, MemoryRegion

CLOCK_NS = 10
CHANNELS = ("ar", "r", "aw", "w", "b", "axil_b", "axil_r")
Pattern = Callable[[str], Iterator[bool] | None]


# ---- patterns: for a channel's name, its pauses; None: it is never held -----------------------------------


def never(channel: str) -> Iterator[bool] | None:
    return None


def cyclic(*pauses: int) -> Pattern:
    """The same pauses over and over, in phase on all channels."""
    return lambda channel: itertools.cycle(map(bool, pauses))


def by_chance(share: float, seed: int) -> Pattern:
    def generator(channel: str) -> Iterator[bool]:
        rng = random.Random(f"{seed} {channel}")
        while True:
            yield rng.random() < share
    return generator


def long_stalls(open_cycles: int, closed_cycles: int, seed: int) -> Pattern:
    """Open and closed for long times, each channel in its own phase."""
    def generator(channel: str) -> Iterator[bool]:
        phase = random.Random(f"{seed} {channel}").randrange(open_cycles + closed_cycles)
        pattern = [False] * open_cycles + [True] * closed_cycles
        return itertools.cycle(pattern[phase:] + pattern[:phase])
    return generator


def only(channel: str, pattern: Pattern) -> Pattern:
    return lambda name: pattern(name) if name == channel else None


PATTERNS: dict[str, Pattern] = {
    "never": never,
    "alternating": cyclic(1, 0),
    "two_of_three": cyclic(1, 1, 0),
    "one_of_five": cyclic(0, 0, 0, 0, 1),
    "a_third_by_chance": by_chance(1 / 3, 7),
    "most_by_chance": by_chance(0.8, 8),
    "long_stalls": long_stalls(40, 60, 9),
    "bursts_of_one": long_stalls(1, 9, 10),
    **{f"only_{channel}": only(channel, by_chance(0.75, 11)) for channel in CHANNELS},
    **{f"only_{channel}_long": only(channel, long_stalls(20, 90, 12))
       for channel in ("ar", "r", "aw", "w", "b")},
}


class System:
    """The array between the two models."""

    def __init__(self, dut: Any, size: int, pattern: Pattern):
        Clock(dut.clk, CLOCK_NS, unit="ns").start()
        self.dut, self.region = dut, MemoryRegion(size)
        self.memory = AxiSlave(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, target=self.region)
        self.control = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        channels = {"ar": self.memory.read_if.ar_channel, "r": self.memory.read_if.r_channel,
                    "aw": self.memory.write_if.aw_channel, "w": self.memory.write_if.w_channel,
                    "b": self.memory.write_if.b_channel, "axil_b": self.control.write_if.b_channel,
                    "axil_r": self.control.read_if.r_channel}
        assert tuple(channels) == CHANNELS
        for name, channel in channels.items():
            if (pauses := pattern(name)) is not None:
                channel.set_pause_generator(pauses)
        self.bursts: dict[str, Counter[int]] = {"ar": Counter(), "aw": Counter()}
        cocotb.start_soon(self._count_bursts())

    async def _count_bursts(self) -> None:
        dut = self.dut
        pins = [(dut.m_axi_arvalid, dut.m_axi_arready, dut.m_axi_arlen, self.bursts["ar"]),
                (dut.m_axi_awvalid, dut.m_axi_awready, dut.m_axi_awlen, self.bursts["aw"])]
        while True:
            await FallingEdge(dut.clk)
            for valid, ready, length, seen in pins:
                if valid.value == 1 and ready.value == 1:
                    seen[int(length.value) + 1] += 1

    async def reset(self) -> None:
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 3)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 3)

    async def run(self, job: dict[str, Any]) -> None:
        await self.region.write(0, Path(job["image"]).read_bytes())
        for address, value in job["writes"]:
            await self.control.write_dword(address, value)
        while not int(self.dut.irq.value):
            await RisingEdge(self.dut.clk)
        for address, mask, value in job["reads"]:
            found = await self.control.read_dword(address)
            assert found & mask == value, (f"{job['name']}: register {address:#x} is {found:#x}, "
                                           f"expected {value:#x}")


async def all_jobs(dut: Any, name: str) -> None:
    job_file = json.loads(Path(os.environ["ZEROLANE_JOBS"]).read_text())
    system = System(dut, job_file["memory_bytes"], PATTERNS[name])
    await system.reset()
    for job in job_file["jobs"]:
        await with_timeout(system.run(job), 2, "ms")
        broken = int(dut.violation.value)
        rules = [rule for bit, rule in enumerate(job_file["rules"]) if broken >> bit & 1]
        assert not rules, f"{job['name']}: {rules}"
        found, expected = bytes(system.region.mem), Path(job["expected"]).read_bytes()
        start, length = job["undefined"]
        assert found[:start] == expected[:start], f"{job['name']}: memory differs from the golden model's"
        assert found[start + length:] == expected[start + length:], f"{job['name']}: memory differs after it"
    with open(job_file["bursts"], "a") as file:
        file.write(json.dumps({channel: dict(seen) for channel, seen in system.bursts.items()}) + "\n")


@cocotb.test(timeout_time=50, timeout_unit="ms")
@cocotb.parametrize(pattern=list(PATTERNS))
async def jobs_under_pauses(dut: Any, pattern: str) -> None:
    await all_jobs(dut, pattern)
