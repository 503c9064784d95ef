"""hdl.accumulator: sums in two banks, one draining while the other adds."""

import random
import re
from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from hdl.accumulator import PRODUCT_LAG_CYCLES, WRITE_LATENCY_CYCLES, Accumulator
from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog

TINY = PRESETS["tiny"]
KINDS = pytest.mark.parametrize("config", [
    pytest.param(TINY, id="two banks"), pytest.param(replace(TINY, lean_drain=True), id="one memory")])

Slot = tuple[tuple[int, int, int] | None, tuple[int, int] | None]
"""One cycle: (bank, word, product) added, (bank, word) drained."""


def place(slots: list[Slot], cycle: int) -> tuple[int, int] | None:
    """What is added to in a cycle."""
    add = slots[cycle][0] if 0 <= cycle < len(slots) else None
    return add[:2] if add else None


def keeps(slots: list[Slot], cycle: int) -> bool:
    """What comes to its bank, a cycle after `i_add`, is of the place before and behind it."""
    here = place(slots, cycle - 1)
    return here is not None and here == place(slots, cycle - 2) == place(slots, cycle)


def expected(slots: list[Slot]) -> list[int | None]:
    """The drained sums; None where nothing was added."""
    sums: dict[tuple[int, int], int] = {}
    drained = []
    for add, drain in slots:
        if drain is not None:
            drained.append(sums.pop(drain, None))
        if add is not None:
            sums[add[:2]] = sums.get(add[:2], 0) + add[2]
    return drained


def run(config: Config, slots: list[Slot]) -> list[int | None]:
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
            ctx.set(dut.i_keeps, int(keeps(slots, cycle)))
            past = cycle - PRODUCT_LAG_CYCLES
            late_add = slots[past][0] if 0 <= past < len(slots) else None
            ctx.set(dut.i_product, late_add[2] if late_add else -77)
            past = cycle - 1
            shown = ctx.get(dut.o.data) if ctx.get(dut.o.valid) else None
            if 0 <= past < len(slots) and slots[past][1] is not None:
                results.append(shown)
            assert not results or shown == results[-1], "what is shown changes without a drain"
            await ctx.tick()

    simulator.add_testbench(bench)
    simulator.run()
    return results


@pytest.mark.parametrize("words", [1, 2, TINY.acc_words])
@pytest.mark.parametrize("seed", range(4))
@KINDS
def test_words_drain_with_all_that_was_added_before(config: Config, seed: int, words: int) -> None:
    rng = random.Random(seed)
    slots: list[Slot] = []
    bank = 0
    for _ in range(600):
        if rng.random() < 0.4:
            bank ^= 1
        add = (bank, rng.randrange(words), rng.randint(-16256, 16384)) if rng.random() < 0.8 else None
        # Not where a product came last, and not a word that one is on its way to or that one comes to now.
        recent = [slot[0][:2] for slot in [*slots[1 - WRITE_LATENCY_CYCLES:], (add, None)] if slot[0]]
        reading = slots[-1][0][0] if slots and slots[-1][0] else None
        if keeps([*slots, (add, None)], len(slots)):
            reading = None
        drain = (rng.randrange(2), rng.randrange(words)) if rng.random() < 0.7 else None
        twice = bool(slots) and drain == slots[-1][1]
        busy = (0, 1) if config.lean_drain and reading is not None else (reading,)    # banks
        legal = drain is not None and drain not in recent and drain[0] not in busy and not twice
        slots.append((add, drain if legal else None))
    drained = expected(slots)
    assert run(config, slots) == drained
    assert sum(total is not None for total in drained) > 30


@KINDS
def test_a_sum_drains_as_soon_as_it_is_there(config: Config) -> None:
    adds: list[Slot] = [((0, 0, 5), None), ((0, 0, 6), None)]
    later: list[Slot] = [(None, None)] * (WRITE_LATENCY_CYCLES - 1)
    assert run(config, [*adds, *later, (None, (0, 0)), *adds, *later, (None, (0, 0))]) == [11, 11]


@KINDS
def test_absent_is_not_zero(config: Config) -> None:
    wait: list[Slot] = [(None, None)] * WRITE_LATENCY_CYCLES
    slots: list[Slot] = [((0, 1, 0), None), *wait, *((None, drain) for drain in ((0, 1), (0, 2), (0, 1)))]
    assert run(config, slots) == [0, None, None]


@KINDS
def test_every_word_of_both_banks_has_a_sum_of_its_own(config: Config) -> None:
    places = [(bank, word) for word in range(config.acc_words) for bank in range(2)]
    adds: list[Slot] = [((*place, number), None) for number, place in enumerate(places)]
    wait: list[Slot] = [(None, None)] * WRITE_LATENCY_CYCLES
    drains: list[Slot] = [(None, place) for place in places]
    assert run(config, [*adds, *wait, *drains, *drains]) == [*range(len(places)), *[None] * len(places)]


def test_one_memory_takes_as_many_words_as_two_banks() -> None:
    """Of 8 each: 16 fill a distributed RAM."""
    verilog = emit_verilog(Accumulator(PRESETS["lean64"]), "accumulator")
    assert re.findall(r"reg \[32:0\] (\w+) \[(\d+):0\]", verilog) == [("bank0", "15")]


@pytest.mark.parametrize("name", ["base", "lean64"])
def test_it_converts_to_verilog(name: str) -> None:
    assert "module" in emit_verilog(Accumulator(PRESETS[name]), "accumulator")
