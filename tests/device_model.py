"""The array as its contracts describe it, in NumPy, behind the runtime's interface: a check of planner and
runtime, written from descriptor, register and tile rules alone."""

import numpy as np

from hdl.config import Config
from hdl.descriptor import DESCRIPTOR_BYTES, DESCRIPTOR_FIELDS, Opcode
from hdl.layouts import SCALE_LEFT_BITS, SCALE_RIGHT_BITS, AFormat, BFormat, Operation
from hdl.registers import COUNTERS, ErrorCode, config_values, register
from sim.models.csr_write import csr_writes
from sim.models.packed_room import packed_misfit
from sim.transport import Transport

__all__ = ["DeviceModel"]

SAMPLES = (Opcode.SDDMM.value, Opcode.SDDMM_PATTERN.value)
MERGES = (Opcode.ELEMENTWISE.value, Opcode.ELEMENTWISE_WIDE.value)
TILE_FIELDS = ("k_start", "k_count", "n_start", "n_count", "pk_log2", "slice_words", "group_log2", "half",
               "whole")


class DeviceModel(Transport):
    """A Transport to an array that takes no time.

    Parameters
    ----------
    config : Config
    memory_bytes : int
    fail : (ErrorCode, detail, descriptor) to report instead of running

    Attributes
    ----------
    descriptors : fields of every descriptor of the last job

    AssertionError where a descriptor breaks a rule, IndexError where an access leaves the memory.
    """

    simulator = "model"

    def __init__(self, config: Config, memory_bytes: int = 1 << 22, fail: tuple[int, int, int] | None = None):
        super().__init__(memory_bytes)
        self.config, self._fail = config, fail
        self._memory = np.full(memory_bytes, 0xA5, np.uint8)
        self._registers = {register(name).address: value for name, value in config_values(config).items()}
        self.descriptors: list[dict[str, int]] = []
        self._halves: list[bool] = []

    # ---- transport -----------------------------------------------------------------------------------

    def write_memory(self, address, data):
        data = bytes(data)
        self._inside(address, len(data))[:] = np.frombuffer(data, np.uint8)

    def read_memory(self, address, length):
        return self._inside(address, length).tobytes()

    def write_register(self, address, value):
        assert 0 <= value < 1 << 32
        self._registers[address] = value
        if address == register("DOORBELL").address:
            self._run()

    def read_register(self, address):
        return self._registers.get(address, 0)

    def wait_interrupt(self, timeout_cycles=1):
        assert timeout_cycles > 0
        assert self.read_register(register("CONTROL").address) & 1, "the interrupt is not enabled"

    def run_cycles(self, cycles):
        pass

    def close(self):
        pass

    # ---- memory --------------------------------------------------------------------------------------

    def _inside(self, address: int, length: int) -> np.ndarray:
        if address < 0 or address + length > self.memory_bytes:
            raise IndexError(f"{length} bytes at {address:#x} leave the memory")
        return self._memory[address:address + length]

    def _values(self, address: int, count: int, dtype: str) -> np.ndarray:
        size = np.dtype(dtype).itemsize
        if count == 0:
            return np.zeros(0, dtype)
        assert address % size == 0, "arrays lie at their natural alignment"
        return self._inside(address, count * size).view(dtype)

    def _rows(self, address: int, rows: int, row_bytes: int, stride: int) -> np.ndarray:
        if rows * row_bytes == 0:
            return np.zeros((rows, row_bytes), np.uint8)
        self._inside(address, (rows - 1) * stride + row_bytes)
        return np.lib.stride_tricks.as_strided(self._memory[address:], (rows, row_bytes), (stride, 1))

    # ---- a job ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        set_register = {name: register(name).address for name in
                        ("DESCRIPTOR", "COUNT", "STATUS", "COMPLETED", "ERROR", "CYCLES", "IRQ")}
        address, count = (self._registers[set_register[name]] for name in ("DESCRIPTOR", "COUNT"))
        assert count >= 1 and address % self.config.port_bytes == 0
        self.descriptors, self._halves = [], []
        self._registers[set_register["IRQ"]] = 1
        if self._fail:
            code, detail, number = self._fail
            self._registers |= {set_register["STATUS"]: 0b110, set_register["COMPLETED"]: number,
                                set_register["ERROR"]: code | detail << 8 | number << 16}
            return
        for number in range(count):
            words = self._values(address + number * DESCRIPTOR_BYTES, DESCRIPTOR_BYTES // 4, "<u4")
            self.descriptors.append({
                field.name: int(words[field.word]) >> field.offset & ((1 << field.bits) - 1)
                for field in DESCRIPTOR_FIELDS})
            opcode = self.descriptors[-1]["opcode"]
            run = (self._sddmm if opcode in SAMPLES else self._merge if opcode in MERGES else self._product)
            run(self.descriptors[-1])
        self._registers |= {set_register["STATUS"]: 0b010, set_register["COMPLETED"]: count,
                            set_register["ERROR"]: ErrorCode.NONE, set_register["CYCLES"]: 1000}
        self._registers[register(f"COUNT_{COUNTERS[0][0].upper()}").address] = 1000

    def _product(self, d: dict[str, int]) -> None:
        self._check(d)
        a = self._streamed(d)
        tokens = _places(a.shape, self._entries)
        b = self._tile(d)
        # A dense tile has a value everywhere.
        values = np.ones(b.shape) if d["b_format"] == BFormat.DENSE.value else _places(b.shape, self._entries)
        self._touched = tokens @ values != 0
        sums = a.astype(np.float64) @ b.astype(np.float64)  # exact: far below 2**53
        self._collect(d, sums.astype(np.int64).astype(np.int32))

    def _merge(self, d: dict[str, int]) -> None:
        wide = d["opcode"] == Opcode.ELEMENTWISE_WIDE.value
        assert self.config.elementwise
        assert d["rows"] > 0 and d["out_csr"] and not (d["k_start"] or d["reuse_tile"])
        a, of_a = self._streamed(d), _places((d["rows"], d["k_count"]), self._entries) != 0
        if d["b_format"] == BFormat.DENSE_PACKED.value:
            b = self._rows(d["b_values"], d["rows"], d["n_count"], d["b_stride"]).view(np.int8)
            self._entries = np.nonzero(b)
        else:
            assert d["b_format"] != BFormat.DENSE.value
            b = self._csr(d["rows"], d["b_columns"], 0, d["n_count"], d["b_pointers"], d["b_indices"],
                          d["b_values"], d["b_nnz"], d["b_first"],
                          d["b_format"] == BFormat.CSR32_PACKED.value, "<i4" if wide else "i1")
        of_b = _places(b.shape, self._entries) != 0
        if not b.shape[1]:
            b, of_b = np.zeros_like(a), np.zeros_like(of_a)
        a, b = a.astype(np.int64), b.astype(np.int64)
        operation = Operation(d["operation"])
        assert not (wide and operation is Operation.MULTIPLY)
        joins = operation in (Operation.ADD, Operation.SUBTRACT)
        self._touched = of_a | of_b if joins else of_a & of_b
        result = {Operation.ADD: a + b, Operation.SUBTRACT: b - a, Operation.MULTIPLY: a * b,
                  Operation.MASK: np.where(of_a, b, 0)}[operation]
        self._collect(d | {"n_count": result.shape[1]}, result.astype(np.int32))

    def _sddmm(self, d: dict[str, int]) -> None:
        self._check(d)
        slices, words = self.config.pes >> d["pk_log2"], -(-d["n_count"] // self.config.lanes)
        assert self.config.sddmm and not (d["row_bias"] or d["row_scale"] or d["out_csr"] or d["group_log2"])
        assert words > (d["slice_words"] - 1) * slices, "slices are longer than a row needs"
        assert d["a_format"] != AFormat.DENSE.value and d["b_format"] == BFormat.DENSE.value and d["a_nnz"]
        b = self._tile(d).astype(np.int64)
        x = self._rows(d["x_values"], d["rows"], d["n_count"], d["a_stride"]).view(np.int8).astype(np.int64)
        wide = d["a_format"] == AFormat.CSR32.value
        ends = self._values(d["a_pointers"], d["rows"], "<i4").astype(np.int64) - d["a_first"]
        rows = np.searchsorted(ends, np.arange(d["a_nnz"]), side="right")
        columns = self._values(d["a_indices"], d["a_nnz"], "<i4" if wide else "<u2").astype(np.int64)
        values = (np.ones(d["a_nnz"], np.int64) if d["opcode"] == Opcode.SDDMM_PATTERN.value else
                  self._values(d["a_values"], d["a_nnz"], "i1").astype(np.int64))
        local = columns - d["k_start"]
        inside = (local >= 0) & (local < d["k_count"])
        sums = np.zeros(d["a_nnz"], np.int64)
        sums[inside] = (x[rows[inside]] * b[local[inside]]).sum(axis=1) * values[inside]
        self._collect(d | {"group_log2": self.config.lane_bits}, sums.astype(np.int32)[:, None])

    def _check(self, d: dict[str, int]) -> None:
        config = self.config
        packed, slices = d["b_format"] != BFormat.DENSE.value, config.pes >> d["pk_log2"]
        assert d["opcode"] in (Opcode.MATMUL.value, *SAMPLES)
        assert d["rows"] > 0 and d["n_count"] > 0 and 0 < d["slice_words"] <= config.acc_words
        assert not (d["whole"] and d["half"])
        if d["reuse_tile"]:
            before = self.descriptors[-2]
            assert all(d[name] == before[name] for name in d if name in TILE_FIELDS or name.startswith("b_"))
        assert d["pk_log2"] <= config.pe_bits and d["group_log2"] <= config.lane_bits
        assert -(-d["n_count"] // config.lanes) <= slices * d["slice_words"]
        assert config.compressed_b or not packed
        assert not (d["out_int8"] and (config.scale_multipliers == 0 or d["out_raw"]))
        if d["group_log2"]:
            assert slices == 1 and d["slice_words"] == 1 and not packed
            assert d["n_count"] <= config.lanes >> d["group_log2"]
        if not d["whole"] and self._halves and not d["reuse_tile"]:
            assert self._halves[-1] != d["half"], "two neighbours take the same half: nothing overlaps"
        if not d["whole"]:
            self._halves.append(bool(d["half"]))

    def _csr(self, rows, columns, start, count, pointers, indices, values, nnz, first, wide,
             value_type="i1") -> np.ndarray:
        """Rows of a CSR matrix with the columns start..start+count-1, dense, duplicates added up."""
        ends = self._values(pointers, rows, "<i4").astype(np.int64) - first
        column = self._values(indices, nnz, "<i4" if wide else "<u2").astype(np.int64)
        value = self._values(values, nnz, value_type).astype(np.int64)
        starts = np.concatenate(([0], ends))
        assert (np.diff(starts) >= 0).all() and starts[-1] == nnz, "row pointers"
        assert ((column >= 0) & (column < columns)).all(), "column index"
        row = np.repeat(np.arange(rows), np.diff(starts))
        keep = (column >= start) & (column < start + count)
        result = np.zeros((rows, count), np.int64)
        np.add.at(result, (row[keep], column[keep] - start), value[keep])
        self._entries = row[keep & (value != 0)], column[keep & (value != 0)] - start
        return result

    def _streamed(self, d: dict[str, int]) -> np.ndarray:
        if d["a_format"] == AFormat.DENSE.value:
            rows = self._rows(d["a_values"], d["rows"], d["k_count"], d["a_stride"]).view(np.int8)
            self._entries = np.nonzero(rows)
            return rows
        return self._csr(d["rows"], d["a_columns"], d["k_start"], d["k_count"], d["a_pointers"],
                         d["a_indices"], d["a_values"], d["a_nnz"], d["a_first"],
                         d["a_format"] == AFormat.CSR32.value)

    def _tile(self, d: dict[str, int]) -> np.ndarray:
        if d["b_format"] in (BFormat.DENSE.value, BFormat.DENSE_PACKED.value):
            tile = self._rows(d["b_values"], d["k_count"], d["n_count"], d["b_stride"]).view(np.int8)
            self._entries = np.nonzero(tile)
        else:
            tile = self._csr(d["k_count"], d["b_columns"], d["n_start"], d["n_count"], d["b_pointers"],
                             d["b_indices"], d["b_values"], d["b_nnz"], d["b_first"],
                             d["b_format"] == BFormat.CSR32_PACKED.value)
        if d["b_format"] == BFormat.DENSE.value:
            self._check_dense(d)
        else:
            self._check_packed(d, *self._entries)
        return tile

    def _check_dense(self, d: dict[str, int]) -> None:
        local_rows = -(-d["k_count"] >> d["pk_log2"])
        words = -(-local_rows >> d["group_log2"]) if d["group_log2"] else local_rows * d["slice_words"]
        assert words <= self.config.lane_values // (1 if d["whole"] else 2), "the tile does not fit"

    def _check_packed(self, d: dict[str, int], k: np.ndarray, n: np.ndarray) -> None:
        config, parts = self.config, 1 if d["whole"] else 2
        assert -(-d["k_count"] >> d["pk_log2"]) <= config.index_rows // parts, "the index is too small"
        misfit = packed_misfit(config, d, k, n)
        assert not misfit, misfit

    # ---- collector -----------------------------------------------------------------------------------

    def _collect(self, d: dict[str, int], sums: np.ndarray) -> None:
        """From sums (rows, n_count) over whole words, one row or group of rows each, to memory."""
        lanes, group = self.config.lanes, 1 << d["group_log2"]
        rows, columns = sums.shape
        groups, words = -(-rows // group), 1 if group > 1 else -(-columns // lanes)
        width = lanes // group if group > 1 else words * lanes
        whole = np.zeros((groups * group, width), np.int32)
        whole[:rows, :columns] = sums
        whole = whole.reshape(groups, words * lanes)
        if d["accumulate"] and not d["out_csr"]:
            assert d["cin_address"] % 4 == 0
            earlier = self._rows(d["cin_address"], groups, words * lanes * 4, d["cin_stride"])
            whole = whole + np.ascontiguousarray(earlier).view("<i4")
        if d["out_raw"]:
            assert not (d["relu"] or d["row_bias"] or d["row_scale"])
            self._write(d, np.ascontiguousarray(whole, "<i4").view(np.uint8))
            return
        result = whole.reshape(groups * group, width)[:rows, :columns]
        numbers = d["row_bias"] + d["row_scale"]
        record = self._values(d["params_address"], rows * numbers, "<u4").reshape(rows, numbers)
        if d["row_bias"]:
            result = result + record[:, :1].view("<i4")
        if d["relu"]:
            result = np.maximum(result, 0)
        if d["out_int8"]:
            scales = record[:, -1].tolist() if d["row_scale"] else [d["scale"]] * rows
            result = np.array([[_scaled(int(x), word) for x in line]
                               for line, word in zip(result, scales, strict=True)], np.int8)
        if d["out_csr"]:
            self._write_csr(d, result)
        else:
            self._write(d, np.ascontiguousarray(result).view(np.uint8))

    def _write_csr(self, d: dict[str, int], result: np.ndarray) -> None:
        assert self.config.csr_out and not (d["out_raw"] or d["row_bias"] or d["group_log2"])
        entries = self._touched & ((result != 0) | (not d["csr_drop_zeros"]))
        numbers = self._values(d["cin_address"], len(result), "<u4").copy() if d["accumulate"] else None
        needed, writes = csr_writes(d, result, entries, numbers)
        assert needed is None, "the model does not report OUTPUT_FULL"
        for address, content in writes:
            self._values(address, len(content), "u1")[:] = np.frombuffer(content, "u1")

    def _write(self, d: dict[str, int], content: np.ndarray) -> None:
        assert d["c_stride"] >= content.shape[1]
        self._rows(d["c_address"], *content.shape, d["c_stride"])[:] = content


def _places(shape: tuple[int, int], entries: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Ones where there is an entry."""
    result = np.zeros(shape)
    result[entries] = 1
    return result


def _round_shift(x: int, shift: int) -> int:
    return (x + (1 << shift >> 1)) >> shift


def _scaled(x: int, word: int) -> int:
    """`hdl.layouts.ScaleWord`, in Python's own integers."""
    multiplier, shift = word & 0xFFFF, word >> 16 & 31
    y = min(max(_round_shift(x << SCALE_LEFT_BITS, shift), -(1 << 17)), (1 << 17) - 1)
    return min(max(_round_shift(y * multiplier, SCALE_RIGHT_BITS), -128), 127)
