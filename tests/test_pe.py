"""hdl.pe: a PE as a function of its tile and tokens."""

import random
from dataclasses import replace

import pytest

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.owner import owner_value
from hdl.pe import ProcessingElement
from sim.models.pe import Job, expected_rows, random_job
from tests.pe_model import run_pe

TINY, BASE = PRESETS["tiny"], PRESETS["base"]
LEAN = replace(BASE, name="lean", chains=1, lean_drain=True, csr_out=False, sddmm=False, merge_lanes=0)
"""With packed tiles, which the presets of that kind have not."""

LATE = replace(BASE, name="late", sddmm=False, far_registers=True)
CONFIGS = {config.name: config for config in (TINY, BASE, LEAN, LATE, PRESETS["lean64"])}


def check(config: Config, number: int, jobs: list[Job], **options):
    run = run_pe(config, number, jobs, **options)
    for index, job in enumerate(jobs):
        assert run.rows[index] == expected_rows(config, number, job), f"job {index}"
    return run


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("name", "number", "pk_log2", "slice_words", "n_count"), [
    ("tiny", 0, 1, 1, 4), ("tiny", 1, 1, 3, 12), ("tiny", 1, 0, 2, 13), ("tiny", 1, 0, 4, 8),
    ("base", 5, 3, 1, 8), ("base", 3, 2, 2, 20), ("base", 6, 1, 3, 80), ("base", 2, 0, 4, 150),
    ("lean", 3, 3, 1, 8), ("lean64", 6, 1, 3, 80), ("lean64", 1, 2, 8, 100),
    ("late", 3, 2, 2, 20),
])
def test_dense_rows_are_summed(name, number, pk_log2, slice_words, n_count, seed) -> None:
    config, rng = CONFIGS[name], random.Random(seed)
    jobs = [random_job(config, rng, n_count=n_count, pk_log2=pk_log2, slice_words=slice_words)
            for _ in range(2)]
    check(config, number, jobs, seed=seed, gap=(0, 0.3)[seed % 2], stall=(0, 0.3, 0.7)[seed])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("name", "number", "group_log2"), [
    ("tiny", 1, 1), ("tiny", 0, 2), ("base", 6, 1), ("base", 3, 2), ("base", 4, 3), ("lean64", 5, 2),
])
def test_narrow_rows_share_words_in_groups(name, number, group_log2, seed) -> None:
    config, rng = CONFIGS[name], random.Random(seed)
    width = config.lanes >> group_log2
    jobs = [random_job(config, rng, rows=30 + job, n_count=rng.randint(width // 2 + 1, width),
                       pk_log2=config.pe_bits, slice_words=1, group_log2=group_log2) for job in range(2)]
    check(config, number, jobs, seed=seed, gap=(0, 0.3)[seed % 2], stall=(0, 0.6)[seed])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("name", "number", "pk_log2", "slice_words", "n_count"), [
    ("base", 5, 3, 1, 8), ("base", 5, 3, 16, 128), ("base", 3, 2, 2, 20), ("base", 6, 1, 4, 100),
    ("base", 2, 0, 4, 150), ("base", 7, 0, 2, 100), ("lean", 5, 3, 16, 128), ("lean", 3, 2, 2, 20),
    ("late", 3, 2, 2, 20),
])
def test_packed_rows_are_summed(name, number, pk_log2, slice_words, n_count, seed) -> None:
    kind, rng = CONFIGS[name], random.Random(seed)
    config = kind if seed else replace(kind, index_rows=kind.table_rows)     # without an index
    jobs = [random_job(config, rng, n_count=n_count, pk_log2=pk_log2, slice_words=slice_words, packed=True)
            for _ in range(2)]
    run = check(config, number, jobs, seed=seed, gap=(0, 0.3)[seed % 2], stall=(0, 0.3, 0.7)[seed])
    assert run.faults == 0


@pytest.mark.parametrize("seed", range(3))
def test_sums_of_a_row_are_counted_where_only_their_number_is_wanted(seed) -> None:
    rng = random.Random(seed)
    jobs = [random_job(BASE, rng, n_count=300, pk_log2=0, slice_words=8, packed=True, counts=counts)
            for counts in (True, False, True)]
    check(BASE, 3, jobs, seed=seed, gap=(0, 0.3)[seed % 2], stall=(0, 0.3, 0.7)[seed])


def test_counted_rows_take_one_place_on_the_chain() -> None:
    rng = random.Random(1)
    b = [[(column, 1) for column in range(0, 1024, 8)] for _ in range(8)]
    a = [[(rng.randrange(8), 1)] for _ in range(60)]
    job = Job(a=a, b=b, n_count=1024, pk_log2=0, slice_words=16, packed=True, counts=True)
    free, slow = (check(BASE, 3, [job], stall=stall).cycles[0] for stall in (0, 0.8))
    assert slow <= free + 30, "only a row's last word waits for its turn"


@pytest.mark.parametrize("kind", [BASE, LEAN], ids=lambda config: config.name)
def test_jobs_of_all_kinds_follow_one_another(kind) -> None:
    rng = random.Random(7)
    jobs = [
        random_job(kind, rng, rows=7, n_count=8, pk_log2=3, slice_words=1),
        random_job(kind, rng, rows=7, n_count=2, pk_log2=3, slice_words=1, group_log2=2),
        random_job(kind, rng, rows=5, n_count=60, pk_log2=1, slice_words=2, packed=True),
        random_job(kind, rng, rows=3, n_count=60, pk_log2=2, slice_words=4),
        Job(a=[[]], b=[], n_count=8, pk_log2=3),
        random_job(kind, rng, rows=7, n_count=8, pk_log2=3, slice_words=1),
    ]
    check(kind, 2, jobs, gap=0.1, stall=0.2)


def test_a_tile_stays_for_the_next_job() -> None:
    rng = random.Random(3)
    first = random_job(BASE, rng, n_count=30, pk_log2=2, slice_words=2, packed=True, half=1)
    second = replace(first, a=first.a[::-1], load=False)
    check(BASE, 5, [first, second])


def test_a_packed_tile_that_does_not_fit_is_a_fault() -> None:
    words = BASE.acc_words
    own = [word * BASE.pes * BASE.lanes for word in range(words)]
    b = [[(column, 1) for column in own]] * (BASE.store_depth // words + 2)
    run = run_pe(BASE, 0, [Job(a=[[]], b=b, n_count=BASE.max_block_columns, pk_log2=0, slice_words=words,
                               packed=True, half=0)])
    assert run.faults > 0


def own_k(config: Config, number: int, pk_log2: int, count: int) -> list[int]:
    return [k for k in range(count << pk_log2) if owner_value(k, pk_log2) == number][:count]


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_rows_of_one_token_and_one_word_take_a_cycle(name) -> None:
    config = PRESETS[name]
    pk_log2, number = config.pe_bits, 1
    ks = own_k(config, number, pk_log2, 8)
    rng = random.Random(1)
    b = [[(column, rng.randint(-128, 127)) for column in range(config.lanes)] for _ in range(8 << pk_log2)]
    a = [[(rng.choice(ks), rng.randint(-128, 127))] for _ in range(200)]
    run = check(config, number, [Job(a=a, b=b, n_count=config.lanes, pk_log2=pk_log2)], fill=1.0)
    assert run.active == 200
    assert run.cycles[0] <= 200 + 25


def test_long_rows_take_a_cycle_a_word() -> None:
    ks = own_k(BASE, 3, 2, 8)
    rng = random.Random(1)
    b = [[(column, rng.randint(-128, 127)) for column in range(64)] for _ in range(32)]
    a = [[(rng.choice(ks), rng.randint(-128, 127)) for _ in range(1 + index % 5)] for index in range(100)]
    run = check(BASE, 3, [Job(a=a, b=b, n_count=64, pk_log2=2, slice_words=2)], fill=1.0)
    words = 2 * sum(map(len, a))
    assert run.active == words
    assert run.cycles[0] <= words + 30


def test_short_packed_rows_take_a_cycle_a_token() -> None:
    ks = own_k(BASE, 3, 2, 8)
    rng = random.Random(1)
    b = [[(16 * rng.randrange(2) + rng.randrange(8), rng.randint(-128, 127))] for _ in range(32)]
    a = [[(rng.choice(ks), rng.randint(-128, 127)) for _ in range(4)] for _ in range(80)]
    run = check(BASE, 3, [Job(a=a, b=b, n_count=32, pk_log2=2, slice_words=4, packed=True)], fill=1.0)
    assert run.active == 320
    assert run.cycles[0] <= 320 + 40


@pytest.mark.parametrize(("length", "present"), [(1, 0), (1, 8), (40, 8)])
def test_tokens_whose_row_has_nothing_here_take_a_cycle_and_nothing_more(length, present) -> None:
    ks, rng = own_k(BASE, 3, 2, 64), random.Random(length)
    filled = {k: [(16 * rng.randrange(2) + rng.randrange(8), rng.randint(1, 127))] for k in ks[5:][:present]}
    b = [filled.get(k, []) for k in range(max(ks) + 1)]
    a = [[(rng.choice(ks), rng.randint(-128, 127)) for _ in range(length)] for _ in range(200 // length)]
    run = check(BASE, 3, [Job(a=a, b=b, n_count=32, pk_log2=2, slice_words=4, packed=True)], fill=1.0)
    assert run.active == sum(k in filled for row in a for k, _ in row)
    assert run.cycles[0] <= 200 + 25


@pytest.mark.parametrize("words", [2, 6, 8, 16])
def test_rows_of_two_tokens_leave_while_the_next_ones_add(words) -> None:
    ks, rng = own_k(BASE, 3, 2, 8), random.Random(words)
    columns = 8 * words
    b = [[(column, rng.randint(-128, 127)) for column in range(columns)] for _ in range(32)]
    a = [[(rng.choice(ks), rng.randint(-128, 127)) for _ in range(2)] for _ in range(40)]
    run = check(BASE, 3, [Job(a=a, b=b, n_count=columns, pk_log2=2, slice_words=words)], fill=1.0)
    assert run.active == 80 * words
    assert run.cycles[0] <= 80 * words + words + 30


@pytest.mark.parametrize(("words", "tokens"), [(2, 20), (3, 12), (8, 12)])
def test_a_word_of_a_long_row_costs_a_cycle_where_it_leaves_while_none_adds(words, tokens) -> None:
    config, rng = PRESETS["lean64"], random.Random(words)
    ks, columns = own_k(config, 3, 2, 8), 8 * words
    b = [[(column, rng.randint(-128, 127)) for column in range(columns)] for _ in range(32)]

    def cycles(rows: int) -> int:
        a = [[(rng.choice(ks), rng.randint(-128, 127)) for _ in range(tokens)] for _ in range(rows)]
        job = Job(a=a, b=b, n_count=columns, pk_log2=2, slice_words=words)
        return check(config, 3, [job], fill=1.0).cycles[0]

    # The first and the last row begin and end the job.
    assert cycles(22) - cycles(2) == 20 * (tokens * words + words)


def test_empty_rows_leave_one_a_cycle_and_chain() -> None:
    run = check(BASE, 0, [Job(a=[[]] * 400, b=[], n_count=8, pk_log2=3)])
    assert run.cycles[0] <= 200 + 25


@pytest.mark.parametrize("name", ["tiny", "small", "base", "large", "lean64"])
def test_it_converts_to_verilog(name) -> None:
    assert "module" in emit_verilog(ProcessingElement(PRESETS[name], 1), "pe")


def test_a_number_past_the_array_is_refused() -> None:
    with pytest.raises(ValueError, match="number = 8"):
        ProcessingElement(BASE, 8)
