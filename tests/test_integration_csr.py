"""CSR results on the array's RTL against SciPy in int64, on every simulator."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hdl.descriptor import DESCRIPTOR_BYTES
from hdl.registers import ErrorCode
from tests.csr_results import CSR_CONFIG, assert_same_csr
from tests.products import draw_matrix
from tests.simulators import ICARUS_LATER, need
from zerolane.device import Device, DeviceError, expected_result
from zerolane.operands import OperandError
from zerolane.plan import Plan
from zerolane.runtime import ALIGNMENT_BYTES

CONFIG = CSR_CONFIG


def run(device: Device, a: Any, b: Any, *, plan: Plan | None = None, **options: Any) -> Any:
    """The CSR result, after comparing it with the golden model and with SciPy."""
    found = device.matmul(a, b, out="csr", plan=plan, **options)
    assert_same_csr(found, expected_result(a, b, out="csr", **options))
    if not options:
        wide = [sp.csr_array(value.astype(np.int64)) for value in (a, b)]
        np.testing.assert_array_equal(found.toarray(), (wide[0] @ wide[1]).toarray())
    return found


def traps(rng: np.random.Generator) -> dict[str, tuple[Any, Any]]:
    """Shapes on which other projects tripped."""
    zeros_inside = np.zeros((6, 8), np.int8), np.zeros((8, 5), np.int8)
    zeros_inside[0][:, :4], zeros_inside[1][4:] = 3, 3
    dense_row = draw_matrix(rng, 9, 20, 0.05, "dense")
    dense_row[4] = 7
    ends = draw_matrix(rng, 12, 9, 0.5, "dense"), draw_matrix(rng, 9, 11, 0.5, "dense")
    ends[0][:3] = ends[0][-4:] = 0
    ends[1][:2] = ends[1][-2:] = 0
    cancels = np.array([[1, 1, 0], [2, 0, 1]], np.int8), np.array([[5, 0], [-5, 0], [0, 9]], np.int8)
    return {name: (sp.csr_array(a), sp.csr_array(b)) for name, (a, b) in {
        "all-zero product": zeros_inside,
        "no entry at all": (np.zeros((5, 4), np.int8), np.zeros((4, 3), np.int8)),
        "rectangular": (draw_matrix(rng, 3, 40, 0.3, "dense"), draw_matrix(rng, 40, 17, 0.2, "dense")),
        "one dense row": (dense_row, draw_matrix(rng, 20, 13, 0.3, "dense")),
        "one element": (np.full((1, 1), -128, np.int8), np.full((1, 1), -128, np.int8)),
        "empty rows at both ends": ends,
        "cancellation": cancels,
        "widest block": (draw_matrix(rng, 4, 6, 0.5, "dense"), draw_matrix(rng, 6, 32, 0.5, "dense")),
        "two blocks": (draw_matrix(rng, 5, 8, 0.3, "dense"), draw_matrix(rng, 8, 45, 0.1, "dense")),
        "an empty block": (draw_matrix(rng, 3, 4, 0.5, "dense"),
                         np.pad(draw_matrix(rng, 4, 9, 0.3, "dense"), ((0, 0), (32, 0)))),
    }.items()}


@cache
def records(simulator: str) -> list[tuple[bytes, dict[str, Any]]]:
    """Of each job its result and its record, the same on every simulator."""
    rng = np.random.default_rng(5)
    kept = []
    memory_bytes = 1 << 16 if simulator == "amaranth" else None
    with Device(CONFIG, simulator=simulator, memory_bytes=memory_bytes, latency_cycles=8, gaps=0.3,
                seed=2) as device:
        jobs = [(*traps(rng)[name], {}) for name in ("two blocks", "cancellation", "no entry at all")]
        a, b = draw_matrix(rng, 15, 20, 0.3, "odd"), draw_matrix(rng, 20, 19, 0.3, "csr")
        jobs += [(a, b, {"scale": 0.003, "out_dtype": np.int8}),
                 (a, b, {"scale": np.linspace(0.001, 0.01, 15)[:, None], "out_dtype": np.int8, "relu": True}),
                 (a.toarray(), b, {}), (a, b.toarray(), {})]
        for number, (left, right, options) in enumerate(jobs):
            found = run(device, left, right, **options)
            assert device.last_job is not None
            record = device.last_job.as_record()
            kept.append((found.indptr.tobytes() + found.indices.tobytes() + found.data.tobytes(), record))
            if number % 4:
                continue
            # A dense result in between: the two ways do not disturb each other.
            np.testing.assert_array_equal(device.matmul(left, right), expected_result(left, right))
    return kept


# Verilator's entries are compared with SciPy's by every test below; Amaranth's simulator takes minutes.
@pytest.mark.slow
@pytest.mark.parametrize("simulator", ICARUS_LATER)
def test_every_simulator_gives_scipys_entries_in_the_same_cycles(simulator: str) -> None:
    need(simulator)
    assert records(simulator) == records("amaranth")


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    need("verilator")
    with Device(CONFIG, simulator="verilator", latency_cycles=12, gaps=0.2, seed=3) as device:
        yield device


@pytest.mark.verilator
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture,
                                                                  HealthCheck.too_slow])
@given(st.data())
def test_drawn_products_have_scipys_entries(device: Device, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32), label="seed"))
    rows, inner, columns = data.draw(st.tuples(st.integers(1, 60), st.integers(1, 40), st.integers(1, 100)))
    density = st.sampled_from([0.0, 0.03, 0.2, 1.0])
    a = draw_matrix(rng, rows, inner, data.draw(density), data.draw(st.sampled_from(["csr", "odd"])))
    b = draw_matrix(rng, inner, columns, data.draw(density) / 2, data.draw(st.sampled_from(["csr", "odd"])))
    options = data.draw(st.sampled_from([{}, {"relu": True}, {"scale": 0.01, "out_dtype": np.int8}]))
    # With a plan nothing is left out.
    plan = device.plans(a, b, out="csr", **options)[0] if data.draw(st.booleans(), label="planned") else None
    run(device, a, b, plan=plan, **options)


@pytest.mark.verilator
@pytest.mark.parametrize("planned", [False, True])
@pytest.mark.parametrize("name", traps(np.random.default_rng(0)))
def test_shapes_on_which_others_tripped_have_scipys_entries(device: Device, name: str, planned: bool) -> None:
    a, b = traps(np.random.default_rng(5))[name]
    # With a plan nothing is left out.
    run(device, a, b, plan=device.plans(a, b, out="csr")[0] if planned else None)


@pytest.mark.verilator
@pytest.mark.parametrize("columns", [9, 70])
def test_duplicates_of_either_operand_are_nonzeros_that_meet_even_where_they_cancel(
        device: Device, columns: int) -> None:
    rng = np.random.default_rng(columns)

    def doubled(rows: int, width: int) -> sp.csr_array:
        place = np.sort(rng.choice(width, (rows, 3)), axis=1).repeat(2, axis=1).reshape(-1).astype(np.int32)
        values = rng.choice([-128, -3, 3, 127], 3 * rows).astype(np.int8)
        other = np.where(rng.random(3 * rows) < 0.4, -np.maximum(values, -127), values)
        return sp.csr_array((np.stack([values, other], axis=1).reshape(-1).astype(np.int8), place,
                             np.arange(0, 6 * rows + 1, 6, dtype=np.int32)), shape=(rows, width))

    found = run(device, doubled(14, 11), doubled(11, columns))
    assert (found.data == 0).any() and found.nnz


@pytest.mark.verilator
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("width, columns", [(1, 70), (4, 110), (9, 70)])
def test_of_banded_matrices_blocks_have_the_rows_that_they_need(device: Device, width: int, columns: int,
                                                                scaled: bool) -> None:
    rng = np.random.default_rng(width)

    def banded(rows: int, inner: int) -> sp.csr_array:
        dense = draw_matrix(rng, rows, inner, 0.7, "dense")
        away = np.abs(np.arange(rows)[:, None] * inner / rows - np.arange(inner)[None, :])
        return sp.csr_array(np.where(away <= width, dense, 0).astype(np.int8))

    a, b = banded(90, 60), banded(60, columns)
    options: dict[str, Any] = {"scale": np.linspace(0.001, 0.01, 90)[:, None],
                               "out_dtype": np.int8} if scaled else {}
    plans = [plan for plan in device.plans(a, b, out="csr", **options) if plan.row_ranges]
    assert plans
    for plan in plans[:4]:
        run(device, a, b, plan=plan, **options)
        assert device.last_job is not None and device.last_job.plan is plan


@pytest.mark.verilator
def test_every_plan_gives_the_same_entries(device: Device) -> None:
    rng = np.random.default_rng(6)
    a = draw_matrix(rng, 30, 25, 0.2, "csr")
    for columns in (16, 70):
        b = draw_matrix(rng, 25, columns, 0.3, "csr")
        for right in (b, b.toarray()):
            plans = device.plans(a, right, out="csr")
            assert len(plans) > 1
            assert all(plan.counts_first for plan in plans) == (columns > CONFIG.max_block_columns)
            for plan in plans:
                run(device, a, right, plan=plan)


@pytest.mark.verilator
@pytest.mark.parametrize("lean", [0, 5], ids=["empty blocks at the end", "a band"])
def test_a_block_loads_only_the_rows_of_b_that_it_has_entries_in(device: Device, lean: int) -> None:
    rng = np.random.default_rng(12)
    rows, columns = 60, 5 * CONFIG.max_block_columns
    k, n = np.indices((rows, columns))
    band = abs(n - lean * k * columns // (5 * rows)) < 20
    b = sp.csr_array(np.where(band, rng.integers(1, 100, (rows, columns)), 0).astype(np.int8))
    a = draw_matrix(rng, 40, rows, 0.2, "csr")
    run(device, a, b)
    assert device.last_job is not None
    ranges = device.last_job.plan.k_ranges
    assert len(ranges) >= 5 and "% of K loaded" in device.explain()
    assert sum(stop - start for start, stop in ranges) < 3 * rows
    assert (0, 1) in ranges if lean == 0 else all(start < stop for start, stop in ranges)


@pytest.mark.verilator
@pytest.mark.parametrize("out_dtype", [np.int32, np.int8])
@pytest.mark.parametrize("shape", [(1, 1), (9, 30), (17, 150)])
def test_a_sparse_matrix_becomes_dense(device: Device, shape: tuple[int, int], out_dtype: Any) -> None:
    a = draw_matrix(np.random.default_rng(13), *shape, 0.3, "csr")
    found = device.to_dense(a, out_dtype=out_dtype)
    assert found.dtype == out_dtype
    np.testing.assert_array_equal(found, a.toarray())
    assert device.last_job is not None
    # Of the identity a block of columns has these rows only.
    blocks, ranges = device.last_job.plan.blocks, device.last_job.plan.k_ranges
    assert blocks == 1 or sum(stop - start for start, stop in ranges) == shape[1]


def test_only_sparse_matrices_are_made_dense() -> None:
    with Device(CONFIG, simulator="amaranth") as array, pytest.raises(OperandError, match="no sparse matrix"):
        array.to_dense(np.ones((2, 2), np.int8))


@pytest.mark.verilator
@pytest.mark.parametrize("out_dtype", [np.int32, np.int8])
@pytest.mark.parametrize("columns", [30, 80], ids=["one block", "three blocks"])
def test_too_little_room_ends_the_job_with_the_size_needed_and_nothing_is_written_past_it(
        device: Device, out_dtype: Any, columns: int) -> None:
    rng = np.random.default_rng(7)
    a, b = draw_matrix(rng, 40, 20, 0.3, "csr"), draw_matrix(rng, 20, columns, 0.3, "csr")
    options = {} if out_dtype is np.int32 else {"scale": 0.01, "out_dtype": np.int8}
    expected = expected_result(a, b, out="csr", **options)
    assert expected.nnz > 500
    for capacity in (0, 1, 7, 300, expected.nnz - 1):
        with pytest.raises(DeviceError, match=f"OUTPUT_FULL.*needs a capacity of {expected.nnz:,}") as caught:
            device.matmul(a, b, out="csr", capacity=capacity, **options)
        assert caught.value.code is ErrorCode.OUTPUT_FULL and caught.value.needed == expected.nnz
        # The arrays follow each other at multiples of 64 bytes, the values first: gaps stay as they were.
        assert_same_csr(device.matmul(a, b, out="csr", capacity=expected.nnz, **options), expected)


@pytest.mark.verilator
@pytest.mark.parametrize("columns", [30, 80], ids=["one block", "three blocks"])
def test_the_gaps_between_the_arrays_stay_as_they_were(device: Device, monkeypatch: pytest.MonkeyPatch,
                                                       columns: int) -> None:
    rng = np.random.default_rng(8)
    a, b = draw_matrix(rng, 33, 20, 0.3, "csr"), draw_matrix(rng, 20, columns, 0.3, "csr")
    entries = expected_result(a, b, out="csr").nnz
    from zerolane import device as module

    images = []

    def kept(*arguments: Any) -> Any:
        image = module_build(*arguments)
        length = image.used_bytes - image.c_address + 256
        device.transport.write_memory(image.c_address, b"\xA5" * length)
        images.append(image)
        return image

    module_build = module.build_image
    monkeypatch.setattr(module, "build_image", kept)
    for capacity in (5, entries - 3, entries, entries + 9):
        try:
            device.matmul(a, b, out="csr", capacity=capacity)
        except DeviceError as error:
            assert error.code is ErrorCode.OUTPUT_FULL
        image = images.pop()
        memory = device.transport.read_memory(image.c_address, image.used_bytes - image.c_address + 256)
        counted = columns > CONFIG.max_block_columns
        # In blocks, entries are counted before any is written.
        written = 0 if counted and capacity < entries else min(capacity, entries)
        pointers = 4 * (a.shape[0] + 1)
        spans = [(image.c_address, 4 * written), (image.csr["c_indices"], 4 * written),
                 (image.csr["c_pointers"], pointers)]
        if counted:
            numbers = image.csr["c_pointers"] + pointers
            numbers = -(-numbers // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
            spans.append((numbers, pointers - 4))
        outside = np.ones(len(memory), bool)
        for address, length in spans:
            outside[address - image.c_address:address - image.c_address + length] = False
        assert set(np.frombuffer(memory, np.uint8)[outside]) == {0xA5}


@pytest.mark.verilator
@pytest.mark.parametrize("columns", [30, 200], ids=["one block", "seven blocks"])
def test_the_host_reads_row_pointers_and_as_many_entries_as_there_are(
        device: Device, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """And writes operands and descriptors: rows of several blocks are put together by the array."""
    rng = np.random.default_rng(9)
    a, b = draw_matrix(rng, 21, 20, 0.2, "csr"), draw_matrix(rng, 20, columns, 0.2, "csr")
    touched, read, write = [], device.transport.read_memory, device.transport.write_memory
    written = []

    def counted(address: int, length: int) -> bytes:
        touched.append(length)
        return read(address, length)

    def counted_write(address: int, data: bytes) -> None:
        written.append(len(data))
        write(address, data)

    monkeypatch.setattr(device.transport, "read_memory", counted)
    monkeypatch.setattr(device.transport, "write_memory", counted_write)
    found = run(device, a, b)
    assert sum(touched) == 4 * (a.shape[0] + 1) + 8 * found.nnz
    assert device.last_job is not None
    operands = sum(4 * (matrix.shape[0] + 1) + 3 * matrix.nnz for matrix in (a, b))
    assert sum(written) == operands + DESCRIPTOR_BYTES * device.last_job.descriptors


def test_an_inner_dimension_that_takes_more_than_one_tile_is_refused_with_the_reason() -> None:
    a, b = sp.csr_array(np.ones((4, 500), np.int8)), sp.csr_array(np.ones((500, 3), np.int8))
    with Device(CONFIG, simulator="amaranth") as array, pytest.raises(OperandError, match="all of K at once"):
        array.spgemm(a, b)


@pytest.mark.parametrize("options, words", [
    ({"bias": 3}, "bias reaches what is absent"), ({"capacity": -1}, "capacity is -1"),
    ({"out": "coo"}, "out is 'coo'; it must be 'dense' or 'csr'"),
    ({"out": "dense", "capacity": 4}, "capacity is 4"),
    ({"scale": np.ones(3), "out_dtype": np.int8}, "a scale for each column")])
def test_options_that_a_csr_result_cannot_have_are_refused(options: dict[str, Any], words: str) -> None:
    a = sp.csr_array(np.ones((2, 2), np.int8))
    b = sp.csr_array(np.ones((2, 3), np.int8))
    with Device(CONFIG, simulator="amaranth") as array, pytest.raises(OperandError, match=words):
        array.matmul(a, b, **({"out": "csr"} | options))


def test_an_array_without_csr_out_refuses_it() -> None:
    a = sp.csr_array(np.ones((2, 2), np.int8))
    with Device("tiny", simulator="amaranth") as array:
        with pytest.raises(OperandError, match="csr_out = False"):
            array.spgemm(a, a)
        with pytest.raises(OperandError, match="b is dense; spgemm multiplies sparse"):
            array.spgemm(a, a.toarray())
