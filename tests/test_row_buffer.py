"""hdl.row_buffer: rows come while there is room, and are read in order."""

import random
from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.layouts import TileBeatKind
from hdl.row_buffer import MAX_ADVANCE, RowBuffer
from sim.models.heard import BehindTileBus
from sim.models.pe import Job, tile_beats

CONFIGS = {name: replace(PRESETS[name], name=f"{name}_sddmm", sddmm=True) for name in ("tiny", "base")}
ON_THE_WAY = 4
"""Beats between a loader that looks at `o_room` and the bus."""


def beats_of(config: Config, rows: list[list[int]], slice_words: int, rng: random.Random) -> list[dict]:
    job = Job(a=[], b=[list(enumerate(row)) for row in rows], n_count=len(rows[0]), slice_words=slice_words)
    return [beat | {"kind": TileBeatKind.ROWS, "half": rng.randint(0, 1), "owner": 0}
            for beat in tile_beats(config, job, rng)]


def run(config: Config, number: int, jobs: list[tuple[list[list[int]], int]], seed: int, *, slow: float,
        skip: float) -> None:
    """Every row that is not skipped reads as it came, whatever the two sides' speeds are."""
    rng = random.Random(seed)
    dut = BehindTileBus(config, RowBuffer(config), number, "i", "i_data")
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    state = {"job": -1, "loaded": -1}

    async def load(ctx) -> None:
        for index, (rows, slice_words) in enumerate(jobs):
            while state["job"] < index:
                await ctx.tick()
            rooms = [1] * ON_THE_WAY
            for beat in beats_of(config, rows, slice_words, rng):
                while True:
                    passes, *rooms = *rooms, ctx.get(dut.o_room)
                    if passes and rng.random() >= 0.3 * (1 - slow):
                        break
                    await ctx.tick()
                ctx.set(dut.i_tile.payload, beat)
                ctx.set(dut.i_tile.valid, 1)
                await ctx.tick()
                ctx.set(dut.i_tile.valid, 0)
            state["loaded"] = index

    async def read(ctx) -> None:
        for index, (rows, slice_words) in enumerate(jobs):
            words = -(-len(rows[0]) // config.lanes)
            own = max(0, min(slice_words, words - number * slice_words))
            ctx.set(dut.i_slice, number)
            ctx.set(dut.i_slice_words, slice_words)
            ctx.set(dut.i_own_words, own)
            ctx.set(dut.i_begins, 1)
            await ctx.tick()
            ctx.set(dut.i_begins, 0)
            await ctx.tick().repeat(2)
            state["job"] = index
            row, waited = 0, 0
            while row < len(rows):
                if rng.random() < skip:
                    steps = min(rng.randint(1, MAX_ADVANCE), len(rows) - row)
                    while ctx.get(dut.o_far):
                        await ctx.tick()
                else:
                    while not ctx.get(dut.o_there):
                        await ctx.tick()
                        waited += 1
                        assert waited < 5000, f"row {row} does not come"
                    for word in range(own):
                        ctx.set(dut.i_index, word)
                        await ctx.tick().repeat(2)
                        first = (number * slice_words + word) * config.lanes
                        part = [*rows[row], *[0] * config.lanes][first:first + config.lanes]
                        assert ctx.get(dut.o) == sum((value & 255) << 8 * lane
                                                     for lane, value in enumerate(part)), (index, row, word)
                    while rng.random() < slow:
                        await ctx.tick()
                    steps = 1
                ctx.set(dut.i_advance, steps)
                await ctx.tick()
                ctx.set(dut.i_advance, 0)
                row += steps
            while state["loaded"] < index:
                await ctx.tick()
            await ctx.tick().repeat(4)

    simulator.add_testbench(load, background=True)
    simulator.add_testbench(read)
    simulator.run()


@pytest.mark.parametrize(("name", "number", "slice_words", "columns"), [
    ("tiny", 0, 1, 8), ("tiny", 1, 3, 23), ("tiny", 0, 16, 64), ("tiny", 1, 4, 17), ("base", 7, 1, 60),
    ("base", 0, 16, 128), ("base", 3, 2, 100), ("base", 2, 3, 163), ("base", 6, 2, 100), ("base", 7, 2, 100),
])
@pytest.mark.parametrize("seed", range(3))
def test_rows_read_as_they_came(name: str, number: int, slice_words: int, columns: int, seed: int) -> None:
    config, rng = CONFIGS[name], random.Random(seed)
    jobs = [([[rng.randint(-128, 127) for _ in range(columns)] for _ in range(count)], slice_words)
            for count in (40, 1, 25)]
    run(config, number, jobs, seed, slow=(0, 0.9, 0.5)[seed], skip=(0, 0.1, 0.5)[seed])


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_it_converts_to_verilog(name: str) -> None:
    assert "module" in emit_verilog(RowBuffer(CONFIGS[name]), "rows")
