"""One job on the flat pins of hdl.pins.FlatTop, against AXI models that are not ours.

$ZEROLANE_JOB names a JSON file: `image` (a file, contents of memory from address 0), `writes` and `reads`
(register addresses with values written before, or expected after, the interrupt), `result` (a file name
that memory is written to, with the test's name appended), `timeout_us`.
"""

import itertools
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

CLOCK_NS = 10


def pauses(seed: int) -> Callable[[], Iterator[bool]]:
    """Makes generators that hold a channel in a third of the cycles."""
    numbers = itertools.count()

    def generator() -> Iterator[bool]:
        rng = random.Random(f"{seed} {next(numbers)}")
        while True:
            yield rng.random() < 1 / 3
    return generator


async def run_job(dut: Any, name: str, pause: Callable[[], Iterator[bool]] | None) -> None:
    job = json.loads(Path(os.environ["ZEROLANE_JOB"]).read_text())
    Clock(dut.clk, CLOCK_NS, unit="ns").start()
    image = Path(job["image"]).read_bytes()
    memory = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=len(image))
    control = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
    if pause is not None:
        for channel in (memory.write_if.aw_channel, memory.write_if.w_channel, memory.write_if.b_channel,
                        memory.read_if.ar_channel, memory.read_if.r_channel, control.write_if.b_channel,
                        control.read_if.r_channel):
            channel.set_pause_generator(pause())
    memory.write(0, image)
    dut.rst.value = 1
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 3)
    for address, value in job["writes"]:
        await control.write_dword(address, value)

    async def interrupt() -> None:
        while not int(dut.irq.value):
            await RisingEdge(dut.clk)

    await with_timeout(interrupt(), job["timeout_us"], "us")
    for address, value in job["reads"]:
        found = await control.read_dword(address)
        assert found == value, f"register {address:#x} is {found:#x}, expected {value:#x}"
    Path(f"{job['result']}.{name}").write_bytes(memory.read(0, len(image)))


@cocotb.test(timeout_time=100, timeout_unit="ms")
async def straight(dut: Any) -> None:
    await run_job(dut, "straight", None)


@cocotb.test(timeout_time=100, timeout_unit="ms")
async def with_pauses(dut: Any) -> None:
    await run_job(dut, "with_pauses", pauses(7))
