"""What a descriptor does to memory, in NumPy, and which faults its operands have."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hdl.config import Config
from hdl.descriptor import Opcode
from hdl.layouts import SCALE_LEFT_BITS, SCALE_RIGHT_BITS
from hdl.registers import ErrorCode
from sim.models.csr_write import csr_writes
from sim.models.elementwise import run_elementwise
from sim.models.packed_room import packed_misfit

__all__ = ["Outcome", "run_product", "scaled"]

_INT8 = range(-128, 128)


@dataclass(frozen=True)
class Outcome:
    """What a descriptor's data came to.

    Attributes
    ----------
    faults : codes of what is wrong with its operands; the first one that the array meets ends the job
    rows : (address, bytes) of every row of C, or of the arrays of a CSR result; empty where there are faults
    tile : B as it rests in the array, for the next descriptor: its numbers, and how many entries make each
    """

    faults: frozenset[ErrorCode]
    rows: list[tuple[int, bytes]]
    tile: np.ndarray


class _Memory:
    """Bytes as arrays."""

    def __init__(self, memory: bytes):
        self._bytes = np.frombuffer(memory, np.uint8)

    def values(self, address: int, count: int, dtype: str) -> np.ndarray:
        size = np.dtype(dtype).itemsize
        return np.frombuffer(self._bytes[address:address + count * size].tobytes(), dtype)

    def rows(self, address: int, rows: int, length: int, stride: int, dtype: str) -> np.ndarray:
        return np.array([self.values(address + number * stride, length, dtype) for number in range(rows)],
                        dtype).reshape(rows, length)

    def sums(self, address: int, count: int, lanes: int, stride: int, shape: tuple[int, ...]) -> np.ndarray:
        """`count` sums of words that follow each other or are one, and zeros up to whole words."""
        found = self.values(address, count if stride else min(count, lanes), "<i4")
        result = np.zeros(shape, np.int64)
        result.flat[:count] = found[np.arange(count) % len(found)]
        return result


def run_product(config: Config, memory: bytes, d: Mapping[str, int], tile: np.ndarray) -> Outcome:
    """Run a descriptor that is not refused. `tile` is what rests in the array, for `reuse_tile`."""
    read, faults = _Memory(memory), set()
    if d["opcode"] != Opcode.MATMUL.value:
        return Outcome(*run_elementwise(read.values, d, scaled), tile)
    rows, k_count, n_count = d["rows"], d["k_count"], d["n_count"]
    a, tokens = _matrix(read, d, "a", d["a_format"], rows, d["k_start"], k_count, faults)
    if not d["reuse_tile"]:
        tile = _matrix(read, d, "b", max(0, d["b_format"] - 1), k_count, d["n_start"], n_count, faults)
        if d["b_format"] == 0:
            tile[1] = 1
        elif not faults:
            k, n = (np.repeat(places, tile[1][tile[1] != 0]) for places in np.nonzero(tile[1]))
            if packed_misfit(config, d, k, n):
                faults.add(ErrorCode.PACKED_OVERFLOW)
    if faults or (k_count, n_count) != tile[0].shape:
        return Outcome(frozenset(faults), [], tile)
    sums = a @ tile[0]
    group, lanes = 1 << d["group_log2"], config.lanes
    width = lanes // group if d["group_log2"] else -(-n_count // lanes) * lanes
    groups = -(-rows // group)
    whole = np.zeros((groups * group, width), np.int64)
    whole[:rows, :n_count] = sums
    whole = whole.reshape(groups, group * width)
    vector = config.serial and group > 1   # its last word has only the sums of rows
    if d["accumulate"] and not d["out_csr"]:
        earlier = (read.rows(d["cin_address"], groups, group * width, d["cin_stride"], "<i4") if not vector
                   else read.sums(d["cin_address"], rows, lanes, d["cin_stride"], whole.shape))
        whole = whole + earlier
    per_row = whole.reshape(groups * group, width)
    records = read.rows(d["params_address"], rows, d["row_bias"] + d["row_scale"],
                        4 * (d["row_bias"] + d["row_scale"]), "<u4")
    if d["row_bias"]:
        per_row[:rows] += records[:, :1].astype("<i4")
    per_row = per_row.astype("<i4")   # wraps
    if d["relu"]:
        per_row = np.maximum(per_row, 0)
    if vector and d["out_raw"]:
        result = per_row[:rows].reshape(1, rows)
    elif d["out_raw"]:
        result = per_row.reshape(groups, group * width)
    elif d["out_int8"]:
        words = records[:, -1].tolist() if d["row_scale"] else [d["scale"]] * rows
        result = np.array([[scaled(int(x), word) for x in line[:n_count]]
                           for line, word in zip(per_row[:rows], words, strict=True)], np.int8)
    else:
        result = per_row[:rows, :n_count]
    if d["out_csr"]:
        numbers = read.values(d["cin_address"], rows, "<u4") if d["accumulate"] else None
        needed, writes = csr_writes(d, result, (tokens @ tile[1] != 0)
                                    & ((result != 0) | (not d["csr_drop_zeros"])), numbers)
        return Outcome(frozenset({ErrorCode.OUTPUT_FULL} if needed is not None else ()), writes, tile)
    return Outcome(frozenset(), [(d["c_address"] + number * d["c_stride"], line.tobytes())
                                 for number, line in enumerate(result)], tile)


def _matrix(read: _Memory, d: Mapping[str, int], name: str, form: int, rows: int, start: int, count: int,
            faults: set[ErrorCode]) -> np.ndarray:
    """A block of A or B as numbers, duplicates added up; and how many entries that are not zero make each."""
    if form == 0:
        numbers = read.rows(d[f"{name}_values"], rows, count, d[f"{name}_stride"], "i1").astype(np.int64)
        return np.stack([numbers, numbers != 0])
    result, nnz = np.zeros((2, rows, count), np.int64), d[f"{name}_nnz"]
    if not rows:
        return result
    pointers = read.values(d[f"{name}_pointers"], rows, "<i4").astype(np.int64)
    first = d[f"{name}_first"]
    ends = pointers - (first - (first >> 31 << 32))
    if (np.diff(ends, prepend=0) < 0).any() or ends[-1] != nnz or (ends > nnz).any():
        faults.add(ErrorCode.ROW_POINTER)
    indices = read.values(d[f"{name}_indices"], nnz, "<u4" if form == 2 else "<u2").astype(np.int64)
    if (indices >= d[f"{name}_columns"]).any():
        faults.add(ErrorCode.COLUMN_INDEX)
    if not faults:
        values = read.values(d[f"{name}_values"], nnz, "i1")
        for row, (begin, end) in enumerate(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)):
            local = indices[begin:end] - start
            inside = (local >= 0) & (local < count)
            numbers = values[begin:end][inside].astype(np.int64)
            np.add.at(result[0, row], local[inside], numbers)
            np.add.at(result[1, row], local[inside], numbers != 0)
    return result


def scaled(x: int, word: int) -> int:
    """`hdl.layouts.ScaleWord`, in Python's own integers."""
    multiplier, shift = word & 0xFFFF, word >> 16 & 31
    y = min(max(_round_shift(x << SCALE_LEFT_BITS, shift), -(1 << 17)), (1 << 17) - 1)
    return min(max(_round_shift(y * multiplier, SCALE_RIGHT_BITS), _INT8.start), _INT8.stop - 1)


def _round_shift(x: int, shift: int) -> int:
    return (x + (1 << shift >> 1)) >> shift
