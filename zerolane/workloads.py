"""A benchmark's own matrices, by seed: the shapes of sparsity that real work has."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

__all__ = ["LAYER_SHAPES", "generated_patterns", "layer_patterns", "random_pattern"]

LAYER_SHAPES = (
    (64, 64, 64), (128, 128, 128), (256, 256, 256), (512, 64, 512), (512, 512, 64), (512, 512, 512),
    (128, 768, 768), (512, 768, 768),
)
"""M, K, N of dense products in transformer layers: projections, and of 512 tokens the attention's scores and
values with heads of 64."""


def generated_patterns(seed: int = 0) -> Iterator[tuple[str, sp.csr_array]]:
    """Names and patterns (int8 ones): power law, banded, very short rows, one dense row, pruned layers,
    empty rows. The same seed gives the same matrices."""
    rng = np.random.default_rng(seed)
    yield "power_law_4096", _by_row_lengths(_power_law_lengths(4096, 8, rng), 4096, rng)
    yield "banded_3000", _banded(3000, 4)
    yield "short_rows_8192", _by_row_lengths(rng.integers(0, 3, 8192), 8192, rng)
    yield "one_dense_row_2048", _one_dense_row(2048, rng)
    yield "pruned_layer_75_768x768", _pruned(768, 768, 0.75, rng)
    yield "pruned_layer_90_1024x512", _pruned(1024, 512, 0.90, rng)
    yield "empty_rows_4096", _by_row_lengths(np.where(rng.random(4096) < 0.8, 0, 12), 2048, rng)


def layer_patterns() -> Iterator[tuple[str, np.ndarray, int]]:
    """Name, full pattern and columns of B of every dense layer shape."""
    for rows, inner, columns in LAYER_SHAPES:
        yield f"{rows}x{inner}x{columns}", np.ones((rows, inner), np.int8), columns


def random_pattern(shape: tuple[int, int], zeros: float, rng: np.random.Generator) -> np.ndarray:
    """Int8 ones, dense, and exactly the share `zeros` of zeros, anywhere."""
    pattern = np.ones(shape[0] * shape[1], np.int8)
    pattern[:round(zeros * pattern.size)] = 0
    return rng.permutation(pattern).reshape(shape)


def _from_rows(columns_of: list[np.ndarray], columns: int) -> sp.csr_array:
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in columns_of]))).astype(np.int32)
    indices = np.concatenate(columns_of).astype(np.int32)
    return sp.csr_array((np.ones(len(indices), np.int8), indices, indptr), shape=(len(columns_of), columns))


def _by_row_lengths(lengths: np.ndarray, columns: int, rng: np.random.Generator) -> sp.csr_array:
    return _from_rows([np.sort(rng.choice(columns, min(int(length), columns), replace=False))
                       for length in lengths], columns)


def _power_law_lengths(rows: int, mean: float, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.pareto(1.5, rows) + 1
    return np.minimum(np.rint(drawn * mean / drawn.mean()), rows // 4).astype(int)


def _banded(rows: int, half_width: int) -> sp.csr_array:
    return _from_rows([np.arange(max(0, row - half_width), min(rows, row + half_width + 1))
                       for row in range(rows)], rows)


def _one_dense_row(rows: int, rng: np.random.Generator) -> sp.csr_array:
    lengths = rng.integers(1, 6, rows)
    lengths[rows // 2] = rows
    return _by_row_lengths(lengths, rows, rng)


def _pruned(rows: int, columns: int, sparsity: float, rng: np.random.Generator) -> sp.csr_array:
    """Unstructured magnitude pruning of random weights: the largest stay."""
    weights = np.abs(rng.standard_normal((rows, columns)))
    threshold = np.quantile(weights, sparsity)
    return sp.csr_array((weights > threshold).astype(np.int8))
