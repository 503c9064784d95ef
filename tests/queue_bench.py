"""A cocotb bench: bytes through the queue of test_sim_runner."""

import os
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

CYCLES = 60


@cocotb.test(timeout_time=10, timeout_unit="us")
async def bytes_come_out_in_order(dut: Any) -> None:
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    dut.rst.value, dut.i__valid.value, dut.o__ready.value = 1, 0, 0
    await FallingEdge(dut.clk)
    dut.rst.value = 0
    sent, received = 0, []
    for cycle in range(CYCLES):
        dut.i__valid.value, dut.i__payload.value, dut.o__ready.value = 1, sent & 0xFF, cycle % 3 != 0
        # Right after a rising edge the values are those that the edge acts on.
        await RisingEdge(dut.clk)
        if int(dut.o__valid.value) and int(dut.o__ready.value):
            received.append(int(dut.o__payload.value))
        sent += int(dut.i__ready.value)
        await FallingEdge(dut.clk)
    assert received == list(range(len(received))) and len(received) > CYCLES // 2


@cocotb.test(timeout_time=10, timeout_unit="us")
async def fails_on_request(dut: Any) -> None:
    assert "QUEUE_BENCH_FAILS" not in os.environ, "asked to fail"
