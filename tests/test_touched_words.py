"""hdl.touched_words: a bit for each word to which some lane added."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from hdl.touched_words import TouchedWords


@pytest.mark.parametrize("name", ["tiny", "base"])
@pytest.mark.parametrize("seed", range(2))
def test_a_word_is_marked_two_cycles_after_an_access_until_it_is_cleared(name: str, seed: int) -> None:
    config, rng = PRESETS[name], random.Random(seed)
    dut = TouchedWords(config)
    marked, coming = [set(), set()], [set(), set()]

    async def bench(ctx) -> None:
        nonlocal coming
        for _ in range(400):
            accesses = [{"valid": int(rng.random() < 0.2), "bank": rng.randrange(2),
                         "word": rng.randrange(config.acc_words)} for _ in range(config.lanes)]
            clear = [rng.getrandbits(config.acc_words) & -(rng.random() < 0.3) for _ in range(2)]
            for access, value in zip(dut.i, accesses, strict=True):
                ctx.set(access, value)
            ctx.set(dut.i_clear, clear)
            for bank in range(2):
                assert ctx.get(dut.o[bank]) == sum(1 << word for word in marked[bank])
            await ctx.tick()
            for bank in range(2):
                marked[bank] |= coming[bank]
                marked[bank] -= {word for word in range(config.acc_words) if clear[bank] >> word & 1}
                coming[bank] = {access["word"] for access in accesses
                                if access["valid"] and access["bank"] == bank}

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_it_converts_to_verilog() -> None:
    assert "module" in emit_verilog(TouchedWords(PRESETS["base"]), "touched_words")
