"""Products on the array itself: operands by seed, and one call that runs one and checks all it can."""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from zerolane.device import Device, expected_result
from zerolane.plan import Plan

__all__ = ["draw_matrix", "draw_options", "expected_mac_words", "run_checked"]


def draw_matrix(rng: np.random.Generator, rows: int, columns: int, density: float, form: str) -> Any:
    """int8, (rows, columns): "dense", "csr", or "odd": CSR, columns unsorted and twice, stored zeros."""
    dense = rng.integers(-128, 128, (rows, columns)).astype(np.int8)
    dense[rng.random((rows, columns)) >= density] = 0
    if form == "dense":
        return dense
    matrix = sp.csr_array(dense)
    if form == "csr" or not matrix.nnz:
        return matrix
    lengths = np.diff(matrix.indptr)
    # Entries of a row in a random order, a third of them a second time with a value of its own, some zero.
    again = rng.integers(0, 2, len(lengths)) * (lengths // 3)
    indices, values = [], []
    for row, start in enumerate(matrix.indptr[:-1]):
        kept = matrix.indices[start:matrix.indptr[row + 1]]
        order = rng.permutation(np.concatenate([kept, kept[:again[row]]]))
        drawn = rng.integers(-128, 128, len(order))
        drawn[rng.random(len(order)) < 0.2] = 0
        indices.append(order)
        values.append(drawn)
    pointers = np.concatenate([[0], np.cumsum(lengths + again)])
    return sp.csr_array((np.concatenate(values).astype(np.int8), np.concatenate(indices).astype(np.int32),
                         pointers.astype(np.int32)), shape=(rows, columns))


def draw_options(rng: np.random.Generator, rows: int, columns: int, bias: str | None, scale: str | None,
                 relu: bool) -> dict[str, Any]:
    """Options of `Device.matmul`; bias is None, "one", "row" or "column", scale None, "one" or "row"."""
    shapes = {"one": (1, 1), "row": (rows, 1), "column": (1, columns)}
    options: dict[str, Any] = {"relu": relu}
    if bias is not None:
        options["bias"] = rng.integers(-100_000, 100_000, shapes[bias]).astype(np.int32)
    if scale is not None:
        options |= {"scale": 10 ** rng.uniform(-4, -2, shapes[scale]), "out_dtype": np.int8}
    return options


def run_checked(device: Device, a: Any, b: Any, plan: Plan | None = None, **options: Any) -> npt.NDArray:
    """The product, after comparing it with the golden model and the job's counters with each other."""
    result = device.matmul(a, b, plan=plan, **options)
    expected = expected_result(a, b, **options)
    job = device.last_job
    assert job is not None
    label = job.plan.label() if job.plan else "no elements"
    np.testing.assert_array_equal(result, expected, strict=True, err_msg=label)
    assert sum(job.counters.values()) == job.cycles, label
    if job.plan is not None and not job.plan.packed:
        assert job.mac_words == expected_mac_words(job.plan, a, b), label
    return result


def expected_mac_words(plan: Plan, a: Any, b: Any) -> int:
    """Words that the lanes multiply in a plan of dense tiles: for each token, the words of its row of B."""
    streamed = b.T if plan.transposed else a
    values = streamed.data if sp.issparse(streamed) else streamed
    columns_of = [tile.n_count for tile in plan.tiles() if tile.k_start == plan.k_cuts[0]]
    words = sum(-(-columns // plan.config.lanes) for columns in columns_of)
    return int(np.count_nonzero(values)) * words
