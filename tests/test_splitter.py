"""hdl.splitter: wide chunks in narrow ones."""

import random

import pytest

from hdl.emit import emit_verilog
from hdl.splitter import ChunkSplitter
from sim.models.segments import chunks_of_rows
from tests.harness import run_block


def check(wide: int, narrow: int, *, seed: int, gap: float = 0.0, stall: float = 0.0, **options) -> None:
    rng = random.Random(f"{wide} {narrow} {seed}")
    jobs = [[rng.randbytes(rng.randrange(1, 4 * wide)) for _ in range(rng.randrange(1, 4))] for _ in range(6)]
    feed = [chunk for rows in jobs for chunk in chunks_of_rows(rows, [wide])]
    expected = [chunk for rows in jobs for chunk in chunks_of_rows(rows, [narrow])]
    results = run_block(ChunkSplitter(wide, narrow), {"i": feed}, {"o": len(expected)}, seed=seed, gap=gap,
                        stall=stall, **options)
    assert results["o"] == expected


@pytest.mark.parametrize("wide, narrow", [(16, 4), (16, 8), (8, 2), (4, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_narrow_chunks_hold_the_bytes_of_the_wide_ones(wide, narrow, seed):
    check(wide, narrow, seed=seed, gap=0.3 * seed, stall=0.3 * seed)


def test_a_narrow_chunk_comes_every_cycle():
    cycles = []

    def watch(dut):
        async def process(ctx):
            async for _, _, valid, ready in ctx.tick().sample(dut.o.valid, dut.o.ready):
                cycles.append((valid, ready))
        return process

    rows = [bytes(range(64))]
    dut = ChunkSplitter(16, 4)
    run_block(dut, {"i": chunks_of_rows(rows, [16])}, {"o": 16}, processes=[watch(dut)])
    moves = [cycle for cycle, (valid, ready) in enumerate(cycles) if valid and ready]
    assert moves == list(range(moves[0], moves[0] + 16))


def test_sizes_the_wrong_way_round_are_refused():
    with pytest.raises(ValueError, match="narrow_bytes = 8"):
        ChunkSplitter(8, 8)


def test_it_converts_to_verilog():
    assert "module splitter" in emit_verilog(ChunkSplitter(16, 4), "splitter")
