"""What a descriptor's opcode does not use may be anything; and sizes that are a single power of two."""

from typing import Any

import numpy as np

from hdl.descriptor import Opcode
from zerolane import runtime
from zerolane.device import expected_result
from zerolane.elementwise import as_elementwise, build_elementwise, describe
from zerolane.sddmm import sddmm_plans

from .images import FIELDS, edited, fields_of, row_count
from .merging import run_merge
from .sampling import check_samples, draw_samples, sample_image
from .session import MEMORY_BYTES, STORAGE_BYTES, Session

__all__ = ["large_sizes", "lone_bits", "unused_arrays", "unused_fields"]

TRIALS = 10
SOME_CYCLES = 150
_SUMS = ("cin_address", "cin_stride", "params_address", "scale")
_CSR = ("c_indices", "c_pointers", "c_capacity", "csr_index32", "csr_drop_zeros")
_MERGED = (*_SUMS, "half", "whole", "pk_log2", "slice_words", "c_stride", "x_values")
_SAMPLED = (*_SUMS, *_CSR, "c_stride", "n_start", "operation", "b_pointers", "b_indices", "b_nnz", "b_first",
            "b_columns")
_PRODUCT = (*_SUMS, "c_stride", "x_values", "operation")
_ARRAYS = ("pointers", "indices", "nnz", "first", "columns")


def _anything(session: Session, image: runtime.Image, names: tuple[str, ...]) -> runtime.Image:
    for number in range(image.descriptor_count):
        fields = fields_of(image, number)
        kept = _SUMS if fields["accumulate"] else ()
        edited(image, number, **{name: int(session.rng.integers(0, 1 << FIELDS[name].bits))
                                 for name in names if name not in kept})
    return image


def unused_fields(session: Session) -> None:
    """Random numbers in them change nothing."""
    config = session.config
    for _ in range(TRIALS):
        session.any_memory()
        if config.elementwise:
            x, y = (session.matrix(6, 24, 0.5, "csr") for _ in range(2))
            for left in (x, x.astype(np.int32)):
                image, fields = build_elementwise(as_elementwise("add", left, y), config, MEMORY_BYTES)
                describe(image, fields)
                assert run_merge(session, _anything(session, image, _MERGED)) == 0
        if config.sddmm:
            problem = draw_samples(session, session.matrix(6, 18, 0.5, "csr"), 20)
            plans = sddmm_plans(problem, config)
            plan = plans[int(session.rng.integers(len(plans)))]
            image = _anything(session, sample_image(session, problem, plan), _SAMPLED)
            base = session.move(image)
            assert session.run(image, base=base) == 0
            check_samples(session, problem, image, base)
        if config.csr_out:
            a, b = session.matrix(6, 12, 0.5, "csr"), session.matrix(12, 9, 0.5, "csr")
            image = _anything(session, session.image(a, b, out="csr"), _PRODUCT)
            base = session.move(image)
            assert session.run(image, base=base) == 0
            found = runtime.read_csr((6, 9), image, lambda address, length, base=base: (
                session.recorder.read_memory((base + address) % STORAGE_BYTES, length)))
            np.testing.assert_array_equal(found.toarray(), expected_result(a, b, out="csr").toarray())


def unused_arrays(session: Session) -> None:
    """Of dense matrices what only CSR has is nothing, one, the largest number or any; behind products of$
    wider sparse ones, whose last indices are still there."""
    rng, config = session.rng, session.config
    for number in range(2 * TRIALS):
        packed = config.compressed_b and number % 2 == 0
        sparse = session.matrix(5, 60, 0.5, "csr"), session.matrix(60, 70, 0.4, "csr" if packed else "dense")
        session.any_memory()
        session.product(*sparse, session.plan(*sparse, packed=packed))
        a, b = session.matrix(4, 21, 0.6, "dense"), session.matrix(21, 1 + number // 2, 0.6, "dense")
        image = session.image(a, b, session.plan(a, b))
        grouped = fields_of(image, 0)["group_log2"] > 0
        edited(image, 0, b_format=int(packed and not grouped))
        for name in (f"{matrix}_{array}" for matrix in "ab" for array in _ARRAYS):
            edited(image, 0, **{name: int(rng.choice([0, 0, 1, 0xFFFF_FFFF, rng.integers(1 << 32)]))})
        assert session.run(image) == 0
        found = np.frombuffer(session.recorder.read_memory(image.c_address, image.c_bytes), "<i4")
        np.testing.assert_array_equal(found.reshape(image.c_shape), expected_result(a, b))


def lone_bits(session: Session) -> None:
    """Each size of a job by itself is a power of two: how it begins shows whether all of its bits count."""
    config = session.config
    a, b = session.matrix(3, 9, 0.9, "dense"), session.matrix(9, 4, 0.9, "dense")
    sparse, sparse_b = session.matrix(3, 9, 0.9, "csr"), session.matrix(9, 4, 0.9, "csr")
    session.memory(latency=3)
    record = {"row_bias": 1, "row_scale": 1, "out_int8": 1, "params_address": 64, "c_stride": 4,
              "a_stride": 0}
    sums = {"accumulate": 1, "cin_address": 64, "cin_stride": 0, "c_stride": 16, "a_stride": 0}

    def begin(image: runtime.Image, **values: Any) -> None:
        session.run_for(edited(image, 0, **values), SOME_CYCLES)

    def begin_long(image: runtime.Image, matrix: str, count: int) -> None:
        """All entries are of the first row, and anything may be their columns."""
        fields = fields_of(image, 0)
        end = (fields[f"{matrix}_first"] + count).to_bytes(4, "little")
        image.pieces.append((fields[f"{matrix}_pointers"], end * row_count(fields, matrix)))
        begin(image, **{f"{matrix}_nnz": count, f"{matrix}_columns": 0xFFFF_FFFF})

    for bit in range(30):
        size = 1 << bit
        if bit < 28:
            for more in range(4):
                begin(session.image(a, b), rows=size + more, **sums)
            begin(session.image(a, b), rows=size, **record)
        # And one beat or chunk more, or two.
        entries = [size + more for more in (0, 2, 4, 8, 16) if more < size]
        for count in entries:
            begin_long(session.image(sparse, b), "a", count)
        begin(session.image(sparse, b), rows=size, c_stride=0 if bit == 0 else 16 if bit < 28 else 4)
        if config.compressed_b:
            packed = session.plan(sparse, sparse_b, packed=True)
            for count in entries:
                begin_long(session.image(sparse, sparse_b, packed), "b", count)
        if config.csr_out:
            for room in (size, size - 1):
                begin(session.image(sparse, sparse_b, out="csr"), c_capacity=room)
        if config.elementwise:
            image, fields = build_elementwise(as_elementwise("add", sparse, sparse), config, MEMORY_BYTES)
            for name in ("rows", "a_nnz", "b_nnz", "c_capacity"):
                describe(image, fields | {name: size})
                session.run_for(image, SOME_CYCLES)
        if config.sddmm:
            problem = draw_samples(session, sparse, 7)
            image = sample_image(session, problem, sddmm_plans(problem, config)[0])
            assert fields_of(image, 0)["opcode"] in (Opcode.SDDMM.value, Opcode.SDDMM_PATTERN.value)
            begin(image, a_nnz=size, out_int8=bit % 2)
    session.product(a, b)


def large_sizes(session: Session) -> None:
    """Rows up to 2^32 of one byte each, of which nothing is lost: else the job ends soon; and patterns of as
    many entries as a power of two, whose first tokens count."""
    config = session.config
    a, b = session.matrix(2, 8, 0.7, "dense"), session.matrix(8, 1, 0.9, "dense")
    finish = {"scale": 1.0, "out_dtype": np.int8}
    session.memory(latency=3)
    for bit in range(26, 32):
        for more in (1, 30):
            image = session.image(a, b, session.plan(a, b, **finish), **finish)
            session.run_for(edited(image, 0, rows=1 << bit | more, a_stride=0, c_address=0, c_stride=1), 600)
    if config.sddmm:
        for bit in range(2, 30):
            problem = draw_samples(session, session.matrix(3, 9, 0.9, "csr") != 0, 7)
            image = sample_image(session, problem, sddmm_plans(problem, config)[0])
            assert fields_of(image, 0)["opcode"] == Opcode.SDDMM_PATTERN.value
            session.run_for(edited(image, 0, a_nnz=1 << bit), 4 * SOME_CYCLES)
    session.product(a, b)
