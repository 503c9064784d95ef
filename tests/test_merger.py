"""The merger against dictionaries: whatever beats look like, gap or stall."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hdl.config import PRESETS
from hdl.layouts import Operation
from hdl.merger import OPERAND_A, OPERAND_B
from tests.merge_model import MergeCase, expected_rows, run_merger

BASE = PRESETS["base"]
CONFIGS = {
    "base": BASE,
    "two_lanes": replace(BASE, name="two_lanes", port_bytes=8, merge_lanes=2, beat_tokens=4,
                         scale_multipliers=1),
    "narrow_beats": replace(BASE, name="narrow_beats", beat_tokens=2),
    "eight_lanes": replace(BASE, name="eight_lanes", merge_lanes=8),
}
LARGEST = (1 << 32) - 2


def check(config, cases, **options):
    found, faults, cycles = run_merger(config, cases, **options)
    assert found == [expected_rows(case) for case in cases]
    assert not faults
    return cycles


def random_matrix(rng, rows, columns, density, zeros=0.1):
    return [[(column, 0 if rng.random() < zeros else rng.choice([-128, -1, 1, 127, rng.randrange(1, 128)]))
             for column in range(columns) if rng.random() < density] for _ in range(rows)]


def random_case(rng, operation=None):
    rows, columns = rng.randrange(1, 15), rng.choice([1, 3, 17, 40])
    a, b = (random_matrix(rng, rows, columns, rng.choice([0.0, 0.05, 0.3, 1.0])) for _ in range(2))
    return MergeCase(operation or rng.choice(list(Operation)), a, b)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CONFIGS)
def test_jobs_in_a_row_give_what_dictionaries_give(name, seed):
    rng = random.Random(f"merger {name} {seed}")
    check(CONFIGS[name], [random_case(rng) for _ in range(6)], seed=seed, gap=0.3 * (seed == 1),
          stall=0.4 * (seed == 2))


matrices = st.integers(1, 8).flatmap(lambda rows: st.tuples(*[
    st.lists(st.dictionaries(st.integers(0, 12) | st.integers(0, LARGEST), st.integers(-128, 127), max_size=9)
             .map(lambda row: sorted(row.items())), min_size=rows, max_size=rows)] * 2))


@settings(max_examples=15, deadline=None)
@given(matrices, st.sampled_from(list(Operation)), st.integers(0, 1000))
def test_drawn_matrices_give_what_dictionaries_give(pair, operation, seed):
    check(BASE, [MergeCase(operation, *pair)], seed=seed, gap=0.2, stall=0.2)


@pytest.mark.parametrize("operation", Operation)
def test_empty_rows_at_both_ends_and_columns_far_apart_come_out(operation):
    a = [[], [], [(0, 1), (LARGEST, 2)], [], []]
    b = [[], [(7, -128)], [(0, -1), (1 << 31, 3)], [(LARGEST, 4)], []]
    check(BASE, [MergeCase(operation, a, b), MergeCase(operation, b, a)])


def test_a_matrix_without_entries_leaves_the_other_as_it_is():
    rng = random.Random(5)
    full = random_matrix(rng, 20, 30, 0.5, zeros=0)
    found, _, _ = run_merger(BASE, [MergeCase(Operation.ADD, full, [[]] * 20),
                                    MergeCase(Operation.SUBTRACT, full, [[]] * 20)])
    assert found == [full, [[(column, -value) for column, value in row] for row in full]]


def test_many_empty_rows_on_one_side_do_not_lose_the_other():
    """Row numbers go around many times."""
    a = [[] for _ in range(100)]
    a[70] = [(3, 5), (9, 6)]
    b = [[(row % 7, 1)] if row % 3 == 0 else [] for row in range(100)]
    check(BASE, [MergeCase(Operation.ADD, a, b), MergeCase(Operation.MULTIPLY, b, b)], seed=3, stall=0.1)


@pytest.mark.parametrize("falling", [[(4, 1), (4, 1)], [(5, 1), (4, 1)],
                                     [(column, 1) for column in (*range(11), 10)]])
def test_columns_that_do_not_rise_are_a_fault_of_their_operand(falling):
    good = [[(2, 1)], [(1, 1)]]
    for operand, (a, b) in ((OPERAND_A, (falling, [])), (OPERAND_B, ([], falling))):
        _, faults, _ = run_merger(BASE, [MergeCase(Operation.ADD, [*good, a], [*good, b])])
        assert set(faults) == {operand}


def test_the_first_column_of_a_row_may_be_any():
    case = MergeCase(Operation.ADD, [[(9, 1)], [(3, 1)], [(3, 2)]], [[(8, 1)], [], [(0, 2)]])
    check(BASE, [case, case])


@pytest.mark.parametrize("operation", [Operation.ADD, Operation.MULTIPLY])
def test_long_rows_merge_as_many_entries_a_cycle_as_there_are_lanes(operation):
    rng = random.Random(8)
    rows = [[sorted(rng.sample(range(4000), 300)) for _ in range(4)] for _ in range(2)]
    a, b = ([[(column, 1) for column in row] for row in side] for side in rows)
    cycles = check(BASE, [MergeCase(operation, a, b)])
    assert 2 * 4 * 300 / cycles > 0.9 * BASE.merge_lanes
