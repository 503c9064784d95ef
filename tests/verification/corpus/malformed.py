"""Jobs that are wrong: descriptors, addresses, CSR arrays, tiles that do not fit."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from hdl.descriptor import DESCRIPTOR_BYTES
from hdl.registers import ErrorCode

from .images import FIELDS, content_of, edited, field_of, fields_of
from .session import STORAGE_BYTES, Session

__all__ = ["bad_csr", "bad_fields", "bus_errors", "late_faults", "packed_overflow",
           "pointer_bits"]

OUTSIDE = 0xF000_0000

def bad_fields(session: Session) -> None:
    """Each field of a descriptor with values that may be wrong, in each of three descriptors."""
    config = session.config
    a, b = session.matrix(4, 20, 0.5, "csr"), session.matrix(20, 18, 0.9, "dense")
    bad: list[dict[str, int]] = [
        {"opcode": 99}, {"opcode": 0}, {"a_format": 3}, {"b_format": 3}, {"whole": 1, "half": 1},
        {"out_int8": 1, "out_raw": 1}, {"pk_log2": 9}, {"group_log2": 9}, {"group_log2": 1}, {"rows": 0},
        {"k_count": 0}, {"k_count": 0x8000_0000}, {"n_count": 0}, {"n_count": 10_000}, {"slice_words": 0},
        {"slice_words": 200}, {"c_address": 2}, {"cin_address": 1, "accumulate": 1},
        {"params_address": 2, "row_bias": 1}, {"a_pointers": 2}, {"a_indices": 1}, {"reuse_tile": 1},
        {"relu": 1, "out_raw": 1}, {"row_scale": 1, "out_raw": 1}, {"k_count": 0, "b_format": 1},
        {"group_log2": 1, "pk_log2": config.pe_bits, "b_format": 1, "slice_words": 1},
        {"accumulate": 1, "cin_stride": 2}, {"out_csr": 1, "n_start": 1 << 16}, {"out_csr": 1, "n_start": (1 << 32) - 1},
        {"group_log2": 1, "pk_log2": 0, "slice_words": 1, "n_count": 1}]
    for number, values in enumerate(bad):
        session.any_memory()
        image = session.image(a, b, session.plan(a, b, k_cuts=(0, 7, 13, 20)))
        session.run(edited(image, number % 3, **values), look=number % 4 == 0)
    session.product(a, b)
    if config.compressed_b:
        # No column index of 16 bits comes up to a block that begins past them: its sums are all absent.
        sparse = session.matrix(20, 18, 0.5, "csr")
        image = session.image(a, sparse, session.plan(a, sparse, packed=True))
        assert session.run(edited(image, 0, n_start=1 << 16)) == 0
        assert not any(session.recorder.read_memory(image.c_address, image.c_bytes))
    # Limits are compared in all of their bits.
    session.memory(limit_bytes=STORAGE_BYTES)
    limits = {"k_count": (4 * config.index_rows, config.tile_bytes, config.tile_bytes + 1),
              "n_count": (config.lanes, config.max_block_columns, config.max_block_columns + 1),
              "slice_words": (config.acc_words, config.acc_words + 1), "pk_log2": (0, config.pe_bits + 1),
              "group_log2": (0, config.lane_bits + 1)}
    for name, edges in limits.items():
        bits = FIELDS[name].bits
        for value in (*edges, *(1 << bit for bit in range(bits)), (1 << bits) - 1):
            for packed in (False, True)[:1 + (config.compressed_b and name == "k_count")]:
                image = session.image(a, b, session.plan(a, b))
                session.run(edited(image, 0, **{name: value, "b_format": int(packed)}), look=False)
    session.memory()
    session.product(a, b)
    for address, count in ((1, 1), (0, 0)):
        image = session.image(a, b)
        image.descriptor_address += address
        image.pieces = []
        assert session.run(image, count) & 0xFF == ErrorCode.FIELD
    session.product(a, b)


def bus_errors(session: Session) -> None:
    """Every stream outside the memory, from its first beat or from a later one on."""
    for form, packed in (("csr", session.config.compressed_b), ("dense", False)):
        a, b = session.matrix(12, 40, 0.5, form), session.matrix(40, 18, 0.6, "csr" if packed else "dense")
        bias = np.arange(12, dtype=np.int32)[:, None]
        for field in ("a_values", "a_pointers", "a_indices", "b_values", "b_pointers", "b_indices",
                      "c_address", "cin_address", "params_address"):
            for number in range(3):
                session.any_memory(STORAGE_BYTES)
                plan = session.plan(a, b, k_cuts=(0, 11, 20, 40), packed=packed, bias=bias)
                outside = OUTSIDE + int(session.rng.integers(0, 1 << 21)) * 64
                session.run(edited(session.image(a, b, plan, bias=bias), number, **{field: outside}),
                            look=number == 1)
        session.memory()
        session.product(a, b, bias=bias)
        image = session.image(a, b, session.plan(a, b, k_cuts=(0, 11, 20, 40), packed=packed, bias=bias),
                              bias=bias)
        for part in range(1, 6):
            session.memory(limit_bytes=image.used_bytes * part // 6 // 64 * 64)
            session.run(image)
        session.memory()
        session.product(a, b, bias=bias)
    session.memory(limit_bytes=STORAGE_BYTES)
    image.descriptor_address = OUTSIDE
    image.pieces = []
    assert session.run(image) & 0xFF == ErrorCode.READ_BUS


def bad_csr(session: Session) -> None:
    """Row pointers that decrease or do not match, column indices at and past the end, in A and in B."""
    packed = session.config.compressed_b
    for matrix in ("a", "b")[:1 + packed]:
        a, b = session.matrix(12, 40, 0.5, "csr"), session.matrix(40, 18, 0.5, "csr" if packed else "dense")
        for offset, pointer in ((0, 1000), (4, 0), (44, 7), (8, 1), (12, 0xFFFF_FFFF)):
            session.any_memory()
            image = session.image(a, b, session.plan(a, b, k_cuts=(0, 11, 20, 40), packed=packed))
            place = field_of(image, 0, f"{matrix}_pointers") + offset
            image.pieces.append((place, pointer.to_bytes(4, "little")))
            session.run(image)
        for place, index in ((0, 40), (17, 41), (17, 18), (-1, 0xFFFF), (3, 0x4000)):
            image = session.image(a, b, session.plan(a, b, k_cuts=(0, 11, 20, 40), packed=packed))
            entries = field_of(image, 0, f"{matrix}_nnz")
            start = field_of(image, 0, f"{matrix}_indices") + 2 * (place % entries)
            image.pieces.append((start, index.to_bytes(2, "little")))
            session.run(image)
        for field in ("a_nnz", "a_first", "a_columns", "b_nnz", "b_first", "b_columns"):
            image = session.image(a, b, session.plan(a, b, k_cuts=(0, 11, 20, 40), packed=packed))
            session.run(edited(image, 1, **{field: field_of(image, 1, field) // 2 + 1}))
        session.product(a, b)


def packed_overflow(session: Session) -> None:
    if not session.config.compressed_b:
        return
    for rows, inner, columns in ((3, 100, 40), (3, 150, 4), (2, 40, 100)):
        a, b = np.ones((rows, inner), np.int8), sp.csr_array(np.ones((inner, columns), np.int8))
        packed = [plan for plan in session.device.plans(a, b) if plan.packed and not plan.transposed]
        if packed:
            session.memory()
            plan = replace(packed[0], k_cuts=(0, inner), k_ranges=())
            session.run(session.image(a, b, plan))
    session.product(*(session.matrix(9, 9, 0.5, "csr") for _ in range(2)))


def late_faults(session: Session) -> None:
    """Faults of each unit in descriptors with high numbers, which it must name."""
    packed = session.config.compressed_b
    a, b = session.matrix(2, 6, 0.9, "csr"), session.matrix(6, 3, 0.9, "csr" if packed else "dense")
    bias = np.arange(2, dtype=np.int32)[:, None]
    places = ["a_pointers", "a_indices", "a_values", "b_values", "c_address", "params_address"]
    bad: list[dict[str, int]] = [{name: OUTSIDE} for name in places]
    bad += [{"a_columns": 1}, {"a_first": 1 << 30}, *([{"b_columns": 1}, {"b_first": 1 << 30}] * packed)]
    session.memory(latency=3, limit_bytes=STORAGE_BYTES)
    for number, values in enumerate(bad):
        image = session.image(a, b, session.plan(a, b, packed=packed, bias=bias), bias=bias)
        descriptor = bytes(content_of(image))
        assert image.descriptor_count == 1
        late = (14, 53, 68)[number % 3]
        image.descriptor_address = image.place((late + 1) * DESCRIPTOR_BYTES)
        image.descriptor_count = late + 1
        image.pieces.append((image.descriptor_address, descriptor * (late + 1)))
        error = session.run(edited(image, late, **values), look=False)
        assert error >> 16 == late, hex(error)
    session.memory()
    session.product(a, b)


def pointer_bits(session: Session) -> None:
    """Row pointers that decrease, and that pass the number of entries, by one and by a power of two."""
    packed = session.config.compressed_b
    a, b = session.matrix(4, 20, 0.5, "csr"), session.matrix(20, 9, 0.5, "csr" if packed else "dense")
    session.memory(latency=3)
    for matrix in ("a", "b")[:1 + packed]:
        for bit in range(2, 30):
            size = 1 << bit
            for entries, pointers in ((size + 64, (size + 5, size - 1)), (size, (size + 1, size + 1))):
                image = session.image(a, b, session.plan(a, b, packed=packed))
                fields = fields_of(image, 0)
                content = b"".join((fields[f"{matrix}_first"] + pointer).to_bytes(4, "little")
                                   for pointer in pointers)
                image.pieces.append((fields[f"{matrix}_pointers"], content))
                error = session.run(edited(image, 0, **{f"{matrix}_nnz": entries}), look=False)
                assert error & 0xFF == ErrorCode.ROW_POINTER, hex(error)
    session.memory()
    session.product(a, b)
