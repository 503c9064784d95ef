"""From a plan to memory contents and descriptors, and from memory to a result."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from hdl.descriptor import DESCRIPTOR_BYTES, DESCRIPTOR_FIELDS, Opcode
from hdl.layouts import AFormat, BFormat, CsrMode

from .operands import INDEX16_COLUMNS, Operand, OperandError
from .plan import Plan, PlanError, Tile
from .problem import Problem

__all__ = ["ALIGNMENT_BYTES", "Image", "LayoutError", "a_fields", "b_fields", "build_image", "check_room",
           "pack_descriptor", "place_csr", "place_matrix", "read_csr", "sorted_csr", "unpack_result"]

ALIGNMENT_BYTES = 64


class LayoutError(OperandError):
    """A job does not fit in memory, or a value not in its descriptor field; the message names both."""


@dataclass
class Image:
    """A job in memory.

    Attributes
    ----------
    pieces : (address, bytes) to be written before the doorbell
    descriptors : address and number of the descriptors
    c_address, c_shape, c_dtype : the result, rows without a gap, before any transposition
    used_bytes : memory that the job needs, results and scratch included; result and scratch lie at its end:
        nothing before `c_address` is written
    csr : addresses of values, column indices and row pointers of a CSR result, which lies at `c_address` and
        behind it
    """

    pieces: list[tuple[int, bytes]] = field(default_factory=list)
    descriptor_address: int = 0
    descriptor_count: int = 0
    c_address: int = 0
    c_shape: tuple[int, int] = (0, 0)
    c_dtype: npt.DTypeLike = np.int32
    used_bytes: int = 0
    csr: dict[str, int] = field(default_factory=dict)

    @property
    def c_bytes(self) -> int:
        return self.c_shape[0] * self.c_shape[1] * np.dtype(self.c_dtype).itemsize

    def place(self, length: int) -> int:
        """Room for `length` bytes."""
        address = -(-self.used_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
        self.used_bytes = address + length
        return address

    def put(self, array: npt.NDArray) -> int:
        """Room for `array`, little endian, to be filled with it."""
        content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        address = self.place(len(content))
        if content:
            self.pieces.append((address, content))
        return address


def pack_descriptor(values: dict[str, Any]) -> bytes:
    """The 128 bytes of a descriptor; fields not named are 0.

    Raises LayoutError for a value out of its field's range, KeyError for an unknown field.
    """
    words = [0] * (DESCRIPTOR_BYTES // 4)
    known = {descriptor_field.name: descriptor_field for descriptor_field in DESCRIPTOR_FIELDS}
    for name, value in values.items():
        place = known[name]
        number = int(value.value if hasattr(value, "value") else value)
        if not 0 <= number < 1 << place.bits:
            raise LayoutError(f"descriptor field {name} = {number}; "
                              f"it must be from 0 to {(1 << place.bits) - 1}")
        words[place.word] |= number << place.offset
    return np.array(words, "<u4").tobytes()


def place_matrix(image: Image, operand: Operand, *, pattern: bool = False) -> dict[str, int]:
    """Put an operand's arrays there, of a pattern no values; their addresses, and what describes them."""
    if not operand.sparse:
        return {"values": image.put(operand.stored), "stride": operand.shape[1]}
    matrix = operand.stored
    narrow = operand.shape[1] <= INDEX16_COLUMNS
    return {
        "pointers": image.put(matrix.indptr.astype(np.int32, copy=False)),
        "indices": image.put(matrix.indices.astype(np.uint16 if narrow else np.int32, copy=False)),
        "values": 0 if pattern else image.put(matrix.data),
        "index_bytes": 2 if narrow else 4,
    }


def place_csr(image: Image, rows: int, entries: int, out_bytes: int) -> None:
    """Room for a CSR result of so many entries at most."""
    image.c_address = image.place(entries * out_bytes)
    image.csr = {"c_indices": image.place(4 * entries), "c_pointers": image.place(4 * (rows + 1))}


def a_fields(matrix: Operand, place: dict[str, int], k_start: int = 0,
             rows: tuple[int, int] | None = None) -> dict[str, Any]:
    """Descriptor fields of A, from column `k_start` on; of CSR some rows only, if that is said."""
    if not matrix.sparse:
        return {"a_format": AFormat.DENSE, "a_values": place["values"] + k_start,
                "a_stride": place["stride"]}
    start, stop = rows or (0, matrix.shape[0])
    first, last = int(matrix.stored.indptr[start]), int(matrix.stored.indptr[stop])
    before = first - int(matrix.stored.indptr[0])
    return {"a_format": AFormat.CSR16 if place["index_bytes"] == 2 else AFormat.CSR32,
            "a_pointers": place["pointers"] + 4 * (start + 1),
            "a_indices": place["indices"] + place["index_bytes"] * before,
            "a_values": place["values"] + before, "a_nnz": last - first, "a_first": first,
            "a_columns": matrix.shape[1], "rows": stop - start}


def b_fields(matrix: Operand, place: dict[str, int], k_start: int, k_count: int, n_start: int, *,
             packed: bool) -> dict[str, Any]:
    """Descriptor fields of B's rows from `k_start` on, from column `n_start` on."""
    if not matrix.sparse:
        return {"b_format": BFormat.DENSE_PACKED if packed else BFormat.DENSE,
                "b_values": place["values"] + k_start * place["stride"] + n_start,
                "b_stride": place["stride"]}
    first = int(matrix.stored.indptr[k_start])
    nnz = int(matrix.stored.indptr[k_start + k_count]) - first
    return {"b_format": BFormat.CSR16_PACKED if place["index_bytes"] == 2 else BFormat.CSR32_PACKED,
            "b_pointers": place["pointers"] + 4 * (k_start + 1),
            "b_indices": place["indices"] + place["index_bytes"] * first,
            "b_values": place["values"] + first, "b_nnz": nnz, "b_first": first,
            "b_columns": matrix.shape[1]}


def check_room(needed: int, memory_bytes: int) -> None:
    """LayoutError where a job needs more memory than there is."""
    if needed > memory_bytes:
        raise LayoutError(f"the job needs {needed:,} bytes of memory; the device has {memory_bytes:,}")


def build_image(problem: Problem, plan: Plan, memory_bytes: int) -> Image:
    """Lay operands, parameters, scratch, result and descriptors out in memory.

    Raises LayoutError where they need more than `memory_bytes`, PlanError if the plan is another product's.
    """
    if plan.shape != (problem.rows, problem.inner, problem.columns):
        raise PlanError(f"the plan was made for M, K, N = {plan.shape}; this product is "
                        f"{(problem.rows, problem.inner, problem.columns)}")
    check_room(_least_bytes(problem, plan), memory_bytes)
    image = _Builder(problem.transposed if plan.transposed else problem, plan).build()
    check_room(image.used_bytes, memory_bytes)
    return image


def _least_bytes(problem: Problem, plan: Plan) -> int:
    """Result and operands, without making any copy: a lower bound of what the image takes."""
    resident = problem.a if plan.transposed else problem.b
    rest = resident.entries if plan.packed or not resident.sparse else problem.inner * plan.columns
    streamed = problem.b if plan.transposed else problem.a
    result = problem.rows * problem.columns * problem.out_bytes
    if problem.csr:
        result = problem.entries * (4 + problem.out_bytes) + 4 * problem.rows
    return result + rest + streamed.entries


class _Builder:
    """Builds the image of a problem whose A streams."""

    def __init__(self, problem: Problem, plan: Plan):
        self.problem, self.plan, self.config = problem, plan, plan.config
        self.image = Image(c_shape=(problem.rows, problem.columns),
                           c_dtype=np.int8 if problem.out_int8 else np.int32)
        layers = problem.layers_of(problem.b)
        if len(layers) != plan.layers:
            raise PlanError(f"the plan has {plan.layers} layers, the resident operand {len(layers)}")
        self.layers = layers if plan.packed else tuple(layer.dense for layer in layers)

    def build(self) -> Image:
        image, plan = self.image, self.plan
        tiles = plan.tiles()
        image.descriptor_count = len(tiles)
        image.descriptor_address = image.place(len(tiles) * DESCRIPTOR_BYTES)
        self.common = {"opcode": Opcode.MATMUL, "rows": self.problem.rows, "pk_log2": plan.pk_log2,
                       "group_log2": plan.group_log2, "whole": plan.whole, "slice_words": plan.slice_words}
        self.a_fields = place_matrix(image, self.problem.a)
        self.b_fields = [place_matrix(image, layer) for layer in self.layers]
        self._place_parameters()
        if self.problem.csr:
            place_csr(image, self.problem.rows, self.problem.entries, self.problem.out_bytes)
            if plan.counts_first:
                self.numbers = image.place(4 * (self.problem.rows + 1))
        else:
            image.c_address = image.place(image.c_bytes)
        self.steps = (len(plan.k_cuts) - 1) * plan.layers
        if self.steps > 1:
            group_bytes = self._raw_bytes(min(plan.block_columns, plan.columns))
            self.scratch = image.place(group_bytes * -(-self.problem.rows >> plan.group_log2))
        content = b"".join(pack_descriptor(self._descriptor(*numbered)) for numbered in enumerate(tiles))
        image.pieces.append((image.descriptor_address, content))
        return image

    @property
    def _bias_runs_on(self) -> bool:
        """A serial array knows a vector's earlier sums without a gap only: its bias is there for each row."""
        return self.config.serial and self.plan.group_log2 != 0

    def _raw_bytes(self, n_count: int) -> int:
        """Of a row (or group) of sums as whole words."""
        return -(-n_count // self.config.lanes) * self.config.lanes * 4

    def _place_parameters(self) -> None:
        problem, plan, config = self.problem, self.plan, self.config
        records = []
        if problem.row_bias is not None:
            records.append(problem.row_bias.view(np.uint32))
        if problem.row_scale is not None:
            records.append(problem.row_scale)
        self.parameters = self.image.put(np.stack(records, axis=1)) if records else 0
        self.parameter_bytes = 4 * len(records)     # of a row
        if problem.column_bias is None:
            return
        lanes = config.lanes
        padded = np.zeros(-(-problem.columns // lanes) * lanes, np.int32)
        padded[:problem.columns] = problem.column_bias
        if plan.group_log2:
            # A word a column block: each row of a group has its own lanes of it.
            blocks = padded.reshape(-1, lanes >> plan.group_log2)
            padded = np.tile(blocks, (1, 1 << plan.group_log2))
            if self._bias_runs_on:
                padded = np.tile(padded[:1], (-(-problem.rows >> plan.group_log2), 1))
        self.bias = self.image.put(padded)

    def _descriptor(self, number: int, tile: Tile) -> dict[str, Any]:
        step = number % self.steps
        # A tile that is used twice keeps its half, and the next ones take turns from there.
        loads = number - (self.plan.counts_first and tile.mode is CsrMode.PLACE)
        return (self.common | {"half": 0 if self.plan.whole else loads % 2, "reuse_tile": tile.reuse,
                               "k_start": tile.k_start,
                               "k_count": tile.k_count, "n_start": tile.n_start, "n_count": tile.n_count}
                | self._a(tile) | self._b(tile) | self._earlier(step, tile)
                | (self._output(number, tile) if step == self.steps - 1 else self._partial(tile)))

    def _a(self, tile: Tile) -> dict[str, Any]:
        return a_fields(self.problem.a, self.a_fields, tile.k_start, tile.rows)

    def _b(self, tile: Tile) -> dict[str, Any]:
        matrix, place = self.layers[tile.layer], self.b_fields[tile.layer]
        return b_fields(matrix, place, tile.k_start, tile.k_count, tile.n_start, packed=self.plan.packed)

    def _earlier(self, step: int, tile: Tile) -> dict[str, Any]:
        if step:
            return {"accumulate": 1, "cin_address": self.scratch, "cin_stride": self._raw_bytes(tile.n_count)}
        if self.problem.column_bias is not None:
            return {"accumulate": 1,
                    "cin_stride": self._raw_bytes(tile.n_count) if self._bias_runs_on else 0,
                    "cin_address": self.bias + 4 * (tile.n_start << self.plan.group_log2)}
        return {}

    def _partial(self, tile: Tile) -> dict[str, Any]:
        return {"out_raw": 1, "c_address": self.scratch, "c_stride": self._raw_bytes(tile.n_count)}

    def _output(self, number: int, tile: Tile) -> dict[str, Any]:
        problem = self.problem
        fields = {"out_int8": problem.out_int8, "relu": problem.relu, "scale": problem.scale,
                  "row_bias": problem.row_bias is not None, "row_scale": problem.row_scale is not None,
                  "params_address": self.parameters + self.parameter_bytes * tile.first_row,
                  "c_address": self.image.c_address + tile.n_start * problem.out_bytes}
        if problem.csr:
            # Indices as SciPy has them, so that the host need not widen them.
            return fields | {"out_csr": 1, "csr_index32": 1, "csr_drop_zeros": problem.drops_zeros,
                             "c_capacity": problem.entries, "c_address": self.image.c_address,
                             **self.image.csr, **self._counted(number, tile)}
        return fields | {"c_stride": problem.columns * problem.out_bytes}

    def _counted(self, number: int, tile: Tile) -> dict[str, Any]:
        """Where the numbers of rows go from column block to column block; the first one placed has them of
        the row pointers."""
        if not self.plan.counts_first:
            return {}
        pointers = self.image.csr["c_pointers"]
        numbers = self.numbers + 4 * tile.first_row
        fields: dict[str, Any] = {"csr_mode": tile.mode}
        if number:
            fields |= {"accumulate": 1, "cin_address": pointers if tile.reuse else numbers}
        if tile.mode is not CsrMode.POINTERS:
            fields["c_pointers"] = numbers
        if tile.mode is CsrMode.COUNT:
            fields["c_capacity"] = 0
        return fields


def read_csr(shape: tuple[int, ...], image: Image, read: Callable[[int, int], bytes]) -> sp.csr_array:
    """A CSR result of that shape by `read(address, length)`: row pointers, then as many entries as they tell.

    What was read becomes the arrays; no entry is looked at.
    """
    def array(address: int, count: int, dtype: npt.DTypeLike) -> npt.NDArray:
        kind = np.dtype(dtype)
        content = read(address, count * kind.itemsize) if count else b""
        return np.frombuffer(bytearray(content), kind.newbyteorder("<")).astype(kind, copy=False)

    pointers = array(image.csr["c_pointers"], shape[0] + 1, np.int32)
    entries = int(pointers[-1])
    values = array(image.c_address, entries, image.c_dtype)
    indices = array(image.csr["c_indices"], entries, np.int32)
    return sorted_csr(values, indices, pointers, shape)


def sorted_csr(values: npt.NDArray, indices: npt.NDArray, pointers: npt.NDArray,
               shape: tuple[int, ...]) -> sp.csr_array:
    """The arrays as they are, of rows whose columns rise: SciPy need not look whether they do."""
    result = sp.csr_array((values, indices, pointers), shape=shape)
    result.has_sorted_indices = result.has_canonical_format = True
    return result


def unpack_result(problem: Problem, plan: Plan, image: Image, content: bytes) -> npt.NDArray:
    """The result in NumPy's shape from the bytes at `image.c_address`."""
    c = np.frombuffer(content, np.dtype(image.c_dtype).newbyteorder("<")).reshape(image.c_shape)
    result = c.T if plan.transposed else c
    return np.array(result, image.c_dtype, order="C").reshape(problem.result_shape)
