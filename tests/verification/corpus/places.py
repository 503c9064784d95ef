"""Products whose operands, results and descriptors lie anywhere."""

from typing import Any
from unittest import mock

import numpy as np
import scipy.sparse as sp

from hdl.descriptor import DESCRIPTOR_BYTES
from hdl.registers import ErrorCode
from zerolane import runtime
from zerolane.device import expected_result

from .images import add_to_words, content_of, edited, field_of, fields_of
from .session import Session

__all__ = ["alignments", "counts", "far_apart", "far_blocks", "long_rows", "odd_sums", "reuse",
           "reuse_of_any_width", "wide_indices"]


def wide_indices(session: Session) -> None:
    """32-bit column indices, at every alignment of the arrays."""
    with mock.patch.object(runtime, "INDEX16_COLUMNS", 0):
        for number in range(6):
            a = session.matrix(7, 33, 0.4, "odd" if number % 2 else "csr")
            b = session.matrix(33, 10 + number, 0.4, "csr" if number % 3 else "dense")
            session.any_memory()
            session.product(a, b)
            # Columns anywhere among 2^31.
            offset = int(session.rng.integers(0, (1 << 31) - 64))
            image = session.image(a, b, session.plan(a, b, k_cuts=(0, 16, 33)))
            for part in range(image.descriptor_count):
                fields = fields_of(image, part)
                places = {fields["a_indices"] + 4 * entry for entry in range(fields["a_nnz"])}
                edited(image, part, k_start=fields["k_start"] + offset,
                       a_columns=fields["a_columns"] + offset)
            image.pieces = [(address, add_to_words(address, content, places, offset))
                            for address, content in image.pieces]
            assert session.run(image) == 0


def far_blocks(session: Session) -> None:
    """A block of K beyond what 16-bit indices can name: no token is of it."""
    a, b = session.matrix(5, 20, 0.6, "csr"), session.matrix(20, 9, 0.9, "dense")
    for start in (1 << 16, (1 << 16) + 5, 1 << 20):
        image = session.image(a, b)
        session.any_memory()
        assert session.run(edited(image, 0, k_start=start, a_columns=1 << 21)) == 0
        assert not any(session.recorder.read_memory(image.c_address, image.c_bytes))


def alignments(session: Session) -> None:
    """Dense operands and results at every byte of a beat, strides of every kind."""
    config = session.config
    for number in range(2 * config.port_bytes):
        rows, inner, columns = 5, 17 + number % 5, 11 + number % 3
        a = session.matrix(rows, inner, 0.7, "dense" if number % 2 else "csr")
        b = session.matrix(inner, columns, 0.8, "dense")
        image = session.image(a, b)
        moved: dict[str, int] = {}
        for name, source, width in (("a_values", a, inner), ("b_values", b, columns)):
            if isinstance(source, np.ndarray):
                stride = width + int(session.rng.integers(0, 9))
                address = image.place(stride * (len(source) + 1) + 64) + number % config.port_bytes
                spread = np.full((len(source), stride), 0x55, np.uint8)
                spread[:, :width] = source.view(np.uint8)
                image.pieces.append((address, spread.tobytes()))
                moved |= {name: address, name.replace("values", "stride"): stride}
        stride = 4 * columns + (0, 4, 12)[number % 3]
        c = image.place(stride * rows + 64) + 4 * (number % (max(2, config.port_bytes // 4)))
        session.any_memory()
        assert session.run(edited(image, 0, c_address=c, c_stride=stride, **moved)) == 0
        found = np.frombuffer(session.recorder.read_memory(c, stride * rows), np.uint8).reshape(rows, stride)
        result = np.ascontiguousarray(found[:, :4 * columns]).view("<i4")
        np.testing.assert_array_equal(result, expected_result(a, b))


def odd_sums(session: Session) -> None:
    """Earlier sums that do not begin at a beat."""
    for columns in (3, 9, 13):
        a, b = session.matrix(6, 14, 0.8, "csr"), session.matrix(14, columns, 0.8, "dense")
        bias = session.rng.integers(-99, 99, (1, columns)).astype(np.int32)
        image = session.image(a, b, session.plan(a, b, bias=bias), bias=bias)
        sums = field_of(image, 0, "cin_address")
        content = next(content for address, content in image.pieces if address == sums)
        place = image.place(len(content) + 64) + 4
        image.pieces.append((place, content))
        session.any_memory()
        assert session.run(edited(image, 0, cin_address=place)) == 0
        found = np.frombuffer(session.recorder.read_memory(image.c_address, image.c_bytes), "<i4")
        np.testing.assert_array_equal(found.reshape(image.c_shape), expected_result(a, b, bias=bias))


def far_apart(session: Session) -> None:
    """Rows of A, B and C far from each other, at distances of many bits."""
    rng = session.rng
    for _ in range(10):
        rows, inner, columns = 6, 14, 9
        a, b = session.matrix(rows, inner, 0.8, "dense"), session.matrix(inner, columns, 0.8, "dense")
        image = session.image(a, b)
        strides = {}
        for name, first, source in (("a", 0x10_0000, a), ("b", 0x40_0000, b)):
            strides[name] = int(rng.integers(1 << 12, 1 << 18))
            for row, content in enumerate(source):
                image.pieces.append((first + row * strides[name], content.tobytes()))
        stride = int(rng.integers(1 << 12, 1 << 20)) // 4 * 4
        session.any_memory()
        edited(image, 0, a_values=0x10_0000, a_stride=strides["a"], b_values=0x40_0000,
               b_stride=strides["b"], c_address=0x90_0000, c_stride=stride)
        assert session.run(image, look=False) == 0
        for row, expected in enumerate(expected_result(a, b)):
            found = session.recorder.read_memory(0x90_0000 + row * stride, 4 * columns)
            assert found == expected.tobytes()


def counts(session: Session) -> None:
    """Numbers of descriptors in all their bits; an error in the fourth ends the job."""
    a, b = session.matrix(2, 9, 0.8, "dense"), session.matrix(9, 4, 0.8, "dense")
    session.memory(latency=3)
    for number in (count for bit in range(2, 16) for count in (1 << bit | 1, (1 << bit) + 2)):
        image = session.image(a, b)
        descriptor = bytes(content_of(image))
        image.descriptor_address = image.place(4 * DESCRIPTOR_BYTES)
        image.descriptor_count = 4
        image.pieces.append((image.descriptor_address, descriptor * 4))
        error = session.run(edited(image, 3, opcode=77), count=number, look=False)
        assert error == ErrorCode.OPCODE | 3 << 16


def reuse(session: Session) -> None:
    """Several descriptors on one tile, that is loaded once."""
    for packed in (False, True)[:1 + session.config.compressed_b]:
        for whole in (0, 1):
            a = session.matrix(6, 30, 0.5, "csr")
            b = session.matrix(30, 14, 0.5, "csr" if packed else "dense")
            _on_one_tile(session, a, b, packed, whole)


def reuse_of_any_width(session: Session) -> None:
    """The same with tiles of other numbers of words, odd ones too, and of rows."""
    for number, columns in enumerate((1, 3, 5, 10, 19, 27, 35)):
        for packed in (False, True)[:1 + session.config.compressed_b]:
            rows = int(session.rng.integers(1, 40))
            a = session.matrix(5, rows, 0.5, "csr")
            b = session.matrix(rows, columns, 0.5, "csr" if packed else "dense")
            _on_one_tile(session, a, b, packed, number % 2)


def _on_one_tile(session: Session, a: Any, b: Any, packed: bool, whole: int) -> None:
    image = session.image(a, b, session.plan(a, b, packed=packed))
    descriptor = bytes(content_of(edited(image, 0, whole=whole, half=0)))
    assert image.descriptor_count == 1
    places = [image.c_address, *(image.place(image.c_bytes) for _ in range(3))]
    # Descriptors may begin at any beat.
    beat = int(session.rng.integers(1, 16)) * session.config.port_bytes
    image.descriptor_address = image.place(len(places) * DESCRIPTOR_BYTES + beat) + beat
    image.descriptor_count = len(places)
    image.pieces.append((image.descriptor_address, descriptor * len(places)))
    for number, place in enumerate(places):
        edited(image, number, c_address=place, reuse_tile=int(number > 0))
    session.any_memory()
    assert session.run(image) == 0
    for place in places:
        found = np.frombuffer(session.recorder.read_memory(place, image.c_bytes), "<i4")
        np.testing.assert_array_equal(found.reshape(image.c_shape), expected_result(a, b))


def long_rows(session: Session) -> None:
    """A row of thousands of zeros; where it ends shows in the row behind it."""
    entries = np.array([3, -4], np.int8), np.array([1, 7], np.int32), np.array([0, 0, 2, 2], np.int32)
    a = sp.csr_array(entries, shape=(3, 20))
    b = session.matrix(20, 9, 0.9, "dense")
    for bit in range(12, 15):
        image = session.image(a, b)
        fields, zeros = fields_of(image, 0), 1 << bit | 3
        indices, values = 0xC0_0000 + (bit << 17), 0xE0_0000 + (bit << 16)
        ends = np.array([zeros, zeros + 2, zeros + 2]) + fields["a_first"]
        image.pieces += [(fields["a_pointers"], ends.astype("<u4").tobytes()),
                         (indices, bytes(2 * zeros) + a.indices.astype("<u2").tobytes()),
                         (values, bytes(zeros) + a.data.tobytes())]
        session.memory(latency=5)
        assert session.run(edited(image, 0, a_nnz=zeros + 2, a_indices=indices, a_values=values)) == 0
        found = np.frombuffer(session.recorder.read_memory(image.c_address, image.c_bytes), "<i4")
        np.testing.assert_array_equal(found.reshape(image.c_shape), expected_result(a, b))
