"""Device.matmul on the functional model: planner and runtime together against NumPy and the golden model."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from hdl.config import PRESETS, Config
from hdl.descriptor import DESCRIPTOR_FIELDS
from hdl.registers import ErrorCode, register
from sim.transport import TransportTimeout
from tests.device_model import DeviceModel
from zerolane.device import Device, DeviceError, expected_result
from zerolane.operands import OperandError

# Little memory, so that small products already need many tiles.
SMALL_TILES = Config(name="small_tiles", pes=4, lanes=4, port_bytes=8, tile_bytes=512, beat_tokens=4,
                     acc_words=4, chains=1, row_queue_rows=4, scale_multipliers=4, table_rows=8)
ARRAYS = [*PRESETS.values(), SMALL_TILES]


def device_of(config, **options):
    return Device(config, DeviceModel(config, **options))


def draw_matrix(rng, rows, columns, density, form):
    dense = rng.integers(-128, 128, (rows, columns)).astype(np.int8)
    dense[rng.random((rows, columns)) >= density] = 0
    return dense if form == "dense" else getattr(sp, f"{form}_array")(dense)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_product_equals_the_golden_model(data):
    config = data.draw(st.sampled_from(ARRAYS), label="config")
    side = st.one_of(st.integers(1, 12), st.integers(1, 150))
    rows, inner, columns = (data.draw(side) for _ in range(3))
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    form = st.sampled_from(["dense", "csr", "csc", "coo"])
    a = draw_matrix(rng, rows, inner, data.draw(st.floats(0, 1)), data.draw(form))
    b = draw_matrix(rng, inner, columns, data.draw(st.floats(0, 1)), data.draw(form))
    options = {"relu": data.draw(st.booleans())}
    bias_shape = data.draw(st.sampled_from([None, (), (columns,), (1, columns), (rows, 1)]))
    if bias_shape is not None:
        options["bias"] = rng.integers(-(1 << 31), 1 << 31, bias_shape).astype(np.int32).reshape(bias_shape)
    scale_shape = data.draw(st.sampled_from([None, (), (rows, 1), (columns,)]))
    if scale_shape is not None:
        options |= {"scale": 10 ** rng.uniform(-6, 0, scale_shape), "out_dtype": np.int8}
    device = device_of(config)
    result = device.matmul(a, b, **options)
    np.testing.assert_array_equal(result, expected_result(a, b, **options))
    if bias_shape is None and scale_shape is None and not options["relu"]:
        wide = [m.astype(np.int64).toarray() if sp.issparse(m) else m.astype(np.int64) for m in (a, b)]
        np.testing.assert_array_equal(result, wide[0] @ wide[1])
    assert device.last_job.efficiency > 0
    assert "predicted" in device.explain()


@pytest.mark.parametrize("config", ARRAYS, ids=lambda config: config.name)
@pytest.mark.parametrize("shape", [(9, 70, 50), (30, 33, 3), (5, 40, 1), (3, 100, 8), (40, 24, 130)])
def test_every_plan_gives_the_same_result(config, shape):
    rng = np.random.default_rng(sum(shape))
    rows, inner, columns = shape
    a = draw_matrix(rng, rows, inner, 0.3, "csr")
    b = draw_matrix(rng, inner, columns, 0.4, "dense")
    options = {"bias": np.arange(columns, dtype=np.int32) * 1000,
               "scale": np.linspace(0.001, 0.1, rows)[:, None], "relu": True, "out_dtype": np.int8}
    for resident in (b, sp.csr_array(b)):
        expected = expected_result(a, resident, **options)
        device = device_of(config)
        plans = device.plans(a, resident, **options)
        assert [plan.cycles for plan in plans] == sorted(plan.cycles for plan in plans)
        for plan in plans:
            np.testing.assert_array_equal(device.matmul(a, resident, plan=plan, **options), expected,
                                          err_msg=plan.label())
        for plan in device.plans(a, resident):
            np.testing.assert_array_equal(device.matmul(a, resident, plan=plan), expected_result(a, resident),
                                          err_msg=plan.label())


def test_vectors_give_numpys_shapes():
    rng = np.random.default_rng(1)
    device = device_of(PRESETS["base"])
    matrix, vector = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((20, 30), 30))
    for a, b in ((matrix, vector), (vector, matrix.T), (vector, vector), (sp.csr_array(matrix), vector),
                 (sp.coo_array(vector), matrix.T), (matrix, sp.coo_array(vector))):
        wide = [m.astype(np.int64) if not sp.issparse(m) else m.toarray().astype(np.int64) for m in (a, b)]
        result = device.matmul(a, b)
        np.testing.assert_array_equal(result, wide[0] @ wide[1], strict=False)
        assert result.shape == (wide[0] @ wide[1]).shape and result.dtype == np.int32


def test_a_vector_results_bias_is_one_for_each_element():
    device = device_of(PRESETS["base"])
    matrix, vector = np.ones((20, 30), np.int8), np.ones(30, np.int8)
    bias = np.arange(20, dtype=np.int32)
    np.testing.assert_array_equal(device.matmul(matrix, vector, bias=bias), 30 + bias)
    np.testing.assert_array_equal(device.matmul(vector, matrix.T.copy(), bias=bias), 30 + bias)


@pytest.mark.parametrize("shape", [(0, 5, 4), (5, 0, 4), (5, 4, 0), (0, 0, 0), (1, 0, 1)])
@pytest.mark.parametrize("config", ARRAYS, ids=lambda config: config.name)
def test_empty_sides_work(config, shape):
    rows, inner, columns = shape
    device = device_of(config)
    for make in (np.zeros, sp.csr_array):
        a, b = make((rows, inner), dtype=np.int8), make((inner, columns), dtype=np.int8)
        result = device.matmul(a, b, bias=7)
        np.testing.assert_array_equal(result, np.full((rows, columns), 7, np.int32), strict=True)
        assert (device.last_job.plan is None) == (result.size == 0)


@pytest.mark.parametrize("config", ARRAYS, ids=lambda config: config.name)
def test_duplicates_beyond_int8_and_unsorted_columns_add_up_on_both_sides(config):
    rng = np.random.default_rng(3)
    values = rng.integers(-128, 128, 300).astype(np.int8)
    values[:60] = 127
    indices = rng.integers(0, 6, 300).astype(np.int32)
    odd = sp.csr_array((values, indices, np.arange(0, 301, 30, dtype=np.int32)), shape=(10, 6))
    other = rng.integers(-128, 128, (6, 10)).astype(np.int8)
    wide = odd.astype(np.int64).toarray(), other.astype(np.int64)
    kept = values.copy(), indices.copy()
    for left, right, expected in ((odd, other, wide[0] @ wide[1]), (other, odd, wide[1] @ wide[0]),
                                  (odd, sp.csr_array(other), wide[0] @ wide[1])):
        device = device_of(config)
        for plan in device.plans(left, right):
            result = device.matmul(left, right, plan=plan)
            np.testing.assert_array_equal(result, expected, err_msg=plan.label())
    np.testing.assert_array_equal(odd.data, kept[0])
    np.testing.assert_array_equal(odd.indices, kept[1])


def test_sums_wrap_to_int32():
    inner = 1 << 17
    a, b = np.full((1, inner), -128, np.int8), np.full((inner, 1), -128, np.int8)
    assert device_of(PRESETS["base"]).matmul(a, b)[0, 0] == -(1 << 31)


def test_wide_matrices_use_32_bit_indices():
    rng = np.random.default_rng(4)
    for inner in (65_536, 65_537):
        a = sp.random_array((6, inner), density=0.001, rng=rng, dtype=np.int8, format="csr",
                            data_sampler=lambda size: rng.integers(-128, 128, size))
        b = rng.integers(-128, 128, (inner, 2)).astype(np.int8)
        device = device_of(PRESETS["base"])
        np.testing.assert_array_equal(device.matmul(a, b), a.astype(np.int64) @ b.astype(np.int64))
        assert device.transport.descriptors[0]["a_format"] == (1 if inner == 65_536 else 2)


def test_an_error_of_the_array_names_code_field_and_descriptor():
    field = [field.name for field in DESCRIPTOR_FIELDS].index("slice_words")
    device = device_of(PRESETS["base"], fail=(ErrorCode.FIELD, field, 0))
    with pytest.raises(DeviceError, match=r"FIELD.*slice_words.*descriptor 0 of 1") as caught:
        device.matmul(np.ones((2, 2), np.int8), np.ones((2, 2), np.int8))
    assert caught.value.field == "slice_words" and caught.value.code is ErrorCode.FIELD
    assert device.last_job is None


def test_the_array_may_write_its_result_and_nothing_before_it():
    device = device_of(PRESETS["tiny"])
    rng = np.random.default_rng(8)
    a, b = rng.integers(-9, 9, (30, 2000)).astype(np.int8), rng.integers(-9, 9, (2000, 20)).astype(np.int8)
    device.matmul(a, b)
    model = device.transport
    first, last, write_first, write_last = (model.read_register(register(name).address) for name in (
        "READ_BASE", "READ_LAST", "WRITE_BASE", "WRITE_LAST"))
    outputs = {d["c_address"] for d in model.descriptors}
    assert len(outputs) > 1 and min(outputs) == write_first
    inputs = [d[name] for d in model.descriptors for name in ("a_values", "b_values")]
    assert first == 0 and max(inputs) < write_first <= write_last == last
    assert device.last_job.memory_bytes <= last + 1 < device.last_job.memory_bytes + 64


@pytest.mark.parametrize("cycles", [0, 5, 1 << 32, -1])
def test_the_watchdog_is_set_or_refused(cycles):
    if not 0 <= cycles < 1 << 32:
        with pytest.raises(ValueError, match="watchdog_cycles = "):
            Device("base", watchdog_cycles=cycles)
        return
    device = Device("base", DeviceModel(PRESETS["base"]), watchdog_cycles=cycles)
    device.matmul(np.ones((2, 2), np.int8), np.ones((2, 2), np.int8))
    assert device.transport.read_register(register("WATCHDOG").address) == cycles


def test_abort_and_reset_reach_the_array():
    device = device_of(PRESETS["base"])
    device.abort()
    assert device.transport.read_register(register("CONTROL").address) == 0b011
    device.reset()
    assert device.transport.read_register(register("CONTROL").address) == 0b101
    device.transport.write_register(register("STATUS").address, 1 << 4)
    with pytest.raises(DeviceError, match="cannot be reset"):
        device.reset()


def test_a_job_that_takes_too_long_is_taken_off_the_array():
    device = device_of(PRESETS["base"])

    def never(timeout_cycles):
        raise TransportTimeout("no interrupt")

    device.transport.wait_interrupt = never
    with pytest.raises(TransportTimeout):
        device.matmul(np.ones((2, 2), np.int8), np.ones((2, 2), np.int8))
    assert device.transport.read_register(register("CONTROL").address) == 0b101


def test_an_array_of_another_configuration_is_refused():
    with pytest.raises(DeviceError, match="CONFIG0"):
        Device("large", DeviceModel(PRESETS["base"]))


def test_too_little_memory_is_named():
    device = device_of(PRESETS["base"], memory_bytes=4096)
    with pytest.raises(OperandError, match=r"needs [\d,]+ bytes of memory; the device has 4,096"):
        device.matmul(np.ones((100, 100), np.int8), np.ones((100, 100), np.int8))


def test_a_plan_for_another_shape_is_refused():
    device = device_of(PRESETS["base"])
    a, b = np.ones((2, 3), np.int8), np.ones((3, 4), np.int8)
    plan = device.plans(a, b)[0]
    with pytest.raises(OperandError, match="plan was made for"):
        device.matmul(a, b.T[:3, :3].copy(), plan=plan)
