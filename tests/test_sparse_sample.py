"""zerolane.sparse_sample: of a matrix whose rows are all looked at, the sample is exact."""

import numpy as np
import pytest
import scipy.sparse as sp

from hdl.owner import owner_value
from tests.products import draw_matrix
from zerolane.operands import as_operand
from zerolane.sparse_sample import SparseSample

ROWS = 64  # two windows


def sampled(seed: int, density: float, *, rows: int = ROWS
            ) -> tuple[SparseSample, sp.csr_array, sp.csr_array]:
    rng = np.random.default_rng(seed)
    a, b = draw_matrix(rng, rows, 40, density, "csr"), draw_matrix(rng, 40, 150, density, "csr")
    return SparseSample(as_operand(a, "a"), as_operand(b, "b")), a, b


def pattern(a: sp.csr_array, b: sp.csr_array) -> np.ndarray:
    return (abs(a.astype(np.int64)) @ abs(b.astype(np.int64))).toarray() != 0


def words_of_lanes(part: np.ndarray) -> np.ndarray:
    """Rows of words of 8 lanes."""
    return np.pad(part, ((0, 0), (0, -part.shape[1] % 64))).reshape(ROWS, -1, 8)


def joined_words(row: np.ndarray) -> int:
    """Words that leave a WordJoiner: one is added to what it holds if its lanes are above all there."""
    count, last_lane = 0, 8
    for word in row[row.any(axis=1)]:
        lanes = np.flatnonzero(word)
        count += lanes[0] <= last_lane
        last_lane = lanes[-1]
    return count


@pytest.mark.parametrize("seed", range(3))
def test_blocks_hold_what_the_product_holds(seed: int) -> None:
    sample, a, b = sampled(seed, 0.1)
    c = pattern(a, b)
    found = sample.blocks(64, 4, 8)
    assert sample.entries == c.sum()
    for block in range(3):
        part = c[:, 64 * block:64 * (block + 1)]
        words = words_of_lanes(part).any(axis=2)
        assert found.entries[block] == part.sum()
        assert found.rows[block] == part.any(axis=1).sum()
        assert found.joined[block] == sum(joined_words(row) for row in words_of_lanes(part))
        by_slice = words.reshape(ROWS, 2, 4)
        assert found.own_words[block] == by_slice.sum(axis=(0, 1)).max()
        assert found.own_rows[block] == by_slice.any(axis=1).sum(axis=0).max()


@pytest.mark.parametrize("pk_log2", [0, 2])
def test_the_busiest_pe_is_looked_for_in_each_window(pk_log2: int) -> None:
    sample, a, _ = sampled(4, 0.2)
    words = np.random.default_rng(5).integers(0, 4, (40, 3))
    expected = 0
    for window in range(2):
        work = np.zeros((1 << pk_log2, 3))
        for k in a[32 * window:32 * (window + 1)].indices:
            work[owner_value(int(k), pk_log2)] += words[k]
        expected += work.max()
    assert sample.lanes(pk_log2, words) == expected


def test_a_tall_matrix_is_looked_at_in_part_and_scaled() -> None:
    sample, a, b = sampled(6, 0.1, rows=5000)
    assert sample.scale > 1
    assert sample.entries == pytest.approx(pattern(a, b).sum(), rel=0.05)


def test_zeros_that_are_stored_count_nowhere() -> None:
    a = sp.csr_array((np.array([1, 0], np.int8), [0, 1], [0, 2]), shape=(1, 2))
    b = sp.csr_array((np.array([3, 5], np.int8), [0, 1], [0, 1, 2]), shape=(2, 2))
    assert SparseSample(as_operand(a, "a"), as_operand(b, "b")).entries == 1
