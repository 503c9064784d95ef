"""Faults in descriptors, operands and memory on the array's RTL: reported, and over with their job."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from hdl.descriptor import DESCRIPTOR_BYTES, DESCRIPTOR_FIELDS
from hdl.registers import ErrorCode
from sim.host_transport import HostTransport
from sim.memory_faults import MemoryFaults
from tests.products import draw_matrix, run_checked
from tests.simulators import need
from zerolane import device as device_module
from zerolane.device import Device, DeviceError
from zerolane.runtime import ALIGNMENT_BYTES, Image, build_image

pytestmark = pytest.mark.verilator

OUTSIDE = 0xF000_0000
K_CUTS = (0, 11, 20, 40)
FIELDS = {field.name: field for field in DESCRIPTOR_FIELDS}


@pytest.fixture(scope="module", ids=str, params=[
    ("micro", 0.0), pytest.param(("micro", 0.4), marks=pytest.mark.slow), ("tiny", 0.0), ("small", 0.0),
    ("small", 0.4)])
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """One simulator process for all jobs of a preset."""
    need("verilator")
    preset, gaps = request.param
    with Device(preset, simulator="verilator", gaps=gaps) as opened:
        yield opened


def read_field(image: Image, number: int, name: str) -> int:
    content = dict(image.pieces)[image.descriptor_address]
    start = number * DESCRIPTOR_BYTES + 4 * FIELDS[name].word
    word = int.from_bytes(content[start:start + 4], "little")
    return word >> FIELDS[name].offset & ((1 << FIELDS[name].bits) - 1)


def write_field(image: Image, number: int, name: str, value: int) -> None:
    field, start = FIELDS[name], number * DESCRIPTOR_BYTES + 4 * FIELDS[name].word
    content = bytearray(dict(image.pieces)[image.descriptor_address])
    word = int.from_bytes(content[start:start + 4], "little") & ~(((1 << field.bits) - 1) << field.offset)
    content[start:start + 4] = (word | value << field.offset).to_bytes(4, "little")
    image.pieces.append((image.descriptor_address, bytes(content)))


def write_at(image: Image, number: int, name: str, offset: int, content: bytes) -> None:
    """Put bytes at `offset` from the address in a descriptor's field."""
    image.pieces.append((read_field(image, number, name) + offset, content))


def own_copy(image: Image, number: int, name: str, length: int) -> int:
    """Give a descriptor an array of its own, a copy of the one that it shares with others; its address."""
    contents = bytearray(image.used_bytes + length)
    for address, content in image.pieces:
        contents[address:address + len(content)] = content
    place, copy = read_field(image, number, name), image.place(length)
    image.used_bytes += ALIGNMENT_BYTES  # bursts read whole beats
    image.pieces.append((copy, bytes(contents[place:place + length])))
    write_field(image, number, name, copy)
    return copy


def operands(form: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(9)
    return draw_matrix(rng, 12, 40, 0.5, form), draw_matrix(rng, 40, 18, 0.9, "dense")


def run_spoiled(device: Device, monkeypatch: pytest.MonkeyPatch, a: Any, b: Any,
                spoil: Callable[[Image], None], **options: Any) -> DeviceError:
    """The error of a job of three descriptors that `spoil` changed in memory."""
    def build(*arguments: Any) -> Image:
        image = build_image(*arguments)
        spoil(image)
        return image

    plan = next(plan for plan in device.plans(a, b, **options) if not plan.transposed and not plan.packed)
    with monkeypatch.context() as patch:
        patch.setattr(device_module, "build_image", build)
        with pytest.raises(DeviceError) as caught:
            device.matmul(a, b, plan=replace(plan, k_cuts=K_CUTS), **options)
    assert isinstance(device.transport, HostTransport)
    device.transport.inject(None)
    run_checked(device, a, b, **options)
    return caught.value


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("field, value, code, detail", [
    ("opcode", 99, ErrorCode.OPCODE, None),
    ("n_count", 0, ErrorCode.FIELD, "n_count"),
    ("pk_log2", 9, ErrorCode.FIELD, "pk_log2"),
    ("a_values", OUTSIDE, ErrorCode.OUTSIDE, "a_values"),
    ("b_values", OUTSIDE, ErrorCode.OUTSIDE, "b_values"),
    ("c_address", OUTSIDE, ErrorCode.OUTSIDE, "c_address"),
    ("c_address", 0, ErrorCode.OUTSIDE, "c_address"),
    ("c_stride", 3, ErrorCode.FIELD, "c_stride"),
])
@pytest.mark.parametrize("form", ["csr", "dense"])
def test_a_bad_field_is_reported_with_its_descriptor(
        device: Device, monkeypatch: pytest.MonkeyPatch, form: str, number: int, field: str, value: int,
        code: ErrorCode, detail: str | None) -> None:
    error = run_spoiled(device, monkeypatch, *operands(form),
                        lambda image: write_field(image, number, field, value))
    assert (error.code, error.field, error.descriptor) == (code, detail, number)
    assert error.address == (value if code is ErrorCode.OUTSIDE else None)


def test_earlier_sums_and_parameters_outside_the_memory_are_reported(device: Device,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    bias = np.arange(12, dtype=np.int32)[:, None]
    for field, number in (("cin_address", 1), ("params_address", 2)):
        error = run_spoiled(device, monkeypatch, *operands("csr"),
                            lambda image: write_field(image, number, field, OUTSIDE), bias=bias)
        assert (error.code, error.field, error.descriptor) == (ErrorCode.OUTSIDE, field, number)


SHARED = ("a_pointers", "a_indices", "a_values", "b_values", "c_address")


@pytest.mark.parametrize("name, number", [*((name, number) for name in SHARED for number in range(3)),
                                          ("cin_address", 1), ("params_address", 2)])
def test_an_error_of_the_memory_is_reported_with_its_descriptor_and_place(
        device: Device, monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    bias = np.arange(12, dtype=np.int32)[:, None]
    writes, length = name == "c_address", 1024 if name in SHARED else 48
    bad: list[int] = []

    def spoil(image: Image) -> None:
        # Descriptors share their operands: this one alone gets a copy. Earlier sums are read here first.
        place = read_field(image, number, name)
        bad.append(own_copy(image, number, name, length) if name in SHARED else place)
        assert isinstance(device.transport, HostTransport)
        device.transport.inject(MemoryFaults(read_errors=not writes, write_errors=writes, by_address=True,
                                             first=bad[0], last=bad[0] + length - 1))

    device.matmul(*operands("csr"), bias=bias)  # so that there is a transport
    error = run_spoiled(device, monkeypatch, *operands("csr"), spoil, bias=bias)
    assert (error.code, error.descriptor) == (ErrorCode.WRITE_BUS if writes else ErrorCode.READ_BUS, number)
    # The burst may begin up to fifteen beats before the array.
    assert bad[0] - device.config.burst_bytes < error.address < bad[0] + length


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("offset, pointer", [(0, 1000), (4, 0), (44, 7)], ids=str)
def test_bad_row_pointers_are_reported(device: Device, monkeypatch: pytest.MonkeyPatch, offset: int,
                                       pointer: int, number: int) -> None:
    spoiled: list[int] = []

    def spoil(image: Image) -> None:
        copy = own_copy(image, number, "a_pointers", 4 * 12)
        image.pieces.append((copy + offset, pointer.to_bytes(4, "little")))
        spoiled.append(copy + offset)

    error = run_spoiled(device, monkeypatch, *operands("csr"), spoil)
    assert (error.code, error.descriptor) == (ErrorCode.ROW_POINTER, number)
    # A pointer is wrong in itself, or makes the next one fall.
    assert spoiled[0] - 4 <= error.address <= spoiled[0] + 8


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("place", [0, 17, -1])
def test_bad_column_indices_are_reported(device: Device, monkeypatch: pytest.MonkeyPatch,
                                         place: int, number: int) -> None:
    a, b = operands("csr")
    spoiled: list[int] = []

    def spoil(image: Image) -> None:
        copy = own_copy(image, number, "a_indices", 2 * a.nnz)
        spoiled.append(copy + 2 * (place % a.nnz))
        image.pieces.append((spoiled[0], (40).to_bytes(2, "little")))

    error = run_spoiled(device, monkeypatch, a, b, spoil)
    assert (error.code, error.descriptor) == (ErrorCode.COLUMN_INDEX, number)
    assert error.address <= spoiled[0] < error.address + 2 * device.config.beat_tokens


def test_a_packed_tile_that_does_not_fit_is_reported(device: Device) -> None:
    if not device.config.compressed_b:
        pytest.skip("has no packed tile")
    a, b = np.ones((5, 400), np.int8), np.ones((400, 60), np.int8)
    small = sp.csr_array(b)
    # Rows of B enough for the table of every PE, slots too many for its store.
    plan = next(plan for plan in device.plans(a, small)
                if plan.packed and not plan.transposed and plan.pk_log2 == device.config.pe_bits)
    with pytest.raises(DeviceError) as caught:
        device.matmul(a, small, plan=replace(plan, k_cuts=(0, 400)))
    assert caught.value.code is ErrorCode.PACKED_OVERFLOW
    run_checked(device, a, b)
