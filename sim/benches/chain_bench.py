"""hdl.chain: two streams of sorted rows become one."""

import random
from typing import Any

import cocotb

from sim.benches.blocks import BLOCKS, TINY
from sim.benches.streams import Block
from sim.models.chain import as_words, merged, merged_words, random_row, read_rows, sums_of

ROWS = 30


@cocotb.test(timeout_time=50, timeout_unit="us")
@cocotb.parametrize(words=[1, 6], rates=[(0.0, 0.0), (0.4, 0.0), (0.3, 0.5)])
async def rows_are_merged_word_by_word(dut: Any, words: int, rates: tuple[float, float]) -> None:
    rng = random.Random(words)
    sides = [[random_row(TINY, rng, words) for _ in range(ROWS)] for _ in range(2)]
    block = Block(dut, BLOCKS["chain"](), words, gap=rates[0], stall=rates[1])
    await block.start()
    for path, rows in zip(("i_own", "i_up"), sides, strict=True):
        block.source(path, as_words(TINY, rows))
    sink = block.sink("o")
    await block.finish({"o": sum(len(merged_words(TINY, own, up)) for own, up in zip(*sides, strict=True))})
    rows = read_rows(sink.items)
    assert [sums_of(TINY, row) for row in rows] == [
        merged(TINY, own, up) for own, up in zip(*sides, strict=True)]


@cocotb.test(timeout_time=50, timeout_unit="us")
async def equal_words_pass_one_a_cycle(dut: Any) -> None:
    rows = [[(word, 15, [1, -2, 3, -4]) for word in range(5)] for _ in range(10)]
    block = Block(dut, BLOCKS["chain"]())
    await block.start()
    for path in ("i_own", "i_up"):
        block.source(path, as_words(TINY, rows))
    sink = block.sink("o")
    await block.finish({"o": 50})
    assert sink.cycles[-1] - sink.cycles[0] == 49
    assert all(item["data"] == [2, -4, 6, -8] for item in sink.items)
