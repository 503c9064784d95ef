"""hdl.word_joiner: entries of a row in order, in fewer words."""

import random

import pytest

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from hdl.word_joiner import WordJoiner
from tests.harness import run_block

CONFIG = PRESETS["base"]
PLAN = {"groups": 0, "last_word": 100, "last_lanes": 0b111}


def random_row(rng: random.Random, density: float) -> list[dict]:
    """Chain words of a row, the last one maybe empty, and maybe with lanes past the columns."""
    words = [word for word in range(101) if rng.random() < 0.2]
    found = [{"word": word, "valid": sum((rng.random() < density) << lane for lane in range(8)) or 1,
              "data": [rng.randrange(-99, 99) for _ in range(8)], "last": 0} for word in words]
    if not found or rng.random() < 0.5:
        found.append({"word": 0, "valid": 0, "data": [0] * 8, "last": 0})
    found[-1]["last"] = 1
    return found


def entries(word: dict, number) -> list[tuple[int, int, int]]:
    return [(number(lane), lane, word["data"][lane]) for lane in range(8) if word["valid"] >> lane & 1]


def wanted(words: list[dict]) -> list[list[tuple[int, int, int]]]:
    """A row's entries, in as few words as the rule allows: number of the word, lane, sum."""
    found: list[list[tuple[int, int, int]]] = []
    for word in words:
        mine = [entry for entry in entries(word, lambda lane, word=word: word["word"])
                if entry[0] < PLAN["last_word"] or PLAN["last_lanes"] >> entry[1] & 1]
        if not found or (mine and found[-1] and mine[0][1] <= found[-1][-1][1]):
            found.append([])
        found[-1] += mine
    return found


def join(rows: list[list[dict]], chain: int = 0, **options) -> None:
    """Compare what becomes of rows with what should."""
    dut = WordJoiner(CONFIG, chain)

    async def start(ctx) -> None:
        ctx.set(dut.i_plan, PLAN | {"groups": 2 * len(rows)})
        for _ in range(5):
            await ctx.tick()        # words that come before their job wait
            assert not ctx.get(dut.i.ready)
        ctx.set(dut.i_start, 1)
        await ctx.tick()
        ctx.set(dut.i_start, 0)

    expected = [(word, number == len(row) - 1)
                for row in map(wanted, rows) for number, word in enumerate(row)]
    result = run_block(dut, {"i": [word for row in rows for word in row]}, {"o": len(expected)},
                       processes=[start], **options)["o"]
    found = [(entries(word, lambda lane, word=word: word["words"][lane]), bool(word["last"]))
             for word in result]
    assert found == expected


@pytest.mark.parametrize("chain", [0, 1])
@pytest.mark.parametrize("seed", range(3))
def test_entries_stay_in_order_and_those_past_the_columns_go(seed: int, chain: int) -> None:
    rng = random.Random(seed)
    join([random_row(rng, rng.random()) for _ in range(20)], chain, seed=seed, gap=(0, 0.4, 0)[seed],
         stall=(0, 0.3, 0.7)[seed])


def test_words_with_lanes_in_order_leave_as_one_with_the_end_of_their_row() -> None:
    words = [{"word": number, "valid": 1 << number, "data": [number] * 8, "last": 0} for number in range(8)]
    words.append({"word": 0, "valid": 0, "data": [0] * 8, "last": 1})
    rows = [words, words[:2] + words[-1:]]
    assert [len(wanted(row)) for row in rows] == [1, 1]
    join(rows)


def test_a_lane_that_is_held_or_below_one_begins_a_word() -> None:
    words = [{"word": number, "valid": 1 << lane, "data": [0] * 8, "last": int(number == 3)}
             for number, lane in enumerate((5, 5, 4, 6))]
    assert len(wanted(words)) == 3
    join([words])


def test_it_converts_to_verilog() -> None:
    assert "module" in emit_verilog(WordJoiner(CONFIG, 1), "word_joiner")
