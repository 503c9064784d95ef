"""hdl.register_slice: order, and nothing that passes in the same cycle."""

from typing import Any

import pytest
from amaranth.lib import data
from amaranth.sim import Simulator

from hdl.emit import emit_verilog
from hdl.register_slice import RegisterSlice
from tests.harness import run_block

PAIR = data.StructLayout({"a": 8, "b": data.ArrayLayout(4, 2)})


@pytest.mark.parametrize("seed", range(4))
def test_entries_come_out_in_order_under_gaps_and_stalls(seed: int) -> None:
    items = [{"a": number, "b": [number % 16, 3]} for number in range(60)]
    result = run_block(RegisterSlice(PAIR), {"i": items}, {"o": 60}, gap=0.3, stall=0.4, seed=seed)
    assert result["o"] == items


def test_two_entries_have_room_and_ready_does_not_look_at_the_output() -> None:
    dut = RegisterSlice(8)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx: Any) -> None:
        ready = []
        for number in range(4):
            ctx.set(dut.i.payload, number)
            ctx.set(dut.i.valid, 1)
            ready.append(ctx.get(dut.i.ready))
            await ctx.tick()
        assert ready == [1, 1, 0, 0]
        ctx.set(dut.o.ready, 1)
        assert not ctx.get(dut.i.ready)
        assert ctx.get(dut.o.payload) == 0
        await ctx.tick()
        assert ctx.get(dut.i.ready)
        assert ctx.get(dut.o.payload) == 1

    simulator.add_testbench(testbench)
    simulator.run()


def test_it_converts_to_verilog() -> None:
    assert "module" in emit_verilog(RegisterSlice(PAIR), "block")
