"""hdl.serial_rows: rows of A times a tile, against NumPy, whatever the streams do."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.serial_rows import SerialRows

CONFIG, WIDE = PRESETS["micro"], PRESETS["mini"]
LANES = CONFIG.lanes
STREAMS = ("values", "indices", "pointers", "earlier", "parameters")


def wrap(value: int) -> int:
    """int32 in 32 bits."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def generator(*seed: Any) -> np.random.Generator:
    return np.random.default_rng(random.Random(str(seed)).getrandbits(64))


def as_words(content: bytes) -> list[int]:
    return [int.from_bytes(content[place:place + 4], "little") for place in range(0, len(content), 4)]


@dataclass
class Dense:
    """Rows of bytes in memory, `stride` bytes apart from `offset` on; `runs_on`: read as one run."""

    rows: int
    length: int
    offset: int = 0
    stride: int | None = None
    runs_on: bool = False
    density: float = 0.6
    seed: Any = 0
    fill: int | None = None
    content: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rng = generator("dense", self.seed)
        self.stride = self.length if self.stride is None else self.stride
        size = self.offset + (self.rows - 1) * self.stride + self.length + 4
        memory = rng.integers(-128, 128, size) * (rng.random(size) < self.density)
        if self.fill is not None:
            memory[:] = self.fill
        self.content = memory.astype(np.int8)

    @property
    def matrix(self) -> np.ndarray:
        starts = [self.offset + number * self.stride for number in range(self.rows)]
        return np.array([self.content[start:start + self.length] for start in starts]).astype(np.int64)

    def words(self) -> list[int]:
        """The beats that are read."""
        pieces = [(self.offset, self.rows * self.length)] if self.runs_on else [
            (self.offset + number * self.stride, self.length) for number in range(self.rows)]
        return [word for start, length in pieces
                for word in as_words(self.content[start & -4:start + length + 3 & -4].tobytes())]


@dataclass
class Sparse:
    """A in CSR; its arrays begin with byte `offset` of a beat, 2 · `index_offset` of one. `start` is the
    first column that the tile has."""

    matrix: np.ndarray
    wide: bool = False
    offset: int = 0
    index_offset: int = 0
    first: int = 0
    start: int = 0
    columns: int | None = None
    pointers: list[int] | None = None
    indices: list[int] | None = None
    zeros: bool = False     # some entries are zero

    def __post_init__(self) -> None:
        rows, columns = np.nonzero(self.matrix)
        counts = np.bincount(rows, minlength=len(self.matrix))
        if self.pointers is None:
            self.pointers = [int(end) + self.first & 0xFFFFFFFF for end in np.cumsum(counts)]
        if self.indices is None:
            self.indices = [int(column) for column in columns]
        self.columns = self.matrix.shape[1] if self.columns is None else self.columns
        self.values = self.matrix[rows, columns].astype(np.int8)
        if self.zeros:
            self.values[::3] = 0
            self.matrix = self.matrix.copy()
            self.matrix[rows[::3], columns[::3]] = 0

    def streams(self) -> dict[str, list[int]]:
        junk = random.Random(len(self.values))
        indices = self.indices if self.wide else [
            0xFFFF] * self.index_offset + list(self.indices) + [0xFFFF] * ((self.index_offset
                                                                           + len(self.indices)) % 2)
        values = bytes(junk.randrange(1, 256) for _ in range(self.offset)) + self.values.tobytes()
        values += bytes(junk.randrange(1, 256) for _ in range(-len(values) % 4))
        return {
            "values": as_words(values) if len(self.values) else [], "pointers": list(self.pointers),
            "indices": (indices if self.wide else [
                low | high << 16 for low, high in zip(indices[::2], indices[1::2], strict=True)])
            if len(self.values) else []}


@dataclass
class Product:
    """One descriptor's: B, unless the tile that is there is used again, then A. `vector`: B's one column lies
    in rows of the tile; what of it is in the last beat that is read comes too."""

    a: Dense | Sparse
    b: Dense
    reuse: bool = False
    vector: int = 0
    half: int = 0
    relu: int = 0
    raw: int = 0
    bytes: int = 0
    earlier: np.ndarray | None = None
    bias: list[int] | None = None
    scales: list[int] | None = None
    config: Config = CONFIG

    @property
    def sparse(self) -> bool:
        return isinstance(self.a, Sparse)

    def mode(self) -> dict[str, int]:
        return {"sparse": int(self.sparse), "wide": int(self.sparse and self.a.wide), "half": self.half,
                "accumulate": int(self.earlier is not None), "relu": self.relu,
                "row_bias": int(self.bias is not None), "row_scale": int(self.scales is not None),
                "bytes": self.bytes, "raw": self.raw, "vector": self.vector}

    def parameters(self) -> list[int]:
        columns = [column for column in (self.bias, self.scales) if column is not None]
        return [value & 0xFFFFFFFF for record in zip(*columns, strict=True) for value in record]

    def used(self) -> np.ndarray:
        """The part of A that meets the tile."""
        return self.a.matrix[:, self.a.start:self.a.start + self.b.rows] if self.sparse else self.a.matrix

    def sums(self) -> list[list[int]]:
        """Rows of words that must come, each with its scale before it."""
        a, n_count, lanes = self.used(), self.b.length, self.config.lanes
        result = np.zeros((len(a), lanes), np.int64)
        result[:, :n_count] = a @ self.b.matrix[:a.shape[1]]
        if self.earlier is not None:
            result += self.earlier
        raw = self.raw and not self.vector
        if self.bias is not None:
            result += np.array(self.bias)[:, None]
        rows = []
        for number, row in enumerate(result):
            words = [wrap(int(value)) for value in row[:lanes if raw else n_count]]
            words = [max(0, word) if self.relu else word for word in words]
            scale = [wrap(self.scales[number])] if self.scales is not None and self.bytes else []
            rows.append(scale + words)
        return rows


@dataclass
class Outcome:
    """What came of a product; `cycles` from `i_run` on, `load_cycles` from `i_load` on."""

    rows: list[list[int]] = field(default_factory=list)
    active: int = 0
    overflow: bool = False
    fault: str | None = None
    cycles: int = 0
    load_cycles: int = 0


class Bench:
    """The block between streams of words with gaps, and an output without room now and then."""

    def __init__(self, ctx: Any, dut: SerialRows, seed: int, gap: float, stall: float):
        self.ctx, self.dut, self.gap, self.stall = ctx, dut, gap, stall
        self.rng = random.Random(f"{seed} streams")
        self.words: dict[str, list[int]] = {name: [] for name in STREAMS}
        self.shown = dict.fromkeys(STREAMS, False)
        self.outcome, self.row = Outcome(), []

    async def cycle(self, **pulses: int) -> bool:
        """One cycle; whether the block has ended what it did."""
        ctx, dut = self.ctx, self.dut
        for name, value in pulses.items():
            ctx.set(getattr(dut, name), value)
        for name in STREAMS:
            port, words = getattr(dut, name), self.words[name]
            # A queue's head stays; only the next word may be late.
            self.shown[name] = bool(words) and (self.shown[name] or self.rng.random() >= self.gap)
            ctx.set(port.valid, self.shown[name])
            ctx.set(port.data, words[0] if self.shown[name] else self.rng.getrandbits(32))
            ctx.set(port.empty, not words)
        ctx.set(dut.i_room, self.rng.random() >= self.stall)
        takes = [getattr(dut, name).take for name in STREAMS]
        _, _, ended, push, total, row, overflow, active, bad_pointer, bad_index, *taken = (
            await ctx.tick().sample(dut.o_ended, dut.o_push, dut.o_sum, dut.o_row, dut.o_overflow,
                                    dut.o_active, dut.o_pointer_fault, dut.o_index_fault, *takes))
        for name, take in zip(STREAMS, taken, strict=True):
            assert self.shown[name] or not take, f"{name}: a word is taken that is not there"
            if take:
                self.words[name].pop(0)
                self.shown[name] = False
        outcome = self.outcome
        if push:
            self.row.append(wrap(total))
        if row:
            outcome.rows.append(self.row)
            self.row = []
        outcome.active += active
        outcome.overflow |= bool(overflow)
        if bad_pointer or bad_index:
            outcome.fault = outcome.fault or ("pointer" if bad_pointer else "index")
        for name in pulses:
            ctx.set(getattr(dut, name), 0)
        return bool(ended)

    async def until_ended(self, begin: str) -> int:
        """Cycles from the pulse `begin` on."""
        await self.cycle(**{begin: 1})
        cycles = 1
        while not (await self.cycle() or self.outcome.fault):
            cycles += 1
            assert cycles < 6000, f"no end; {self.words}"
        return cycles

    async def settings(self, dense: Dense, rows: int, vector: int = 0) -> None:
        self.ctx.set(self.dut.i_runs_on, dense.runs_on)
        await self.cycle(i_offset=dense.offset & 3, i_set_value_offset=1)
        await self.cycle(i_offset=0 if vector else dense.stride & 3, i_set_value_step=1)
        await self.cycle(i_number=rows - 1, i_set_rows=1)

    async def run(self, product: Product) -> Outcome:
        ctx, dut, a, b = self.ctx, self.dut, product.a, product.b
        self.outcome = outcome = Outcome()
        ctx.set(dut.i_mode, product.mode())
        ctx.set(dut.i_k_count, b.rows)
        if not product.reuse:
            self.words["values"] = b.words()
            ctx.set(dut.i_n_count, product.config.lanes if product.vector else b.length)
            await self.settings(b, b.rows, product.vector)
            outcome.load_cycles = await self.until_ended("i_load")
            assert len(self.words["values"]) <= b.runs_on, "B is not taken"
            self.words["values"], self.shown["values"] = [], False
        ctx.set(dut.i_n_count, b.length)
        rows = len(a.matrix)
        if isinstance(a, Sparse):
            self.words |= a.streams()
            ctx.set(dut.i_column_start, a.start)
            ctx.set(dut.i_columns, a.columns)
            await self.cycle(i_number=a.first, i_set_entry=1)
            await self.cycle(i_offset=2 * a.index_offset, i_set_index_offset=1)
            await self.settings(Dense(1, 1, a.offset), rows)
        else:
            self.words["values"] = a.words()
            await self.settings(a, rows)
        if product.earlier is not None:
            self.words["earlier"] = [int(value) & 0xFFFFFFFF for value in (
                product.earlier[:, :1] if product.vector else product.earlier).flatten()]
        if product.bias is not None or product.scales is not None:
            self.words["parameters"] = product.parameters()
        outcome.cycles = await self.until_ended("i_run")
        if outcome.fault:
            return outcome
        for _ in range(20):
            assert await self.cycle(), "it goes on behind its end"
        assert not self.row, "words behind the last row"
        partly = product.sparse or a.runs_on
        assert len(self.words["values"]) <= partly and len(self.words["indices"]) <= product.sparse
        assert not any(self.words[name] for name in ("pointers", "earlier", "parameters"))
        for name in STREAMS:
            self.words[name], self.shown[name] = [], False
        return outcome


def run(products: list[Product], *, seed: int = 0, gap: float = 0.0, stall: float = 0.0) -> list[Outcome]:
    """What comes of products, one after the other; behind a fault there is a reset, as in the array."""
    dut, reset, outcomes = SerialRows(products[0].config), Signal(), []
    simulator = Simulator(ResetInserter(reset)(dut))
    simulator.add_clock(1e-6)

    async def testbench(ctx: Any) -> None:
        bench = Bench(ctx, dut, seed, gap, stall)
        for product in products:
            outcomes.append(await bench.run(product))
            if outcomes[-1].fault:
                ctx.set(reset, 1)
                await ctx.tick()
                ctx.set(reset, 0)
                bench = Bench(ctx, dut, seed, gap, stall)

    simulator.add_testbench(testbench)
    simulator.run()
    return outcomes


def check(products: list[Product], **options: Any) -> None:
    """Every row's words are NumPy's, and only nonzero values are multiplied."""
    for product, outcome in zip(products, run(products, **options), strict=True):
        assert outcome.rows == product.sums(), product
        assert outcome.fault is None and not outcome.overflow
        assert outcome.active == np.count_nonzero(product.used()), product


def sparse_matrix(rng: np.random.Generator, rows: int, columns: int, density: float = 0.4) -> np.ndarray:
    return rng.integers(-128, 128, (rows, columns)) * (rng.random((rows, columns)) < density)


FORMS = ("csr16", "csr32", "dense", "run")


def draw(form: str, seed: Any, **options: Any) -> Product:
    """A product of random shape, place and finish."""
    rng, lanes = generator(form, seed), options.get("config", CONFIG).lanes
    rows, inner, columns = int(rng.integers(1, 6)), int(rng.integers(1, 14)), int(rng.integers(1, lanes + 1))
    vector = options.pop("vector", 0)
    b_runs = bool(rng.integers(2))
    b = Dense(inner, columns, offset=int(rng.integers(4)), seed=(form, seed), runs_on=b_runs,
              stride=columns + int(rng.integers(6)) * (not b_runs))
    if vector:
        b = Dense(inner * int(rng.integers(1, 4)), 1, offset=b.offset, seed=(form, seed), runs_on=True)
        inner = b.rows
    if form.startswith("csr"):
        before, behind = (int(number) for number in rng.integers(0, 4, 2))
        wide = form == "csr32"
        a: Dense | Sparse = Sparse(
            sparse_matrix(rng, rows, before + inner + behind), wide, offset=int(rng.integers(4)),
            index_offset=int(rng.integers(2)) * (not wide), start=before, zeros=bool(rng.integers(2)),
            first=int(rng.choice([0, 7, 1 << 31, 1000])))
    else:
        runs = form == "run"
        a = Dense(rows, inner, offset=int(rng.integers(4)), seed=(seed, form, 1), runs_on=runs,
                  stride=inner if runs else int(rng.integers(0, inner + 6)))
    if rng.random() < 0.5:
        options["earlier"] = rng.integers(-1000, 1000, (rows, lanes))
    if rng.random() < 0.5:
        options["bias"] = rng.integers(-1000, 1000, rows).tolist()
    if rng.random() < 0.5:
        options |= {"scales": rng.integers(0, 1 << 31, rows).tolist(), "bytes": int(rng.integers(2))}
    if not options.get("bytes") and rng.random() < 0.3:
        options["raw"] = 1
    return Product(a, b, vector=vector, half=int(rng.integers(2)), relu=int(rng.integers(2)), **options)


@pytest.mark.parametrize("config, seed", [(CONFIG, 0), (CONFIG, 1), (CONFIG, 2), (WIDE, 2)])
def test_products_of_any_kind_one_after_the_other_are_numpys(seed: int, config: Config) -> None:
    products = [draw(form, (seed, number), config=config) for number in range(3) for form in FORMS]
    check(products, seed=seed, gap=(0.0, 0.3, 0.7)[seed], stall=(0.0, 0.5, 0.2)[seed])


@pytest.mark.parametrize("config, seed", [(CONFIG, 0), (CONFIG, 1), (CONFIG, 2), (WIDE, 1)])
def test_products_with_a_vector_are_numpys(seed: int, config: Config) -> None:
    products = [draw(form, ("vector", seed, number), vector=1, config=config)
                for number in range(3) for form in FORMS]
    check(products, seed=seed, gap=(0.0, 0.3, 0.7)[seed], stall=(0.0, 0.5, 0.2)[seed])


def test_vectors_and_other_products_follow_each_other() -> None:
    check([draw(form, ("both", number), vector=number % 2) for number in range(4) for form in FORMS[1:3]],
          gap=0.1, stall=0.1)


def test_rows_of_a_vector_s_product_may_be_as_short_as_can_be() -> None:
    check([Product(Dense(7, 1 + number % 3, offset=number % 4, runs_on=number > 3, density=0.7, seed=number),
                   Dense(1 + number % 3, 1, runs_on=True, density=1.0), vector=1) for number in range(8)])


def test_a_vector_may_take_all_of_the_memory() -> None:
    for count, half in ((CONFIG.lane_values * LANES, 0), (CONFIG.lane_values * LANES // 2, 1)):
        matrix = np.zeros((1, count), int)
        matrix[0, ::count // 40], matrix[0, 1], matrix[0, -1] = 3, -7, 5
        check([Product(Sparse(matrix), Dense(count, 1, runs_on=True, density=1.0), vector=1, half=half)])


@pytest.mark.parametrize("stalled", ["streams", "room"])
def test_nothing_is_lost_when_one_side_stalls_for_long(stalled: str) -> None:
    products = [draw(form, "stalled", earlier=np.arange(5 * LANES).reshape(5, LANES)) for form in FORMS]
    for product in products:
        product.earlier = product.earlier[:len(product.a.matrix)]
    check(products, gap=0.85 * (stalled == "streams"), stall=0.9 * (stalled == "room"))


@pytest.mark.parametrize("config, offset", [*((CONFIG, offset) for offset in range(4)), (WIDE, 1)])
def test_b_may_begin_with_any_byte_and_have_any_width(offset: int, config: Config) -> None:
    check([Product(Dense(1, 2, fill=1), Dense(2, columns, offset, columns + gap, gap == 0, 1.0, seed=gap),
                   config=config)
           for columns in (range(1, LANES + 1) if config is CONFIG else (9, 12, 16))
           for gap in (0, 1 + offset, 4)])


@pytest.mark.parametrize("runs_on", [True, False])
def test_rows_of_a_dense_a_may_begin_with_any_byte(runs_on: bool) -> None:
    b = Dense(9, 2, density=1.0)
    check([Product(Dense(4, 9, offset, 9 if runs_on else stride, runs_on, seed=offset), b, reuse=number > 0)
           for number, (offset, stride) in enumerate(
               (offset, stride) for offset in range(4) for stride in range(9, 10 if runs_on else 13))])


@pytest.mark.parametrize("runs_on", [True, False])
def test_rows_of_a_dense_a_may_have_any_length(runs_on: bool) -> None:
    check([Product(Dense(3, length, offset, runs_on=runs_on, seed=offset), Dense(length, 2, density=1.0),
                   reuse=offset > 0) for length in (1, 2, 3, 4, 5, 8, 9) for offset in range(4)])


def test_rows_of_a_dense_a_may_lie_over_each_other() -> None:
    check([Product(Dense(5, 6, stride=stride, seed=stride), Dense(6, 3)) for stride in range(6)])


@pytest.mark.parametrize("form", ["dense", "run", "csr16"])
def test_rows_of_one_column_add_to_earlier_sums(form: str) -> None:
    """The next row may begin in the beat of the one before, and there is little time to find its place."""
    rng = np.random.default_rng(4)
    products = []
    for offset in range(4):
        a: Dense | Sparse = Dense(6, 1, offset, runs_on=form == "run", density=0.8, seed=offset)
        if form == "csr16":
            a = Sparse(a.matrix, offset=offset, index_offset=offset & 1)
        products += [Product(a, Dense(1, columns), earlier=rng.integers(-99, 99, (6, LANES)))
                     for columns in (1, 3, LANES)]
    check(products)


@pytest.mark.parametrize("form", FORMS)
def test_zeros_in_a_row_leave_the_earlier_sums_and_the_bias(form: str) -> None:
    rows, nothing = 4, np.zeros((4, 7), int)
    a: Dense | Sparse = Sparse(nothing, form == "csr32") if form.startswith("csr") else Dense(
        rows, 7, runs_on=form == "run", fill=0)
    earlier = np.arange(rows * LANES).reshape(rows, LANES) - 9
    check([Product(a, Dense(7, 5), earlier=earlier, bias=[-1, 5, 100, -7])])


def test_empty_rows_of_csr_among_others_have_sums_of_zero() -> None:
    matrix = np.zeros((7, 6), int)
    matrix[2, 3], matrix[3, :], matrix[5, 0] = 5, -1, 127
    check([Product(Sparse(matrix, wide), Dense(6, 4)) for wide in (False, True)], gap=0.3)


def test_the_other_half_of_the_tile_memory_keeps_its_tile() -> None:
    lower, upper = (Dense(8, LANES, seed=seed, density=1.0) for seed in ("lower", "upper"))
    a = Dense(3, 8, seed="a")
    check([Product(a, lower), Product(a, upper, half=1), Product(a, lower, reuse=True),
           Product(a, upper, reuse=True, half=1)])


def test_a_tile_may_take_all_of_the_memory() -> None:
    rows = CONFIG.lane_values
    matrix = np.zeros((2, rows), int)
    matrix[0, [0, 1, rows // 2 - 1, rows // 2, rows - 1]], matrix[1, ::37] = 1, -2
    check([Product(Sparse(matrix), Dense(rows, LANES, seed="whole"))])


def test_columns_outside_of_the_tile_are_not_multiplied() -> None:
    matrix = np.full((2, 30), 3)
    check([Product(Sparse(matrix, wide, start=start), Dense(9, LANES))
           for wide in (False, True) for start in (0, 1, 12, 21)])


def test_a_column_far_away_is_not_taken_for_one_of_the_tile() -> None:
    matrix = np.full((1, 5), 1)
    far = [0, CONFIG.lane_values, 2 * CONFIG.lane_values, 1 << 16, (1 << 32) - 2]
    product = Product(Sparse(matrix, wide=True, indices=far, columns=(1 << 32) - 1), Dense(1, LANES, seed=3))
    outcome, = run([product])
    assert outcome.rows == [product.b.matrix[0].tolist()] and outcome.active == 1


def test_negative_sums_become_zero_with_relu_only() -> None:
    a, b = Dense(1, 1, fill=-3), Dense(1, LANES, density=1.0)
    plain, relu = run([Product(a, b), Product(a, b, relu=1)])
    sums = (-3 * b.matrix[0]).tolist()
    assert plain.rows == [sums] and min(sums) < 0 < max(sums)
    assert relu.rows == [[max(0, value) for value in sums]]


def test_a_raw_row_has_a_word_a_lane_whose_rest_is_the_earlier_sums() -> None:
    earlier = np.arange(2 * LANES).reshape(2, LANES)
    product = Product(Dense(2, 3), Dense(3, 2), raw=1, earlier=earlier)
    outcome, = run([product])
    assert [row[2:] for row in outcome.rows] == earlier[:, 2:].tolist()
    assert [len(row) for row in outcome.rows] == [LANES] * 2


def test_a_scale_leaves_before_its_row_if_the_row_is_scaled() -> None:
    a, b = Dense(3, 2), Dense(2, 3)
    scaled, others = run([Product(a, b, scales=[5, 6, 7], bytes=1), Product(a, b, scales=[5, 6, 7])])
    assert [row[0] for row in scaled.rows] == [5, 6, 7]
    assert [row[1:] for row in scaled.rows] == others.rows


@pytest.mark.parametrize("scales", [None, [9, 9]])
def test_nothing_of_a_row_leaves_before_there_is_room(scales: list[int] | None) -> None:
    product = Product(Dense(2, 9), Dense(9, 2), scales=scales, bytes=int(scales is not None))
    dut, seen = SerialRows(CONFIG), []
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx: Any) -> None:
        bench = Bench(ctx, dut, 0, 0.0, 0.0)
        seen.append((await bench.run(product)).rows)
        # The same again: room goes when the first row's products are made.
        bench.outcome = Outcome()
        bench.words["values"] = product.a.words()
        bench.words["parameters"] = product.parameters() if scales else []
        await bench.settings(product.a, 2)
        await bench.cycle(i_run=1)
        while not bench.outcome.active:
            await bench.cycle()
        bench.stall = 1.0
        for _ in range(100):
            await bench.cycle()
        seen.append([list(bench.row), *bench.outcome.rows])
        bench.stall = 0.0
        for _ in range(100):
            await bench.cycle()
        seen.append(bench.outcome.rows)

    simulator.add_testbench(testbench)
    simulator.run()
    assert seen == [product.sums(), [[]], product.sums()]


# ---- overflow --------------------------------------------------------------------------------------------


MOST, LEAST = (1 << 31) - 1, -(1 << 31)


@pytest.mark.parametrize("column", [0, LANES - 1])
def test_a_sum_that_wraps_is_told(column: int) -> None:
    b = Dense(1, LANES, fill=0)
    b.content[column], cases = 2, []
    for earlier, value, bias, wraps in (
            (MOST - 4, 2, 0, False), (MOST - 3, 2, 0, True), (LEAST + 4, -2, 0, False),
            (LEAST + 3, -2, 0, True), (MOST, 0, 0, False), (LEAST, 0, 0, False), (0, 2, MOST - 4, False),
            (0, 2, MOST - 3, True), (0, -2, LEAST + 4, False), (0, -2, LEAST + 3, True)):
        sums = np.zeros((1, LANES), int)
        sums[0, column] = earlier
        cases.append((Product(Dense(1, 1, fill=value), b, earlier=sums, bias=[bias]), wraps))
    for (product, wraps), outcome in zip(cases, run([product for product, _ in cases]), strict=True):
        assert outcome.overflow == wraps and outcome.rows == product.sums(), product


# ---- faults ----------------------------------------------------------------------------------------------


FALLING = ([3, 2, 8], [2, 9, 8], [2, 100, 8], [2, 1 << 31, 8], [0xFFFFFFFF, 5, 8], [8, 7, 8])


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_row_pointers_that_fall_or_are_too_large_are_a_fault(gap: float, wide: bool) -> None:
    # Eight entries fill their last beat: nothing that is no entry comes behind them.
    matrix = np.zeros((3, 6), int)
    matrix[0, :2] = matrix[1, :3] = matrix[2, 3:] = 1
    outcomes = run([Product(Sparse(matrix, wide, pointers=pointers), Dense(6, LANES))
                    for pointers in FALLING], gap=gap)
    assert [outcome.fault for outcome in outcomes] == ["pointer"] * len(FALLING)


@pytest.mark.parametrize("wide", [False, True])
def test_a_column_index_past_the_columns_is_a_fault(wide: bool) -> None:
    matrix, products = np.zeros((2, 6), int), []
    matrix[0, :3] = matrix[1, 2:] = 1
    for place in (0, 3, 6):
        for index in (6, 255, 0xFFFF):
            indices = np.nonzero(matrix)[1].tolist()
            indices[place] = index
            products.append(Product(Sparse(matrix, wide, indices=indices), Dense(6, LANES)))
    assert {outcome.fault for outcome in run(products, gap=0.3)} == {"index"}


def test_the_last_column_is_no_fault() -> None:
    check([Product(Sparse(np.array([[0, 0, 4]]), wide, start=1), Dense(2, LANES)) for wide in (False, True)])


# ---- cycles ----------------------------------------------------------------------------------------------


def row_cycles(makes: Sequence[Callable[[int], Product]]) -> list[int]:
    """What another row takes, of products that are made of a number of rows."""
    outcomes = run([make(rows) for make in makes for rows in (3, 4)])
    return [four.cycles - three.cycles for three, four in zip(outcomes[::2], outcomes[1::2], strict=True)]


def ones(entries: int, b: Dense, **parameters: int) -> Callable[[int], Product]:
    """Products of rows of so many entries; each row has a parameter of these kinds."""
    return lambda rows: Product(
        Sparse(np.full((rows, entries), 1), wide=True), b,
        **{name: [value] * rows for name, value in parameters.items()})


def test_an_entry_takes_a_cycle_and_a_row_two_and_one_a_column_more() -> None:
    kinds = [(entries, columns) for entries in (1, 12) for columns in (1, 3, LANES)]
    for (entries, columns), cycles in zip(kinds, row_cycles([
            ones(entries, Dense(12, columns)) for entries, columns in kinds]), strict=True):
        assert cycles <= entries + columns + 2


def test_an_entry_takes_a_cycle_and_a_row_three_more_of_a_vector_s_product() -> None:
    vector = Dense(12, 1, runs_on=True)
    assert max(row_cycles([lambda rows: replace(ones(5, vector)(rows), vector=1)])) <= 5 + 3


def test_earlier_sums_take_a_row_a_cycle_a_lane() -> None:
    assert max(row_cycles([lambda rows: replace(
        ones(4, Dense(4, 1))(rows), earlier=np.zeros((rows, LANES), int))])) <= 4 + 10


def test_parameters_take_a_row_two_cycles_at_most() -> None:
    kinds: list[dict[str, int]] = [{"bias": 1}, {"scales": 1}, {"bias": 1, "scales": 1}]
    assert max(row_cycles([ones(4, Dense(4, LANES), **kind) for kind in kinds])) <= 4 + 12


def test_zeros_of_a_dense_row_cost_a_cycle_at_the_end_of_a_beat_only() -> None:
    def make(beat: list[int]) -> Callable[[int], Product]:
        def product(rows: int) -> Product:
            a = Dense(rows, 16, runs_on=True)
            a.content[:16 * rows] = beat * 4 * rows
            return Product(a, Dense(16, LANES))
        return product

    beats = [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 1], [1, 1, 1, 1]]
    for beat, cycles in zip(beats, row_cycles([make(beat) for beat in beats]), strict=True):
        assert cycles <= 4 * (sum(beat) + (beat[-1] == 0)) + 10, beat


def test_a_row_of_b_takes_eight_cycles_at_most() -> None:
    outcomes = run([Product(Dense(1, rows), Dense(rows, columns))
                    for columns in (1, 5, LANES) for rows in (5, 6)])
    for five, six in zip(outcomes[::2], outcomes[1::2], strict=True):
        assert six.load_cycles - five.load_cycles <= 8


def test_it_converts_to_verilog() -> None:
    assert "module block" in emit_verilog(SerialRows(CONFIG), "block")


@pytest.mark.parametrize("half, offset", [
    (0, 1), (1, 2), *(pytest.param(half, offset, marks=pytest.mark.slow)
                      for half, offset in ((0, 0), (0, 2), (0, 3), (1, 0), (1, 1), (1, 3)))])
def test_a_vector_that_takes_all_of_its_memory_may_begin_with_any_byte(offset: int, half: int) -> None:
    count = CONFIG.lane_values * LANES >> half
    matrix = np.zeros((1, count), int)
    matrix[0, :LANES] = 1
    check([Product(Sparse(matrix), Dense(count, 1, offset, runs_on=True, density=1.0), vector=1, half=half)])


@pytest.mark.parametrize("wide", [False, True])
def test_a_tile_behind_all_columns_meets_none(wide: bool) -> None:
    check([Product(Sparse(np.array([[3, 5, 0]]), wide, start=start), Dense(4, LANES, density=1.0))
           for start in ((1 << 32) - 1, (1 << 32) - 3)])
