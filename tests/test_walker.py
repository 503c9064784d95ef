"""hdl.walker: words and closes, and when they wait."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from hdl.walker import Walker


def token(value: int, before: int = 0, after: int = 0, address: int = 8, last: int = 0) -> dict:
    return {"token": 1, "value": value, "before": before, "after": after, "address": address, "part": 0,
            "position": 0, "last": last}


def place(row: int) -> dict:
    return {"bank": 0, "word": 4 * (row % 4)}


def run(ops: list[dict], own_words: int, *, room: float = 1.0, places: float = 1.0,
        seed: int = 0) -> list[tuple]:
    """Events by cycle: ("word", cycle, value, store address, upper, word, bank), ("touched", cycle),
    ("empties", cycle, count), ("last", cycle). Row r is given the place of bank 0, word 4 * (r % 4)."""
    dut = Walker(PRESETS["tiny"])
    rng = random.Random(seed)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    events = []

    async def feed(ctx):
        for op in ops:
            ctx.set(dut.i.payload, op)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
        ctx.set(dut.i.valid, 0)

    async def watch(ctx):
        ctx.set(dut.i_own_words, own_words)
        ctx.set(dut.i_run_room, 1)
        row, open_free, may_issue = 0, 1, 0
        for cycle in range(400):
            ctx.set(dut.i_open, place(row))
            ctx.set(dut.i_next, place(row + 1))
            has_room = int(rng.random() < room)
            ctx.set(dut.i_room, has_room)
            next_free = int(open_free and rng.random() < places)
            ctx.set(dut.i_open_free, open_free)
            ctx.set(dut.i_next_free, next_free)
            may_have_issued, may_issue = may_issue, next_free if ctx.get(dut.o_touched) else open_free
            open_free = int(may_issue or rng.random() < places)
            if ctx.get(dut.o_touched):
                assert has_room
                events.append(("touched", cycle))
                row += 1
            if ctx.get(dut.o_empties):
                events.append(("empties", cycle, ctx.get(dut.o_empties)))
            if ctx.get(dut.o_last):
                events.append(("last", cycle))
            # Registered: what was decided a cycle ago.
            word = ctx.get(dut.o_word)
            if word.valid:
                assert may_have_issued, "a word without a place"
                events.append(("word", cycle - 1, word.value, word.address[0], word.upper, word.word,
                               word.bank))
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
    assert words == [(start, 7, 4, 1, 0, 0), (start + 1, 7, 5, 0, 0, 1), (start + 2, 7, 5, 1, 1, 0)]


def test_a_row_closes_while_there_is_no_place_for_the_next_one() -> None:
    events = run([token(row, after=1) for row in range(20)], 2, places=0.1)
    words, closes = of(events, "word"), of(events, "touched")
    assert len(words) == 40 and len(closes) == 20
    gaps = [words[2 * row + 2][0] - closes[row][0] for row in range(19)]
    assert max(gaps) > 5, "words wait for a place"
    assert all(closes[row][0] == words[2 * row + 1][0] + 1 for row in range(20)), "closes do not"


@pytest.mark.parametrize("own_words", [1, 4])
@pytest.mark.parametrize("room", [1.0, 0.3])
def test_words_go_to_the_place_of_their_row(own_words: int, room: float) -> None:
    events = run([token(row, after=1) for row in range(20)], own_words, room=room, places=room)
    words, touched = of(events, "word"), of(events, "touched")
    assert [word[1] for word in words] == [row for row in range(20) for _ in range(own_words)]
    assert [word[4:] for word in words] == [
        (place(row)["word"] + word // 2, word % 2) for row in range(20) for word in range(own_words)]
    for row, (cycle,) in enumerate(touched):   # a row closes behind its last word, with the next one's first
        assert words[(row + 1) * own_words - 1][0] < cycle
        assert row == 19 or words[(row + 1) * own_words][0] >= cycle


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
