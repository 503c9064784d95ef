"""synth.boards.single_port: the same in an iCE40's SPRAM, by Yosys's model of it, as in other parts."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl import emit
from hdl.emit import emit_rtlil, emit_verilog
from sim.runner import run_bench
from synth.boards.single_port import WORD_BYTES, SinglePort
from synth.cell_models import cell_models
from tests.simulators import need

SPRAM_WORDS = 1 << 14


def run(verilog: str, words: int, folder: Path) -> None:
    # Icarus: a word that is lost is X there.
    assert run_bench("sim.benches.single_port_bench", verilog, "single_port", simulator="icarus",
                     test_directory=folder, extra_env={"ZEROLANE_WORDS": str(words)}, timeout_seconds=120)


@pytest.mark.icarus
def test_block_ram_behind_one_port_gives_what_was_written(tmp_path: Path) -> None:
    need("icarus")
    run(emit_verilog(SinglePort(256), "single_port"), 256, tmp_path)


def test_block_ram_loses_what_was_read_to_a_write_as_spram_does() -> None:
    memory = SinglePort(16)

    async def access(ctx: Any, address: int, written: int, data: int = 0) -> int:
        for signal, value in ((memory.i_address, address), (memory.i_write, written), (memory.i_data, data),
                              (memory.i_read, not written)):
            ctx.set(signal, value)
        await ctx.tick()
        return ctx.get(memory.o_data)

    async def bench(ctx: Any) -> None:
        for address, data in ((1, 0x1111), (2, 0x2222)):
            await access(ctx, address, 15, data)
        assert await access(ctx, 1, 0) == 0x1111
        assert await access(ctx, 2, 1, 0x3333) != 0x1111

    simulator = Simulator(memory)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.icarus
@pytest.mark.parametrize("words", [256, 2 * SPRAM_WORDS])
def test_spram_gives_what_was_written(words: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("icarus")
    monkeypatch.setattr(emit, "emit_rtlil", partial(emit_rtlil, family="ice40"))
    _, models = cell_models("ice40")
    # Icarus does not know inputs with a value of their own; SPRAM has none.
    run("`define NO_ICE40_DEFAULT_ASSIGNMENTS\n" + emit_verilog(SinglePort(words), "single_port") + models,
        words, tmp_path)


@pytest.mark.parametrize("kib, cells", [(1, 2), (32, 2), (64, 2), (128, 4)])
def test_an_ice40_has_two_sprams_for_each_64_kib_or_part_of_them_and_no_other_memory(kib: int,
                                                                                      cells: int) -> None:
    text, = emit_rtlil(SinglePort(1024 * kib // WORD_BYTES), "top", "ice40")
    assert text.count("cell \\SB_SPRAM256KA ") == cells and "memory" not in text


@pytest.mark.parametrize("family", [None, "ecp5", "gowin"])
def test_other_parts_have_a_memory_of_any_kind(family: str | None) -> None:
    text, = emit_rtlil(SinglePort(256), "top", family)
    assert "SB_SPRAM" not in text and "memory width 32 size 256" in text
