"""hdl.accumulator: sums in two banks, one draining while the other adds."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.accumulator import DRAIN_LATENCY_CYCLES, PRODUCT_LAG_CYCLES, Accumulator
from hdl.config import PRESETS
from hdl.emit import emit_verilog

Slot = tuple[tuple[int, int, int] | None, tuple[int, int] | None]
"""One cycle: (bank, word, product) added, (bank, word) drained."""


def expected(slots: list[Slot]) -> list[int | None]:
    """The drained sums; None where nothing was added."""
    sums: dict[tuple[int, int], int] = {}
    drained = []
    for add, drain in slots:
        if add is not None:
            sums[add[:2]] = sums.get(add[:2], 0) + add[2]
        if drain is not None:
            drained.append(sums.pop(drain, None))
    return drained


def run(slots: list[Slot]) -> list[int | None]:
    config = PRESETS["tiny"]
    dut = Accumulator(config)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    results = []

    async def bench(ctx):
        for cycle in range(len(slots) + 8):
            add, drain = slots[cycle] if cycle < len(slots) else (None, None)
            bank, word, _ = add or (0, 0, 0)
            ctx.set(dut.i_add, {"valid": int(add is not None), "bank": bank, "word": word})
            bank, word = drain or (0, 0)
            ctx.set(dut.i_drain, {"valid": int(drain is not None), "bank": bank, "word": word})
            past = cycle - PRODUCT_LAG_CYCLES
            late_add = slots[past][0] if 0 <= past < len(slots) else None
            ctx.set(dut.i_product, late_add[2] if late_add else -77)
            past = cycle - DRAIN_LATENCY_CYCLES
            if 0 <= past < len(slots) and slots[past][1] is not None:
                results.append(ctx.get(dut.o.data) if ctx.get(dut.o.valid) else None)
            await ctx.tick()

    simulator.add_testbench(bench)
    simulator.run()
    return results


@pytest.mark.parametrize("words", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_words_drain_with_all_that_was_added_before(seed: int, words: int) -> None:
    rng = random.Random(seed)
    slots: list[Slot] = []
    bank, drain = 0, None
    for _ in range(600):
        if rng.random() < 0.4:
            bank ^= 1
        before = drain
        add = (bank, rng.randrange(words), rng.randint(-16256, 16384)) if rng.random() < 0.8 else None
        drain = (bank ^ 1, rng.randrange(words)) if rng.random() < 0.7 else None
        slots.append((add, drain if drain != before else None))
    assert run(slots) == expected(slots)


def test_one_word_rows_alternate_every_cycle() -> None:
    slots: list[Slot] = [((0, 0, 5), None)]
    slots += [((row % 2, 0, row), ((row + 1) % 2, 0)) for row in range(1, 40)]
    assert run(slots) == [5, *range(1, 39)]


def test_absent_is_not_zero() -> None:
    assert run([((0, 1, 0), None), (None, (0, 1)), (None, (0, 2)), (None, (0, 1))]) == [0, None, None]


def test_it_converts_to_verilog() -> None:
    assert "module" in emit_verilog(Accumulator(PRESETS["base"]), "accumulator")
