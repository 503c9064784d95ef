"""Matrices in memory as a fetch unit reads them, and what must come out of it, in plain Python."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from amaranth.sim import Simulator

from hdl.config import Config
from hdl.fetch import FETCH_READERS, Fetch
from hdl.layouts import FetchFormat
from hdl.registers import ErrorCode
from tests.harness import as_python
from tests.memory_model import answer_reads

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
    placed = memory.place(b"".join(p.to_bytes(4, "little", signed=True) for p in pointers), align)
    job = {
        "format": FetchFormat.CSR32 if wide else FetchFormat.CSR16, "rows": rows, "start": start,
        "count": count, "pointers": placed + 4, "nnz": nnz, "first": first, "columns": columns,
        "indices": memory.place(b"".join((i % (1 << 8 * size)).to_bytes(size, "little") for i in indices),
                                align),
        "values": memory.place(bytes(v % 256 for v in values), align), "stride": 0xBAD,
    }
    events, faults, at, highest = [], set(), 0, 0
    for row, pointer in enumerate(pointers[1:]):
        entry = pointer - first
        if entry < highest or entry > nnz:
            faults.add(ErrorCode.ROW_POINTER)
        highest = max(highest, entry)
        for position in range(at, min(highest, nnz)):
            index = indices[position] % (1 << 32)
            if index < columns and values[position] and start <= index < start + count:
                events.append(("token", row, index - start, values[position]))
        at = min(highest, nnz)
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


def run_fetch(config: Config, memory: Memory, cases: Sequence[Case], *, seed: int = 0, gap: float = 0.0,
              stall: float = 0.0, latency: int = 8, timeout_cycles: int = 20_000,
              ) -> tuple[list[dict[str, Any]], list[int], list[int]]:
    """All beats of the jobs, the cycle of each beat, and the fault codes; checks that the unit ends idle."""
    dut = Fetch(config)
    beats: list[dict[str, Any]] = []
    cycles: list[int] = []
    faults: list[int] = []
    rng = random.Random(f"{seed} take")
    wanted = sum(1 for case in cases if case.job["rows"])

    async def supervise(ctx: Any) -> None:
        held, ready, cycle, lasts, quiet = None, False, 0, 0, 0
        while quiet < 60:
            _, _, valid, payload, fault, idle = await ctx.tick().sample(
                dut.o.valid, dut.o.payload, dut.o_fault, dut.o_idle)
            beat = as_python(payload)
            if held is not None:
                assert valid and beat == held, "the output changed while it was stalled"
            if valid and ready:
                beats.append(beat)
                cycles.append(cycle)
                lasts += beat["last"]
            held = beat if valid and not ready else None
            if fault.valid:
                faults.append(fault.code)
            ready = rng.random() >= stall
            ctx.set(dut.o.ready, int(ready))
            cycle += 1
            quiet = quiet + 1 if lasts >= wanted and idle else 0
            if cycle > timeout_cycles:
                raise TimeoutError(f"{len(beats)} beats, {lasts} of {wanted} jobs in {cycle} cycles, {idle=}")

    async def offer(ctx: Any) -> None:
        for case in cases:
            ctx.set(dut.i_job.payload, case.job)
            ctx.set(dut.i_job.valid, 1)
            await ctx.tick().until(dut.i_job.ready)
            ctx.set(dut.i_job.valid, 0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for number in range(FETCH_READERS):
        port = SimpleNamespace(o_request=dut.o_request[number], i_beat=dut.i_beat[number])
        simulator.add_testbench(answer_reads(port, config, bytes(memory.bytes), seed=seed + 1000 * number,
                                             latency=latency, gap=gap, stall=gap), background=True)
    simulator.add_testbench(offer, background=True)
    simulator.add_testbench(supervise)
    simulator.run()
    return beats, cycles, faults


def check_fetch(config: Config, memory: Memory, cases: Sequence[Case], **options: Any) -> list[int]:
    """Runs the jobs and compares events and faults with the model; the cycles of the beats."""
    beats, cycles, faults = run_fetch(config, memory, cases, **options)
    found = events_of(config, beats)
    expected = [case.events for case in cases if case.job["rows"]]
    assert len(found) == len(expected)
    for number, (got, want) in enumerate(zip(found, expected, strict=True)):
        assert got == want, f"job {number}"
    assert set(faults) == set().union(*(case.faults for case in cases))
    return cycles
