"""hdl.block_queue: order, and room for as many entries as it says."""

from typing import Any

import pytest
from amaranth.hdl import unsigned

from hdl.block_queue import BlockQueue
from hdl.emit import emit_verilog
from tests.harness import run_block


@pytest.mark.parametrize("seed", range(3))
def test_entries_leave_in_order(seed):
    items = list(range(1, 200))
    results = run_block(BlockQueue(unsigned(8), 8), {"i": items}, {"o": len(items)}, seed=seed,
                        gap=0.3 * (seed == 1), stall=0.3 * (seed == 2))
    assert results["o"] == items


def test_it_holds_its_depth_and_one_at_the_output():
    dut, taken, freed = BlockQueue(unsigned(8), 8), [], []

    async def watch(ctx: Any) -> None:
        for item in range(20):
            ctx.set(dut.i.payload, item)
            ctx.set(dut.i.valid, 1)
            _, _, ready, place = await ctx.tick().sample(dut.i.ready, dut.o_freed)
            taken.append(ready)
            freed.append(place)

    run_block(dut, {}, {}, processes=[watch])
    assert sum(taken) == 9
    assert sum(freed) == 1


def test_it_converts_to_verilog():
    assert "module block" in emit_verilog(BlockQueue(unsigned(8), 8), "block")
