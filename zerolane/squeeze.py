"""A sparse product without the rows and columns in which nothing meets."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from .operands import Operand
from .problem import Problem
from .runtime import sorted_csr

__all__ = ["Squeezed", "squeeze"]

_WORTH_A_COPY = 1 / 8
"""Share of rows of A, or of B, that must go for the operands to be copied."""


@dataclass(frozen=True, eq=False)
class Squeezed:
    """What is left of a product.

    Attributes
    ----------
    problem : with fewer rows of A, fewer rows of B, or both
    rows : rows of A that are left, in order
    notes : what the host left out, in words
    """

    problem: Problem
    rows: npt.NDArray[np.int64]
    notes: tuple[str, ...]

    def widen(self, result: sp.csr_array, rows: int) -> sp.csr_array:
        """A result of `problem` with all rows, of which there are `rows`; its entries are not looked at."""
        pointers = np.zeros(rows + 1, result.indptr.dtype)
        pointers[self.rows + 1] = np.diff(result.indptr)
        np.cumsum(pointers, out=pointers)
        return sorted_csr(result.data, result.indices, pointers, (rows, result.shape[1]))


def squeeze(problem: Problem, *, rows: bool = True) -> Squeezed | None:
    """A product of two sparse matrices in CSR without what makes no entry; None where that is not much.

    Rows of B that are empty, or whose column of A is, make nothing, nor do A's entries that meet them; and
    then (unless `rows` is false) rows of A that are empty without these. Each row of both operands takes the
    array a cycle for each block of columns of the result, whether there is something in it or not.
    """
    if not (problem.csr and problem.a.sparse and problem.b.sparse):
        return None
    a, b = problem.a.stored, problem.b.stored
    meets = np.zeros(problem.inner, bool)
    meets[a.indices] = True
    meets &= np.diff(b.indptr) > 0
    stays = meets[a.indices]
    before = np.concatenate(([0], np.cumsum(stays)))[a.indptr]
    kept_rows = np.flatnonzero(np.diff(before)) if rows else np.arange(problem.rows)
    inner = np.flatnonzero(meets)
    goes = max(1 - len(kept_rows) / max(1, problem.rows), 1 - len(inner) / max(1, problem.inner))
    if goes < _WORTH_A_COPY or not len(kept_rows) or not len(inner):
        return None
    place = np.cumsum(meets, dtype=np.int32) - np.int32(1)
    pointers = np.append(before[kept_rows], before[-1]).astype(np.int32)
    narrow = sp.csr_array((a.data[stays], place[a.indices[stays]], pointers),
                          shape=(len(kept_rows), len(inner)))
    short = sp.csr_array(b[inner])
    notes = tuple(
        f"{gone:,} of {all_rows:,} rows of {name} are left out with {entries:,} of {of:,} entries, "
        "as they meet none" for name, gone, all_rows, entries, of in (
            ("A", problem.rows - len(kept_rows), problem.rows, a.nnz - narrow.nnz, a.nnz),
            ("B", problem.inner - len(inner), problem.inner, b.nnz - short.nnz, b.nnz)))
    row_scale = None if problem.row_scale is None else problem.row_scale[kept_rows]
    return Squeezed(replace(problem, a=Operand(narrow), b=Operand(short), row_scale=row_scale,
                            result_shape=(len(kept_rows), problem.columns)), kept_rows, notes)
