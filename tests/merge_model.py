"""Running the merger on matrices: beats as a fetch unit makes them, and what must come of two of them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hdl.config import Config
from hdl.layouts import ROW_ENDS, Operation
from hdl.merger import Merger
from hdl.packer import PACKER_ROW_ENDS
from tests.harness import as_python, run_block

__all__ = ["MergeCase", "beats", "expected_rows", "run_merger"]

Row = list[tuple[int, int]]


@dataclass(frozen=True)
class MergeCase:
    """Two matrices as rows of (column, value), value 0 for an entry that makes no token."""

    operation: Operation
    a: Sequence[Row]
    b: Sequence[Row]


def beats(rows: Sequence[Row], tokens: int, row_ends: int, rng: random.Random) -> list[dict[str, Any]]:
    """RawBeats; some end before they are full, as those with as many row ends as there may be do."""
    result: list[dict[str, Any]] = []
    entries: Row = []
    ends: list[int] = []

    def flush(last: bool = False) -> None:
        nonlocal entries, ends
        mask = sum(1 << place for place, (_, value) in enumerate(entries) if value)
        if mask or ends:
            padded = entries + [(rng.randrange(1 << 16), rng.randrange(-128, 128))
                                for _ in range(tokens - len(entries))]
            places = [{"valid": 1, "position": end} for end in ends]
            result.append({
                "tokens": [{"index": column, "value": value} for column, value in padded],
                "mask": mask, "last": int(last),
                "ends": places + [{"valid": 0, "position": 0}] * (ROW_ENDS - len(ends))})
        entries, ends = [], []

    for number, row in enumerate(rows):
        for entry in row:
            if len(entries) == tokens or rng.random() < 0.05:
                flush()
            entries.append(entry)
        if len(ends) == row_ends:
            flush()
        ends.append(len(entries))
        if number == len(rows) - 1:
            flush(last=True)
    return result


def expected_rows(case: MergeCase) -> list[Row]:
    """The result's rows; a sum that cancels stays: who writes it drops it."""
    result = []
    for left, right in zip(case.a, case.b, strict=True):
        a, b = ({column: value for column, value in row if value} for row in (left, right))
        joins = case.operation in (Operation.ADD, Operation.SUBTRACT)
        columns = sorted(a.keys() | b.keys() if joins else a.keys() & b.keys())
        make = {Operation.ADD: lambda x, y: x + y, Operation.SUBTRACT: lambda x, y: y - x,
                Operation.MULTIPLY: lambda x, y: x * y, Operation.MASK: lambda x, y: y}[case.operation]
        result.append([(column, make(a.get(column, 0), b.get(column, 0))) for column in columns])
    return result


def run_merger(config: Config, cases: Sequence[MergeCase], *, seed: int = 0, gap: float = 0.0,
               stall: float = 0.0) -> tuple[list[list[Row]], list[int], int]:
    """The rows of each job's result, the operands that a fault was found in, and the cycles of all jobs."""
    dut, rng = Merger(config), random.Random(f"{seed} beats")
    words: list[dict[str, Any]] = []
    faults: list[int] = []
    cycles = 0

    async def take(ctx: Any) -> None:
        nonlocal cycles
        stalls, count, held = random.Random(f"{seed} take"), 0, None
        while True:
            ready = stalls.random() >= stall
            ctx.set(dut.o.ready, int(ready))
            _, _, valid, payload, fault, operand = await ctx.tick().sample(
                dut.o.valid, dut.o.payload, dut.o_fault.valid, dut.o_fault_operand)
            count += 1
            word = as_python(payload)
            assert held is None or (valid and word == held), "a word changed while it was stalled"
            held = word if valid and not ready else None
            if valid and ready:
                words.append(word)
                cycles = count
            if fault:
                faults.append(operand)

    feeds = {
        "i_job": [{"operation": case.operation} for case in cases],
        "i_a": [beat for case in cases for beat in beats(case.a, config.beat_tokens, ROW_ENDS, rng)],
        "i_b": [beat for case in cases
                for beat in beats(case.b, config.tile_beat_tokens, PACKER_ROW_ENDS, rng)],
    }
    run_block(dut, feeds, {}, seed=seed, gap=gap, processes=[take], settle_cycles=300)
    return _jobs(config, words), faults, cycles


def _jobs(config: Config, words: Sequence[dict[str, Any]]) -> list[list[Row]]:
    jobs: list[list[Row]] = [[[]]]
    for word in words:
        rows = jobs[-1]
        rows[-1] += [(int(np.uint32(word["columns"][lane])), word["values"][lane])
                     for lane in range(config.merge_lanes) if word["valid"] >> lane & 1]
        assert not word["job_last"] or word["row_last"]
        if word["job_last"]:
            jobs.append([[]])
        elif word["row_last"]:
            rows.append([])
    assert jobs.pop() == [[]], "entries after the last job's end"
    return jobs
