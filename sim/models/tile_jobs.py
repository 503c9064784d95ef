"""Tiles of B of every kind: their jobs, the memory they lie in, and the beats a fetch makes of them."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from hdl.config import Config
from hdl.layouts import BFormat
from hdl.packer import PACKER_ROW_ENDS

__all__ = ["Image", "Row", "compressed_beats", "dense_case", "job_fields", "narrow_job", "packed_case",
           "random_rows", "random_work", "raw_beat", "wide_job"]

Row = list[tuple[int, int]]
"""Column and value."""


def job_fields(config: Config, **fields: int) -> dict[str, Any]:
    job = dict.fromkeys(("k_count", "n_start", "n_count", "pointers", "indices", "values", "stride", "nnz",
                         "first", "columns", "pk_log2", "slice_words", "group_log2", "half", "whole"), 0)
    return {"format": BFormat.DENSE, **job, **fields}


def wide_job(config: Config, rng: random.Random, pk_log2: int) -> dict[str, Any]:
    """Rows of at least V columns over 1 << pk_log2 owners."""
    slices = config.pes >> pk_log2
    slice_words = rng.randint(1, min(5, config.acc_words))
    least = (slices - 1) * slice_words * config.lanes if rng.random() < 0.7 else 0
    n_count = rng.randint(max(least, config.lanes), slices * slice_words * config.lanes)
    k_count = rng.randint(1, max(1, min(24, 16000 // n_count, config.lane_values // slice_words)))
    stride = n_count + rng.choice((0, 0, rng.randint(1, 9)))
    return job_fields(config, pk_log2=pk_log2, slice_words=slice_words, n_count=n_count, k_count=k_count,
                      stride=stride, values=rng.randint(0, 300), half=rng.randint(0, 1))


def narrow_job(config: Config, rng: random.Random, group_log2: int) -> dict[str, Any]:
    """Rows of at most V / 2 columns, G of them in a word."""
    width = config.lanes >> group_log2
    n_count = width if rng.random() < 0.6 else rng.randint(width // 2 + 1, width)
    stride = n_count + (0 if rng.random() < 0.7 else rng.randint(1, 5))
    return job_fields(config, pk_log2=config.pe_bits, slice_words=1, group_log2=group_log2, n_count=n_count,
                      k_count=rng.randint(1, 150), stride=stride, values=rng.randint(0, 300),
                      half=rng.randint(0, 1))


def raw_beat(config: Config, tokens: Mapping[int, tuple[int, int]], ends: Sequence[int]) -> dict[str, Any]:
    """A RawBeat of tokens by their place in the beat, and row ends by their position."""
    return {
        "tokens": [dict(zip(("index", "value"), tokens.get(t, (0, 0)), strict=True))
                   for t in range(config.beat_tokens)],
        "mask": sum(1 << t for t in tokens),
        "ends": [{"valid": int(e < len(ends)), "position": ends[e] if e < len(ends) else 0}
                 for e in range(2)],
        "last": 0,
    }


def compressed_beats(config: Config, rows: Sequence[Row], rng: random.Random,
                     holes: float = 0.0) -> list[dict[str, Any]]:
    """Beats as a fetch of compressed rows makes them: full, or cut after the row end."""
    beats: list[dict[str, Any]] = []
    tokens: dict[int, tuple[int, int]] = {}
    ends: list[int] = []
    place = 0

    def flush() -> None:
        nonlocal tokens, ends, place
        if tokens or ends:
            beats.append(raw_beat(config, tokens, ends))
        tokens, ends, place = {}, [], 0

    for row in rows:
        for token in row:
            while place < config.beat_tokens and rng.random() < holes:
                place += 1
            if place == config.beat_tokens:
                flush()
            tokens[place] = token
            place += 1
        if len(ends) == PACKER_ROW_ENDS:
            flush()
        ends.append(place)
    flush()
    beats[-1]["last"] = 1
    return beats


def random_rows(rng: random.Random, k_count: int, n_count: int, density: float) -> list[Row]:
    return [[(column, rng.choice((-128, -1, 1, 127, rng.randint(2, 126)))) for column in range(n_count)
             if rng.random() < density] for _ in range(k_count)]


def random_work(config: Config, rng: random.Random, pk_log2: int) -> tuple[dict, list[Row], list[dict]]:
    slices = config.pes >> pk_log2
    most = min(config.acc_words, 8)
    slice_words = rng.randint(1, most)
    n_count = rng.randint(1, slices * slice_words * config.lanes)
    k_count, half = rng.randint(1, 20), rng.randint(0, 1)
    job = job_fields(config, pk_log2=pk_log2, slice_words=slice_words, n_count=n_count, k_count=k_count,
                     half=half, whole=int(not half and k_count % 2))
    rows = random_rows(rng, k_count, n_count, rng.choice((0.02, 0.25, 0.9)))
    for row in rows:
        if row and rng.random() < 0.2:
            row += [rng.choice(row), rng.choice(row)]      # duplicates, and columns out of order
    if rng.random() < 0.3:
        rows = [[row, []][rng.random() < 0.7] for row in rows]
    rows = [row[:2 * config.acc_words] for row in rows]
    return job, rows, compressed_beats(config, rows, rng, holes=rng.choice((0, 0.3)))


class Image:
    """Memory that is filled piece by piece, at odd addresses too."""

    def __init__(self, rng: random.Random):
        self._rng, self.bytes = rng, bytearray(rng.randbytes(5))

    def put(self, content: bytes, align: int = 1) -> int:
        self.bytes += self._rng.randbytes(self._rng.randint(0, 20))
        self.bytes += bytes(-len(self.bytes) % align)
        address = len(self.bytes)
        self.bytes += content
        return address


def dense_case(image: Image, job: dict[str, Any], rng: random.Random) -> tuple[dict, list[list[int]]]:
    content = rng.randbytes(job["k_count"] * job["stride"] + job["n_count"])
    rows = [[byte - 256 if byte & 128 else byte for byte in content[start:start + job["n_count"]]]
            for start in (k * job["stride"] for k in range(job["k_count"]))]
    return {**job, "values": image.put(content)}, rows


def packed_case(config: Config, image: Image, rng: random.Random,
                form: BFormat, pk_log2: int) -> tuple[dict[str, Any], list[list[tuple[int, int]]]]:
    """A tile out of the middle of a larger B: the job, and the tile's rows of (column, value)."""
    slices = config.pes >> pk_log2
    slice_words = rng.randint(1, 7)
    n_count = rng.randint(1, slices * slice_words * config.lanes)
    n_start, k_start, k_count = rng.randint(0, 9), rng.randint(0, 3), rng.randint(1, 20)
    columns = n_start + n_count + rng.randint(0, 9)
    matrix = random_rows(rng, k_start + k_count + 2, columns, rng.choice((0, 0.1, 0.3, 0.9)))
    matrix = [row if rng.random() < 0.7 else [] for row in matrix]
    job = job_fields(config, format=form, k_count=k_count, n_start=n_start, n_count=n_count, pk_log2=pk_log2,
                     slice_words=slice_words, columns=columns, half=rng.randint(0, 1))
    if form == BFormat.DENSE_PACKED:
        content = bytearray(len(matrix) * columns)
        for k, row in enumerate(matrix):
            for column, value in row:
                content[k * columns + column] = value & 255
        job |= {"values": image.put(bytes(content)) + k_start * columns + n_start, "stride": columns}
    else:
        size = 2 if form == BFormat.CSR16_PACKED else 4
        pointers = [sum(map(len, matrix[:k])) for k in range(len(matrix) + 1)]
        first = pointers[k_start]
        job |= {
            "pointers": image.put(b"".join(p.to_bytes(4, "little") for p in pointers), 4) + 4 * (k_start + 1),
            "indices": first * size + image.put(
                b"".join(column.to_bytes(size, "little") for row in matrix for column, _ in row), size),
            "values": image.put(bytes(value & 255 for row in matrix for _, value in row)) + first,
            "nnz": pointers[k_start + k_count] - first, "first": first,
        }
    return job, [[(column - n_start, value) for column, value in row
                  if n_start <= column < n_start + n_count] for row in matrix[k_start:k_start + k_count]]
