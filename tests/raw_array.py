"""An array without the runtime: descriptors, registers, and the whole memory, as a bad driver leaves them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hdl.config import Config
from hdl.descriptor import Opcode
from hdl.layouts import CsrMode, Operation
from hdl.registers import ErrorCode, register
from sim.host_transport import HostTransport
from sim.models.command import good, pack
from sim.models.csr_write import csr_writes
from sim.models.extents import Windows, extents

__all__ = ["MEMORY_BYTES", "RawArray", "RawJob", "draw_job"]

MEMORY_BYTES = 1 << 14
LIST, READ_ONLY, OUTPUT = 0x0, 0x400, 0x2800
WINDOWS = {"read": (0, MEMORY_BYTES - 1), "write": (OUTPUT, MEMORY_BYTES - 1)}


@dataclass
class RawJob:
    """Descriptors in memory; `expected` is the memory when the job has ended well."""

    descriptors: list[dict[str, int]]
    memory: bytearray
    expected: bytearray = field(default_factory=bytearray)
    windows: Windows = field(default_factory=lambda: dict(WINDOWS))
    watchdog_cycles: int = 3000

    def place_descriptors(self) -> None:
        content = b"".join(pack(values) for values in self.descriptors)
        for memory in (self.memory, self.expected):
            memory[LIST:LIST + len(content)] = content


class RawArray:
    """A transport to an array, with the registers by their names."""

    def __init__(self, transport: HostTransport, config: Config):
        self.transport, self.config = transport, config
        self.before: Mapping[str, int] | None = None   # the descriptor whose tile rests in the array

    def write(self, name: str, value: int) -> None:
        self.transport.write_register(register(name).address, value)

    def read(self, name: str) -> int:
        return self.transport.read_register(register(name).address)

    def fields(self, name: str) -> dict[str, int]:
        value = self.read(name)
        return {part.name: value >> part.offset & ((1 << part.bits) - 1) for part in register(name).fields}

    def start(self, job: RawJob, address: int = LIST, count: int | None = None) -> None:
        """Fill the memory and ring the doorbell."""
        self.transport.write_memory(0, job.memory)
        for name, (first, last) in job.windows.items():
            self.write(f"{name.upper()}_BASE", first)
            self.write(f"{name.upper()}_LAST", last)
        self.write("WATCHDOG", job.watchdog_cycles)
        self.write("IRQ", 1)
        self.write("CONTROL", 1)
        self.write("DESCRIPTOR", address)
        self.write("COUNT", len(job.descriptors) if count is None else count)
        self.write("DOORBELL", 1)

    def finish(self, timeout_cycles: int = 200_000) -> tuple[ErrorCode, int, int, int]:
        """Code, detail, descriptor and address of the job's error, when it has ended as jobs must."""
        self.transport.wait_interrupt(timeout_cycles)
        status, error = self.fields("STATUS"), self.fields("ERROR")
        self.write("IRQ", 1)
        assert (status["busy"], status["done"]) == (0, 1)
        assert status["error"] == (error["code"] != 0)
        # One interrupt, and nothing goes on behind it.
        self.transport.run_cycles(20)
        assert self.read("IRQ") == 0
        return ErrorCode(error["code"]), error["detail"], error["descriptor"], self.read("ERROR_ADDRESS")

    def memory(self) -> bytes:
        return self.transport.read_memory(0, MEMORY_BYTES)

    def run_good(self, job: RawJob) -> None:
        """A job that must end well, with every byte of memory as expected."""
        self.start(job)
        found = self.finish()
        assert found == (ErrorCode.NONE, 0, 0, 0), (found, job.descriptors)
        assert self.read("COMPLETED") == len(job.descriptors)
        assert self.memory() == job.expected
        self.before = job.descriptors[-1]


# ---- jobs that end well ----------------------------------------------------------------------------------


def draw_job(config: Config, seed: int) -> RawJob:
    """One to three products or elementwise operations of random shape, form and finish."""
    rng = np.random.default_rng(seed)
    memory = bytearray(rng.integers(0, 256, MEMORY_BYTES, dtype=np.uint8).tobytes())
    job = RawJob([], memory)
    builder = _Builder(config, rng, memory)
    results = [builder.elementwise() if config.elementwise and rng.random() < 0.4 else builder.product(number)
               for number in range(int(rng.integers(1, 4)))]
    job.descriptors = [descriptor for descriptor, _ in results]
    job.expected = bytearray(memory)
    for _, pieces in results:
        for start, content in pieces:
            job.expected[start:start + len(content)] = content
    job.place_descriptors()
    return job


class _Builder:
    def __init__(self, config: Config, rng: np.random.Generator, memory: bytearray):
        self.config, self.rng, self.memory = config, rng, memory
        self.free, self.free_output = READ_ONLY, OUTPUT

    def put(self, content: bytes, align: int = 1) -> int:
        """At any multiple of `align`."""
        address = -(-(self.free + int(self.rng.integers(0, 9))) // align) * align
        self.free = address + len(content)
        assert self.free <= OUTPUT
        self.memory[address:self.free] = content
        return address

    def output(self, length: int, align: int = 1) -> int:
        address = -(-(self.free_output + int(self.rng.integers(0, 9))) // align) * align
        self.free_output = address + length
        assert self.free_output <= MEMORY_BYTES
        return address

    def csr(self, matrix: np.ndarray, wide: bool) -> dict[str, int]:
        pointers = np.concatenate([[0], np.cumsum(np.count_nonzero(matrix, axis=1))]).astype("<i4")
        indices = np.nonzero(matrix)[1].astype("<i4" if wide else "<u2")
        # A serial array takes a wide index from one beat.
        align = indices.itemsize if self.config.serial else 2
        return {"pointers": self.put(pointers.tobytes(), 4) + 4,
                "indices": self.put(indices.tobytes(), align),
                "values": self.put(matrix[matrix != 0].tobytes(), matrix.itemsize),
                "nnz": len(indices), "first": 0,
                "columns": matrix.shape[1]}

    def dense(self, matrix: np.ndarray, apart: bool = True) -> dict[str, int]:
        gap = int(self.rng.integers(0, 4)) if apart else 0
        padded = np.pad(matrix, ((0, 0), (0, gap)), constant_values=7)
        return {"values": self.put(padded.tobytes()), "stride": padded.shape[1], "columns": matrix.shape[1]}

    def product(self, number: int) -> tuple[dict[str, int], list[tuple[int, bytes]]]:
        """A descriptor and what it writes where."""
        config, rng = self.config, self.rng
        pk_log2 = int(rng.integers(0, config.pe_bits + 1))
        rows, inner = int(rng.integers(1, 12)), int(rng.integers(1, 24))
        slice_words = 1 << int(rng.integers(0, 2)) if config.acc_words > 1 else 1
        columns = int(rng.integers(1, min(24, config.lanes * slice_words * (config.pes >> pk_log2)) + 1))
        # Of tiles with fewer columns than lanes a serial array knows vectors.
        vector = config.serial and rng.random() < 0.3
        columns = 1 if vector else columns
        a = rng.integers(-128, 128, (rows, inner)).astype(np.int8) * (rng.random((rows, inner)) < 0.5)
        b = rng.integers(-128, 128, (inner, columns)).astype(np.int8) * (rng.random((inner, columns)) < 0.7)
        a, b = a.astype(np.int8), b.astype(np.int8)
        a_format = int(rng.integers(0, 3))
        b_format = int(rng.integers(0, 4)) if config.compressed_b else 0
        d = good(config, rows=rows, k_count=inner, n_count=columns, pk_log2=pk_log2, slice_words=slice_words,
                 half=number % 2, a_format=a_format, b_format=b_format,
                 group_log2=config.lane_bits if vector else 0)
        for prefix, matrix, form in (("a", a, a_format), ("b", b, 0 if b_format < 2 else b_format - 1)):
            place = self.csr(matrix, form == 2) if form else self.dense(matrix, prefix == "a" or not vector)
            d |= {f"{prefix}_{name}": value for name, value in place.items()}
        result = a.astype(np.int64) @ b.astype(np.int64)
        if config.csr_out and rng.random() < 0.6:
            touched = (a != 0).astype(np.int64) @ ((b != 0) | (b_format == 0)).astype(np.int64) != 0
            d |= self.csr_mode(d)
            return self.csr_result(d, result, touched)
        if rng.random() < 0.4:
            words = -(-columns // config.lanes)
            earlier = np.zeros((rows, 1 if vector else words * config.lanes), "<i4")
            earlier[:, :columns] = rng.integers(-1000, 1000, result.shape)
            result += earlier[:, :columns]
            d |= {"accumulate": 1, "cin_address": self.put(earlier.tobytes(), 4),
                  "cin_stride": 4 * words * config.lanes}
        if rng.random() < 0.4:
            bias = rng.integers(-1000, 1000, rows).astype("<i4")
            result += bias[:, None]
            d |= {"row_bias": 1, "params_address": self.put(bias.tobytes(), 4)}
        if rng.random() < 0.3:
            d["relu"], result = 1, np.maximum(result, 0)
        gap = int(rng.integers(0, 6))
        if config.serial:
            # Its sums are whole beats.
            gap *= 4
        d["c_stride"] = 4 * columns + gap
        d["c_address"] = self.output(rows * d["c_stride"], 4 if config.serial else 1)
        return d, [(d["c_address"] + number * d["c_stride"], row.tobytes())
                   for number, row in enumerate(result.astype("<i4"))]

    def elementwise(self) -> tuple[dict[str, int], list[tuple[int, bytes]]]:
        """The same of two matrices of one shape."""
        config, rng = self.config, self.rng
        rows, columns = int(rng.integers(1, 12)), int(rng.integers(1, 24))
        a_format, b_format, wide = int(rng.integers(0, 3)), int(rng.integers(1, 4)), False
        a, b = (rng.integers(-128, 128, (rows, columns)) * (rng.random((rows, columns)) < 0.4)
                for _ in range(2))
        operation = Operation(int(rng.integers(0, 4)))
        if b_format > 1 and operation is not Operation.MULTIPLY and rng.random() < 0.4:
            wide, b = True, b * 1_000_003
        d = good(config, opcode=(Opcode.ELEMENTWISE_WIDE if wide else Opcode.ELEMENTWISE).value, rows=rows,
                 operation=operation.value, k_count=columns, n_count=columns, a_format=a_format,
                 b_format=b_format)
        kinds = {"a": np.int8, "b": np.dtype("<i4") if wide else np.int8}
        for prefix, matrix, form in (("a", a, a_format), ("b", b, b_format - 1)):
            stored = matrix.astype(kinds[prefix])
            place = self.csr(stored, form == 2) if form else self.dense(stored)
            d |= {f"{prefix}_{name}": value for name, value in place.items()}
        joins = operation in (Operation.ADD, Operation.SUBTRACT)
        result = {Operation.ADD: a + b, Operation.SUBTRACT: b - a, Operation.MULTIPLY: a * b,
                  Operation.MASK: np.where(a != 0, b, 0)}[operation]
        return self.csr_result(d, result, (a != 0) | (b != 0) if joins else (a != 0) & (b != 0))

    def csr_result(self, d: dict[str, int], result: np.ndarray, touched: np.ndarray
                   ) -> tuple[dict[str, int], list[tuple[int, bytes]]]:
        rng = self.rng
        d |= {"out_csr": 1, "csr_index32": int(rng.integers(2)), "csr_drop_zeros": int(rng.integers(2))}
        entries = touched & ((result != 0) | (not d["csr_drop_zeros"]))
        numbers = None
        if d["accumulate"]:
            numbers = rng.integers(0, 9, len(result)).astype("<u4")
            if d["csr_mode"] == CsrMode.PLACE.value:
                # Some room before each row.
                counts = entries.sum(axis=1)
                numbers = (np.cumsum(numbers) + np.cumsum(counts) - counts).astype("<u4")
            d["cin_address"] = self.put(numbers.tobytes(), 4)
        nowhere = dict.fromkeys(("c_address", "c_indices", "c_pointers", "c_capacity"), 0)
        needed, _ = csr_writes(d | nowhere, result, entries, numbers)
        spare = int(rng.integers(0, 3))
        d["c_capacity"] = capacity = (needed or 0) + spare
        d |= {"c_address": self.output(4 * capacity),
              "c_indices": self.output(capacity * (4 if d["csr_index32"] else 2)),
              "c_pointers": self.output(4 * (len(result) + 1))}
        return d, csr_writes(d, result, entries, numbers)[1]

    def csr_mode(self, d: dict[str, int]) -> dict[str, int]:
        """One of the ways to make a result in CSR, and a block of columns that is not the first."""
        mode = int(self.rng.choice(list(CsrMode)).value)
        accumulate = mode == CsrMode.PLACE.value or (mode and self.rng.random() < 0.6)
        block = int(self.rng.integers(0, 4)) * d["n_count"] if d["b_format"] < 2 else 0
        return {"csr_mode": mode, "accumulate": int(accumulate), "n_start": block}


def written_places(config: Config, descriptors: Sequence[Mapping[str, int]]) -> list[range]:
    """Every place that descriptors with good fields may write."""
    return [place for descriptor in descriptors for extent in extents(config, descriptor) if extent.write
            for place in extent.addresses()]

