"""zerolane.squeeze: products without what meets nothing; on the model of the device."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from hdl.config import PRESETS
from tests.csr_results import assert_same_csr
from tests.device_model import DeviceModel
from zerolane.device import Device, expected_result
from zerolane.problem import as_problem
from zerolane.squeeze import squeeze

CONFIG = PRESETS["base"]


def device() -> Device:
    return Device(CONFIG, DeviceModel(CONFIG))


def thin(rng: np.random.Generator, rows: int, columns: int, used: float, density: float) -> sp.csr_array:
    """Nonzeros in a share of the rows and columns only; stored zeros, duplicates, columns in any order."""
    lines, places = (np.flatnonzero(rng.random(size) < used) for size in (rows, columns))
    count = round(len(lines) * len(places) * density) if len(lines) and len(places) else 0
    row = np.sort(rng.choice(lines, count)) if count else np.zeros(0, np.int64)
    column = rng.choice(places, count).astype(np.int32) if count else np.zeros(0, np.int32)
    pointers = np.searchsorted(row, np.arange(rows + 1)).astype(np.int32)
    return sp.csr_array((rng.integers(-3, 4, count).astype(np.int8), column, pointers), shape=(rows, columns))


def operands(seed: int, used: float = 0.4) -> tuple[sp.csr_array, sp.csr_array]:
    rng = np.random.default_rng(seed)
    return thin(rng, 40, 50, used, 0.2), thin(rng, 50, 30, used, 0.2)


def arrays(matrix: sp.csr_array) -> list[bytes]:
    return [part.tobytes() for part in (matrix.data, matrix.indices, matrix.indptr)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.booleans())
def test_a_squeezed_product_is_the_product(seed: int, used: float, scaled: bool) -> None:
    a, b = operands(seed, used)
    before = arrays(a) + arrays(b)
    options: dict[str, Any] = {}
    if scaled:
        scale = np.random.default_rng(seed).random((a.shape[0], 1)) + 0.01
        options = {"scale": scale, "out_dtype": np.int8}
    assert_same_csr(device().matmul(a, b, out="csr", **options),
                    expected_result(a, b, out="csr", **options))
    assert arrays(a) + arrays(b) == before


@pytest.mark.parametrize("seed", range(4))
def test_every_row_that_is_left_has_a_product(seed: int) -> None:
    a, b = operands(seed)
    squeezed = squeeze(as_problem(a, b, out="csr"))
    assert squeezed is not None
    left, right = squeezed.problem.a.stored, squeezed.problem.b.stored
    assert np.diff(left.indptr).all() and np.diff(right.indptr).all()
    assert set(left.indices) == set(range(right.shape[0]))
    assert left.nnz < a.nnz and right.nnz < b.nnz


@pytest.mark.parametrize("seed", range(4))
def test_a_masked_product_keeps_its_rows(seed: int) -> None:
    a, b = operands(seed)
    mask = thin(np.random.default_rng(seed + 9), 40, 30, 1.0, 0.5)
    mask.sum_duplicates()
    made = device()
    found = made.spgemm(a, b, mask=mask).toarray()
    whole = a.astype(np.int64).toarray() @ b.astype(np.int64).toarray()
    np.testing.assert_array_equal(found, np.where(mask.toarray() != 0, whole, 0))
    squeezed = squeeze(as_problem(a, b, out="csr"), rows=False)
    assert squeezed is not None and squeezed.problem.rows == 40
    assert squeezed.notes[1] in made.explain()


def test_explain_tells_what_was_left_out() -> None:
    a = sp.csr_array(np.array([[1, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0], [0, 3, 0, 0]], np.int8))
    b = sp.csr_array(np.array([[1, 1], [0, 0], [4, 0], [5, 6]], np.int8))
    made = device()
    made.spgemm(a, b)
    for name, entries in (("A", "1 of 3"), ("B", "2 of 5")):
        assert (f"on the host: 2 of 4 rows of {name} are left out with {entries} entries, as they meet none"
                in made.explain())
    assert made.last_job is not None and len(made.last_job.as_record()["host"]) == 2


def test_the_bound_is_that_of_what_was_asked_for() -> None:
    a, b = operands(1)
    asked, other = device(), device()
    asked.spgemm(a, b)
    problem = as_problem(a, b, out="csr")
    other.matmul(a, b, out="csr", plan=other.plans(a, b, out="csr")[0])
    assert asked.last_job is not None and other.last_job is not None
    assert squeeze(problem) is not None and asked.last_job.bound == other.last_job.bound


@pytest.mark.parametrize("seed", range(3))
def test_a_plan_that_is_given_is_run_on_what_is_given(seed: int) -> None:
    a, b = operands(seed)
    made = device()
    plan = made.plans(a, b, out="csr")[0]
    assert_same_csr(made.matmul(a, b, out="csr", plan=plan), expected_result(a, b, out="csr"))
    assert made.last_job is not None and not made.last_job.host


def test_nothing_is_copied_where_little_goes() -> None:
    full = sp.csr_array(np.ones((16, 16), np.int8))
    one_empty = full.toarray()
    one_empty[3] = 0
    for a, b in ((full, full), (sp.csr_array(one_empty), full), (full, np.ones((16, 4), np.int8))):
        assert squeeze(as_problem(a, b, out="csr")) is None
    two_empty = one_empty.copy()
    two_empty[5] = 0
    assert squeeze(as_problem(sp.csr_array(two_empty), full, out="csr")) is not None


def test_products_of_which_nothing_is_left_are_run_as_they_are() -> None:
    a, b = sp.csr_array((4, 5), dtype=np.int8), sp.csr_array(np.ones((5, 3), np.int8))
    assert squeeze(as_problem(a, b, out="csr")) is None
    assert device().spgemm(a, b).nnz == 0
