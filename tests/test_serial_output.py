"""hdl.serial_output: sums and scaled bytes as beats of announced bursts, whoever stalls."""

import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from hdl.serial_output import SerialOutput
from sim.models.collector import scale_int8
from tests.harness import run_block

CONFIG = PRESETS["micro"]
LANES = CONFIG.lanes
WIDE = PRESETS["mini"]
UNSCALED = replace(CONFIG, name="unscaled", scale_multipliers=0)
SCALE = {"multiplier": 0xC000, "shift": 20, "reserved": 0}


@dataclass
class Row:
    """A row's sums, the byte that its first beat begins with, and into how many beats its bursts are cut."""

    sums: list[int]
    offset: int = 0
    bursts: list[int] = field(default_factory=list)
    scale: dict[str, int] | None = None     # a row's own

    def beats(self, scale: dict[str, int] | None) -> list[dict[str, int]]:
        """What must be written, with zeros where the strobe is."""
        if scale is None:
            result = [(value & 0xFFFFFFFF, 15) for value in self.sums]
        else:
            result = []
            for number, value in enumerate(self.sums):
                beat, byte = divmod(self.offset + number, 4)
                if beat == len(result):
                    result.append((0, 0))
                data, strobe = result[beat]
                scaled = scale_int8(value, scale["multiplier"], scale["shift"]) & 255
                result[beat] = data | scaled << 8 * byte, strobe | 1 << byte
        ends, at = set(), 0
        for beats in self.bursts:
            at += beats
            ends.add(at)
        return [{"data": data, "strobe": strobe, "last": int(number + 1 in ends)}
                for number, (data, strobe) in enumerate(result)]


def draw(seed: Any, count: int, columns: int | None = None, scaled: bool = False,
         row_scales: bool = False) -> list[Row]:
    rng = random.Random(f"rows {seed}")
    rows = []
    columns = columns or rng.randrange(1, LANES + 1)
    for _ in range(count):
        row = Row([rng.randrange(-(1 << 31), 1 << 31) >> rng.randrange(32) for _ in range(columns)])
        row.offset = rng.randrange(4) if scaled else 0
        left = -(-(row.offset + columns) // 4) if scaled else columns
        # The end of a piece of 16 beats may be anywhere.
        first = rng.randrange(left + 1)
        row.bursts = [beats for beats in (first, left - first) if beats]
        if row_scales:
            row.scale = {"multiplier": rng.randrange(1 << 15, 1 << 16), "shift": rng.randrange(15, 32),
                         "reserved": 0}
        rows.append(row)
    return rows


def as_word(scale: dict[str, int]) -> int:
    return scale["multiplier"] | scale["shift"] << 16 | scale["reserved"] << 21


def write(rows: list[Row], scale: dict[str, int] | None = None, *, config: Any = CONFIG, seed: int = 0,
          gap: float = 0.0, stall: float = 0.0, late: float = 0.0) -> list[dict[str, int]]:
    """The beats of rows that come and are announced one after the other.

    scale : of all rows; without it, and without scales of their own, rows are written as sums
    gap, stall, late : chances that no word comes, that no beat is taken, that nothing is announced
    """
    dut, row_scales = SerialOutput(config), any(row.scale for row in rows)
    columns, moves = len(rows[0].sums), []
    ended: list[int] = []

    async def feed(ctx: Any) -> None:
        rng = random.Random(f"{seed} feed")
        for row in rows:
            # A row comes only where it has room.
            await ctx.tick().until(dut.o_room)
            words = ([as_word(row.scale)] if row.scale else []) + row.sums
            behind = rng.choice([0, 0, 1, 3])
            for number, word in enumerate(words):
                while rng.random() < gap:
                    await ctx.tick()
                ctx.set(dut.i_push, 1)
                ctx.set(dut.i_sum, word & 0xFFFFFFFF)
                ctx.set(dut.i_row, number + 1 == len(words) and not behind)
                await ctx.tick()
                ctx.set(dut.i_push, 0)
                ctx.set(dut.i_row, 0)
            if behind:
                await ctx.tick().repeat(behind)
                ctx.set(dut.i_row, 1)
                await ctx.tick()
                ctx.set(dut.i_row, 0)

    async def announce(ctx: Any) -> None:
        rng = random.Random(f"{seed} announce")

        async def pulse(name: str, **values: int) -> None:
            for value_name, value in values.items():
                ctx.set(getattr(dut, value_name), value)
            ctx.set(getattr(dut, name), 1)
            await ctx.tick()
            ctx.set(getattr(dut, name), 0)

        for row in rows:
            await ctx.tick().until(dut.o_waits)
            while rng.random() < late:
                await ctx.tick()
            await pulse("i_begin")
            # With a multiplier bytes may be there before their place is.
            await ctx.tick().repeat(rng.choice([1, 2, 3, 30 if config.scaler_block else 4]))
            await pulse("i_set_offset", i_offset=row.offset)
            for beats in row.bursts:
                while rng.random() < late or not ctx.get(dut.o_idle):
                    await ctx.tick()
                await pulse("i_burst", i_beats=beats - 1)

    async def watch(ctx: Any) -> None:
        async for _, _, moved, waits, empty, idle in ctx.tick().sample(
                dut.o_moves, dut.o_waits, dut.o_empty, dut.o_idle):
            moves.append(moved)
            assert not (waits and empty) and (idle or not (waits or empty))
            ended.append(empty)

    signals = {"i_bytes": int(scale is not None or row_scales), "i_row_scale": int(row_scales),
               "i_n_count": columns} | ({"i_scale": scale} if scale else {})
    count = sum(sum(row.bursts) for row in rows)
    beats = run_block(dut, {}, {"w": count}, seed=seed, stall=stall, signals=signals, settle_cycles=70,
                      timeout_cycles=30_000, processes=[feed, announce, watch])["w"]
    assert ended[-1], "something is left"
    assert sum(moves) == (sum(len(row.sums) for row in rows) if signals["i_bytes"] else 0)
    for beat in beats:
        beat["data"] &= sum(255 << 8 * byte for byte in range(4) if beat["strobe"] >> byte & 1)
    return beats


def check(rows: list[Row], scale: dict[str, int] | None = None, **options: Any) -> None:
    wanted = [beat for row in rows for beat in row.beats(row.scale or scale)]
    assert write(rows, scale, **options) == wanted


@pytest.mark.parametrize("config", [CONFIG, WIDE, UNSCALED], ids=lambda config: config.name)
@pytest.mark.parametrize("seed", range(4))
def test_sums_are_written_in_order_whoever_stalls(seed: int, config: Any) -> None:
    check(draw(seed, 12), config=config, seed=seed, gap=(0, 0.5, 0, 0.3)[seed], stall=(0, 0, 0.6, 0.3)[seed],
          late=(0, 0.2, 0, 0.8)[seed])


@pytest.mark.parametrize("config", [CONFIG, WIDE, UNSCALED], ids=lambda config: config.name)
def test_rows_wait_for_room_while_nothing_is_taken(config: Any) -> None:
    # More words than the queue holds.
    check(draw("many", 60, config.lanes), config=config, stall=0.8, late=0.5)


@pytest.mark.parametrize("config, columns", [*((CONFIG, columns) for columns in range(1, LANES + 1)),
                                             *((WIDE, columns) for columns in (1, 4, 7, 8, 15, 16))])
def test_bytes_are_written_from_any_byte_on(config: Any, columns: int) -> None:
    rows = draw(columns, 4, columns, scaled=True)
    for offset, row in enumerate(rows):
        row.offset = offset
        row.bursts = [-(-(offset + columns) // 4)]
    check(rows, SCALE, config=config, seed=columns)


@pytest.mark.parametrize("config", [CONFIG, WIDE], ids=lambda config: config.name)
@pytest.mark.parametrize("seed", range(3))
def test_scaled_rows_are_written_in_order_whoever_stalls(seed: int, config: Any) -> None:
    check(draw(seed, 6, scaled=True), SCALE, config=config, seed=seed, gap=(0, 0.9, 0.3)[seed],
          stall=(0.97, 0, 0.5)[seed], late=(0, 0.5, 0.9)[seed])


@pytest.mark.parametrize("config", [CONFIG, WIDE], ids=lambda config: config.name)
@pytest.mark.parametrize("seed", range(3))
def test_a_row_has_the_scale_that_comes_before_it(seed: int, config: Any) -> None:
    check(draw(seed, 5, scaled=True, row_scales=True), config=config, seed=seed, gap=0.5 * (seed == 1),
          stall=0.9 * (seed == 2))


@pytest.mark.parametrize("config", [CONFIG, WIDE], ids=lambda config: config.name)
def test_a_row_of_bytes_does_not_begin_with_what_the_one_before_has_left(config: Any) -> None:
    rows = draw("left", 4, 3, scaled=True)
    for row, offset in zip(rows, (3, 0, 2, 1), strict=True):
        row.offset, row.bursts = offset, [-(-(offset + 3) // 4)]
    check(rows, SCALE, config=config)


def test_a_beat_is_there_a_cycle_after_its_burst_was_announced() -> None:
    dut, seen = SerialOutput(CONFIG), []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.i_n_count, 2)
        for number in range(2):
            ctx.set(dut.i_push, 1)
            ctx.set(dut.i_sum, 7 + number)
            ctx.set(dut.i_row, number)
            await ctx.tick()
        ctx.set(dut.i_push, 0)
        ctx.set(dut.i_row, 0)
        await ctx.tick().until(dut.o_waits)
        ctx.set(dut.i_begin, 1)
        await ctx.tick()
        ctx.set(dut.i_begin, 0)
        ctx.set(dut.i_burst, 1)
        ctx.set(dut.i_beats, 1)
        *_, early = await ctx.tick().sample(dut.w.valid)
        ctx.set(dut.i_burst, 0)
        *_, valid = await ctx.tick().sample(dut.w.valid)
        seen.append((early, valid))

    beats = run_block(dut, {}, {"w": 2}, processes=[bench])["w"]
    assert seen == [(0, 1)]
    assert beats == [{"data": 7, "strobe": 15, "last": 0}, {"data": 8, "strobe": 15, "last": 1}]


def test_a_row_waits_only_when_all_of_it_is_there_and_until_it_is_announced() -> None:
    dut, waits = SerialOutput(CONFIG), []

    async def bench(ctx: Any) -> None:
        async def cycle(**pulses: int) -> None:
            for name, value in pulses.items():
                ctx.set(getattr(dut, name), value)
            *_, waiting, empty = await ctx.tick().sample(dut.o_waits, dut.o_empty)
            waits.append((waiting, empty))
            for name in pulses:
                ctx.set(getattr(dut, name), 0)

        ctx.set(dut.i_n_count, 1)
        await cycle(i_push=1, i_sum=1)
        await cycle()
        await cycle(i_row=1)
        await cycle()
        await cycle(i_begin=1)
        await cycle(i_burst=1, i_beats=0)
        await cycle()
        await cycle()

    run_block(dut, {}, {"w": 1}, processes=[bench])
    assert [waiting for waiting, _ in waits] == [0, 0, 0, 1, 1, 0, 0, 0]
    assert [waits[number][1] for number in (3, 4, 6)] == [0, 0, 0] and waits[-1][1]


def test_no_room_is_told_while_a_row_with_its_scale_would_not_fit() -> None:
    dut, rooms = SerialOutput(CONFIG), []

    async def bench(ctx: Any) -> None:
        for number in range(256):
            ctx.set(dut.i_push, number < 250)
            *_, room = await ctx.tick().sample(dut.o_room)
            rooms.append(room)

    run_block(dut, {}, {}, processes=[bench], settle_cycles=300)
    full = rooms.index(0, 2)
    assert all(rooms[1:full]) and not any(rooms[full:])
    # It is told a cycle late, when a row may have begun; words up to 255 fit.
    assert 100 < full <= 255 - (LANES + 1)


def test_it_converts_to_verilog() -> None:
    for config in (CONFIG, WIDE, UNSCALED):
        assert "module block" in emit_verilog(SerialOutput(config), "block")
