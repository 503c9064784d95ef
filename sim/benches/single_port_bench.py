"""synth.boards.single_port: words are written byte by byte and read, and stay shown until the next access.

It is told by the environment: ZEROLANE_WORDS, of the memory.
"""

import os
import random
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge

from sim.benches.streams import Block
from synth.boards.single_port import WORD_BYTES, SinglePort

WORDS = int(os.environ["ZEROLANE_WORDS"])
STEPS = 3000
EVERY_BYTE = (1 << WORD_BYTES) - 1


@cocotb.test()
async def what_is_read_is_what_was_written_and_stays_shown(dut: Any) -> None:
    rng = random.Random(WORDS)
    block = Block(dut, SinglePort(WORDS))
    await block.start()
    # Few enough that they are read and written again and again; ends of the memory's parts are among them.
    places = sorted({0, 1, WORDS // 2 - 1, WORDS // 2, WORDS - 1, *(rng.randrange(WORDS) for _ in range(4))})
    steps = [(place, EVERY_BYTE, 0) for place in places]
    steps += [(rng.choice(places), rng.choice((0, 0, 0, EVERY_BYTE, rng.randrange(EVERY_BYTE))),
               rng.randrange(2)) for _ in range(STEPS)]
    held: dict[int, int] = {}
    shown, compared = None, 0
    for place, written, reads in steps:
        data = rng.getrandbits(8 * WORD_BYTES)
        for path, value in (("i_address", place), ("i_write", written), ("i_data", data), ("i_read", reads)):
            block.set(path, value)
        if written:
            mask = sum(0xFF << 8 * byte for byte in range(WORD_BYTES) if written >> byte & 1)
            held[place] = held.get(place, 0) & ~mask | data & mask
            shown = None
        elif reads:
            shown = held[place]
        await FallingEdge(dut.clk)
        if shown is not None:
            assert block.get("o_data") == shown
            compared += 1
    assert compared > STEPS // 4
