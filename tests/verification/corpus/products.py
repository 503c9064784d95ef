"""Products of all kinds: every form, format, plan, finish and row length."""

from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import scipy.sparse as sp

from hdl.owner import owner_value
from sim.golden import apply_scale, matmul
from tests.products import draw_options
from zerolane import runtime
from zerolane.problem import as_problem

from .session import MEMORY_BYTES, STORAGE_BYTES, Session

__all__ = ["any_scales", "cuts", "drawn", "extremes", "finishes", "formats", "held_pads", "plans",
           "row_lengths", "rows_of", "widest"]

MOST_PLANS = 7

def finishes(session: Session) -> None:
    """Every form with every finish."""
    forms = [((11, 45, 37), "csr", "dense"), ((9, 30, 13), "dense", "csr"), ((12, 40, 21), "csr", "csr"),
             ((13, 45, 17), "odd", "odd"), ((50, 45, 1), "csr", "dense"), ((13, 30, 41), "dense", "dense"),
             ((30, 23, 2), "csr", "dense")]
    cases = [("row", "row", True), ("column", "one", False), (None, None, False), ("one", "row", True),
             ("row", None, True), (None, "one", True)]
    for number, ((rows, inner, columns), a_form, b_form) in enumerate(forms):
        a = session.matrix(rows, inner, 0.3, a_form)
        b = session.matrix(inner, columns, 0.3 if b_form != "dense" else 0.95, b_form)
        for case in cases[number % 2::2]:
            session.any_memory()
            session.product(a, b, **draw_options(session.rng, rows, columns, *case))


def formats(session: Session) -> None:
    """Every format of A with every format of B, P_k and number of rows a word."""
    config = session.config
    everything = 1 << 16
    # K, N, and the most columns that 16-bit indices are used for: both narrow, both wide, only A's, only B's.
    for inner, columns, narrow in ((20, 13, everything), (20, 13, 0), (12, 21, 15), (20, 13, 15)):
        with mock.patch.object(runtime, "INDEX16_COLUMNS", narrow):
            for a_form in ("csr", "dense"):
                for b_form, packed in (("dense", False), ("dense", True), ("csr", True)):
                    if packed and not config.compressed_b:
                        continue
                    a, b = session.matrix(5, inner, 0.4, a_form), session.matrix(inner, columns, 0.4, b_form)
                    base = next(plan for plan in session.device.plans(a, b) if not plan.transposed)
                    words = -(-columns // config.lanes)
                    for pk in range(config.pe_bits + 1):
                        slices = config.pes >> pk
                        slice_words = 1 << (-(-words // slices) - 1).bit_length()
                        session.any_memory()
                        session.product(a, b, plan=replace(
                            base, packed=packed, densified=False, pk_log2=pk, group_log2=0,
                            slice_words=slice_words, k_cuts=(0, inner), whole=True, block_columns=columns))
                for group in range(1, config.lane_bits + 1):
                    few = config.lanes >> group
                    a, b = session.matrix(5, inner, 0.4, a_form), session.matrix(inner, few, 0.9, "dense")
                    base = next(plan for plan in session.device.plans(a, b) if not plan.transposed)
                    session.product(a, b, plan=replace(
                        base, packed=False, densified=False, pk_log2=config.pe_bits, group_log2=group,
                        slice_words=1, k_cuts=(0, inner), whole=True, block_columns=few))


def plans(session: Session) -> None:
    """Every plan of some products, also with sums through memory."""
    problems = [(14, 60, 37, "csr", "dense"), (12, 50, 20, "odd", "odd"), (24, 40, 1, "csr", "dense"),
                (9, 40, 3, "dense", "csr"), (9, 24, 20, "dense", "dense")]
    for rows, inner, columns, a_form, b_form in problems:
        a, b = session.matrix(rows, inner, 0.3, a_form), session.matrix(inner, columns, 0.5, b_form)
        options = draw_options(session.rng, rows, columns, "column", "one" if inner % 20 else None, True)
        for plan in session.device.plans(a, b, **options)[:MOST_PLANS]:
            session.any_memory()
            session.product(a, b, plan=plan, **options)


def cuts(session: Session) -> None:
    """Many tiles: each half in turn, sums through memory at once after they were written."""
    for a_form, b_form, columns in (("csr", "dense", 9), ("dense", "csr", 18), ("csr", "csr", 13),
                                    ("csr", "dense", 1)):
        a, b = session.matrix(4, 41, 0.5, a_form), session.matrix(41, columns, 0.5, b_form)
        for plan in session.device.plans(a, b, bias=5)[:MOST_PLANS]:
            session.any_memory()
            session.product(a, b, plan=replace(plan, k_cuts=(0, 1, 2, 16, 18, 21, 22, 41), k_ranges=()),
                            bias=5)


def rows_of(lengths: list[int], columns: int) -> sp.csr_array:
    a = np.zeros((len(lengths), columns), np.int8)
    for row, length in enumerate(lengths):
        a[row, :length] = np.arange(1, length + 1)
    return sp.csr_array(a)


def row_lengths(session: Session) -> None:
    """Empty and full rows in any order, one column and more."""
    for lengths in ([0], [37], [0] * 9, [0, 0, 0, 37, 0, 0, 0], [37] + [0] * 70, [0] * 70 + [37], [1, 0] * 20,
                    [0, 37] * 5, [1] * 33, [4] * 12, [1, 2, 3, 0, 5] * 4,
                    [37] * 6 + [0] * 600 + [1]):
        for columns in (1, 3, 29) if len(lengths) < 100 else (1, 7):
            b = session.rng.integers(-128, 128, (37, columns)).astype(np.int8)
            session.any_memory()
            session.product(rows_of(lengths, 37), b, bias=-3)


def extremes(session: Session) -> None:
    """Largest values, sums that wrap, scales at their ends."""
    a, b = np.full((5, 70), -128, np.int8), np.full((70, 9), -128, np.int8)
    b[:, ::2] = 127
    bias = np.array([[-(1 << 31)], [(1 << 31) - 1], [0], [-1], [1 << 30]], np.int32)
    session.memory()
    for left in (sp.csr_array(a), a):
        for relu in (False, True):
            session.product(left, b, bias=bias, relu=relu)
    scaled = as_problem(a, b, scale=1.0, out_dtype=np.int8)
    assert scaled.out_int8
    for scale in (1e-9, 1e-7, 3e-5, 1e-3, 0.1, 1.0):
        session.product(a, b, bias=bias, scale=scale, out_dtype=np.int8)
        # Every lane has sums of either sign.
        session.product(a, np.roll(b, 1, axis=1), bias=bias, scale=scale, out_dtype=np.int8)
        session.product(a, b, relu=True, scale=np.array([[scale], [1e-3], [1.0], [1e-5], [0.5]]),
                        out_dtype=np.int8)


def any_scales(session: Session) -> None:
    """Scale words of all values, also those that no number is rounded to, on sums of all sizes and signs."""
    rng, config = session.rng, session.config
    rows, columns = 60, 8 * config.lanes
    for number in range(30):
        a, b = session.matrix(rows, 3, 0.9, "dense"), session.matrix(3, columns, 0.9, "dense")
        sizes = rng.integers(0, 32, (rows, 1))
        bias = (rng.integers(-(1 << 31), 1 << 31, (rows, 1)) >> sizes).astype(np.int32)
        # The last bit of a sum shows in one of some hundred results whose multiplier is large.
        sizes = rng.integers(0, 17 if number % 3 == 0 else 3, rows)
        words = (rng.integers(0, 1 << 16, rows) >> sizes | rng.integers(0, 32, rows) << 16).astype(np.uint32)
        one = number % 4 == 3
        options: dict[str, Any] = {"bias": bias, "scale": 1.0, "out_dtype": np.int8}
        problem = as_problem(a, b, **options)
        problem = (replace(problem, scale=int(words[0])) if one else replace(problem, row_scale=words))
        plan = next(plan for plan in session.device.plans(a, b, **options) if not plan.transposed)
        image = runtime.build_image(problem, plan, MEMORY_BYTES)
        session.any_memory()
        base = session.move(image)
        assert session.run(image, base=base, look=False) == 0
        content = session.recorder.read_memory((base + image.c_address) % STORAGE_BYTES, image.c_bytes)
        expected = apply_scale(matmul(a, b, bias), words[0] if one else words[:, None])
        np.testing.assert_array_equal(runtime.unpack_result(problem, plan, image, content), expected)


def widest(session: Session) -> None:
    """As many columns as one pass can make, and some fewer; every finish that takes another way."""
    for fewer in (0, 1, session.config.lanes):
        columns = session.config.max_block_columns - fewer
        a, b = session.matrix(3, 6, 0.8, "csr"), session.matrix(6, columns, 0.9, "dense")
        for bias, scale in (("column", None), ("row", "one")):
            session.any_memory()
            session.product(a, b, **draw_options(session.rng, 3, columns, bias, scale, False))


def held_pads(session: Session) -> None:
    """Rows that share words, all of whose tokens belong to one PE: its queue is full when those row ends come
    that fill the last word. The bus takes beats in bursts: so last rows of several lengths."""
    config = session.config
    mine = [k for k in range(16 * config.pes) if owner_value(k, config.pe_bits) == 0]
    for length in range(1, len(mine) + 1):
        dense = np.zeros((13, 16 * config.pes), np.int8)
        dense[:, mine] = session.rng.integers(1, 100, (13, len(mine)))
        dense[-1, mine[length:]] = 0
        a, b = sp.csr_array(dense), session.matrix(16 * config.pes, 1, 1.0, "dense")
        session.memory()
        session.product(a, b, session.plan(a, b))


def drawn(session: Session) -> None:
    """Products, plans and memories by chance."""
    rng = session.rng
    a_form, b_form = (str(rng.choice(["dense", "csr", "odd"])) for _ in range(2))
    rows, inner, columns = (int(rng.integers(1, high)) for high in (24, 70, 44))
    if rng.random() < 0.25:
        columns = int(rng.integers(1, 5))
    density_a, density_b = (float(rng.choice([0.03, 0.2, 0.6, 1.0])) for _ in range(2))
    a, b = session.matrix(rows, inner, density_a, a_form), session.matrix(inner, columns, density_b, b_form)
    bias = [None, "one", "row", "column"][rng.integers(4)]
    scale = [None, "one", "row"][rng.integers(3)]
    options = draw_options(rng, rows, columns, bias, scale, bool(rng.integers(2)))
    plans = session.device.plans(a, b, **options)
    plan = plans[rng.integers(len(plans))]
    if rng.random() < 0.4 and plan.shape[1] > 2:
        inside = sorted(set(rng.integers(1, plan.shape[1], 3).tolist()))
        plan = replace(plan, k_cuts=tuple(sorted({*plan.k_cuts, *inside})), k_ranges=())
    session.any_memory()
    session.product(a, b, plan=plan, **options)
