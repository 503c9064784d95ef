"""hdl.row_index: tokens' rows of B become rows of the packed table, or nothing."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.layouts import ROW_ENDS
from hdl.pe_front import PeOp
from hdl.row_index import FLAGS, RowIndex
from tests.harness import as_python

BASE = PRESETS["base"]
SMALL = replace(BASE, index_rows=4 * FLAGS, table_rows=4 * FLAGS)
"""Two words of the index a half, and room in the table for all of their rows."""

Op = dict[str, int]


@dataclass
class Tile:
    """Which rows of B have an entry, and what is done with them; a dense tile's rows are not told."""

    filled: Sequence[bool] = ()
    half: int = 0
    packed: bool = True
    ops: list[Op] = field(default_factory=list)


def random_tile(config: Config, rng: random.Random, rows: int, density: float, half: int) -> Tile:
    """A tile as the store tells of it: a row that finds the table full has no entry."""
    room, filled = config.table_rows // 2, []
    for _ in range(rows):
        filled.append(rng.random() < density and sum(filled) < room)
    return Tile(filled, half)


def random_ops(config: Config, rng: random.Random, count: int, rows: int | None) -> list[Op]:
    """Tokens of some of `rows` (None: of any address of a dense tile), closes around them or alone."""
    ops = []
    for _ in range(count):
        closes = {name: rng.choice((0, 0, rng.randint(0, ROW_ENDS))) for name in ("before", "after")}
        op = {name: rng.getrandbits(PeOp(config)[name].width)
              for name in ("address", "part", "value", "position")}
        op |= closes | {"token": int(rng.random() < 0.8), "last": int(rng.random() < 0.05)}
        if config.sddmm:
            op |= dict.fromkeys(("rows_before", "rows_after"), 0 if rows else rng.randint(0, ROW_ENDS))
        if rows:
            op["address"] = rng.randrange(rows)
        ops.append(op)
    return ops


def row_ends(config: Config, tile: Tile) -> list[dict[str, int]]:
    base, table_row = tile.half * config.index_rows // 2, tile.half * config.table_rows // 2
    ends = []
    for row, filled in enumerate(tile.filled):
        ends.append({"row": base + row, "filled": int(filled), "table_row": table_row})
        table_row += filled
    return ends


def meaning(op: Op) -> Op:
    """An op of a packed tile without what means nothing: where there is no token, its address."""
    return op if op["token"] else {**op, "address": 0}


def expected_ops(config: Config, tile: Tile) -> list[Op]:
    if not tile.packed:
        return tile.ops
    ends, result = row_ends(config, tile), []
    for op in tile.ops:
        here = op["token"] and tile.filled[op["address"]]
        if op["token"] and not here:
            op = {**op, "token": 0}
            if not (op["before"] or op["after"] or op["last"]):
                continue
        if here:
            op = {**op, "address": ends[op["address"]]["table_row"]}
        result.append(meaning(op))
    return result


class Run:
    """The block, and what came out of it, op by op with its cycle."""

    def __init__(self, config: Config):
        self.config, self.dut = config, RowIndex(config)
        self.taken: list[int] = []                       # cycles in which ops were taken
        self.given: list[tuple[int, Op]] = []
        self._cycle, self._held, self._rubbish = 0, None, random.Random(0)

    async def step(self, ctx: Any, *, op: Op | None = None, end: dict | None = None,
                   ready: bool = True) -> bool:
        """One cycle; whether the op was taken."""
        dut = self.dut
        for stream, payload in ((dut.i, op), (dut.i_end, end)):
            ctx.set(stream.valid, int(payload is not None))
            if payload is None:         # what is not valid may be anything
                ctx.set(stream.p.as_value(), self._rubbish.getrandbits(len(stream.p.as_value())))
            else:
                ctx.set(stream.p, payload)
        ctx.set(dut.o.ready, int(ready))
        _, _, takes, valid, payload = await ctx.tick().sample(dut.i.ready, dut.o.valid, dut.o.payload)
        given = as_python(payload) if valid else None
        assert self._held in (None, given), "what is offered changed while stalled"
        self._held = given if valid and not ready else None
        if op is not None and takes:
            self.taken.append(self._cycle)
        if valid and ready:
            self.given.append((self._cycle, given))
        self._cycle += 1
        return bool(op is not None and takes)

    def simulate(self, bench: Any) -> None:
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.run()


def run(config: Config, tiles: Sequence[Tile], *, seed: int = 0, gap: float = 0.0,
        stall: float = 0.0) -> list[list[Op]]:
    """Ops of every tile; a tile's rows come while the ops of the one before are under way, the first one's
    before all."""
    rng, under_test, results = random.Random(seed), Run(config), []

    async def bench(ctx: Any) -> None:
        for before, tile in zip([Tile(), *tiles], [*tiles, Tile()], strict=True):
            ctx.set(under_test.dut.i_packed, int(before.packed))
            ctx.set(under_test.dut.i_half, before.half)
            ops, ends, idle, offers = list(before.ops), row_ends(config, tile), 0, False
            under_test.given.clear()
            while idle < 20:            # cycles behind the last op: an op too many would be seen
                offers = bool(ops) and (offers or rng.random() >= gap)
                end = ends.pop(0) if ends and rng.random() >= gap else None
                if await under_test.step(ctx, op=ops[0] if offers else None, end=end,
                                         ready=rng.random() >= stall):
                    ops.pop(0)
                    offers = False
                idle = 0 if ops or ends else idle + (stall == 0 or rng.random() >= stall)
            given = [op for _, op in under_test.given]
            results.append([meaning(op) for op in given] if before.packed else given)

    under_test.simulate(bench)
    assert results.pop(0) == [], "an op that never came"
    return results


def check(config: Config, tiles: Sequence[Tile], **options: Any) -> None:
    for number, (tile, given) in enumerate(zip(tiles, run(config, tiles, **options), strict=True)):
        assert given == expected_ops(config, tile), f"tile {number}"


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("density", [0, 0.1, 0.9, 1])
def test_tokens_find_their_table_row_while_the_other_half_is_written(density: float, seed: int) -> None:
    rng, tiles = random.Random(seed), []
    for number, rows in enumerate((1, FLAGS - 1, FLAGS, FLAGS + 1, 2 * FLAGS, rng.randint(1, 2 * FLAGS))):
        tile = random_tile(SMALL, rng, rows, density, (number + seed) % 2)
        tile.ops = random_ops(SMALL, rng, 60, rows)
        tiles.append(tile)
    check(SMALL, tiles, seed=seed, gap=(0, 0.4)[seed], stall=(0.5, 0)[seed])


@pytest.mark.parametrize("density", [0.5, 1])
def test_one_tile_may_take_the_whole_index(density: float) -> None:
    rng = random.Random(1)
    tile = Tile([rng.random() < density for _ in range(SMALL.index_rows)])
    tile.ops = random_ops(SMALL, rng, 200, SMALL.index_rows)
    check(SMALL, [tile], gap=0.1, stall=0.3)


@pytest.mark.parametrize("half", [0, 1])
def test_a_table_may_be_full_before_the_last_row(half: int) -> None:
    rng, config = random.Random(half), replace(BASE, index_rows=512, table_rows=32)
    tile = random_tile(config, rng, config.index_rows // 2, 0.1, half)
    assert sum(tile.filled) == config.table_rows // 2
    tile.ops = random_ops(config, rng, 300, len(tile.filled))
    check(config, [tile], stall=0.2)


@pytest.mark.parametrize("seed", range(2))
def test_ops_of_dense_tiles_pass_unchanged_between_packed_ones(seed: int) -> None:
    rng = random.Random(seed)
    packed = [random_tile(SMALL, rng, 20, 0.5, number % 2) for number in range(2)]
    dense = [Tile(packed=False, half=number % 2, ops=random_ops(SMALL, rng, 60, None)) for number in range(2)]
    for tile in packed:
        tile.ops = random_ops(SMALL, rng, 40, 20)
    tiles = [dense[1], packed[0], dense[0], packed[1]]
    check(SMALL, tiles, seed=seed, gap=0.2, stall=(0, 0.5)[seed])


def test_ops_without_anything_left_go() -> None:
    tile = Tile([False, True], ops=[{"token": 1, "address": 0, "value": value} for value in range(30)])
    tile.ops.append({"token": 1, "address": 1, "value": 99})
    (given,) = run(SMALL, [tile], stall=0.4)
    assert [(op["token"], op["value"]) for op in given] == [(1, 99)]


@pytest.mark.parametrize("kept", ["before", "after", "last"])
def test_of_an_absent_token_the_closes_and_the_end_of_the_job_stay(kept: str) -> None:
    (given,) = run(SMALL, [Tile([False], ops=[{"token": 1, "address": 0, kept: 1}])])
    assert [(op["token"], op[kept]) for op in given] == [(0, 1)]


@pytest.mark.parametrize("filled", [True, False])
def test_an_op_a_cycle_passes_in_three_cycles(filled: bool) -> None:
    under_test = Run(SMALL)

    async def bench(ctx: Any) -> None:
        ctx.set(under_test.dut.i_packed, 1)
        for end in row_ends(SMALL, Tile([filled] * 8)):
            await under_test.step(ctx, end=end)
        for number in range(40):
            await under_test.step(ctx, op={"token": 1, "address": number % 8, "after": 1, "value": number})
        for _ in range(5):
            await under_test.step(ctx)

    under_test.simulate(bench)
    assert len(under_test.taken) == 40 and under_test.taken[-1] - under_test.taken[0] == 39
    assert [cycle for cycle, _ in under_test.given] == [cycle + 3 for cycle in under_test.taken]
    assert [op["value"] for _, op in under_test.given] == list(range(40))


def test_three_ops_are_on_their_way_while_the_output_stalls() -> None:
    under_test, taken = Run(SMALL), []

    async def bench(ctx: Any) -> None:
        ctx.set(under_test.dut.i_packed, 1)
        for end in row_ends(SMALL, Tile([True] * 8)):
            await under_test.step(ctx, end=end)
        ops = [{"token": 1, "address": number, "value": number} for number in range(6)]
        for ready in [False] * 12 + [True] * 12:
            if ops and await under_test.step(ctx, op=ops[0], ready=ready):
                ops.pop(0)
            elif not ops:
                await under_test.step(ctx, ready=ready)
            taken.append(6 - len(ops))

    under_test.simulate(bench)
    assert taken[11] == 3, "while stalled"
    assert taken[12:15] == [4, 5, 6], "one more with each that leaves"
    assert [op["address"] for _, op in under_test.given] == list(range(6))
    cycles = [cycle for cycle, _ in under_test.given]
    assert cycles == list(range(cycles[0], cycles[0] + 6))


@pytest.mark.parametrize("behind_cycles", [1, 2, 7])
def test_a_row_end_counts_from_the_cycle_behind_it_on(behind_cycles: int) -> None:
    under_test = Run(SMALL)

    async def bench(ctx: Any) -> None:
        ctx.set(under_test.dut.i_packed, 1)
        first, second = row_ends(SMALL, Tile([True, True]))
        await under_test.step(ctx, end=first)
        await under_test.step(ctx, end=second)
        for _ in range(behind_cycles - 1):
            await under_test.step(ctx)
        await under_test.step(ctx, op={"token": 1, "address": 1})
        for _ in range(6):
            await under_test.step(ctx)

    under_test.simulate(bench)
    assert [(op["token"], op["address"]) for _, op in under_test.given] == [(1, 1)]


def test_it_converts_to_verilog() -> None:
    assert "module" in emit_verilog(RowIndex(BASE), "index")
