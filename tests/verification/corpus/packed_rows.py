"""Packed tiles most of whose rows have no entries, and those that fill the table of rows that have some."""

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from hdl.registers import ErrorCode
from hdl.row_index import FLAGS
from zerolane.plan import Plan

from .session import Session

__all__ = ["full_tables", "rows_without_entries"]

COLUMNS = 13


def rows_without_entries(session: Session) -> None:
    """K around words of the index, few rows of B with entries or most, tokens on any of them; K past the
    places of the filter; halves in turn. The last row of A has one token, on a row without entries."""
    config = session.config
    if not config.compressed_b:
        return
    for pk_log2 in range(config.pe_bits + 1):
        for number, rows in enumerate((1, FLAGS - 1, FLAGS, FLAGS + 1, 2 * FLAGS, 3 * FLAGS + 1)):
            for filled in (0.1, 0.9):
                inner = rows << pk_log2
                a, b = _sparse_product(session, 12, inner, filled)
                session.any_memory()
                # Nearly all rows of the longest tile are filled: more than a half of the table holds.
                whole = number % 2 == 0 or rows > config.table_rows // 2
                session.product(a, b, _plan(session, a, b, pk_log2, whole))
    # Of each word of the index the last row only.
    b = np.zeros((2 * FLAGS, COLUMNS), np.int8)
    b[FLAGS - 1::FLAGS] = session.rng.integers(1, 128, (2, COLUMNS))
    a, b = session.matrix(6, 2 * FLAGS, 0.4, "csr"), sp.csr_array(b)
    session.product(a, b, _plan(session, a, b, 0, False))
    inner = 3 * config.index_rows
    for filled, cuts in ((0.1, (0, inner // 2, inner)), (0.5, (0, inner // 3, 2 * inner // 3, inner))):
        a, b = _sparse_product(session, 30, inner, filled)
        session.any_memory()
        session.product(a, b, replace(_plan(session, a, b, config.pe_bits, False), k_cuts=cuts))


def full_tables(session: Session) -> None:
    """As many rows with entries in every slice as a half of the table, or all of it, has places for; one more
    is reported, where nothing is behind the places."""
    config = session.config
    if not config.compressed_b:
        return
    columns = config.pes * config.lanes
    for whole in (False, True):
        inner = config.index_rows if whole else config.index_rows // 2
        places = config.table_rows if whole else config.table_rows // 2
        for more in (0, 1):
            tiles = 1 if whole else 2
            b = np.zeros((tiles * inner, columns), np.int8)
            for tile in range(tiles):
                most = places + (more if tile == tiles - 1 else 0)
                filled = tile * inner + np.sort(session.rng.permutation(inner)[:most])
                b[filled] = session.rng.integers(1, 128, columns)
            b = sp.csr_array(b)
            a = session.matrix(5, tiles * inner, 0.2, "csr")
            plan = replace(_plan(session, a, b, 0, whole), k_cuts=tuple(range(0, tiles * inner + 1, inner)))
            session.any_memory()
            if not more:
                session.product(a, b, plan)
                continue
            error = session.run(session.image(a, b, plan))
            assert error & 0xFF == ErrorCode.PACKED_OVERFLOW, hex(error)
    a, b = session.matrix(5, 20, 0.5, "csr"), session.matrix(20, columns, 0.2, "csr")
    session.product(a, b)


def _sparse_product(session: Session, rows: int, inner: int, filled: float) -> tuple[Any, Any]:
    """Short rows of A, some empty; B of which so many rows have entries."""
    rng = session.rng
    present = rng.random(inner) < filled
    present[-1] &= inner == 1
    b = session.matrix(inner, COLUMNS, 0.3, "dense")
    b[~present] = 0
    a = np.zeros((rows, inner), np.int8)
    for row in range(rows - 1):
        for column in rng.integers(0, inner, rng.integers(0, 5)):
            a[row, column] = rng.integers(1, 128)
    a[-1, -1] = 1
    return sp.csr_array(a), sp.csr_array(b)


def _plan(session: Session, a: Any, b: Any, pk_log2: int, whole: bool) -> Plan:
    """One packed tile, or as many as the caller cuts it into."""
    config = session.config
    base = next(plan for plan in session.device.plans(a, b) if not plan.transposed)
    words = -(-b.shape[1] // config.lanes)
    slice_words = -(-words // (config.pes >> pk_log2))
    return replace(base, packed=True, densified=False, pk_log2=pk_log2, group_log2=0,
                   slice_words=1 << (slice_words - 1).bit_length(), k_cuts=(0, a.shape[1]), k_ranges=(),
                   whole=whole, block_columns=b.shape[1], layers=1)
