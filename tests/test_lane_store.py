"""hdl.lane_store: what tile beats leave in the lanes' memories."""

import random
from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.lane_store import LaneStore
from hdl.layouts import TileBeatKind
from hdl.owner import owner_value
from sim.models.heard import BehindTileBus
from sim.models.pe import Job, slot_fields, tile_beats
from tests.harness import as_python


def signed(value: int, bits: int = 8) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def run(config: Config, number: int, job: Job, beats: list[dict], words: list[int], rows: list[int],
        gap: float = 0.0) -> tuple[list[list[int]], list[dict], list[dict], int]:
    """Send the beats; read dense words (of a packed tile: store words) and table rows; ends of rows, and how
    many overflows there were."""
    rng = random.Random(1)
    dut = BehindTileBus(config, LaneStore(config, number), number, "i", "i_data")
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    read, entries, ends, overflows = [], [], [], [0]

    async def bench(ctx):
        ctx.set(dut.i_owner, number & ((1 << job.pk_log2) - 1))
        ctx.set(dut.i_slice, number >> job.pk_log2)
        owner = number & ((1 << job.pk_log2) - 1)
        odd = (owner >> job.group_log2 ^ number >> job.pk_log2) & 1
        ctx.set(dut.i_swapped, odd if config.words_per_beat == 2 and not job.packed else 0)

        async def step():
            await ctx.tick()
            overflows[0] += ctx.get(dut.o_overflow)
            if config.compressed_b and ctx.get(dut.o_end.valid):
                ends.append(as_python(ctx.get(dut.o_end.payload)))
        for beat in beats:
            while rng.random() < gap:
                await step()
            ctx.set(dut.i_tile.payload, beat)
            ctx.set(dut.i_tile.valid, 1)
            await step()
            ctx.set(dut.i_tile.valid, 0)
        for _ in range(3):
            await step()
        for address in words:
            ctx.set(dut.i_enable, 1)
            low, high = (1, 1) if job.packed else (1 - address % 2, address % 2)
            ctx.set(dut.i_low, -low)
            ctx.set(dut.i_high, -high)
            ctx.set(dut.i_address, [address if job.packed else address // 2] * config.store_addresses)
            await ctx.tick()
            ctx.set(dut.i_enable, 0)
            await ctx.tick()
            found = [ctx.get(dut.o_words[lane]) for lane in range(config.lanes)]
            # Of a dense word's two halves the one that was not asked for is zero.
            read.append(found if job.packed else [word | word >> config.half_word_bits for word in found])
        for row in rows:
            ctx.set(dut.i_row_enable, 1)
            ctx.set(dut.i_row, row)
            await ctx.tick()
            entries.append(as_python(ctx.get(dut.o_table)))

    simulator.add_testbench(bench)
    simulator.run()
    return read, entries, ends, overflows[0]


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize(("name", "number", "pk_log2", "slice_words", "n_count"), [
    ("tiny", 1, 0, 2, 16), ("base", 6, 1, 3, 96), ("base", 7, 2, 2, 32), ("base", 3, 3, 1, 8),
])
def test_dense_words_go_to_their_halves(name, number, pk_log2, slice_words, n_count, half) -> None:
    config, rng = PRESETS[name], random.Random(half)
    b = [[(column, rng.randint(-128, 127)) for column in range(n_count)] for _ in range(40)]
    job = Job(a=[], b=b, n_count=n_count, pk_log2=pk_log2, slice_words=slice_words, half=half)
    owner, first = number & ((1 << pk_log2) - 1), (number >> pk_log2) * slice_words
    dense = {}
    for k, row in enumerate(b):
        if owner_value(k, pk_log2) == owner:
            for word in range(slice_words):
                place = (first + word) * config.lanes
                address = half * config.lane_values // 2 + (k >> pk_log2) * slice_words + word
                dense[address] = [value for _, value in row[place:place + config.lanes]]
    stored, _, _, _ = run(config, number, job, tile_beats(config, job, rng), [*dense], [])
    for words, values in zip(stored, dense.values(), strict=True):
        assert [signed(word) for word in words] == values


@pytest.mark.parametrize(("name", "number", "group_log2"), [("tiny", 1, 1), ("base", 2, 1), ("base", 5, 3)])
def test_parts_of_words_go_to_their_lanes(name, number, group_log2) -> None:
    config, rng = PRESETS[name], random.Random(2)
    width, groups = config.lanes >> group_log2, 1 << group_log2
    b = [[(column, rng.randint(-128, 127)) for column in range(width)] for _ in range(100)]
    job = Job(a=[], b=b, n_count=width, pk_log2=config.pe_bits, half=1, group_log2=group_log2)
    own = [k for k in range(100) if owner_value(k, job.pk_log2) == number]
    base = config.lane_values // 2
    places = {k: ((k >> job.pk_log2) // groups, k % groups) for k in own}
    addresses = sorted({base + word for word, _ in places.values()})
    stored, _, _, _ = run(config, number, job, tile_beats(config, job, rng), addresses, [])
    by_word = dict(zip(addresses, stored, strict=True))
    for k, (word, part) in places.items():
        lanes = by_word[base + word][part * width:(part + 1) * width]
        assert [signed(lane) for lane in lanes] == [value for _, value in b[k]]


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize(("number", "pk_log2", "slice_words"), [(5, 3, 4), (6, 1, 2), (1, 0, 4)])
def test_packed_rows_follow_one_another(number, pk_log2, slice_words, half, indexed) -> None:
    config, rng = PRESETS["base"], random.Random(half)
    if not indexed:
        config = replace(config, index_rows=config.table_rows)
    n_count = slice_words * config.lanes * (config.pes >> pk_log2)
    b = [[(column, rng.choice((-128, 1, 127))) for column in range(n_count) if rng.random() < 0.3]
         for _ in range(40)]
    for k in range(3, 40, 7):
        b[k] = []
    job = Job(a=[], b=b, n_count=n_count, pk_log2=pk_log2, slice_words=slice_words, packed=True, half=half)
    owner, own_slice, slices = number & ((1 << pk_log2) - 1), number >> pk_log2, config.pes >> pk_log2
    rows = []
    for k, row in enumerate(b):
        if owner_value(k, pk_log2) == owner:
            lanes = [[] for _ in range(config.lanes)]
            for column, value in row:
                word, lane = divmod(column, config.lanes)
                if word % slices == own_slice:
                    lanes[lane].append((value, word // slices))
            rows.append(lanes)
    start, base = half * config.store_depth // 2, half * config.table_rows // 2
    total = max(sum(len(lanes[lane]) for lanes in rows) for lane in range(config.lanes))
    filled = [any(lanes) for lanes in rows]
    stored, entries, ends, overflows = run(config, number, job, tile_beats(config, job, rng),
                                           list(range(start, start + total)),
                                           [base + k for k in range(sum(filled) if indexed else len(rows))],
                                           0.2)
    assert overflows == 0
    table_row = base
    for row, (end, is_filled) in enumerate(zip(ends, filled, strict=True)):
        assert end == {"row": half * config.index_rows // 2 + row, "filled": is_filled,
                       "table_row": table_row}
        table_row += is_filled
    places = [start] * config.lanes
    for lanes, entry in zip([lanes for lanes in rows if any(lanes) or not indexed], entries, strict=True):
        counts = [len(lane) for lane in lanes]
        assert entry == {"starts": places, "words": max(counts), "counts": counts}
        for lane, slots in enumerate(lanes):
            for value, word in slots:
                slot = stored[places[lane] - start][lane]
                assert (signed(slot), slot >> 8) == (value, word)
                places[lane] += 1


def test_a_dense_tile_may_follow_a_packed_one_without_a_gap() -> None:
    config, rng = PRESETS["base"], random.Random(4)
    b = [[(column, rng.randint(1, 127)) for column in range(32)] for _ in range(24)]
    first, second = (Job(a=[], b=b, n_count=32, pk_log2=2, slice_words=2, packed=packed, half=half)
                     for packed, half in ((True, 0), (False, 1)))
    beats = tile_beats(config, first, rng) + tile_beats(config, second, rng)
    own = [row for k, row in enumerate(b) if owner_value(k, 2) == 3]
    words = [config.lane_values // 2 + word for word in range(2 * len(own))]
    stored, _, _, _ = run(config, 7, second, beats, words, [])
    values = [[value for _, value in row[place:place + 8]] for row in own for place in (16, 24)]
    assert [[signed(word) for word in lanes] for lanes in stored] == values


PARTS = pytest.mark.parametrize(("half", "whole"), [(0, False), (1, False), (0, True)])
"""Of the tile memory."""


@PARTS
def test_values_past_a_count_or_the_memory_are_dropped_and_reported(half: int, whole: bool) -> None:
    config = PRESETS["base"]
    job = Job(a=[], b=[], n_count=8, pk_log2=3, packed=True, half=half)
    beat = {"kind": TileBeatKind.SLOTS, "owner": 2, **slot_fields(config, {0: (5, 0, 0)})}
    most, room = (1 << config.count_bits) - 1, config.store_depth if whole else config.store_depth // 2
    beats = [{"kind": TileBeatKind.START, "half": half, "whole": whole}, *[beat] * (most + 2),
             {"kind": TileBeatKind.ROW_END, "owner": 2}]
    rows = -(-room // most)
    for row in range(1, rows):
        beats += [*[beat] * most, {"kind": TileBeatKind.ROW_END, "owner": 2, "address": [row, 0]}]
    first = half * config.table_rows // 2
    _, entries, _, overflows = run(config, 2, job, beats, [], [first])
    fits = room - (rows - 1) * most
    assert entries[0]["counts"] == [most] + [0] * 7
    assert overflows == 2 + most - fits


@PARTS
def test_rows_past_the_table_are_dropped_and_reported(half: int, whole: bool) -> None:
    config = replace(PRESETS["base"], table_rows=8)
    job = Job(a=[], b=[], n_count=8, pk_log2=3, packed=True, half=half)
    slot, empty = slot_fields(config, {0: (5, 0, 0)}), slot_fields(config, {0: (5, 0, 1)})
    beats = [{"kind": TileBeatKind.START, "half": half, "whole": whole}]
    room = 8 if whole else 4
    for row in range(2 * room + 4):
        beats.append({"kind": TileBeatKind.SLOTS, "owner": 2, "address": [row, 0], "row_end": 1,
                      **(slot if row % 2 == 0 else empty)})
    _, _, ends, overflows = run(config, 2, job, beats, [], [])
    assert [end["filled"] for end in ends] == [row % 2 == 0 and row < 2 * room for row in range(2 * room + 4)]
    assert overflows == 2


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_it_converts_to_verilog(name: str) -> None:
    assert "module" in emit_verilog(LaneStore(PRESETS[name], 1), "store")
