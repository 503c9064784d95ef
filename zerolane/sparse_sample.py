"""What a sparse product's rows look like, from a sample of them: for the planner of CSR results."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from .cost import owners
from .operands import Operand

__all__ = ["BlockSample", "SparseSample"]

_WINDOWS = 24
_WINDOW_ROWS = 32
_MOST_PRODUCTS = 1 << 21  # of the sample


@dataclass(frozen=True)
class BlockSample:
    """Of each column block, estimates for all rows.

    Attributes
    ----------
    entries, rows : entries of C, rows with one
    joined : V-wide words of a row with an entry, where neighbours whose lanes follow each other are one
    own_rows, own_words : rows with an entry and words, none joined, of the PE that has the most
    """

    entries: npt.NDArray[np.float64]
    rows: npt.NDArray[np.float64]
    joined: npt.NDArray[np.float64]
    own_rows: npt.NDArray[np.float64]
    own_words: npt.NDArray[np.float64]


class SparseSample:
    """Windows of neighbouring rows of A, spread evenly, and their rows of C = A·B.

    Neighbours, because a PE cannot do the work of rows that come later: a token queue holds some rows.

    Parameters
    ----------
    a, b : Operand, M×K and K×N
    """

    def __init__(self, a: Operand, b: Operand):
        rows = a.shape[0]
        count = min(_WINDOWS, -(-rows // _WINDOW_ROWS))
        starts = np.linspace(0, max(0, rows - _WINDOW_ROWS), count).astype(int)
        chosen = [np.arange(start, min(start + _WINDOW_ROWS, rows)) for start in starts]
        pattern = _ones(sp.csr_array(b.stored))
        lengths, kept, products = np.diff(pattern.indptr), [], 0
        for window in chosen:
            part = _ones(sp.csr_array(a.stored[window]))
            kept.append(part)
            products += int(lengths[part.indices].sum())
            if products > _MOST_PRODUCTS:
                break
        sampled = sp.csr_array(sp.vstack(kept))
        self.scale = rows / max(1, sampled.shape[0])
        self.columns = b.shape[1]
        # Tokens: the window in which each is, its k; entries of C: the row, the column.
        self._window = np.repeat(np.arange(len(kept)), [part.nnz for part in kept])
        self._k = sampled.indices
        result = sp.csr_array(sampled @ pattern)
        result.sort_indices()
        self._row = np.repeat(np.arange(result.shape[0]), np.diff(result.indptr))
        self._column = result.indices.astype(np.int64)
        self._tokens: dict[int, Any] = {}       # by P_k: windows and owners by k
        self._blocks: dict[tuple[int, int, int], BlockSample] = {}

    @cached_property
    def entries(self) -> float:
        """Of C."""
        return self.scale * len(self._row)

    def blocks(self, block_columns: int, slices: int, lanes: int) -> BlockSample:
        """What each block of so many columns holds; its V-wide words are dealt to so many slices in turn."""
        key = block_columns, slices, lanes
        if key not in self._blocks:
            count = -(-self.columns // block_columns)
            word, block = self._column // lanes, self._column // block_columns
            in_slice = block * slices + word % slices
            rows = self._distinct(block, count)
            words = self._distinct(word, -(-self.columns // lanes))
            place = np.arange(len(words))
            own_words = np.bincount(place * lanes // block_columns * slices + place % slices, words,
                                    minlength=count * slices)
            own_rows = self._distinct(in_slice, count * slices)
            most = [values.reshape(count, slices).max(axis=1) for values in (own_rows, own_words)]
            entries = np.bincount(block, minlength=count).astype(float)
            # Columns rise in a row. A word joins what is before it if its first lane is above the last one.
            lane = self._column % lanes
            goes_on = (np.diff(self._row, prepend=-1) == 0) & (np.diff(block, prepend=-1) == 0) & (
                (np.diff(word, prepend=-1) == 0) | (np.diff(lane, prepend=lanes) > 0))
            joined = np.bincount(block[~goes_on], minlength=count)
            self._blocks[key] = BlockSample(*(self.scale * part for part in (
                entries, rows, joined, *most)))
        return self._blocks[key]

    def lanes(self, pk_log2: int, words: npt.NDArray[np.int64]) -> float:
        """Cycles of the busiest PE, window by window, for all rows.

        words : (K, slices of the block), cycles for each row of B
        """
        count, windows = 1 << pk_log2, int(self._window.max(initial=0)) + 1
        if pk_log2 not in self._tokens:
            place = self._window * count + owners(len(words), pk_log2)[self._k]
            self._tokens[pk_log2] = sp.csr_array((np.ones(len(place)), (place, self._k)),
                                                 shape=(windows * count, len(words)))
        work = self._tokens[pk_log2] @ words
        return self.scale * float(work.reshape(windows, -1).max(axis=1, initial=0).sum())

    def _distinct(self, place: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.float64]:
        """Rows that have an entry in each of `count` places; `place`: of each entry."""
        found = np.unique(self._row * count + place)
        return np.bincount(found % count, minlength=count).astype(float)


def _ones(matrix: Any) -> Any:
    """The pattern of what is not zero."""
    keep = sp.csr_array(matrix)
    if not keep.data.all():
        keep = keep.copy()
        keep.eliminate_zeros()
    return sp.csr_array((np.ones(keep.nnz, np.int32), keep.indices, keep.indptr), shape=keep.shape)
