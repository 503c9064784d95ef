"""Elementwise operations on the array's RTL against SciPy, on every simulator."""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hdl.registers import ErrorCode
from sim import golden
from tests.csr_results import CSR_CONFIG, assert_same_csr
from tests.products import draw_matrix
from tests.simulators import ICARUS_LATER, need
from zerolane.device import Device, DeviceError, expected_result
from zerolane.operands import OperandError
from zerolane.scaling import scale_words

OPERATIONS = ("add", "subtract", "multiply", "mask")


def drawn(rng: np.random.Generator, rows: int, columns: int, density: float, form: str) -> Any:
    """As `draw_matrix`; "unsorted" is CSR whose columns fall in every row."""
    if form != "unsorted":
        return draw_matrix(rng, rows, columns, density, form)
    matrix = draw_matrix(rng, rows, columns, density, "csr")
    order = np.concatenate([np.arange(stop, start, -1) - 1 for start, stop in pairwise(matrix.indptr)])
    return sp.csr_array((matrix.data[order], matrix.indices[order], matrix.indptr), shape=matrix.shape)


def scipys(operation: str, a: Any, b: Any) -> sp.csr_array:
    """SciPy's own answer in int64, as it leaves it."""
    left, right = (sp.csr_array(value.astype(np.int64)) for value in (a, b))
    found = {"add": lambda: left + right, "subtract": lambda: left - right,
             "multiply": lambda: left.multiply(right), "mask": lambda: left.multiply(right != 0)}[operation]()
    return sp.csr_array(found)


def run(device: Device, operation: str, a: Any, b: Any, **options: Any) -> sp.csr_array:
    """The result, after comparing it with the golden model, and with SciPy where nothing is scaled."""
    found = getattr(device, operation)(a, b, **options)
    words, dtype = scale_words(options.get("scale", 1)), options.get("out_dtype", np.int32)
    expected = golden.elementwise(operation, a, b, words.reshape(-1) if words.size > 1 else words,
                                  options.get("relu", False), dtype)
    assert_same_csr(found, expected)
    if not options:
        assert_same_csr(found, scipys(operation, a, b).astype(np.int32))
    job = device.last_job
    assert job is not None and sum(job.counters.values()) == job.cycles
    return found


def traps(rng: np.random.Generator) -> dict[str, tuple[Any, Any]]:
    """Shapes on which other projects tripped."""
    left, right = draw_matrix(rng, 12, 9, 0.5, "dense"), draw_matrix(rng, 12, 9, 0.5, "dense")
    left[:3] = left[-4:] = 0
    right[:2] = right[-2:] = 0
    even, odd = np.zeros((2, 7, 13), np.int8)
    even[:, ::2], odd[:, 1::2] = 5, -7
    dense_row = draw_matrix(rng, 9, 150, 0.03, "dense")
    dense_row[4] = 7
    same = draw_matrix(rng, 6, 21, 0.4, "dense")
    return {name: (sp.csr_array(a), sp.csr_array(b)) for name, (a, b) in {
        "no entry at all": (np.zeros((5, 4), np.int8), np.zeros((5, 4), np.int8)),
        "one side empty": (same, np.zeros_like(same)),
        "one element": (np.full((1, 1), -128, np.int8), np.full((1, 1), -128, np.int8)),
        "empty rows at both ends": (left, right),
        "disjoint": (even, odd),
        "identical, and the difference cancels": (same, same),
        "one dense row": (dense_row, draw_matrix(rng, 9, 150, 0.1, "dense")),
        "one row": (draw_matrix(rng, 1, 200, 0.3, "dense"), draw_matrix(rng, 1, 200, 0.3, "dense")),
        "one column": (draw_matrix(rng, 40, 1, 0.3, "dense"), draw_matrix(rng, 40, 1, 0.6, "dense")),
    }.items()}


@cache
def records(simulator: str) -> list[tuple[bytes, dict[str, Any]]]:
    """Of each job its result and its record, the same on every simulator."""
    rng = np.random.default_rng(5)
    kept = []
    memory_bytes = 1 << 16 if simulator == "amaranth" else None
    with Device(CSR_CONFIG, simulator=simulator, memory_bytes=memory_bytes, latency_cycles=8, gaps=0.3,
                seed=2) as device:
        jobs = [(OPERATIONS[number % 4], a, b, {}) for number, (a, b) in enumerate(traps(rng).values())]
        a, b = draw_matrix(rng, 15, 20, 0.3, "csr"), draw_matrix(rng, 15, 20, 0.3, "csr")
        jobs += [("add", a, b, {"scale": 0.3, "out_dtype": np.int8}),
                 ("multiply", a, b, {"scale": np.linspace(0.001, 0.01, 15)[:, None], "out_dtype": np.int8,
                                     "relu": True}),
                 ("subtract", a.toarray(), b, {}), ("multiply", a, b.toarray(), {})]
        for number, (operation, left, right, options) in enumerate(jobs):
            found = run(device, operation, left, right, **options)
            assert device.last_job is not None
            record = device.last_job.as_record()
            kept.append((found.indptr.tobytes() + found.indices.tobytes() + found.data.tobytes(), record))
            if number % 4 == 0 and left.shape[1] <= 32:
                # Products in between: the two ways do not disturb each other.
                product = device.matmul(left, right.T)
                np.testing.assert_array_equal(product, expected_result(left, right.T))
    return kept


@pytest.mark.parametrize("simulator", ICARUS_LATER)
def test_every_simulator_gives_the_same_entries_in_the_same_cycles(simulator: str) -> None:
    need(simulator)
    assert records(simulator) == records("amaranth")


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    need("verilator")
    with Device(CSR_CONFIG, simulator="verilator", latency_cycles=12, gaps=0.2, seed=3) as device:
        yield device


@pytest.mark.verilator
@pytest.mark.parametrize("operation", OPERATIONS)
def test_trap_shapes_have_scipys_entries(device: Device, operation: str) -> None:
    for a, b in traps(np.random.default_rng(1)).values():
        run(device, operation, a, b)


@pytest.mark.verilator
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture,
                                                                  HealthCheck.too_slow])
@given(st.data())
def test_drawn_matrices_have_scipys_entries(device: Device, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32), label="seed"))
    rows, columns = data.draw(st.tuples(st.integers(1, 60), st.integers(1, 90)))
    density, forms = st.sampled_from([0.0, 0.03, 0.2, 1.0]), st.sampled_from(["csr", "unsorted", "dense"])
    a, b = (drawn(rng, rows, columns, data.draw(density), data.draw(forms)) for _ in range(2))
    options = data.draw(st.sampled_from([{}, {}, {"relu": True}, {"scale": 0.5, "out_dtype": np.int8}]))
    run(device, data.draw(st.sampled_from(OPERATIONS)), a, b, **options)


@pytest.mark.verilator
def test_columns_up_to_two_to_the_31_take_int32_indices(device: Device) -> None:
    last = (1 << 31) - 1
    a = sp.csr_array((np.array([1, 2, 3], np.int8), [0, last - 1, 65_536], [0, 2, 2, 3]), shape=(3, last))
    b = sp.csr_array((np.array([4, 5], np.int8), [last - 1, 65_535], [0, 1, 1, 2]), shape=(3, last))
    for operation in OPERATIONS:
        run(device, operation, a, b)


@pytest.mark.verilator
def test_stored_zeros_unsorted_columns_and_duplicates_give_what_scipy_gives(device: Device) -> None:
    odd = sp.csr_array((np.array([3, 0, -3, 5, 6], np.int8), [7, 2, 7, 0, 3], [0, 3, 5]), shape=(2, 9))
    plain = sp.csr_array((np.array([0, 1], np.int8), [7, 3], [0, 1, 2]), shape=(2, 9))
    for operation in OPERATIONS:
        run(device, operation, odd, plain)
        assert "a's columns are sorted" in device.explain()
        run(device, operation, plain, odd)


@pytest.mark.verilator
def test_sums_of_int32_and_int8_wrap_and_say_so(device: Device) -> None:
    largest = np.iinfo(np.int32).max
    wide = sp.csr_array(np.array([[largest, 5, 0, -largest - 1]], np.int32))
    ones = sp.csr_array(np.array([[1, 0, 1, -1]], np.int8))
    found = device.add(wide, ones)
    np.testing.assert_array_equal(found.toarray(), [[-largest - 1, 5, 1, largest]])
    assert device.last_job is not None and device.last_job.overflow
    np.testing.assert_array_equal(device.subtract(wide, ones).toarray(), [[largest - 1, 5, -1, -largest]])
    assert not device.last_job.overflow
    np.testing.assert_array_equal(device.mask(wide, ones).toarray(), [[largest, 0, 0, -largest - 1]])


@pytest.mark.verilator
@pytest.mark.parametrize("operation", ["add", "subtract"])
def test_more_than_two_operands_are_jobs_on_the_result_before(device: Device, operation: str) -> None:
    rng = np.random.default_rng(3)
    operands = [drawn(rng, 20, 30, 0.2, form) for form in ("csr", "unsorted", "dense", "csr")]
    found = getattr(device, operation)(*operands, scale=0.4, out_dtype=np.int8)
    total = operands[0].astype(np.int64)
    for other in operands[1:]:
        total = total + other.astype(np.int64) * (1 if operation == "add" else -1)
    expected = golden.elementwise("convert", sp.csr_array(total), None, scale_words(0.4), False, np.int8)
    assert_same_csr(found, expected)
    assert device.last_job is not None and device.last_job.descriptors == 3


@pytest.mark.verilator
def test_a_masked_product_counts_triangles(device: Device) -> None:
    rng = np.random.default_rng(4)
    graph = np.tril(rng.random((32, 32)) < 0.3, -1).astype(np.int8)
    lower = sp.csr_array(graph)
    found = device.spgemm(lower, lower, mask=lower)
    wide = lower.astype(np.int64)
    assert_same_csr(found, sp.csr_array((wide @ wide).multiply(wide)).astype(np.int32))
    full = (graph + graph.T).astype(np.int64)
    assert found.sum() == np.trace(full @ full @ full) // 6
    np.testing.assert_array_equal(device.spgemm(lower, lower.T, mask=graph).toarray(),
                                  (graph.astype(np.int64) @ graph.T) * graph)


@pytest.mark.verilator
def test_dense_matrices_become_csr(device: Device) -> None:
    dense = draw_matrix(np.random.default_rng(6), 11, 27, 0.3, "dense")
    assert_same_csr(device.to_csr(dense), sp.csr_array(dense).astype(np.int32))
    assert_same_csr(device.to_csr(np.zeros((3, 4), np.int8)), sp.csr_array((3, 4), dtype=np.int32))


@pytest.mark.verilator
def test_einsum_knows_the_product_of_elements(device: Device) -> None:
    a, b = (draw_matrix(np.random.default_rng(seed), 9, 14, 0.5, "csr") for seed in (1, 2))
    assert_same_csr(device.einsum("ij,ij->ij", a, b), scipys("multiply", a, b).astype(np.int32))


@pytest.mark.verilator
@pytest.mark.parametrize("operation", OPERATIONS)
def test_too_little_room_ends_the_job_with_the_size_needed(device: Device, operation: str) -> None:
    rng = np.random.default_rng(7)
    a, b = draw_matrix(rng, 30, 20, 0.4, "csr"), draw_matrix(rng, 30, 20, 0.4, "csr")
    expected = scipys(operation, a, b).astype(np.int32)
    for capacity in (0, 1, 7, expected.nnz - 1):
        with pytest.raises(DeviceError, match=f"needs a capacity of {expected.nnz:,}") as caught:
            getattr(device, operation)(a, b, capacity=capacity)
        assert caught.value.code is ErrorCode.OUTPUT_FULL and caught.value.needed == expected.nnz
        # The array is as new; what lies behind the room was not touched (the write window ends there).
        assert_same_csr(getattr(device, operation)(a, b, capacity=expected.nnz), expected)


@pytest.mark.verilator
def test_the_host_reads_the_result_and_no_more(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    a, b, c = (draw_matrix(rng, 21, 30, 0.2, "csr") for _ in range(3))
    touched, read = [], device.transport.read_memory

    def counted(address: int, length: int) -> bytes:
        touched.append(length)
        return read(address, length)

    monkeypatch.setattr(device.transport, "read_memory", counted)
    found = device.add(a, b, c)
    assert sum(touched) == 4 + 4 * (a.shape[0] + 1) + 8 * found.nnz


def spoiled(name: str) -> tuple[sp.csr_array, ErrorCode]:
    """A matrix of 6×16 with one array that is wrong."""
    matrix = sp.csr_array(np.tile(np.array([0, 1, 2, 0] * 4, np.int8), (6, 1)))
    if name == "column past the end":
        matrix.indices[13], code = 16, ErrorCode.COLUMN_INDEX
    elif name == "columns fall":
        matrix.indices[[13, 14]], code = matrix.indices[[14, 13]], ErrorCode.COLUMN_INDEX
    elif name == "column twice":
        matrix.indices[14], code = matrix.indices[13], ErrorCode.COLUMN_INDEX
    elif name == "row pointers fall":
        matrix.indptr[2], code = 40, ErrorCode.ROW_POINTER
    return matrix, code


@pytest.mark.verilator
@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("name", ["column past the end", "columns fall", "column twice", "row pointers fall"])
def test_malformed_operands_end_the_job_and_the_next_one_runs(
        device: Device, monkeypatch: pytest.MonkeyPatch, name: str, side: str) -> None:
    from zerolane import elementwise

    bad, code = spoiled(name)
    good = sp.csr_array(np.full((6, 16), 3, np.int8))
    with monkeypatch.context() as patch:
        # What the host would refuse or repair goes to the array as it is.
        patch.setattr(elementwise, "_operand", lambda value, *_, **__: elementwise.Operand(value))
        with pytest.raises(DeviceError, match=code.name) as caught:
            device.add(*((bad, good) if side == "a" else (good, bad)))
    assert caught.value.code is code
    if name in ("columns fall", "column twice"):
        assert f"of {side.upper()}" in str(caught.value)
    run(device, "add", good, good)


@pytest.mark.parametrize("call, words", [
    (lambda d, a: d.add(a, a[:2]), "shapes .4, 5. of a and .2, 5. of b differ"),
    (lambda d, a: d.add(a, a.astype(np.float32)), "b holds values of type float32"),
    (lambda d, a: d.multiply(a.astype(np.int32), a), "a holds values of type int32; it must be int8 here"),
    (lambda d, a: d.add(a.astype(np.int32), a.astype(np.int32)), "both operands are int32"),
    (lambda d, a: d.subtract(a, a.astype(np.int32)), "b holds values of type int32"),
    (lambda d, a: d.add(a, a, scale=np.ones(5), out_dtype=np.int8), "a scale for each column"),
    (lambda d, a: d.add(a, a, capacity=-1), "capacity is -1"),
    (lambda d, a: d.add(a, sp.csr_array(([100, 100], [0, 0], [0, 2, 2, 2, 2]), shape=(4, 5), dtype=np.int8)),
     "duplicates that add up beyond int8"),
    (lambda d, a: d.add(a, a, a[:1]), r"operand 2 has shape \(1, 5\)"),
])
def test_what_cannot_be_merged_is_refused_with_the_reason(call: Any, words: str) -> None:
    a = sp.csr_array(np.ones((4, 5), np.int8))
    with Device(CSR_CONFIG, simulator="amaranth") as array, pytest.raises(OperandError, match=words):
        call(array, a)


def test_an_array_without_a_merger_refuses_it() -> None:
    a = sp.csr_array(np.ones((2, 2), np.int8))
    with Device("tiny", simulator="amaranth") as array, pytest.raises(OperandError, match="merge_lanes = 0"):
        array.add(a, a)


def test_matrices_without_elements_need_no_array() -> None:
    with Device(CSR_CONFIG, simulator="amaranth") as array:
        found = array.add(np.zeros((3, 0), np.int8), np.zeros((3, 0), np.int8))
        assert found.shape == (3, 0) and not found.nnz and array.last_job is not None
