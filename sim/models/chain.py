"""Rows of two sides of a chain stage, and the row that they become, in plain Python."""

import random

from hdl.config import Config

__all__ = ["as_words", "merged", "merged_words", "random_row", "read_rows", "sums_of"]


def random_row(config: Config, rng: random.Random, words: int) -> list[tuple]:
    """(word, valid, data) in increasing order; no words: an empty row."""
    kind = rng.random()
    if kind < 0.3:
        return []
    chosen = sorted(rng.sample(range(words), rng.randint(1, words)))
    return [(word, rng.choice((0, rng.getrandbits(config.lanes), (1 << config.lanes) - 1)),
             [rng.randint(-(1 << 31), (1 << 31) - 1) for _ in range(config.lanes)]) for word in chosen]


def as_words(config: Config, rows: list[list[tuple]]) -> list[dict]:
    items = []
    for row in rows:
        for word, valid, values in row or [(0, 0, [5] * config.lanes)]:
            items.append({"word": word, "valid": valid, "data": values, "last": 0})
        items[-1]["last"] = 1
    return items


def wrap(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def merged(config: Config, own: list[tuple], up: list[tuple]) -> dict[tuple[int, int], int]:
    sums: dict[tuple[int, int], int] = {}
    for word, valid, values in own + up:
        for lane in range(config.lanes):
            if valid >> lane & 1:
                sums[word, lane] = wrap(sums.get((word, lane), 0) + values[lane])
    return sums


def read_rows(items: list[dict]) -> list[list[dict]]:
    rows: list[list[dict]] = [[]]
    for item in items:
        rows[-1].append(item)
        if item["last"]:
            rows.append([])
    return rows[:-1]


def merged_words(config: Config, own: list[tuple], up: list[tuple]) -> list[tuple]:
    """The merged row. A last word without valid lanes goes along with the other side's next word."""
    nothing = [0] * config.lanes
    sides, words = [own or [(0, 0, nothing)], up or [(0, 0, nothing)]], []
    while any(sides):
        open_sides = [side for side in sides if side]
        ends = [side for side in open_sides if len(side) == 1 and side[0][1] == 0]
        others = [side for side in open_sides if side not in ends]
        least = min((side[0][0] for side in others), default=0)
        taken = [side[0] for side in others if side[0][0] == least]
        sums = merged(config, taken, [])
        words.append((least, sum(1 << lane for _, lane in sums),
                      [sums.get((least, lane), 0) for lane in range(config.lanes)]))
        sides = [side[1:] if side and (side in ends or side[0][0] == least) else side for side in sides]
    return words


def sums_of(config: Config, row: list[dict]) -> dict[tuple[int, int], int]:
    """A row that came out, as `merged` has it; checks that its words are in order."""
    order = [item["word"] for item in row if item["valid"]]
    assert order == sorted(set(order))
    return {(item["word"], lane): item["data"][lane] for item in row for lane in range(config.lanes)
            if item["valid"] >> lane & 1}
