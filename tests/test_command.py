"""hdl.command: jobs in order, overlap of two descriptors, refusals."""

import pytest

from hdl.command import CommandProcessor
from hdl.config import PRESETS, Config
from hdl.descriptor import DESCRIPTOR_BYTES, Opcode, field_number
from hdl.descriptor_check import NOT_A_FIELD
from hdl.emit import emit_verilog
from hdl.layouts import CsrMode, Operation
from hdl.registers import ErrorCode
from sim.models.command import BASE, UNITS, check_jobs, good, numbered
from tests.machine import Machine, ended


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tiles", ["01", "0", "w", "0r1r", "01w"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_unit_gets_its_jobs_once_and_in_order(count: int, tiles: str, seed: int) -> None:
    config = PRESETS["base"]
    descriptors = numbered(config, count, tiles)
    machine = Machine(config, descriptors, seed=seed)
    assert machine.run() == [ended(count)]
    assert machine.times("last") == count
    check_jobs(descriptors, machine.jobs, machine.owners)


@pytest.mark.parametrize("preset", ["tiny", "small", "large"])
@pytest.mark.parametrize("offset", [0, 1, 5])
def test_descriptors_may_start_at_any_beat(preset: str, offset: int) -> None:
    config = PRESETS[preset]
    machine = Machine(config, numbered(config, 3, "01"), address=BASE + offset * config.port_bytes)
    assert machine.run() == [ended(3)]
    assert [job["rows"] for job in machine.jobs["fetch"]] == [1, 2, 3]


@pytest.mark.parametrize("seed", range(3))
def test_tokens_pass_only_after_their_tile(seed: int) -> None:
    config = PRESETS["base"]
    machine = Machine(config, numbered(config, 4, "01"), seed=seed, tile_cycles=150)
    machine.run()
    for number in range(4):
        passes = [cycle for cycle, name in machine.log if name == "pass"
                  and (not number or cycle > machine.cycle_of("last", number - 1))]
        assert passes[0] >= machine.cycle_of("tile done", number) + 4


def test_a_tile_for_the_other_half_loads_while_the_owner_computes() -> None:
    config = PRESETS["base"]
    machine = Machine(config, numbered(config, 3, "01"), slow=False, token_cycles=200)
    machine.run()
    for number in (1, 2):
        assert machine.cycle_of("tile done", number) < machine.cycle_of("last", number - 1)
        assert machine.cycle_of("fetch", number) < machine.cycle_of("last", number - 1)
        assert machine.cycle_of("pass", number) <= machine.cycle_of("drained", number - 1) + 12


@pytest.mark.parametrize("second", [
    {"half": 0}, {"whole": 1}, {"half": 1, "pk_log2": 1},
], ids=["the same half", "a whole tile", "another P_k"])
def test_a_tile_waits_until_the_owner_has_drained(second: dict[str, int]) -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config), good(config, **second)], slow=False)
    assert machine.run() == [ended(2)]
    assert machine.cycle_of("drained", 0) < machine.cycle_of("tile", 1)
    assert machine.cycle_of("fetch", 1) < machine.cycle_of("drained", 0)


def test_a_half_tile_waits_for_a_whole_one() -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config, whole=1), good(config, half=1)], slow=False)
    machine.run()
    assert machine.cycle_of("drained", 0) < machine.cycle_of("tile", 1)


def test_fixed_cycles_around_a_job_are_few() -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config)], slow=False)
    machine.run()
    assert machine.cycle_of("request", 0) <= 2
    last_beat = machine.cycle_of("beat", DESCRIPTOR_BYTES // config.port_bytes - 1)
    for unit in UNITS:
        assert machine.cycle_of(f"{unit} offered", 0) <= last_beat + 4, unit
    assert machine.cycle_of("pass", 0) <= machine.cycle_of("tile done", 0) + 6
    # The model's writer is idle from the cycle after its last response.
    assert machine.cycle_of("finished", 0) <= machine.cycle_of("written", 0) + 2


def test_a_tile_may_be_used_again_by_the_next_job_but_not_after_reset() -> None:
    config = PRESETS["base"]
    again = Machine(config, [good(config, reuse_tile=1)])
    assert again.run() == [ended(0, ErrorCode.FIELD, field_number("reuse_tile"))]
    both = Machine(config, [good(config), good(config, reuse_tile=1)])
    assert both.run(jobs=2) == [ended(2)] * 2
    assert len(both.jobs["tile"]) == 2


@pytest.mark.parametrize("changes", [
    {"k_count": 8}, {"n_count": 8}, {"slice_words": 4}, {"half": 1}, {"half": 0, "whole": 1}, {"b_format": 1},
    {"pk_log2": 2}, {"group_log2": 1, "n_count": 4, "slice_words": 1}], ids=str)
def test_a_tile_is_not_used_again_in_another_shape(changes: dict[str, int]) -> None:
    # Sums of a packed tile would be left behind in accumulators that nobody drains.
    config = PRESETS["base"]
    machine = Machine(config, [good(config), good(config, reuse_tile=1, **changes)])
    assert machine.run() == [ended(1, ErrorCode.FIELD, field_number("reuse_tile"), 1)]


@pytest.mark.parametrize("name, changes", [
    ("opcode", {"opcode": 0}), ("opcode", {"opcode": 200}), ("a_format", {"a_format": 3}),
    ("half", {"half": 1, "whole": 1}), ("out_raw", {"out_int8": 1, "out_raw": 1}),
    ("pk_log2", {"pk_log2": 4}), ("pk_log2", {"group_log2": 1, "pk_log2": 2, "n_count": 4, "slice_words": 1}),
    ("group_log2", {"group_log2": 4, "n_count": 1, "slice_words": 1}),
    ("group_log2", {"group_log2": 1, "b_format": 1, "n_count": 4, "slice_words": 1}),
    ("rows", {"rows": 0}), ("k_count", {"k_count": 128 * 1024 + 1}),
    ("k_count", {"k_count": 32769, "b_format": 1, "slice_words": 2}),
    ("k_count", {"k_count": 4097}), ("k_count", {"k_count": 8193, "whole": 1}),
    ("c_stride", {"c_stride": 63}),
    ("n_count", {"n_count": 0}), ("n_count", {"n_count": 17}), ("n_count", {"n_count": 0xFFFFFFFF}),
    ("n_count", {"group_log2": 1, "n_count": 5, "slice_words": 1}),
    ("slice_words", {"group_log2": 1, "n_count": 4, "slice_words": 2}),
    ("slice_words", {"slice_words": 33}), ("slice_words", {"slice_words": 0x2800}),
    ("n_count", {"slice_words": 0}),
])
def test_a_bad_field_is_named_and_nothing_starts(name: str, changes: dict[str, int]) -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config), good(config, **changes), good(config)])
    code = ErrorCode.OPCODE if name == "opcode" else ErrorCode.FIELD
    assert machine.run() == [ended(1, code, field_number(name), 1)]
    assert all(len(machine.jobs[unit]) == 1 for unit in UNITS)


MERGED = {"opcode": Opcode.ELEMENTWISE.value, "b_format": 2, "out_csr": 1, "k_count": 70_000,
          "n_count": 70_000, "csr_index32": 1}


@pytest.mark.parametrize("name, changes", [
    ("b_format", {"b_format": 0}), ("b_format", {"opcode": Opcode.ELEMENTWISE_WIDE.value, "b_format": 1}),
    ("reuse_tile", {"reuse_tile": 1}),
    ("out_raw", {"out_raw": 1, "out_int8": 1}), ("rows", {"rows": 0}), ("k_start", {"k_start": 1}),
    ("n_start", {"n_start": 8}), ("out_csr", {"out_csr": 0}), ("out_csr", {"accumulate": 1}),
    ("csr_index32", {"csr_index32": 0}), ("csr_mode", {"csr_mode": CsrMode.COUNT.value}),
    ("csr_mode", {"csr_mode": CsrMode.PLACE.value, "accumulate": 1}),
    ("b_pointers", {"b_pointers": 2}),
    ("b_values", {"opcode": Opcode.ELEMENTWISE_WIDE.value, "b_nnz": 1, "b_values": 2}),
    ("operation", {"opcode": Opcode.ELEMENTWISE_WIDE.value, "operation": Operation.MULTIPLY.value}),
])
def test_a_bad_field_of_an_elementwise_descriptor_is_named(name: str, changes: dict[str, int]) -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config), good(config, **(MERGED | changes))])
    assert machine.run() == [ended(1, ErrorCode.FIELD, field_number(name), 1)]


def test_an_elementwise_descriptor_is_handed_on_whole() -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config, **MERGED, operation=Operation.MASK.value, rows=9)])
    machine.run()
    router, tile, collector = (machine.jobs[unit][0] for unit in ("router", "tile", "collector"))
    assert router["elementwise"] and router["merge"]["operation"] == Operation.MASK
    assert (tile["elementwise"], tile["merge_rows"], tile["merge_count"]) == (1, 9, 70_000)
    assert collector["elementwise"] and collector["out_csr"]


SPARSE = {"out_csr": 1, "n_count": 9, "slice_words": 1, "pk_log2": 0, "csr_index32": 1}


@pytest.mark.parametrize("name, changes", [
    ("n_start", {"n_start": (1 << 32) - 8}), ("n_start", {"n_start": (1 << 32) - 1}),
    ("group_log2", {"group_log2": 1, "pk_log2": 3, "n_count": 4}),
    ("out_csr", {"accumulate": 1}), ("out_csr", {"out_raw": 1}), ("out_csr", {"row_bias": 1}),
    ("cin_address", {"accumulate": 1, "csr_mode": CsrMode.COUNT.value, "cin_address": 2}),
    ("csr_index32", {"csr_index32": 0, "n_start": (1 << 16) - 8}),
])
def test_a_bad_field_of_a_result_in_csr_is_named(name: str, changes: dict[str, int]) -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config, **(SPARSE | changes))])
    assert machine.run() == [ended(0, ErrorCode.FIELD, field_number(name))]


@pytest.mark.parametrize("n_start", [1 << 20, 3, (1 << 32) - 9])
def test_a_block_of_a_result_in_csr_is_handed_on_whole(n_start: int) -> None:
    config = PRESETS["base"]
    for mode in CsrMode:
        accumulate = int(mode is not CsrMode.WHOLE)
        machine = Machine(config, [good(config, **SPARSE, n_start=n_start, csr_mode=mode.value,
                                        accumulate=accumulate, cin_stride=3)])
        assert machine.run() == [ended(1)]
        collector = machine.jobs["collector"][0]
        assert collector["accumulate"] == accumulate
        assert (collector["csr"]["mode"], collector["csr"]["first_column"]) == (mode, n_start)


def test_the_last_columns_that_sixteen_bits_name_are_taken() -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config, **(SPARSE | {"csr_index32": 0, "n_start": (1 << 16) - 9}))])
    assert machine.run() == [ended(1)]


@pytest.mark.parametrize("changes", [
    {"group_log2": 3, "n_count": 1, "slice_words": 1}, {"k_count": 0}, {"k_count": 4096},
    {"k_count": 8192, "whole": 1},
    {"k_count": 128 * 1024, "whole": 1, "group_log2": 3, "n_count": 1, "slice_words": 1},
    {"k_count": 65536, "b_format": 2, "whole": 1}, {"n_count": 1024, "pk_log2": 0, "slice_words": 16},
    {"out_int8": 1, "row_scale": 1}, {"b_format": 3, "pk_log2": 2, "slice_words": 4, "n_count": 64},
])
def test_the_largest_values_are_accepted(changes: dict[str, int]) -> None:
    config = PRESETS["base"]
    assert Machine(config, [good(config, **changes)]).run() == [ended(1)]


@pytest.mark.parametrize("name, step, changes", [
    ("a_pointers", 2, {"a_format": 1}), ("a_indices", 1, {"a_format": 1, "a_nnz": 3}),
    ("b_pointers", 2, {"b_format": 2}), ("b_indices", 1, {"b_format": 3, "b_nnz": 3}),
    ("cin_address", 2, {"accumulate": 1}), ("cin_stride", 2, {"accumulate": 1}),
    ("params_address", 2, {"row_bias": 1}), ("params_address", 2, {"row_scale": 1})])
def test_arrays_between_their_elements_are_refused_where_they_are_used(name: str, step: int,
                                                                       changes: dict[str, int]) -> None:
    config = PRESETS["base"]
    odd = {name: step}
    assert Machine(config, [good(config, **odd)]).run() == [ended(1)]
    assert Machine(config, [good(config, **changes)]).run() == [ended(1)]
    machine = Machine(config, [good(config, **changes, **odd)])
    assert machine.run() == [ended(0, ErrorCode.FIELD, field_number(name))]


def test_features_that_are_not_built_are_refused() -> None:
    config = Config(name="bare", compressed_b=False, scale_multipliers=0)
    for name in ("b_format", "out_int8"):
        machine = Machine(config, [good(config, **{name: 1})])
        assert machine.run() == [ended(0, ErrorCode.FIELD, field_number(name))]


@pytest.mark.parametrize("count, address", [(0, BASE), (1, BASE + 4)])
def test_bad_registers_end_the_job_without_a_read(count: int, address: int) -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config)], count=count, address=address)
    assert machine.run() == [ended(0, ErrorCode.FIELD, NOT_A_FIELD)]
    assert machine.times("request") == 0


def test_a_job_runs_after_one_that_failed() -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config), good(config, rows=0)])
    assert machine.run(jobs=3) == [ended(1, ErrorCode.FIELD, field_number("rows"), 1)] * 3


def test_a_descriptor_that_memory_does_not_give_is_not_started() -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config)] * 3, bad_beats=frozenset({11}), faults={
        cycle: {"i_read_error": {"valid": 1, "reader": 0}, "i_read_address": BASE + cycle}
        for cycle in (50, 60)})
    assert machine.run() == [ended(1, ErrorCode.READ_BUS, 0, 1)]
    assert machine.address_named == BASE + 50


@pytest.mark.parametrize("name", ["a_values", "b_values", "c_address"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_array_outside_its_window_is_named_when_all_before_it_is_done(name: str, number: int) -> None:
    config = PRESETS["base"]
    descriptors = [good(config) for _ in range(4)]
    descriptors[number][name] = 0xFFFFFFFF - 15 if name == "b_values" else 0xFFFFFFFF
    descriptors[number]["b_stride"] = 1
    machine = Machine(config, descriptors)
    assert machine.run() == [ended(number, ErrorCode.OUTSIDE, field_number(name), number)]
    assert machine.address_named == descriptors[number][name]


def test_no_address_goes_out_before_all_arrays_are_known_to_be_inside() -> None:
    config = PRESETS["base"]
    machine = Machine(config, [good(config, cin_stride=0xFFFC, accumulate=1, rows=0xFFFF)], slow=False)
    machine.run()
    holds = machine.cycle_of("hold falls", 0)
    assert machine.cycle_of("hold rises", 0) <= machine.cycle_of("fetch offered", 0) < holds
    assert holds <= machine.cycle_of("fetch offered", 0) + 20


@pytest.mark.parametrize("count, address", [(2, 0xFFFFFF80), (0xFFFF, 0xFF900000), (1, 0x1000)])
def test_descriptors_outside_the_read_window_are_not_read(count: int, address: int) -> None:
    config = PRESETS["base"]
    window = {"base": 0x2000 >> 6, "last": 0xFFFFFFFF >> 6}
    machine = Machine(config, [good(config)], count=count, address=address,
                      settings={"i_windows.read": window})
    assert machine.run() == [ended(0, ErrorCode.OUTSIDE, NOT_A_FIELD)]
    assert machine.address_named == address and machine.times("request") == 0


@pytest.mark.parametrize("how", ["i_abort", "i_reset"])
@pytest.mark.parametrize("cycle", [1, 5, 20, 60, 150])
def test_a_job_ends_when_it_is_told_to_and_the_next_one_runs(how: str, cycle: int) -> None:
    config = PRESETS["base"]
    machine = Machine(config, numbered(config, 3, "01"), slow=False, token_cycles=200,
                      faults={cycle: {how: 1}}, faulty_jobs=1)
    stopped = ended(0, ErrorCode.ABORTED) if how == "i_abort" else ended(0)
    assert machine.run(jobs=2) == [stopped, ended(3)]
    assert machine.times("finished") == 1 + (how == "i_abort")


@pytest.mark.parametrize("preset", ["tiny", "base"])
def test_it_converts_to_verilog(preset: str) -> None:
    assert "module" in emit_verilog(CommandProcessor(PRESETS[preset]), "command")
