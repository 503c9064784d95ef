"""hdl.queue: order, and room for its depth."""

from typing import Any

import cocotb

from sim.benches.blocks import BLOCKS
from sim.benches.streams import Block

DEPTH = 4
ITEMS = [{"a": number, "b": [number % 16, 15 - number % 16]} for number in range(50)]


@cocotb.test(timeout_time=50, timeout_unit="us")
@cocotb.parametrize(rates=[(0.0, 0.0), (0.3, 0.4), (0.0, 0.7)])
async def entries_leave_in_order(dut: Any, rates: tuple[float, float]) -> None:
    block = Block(dut, BLOCKS["queue"](), 1, gap=rates[0], stall=rates[1])
    await block.start()
    block.source("i", ITEMS)
    sink = block.sink("o")
    await block.finish({"o": len(ITEMS)})
    assert sink.items == ITEMS
    if rates == (0.0, 0.0):
        assert sink.cycles[-1] - sink.cycles[0] == len(ITEMS) - 1


@cocotb.test(timeout_time=50, timeout_unit="us")
async def it_holds_no_more_than_it_has_places(dut: Any) -> None:
    block = Block(dut, BLOCKS["queue"](), 2)
    await block.start()
    source = block.source("i", ITEMS)
    sink = block.sink("o", stall=1.0)
    await block.cycles(20)
    assert source.taken == DEPTH and not sink.items
