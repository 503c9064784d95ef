"""hdl.token_bus: all PEs or none, and the gate between jobs."""

import random
from typing import Any

import cocotb

from sim.benches.blocks import BLOCKS, TINY
from sim.benches.streams import Block


def token_beats(count: int, last_after: tuple[int, ...] = ()) -> list[dict]:
    """Beats that carry their number, all tokens of one owner."""
    return [{"tokens": [{"address": number, "owner": number % TINY.pes}] * TINY.beat_tokens,
             "mask": number % 4, "last": int(number in last_after)} for number in range(count)]


@cocotb.test(timeout_time=50, timeout_unit="us")
@cocotb.parametrize(seed=[0, 1], gap=[0.0, 0.4])
async def every_pe_hears_the_same_beats_and_only_when_all_had_room(dut: Any, seed: int, gap: float) -> None:
    rng, beats = random.Random(seed), token_beats(60)
    block = Block(dut, BLOCKS["token_bus"](), seed, gap=gap)
    await block.start()
    source = block.source("i", beats)
    sinks = [block.sink(f"o.{number}") for number in range(TINY.pes)]
    block.set("i_pk_log2", TINY.pe_bits)
    await block.cycles()
    block.set("i_open", 1)
    full, had_room = (1 << TINY.pes) - 1, False
    while not source.done:
        room = full if rng.random() < 0.6 else rng.randrange(full)
        block.set("i_room", room)
        await block.sample()
        ready = block.get("i.ready")
        assert ready == had_room, f"ready is {ready} where the room a cycle ago was {had_room}"
        had_room = room == full
        await block.cycles()
    await block.cycles(5)
    for number, sink in enumerate(sinks):
        own = [beat["mask"] if beat["tokens"][0]["owner"] == number else 0 for beat in beats]
        assert [item["mask"] for item in sink.items] == own
        assert [item["tokens"][0]["address"] for item in sink.items] == list(range(len(beats)))
    assert sinks[0].cycles == sinks[1].cycles


@cocotb.test(timeout_time=50, timeout_unit="us")
async def nothing_passes_after_a_last_beat_until_the_gate_was_closed(dut: Any) -> None:
    block = Block(dut, BLOCKS["token_bus"]())
    await block.start()
    lasts = block.pulses("o_last")
    source, sink = block.source("i", token_beats(12, last_after=(4, 8))), block.sink("o.0")
    block.set("i_pk_log2", 0)
    block.set("i_room", (1 << TINY.pes) - 1)
    block.set("i_open", 1)
    for passed in (5, 9, 12):
        await block.cycles(20)
        assert source.taken == len(sink.items) == passed
        block.set("i_open", 0)
        await block.cycles(3)
        assert source.taken == passed
        block.set("i_open", 1)
    assert len(lasts) == 2
