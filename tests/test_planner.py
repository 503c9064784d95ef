"""Plans: legal, ranked, explained; the cost model's own arithmetic; descriptors packed without truncation."""

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp

from hdl.config import PRESETS
from hdl.descriptor import DESCRIPTOR_FIELDS
from hdl.owner import owner_value
from tests.device_model import DeviceModel
from zerolane.bound import bound
from zerolane.cost import Resident, Streamed, by_owner
from zerolane.device import Device
from zerolane.operands import OperandError, as_operand
from zerolane.plan import PlanError
from zerolane.planner import make_plan, plans
from zerolane.problem import as_problem
from zerolane.runtime import LayoutError, build_image, pack_descriptor

BASE, MICRO = PRESETS["base"], PRESETS["micro"]


def sparse(rows, columns, density, seed=0):
    rng = np.random.default_rng(seed)
    return sp.random_array((rows, columns), density=density, rng=rng, dtype=np.int8, format="csr",
                           data_sampler=lambda size: rng.integers(1, 128, size))


def dense(rows, columns, seed=1):
    return np.random.default_rng(seed).integers(-128, 128, (rows, columns)).astype(np.int8)


@pytest.mark.parametrize("pk_log2", range(5))
@pytest.mark.parametrize("count", [0, 1, 7, 64, 1000])
def test_sums_by_owner_follow_the_hardwares_function(pk_log2, count):
    values = np.random.default_rng(count).integers(0, 100, (count, 3))
    expected = np.zeros((1 << pk_log2, 3), np.int64)
    for k in range(count):
        expected[owner_value(k, pk_log2)] += values[k]
    np.testing.assert_array_equal(by_owner(values, pk_log2), expected)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("slice_words", "slices"), [(1, 1), (2, 4), (4, 2)])
def test_packed_words_are_the_fullest_lanes(transposed, slice_words, slices):
    matrix = sparse(40, 90, 0.3).toarray()
    operand = as_operand(matrix.T.copy() if transposed else matrix, "b")
    words = Resident(operand, transposed, operand.layers).packed_words(BASE.lanes, slice_words, slices)
    width = slice_words * slices * BASE.lanes
    for k in range(40):
        for block in range(-(-90 // width)):
            piece = matrix[k, block * width:(block + 1) * width]
            for number in range(slices):
                own = [column for column in range(len(piece)) if column // BASE.lanes % slices == number]
                lanes = [sum(bool(piece[column]) for column in own if column % BASE.lanes == lane)
                         for lane in range(BASE.lanes)]
                assert words[k, block * slices + number] == max(lanes)


@pytest.mark.parametrize("transposed", [False, True])
def test_ranges_of_k_hold_every_entry_of_their_block_and_no_empty_end(transposed):
    matrix = sparse(40, 90, 0.03).toarray()
    matrix[:, 32:48] = 0
    operand = as_operand(matrix.T.copy() if transposed else matrix, "b")
    resident = Resident(operand, transposed, operand.layers)
    for block, (start, stop) in enumerate(resident.k_ranges(16)):
        rows = np.flatnonzero(matrix[:, 16 * block:16 * (block + 1)].any(axis=1))
        assert (start, stop) == ((rows[0], rows[-1] + 1) if len(rows) else (0, 1))


def test_ranges_of_rows_hold_every_entry_and_no_empty_end():
    matrix = sparse(60, 50, 0.04)
    matrix.data[:3] = 0
    streamed = Streamed.of(as_operand(matrix, "a"), transposed=False)
    ranges = ((0, 7), (7, 9), (20, 21), (30, 50), (0, 50))
    for (start, stop), rows in zip(ranges, streamed.row_ranges(ranges), strict=True):
        there = np.flatnonzero(np.diff(sp.csr_array(matrix[:, start:stop]).indptr))
        assert rows == ((there[0], there[-1] + 1) if len(there) else (0, 1))


def test_rows_of_a_range_are_fetched_alone():
    matrix = sparse(60, 50, 0.3)
    streamed = Streamed.of(as_operand(matrix, "a"), transposed=False)
    part = Streamed.of(as_operand(matrix[7:19], "a"), transposed=False)
    assert streamed.bytes_of(50, (7, 19)) == part.bytes_of(50)
    assert streamed.fetch_cycles(BASE, 50, (7, 19)) == part.fetch_cycles(BASE, 50)


def test_ranges_of_k_go_with_one_part_of_k():
    plan = make_plan(as_problem(sparse(9, 40, 0.3), dense(40, 90)), BASE)
    with pytest.raises(PlanError, match="k_ranges has 7 ranges for 1 column blocks"):
        replace(plan, block_columns=90, k_ranges=((0, 40),) * 7)
    with pytest.raises(PlanError, match="2 parts of K"):
        replace(plan, block_columns=90, k_cuts=(0, 16, 40), k_ranges=((0, 40),))


@pytest.mark.parametrize("config", PRESETS.values(), ids=lambda config: config.name)
@pytest.mark.parametrize("shape", [(50, 700, 300), (100, 3000, 7), (1, 1, 1)])
def test_tiles_cover_everything_once(config, shape):
    rows, inner, columns = shape
    a, b = sparse(rows, inner, 0.1), dense(inner, columns)
    for plan in plans(as_problem(a, b), config):
        resident = a.toarray().T if plan.transposed else b
        covered = np.zeros((inner, plan.columns), np.int8)
        for tile in plan.tiles():
            covered[tile.k_start:tile.k_start + tile.k_count, tile.n_start:tile.n_start + tile.n_count] += 1
        assert (covered[resident != 0] == 1).all(), plan.label()
        # Rows without anything in a column block may be left out.
        assert (covered <= 1).all() and (plan.k_ranges or covered.all()), plan.label()
        assert plan.descriptors == len(plan.tiles())


def test_the_plan_is_the_cheapest_and_explains_itself():
    problem = as_problem(sparse(768, 768, 0.25), dense(768, 768))
    plan = make_plan(problem, BASE)
    assert plan.cycles == min(other.cycles for other in plans(problem, BASE))
    text = plan.explain()
    assert "streams" in text and "next best" in text and "limited by" in text


def test_planning_a_large_layer_takes_no_time():
    problem = as_problem(sparse(768, 768, 0.25), dense(768, 768))
    before = time.process_time()
    make_plan(problem, PRESETS["large"])
    assert time.process_time() - before < 1.0


def test_a_sparse_right_operand_streams_or_is_packed():
    packed = make_plan(as_problem(dense(256, 256), sparse(256, 256, 0.1)), BASE)
    assert packed.transposed or packed.packed


def test_scales_a_column_need_the_transposed_product():
    problem = as_problem(dense(20, 30), dense(30, 40), scale=np.full(40, 0.01), out_dtype=np.int8)
    assert all(plan.transposed for plan in plans(problem, BASE))


def test_int8_is_refused_where_nothing_can_scale():
    problem = as_problem(dense(2, 3), dense(3, 2), scale=0.01, out_dtype=np.int8)
    with pytest.raises(OperandError, match="scale_multipliers = 0"):
        plans(problem, replace(BASE, scale_multipliers=0))


def test_a_descriptor_field_is_never_cut():
    for field in DESCRIPTOR_FIELDS:
        words = np.frombuffer(pack_descriptor({field.name: (1 << field.bits) - 1}), "<u4")
        assert int(words[field.word]) == ((1 << field.bits) - 1) << field.offset
        assert np.count_nonzero(words) == 1
        for value in (-1, 1 << field.bits):
            with pytest.raises(LayoutError, match=f"{field.name} = {value}"):
                pack_descriptor({field.name: value})


def test_images_are_aligned_and_do_not_overlap():
    problem = as_problem(sparse(50, 300, 0.1), sparse(300, 200, 0.2), bias=np.arange(200, dtype=np.int32))
    for plan in plans(problem, PRESETS["small"]):
        image = build_image(problem, plan, 1 << 20)
        spans = sorted((address, address + len(content)) for address, content in image.pieces)
        spans.append((image.c_address, image.c_address + image.c_bytes))
        spans.sort()
        assert all(first[1] <= second[0] for first, second in pairwise(spans))
        assert all(address % 64 == 0 for address, _ in spans) and spans[-1][1] <= image.used_bytes


def test_the_bound_is_section_fours():
    a, b = as_operand(sparse(100, 2000, 0.05), "a"), as_operand(dense(2000, 128), "b")
    found = bound(BASE, a, b)
    size = 4 * 101 + 3 * a.entries
    assert found.token_cycles == a.entries * 16 / 8
    assert found.passes == 2
    assert found.memory_cycles == (size + 2000 * 128 + 4 * 100 * 128 + min(size, 8 * 100 * 128)) / 16
    assert found.efficiency(int(found.cycles)) == pytest.approx(1, rel=1e-3)


def test_the_lanes_do_not_wait_for_a_large_tile_that_can_come_in_parts() -> None:
    a = sp.random_array((512, 512), density=0.2, format="csr", dtype=np.int8, rng=np.random.default_rng(0),
                        data_sampler=lambda size: np.ones(size, np.int8))
    found = plans(as_problem(a, np.ones((512, 128), np.int8)), PRESETS["large"])
    best, one_tile = found[0], min((plan for plan in found if plan.descriptors == 1), key=lambda p: p.cycles)
    assert best.descriptors > 1 and not best.whole
    assert best.cycles < one_tile.cycles - 1000
    assert best.terms["exposed loading"] <= one_tile.terms["exposed loading"] / 2


@pytest.mark.parametrize("columns", [4, 7])
def test_a_tall_operand_rests_in_narrow_blocks_rather_than_in_parts_with_partial_sums(columns):
    config = PRESETS["tiny"]
    a, b = sparse(300, 1500, 0.002), dense(1500, columns)
    found = plans(as_problem(a, b), config)
    narrow = [plan for plan in found if plan.group_log2]
    assert found[0] == narrow[0]
    with Device(config, DeviceModel(config)) as device:
        for plan in narrow:
            assert len(plan.k_cuts) == 2 and plan.descriptors == -(-columns // plan.block_columns)
            np.testing.assert_array_equal(device.matmul(a, b, plan=plan), a.astype(int) @ b.astype(int))


@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 100, 3), (3, 700, 8), (40, 1200, 50), (5, 513, 1)])
def test_tiles_of_a_serial_array_are_a_word_wide_and_take_all_of_its_memory(shape):
    rows, inner, columns = shape
    for plan in plans(as_problem(sparse(rows, inner, 0.1), dense(inner, columns)), MICRO):
        # A vector has eight rows in one of the tile.
        group, most = (3, 4096) if plan.columns == 1 else (0, 512)
        assert (plan.pk_log2, plan.group_log2, plan.slice_words, plan.whole) == (0, group, 1, True)
        assert all(tile.n_count <= 8 and tile.k_count <= most for tile in plan.tiles())


def test_a_serial_array_cuts_k_into_as_few_parts_as_its_memory_allows():
    assert make_plan(as_problem(dense(4, 1100), dense(1100, 4)), MICRO).k_cuts == (0, 368, 736, 1100)


def test_a_sparse_operand_that_rests_in_a_serial_array_is_made_dense():
    for plan in plans(as_problem(sparse(20, 90, 0.1), sparse(90, 30, 0.1)), MICRO):
        assert plan.densified and not plan.packed


def test_a_serial_array_s_cycles_are_the_sum_of_all_parts():
    for plan in plans(as_problem(sparse(30, 700, 0.1), dense(700, 20)), MICRO):
        assert plan.cycles == pytest.approx(sum(plan.terms.values())) and plan.limit() in plan.terms


@pytest.mark.parametrize("rows, columns, transposed", [(8, 400, True), (400, 8, False)])
def test_what_a_serial_array_holds_in_fewer_tiles_rests(rows, columns, transposed):
    assert make_plan(as_problem(dense(rows, 500), dense(500, columns)), MICRO).transposed is transposed


def serial_terms(a, b, **options):
    """Of the product as it is asked for."""
    return plans(as_problem(a, b, **options), MICRO, keep_order=True)[0].terms


def test_rows_that_lie_a_word_apart_load_faster_into_a_serial_array():
    words, others = (serial_terms(dense(6, 100), dense(100, columns)) for columns in (8, 16))
    assert words["exposed loading"] < others["exposed loading"] / 4


def test_a_serial_array_reads_and_writes_sums_between_parts_of_k():
    one, two = (serial_terms(sparse(200, inner, 0.001), dense(inner, 8)) for inner in (512, 513))
    assert two["rows"] > 2.5 * one["rows"]


def test_a_bias_of_columns_is_earlier_sums_to_a_serial_array():
    a, b = sparse(200, 20, 0.01), dense(20, 8)
    plain, biased = serial_terms(a, b), serial_terms(a, b, bias=np.arange(8, dtype=np.int32))
    assert biased["rows"] > 1.5 * plain["rows"]


def test_int8_results_cost_a_serial_array_more_than_sums():
    options = {"scale": 0.01, "out_dtype": np.int8}
    sums, scaled = (serial_terms(dense(6, 20), dense(20, 8), **more) for more in ({}, options))
    assert scaled["output"] > 10 * sums["output"]


def test_zeros_cost_a_serial_array_nothing_in_csr_alone():
    matrix, b = sparse(40, 100, 0.05), dense(100, 8)
    assert serial_terms(matrix, b)["fetch"] < serial_terms(matrix.toarray(), b)["fetch"] / 3


def test_a_product_without_an_inner_size_is_a_tile_without_rows():
    for config in (MICRO, BASE):
        plan = make_plan(as_problem(dense(3, 0), dense(0, 5)), config)
        assert [(tile.k_count, tile.n_count) for tile in plan.tiles()] in ([(0, 5)], [(0, 3)])
