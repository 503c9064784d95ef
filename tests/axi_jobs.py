"""Jobs for the flat pins: memory before and after, and what the registers must say."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hdl.config import MAX_BURST_BEATS, Config
from hdl.descriptor import DESCRIPTOR_BYTES, Opcode
from hdl.registers import ErrorCode, register
from tests.products import draw_matrix, draw_options
from zerolane.device import expected_result
from zerolane.planner import make_plan
from zerolane.problem import as_problem
from zerolane.runtime import build_image, pack_descriptor

__all__ = ["MEMORY_BYTES", "AxiJob", "bursts_of_every_length", "drawn_product", "read_outside"]

MEMORY_BYTES = 1 << 16


@dataclass
class AxiJob:
    """Memory from address 0 on before and after, and registers written before, read after.

    Attributes
    ----------
    writes : address, value
    reads : address, bits that are looked at, what they must be
    undefined : first address and length of what a job with an error may leave in its output
    """

    name: str
    image: bytearray
    expected: bytearray
    writes: list[tuple[int, int]]
    reads: list[tuple[int, int, int]]
    undefined: tuple[int, int] = (0, 0)


def _job(name: str, image: bytearray, descriptor: int, count: int, error: int = 0) -> AxiJob:
    values = {"IRQ": 1, "CONTROL": 1, "DESCRIPTOR": descriptor, "COUNT": count, "DOORBELL": 1}
    expected = [("STATUS", 0b111, 0b110 if error else 0b010), ("ERROR", 0xFF, error)]
    if not error:
        expected.append(("COMPLETED", 0xFFFF_FFFF, count))
    return AxiJob(name, image, bytearray(image),
                  [(register(key).address, value) for key, value in values.items()],
                  [(register(key).address, mask, value) for key, mask, value in expected])


def bursts_of_every_length(config: Config) -> AxiJob:
    """One descriptor for each length: rows of A and of C, apart from each other, of that many beats."""
    lanes, beat = config.lanes, config.port_bytes
    rng = np.random.default_rng(3)
    image = bytearray(rng.integers(0, 256, MEMORY_BYTES, dtype=np.uint8).tobytes())
    block = MAX_BURST_BEATS * beat
    place, rows = 0x1000, 2
    descriptors, results = b"", []
    for beats in range(1, MAX_BURST_BEATS + 1):
        inner, columns = beats * beat, max(1, beats * beat // 4)
        a = rng.integers(-128, 128, (rows, inner), dtype=np.int8)
        b = rng.integers(-128, 128, (inner, columns), dtype=np.int8)
        a_place, c_place = place, place + rows * block
        b_place = c_place + rows * block
        place = -(-(b_place + b.nbytes) // block) * block
        for row in range(rows):
            start = a_place + row * block
            image[start:start + inner] = a[row].tobytes()
            results.append((c_place + row * block, a[row].astype("<i4") @ b.astype("<i4")))
        image[b_place:b_place + b.nbytes] = b.tobytes()
        group = (lanes // (1 << (columns - 1).bit_length())).bit_length() - 1 if columns < lanes else 0
        descriptors += pack_descriptor({
            "opcode": Opcode.MATMUL, "whole": 1, "pk_log2": config.pe_bits, "group_log2": group, "rows": rows,
            "k_count": inner, "n_count": columns, "a_values": a_place, "a_stride": block, "a_columns": inner,
            "b_values": b_place, "b_stride": columns, "b_columns": columns, "c_address": c_place,
            "c_stride": block, "slice_words": -(-columns // lanes)})
    assert len(image) == MEMORY_BYTES and place <= MEMORY_BYTES
    image[:len(descriptors)] = descriptors
    job = _job("bursts of every length", image, 0, len(descriptors) // DESCRIPTOR_BYTES)
    for address, values in results:
        job.expected[address:address + values.nbytes] = values.astype("<i4").tobytes()
    return job


def drawn_product(config: Config, seed: int, a_form: str, b_form: str, shape: tuple[int, int, int],
                  **finish: Any) -> AxiJob:
    """A product as the runtime lays it out, in one descriptor or more."""
    rng = np.random.default_rng(seed)
    rows, inner, columns = shape
    a, b = draw_matrix(rng, rows, inner, 0.3, a_form), draw_matrix(rng, inner, columns, 0.4, b_form)
    options = draw_options(rng, rows, columns, finish.get("bias"), finish.get("scale"),
                           finish.get("relu", False))
    problem = as_problem(a, b, **options)
    plan = make_plan(problem, config)
    image = build_image(problem, plan, MEMORY_BYTES)
    memory = bytearray(MEMORY_BYTES)
    for address, content in image.pieces:
        memory[address:address + len(content)] = content
    job = _job(f"{a_form} x {b_form}, {shape}, {finish}", memory, image.descriptor_address,
               image.descriptor_count)
    result = expected_result(a, b, **options)
    content = np.ascontiguousarray(result.T if plan.transposed else result).tobytes()
    job.expected[image.c_address:image.c_address + len(content)] = content
    return job


def read_outside(config: Config) -> AxiJob:
    """A dense product whose A lies beyond the memory: the error is reported, nothing but C is written."""
    descriptor = pack_descriptor({
        "opcode": Opcode.MATMUL, "whole": 1, "pk_log2": config.pe_bits, "rows": 1, "k_count": 8,
        "n_count": config.lanes, "a_values": MEMORY_BYTES, "a_stride": 8, "a_columns": 8, "b_values": 0x1000,
        "b_stride": config.lanes, "b_columns": config.lanes, "c_address": 0x2000,
        "c_stride": 4 * config.lanes, "slice_words": 1})
    memory = bytearray(MEMORY_BYTES)
    memory[:len(descriptor)] = descriptor
    job = _job("a read outside", memory, 0, 1, ErrorCode.READ_BUS)
    job.undefined = (0x2000, 4 * config.lanes)
    return job
