"""hdl.token_join, hdl.beat_cutter: values meet their indices, cuts their chunks."""

import random

import pytest

from hdl.beat_cutter import BeatCutter
from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.token_join import TokenJoin
from tests.harness import run_block


def chunks_of(content: bytes, size: int, row_bytes: int) -> list[dict]:
    """Chunks of rows that follow each other without a gap."""
    chunks = []
    for start in range(0, len(content), row_bytes):
        row = content[start:start + row_bytes]
        for at in range(0, len(row), size):
            part, row_last = row[at:at + size], int(at + size >= len(row))
            chunks.append({"data": int.from_bytes(part, "little"), "count": len(part), "row_last": row_last,
                           "last": int(row_last and start + row_bytes >= len(content))})
    return chunks


def tokens_of(config: Config, chunk: dict) -> list[tuple[int, int] | None]:
    return [(token["index"], token["value"]) if chunk["mask"] >> place & 1 else None
            for place, token in enumerate(chunk["tokens"])]


@pytest.mark.parametrize("seed", range(8))
def test_values_and_indices_are_paired_and_filtered(seed: int):
    config = PRESETS[("base", "tiny")[seed % 2]]
    rng, size = random.Random(seed), config.beat_tokens
    jobs, indices_in, values_in, expected = [], [], [], []
    for _ in range(6):
        wide, dense = rng.randrange(2), rng.random() < 0.3
        number, width = rng.randrange(1, 40), rng.randrange(1, 20)
        if dense:
            number = width * rng.randrange(1, 5)
        columns = width if dense else 100
        start = 0 if dense else rng.randrange(60)
        count = width if dense else rng.randrange(41)
        indices = [at % width for at in range(number)] if dense else \
            [rng.randrange(100) for _ in range(number)]
        values = [rng.choice([0, rng.randrange(-128, 128)]) for _ in range(number)]
        row = width if dense else number
        jobs.append({"dense": int(dense), "wide": wide, "start": start, "count": count, "columns": columns})
        values_in += chunks_of(bytes(value % 256 for value in values), size, row)
        if not dense:
            index_bytes = 4 if wide else 2
            array = b"".join(index.to_bytes(index_bytes, "little") for index in indices)
            indices_in += chunks_of(array, 2 * size, len(array))
        for base in range(0, number, row):
            for at in range(base, base + row, size):
                some = [(index - start, value) if value and start <= index < start + count else None
                        for index, value in zip(indices[at:min(at + size, base + row)],
                                                values[at:min(at + size, base + row)], strict=True)]
                expected.append(some + [None] * (size - len(some)))
    found = run_block(TokenJoin(config), {"i_job": jobs, "i_indices": indices_in, "i_values": values_in},
                      {"o": len(expected)}, seed=seed, gap=rng.choice([0, 0.5]),
                      stall=rng.choice([0, 0.5]))["o"]
    assert [tokens_of(config, chunk) for chunk in found] == expected


def test_a_cut_that_comes_to_nothing_makes_no_beat_and_the_rest_of_a_job_is_dropped():
    config = PRESETS["tiny"]
    no_end = {"valid": 0, "position": 0}

    def chunk(mask: int, last: int) -> dict:
        return {"tokens": [{"index": 1, "value": 2}, {"index": 3, "value": -4}], "mask": mask, "last": last}

    def cut(keep: int, ends: list[int], done: int, final: int, alone: int = 0) -> dict:
        return {"keep": keep, "ends": [{"valid": 1, "position": end} for end in ends]
                + [no_end] * (2 - len(ends)), "done": done, "final": final, "alone": alone}

    chunks = [chunk(0, 0), chunk(3, 0), chunk(3, 0), chunk(3, 1), chunk(2, 1)]
    cuts = [cut(3, [], 1, 0),
            cut(1, [0, 1], 0, 0), cut(2, [2], 1, 1),
            cut(0, [0], 0, 1, alone=1),
            cut(3, [2], 1, 1)]
    found = run_block(BeatCutter(config), {"i": chunks, "i_cut": cuts}, {"o": 4}, gap=0.3, stall=0.3)["o"]
    assert [(beat["mask"], [end["position"] for end in beat["ends"] if end["valid"]], beat["last"])
            for beat in found] == [(1, [0, 1], 0), (2, [2], 1), (0, [0], 1), (2, [2], 1)]


@pytest.mark.parametrize("preset", ["tiny", "base"])
@pytest.mark.parametrize("block", [TokenJoin, BeatCutter])
def test_token_blocks_convert_to_verilog(block: type, preset: str):
    assert "module block" in emit_verilog(block(PRESETS[preset]), "block")
