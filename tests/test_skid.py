"""hdl.skid: order, and a ready that does not look at what follows."""

import pytest
from amaranth.lib import data

from hdl.emit import emit_verilog
from hdl.skid import Skid
from tests.harness import run_block

PAIR = data.StructLayout({"a": 8, "b": data.ArrayLayout(4, 2)})


@pytest.mark.parametrize("seed", range(4))
def test_entries_come_out_in_order_under_gaps_and_stalls(seed: int) -> None:
    items = [{"a": number, "b": [number % 16, 3]} for number in range(60)]
    result = run_block(Skid(PAIR), {"i": items}, {"o": 60}, gap=0.3, stall=0.4, seed=seed)
    assert result["o"] == items


def test_without_stalls_nothing_waits() -> None:
    result = run_block(Skid(8), {"i": list(range(20))}, {"o": 20}, gap=0, stall=0, seed=0)
    assert result["o"] == list(range(20))


def test_it_converts_to_verilog() -> None:
    assert "module" in emit_verilog(Skid(PAIR), "block")
