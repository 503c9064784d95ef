"""The smallest job by hand: a dense product in one descriptor, as memory before and after."""

from dataclasses import dataclass

import numpy as np

from hdl.config import Config
from hdl.descriptor import DESCRIPTOR_FIELDS, Opcode
from hdl.registers import register

__all__ = ["DenseJob", "dense_job"]

ROWS, DEPTH = 9, 24
DESCRIPTOR_ADDRESS, A_ADDRESS, B_ADDRESS, C_ADDRESS, MEMORY_BYTES = 0x400, 0x1000, 0x2000, 0x3000, 0x8000


@dataclass(frozen=True)
class DenseJob:
    """Memory from address 0 before and after, and the register writes that start the job."""

    image: bytes
    expected: bytes
    writes: list[tuple[int, int]]


def dense_job(config: Config) -> DenseJob:
    """A product of two int8 matrices with some zeros, as wide as one word of every PE."""
    columns = config.total_lanes
    rng = np.random.default_rng(11)
    a = rng.integers(-128, 128, (ROWS, DEPTH), dtype=np.int8)
    a[rng.random(a.shape) < 0.4] = 0
    b = rng.integers(-128, 128, (DEPTH, columns), dtype=np.int8)
    image = bytearray(MEMORY_BYTES)
    job = _descriptor(
        opcode=Opcode.MATMUL.value, whole=1, pk_log2=0, rows=ROWS, k_count=DEPTH, n_count=columns,
        a_values=A_ADDRESS, a_stride=DEPTH, a_columns=DEPTH, b_values=B_ADDRESS, b_stride=columns,
        b_columns=columns, c_address=C_ADDRESS, c_stride=4 * columns, slice_words=1)
    for address, content in ((DESCRIPTOR_ADDRESS, job), (A_ADDRESS, a.tobytes()), (B_ADDRESS, b.tobytes())):
        image[address:address + len(content)] = content
    expected = bytearray(image)
    product = a.astype("<i4") @ b.astype("<i4")
    expected[C_ADDRESS:C_ADDRESS + product.nbytes] = product.tobytes()
    values = {"CONTROL": 1, "DESCRIPTOR": DESCRIPTOR_ADDRESS, "COUNT": 1, "DOORBELL": 1}
    return DenseJob(bytes(image), bytes(expected),
                    [(register(name).address, value) for name, value in values.items()])


def _descriptor(**values: int) -> bytes:
    words = [0] * 32
    for field in DESCRIPTOR_FIELDS:
        words[field.word] |= values.pop(field.name, 0) << field.offset
    assert not values
    return np.array(words, "<u4").tobytes()
