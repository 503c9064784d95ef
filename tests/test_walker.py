"""hdl.walker: words, closes and drains, and when they wait."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from hdl.walker import Walker

SWEEP_CYCLES = 64


def token(value: int, before: int = 0, after: int = 0, address: int = 8, last: int = 0) -> dict:
    return {"token": 1, "value": value, "before": before, "after": after, "address": address, "part": 0,
            "position": 0, "last": last}


def run(ops: list[dict], own_words: int, *, room: float = 1.0, seed: int = 0) -> list[tuple]:
    """Events by cycle after the sweep: ("word", cycle, value, store address, upper, word, bank),
    ("drain", cycle, bank, word, last), ("touched", cycle), ("empties", cycle, count), ("last", cycle)."""
    dut = Walker(PRESETS["tiny"])
    rng = random.Random(seed)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    events = []

    async def feed(ctx):
        await ctx.tick().repeat(SWEEP_CYCLES)
        for op in ops:
            ctx.set(dut.i.payload, op)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
        ctx.set(dut.i.valid, 0)

    async def watch(ctx):
        ctx.set(dut.i_own_words, own_words)
        ctx.set(dut.i_run_room, 1)
        await ctx.tick().repeat(SWEEP_CYCLES)
        assert ctx.get(dut.o_swept)
        for cycle in range(400):
            has_room = int(rng.random() < room)
            ctx.set(dut.i_room, has_room)
            if ctx.get(dut.o_touched):
                assert has_room
                events.append(("touched", cycle))
            if ctx.get(dut.o_empties):
                events.append(("empties", cycle, ctx.get(dut.o_empties)))
            if ctx.get(dut.o_last):
                events.append(("last", cycle))
            # Registered: what was decided a cycle ago.
            drain, word = ctx.get(dut.o_drain), ctx.get(dut.o_word)
            if drain.push:
                events.append(("drain", cycle - 1, drain.access.bank, drain.access.word, drain.last))
            if word.valid:
                events.append(("word", cycle - 1, word.value, word.address, word.upper, word.word, word.bank))
            await ctx.tick()

    simulator.add_testbench(feed, background=True)
    simulator.add_testbench(watch)
    simulator.run()
    return events


def of(events: list[tuple], kind: str) -> list[tuple]:
    return [event[1:] for event in events if event[0] == kind]


def test_a_token_walks_the_words_of_its_row() -> None:
    words = of(run([token(7, address=9)], 3), "word")
    start = words[0][0]
    assert words == [(start, 7, 4, 1, 0, 0), (start + 1, 7, 5, 0, 1, 0), (start + 2, 7, 5, 1, 2, 0)]


@pytest.mark.parametrize("own_words", [1, 4])
@pytest.mark.parametrize("room", [1.0, 0.3])
def test_drains_follow_their_rows_and_never_overlap(own_words: int, room: float) -> None:
    events = run([token(row, after=1) for row in range(20)], own_words, room=room)
    words, drains = of(events, "word"), of(events, "drain")
    assert len(words) == len(drains) == 20 * own_words
    for row in range(20):
        mine = drains[row * own_words:(row + 1) * own_words]
        start = mine[0][0]
        assert mine == [(start + word, row % 2, word, int(word == own_words - 1))
                        for word in range(own_words)]
        issued = words[row * own_words:(row + 1) * own_words]
        assert {word[-1] for word in issued} == {row % 2}
        assert issued[-1][0] < start
        if row + 2 < 20:  # the next row in this bank comes behind the drain
            assert words[(row + 2) * own_words][0] > mine[-1][0]


def test_rows_of_one_word_close_every_cycle() -> None:
    events = run([token(row, after=1) for row in range(30)], 1)
    cycles = [cycle for cycle, in of(events, "touched")]
    assert cycles == list(range(cycles[0], cycles[0] + 30))


def test_rows_without_tokens_are_counted() -> None:
    close = {"token": 0, "before": 2}
    events = run([close, token(1, before=1, after=2), close, {**close, "last": 1}], 2)
    assert sum(count for _, count in of(events, "empties")) == 2 + 1 + 1 + 2 + 2
    assert len(of(events, "touched")) == 1
    assert len(of(events, "last")) == 1


def test_last_comes_with_the_last_close() -> None:
    events = run([token(1, after=2, last=1)], 2)
    (touched,), (empties,), (last,) = (of(events, kind) for kind in ("touched", "empties", "last"))
    assert touched == last == empties[:1]
    assert empties[1] == 1


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_it_converts_to_verilog(name: str) -> None:
    assert "module" in emit_verilog(Walker(PRESETS[name]), "walker")
