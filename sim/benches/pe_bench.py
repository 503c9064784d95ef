"""hdl.pe: a tile and tokens in, rows of sums out, in every mode."""

import random
from collections.abc import Sequence
from typing import Any

import cocotb

from sim.benches.blocks import BLOCKS, PE_NUMBER, SMALL
from sim.benches.streams import Block
from sim.models.pe import (
    Job,
    expected_rows,
    own_beats,
    random_job,
    take_rows,
    tile_beats,
    token_beats,
)

RATES = [(0.0, 0.0), (0.3, 0.6)]


async def send_tokens(block: Block, beats: Sequence[dict], rng: random.Random) -> None:
    """As the token bus does: three registers lie between the PE's room and a beat that it lets through."""
    rooms = [0, 0]
    for beat in beats:
        while True:
            passes, *rooms = *rooms, block.get("o_room")
            if passes and rng.random() >= block.gap:
                break
            await block.cycles()
            block.set("i.valid", 0)
        await block.cycles()
        block.set("i.payload", beat)
        block.set("i.valid", 1)
    await block.cycles()
    block.set("i.valid", 0)


async def multiply(block: Block, jobs: Sequence[Job]) -> None:
    """Load each job's tile, send its tokens, compare its rows with the model's."""
    rng = random.Random(f"{block.seed} beats")
    await block.start()
    faults, tile = block.pulses("o_fault"), block.source("i_tile")
    sinks = [block.sink(f"o.{number}") for number in range(SMALL.chains)]
    for job in jobs:
        block.set("i_job", job.pe_job(SMALL))
        await block.cycles(4)
        for beat in tile_beats(SMALL, job, rng):
            tile.put(beat)
        await block.until(lambda: tile.done, "the tile is in")
        await block.cycles(2)
        await block.until(lambda: block.get("o_room"), "room for tokens")
        expected = expected_rows(SMALL, PE_NUMBER, job)
        owner = PE_NUMBER & ((1 << job.pk_log2) - 1)
        await send_tokens(block, own_beats(token_beats(SMALL, job, rng), owner), rng)
        await block.until(lambda: sum(word["last"] for sink in sinks for word in sink.items) >= len(expected),
                          "all rows are out")
        await block.cycles(40)
        words = [sink.items[:] for sink in sinks]
        assert take_rows(SMALL, words, len(expected)) == expected
        for sink in sinks:
            sink.items.clear()
    assert not faults


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(split=[(2, 1, 4), (1, 2, 13), (1, 1, 4)], rates=RATES)
async def dense_rows_are_summed(dut: Any, split: tuple[int, int, int], rates: tuple[float, float]) -> None:
    pk_log2, slice_words, n_count = split
    rng = random.Random(n_count)
    block = Block(dut, BLOCKS["pe"](), n_count, gap=rates[0], stall=rates[1])
    await multiply(block, [random_job(SMALL, rng, rows=10, n_count=n_count, pk_log2=pk_log2,
                                      slice_words=slice_words) for _ in range(2)])


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(group_log2=[1, 2], rates=RATES)
async def narrow_rows_share_words_in_groups(dut: Any, group_log2: int, rates: tuple[float, float]) -> None:
    rng, width = random.Random(group_log2), SMALL.lanes >> group_log2
    block = Block(dut, BLOCKS["pe"](), group_log2, gap=rates[0], stall=rates[1])
    await multiply(block, [random_job(SMALL, rng, rows=13 + job, n_count=width, pk_log2=SMALL.pe_bits,
                                      slice_words=1, group_log2=group_log2) for job in range(2)])


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(split=[(2, 3, 12), (1, 2, 16)], rates=RATES)
async def packed_rows_are_summed(dut: Any, split: tuple[int, int, int], rates: tuple[float, float]) -> None:
    pk_log2, slice_words, n_count = split
    rng = random.Random(n_count)
    block = Block(dut, BLOCKS["pe"](), n_count, gap=rates[0], stall=rates[1])
    await multiply(block, [random_job(SMALL, rng, rows=10, n_count=n_count, pk_log2=pk_log2,
                                      slice_words=slice_words, packed=True) for _ in range(2)])
