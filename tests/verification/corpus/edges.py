"""Sizes and addresses at their edges: where windows end, long lists, long rows, deep tiles, long waits."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from hdl.descriptor import DESCRIPTOR_BYTES
from zerolane.device import expected_result

from .images import FIELDS, content_of, edited, fields_of
from .session import PATIENCE_CYCLES, Session

__all__ = ["deep_tiles", "leftovers", "long_lists", "long_tile_rows", "odd_addresses", "window_ends",
           "wrapping_sums"]

TRIALS = 300
BLOCK_BYTES = 64
"""What windows are counted in."""

LONG_LIST = 4223
"""Descriptors; a narrow port would take too long for so many."""


def _length(rows: int, stride: int, row_bytes: int) -> int:
    return (rows - 1) * stride + row_bytes


def window_ends(session: Session) -> None:
    """Arrays of any size and any distance of rows whose last byte is their window's last, or the next one."""
    rng = session.rng
    session.memory(latency=3)
    dense, b = session.matrix(3, 9, 0.9, "dense"), session.matrix(9, 4, 0.9, "dense")
    sparse = session.matrix(3, 9, 0.9, "csr")
    for number in range(TRIALS):
        rows, beyond = int(2 ** rng.uniform(0, 30)), number // 3 % 2
        stride = int(2 ** rng.uniform(4, max(5, 33 - rows.bit_length())))
        image = session.image(*((sparse if number % 3 == 2 else dense), b))
        if number % 3 == 0:
            name, step, length = "a_values", 1, _length(rows, stride, 9)
            fields = {"rows": rows, "a_stride": stride, "c_stride": 16}
        elif number % 3 == 1:
            stride = stride // 4 * 4
            name, step, length = "c_address", 4, _length(rows, stride, 16)
            fields = {"rows": rows, "a_stride": 0, "c_stride": stride}
        else:
            name, step = (("a_indices", 2), ("a_values", 1), ("a_pointers", 4))[number // 6 % 3]
            length, fields = step * rows, {"rows": rows if step == 4 else 3, "a_nnz": rows, "c_stride": 16}
        room = max(1, (1 << 32) - length)
        first = min((1 << 32) - BLOCK_BYTES, length + int(rng.integers(0, 1 << 32)) % room)
        last = first // BLOCK_BYTES * BLOCK_BYTES + BLOCK_BYTES - 1
        # Where it is too long for all of memory it wraps around.
        base = (last + 1 + step * beyond - length) % (1 << 32) // step * step
        window = "WRITE_LAST" if name == "c_address" else "READ_LAST"
        session.write(window, last)
        session.run_for(edited(image, 0, **fields, **{name: base}), 90)
        session.write(window, 0xFFFF_FFFF)
    session.product(dense, b)


def odd_addresses(session: Session) -> None:
    """The address of an error stays as it is."""
    a, b = session.matrix(3, 9, 0.9, "dense"), session.matrix(9, 4, 0.9, "dense")
    session.memory()
    session.write("READ_LAST", 0xFFFF)
    for address in (0x1_0001, 0x1_0003):
        session.run(edited(session.image(a, b), 0, a_values=address), look=False)
        for cycles in (1, 2, 1):
            assert session.read("ERROR_ADDRESS") == address
            session.recorder.run_cycles(cycles)
    session.write("READ_LAST", 0xFFFF_FFFF)


def long_lists(session: Session) -> None:
    """Hundreds and thousands of descriptors in one list; what they do not use of their fields is anything."""
    rng = session.rng
    unused = ("cin_address", "cin_stride", "params_address", "a_pointers", "a_indices", "a_nnz")
    a, b = session.matrix(1, 4, 0.9, "dense"), session.matrix(4, 4, 0.9, "dense")
    for count in (511, LONG_LIST if session.config.port_bytes > 4 else 200):
        session.memory(latency=3)
        image = session.image(a, b)
        descriptors = []
        for _ in range(min(count, 300)):
            fields = {name: int(rng.integers(0, 1 << 30)) * 4 for name in unused}
            edited(image, 0, c_address=int(rng.integers(1 << 19, 1 << 22)) * 4, **fields)
            descriptors.append(bytes(content_of(image)))
        repeats = -(-count // len(descriptors))
        image.descriptor_address, image.descriptor_count = 0x10_0000, count
        image.pieces.append((0x10_0000, b"".join(descriptors * repeats)[:count * DESCRIPTOR_BYTES]))
        session.start(image)
        session.recorder.wait_interrupt(10 * PATIENCE_CYCLES)
        assert session.read("ERROR") == 0
        assert session.read("COMPLETED") == count
        for content in descriptors[:8]:
            place = int.from_bytes(content[4 * FIELDS["c_address"].word:][:4], "little")
            assert session.recorder.read_memory(place, image.c_bytes) == expected_result(a, b).tobytes()


def wrapping_sums(session: Session) -> None:
    """Sums that are in range in every PE, and beyond it when they meet: the overflow flag tells. And biases
    that would take the sum of any other row of their word out of range, but not their own's."""
    pes, entries = session.config.pes, 1 << 17
    a = sp.csr_array((np.full(4, -128, np.int8), np.arange(4), np.array([0, 4, 4])), shape=(2, max(4, pes)))
    b = np.full((max(4, pes), 3), -128, np.int8)
    image = session.image(a, b, session.plan(a, b))
    fields = fields_of(image, 0)
    ends = np.array([entries, entries]) + fields["a_first"]
    image.pieces += [(fields["a_pointers"], ends.astype("<u4").tobytes()),
                     (0xA0_0000, (np.arange(entries) % pes).astype("<u2").tobytes()),
                     (0xC0_0000, np.full(entries, -128, np.int8).tobytes())]
    session.memory(latency=3)
    session.start(edited(image, 0, a_nnz=entries, a_indices=0xA0_0000, a_values=0xC0_0000,
                         pk_log2=session.config.pe_bits))
    session.recorder.wait_interrupt(10 * PATIENCE_CYCLES)
    assert session.read("ERROR") == 0
    session.look()
    for columns in (1, 2):
        a, b = session.matrix(8, 9, 0.9, "dense"), session.matrix(9, columns, 1.0, "dense")
        b[:] = np.abs(b)
        signs = np.array([1, -1, -1, 1, -1, 1, 1, -1])[:, None]
        a = (np.abs(a.astype(np.int16)).clip(1, 127) * signs).astype(np.int8)
        bias = (-signs * ((1 << 31) - 1)).astype(np.int32)
        session.product(a, b, session.plan(a, b, bias=bias), bias=bias)


def leftovers(session: Session) -> None:
    """Packed tiles with row pointers that leave much of their data over, before another tile."""
    if not session.config.compressed_b:
        return
    a, b = session.matrix(5, 12, 0.5, "csr"), session.matrix(12, 18, 0.5, "csr")
    plan = session.plan(a, b, k_cuts=(0, 6, 12), packed=True)
    for latency, extra in ((2, 90), (9, 300), (32, 300)):
        image = session.image(a, b, plan)
        fields = fields_of(image, 0)
        session.memory(latency=latency)
        image.pieces.append((fields["b_pointers"], (fields["b_first"] + 1).to_bytes(4, "little") * 6))
        session.run(edited(image, 0, b_nnz=extra, b_indices=0xC0_0000, b_values=0xE0_0000))
        session.product(a, b, plan)


def long_tile_rows(session: Session) -> None:
    """Rows of a packed tile with tens of thousands of stored zeros, which take no place in it."""
    if not session.config.compressed_b:
        return
    a = session.matrix(5, 6, 0.9, "dense")
    for zeros in (0x1003, 0x2805, 0x6F02, 0x7A05, 0x8B09):
        b = session.matrix(6, 9, 0.6, "csr")
        image = session.image(a, b, session.plan(a, b, packed=True))
        fields = fields_of(image, 0)
        first = int(b.indptr[2])
        pointers = b.indptr.astype(np.int64)
        pointers[2:] += zeros
        indices = np.concatenate([b.indices[:first], np.zeros(zeros, np.int32), b.indices[first:]])
        values = np.concatenate([b.data[:first], np.zeros(zeros, np.int8), b.data[first:]])
        image.pieces += [(0xA0_0000, (pointers[1:] + fields["b_first"]).astype("<u4").tobytes()),
                         (0xC0_0000, indices.astype("<u2").tobytes()), (0xE0_0000, values.tobytes())]
        session.any_memory()
        edited(image, 0, b_nnz=len(values), b_pointers=0xA0_0000, b_indices=0xC0_0000, b_values=0xE0_0000)
        assert session.run(image) == 0
        found = np.frombuffer(session.recorder.read_memory(image.c_address, image.c_bytes), "<i4")
        np.testing.assert_array_equal(found.reshape(image.c_shape), expected_result(a, b))


def deep_tiles(session: Session) -> None:
    """Dense tiles that take all of the tile memory, under every P_k, number of words and of rows a word."""
    config = session.config
    lane_bytes = config.tile_bytes // (config.pes * config.lanes)
    for pk in range(config.pe_bits + 1):
        for words in (1, config.acc_words // 2, config.acc_words):
            inner, columns = (lane_bytes // words) << pk, config.lanes * words * (config.pes >> pk)
            a, b = session.matrix(4, inner, 0.1, "csr"), session.matrix(inner, columns, 0.9, "dense")
            base = session.plan(a, b)
            session.memory()
            session.product(a, b, plan=replace(
                base, packed=False, densified=False, pk_log2=pk, group_log2=0, slice_words=words,
                k_cuts=(0, inner), whole=True, block_columns=columns))
    for group in range(1, config.lane_bits + 1):
        inner, columns = lane_bytes << (config.pe_bits + group), config.lanes >> group
        a, b = session.matrix(4, inner, 0.02, "csr"), session.matrix(inner, columns, 0.9, "dense")
        base = session.plan(a, b)
        session.product(a, b, plan=replace(
            base, packed=False, densified=False, pk_log2=config.pe_bits, group_log2=group, slice_words=1,
            k_cuts=(0, inner), whole=True, block_columns=columns))
