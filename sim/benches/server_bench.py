"""Runs inside the simulator: serves the host's commands on the pins of zerolane_bench.

Between commands this waits in `readline`, which holds the whole simulator: time stands still.
"""

import fcntl
import functools
import json
import os
import socket
from typing import Any

import cocotb
from cocotb.triggers import Timer, ValueChange

from sim.memory_faults import FAULT_SETTINGS

OUTPUTS = ("result", "response", "timed_out", "cycles", "violation")
INPUTS = ("start", "kind", "address", "data", "load", "dump", "dump_first", "dump_last", *FAULT_SETTINGS)


def leave_with_the_host(lifeline: int) -> None:
    """Have the operating system end this process if the host is no more.

    The host holds the other end of this pipe and never writes to it: SIGIO can only say that it is gone.
    Python would not see it: it gets no turn while the simulator runs.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


async def run(dut: Any, request: dict[str, int], start: int) -> dict[str, int]:
    for name in ("kind", "address", "data"):
        getattr(dut, name).value = request[name]
    dut.start.value = start
    # The level first: an edge may come before anyone waits for it. The clock stands once it is there.
    while dut.finished.value != start:
        await ValueChange(dut.finished)
    return {name: int(getattr(dut, name).value) for name in OUTPUTS}


def set_pins(dut: Any, values: dict[str, int]) -> None:
    """Pins by name, or by a path with dots below the top."""
    for name, value in values.items():
        functools.reduce(getattr, name.split("."), dut).value = value


async def pulse(pin: Any) -> None:
    """Have the storage read or write its file. The clock stands: no cycle passes."""
    pin.value = 1
    await Timer(1, unit="ns")
    pin.value = 0
    await Timer(1, unit="ns")


@cocotb.test()
async def serve(dut: Any) -> None:
    leave_with_the_host(int(os.environ["ZEROLANE_LIFELINE"]))
    connection = socket.socket(fileno=int(os.environ["ZEROLANE_SOCKET"]))
    lines = connection.makefile("rwb")
    for name in INPUTS:
        getattr(dut, name).value = 0
    await Timer(1, unit="ns")
    start = 0
    while line := lines.readline():
        request, answer = json.loads(line), {}
        match request.pop("op"):
            case "settings":
                set_pins(dut, request["values"])
                await Timer(1, unit="ns")
            case "load":
                await pulse(dut.load)
            case "dump":
                dut.dump_first.value = request["first"]
                dut.dump_last.value = request["last"]
                await Timer(1, unit="ns")
                await pulse(dut.dump)
            case "run":
                start ^= 1
                answer = await run(dut, request, start)
        lines.write(json.dumps(answer).encode() + b"\n")
        lines.flush()
