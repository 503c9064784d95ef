"""hdl.queue, hdl.head_queue: order and fullness."""

from collections.abc import Callable
from functools import partial

import pytest
from amaranth.lib import data

from hdl.emit import emit_verilog
from hdl.head_queue import HeadQueue
from hdl.queue import Queue
from tests.harness import run_block

KINDS = pytest.mark.parametrize(
    "kind", [Queue, HeadQueue, pytest.param(partial(HeadQueue, in_block_ram=True), id="HeadQueueInBlockRam")])
PAIR = data.StructLayout({"a": 8, "b": data.ArrayLayout(4, 2)})


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("depth", [2, 8])
@KINDS
def test_entries_come_out_in_order_under_gaps_and_stalls(kind: Callable, depth: int, seed: int) -> None:
    items = [{"a": number, "b": [number % 16, 3]} for number in range(60)]
    result = run_block(kind(PAIR, depth), {"i": items}, {"o": 60}, gap=0.3, stall=0.4, seed=seed)
    assert result["o"] == items


@KINDS
def test_a_depth_that_is_no_power_of_two_is_refused(kind: Callable) -> None:
    with pytest.raises(ValueError, match="depth = 6"):
        kind(8, 6)


def test_it_converts_to_verilog() -> None:
    assert "module" in emit_verilog(Queue(PAIR, 4), "block")
