"""Packer: every nonzero of B reaches its lane, in order, and rows close one after another."""

import random
from collections.abc import Sequence
from typing import Any
from unittest.mock import ANY

import pytest

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.layouts import TileBeatKind
from hdl.owner import owner_value
from hdl.packer import Packer
from sim.models.tile import TileModel, expected_packed
from sim.models.tile_jobs import Row, compressed_beats, job_fields, random_rows, random_work, raw_beat
from tests.harness import as_python, run_block

PACKING = [name for name, config in PRESETS.items() if config.compressed_b]


def dense_beats(config: Config, rows: Sequence[Row], n_count: int) -> list[dict[str, Any]]:
    """Beats as a fetch of dense rows makes them: T columns each."""
    width, beats = config.beat_tokens, []
    for row in rows:
        for start in range(0, n_count, width):
            tokens = {column - start: (column, value) for column, value in row
                      if start <= column < start + width}
            ended = start + width >= n_count
            if tokens or ended:
                beats.append(raw_beat(config, tokens, [min(width, n_count - start)] if ended else []))
    beats[-1]["last"] = 1
    return beats


def ends_row(beat: dict[str, Any]) -> bool:
    return beat["kind"] == TileBeatKind.ROW_END or (beat["kind"] == TileBeatKind.SLOTS and beat["row_end"])


def expected_places(job: dict[str, Any], rows: int,
                    beats: Sequence[tuple[int, dict[str, Any]]]) -> list[tuple[int, dict[str, Any]]]:
    """The tile's start, then its rows, each a number of its own, with their cycles."""
    pk_log2, both = job["pk_log2"], {name: job.get(name, 0) for name in ("half", "whole")}
    numbers = iter([k >> pk_log2 << pk_log2 | owner_value(k, pk_log2) for k in range(rows)])
    start, ends = beats[0], [beat for beat in beats if ends_row(beat[1])]
    first = {"start": 1, "row": ANY, **both}
    return [(start[0], first), *((cycle, {"start": 0, "row": next(numbers), **both}) for cycle, _ in ends)]


def pack(config: Config, work: Sequence[tuple[dict[str, Any], list[Row], list[dict[str, Any]]]], *,
         seed: int = 0, gap: float = 0.0) -> list[list[tuple[int, dict[str, Any]]]]:
    """Run (job, rows, raw beats) one after another and check each tile, and that it tells of every row with
    the beat that ends it; the beats with their cycles."""
    dut = Packer(config)
    done: list[list[tuple[int, dict[str, Any]]]] = []
    places: list[list[tuple[int, dict[str, Any]]]] = [[]]

    async def collect(ctx: Any) -> None:
        beats: list[tuple[int, dict[str, Any]]] = []
        cycle = 0
        while True:
            _, _, valid, beat, ended, tells, place = await ctx.tick().sample(
                dut.o.valid, dut.o.payload, dut.o_done, dut.o_row.valid, dut.o_row.payload)
            cycle += 1
            if ended:
                done.append(beats)
                beats = []
                places.append([])
            if tells:
                places[-1].append((cycle, as_python(place)))
            if valid:
                beats.append((cycle, as_python(beat)))

    # One more job is taken only when all before it are done.
    run_block(dut, {"i_job": [*(job for job, _, _ in work), job_fields(config)],
                    "i": [beat for _, _, beats in work for beat in beats]}, {},
              seed=seed, gap=gap, processes=[collect])
    assert len(done) == len(work)
    for (job, rows, _), beats, told in zip(work, done, places, strict=False):
        assert told == expected_places(job, len(rows), beats), job
        model = TileModel(config, job).take_all(beat for _, beat in beats)
        model.assert_closed()
        assert model.packed == expected_packed(config, job, rows), job
        assert sum(ends_row(beat) for _, beat in beats) == len(rows)
    return done


@pytest.mark.parametrize(("preset", "pk_log2"), [
    (name, pk_log2) for name in PACKING for pk_log2 in range(PRESETS[name].pe_bits + 1)])
def test_nonzeros_reach_their_slice_and_lane_in_order(preset, pk_log2):
    config = PRESETS[preset]
    rng = random.Random(f"{preset} {pk_log2}")
    pack(config, [random_work(config, rng, pk_log2) for _ in range(6)], seed=pk_log2,
         gap=rng.choice((0, 0.4)))


def test_a_full_slice_uses_every_accumulator_word():
    config = PRESETS["small"]
    rng = random.Random(1)
    n_count = config.acc_words * config.lanes
    rows = random_rows(rng, 3, n_count, 1.0)
    job = job_fields(config, pk_log2=config.pe_bits, slice_words=config.acc_words, n_count=n_count)
    pack(config, [(job, rows, compressed_beats(config, rows, rng))])


def test_empty_rows_cost_one_cycle_each():
    config = PRESETS["base"]
    rows: list[Row] = [[] for _ in range(31)]
    job = job_fields(config, pk_log2=3, slice_words=4, n_count=32)
    beats, = pack(config, [(job, rows, compressed_beats(config, rows, random.Random(0)))])
    cycles = [cycle for cycle, beat in beats if beat["kind"] == TileBeatKind.ROW_END]
    assert cycles[-1] - cycles[0] == 30


def test_rows_without_zeros_take_a_cycle_for_each_beat():
    config = PRESETS["base"]
    rows = random_rows(random.Random(0), 10, 64, 1.0)
    job = job_fields(config, pk_log2=3, slice_words=8, n_count=64)
    beats, = pack(config, [(job, rows, dense_beats(config, rows, 64))])
    cycles = [cycle for cycle, _ in beats[1:]]
    assert len(cycles) == 10 * 8 and cycles[-1] - cycles[0] == len(cycles) - 1


@pytest.mark.parametrize("pk_log2", [0, 2])
def test_neighbouring_words_of_a_row_go_together_though_their_slices_differ(pk_log2):
    config = PRESETS["base"]
    row: Row = [(3, 5), (12, -7), (21, 1), (30, 9)]
    raw = [raw_beat(config, dict(enumerate(row)), [len(row)]) for _ in range(12)]
    raw[-1]["last"] = 1
    beats, = pack(config, [(job_fields(config, pk_log2=pk_log2, n_count=32), [row] * 12, raw)])
    assert [beat["slot_valid"] for _, beat in beats[1:]] == [0b01111000] * 12


@pytest.mark.parametrize(("pk_log2", "compressed", "least"),
                         [(3, True, 2.3), (3, False, 1.6), (1, True, 1.7), (1, False, 1.6)])
def test_rows_of_a_quarter_nonzeros_are_packed_several_a_cycle(pk_log2, compressed, least):
    config = PRESETS["base"]
    rng = random.Random(7)
    rows = random_rows(rng, 40, 128, 0.25)
    job = job_fields(config, pk_log2=pk_log2, slice_words=16 >> (3 - pk_log2), n_count=128)
    raw = compressed_beats(config, rows, rng) if compressed else dense_beats(config, rows, 128)
    beats, = pack(config, [(job, rows, raw)])
    cycles = [cycle for cycle, _ in beats[1:]]
    rate = sum(map(len, rows)) / (cycles[-1] - cycles[0] + 1)
    print(f"pk_log2 = {pk_log2}, {'compressed' if compressed else 'dense'}: {rate:.2f} nonzeros a cycle")
    assert rate >= least


@pytest.mark.parametrize("preset", PACKING)
def test_converts_to_verilog(preset):
    assert "module packer" in emit_verilog(Packer(PRESETS[preset]), "packer")
