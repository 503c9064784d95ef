"""Matrices in memory as a fetch unit reads them, and what must come out of it, in plain Python."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hdl.config import Config
from hdl.layouts import FetchFormat
from hdl.registers import ErrorCode

__all__ = ["Case", "Memory", "csr_case", "dense_case", "events_of", "random_csr"]

MEMORY_BYTES = 1 << 20
GUARD = 0x5A  # what lies between the arrays


@dataclass
class Case:
    """A job and the events it must make: ("token", row, index, value) and ("end", row)."""

    job: dict[str, Any]
    events: list[tuple]
    faults: set[int]


class Memory:
    """Places arrays one after the other at odd addresses."""

    def __init__(self, seed: int):
        self.rng = random.Random(f"{seed} places")
        self.bytes = bytearray([GUARD]) * MEMORY_BYTES
        self._free = 0

    def place(self, content: bytes, align: int = 1) -> int:
        address = -(-(self._free + self.rng.randrange(40)) // align) * align
        self.bytes[address:address + len(content)] = content
        self._free = address + len(content)
        assert self._free < MEMORY_BYTES
        return address


def csr_case(memory: Memory, pointers: Sequence[int], indices: Sequence[int], values: Sequence[int], *,
             columns: int, wide: bool, start: int = 0, count: int | None = None, align: int = 1) -> Case:
    """CSR arrays as SciPy holds them, whatever is in them; `pointers` has rows + 1 entries."""
    count = columns - start if count is None else count
    size = 4 if wide else 2
    first, nnz, rows = pointers[0], len(values), len(pointers) - 1
    placed = memory.place(b"".join(p.to_bytes(4, "little", signed=True) for p in pointers),
                          max(align, 4))
    job = {
        "format": FetchFormat.CSR32 if wide else FetchFormat.CSR16, "rows": rows, "start": start,
        "count": count, "pointers": placed + 4, "nnz": nnz, "first": first, "columns": columns,
        "indices": memory.place(b"".join((i % (1 << 8 * size)).to_bytes(size, "little") for i in indices),
                                max(align, size)),
        "values": memory.place(bytes(v % 256 for v in values), align), "stride": 0xBAD,
    }
    events, faults, at = [], set(), 0
    for row, pointer in enumerate(pointers[1:]):
        entry = (pointer - first) % (1 << 32)
        if entry < at or entry > nnz:
            faults.add(ErrorCode.ROW_POINTER)
        # After a wrong pointer none counts.
        end = nnz if faults else entry
        for position in range(at, end):
            index = indices[position] % (1 << 32)
            if index < columns and values[position] and start <= index < start + count:
                events.append(("token", row, index - start, values[position]))
        at = end
        events.append(("end", row))
    if pointers[-1] - first != nnz:
        faults.add(ErrorCode.ROW_POINTER)
    if any(index % (1 << 32) >= columns for index in indices):
        faults.add(ErrorCode.COLUMN_INDEX)
    return Case(job, events, faults)


def dense_case(memory: Memory, rows: Sequence[Sequence[int]], *, gap_bytes: int = 0, align: int = 1) -> Case:
    """Rows of int8, `gap_bytes` of something else between them."""
    count = len(rows[0]) if rows else 0
    guard = bytes([GUARD]) * gap_bytes
    job = {
        "format": FetchFormat.DENSE, "rows": len(rows), "start": 77, "count": count, "pointers": 0xBAD,
        "indices": 0xBAD, "stride": count + gap_bytes, "nnz": 0, "first": 5, "columns": 0,
        "values": memory.place(b"".join(bytes(v % 256 for v in row) + guard for row in rows), align),
    }
    events: list[tuple] = []
    for number, row in enumerate(rows):
        events += [("token", number, index, value) for index, value in enumerate(row) if value]
        events.append(("end", number))
    return Case(job, events, set())


def random_csr(rng: random.Random, lengths: Sequence[int], columns: int, zeros: float = 0.0):
    """Pointers from 0, indices in any order with duplicates, values."""
    pointers = [0]
    for length in lengths:
        pointers.append(pointers[-1] + length)
    indices = [rng.randrange(columns) for _ in range(pointers[-1])]
    values = [0 if rng.random() < zeros else rng.randrange(-128, 128) or 1 for _ in range(pointers[-1])]
    return pointers, indices, values


def events_of(config: Config, beats: Sequence[dict[str, Any]]) -> list[list[tuple]]:
    """The events of each job in a sequence of beats; checks that the beats are legal."""
    jobs, events, row = [], [], 0
    for number, beat in enumerate(beats):
        positions = [end["position"] for end in beat["ends"] if end["valid"]]
        assert [end["valid"] for end in beat["ends"]] == [1] * len(positions) + [0] * (2 - len(positions))
        assert positions == sorted(positions) and all(p <= config.beat_tokens for p in positions)
        assert beat["mask"] or positions, f"beat {number} is empty"
        for place in range(config.beat_tokens + 1):
            for _ in range(positions.count(place)):
                events.append(("end", row))
                row += 1
            if beat["mask"] >> place & 1:
                token = beat["tokens"][place]
                events.append(("token", row, token["index"], token["value"]))
        if beat["last"]:
            jobs.append(events)
            events, row = [], 0
    assert not events, f"{len(events)} events after the last beat with `last`"
    return jobs
