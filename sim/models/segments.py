"""Pieces of memory and the chunks that readers and writers make of them, in plain Python."""

import random
from collections.abc import Mapping, Sequence

__all__ = ["chunks_of_rows", "random_segment", "segment_bytes"]


def segment_bytes(memory: bytes, job: Mapping[str, int]) -> list[bytes]:
    """The rows of a SegmentJob as a plain list of byte strings."""
    if not job["row_bytes"]:
        return []
    return [memory[start:start + job["row_bytes"]]
            for start in (job["address"] + row * job["stride"] for row in range(job["rows"]))]


def chunks_of_rows(rows: Sequence[bytes], sizes: Sequence[int],
                   rng: random.Random | None = None) -> list[dict[str, int]]:
    """A job's rows as chunks; the size of each is drawn from `sizes`, in a full stream the only one."""
    chunks: list[dict[str, int]] = []
    for row in rows:
        start = 0
        while start < len(row):
            piece = row[start:start + (rng.choice(sizes) if rng else sizes[0])]
            start += len(piece)
            chunks.append({"data": int.from_bytes(piece, "little"), "count": len(piece),
                           "row_last": int(start == len(row)), "last": 0})
    if chunks:
        chunks[-1]["last"] = 1
    return chunks


def random_segment(rng: random.Random, most_bytes: int = 2000) -> dict[str, int]:
    """A SegmentJob: contiguous, with gaps, or one row again and again; of about `most_bytes` at most."""
    lengths = [0, 1, 2, 3, 4, 7, 8, 12, 16, 17, 31, 64, 100, 300, 1000]
    row_bytes = rng.choice([length for length in lengths if length <= most_bytes])
    rows = min(rng.choice([0, 1, 1, 2, 3, 5, 17, 64, 100]), 1 + most_bytes // max(row_bytes, 1))
    stride = rng.choice([row_bytes, row_bytes, 0, row_bytes + rng.randrange(1, 70), 64])
    return {"address": rng.randrange(4096), "row_bytes": row_bytes, "rows": rows, "stride": stride}
