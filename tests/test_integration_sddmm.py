"""SDDMM on the array's RTL against NumPy in int64, on every simulator."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hdl.config import PRESETS, Config
from hdl.registers import ErrorCode
from sim import golden
from tests.simulators import need
from zerolane.device import Device, DeviceError
from zerolane.sddmm import SddmmPlan, as_sddmm, sddmm_plans

# Two chunks of entries make a group of the result; one row of A fills several words of a slice.
CONFIG = Config(name="sddmm_small", pes=2, lanes=4, port_bytes=8, tile_bytes=4096, beat_tokens=2, acc_words=4,
                chains=2, queue_beats=4, row_queue_rows=4, read_buffer_beats=32, scale_multipliers=1,
                table_rows=64, sddmm=True)


def draw_dense(rng: np.random.Generator, rows: int, columns: int) -> npt.NDArray[np.int8]:
    return rng.integers(-128, 128, (rows, columns)).astype(np.int8)


def draw_places(rng: np.random.Generator, rows: int, columns: int, density: float,
                dtype: npt.DTypeLike = np.int8) -> sp.csr_array:
    places = rng.random((rows, columns)) < density
    s = sp.csr_array(places)
    values = rng.integers(-128, 128, s.nnz)      # zeros, too
    s.data = np.ones(s.nnz, bool) if np.dtype(dtype) == np.bool_ else values.astype(dtype)
    return s


def run(device: Device, s: sp.csr_array, a: npt.NDArray, b: npt.NDArray,
        plan: SddmmPlan | None = None) -> sp.csr_array:
    """The result, after comparing it with the golden model and with dense NumPy."""
    found = device.sddmm(s, a, b, plan=plan)
    np.testing.assert_array_equal(found.data, golden.sampled_matmul(s, a, b))
    product = a.astype(np.int64) @ b.astype(np.int64)
    np.testing.assert_array_equal(found.toarray(), (s.toarray() * product).astype(np.int32))
    np.testing.assert_array_equal(found.indptr, s.indptr)
    np.testing.assert_array_equal(found.indices, s.indices)
    assert found.dtype == np.int32 and found.shape == s.shape
    return found


def traps(rng: np.random.Generator) -> dict[str, tuple[sp.csr_array, npt.NDArray, npt.NDArray]]:
    """Shapes on which other projects tripped."""
    def dense(s: sp.csr_array, inner: int) -> tuple[sp.csr_array, npt.NDArray, npt.NDArray]:
        return s, draw_dense(rng, s.shape[0], inner), draw_dense(rng, inner, s.shape[1])

    ends = draw_places(rng, 23, 9, 0.4).tolil()
    ends[:7] = ends[-6:] = 0
    one_dense_row = draw_places(rng, 9, 37, 0.05).tolil()
    one_dense_row[4] = 5
    a, b = np.zeros((6, 8), np.int8), np.zeros((8, 5), np.int8)
    a[:, :4], b[4:] = 3, 3
    cancels = np.array([[3, -3]], np.int8), np.array([[7], [7]], np.int8)
    return {
        "rows empty at both ends": dense(sp.csr_array(ends), 11),
        "one dense row": dense(sp.csr_array(one_dense_row), 13),
        "one element": dense(sp.csr_array(np.full((1, 1), -128, np.int8)), 1),
        "most negative": (sp.csr_array(np.full((2, 3), -128, np.int8)), np.full((2, 16), -128, np.int8),
                          np.full((16, 3), -128, np.int8)),
        "all zero": (draw_places(rng, 6, 5, 0.5), a, b),
        "cancels": (sp.csr_array(np.ones((1, 1), np.int8)), *cancels),
        "all places": dense(draw_places(rng, 12, 10, 1.0), 17),
        "a pattern": dense(draw_places(rng, 14, 33, 0.2, bool), 24),
        "one row": dense(draw_places(rng, 1, 50, 0.5), 7),
        "one column": dense(draw_places(rng, 50, 1, 0.5), 7),
    }


@cache
def records(simulator: str) -> list[tuple[bytes, dict[str, Any]]]:
    """Of each job its result and its record, the same on every simulator."""
    kept = []
    memory_bytes = 1 << 16 if simulator == "amaranth" else None
    with Device(CONFIG, simulator=simulator, memory_bytes=memory_bytes, latency_cycles=8, gaps=0.3,
                seed=2) as device:
        cases = traps(np.random.default_rng(5))
        for number, name in enumerate(("rows empty at both ends", "one element", "a pattern", "one column")):
            s, a, b = cases[name]
            found = run(device, s, a, b)
            assert device.last_job is not None
            kept.append((found.data.tobytes(), device.last_job.as_record()))
            if number == 0:
                # A product in between: the two uses of the PEs do not disturb each other.
                product = device.matmul(s, b.T)
                np.testing.assert_array_equal(product, golden.matmul(s, b.T))
    return kept


@pytest.mark.verilator
@pytest.mark.parametrize("simulator", [
    pytest.param("icarus", marks=pytest.mark.icarus), pytest.param("amaranth", marks=pytest.mark.slow)])
def test_every_simulator_gives_numpys_values_in_the_same_cycles(simulator: str) -> None:
    for name in ("verilator", simulator):
        need(name)
    assert records("verilator") == records(simulator)


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    need("verilator")
    with Device(CONFIG, simulator="verilator", latency_cycles=12, gaps=0.2, seed=3) as device:
        yield device


@pytest.mark.verilator
@pytest.mark.parametrize("name", list(traps(np.random.default_rng(0))))
@pytest.mark.parametrize("seed", range(2))
def test_shapes_on_which_others_tripped_are_sampled(device: Device, name: str, seed: int) -> None:
    run(device, *traps(np.random.default_rng(seed))[name])


@pytest.mark.verilator
def test_columns_past_16_bits_are_sampled(device: Device) -> None:
    rng = np.random.default_rng(12)
    columns = np.sort(rng.choice(70_000, 60, replace=False)).astype(np.int32)
    values = rng.integers(-128, 128, 60).astype(np.int8)
    s = sp.csr_array((values, columns, [0, 20, 20, 60]), shape=(3, 70_000))
    a, b = draw_dense(rng, 3, 3), np.asfortranarray(draw_dense(rng, 3, 70_000))
    assert device.sddmm(s, a, b).data.tolist() == golden.sampled_matmul(s, a, b).tolist()


@pytest.mark.verilator
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture,
                                                                  HealthCheck.too_slow])
@given(st.data())
def test_drawn_samples_are_numpys(device: Device, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32), label="seed"))
    rows, columns, inner = data.draw(st.tuples(st.integers(1, 60), st.integers(1, 60), st.integers(1, 80)))
    density = data.draw(st.sampled_from([0.01, 0.1, 0.5, 1.0]))
    s = draw_places(rng, rows, columns, density, data.draw(st.sampled_from([np.int8, bool])))
    run(device, s, draw_dense(rng, rows, inner), draw_dense(rng, inner, columns))


@pytest.mark.verilator
@pytest.mark.parametrize("inner", [16, 40, 70])
def test_every_plan_gives_the_same_values(device: Device, inner: int) -> None:
    rng = np.random.default_rng(6)
    s, a, b = draw_places(rng, 30, 90, 0.2), draw_dense(rng, 30, inner), draw_dense(rng, inner, 90)
    plans = sddmm_plans(as_sddmm(s, a, b), CONFIG)
    assert len(plans) > 1
    for plan in plans:
        run(device, s, a, b, plan)


@pytest.mark.verilator
def test_what_does_not_fit_in_the_tile_memory_adds_up_block_by_block(device: Device) -> None:
    rng = np.random.default_rng(7)
    s = draw_places(rng, 11, 700, 0.1)
    a, b = draw_dense(rng, 11, 60), draw_dense(rng, 60, 700)
    plan = min(sddmm_plans(as_sddmm(s, a, b), CONFIG), key=lambda plan: plan.cycles)
    blocks = {(tile.n_start, tile.k_start) for tile in plan.tiles()}
    assert len(blocks) > 3 and {n for n, _ in blocks} != {0}
    run(device, s, a, b)
    cut_n = next(plan for plan in sddmm_plans(as_sddmm(s, a, b), CONFIG) if len(plan.k_cuts) > 2)
    run(device, s, a, b, cut_n)


@pytest.mark.verilator
def test_the_host_reads_the_values_and_no_more(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    s = draw_places(rng, 21, 30, 0.2)
    a, b = draw_dense(rng, 21, 16), draw_dense(rng, 16, 30)
    run(device, s, a, b)
    touched, read = [], device.transport.read_memory

    def counted(address: int, length: int) -> bytes:
        touched.append(length)
        return read(address, length)

    monkeypatch.setattr(device.transport, "read_memory", counted)
    found = run(device, s, a, b)
    assert sum(touched) == 4 * s.nnz
    assert np.shares_memory(found.indices, s.indices) and np.shares_memory(found.indptr, s.indptr)


@pytest.mark.verilator
def test_values_of_one_are_not_read(device: Device) -> None:
    rng = np.random.default_rng(9)
    s, a, b = draw_places(rng, 40, 40, 0.5), draw_dense(rng, 40, 8), draw_dense(rng, 8, 40)
    ones = sp.csr_array((np.ones(s.nnz, np.int8), s.indices, s.indptr), shape=s.shape)
    beats = []
    for places in (s, ones):
        run(device, places, a, b)
        assert device.last_job is not None
        beats.append(device.last_job.read_beats)
    assert beats[0] - beats[1] >= s.nnz // CONFIG.port_bytes


@pytest.mark.verilator
@pytest.mark.parametrize("what, code", [
    ("index", ErrorCode.COLUMN_INDEX), ("pointer", ErrorCode.ROW_POINTER)])
def test_malformed_rows_of_s_are_faults_and_the_next_job_runs(
        device: Device, monkeypatch: pytest.MonkeyPatch, what: str, code: ErrorCode) -> None:
    from zerolane import device as module

    rng = np.random.default_rng(10)
    s, a, b = draw_places(rng, 20, 30, 0.4), draw_dense(rng, 20, 16), draw_dense(rng, 16, 30)
    built = module.build_sddmm_image

    def broken(problem: Any, plan: Any, memory_bytes: int) -> Any:
        image = built(problem, plan, memory_bytes)
        matrix = problem.s.stored
        wanted = (matrix.indptr if what == "pointer" else matrix.indices.astype(np.uint16)).tobytes()
        place = next(number for number, (_, content) in enumerate(image.pieces) if content == wanted)
        address, content = image.pieces[place]
        words = np.frombuffer(content, np.int32 if what == "pointer" else np.uint16).copy()
        words[len(words) // 2] = 3 if what == "pointer" else 30
        image.pieces[place] = address, words.tobytes()
        return image

    monkeypatch.setattr(module, "build_sddmm_image", broken)
    with pytest.raises(DeviceError) as caught:
        device.sddmm(s, a, b)
    assert caught.value.code is code and caught.value.descriptor == 0
    monkeypatch.undo()
    run(device, s, a, b)


@pytest.mark.verilator
@pytest.mark.parametrize("field, change, code", [
    ("x_values", 1 << 24, ErrorCode.OUTSIDE), ("a_stride", 1 << 24, ErrorCode.OUTSIDE),
    ("c_address", 0, ErrorCode.OUTSIDE), ("group_log2", 1, ErrorCode.FIELD),
    ("row_bias", 1, ErrorCode.FIELD), ("slice_words", 4, ErrorCode.FIELD), ("b_format", 1, ErrorCode.FIELD),
    ("a_nnz", 0, ErrorCode.FIELD), ("a_format", 0, ErrorCode.FIELD)])
def test_descriptors_that_cannot_be_are_refused_by_name(
        device: Device, monkeypatch: pytest.MonkeyPatch, field: str, change: int, code: ErrorCode) -> None:
    from zerolane import sddmm as module

    rng = np.random.default_rng(11)
    s, a, b = draw_places(rng, 20, 30, 0.4), draw_dense(rng, 20, 16), draw_dense(rng, 16, 30)
    packed, changes = module.pack_descriptor, {field: change}
    if field == "group_log2":
        changes["pk_log2"] = CONFIG.pe_bits     # which it would go with in a product
    monkeypatch.setattr(module, "pack_descriptor", lambda values: packed(values | changes))
    with pytest.raises(DeviceError) as caught:
        device.sddmm(s, a, b)
    assert caught.value.code is code
    assert caught.value.field == ("x_values" if field == "a_stride" else field)
    monkeypatch.undo()
    run(device, s, a, b)


@pytest.mark.verilator
def test_the_result_has_no_gaps_whatever_its_strides_say(device: Device, monkeypatch: pytest.MonkeyPatch
                                                         ) -> None:
    from zerolane import sddmm as module

    rng, packed = np.random.default_rng(13), module.pack_descriptor
    s, a, b = draw_places(rng, 20, 30, 0.4), draw_dense(rng, 20, 70), draw_dense(rng, 70, 30)
    plan = replace(sddmm_plans(as_sddmm(s, a, b), CONFIG)[0], k_cuts=(0, 11, 30))
    monkeypatch.setattr(module, "pack_descriptor",
                        lambda values: packed(values | {"c_stride": 1000, "cin_stride": 2000}))
    run(device, s, a, b, plan)


@pytest.mark.verilator
@pytest.mark.parametrize("seed", range(3))
def test_the_causes_explain_every_cycle(device: Device, seed: int) -> None:
    rng = np.random.default_rng(seed)
    s, a, b = draw_places(rng, 60, 50, 0.05), draw_dense(rng, 60, 64), draw_dense(rng, 64, 50)
    run(device, s, a, b)
    job = device.last_job
    assert job is not None and sum(job.counters.values()) == job.cycles
    assert job.counters["wait_memory"] > 0    # rows of A that few entries need


def test_an_array_without_it_refuses_with_the_reason() -> None:
    s, a = sp.csr_array(np.ones((2, 2), np.int8)), np.ones((2, 2), np.int8)
    config = replace(PRESETS["tiny"], sddmm=False)
    with Device(config, simulator="amaranth") as array, pytest.raises(ValueError, match="sddmm = False"):
        array.sddmm(s, a, a)
