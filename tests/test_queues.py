"""zerolane.queues: what uneven tokens cost, against a queue-by-queue account and by reason."""

from collections import deque

import numpy as np
import pytest
import scipy.sparse as sp

from hdl.config import PRESETS
from zerolane.cost import Resident, by_owner, owners
from zerolane.operands import as_operand
from zerolane.queues import TokenStream, _run, csr_beats

CONFIG = PRESETS["large"]


def plain_run(work: np.ndarray, depth: int) -> float:
    """When the last PE is done, one queue and one beat at a time."""
    queues = [deque() for _ in range(work.shape[1])]
    finished, now = [0.0] * work.shape[1], 0.0
    for beat in work:
        now += 1
        for queue in queues:
            if len(queue) == depth:
                now = max(now, queue[0])
        for number, cycles in enumerate(beat):
            if cycles:
                if len(queues[number]) == depth:
                    queues[number].popleft()
                finished[number] = max(finished[number], now) + cycles
                queues[number].append(finished[number])
    return max(finished)


@pytest.mark.parametrize("seed", range(5))
def test_many_segments_at_once_are_as_one_after_the_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    work = rng.integers(0, 4, (3, 60, 4)) * rng.integers(0, 2, (3, 60, 4)) * 1.0
    finished, _, warm = _run(work, 5)
    assert warm == 0
    assert [float(times.max()) for times in finished] == [plain_run(segment, 5) for segment in work]


def test_tokens_that_are_dealt_evenly_cost_nothing_more() -> None:
    stream = TokenStream.of_dense(np.ones((64, 256), np.int8), CONFIG.beat_tokens)
    assert stream.stretch(CONFIG, owners(256, 2), 4, np.full((256, 1), 4)) < 1.01


def test_random_tokens_cost_more_the_more_owners_there_are() -> None:
    matrix = sp.random_array((512, 512), density=0.2, format="csr", rng=np.random.default_rng(2))
    stream = TokenStream.of_csr(matrix.indptr, matrix.indices, matrix.data != 0, CONFIG.beat_tokens)
    costs = [stream.stretch(CONFIG, owners(512, pk), 1 << pk, np.full((512, 1), 8)) for pk in (1, 2, 4)]
    assert costs == sorted(costs) and 1.0 < costs[0] < costs[2] < 1.2


def test_owners_that_are_busy_one_after_the_other_do_not_help_each_other() -> None:
    of = owners(64, 1)
    columns = np.concatenate([np.flatnonzero(of == 0)] * 100 + [np.flatnonzero(of == 1)] * 100)
    stream = TokenStream(columns, np.arange(len(columns)) // 8)
    assert stream.stretch(CONFIG, of, 2, np.full((64, 1), 2)) == pytest.approx(2, rel=0.05)


def test_no_tokens_cost_nothing() -> None:
    nothing = TokenStream.of_dense(np.zeros((4, 8), np.int8), CONFIG.beat_tokens)
    assert nothing.stretch(CONFIG, owners(8, 1), 2, np.ones((8, 1), np.int64)) == 1.0


def test_a_beat_holds_entries_of_two_short_rows() -> None:
    assert csr_beats(np.array([1, 1, 0, 1, 16]), 8).tolist() == [0, 0, 1, *[2] * 8, *[3] * 8]


@pytest.mark.parametrize("pk_log2", range(5))
def test_owners_are_those_of_the_sums_by_owner(pk_log2: int) -> None:
    values = np.random.default_rng(0).integers(0, 100, 77)
    sums = np.bincount(owners(77, pk_log2), weights=values, minlength=1 << pk_log2)
    np.testing.assert_array_equal(by_owner(values, pk_log2), sums)


@pytest.mark.parametrize("block_columns", [16, 64])
@pytest.mark.parametrize("sparse", [False, True])
def test_the_packer_needs_a_cycle_for_each_value_of_a_beats_fullest_lane(
        sparse: bool, block_columns: int) -> None:
    matrix = (np.random.default_rng(4).random((12, 64)) < 0.6).astype(np.int8)
    operand = as_operand(sp.csr_array(matrix) if sparse else matrix, "b")
    cycles = Resident(operand, False, operand.layers).packer_cycles(CONFIG, block_columns)
    expected = np.zeros((12, 64 // block_columns), int)
    place = 0
    for row, values in enumerate(matrix):
        columns = np.flatnonzero(values)
        beats = (place + np.arange(len(columns))) // CONFIG.tile_beat_tokens if sparse else (
            columns // CONFIG.tile_beat_tokens)
        place += max(len(columns), CONFIG.tile_beat_tokens // 2)
        for part in range(64 // block_columns):
            inside = columns // block_columns == part
            expected[row, part] = not (inside & (beats == beats.max())).any()    # the row's end alone
            for beat in np.unique(beats):
                lanes = columns[(beats == beat) & inside] % CONFIG.lanes
                expected[row, part] += np.bincount(lanes, minlength=1).max()
    np.testing.assert_array_equal(cycles, expected)
