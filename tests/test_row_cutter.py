"""hdl.row_pointers, hdl.row_cutter: row ends become cuts, against plain Python."""

import random

import pytest

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.row_cutter import RowCutter
from hdl.row_pointers import RowPointers, pointer_chunk_bytes
from tests.harness import run_block


def placed(config: Config, entries: list[int]) -> list[tuple[int, int]]:
    """Chunk and position of row ends given by the number of entries before them."""
    size = config.beat_tokens
    return [(0, 0) if not entry else ((entry - 1) // size, (entry - 1) % size + 1) for entry in entries]


def pairs_of(config: Config, entries: list[int], row_ends: int = 2) -> list[dict]:
    """One job's row ends as pairs of so many row ends."""
    ends, before = [], -1
    for number, (chunk, position) in enumerate(placed(config, entries)):
        ends.append({"valid": 1, "gap": chunk - before, "position": position,
                     "final": int(number + 1 == len(entries))})
        before = chunk
    none = {"valid": 0, "gap": 0, "position": 0, "final": 0}
    return [{"ends": (ends[at:at + row_ends] + [none])[:2], "alone": 0}
            for at in range(0, len(ends), row_ends)]


def cuts_of(config: Config, entries: list[int], row_ends: int = 2) -> list[dict]:
    """The cuts of one job: chunk by chunk, so many row ends at a time."""
    size, cuts = config.beat_tokens, []
    ends = placed(config, entries)
    for chunk in range(ends[-1][0] + 1):
        positions = [position for at, position in ends if at == chunk]
        sent = 0
        for at in range(0, max(1, len(positions)), row_ends):
            taken, left = positions[at:at + row_ends], positions[at + row_ends:]
            final = not left and chunk == ends[-1][0]
            limit = taken[-1] if left or final else size
            cuts.append({
                "keep": sum(1 << place for place in range(sent, limit)),
                "ends": [{"valid": 1, "position": position} for position in taken]
                + [{"valid": 0, "position": 0}] * (2 - len(taken)),
                "done": int(not left), "final": int(final), "alone": 0,
            })
            sent = limit
    return cuts


def random_entries(rng: random.Random) -> list[int]:
    kind, entry, entries = rng.randrange(4), 0, []
    for _ in range(rng.randrange(1, 40)):
        entry += (rng.randrange(5), rng.choice([0, 0, 0, 30]), rng.randrange(60),
                  rng.choice([0, 1, 8, 16]))[kind]
        entries.append(entry)
    return entries


@pytest.mark.parametrize("row_ends", [1, 2])
@pytest.mark.parametrize("seed", range(8))
def test_a_cut_takes_its_row_ends_and_goes_as_far_as_it_can(seed: int, row_ends: int):
    config = PRESETS[("base", "tiny")[seed % 2]]
    rng = random.Random(seed)
    jobs = [random_entries(rng) for _ in range(10)]
    cuts = [cut for job in jobs for cut in cuts_of(config, job, row_ends)]
    pairs = [pair for job in jobs for pair in pairs_of(config, job, row_ends)]
    found = run_block(RowCutter(config, row_ends), {"i": pairs}, {"o": len(cuts)}, seed=seed,
                      gap=rng.choice([0, 0.5]), stall=rng.choice([0, 0.5]))["o"]
    for got, want in zip(found, cuts, strict=True):
        if not got["ends"][0]["valid"]:
            got["ends"][0]["position"] = 0
        assert got == want


@pytest.mark.parametrize("row_ends", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_row_pointers_become_distances_in_chunks(seed: int, row_ends: int):
    config = PRESETS[("base", "tiny")[seed % 2]]
    rng = random.Random(seed)
    size = pointer_chunk_bytes(config, row_ends)
    jobs, chunks, expected = [], [], []
    for _ in range(8):
        entries, first = random_entries(rng), rng.randrange(1 << 20)
        jobs.append({"dense": 0, "alone": 0, "rows": len(entries), "first": first,
                     "nnz": entries[-1]})
        array = b"".join((first + entry).to_bytes(4, "little") for entry in entries)
        for at in range(0, len(array), size):
            part, last = array[at:at + size], int(at + size >= len(array))
            chunks.append({"data": int.from_bytes(part, "little"), "count": len(part), "row_last": last,
                           "last": last})
        expected += [end for pair in pairs_of(config, entries) for end in pair["ends"] if end["valid"]]
    found = run_block(RowPointers(config, row_ends), {"i_job": jobs, "i": chunks}, {"o": len(chunks)},
                      seed=seed, gap=rng.choice([0, 0.5]), stall=rng.choice([0, 0.5]))["o"]
    assert [end for pair in found for end in pair["ends"] if end["valid"]] == expected


@pytest.mark.parametrize("row_ends", [1, 2])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_dense_rows_end_at_even_distances(rows: int, row_ends: int):
    job = {"dense": 1, "alone": 0, "rows": rows, "first": 0, "nnz": 24}
    found = run_block(RowPointers(PRESETS["base"], row_ends), {"i_job": [job]},
                      {"o": -(-rows // row_ends)})["o"]
    ends = [end for pair in found for end in pair["ends"] if end["valid"]]
    assert ends == [{"valid": 1, "gap": 3, "position": 8, "final": int(row + 1 == rows)}
                    for row in range(rows)]


@pytest.mark.parametrize("preset", ["tiny", "base"])
@pytest.mark.parametrize("block", [RowPointers, RowCutter])
def test_row_blocks_convert_to_verilog(block: type, preset: str):
    assert "module block" in emit_verilog(block(PRESETS[preset]), "block")
