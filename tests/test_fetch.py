"""hdl.fetch: matrices in memory come out as beats, against plain Python."""

import random
from dataclasses import replace

import pytest
from scipy import sparse

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.fetch import Fetch
from hdl.registers import ErrorCode
from sim.models.fetch import Memory, csr_case, dense_case, random_csr
from tests.fetch_model import check_fetch
from tests.presets import PARALLEL

BLOCK_QUEUES = replace(PRESETS["small"], name="block_queues", compressed_b=False)

ROW_KINDS = {
    "short": lambda rng: [rng.randrange(4) for _ in range(40)],
    "one": lambda rng: [1] * 50,
    "long": lambda rng: [rng.randrange(150) for _ in range(4)],
    "leading_empty": lambda rng: [0] * 23 + [5, 1],
    "many_empty": lambda rng: [rng.randrange(12) if rng.random() < 0.2 else 0 for _ in range(80)],
    "trailing_empty": lambda rng: [3, 9] + [0] * 21,
    "whole_chunks": lambda rng: [16] * 6,
    "mixed": lambda rng: [rng.choice([0, 1, 2, 8, 40]) for _ in range(30)],
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("wide", [False, True], ids=["csr16", "csr32"])
@pytest.mark.parametrize("kind", ROW_KINDS)
def test_csr_rows_come_out_in_order(kind: str, wide: bool, seed: int):
    config = PRESETS[("tiny", "small", "base", "large")[(seed + len(kind)) % 4]]
    rng, memory = random.Random(f"{seed} {kind}"), Memory(seed)
    cases = [csr_case(memory, *random_csr(rng, ROW_KINDS[kind](rng), 300, zeros=0.1), columns=300, wide=wide)
             for _ in range(2)]
    check_fetch(config, memory, cases, seed=seed, gap=0.3 * seed, stall=0.4 * seed)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("config", [*PARALLEL.values(), BLOCK_QUEUES], ids=lambda config: config.name)
def test_random_jobs_follow_each_other(config: Config, seed: int):
    rng, memory = random.Random(f"{seed} {config.name}"), Memory(seed)
    cases = []
    for _ in range(5):
        align = rng.choice([1, 4, 64])
        if rng.random() < 0.4:
            width = rng.choice([0, 1, 2, 5, 8, 16, 33])
            rows = [[rng.choice([0, rng.randrange(-128, 128)]) for _ in range(width)]
                    for _ in range(rng.randrange(1, 9))]
            cases.append(dense_case(memory, rows, gap_bytes=rng.choice([0, 0, 3, 64]), align=align))
        else:
            columns = rng.choice([1, 20, 500])
            start = rng.choice([0, 0, rng.randrange(columns)])
            kind = rng.choice(list(ROW_KINDS))
            cases.append(csr_case(memory, *random_csr(rng, ROW_KINDS[kind](rng)[:20], columns, zeros=0.2),
                                  columns=columns, wide=rng.random() < 0.5, start=start,
                                  count=rng.choice([None, rng.randrange(columns - start + 1)]), align=align))
    check_fetch(config, memory, cases, seed=seed, gap=rng.choice([0, 0.5]), stall=rng.choice([0, 0.3, 0.8]),
                latency=rng.choice([1, 8, 32]))


def test_scipy_arrays_are_taken_as_they_are():
    matrix = (100 * sparse.random(60, 90, density=0.1, format="csr", random_state=3)).astype("int8")
    memory = Memory(0)
    part = matrix.indptr[20:41]
    low, high = part[0], part[-1]
    case = csr_case(memory, part.tolist(), matrix.indices[low:high].tolist(), matrix.data[low:high].tolist(),
                    columns=90, wide=True)
    assert low > 0
    check_fetch(PRESETS["base"], memory, [case])


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_matrix_without_entries_makes_row_ends_only(rows: int):
    memory = Memory(0)
    case = csr_case(memory, [9] * (rows + 1), [], [], columns=10, wide=False)
    cycles = check_fetch(PRESETS["base"], memory, [case, case])
    assert len(cycles) == 2 * -(-rows // 2)


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_dense_rows_without_columns_make_row_ends_only(rows: int):
    memory = Memory(0)
    cycles = check_fetch(PRESETS["base"], memory, [dense_case(memory, [[]] * rows)])
    assert len(cycles) == -(-rows // 2)


def test_a_job_without_rows_makes_nothing():
    memory = Memory(0)
    after = dense_case(memory, [[1, 2, 3]])
    check_fetch(PRESETS["base"], memory, [csr_case(memory, [0], [], [], columns=3, wide=False),
                                          dense_case(memory, []), after])


WRONG_POINTERS = (
    [0, 5, 3, 20], [0, 9, 4, 6, 2, 20], [0, 50, 60, 20], [0, 5, 21], [0, 5, 10], [7, 3, 27],
    [0, -5, -2**31, 20], [0, 2**31 - 1, -2**31, -1, 4], [2**31 - 1, -2**31, -7, 5], [0, 0, 0, 0], [0, 20, 19],
)


@pytest.mark.parametrize("preset", ["tiny", "base"])
def test_wrong_row_pointers_keep_the_number_of_row_ends(preset: str):
    memory = Memory(0)
    cases = []
    for pointers in WRONG_POINTERS:
        cases += [csr_case(memory, pointers, list(range(20)), list(range(1, 21)), columns=20, wide=False),
                  dense_case(memory, [[1, 2, 3]])]
    check_fetch(PRESETS[preset], memory, cases, stall=0.2)


@pytest.mark.parametrize("pointers", WRONG_POINTERS, ids=str)
def test_each_wrong_row_pointer_is_reported(pointers: list[int]):
    memory = Memory(0)
    case = csr_case(memory, pointers, list(range(20)), list(range(1, 21)), columns=20, wide=False)
    assert case.faults == {ErrorCode.ROW_POINTER}
    check_fetch(PRESETS["base"], memory, [case])


@pytest.mark.parametrize("seed", range(5))
def test_random_row_pointers_never_hang(seed: int):
    rng, memory = random.Random(seed), Memory(seed)
    cases = []
    for _ in range(8):
        nnz = rng.choice([0, 1, 8, 30])
        pointers = [rng.choice([0, 3])] + [rng.randrange(-3, nnz + 6) for _ in range(rng.randrange(1, 20))]
        cases.append(csr_case(memory, pointers, [rng.randrange(9) for _ in range(nnz)], [1] * nnz, columns=9,
                              wide=bool(seed & 1)))
    check_fetch(PRESETS["base"], memory, cases, seed=seed, stall=0.3)


@pytest.mark.parametrize("wide", [False, True], ids=["csr16", "csr32"])
def test_a_column_index_that_is_too_large_is_dropped_and_reported(wide: bool):
    memory = Memory(0)
    bad = -1 if wide else 65535
    case = csr_case(memory, [0, 3, 5], [1, 10, 2, bad, 9], [1, 2, 3, 4, 5], columns=10, wide=wide)
    assert case.faults == {ErrorCode.COLUMN_INDEX}
    check_fetch(PRESETS["base"], memory, [case])


def test_columns_outside_the_block_are_dropped_silently():
    memory, rng = Memory(0), random.Random(1)
    arrays = random_csr(rng, [10] * 12, 60)
    case = csr_case(memory, *arrays, columns=60, wide=False, start=20, count=15)
    assert 0 < len(case.events) - 12 < 120 and not case.faults
    check_fetch(PRESETS["base"], memory, [case])


def test_a_large_index_becomes_small_within_its_block():
    memory = Memory(0)
    base = 1_000_000_000
    case = csr_case(memory, [0, 2, 4], [base, base + 5, base - 1, base + 9], [1, 2, 3, 4],
                    columns=base + 100, wide=True, start=base, count=9)
    check_fetch(PRESETS["base"], memory, [case])


@pytest.mark.parametrize("length", [4, 8, 20])
def test_one_beat_a_cycle_where_no_chunk_has_more_than_two_row_ends(length: int):
    config, memory = PRESETS["base"], Memory(0)
    rows = 800 // length
    case = csr_case(memory, *random_csr(random.Random(0), [length] * rows, 100), columns=100, wide=False,
                    align=64)
    cycles = check_fetch(config, memory, [case], latency=16)
    assert len(cycles) == 800 // config.beat_tokens
    assert cycles[-1] - cycles[0] + 1 <= len(cycles) + 2


@pytest.mark.parametrize("average", [1, 2, 4])
def test_no_cycle_is_lost_on_random_short_rows(average: int):
    config, memory, rng = PRESETS["base"], Memory(0), random.Random(5)
    lengths = [int(rng.expovariate(1 / average) + 0.5) for _ in range(1000 // average)]
    case = csr_case(memory, *random_csr(rng, lengths, 100), columns=100, wide=False, align=64)
    cycles = check_fetch(config, memory, [case], latency=16)
    assert cycles[-1] - cycles[0] + 1 <= len(cycles) + 2


def test_dense_rows_come_one_beat_a_cycle():
    config, memory = PRESETS["base"], Memory(0)
    rng = random.Random(0)
    case = dense_case(memory, [[rng.randrange(1, 100) for _ in range(64)] for _ in range(12)], align=64)
    cycles = check_fetch(config, memory, [case], latency=16)
    assert len(cycles) == 96
    assert cycles[-1] - cycles[0] + 1 <= 98


@pytest.mark.parametrize("preset", PARALLEL)
def test_fetch_converts_to_verilog(preset: str):
    assert "module fetch" in emit_verilog(Fetch(PRESETS[preset]), "fetch")
