"""hdl.serial_program: it fits, and refuses what the engine cannot do, by the first field that is wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from hdl.config import PRESETS
from hdl.descriptor import Opcode, field_number
from hdl.descriptor_check import NOT_A_FIELD
from hdl.registers import ErrorCode
from hdl.serial_code import MEMORY_WORDS, OP_SHIFT, VECTOR_WORDS, WORDS, Event, Op, Request, Stream
from hdl.serial_program import serial_program
from sim.host_transport import HostTransport
from sim.models.command import good
from sim.models.extents import extent_error, field_error
from sim.transport import open_simulator
from tests.raw_array import LIST, MEMORY_BYTES, OUTPUT, WINDOWS, RawArray, RawJob
from tests.simulators import need

MICRO = PRESETS["micro"]
PROGRAM = serial_program(MICRO)


def instruction(place: int) -> tuple[Op, int]:
    word = PROGRAM.words[place]
    return Op(word >> OP_SHIFT), word & (1 << OP_SHIFT) - 1


# ---- the program -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [MICRO, replace(MICRO, name="unscaled", scale_multipliers=0)],
                         ids=lambda config: config.name)
def test_the_program_fits(config: Any) -> None:
    program = serial_program(config)
    assert len(program.words) <= WORDS and len(program.constants) <= MEMORY_WORDS // 2
    assert program.first < len(program.words) and program.trap < len(program.words)
    assert all(0 <= word < 1 << 16 for word in program.words)


def test_every_request_has_its_vector() -> None:
    unused = (Op.JUMP, PROGRAM.trap)
    for request in range(max(Request) + 1):
        vector = [instruction(request * VECTOR_WORDS + number) for number in range(VECTOR_WORDS)]
        assert vector[0] != unused, request
        # It does not go on into the next one.
        end = next(number for number, (op, _) in enumerate(vector) if op in (Op.SERVE, Op.JUMP))
        assert unused not in vector[:end]
        reads = [argument for op, argument in vector[:end] if op == Op.READ]
        assert reads == ([request] if request in set(Stream) - {Stream.RESULTS} else [])
    assert instruction(Request.RESULT * VECTOR_WORDS) == (Op.EVENT, Event.ROW)
    assert instruction(Request.START * VECTOR_WORDS) == (Op.EVENT, Event.TAKEN)


def test_every_jump_goes_to_a_place_of_the_program() -> None:
    jumps = (Op.JUMP, Op.JUMP_ZERO, Op.JUMP_NONZERO, Op.JUMP_CARRY, Op.JUMP_SPLIT, Op.CALL)
    for place in range(len(PROGRAM.words)):
        op, target = instruction(place)
        assert op not in jumps or target < len(PROGRAM.words)


# ---- descriptors on the array ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def array() -> Iterator[RawArray]:
    """One simulator process for all jobs."""
    need("verilator")
    with open_simulator("verilator", MICRO, memory_bytes=MEMORY_BYTES, latency_cycles=12) as transport:
        assert isinstance(transport, HostTransport)
        yield RawArray(transport, MICRO)


def plain(**changes: int) -> dict[str, int]:
    """A descriptor that runs: three rows of a dense A."""
    return good(MICRO, rows=3, k_count=8, n_count=8, slice_words=1, a_values=0x400, a_stride=8,
                b_values=0x500, b_stride=8, c_address=OUTPUT, c_stride=64) | changes


def sparse(form: int, **changes: int) -> dict[str, int]:
    """The same of a sparse A, of zeros where memory is zero."""
    return plain(a_format=form, a_pointers=0x600, a_indices=0x700, a_columns=8, a_nnz=2) | changes


def vector(**changes: int) -> dict[str, int]:
    return plain(group_log2=3, n_count=1, b_stride=1) | changes


VECTOR_SUMS = {"out_raw": 1, "c_stride": 32}
EARLIER = {"accumulate": 1, "cin_address": 0x800, "cin_stride": 32}

REFUSED: list[tuple[str, dict[str, int]]] = [
    ("opcode", plain(opcode=0)), ("opcode", plain(opcode=Opcode.SDDMM.value)),
    ("opcode", plain(opcode=Opcode.ELEMENTWISE.value)), ("opcode", plain(opcode=0x81)),
    ("a_format", plain(a_format=3)),
    ("b_format", plain(b_format=1)), ("b_format", plain(b_format=2)), ("b_format", plain(b_format=3)),
    ("half", plain(half=1, whole=1)),
    ("out_raw", plain(out_int8=1, out_raw=1)),
    *(("pk_log2", plain(pk_log2=value)) for value in (1, 15)),
    *(("group_log2", plain(group_log2=value)) for value in (1, 2, 4, 15)),
    ("rows", plain(rows=0)),
    ("k_count", plain(k_count=4097)), ("k_count", plain(k_count=0xFFFF_FFFF)),
    ("k_count", plain(k_count=257, a_stride=0, b_stride=0)),
    ("k_count", plain(k_count=513, a_stride=0, b_stride=0, whole=1)),
    ("k_count", vector(k_count=2049, a_stride=0)), ("k_count", vector(k_count=4097, whole=1, a_stride=0)),
    *(("n_count", plain(n_count=value)) for value in (0, 9, 0x100, 0xFFFF_FFFF)),
    *(("n_count", vector(n_count=value)) for value in (0, 2, 8)),
    *(("a_pointers", sparse(1, a_pointers=0x600 + value)) for value in (1, 2, 3)),
    ("a_indices", sparse(1, a_indices=0x701)), ("a_indices", sparse(2, a_indices=0x702)),
    ("a_indices", sparse(2, a_indices=0x701)),
    *(("b_stride", vector(b_stride=value)) for value in (0, 2, 0x8000_0001)),
    *(("c_address", plain(c_address=OUTPUT + value)) for value in (1, 2, 3)),
    *(("c_stride", plain(c_stride=64 + value)) for value in (1, 2, 3)),
    ("c_stride", plain(c_stride=28)), ("c_stride", plain(c_stride=7, out_int8=1, scale=1)),
    ("c_stride", plain(c_stride=28, out_raw=1, n_count=1)), ("c_stride", vector(c_stride=0)),
    ("c_stride", vector(out_raw=1, c_stride=4)), ("c_stride", vector(out_raw=1, c_stride=64)),
    *(("cin_address", plain(**EARLIER | {"cin_address": 0x800 + value})) for value in (1, 2)),
    *(("cin_stride", plain(**EARLIER | {"cin_stride": 32 + value})) for value in (1, 2)),
    *(("cin_stride", vector(**EARLIER | {"cin_stride": value})) for value in (0, 4)),
    *(("params_address", plain(params_address=0x900 + value, **{name: 1}))
      for value in (1, 2) for name in ("row_bias", "row_scale")),
    *(("slice_words", plain(slice_words=value)) for value in (0, 2, 0x101, 0x8001)),
    ("out_csr", plain(out_csr=1)),
]

ACCEPTED: list[dict[str, int]] = [
    plain(), plain(half=1), plain(whole=1), plain(rows=1, c_stride=0), plain(c_stride=32), plain(n_count=1),
    plain(n_count=1, c_stride=4), plain(k_count=256, b_stride=0, a_stride=0),
    plain(k_count=512, b_stride=0, a_stride=0, whole=1), plain(k_count=0, a_values=3, b_values=5),
    plain(out_int8=1, c_address=OUTPUT + 3, c_stride=9, scale=1 << 15),
    plain(out_raw=1, n_count=3, c_stride=32),
    # What is not used is not looked at.
    plain(a_pointers=1, a_indices=1, cin_address=1, cin_stride=1, params_address=1, b_pointers=1, b_indices=1,
          c_indices=1, c_pointers=1, k_start=7, n_start=9),
    sparse(1, a_nnz=0, a_indices=1), sparse(1, a_indices=0x702, a_nnz=0), sparse(2, a_nnz=0),
    plain(**EARLIER), plain(**EARLIER | {"cin_stride": 0}), plain(row_bias=1, params_address=0x904),
    plain(row_scale=1, row_bias=1, params_address=0x904),
    vector(), vector(c_stride=4), vector(k_count=2048, a_stride=0), vector(k_count=4096, a_stride=0, whole=1),
    vector(**VECTOR_SUMS), vector(**VECTOR_SUMS, **EARLIER),
]


def job(*descriptors: Mapping[str, int], **settings: Any) -> RawJob:
    """Of a memory of zeros."""
    made = RawJob([dict(values) for values in descriptors], bytearray(MEMORY_BYTES), bytearray(MEMORY_BYTES),
                  **settings)
    made.place_descriptors()
    return made


def ends_with(array: RawArray, made: RawJob, **start: int) -> tuple[ErrorCode, int, int, int]:
    """How a job ends that may write zeros only."""
    array.start(made, **start)
    end = array.finish()
    assert array.memory() == made.expected
    assert array.read("COMPLETED") == (end[2] if end[0] else len(made.descriptors))
    return end


def named(code: ErrorCode, name: str, address: int = 0) -> tuple[ErrorCode, int, int, int]:
    return code, field_number(name), 1, address


@pytest.mark.verilator
@pytest.mark.parametrize("name", list(dict.fromkeys(name for name, _ in REFUSED)))
def test_a_field_that_cannot_be_done_is_named(array: RawArray, name: str) -> None:
    code = ErrorCode.OPCODE if name == "opcode" else ErrorCode.FIELD
    for field, descriptor in REFUSED:
        if field == name:
            model = field_error(MICRO, descriptor, None) or extent_error(MICRO, descriptor, WINDOWS)
            assert model is not None and model[:2] == (code, name), descriptor
            assert ends_with(array, job(plain(), descriptor, plain())) == named(code, name), descriptor


@pytest.mark.verilator
def test_of_two_fields_that_cannot_be_done_the_first_is_named(array: RawArray) -> None:
    base, changes = plain(), {}
    for name, descriptor in REFUSED:
        changed = {field: value for field, value in descriptor.items() if value != base[field]}
        if not changed.get("group_log2") or name == "group_log2":
            changes.setdefault(name, changed)
    for number, one in enumerate(changes.values()):
        for other in list(changes.values())[:number]:
            both = base | other | one
            wanted = field_error(MICRO, both, None) or extent_error(MICRO, both, WINDOWS)
            assert wanted is not None
            assert ends_with(array, job(base, both)) == named(*wanted[:2]), both


@pytest.mark.verilator
def test_what_can_be_done_is_accepted(array: RawArray) -> None:
    for descriptor in ACCEPTED:
        assert field_error(MICRO, descriptor, None) is extent_error(MICRO, descriptor, WINDOWS) is None
        assert ends_with(array, job(descriptor))[0] == ErrorCode.NONE, descriptor


@pytest.mark.verilator
@pytest.mark.parametrize("changes", [
    {"k_count": 7}, {"n_count": 7}, {"half": 1}, {"whole": 1}, {"group_log2": 3}, {"half": 1, "n_count": 7}],
    ids=str)
def test_a_tile_is_not_used_again_in_another_shape(array: RawArray, changes: dict[str, int]) -> None:
    again = job(plain(), plain(reuse_tile=1), plain(reuse_tile=1, **changes))
    code, detail, number, _ = ends_with(array, again)
    assert (code, detail, number) == (ErrorCode.FIELD, field_number("reuse_tile"), 2)


@pytest.mark.verilator
def test_a_tile_may_be_used_again_by_the_next_job_but_not_after_an_error(array: RawArray) -> None:
    assert ends_with(array, job(plain()))[0] == ErrorCode.NONE
    assert ends_with(array, job(plain(reuse_tile=1)))[0] == ErrorCode.NONE
    assert ends_with(array, job(plain(), plain(rows=0))) == named(ErrorCode.FIELD, "rows")
    assert ends_with(array, job(plain(reuse_tile=1)))[:2] == (ErrorCode.FIELD, field_number("reuse_tile"))


@pytest.mark.verilator
def test_bad_registers_end_the_job_without_a_descriptor(array: RawArray) -> None:
    for start in ({"count": 0}, {"address": LIST + 1}, {"address": LIST + 2}):
        assert ends_with(array, job(plain()), **start) == (ErrorCode.FIELD, NOT_A_FIELD, 0, 0)


@pytest.mark.verilator
def test_descriptors_outside_the_read_window_are_not_read(array: RawArray) -> None:
    windows = WINDOWS | {"read": (0x400, MEMORY_BYTES - 1)}
    for address, count in ((LIST, 1), (0x3FC, 1), (MEMORY_BYTES - 124, 1), (MEMORY_BYTES - 128, 2),
                           (0x400, 0xFFFF), (0xFFFF_FF80, 1)):
        assert ends_with(array, job(plain(), windows=windows), address=address, count=count) == (
            ErrorCode.OUTSIDE, NOT_A_FIELD, 0, address)


def arrays() -> list[tuple[str, dict[str, int], int]]:
    """A field with an array's address, a descriptor that has it, and the array's bytes from first to last."""
    earlier, records = {"accumulate": 1, "cin_stride": 48}, {"row_bias": 1, "row_scale": 1}
    return [
        ("a_pointers", sparse(1), 4 * 3), ("a_indices", sparse(1, a_nnz=6), 12),
        ("a_indices", sparse(2, a_nnz=6), 24), ("a_values", sparse(1, a_nnz=6), 6),
        ("a_values", plain(a_stride=20), 2 * 20 + 8), ("b_values", plain(b_stride=20), 7 * 20 + 8),
        ("b_values", vector(k_count=100), 100),
        ("c_address", plain(c_stride=64), 2 * 64 + 32), ("c_address", plain(n_count=3), 2 * 64 + 12),
        ("c_address", plain(n_count=3, out_raw=1), 2 * 64 + 32),
        ("c_address", plain(n_count=3, out_int8=1, c_stride=5), 2 * 5 + 3),
        ("c_address", vector(rows=12, **VECTOR_SUMS), 48),
        ("cin_address", plain(**earlier), 2 * 48 + 32),
        ("params_address", plain(row_bias=1), 12), ("params_address", plain(**records), 24),
    ]


@pytest.mark.verilator
@pytest.mark.parametrize("name, descriptor, length", arrays())
def test_an_array_outside_its_window_is_named_with_its_address(array: RawArray, name: str,
                                                               descriptor: dict[str, int],
                                                               length: int) -> None:
    window = "write" if name == "c_address" else "read"
    first, last = 0x2C00 if window == "write" else 0x400, MEMORY_BYTES - 0x400 - 1
    windows = WINDOWS | {window: (first, last)}
    step = 1 if name in ("a_values", "b_values") or descriptor["out_int8"] else 4
    inside = plain(c_address=0x2C00)
    # The last byte is the address space's, or past it.
    places = [first - step, last + 1 - length + step, 0xFFFF_FFFC, -length & 0xFFFF_FFFC, 0]
    if window == "read":
        # Descriptors lie below.
        windows |= {"read": (0, last)}
        places = places[1:-1]
    for place in places:
        bad = descriptor | {name: place} | ({} if window == "write" else {"c_address": 0x2C00})
        model = extent_error(MICRO, bad, windows)
        assert model == (ErrorCode.OUTSIDE, name, place)
        assert ends_with(array, job(inside, bad, windows=windows)) == named(ErrorCode.OUTSIDE, name, place)
    for place in {last + 1 - length & -step, first}:
        at_end = descriptor | {name: place} | ({} if window == "write" else {"c_address": 0x2C00})
        assert extent_error(MICRO, at_end, windows) is None
        if not at_end["a_nnz"]:
            assert ends_with(array, job(at_end, windows=windows))[0] == ErrorCode.NONE


@pytest.mark.verilator
@pytest.mark.parametrize("bad", [
    plain(c_stride=28, c_address=0), vector(n_count=2, rows=0), vector(n_count=2, k_count=4097),
    vector(out_raw=1, c_stride=4, slice_words=0), vector(out_raw=1, c_stride=4, out_csr=1),
    vector(out_raw=1, c_stride=4, **EARLIER | {"cin_address": 0x802}),
    vector(out_raw=1, c_stride=4, row_bias=1, params_address=0x902),
    vector(**EARLIER | {"cin_stride": 4}, slice_words=0), vector(**EARLIER | {"cin_stride": 4}, out_csr=1),
    vector(**EARLIER | {"cin_stride": 4}, row_bias=1, params_address=0x902)], ids=str)
def test_of_two_wrong_fields_the_first_is_named(array: RawArray, bad: dict[str, int]) -> None:
    wanted = field_error(MICRO, bad, None) or extent_error(MICRO, bad, WINDOWS)
    assert wanted is not None
    assert ends_with(array, job(plain(), bad)) == named(*wanted)[:2] + (1, (*wanted, 0)[2])


@pytest.mark.verilator
def test_without_a_tile_none_is_used_again(array: RawArray) -> None:
    ends_with(array, job(plain(), plain(rows=0)))
    assert ends_with(array, job(plain(reuse_tile=1, n_count=0)))[:2] == (
        ErrorCode.FIELD, field_number("reuse_tile"))
