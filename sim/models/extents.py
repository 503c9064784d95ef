"""Where a descriptor's arrays lie, and what an array must say of a descriptor, in plain Python."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hdl.config import Config
from hdl.descriptor import DESCRIPTOR_FIELDS, Opcode
from hdl.layouts import CsrMode, Operation
from hdl.registers import ErrorCode

__all__ = ["MERGES", "SAMPLES", "Extent", "extent_error", "extents", "field_error"]

Descriptor = Mapping[str, int]
Windows = Mapping[str, tuple[int, int]]

SAMPLES = (Opcode.SDDMM.value, Opcode.SDDMM_PATTERN.value)
MERGES = (Opcode.ELEMENTWISE.value, Opcode.ELEMENTWISE_WIDE.value)


@dataclass(frozen=True)
class Extent:
    """`rows` of `row_bytes` each, `stride` apart, from `address` on; `field` holds the address."""

    field: str
    address: int
    row_bytes: int
    rows: int = 1
    stride: int = 0
    write: bool = False

    @property
    def end(self) -> int:
        return self.address + (self.rows - 1) * self.stride + self.row_bytes

    def addresses(self) -> Iterator[range]:
        return (range(start, start + self.row_bytes) for start in range(
            self.address, self.address + self.rows * self.stride, self.stride)) if self.rows > 1 else iter(
                [range(self.address, self.address + self.row_bytes)])


def extents(config: Config, d: Descriptor) -> list[Extent]:
    """Every array that a descriptor with good fields uses, in the order of the fields."""
    result = []
    rows, k_count, n_count = d["rows"], d["k_count"], d["n_count"]
    sddmm = d["opcode"] in SAMPLES
    if d["a_format"]:
        result += [
            Extent("a_pointers", d["a_pointers"], 4 * rows),
            Extent("a_indices", d["a_indices"], (4 if d["a_format"] == 2 else 2) * d["a_nnz"]),
            Extent("a_values", d["a_values"], 0 if d["opcode"] == Opcode.SDDMM_PATTERN.value else d["a_nnz"])]
    else:
        result.append(Extent("a_values", d["a_values"], k_count, rows, d["a_stride"]))
    # Elementwise, B has as many rows as A.
    b_rows = rows if d["opcode"] in MERGES else k_count
    if not d["reuse_tile"] and b_rows:
        if d["b_format"] >= 2:
            wide = d["opcode"] == Opcode.ELEMENTWISE_WIDE.value
            result += [
                Extent("b_pointers", d["b_pointers"], 4 * b_rows),
                Extent("b_indices", d["b_indices"], (4 if d["b_format"] == 3 else 2) * d["b_nnz"]),
                Extent("b_values", d["b_values"], (4 if wide else 1) * d["b_nnz"])]
        else:
            result.append(Extent("b_values", d["b_values"], n_count, b_rows, d["b_stride"]))
    if sddmm:
        return [extent for extent in result + _sampled(config, d) if extent.row_bytes]
    groups = -(-rows >> d["group_log2"])
    word_bytes = 4 * config.lanes * (1 if d["group_log2"] else -(-n_count // config.lanes))
    if config.serial and d["group_log2"]:
        # A vector's words follow each other; of the last one there are only the sums of rows.
        groups, word_bytes = 1, 4 * rows
    if d["out_csr"]:
        result += [
            Extent("c_address", d["c_address"], d["c_capacity"] * (1 if d["out_int8"] else 4), write=True),
            Extent("c_indices", d["c_indices"], d["c_capacity"] * (4 if d["csr_index32"] else 2), write=True),
            Extent("c_pointers", d["c_pointers"], 4 * (rows + 1), write=True)]
    elif d["out_raw"]:
        result.append(Extent("c_address", d["c_address"], word_bytes, groups, d["c_stride"], write=True))
    else:
        result.append(Extent("c_address", d["c_address"], n_count * (1 if d["out_int8"] else 4), rows,
                             d["c_stride"], write=True))
    if d["accumulate"] and d["out_csr"]:
        result.append(Extent("cin_address", d["cin_address"], 4 * rows))
    elif d["accumulate"]:
        if not d["cin_stride"]:
            word_bytes = min(word_bytes, 4 * config.lanes) if config.serial else word_bytes
        result.append(Extent("cin_address", d["cin_address"], word_bytes, groups, d["cin_stride"]))
    if d["row_bias"] or d["row_scale"]:
        record_bytes = 4 * (d["row_bias"] + d["row_scale"])
        result.append(Extent("params_address", d["params_address"], record_bytes * rows))
    return [extent for extent in result if extent.row_bytes]


def _sampled(config: Config, d: Descriptor) -> list[Extent]:
    """SDDMM: a vector with an element for each entry, and the rows of X."""
    entries, word_bytes = d["a_nnz"], 4 * config.lanes
    whole = -(-entries // config.lanes) * word_bytes
    result = [Extent("c_address", d["c_address"], whole if d["out_raw"] else
                     entries * (1 if d["out_int8"] else 4), write=True)]
    if d["accumulate"]:
        result.append(Extent("cin_address", d["cin_address"], whole))
    return [*result, Extent("x_values", d["x_values"], d["n_count"], d["rows"], d["a_stride"])]


def extent_error(config: Config, d: Descriptor, windows: Windows) -> tuple[ErrorCode, str, int] | None:
    """Code, field and address that a descriptor with good fields is refused with; None where it runs.

    windows : "read", "write" to first and last byte
    """
    for extent in extents(config, d):
        first, last = windows["write" if extent.write else "read"]
        if extent.address < first or extent.end - 1 > last:
            return ErrorCode.OUTSIDE, extent.field, extent.address
        if extent.write and extent.rows > 1 and extent.stride < extent.row_bytes:
            return ErrorCode.FIELD, "c_stride", 0
    if not d["reuse_tile"] and d["k_count"] and not d["b_format"]:
        words = ((d["k_count"] - 1 >> d["pk_log2"] >> d["group_log2"]) + 1) * d["slice_words"]
        if words > (config.lane_values if d["whole"] else config.lane_values // 2):
            return ErrorCode.FIELD, "k_count", 0
    return None


def field_error(config: Config, d: Descriptor, before: Descriptor | None) -> tuple[ErrorCode, str] | None:
    """Code and first field that a descriptor is refused with by its fields alone, None if there is none.

    before : the descriptor before, whose tile `reuse_tile` means
    """
    # Of the others a serial array allows one value.
    grid = ("group_log2",) if config.serial else ("pk_log2", "group_log2", "slice_words")
    shape = ("half", "whole", *grid, "k_count", "n_count")
    same = before is not None and before["opcode"] not in MERGES and (
        d["b_format"] == 0) == (before["b_format"] == 0) and all(
        d[name] == before[name] for name in shape)
    packed, grouped, csr = d["b_format"] != 0, d["group_log2"] != 0, config.csr_out and d["out_csr"]
    words = -(-d["n_count"] // config.lanes)
    room = 1 if config.serial else d["slice_words"] * (config.pes >> d["pk_log2"])
    sliced = d["pk_log2"] != config.pe_bits
    index = (config.index_rows if d["whole"] else config.index_rows // 2) << d["pk_log2"]
    if d["opcode"] not in known_opcodes(config):
        return ErrorCode.OPCODE, "opcode"
    if d["opcode"] in MERGES:
        return _elementwise_error(config, d)
    sddmm = d["opcode"] in SAMPLES
    bad = {
        "a_format": d["a_format"] > 2 or (sddmm and d["a_format"] == 0),
        "b_format": packed and (sddmm or not config.compressed_b),
        "half": d["whole"] and d["half"],
        "reuse_tile": d["reuse_tile"] and not same,
        "out_int8": d["out_int8"] and not config.scale_multipliers,
        "row_bias": sddmm and d["row_bias"],
        "row_scale": sddmm and d["row_scale"],
        "out_raw": d["out_int8"] and d["out_raw"],
        "pk_log2": d["pk_log2"] > config.pe_bits or (grouped and sliced),
        "group_log2": d["group_log2"] > config.lane_bits or (grouped and packed) or (
            grouped and (csr or sddmm)) or (config.serial and d["group_log2"] not in (0, config.lane_bits)),
        "rows": d["rows"] == 0,
        "k_count": d["k_count"] > (min(config.tile_bytes, index) if config.compressed_b and packed
                                   else config.tile_bytes),
        "n_start": csr and d["n_start"] + d["n_count"] > 1 << 32,
        "n_count": (d["n_count"] == 0
                    or ((config.serial or d["slice_words"] <= config.acc_words) and words > room)
                    or (grouped and d["n_count"] > config.lanes >> d["group_log2"])),
        **_misaligned(config, d, sddmm),
        "slice_words": (not 1 <= d["slice_words"] <= config.acc_words or (grouped and d["slice_words"] != 1)
                        or (sddmm and words <= room - (config.pes >> d["pk_log2"]))),
        "out_csr": d["out_csr"] and not (csr and not (
            sddmm or (d["accumulate"] and d["csr_mode"] == CsrMode.WHOLE.value)
            or d["out_raw"] or d["row_bias"])),
        "csr_index32": csr and not d["csr_index32"] and d["n_start"] + d["n_count"] > 1 << 16,
    }
    for name, wrong in bad.items():
        if wrong:
            return ErrorCode.FIELD, name
    return None


def known_opcodes(config: Config) -> set[int]:
    """Opcodes that a configuration can run."""
    sampling = SAMPLES if config.sddmm else ()
    return {Opcode.MATMUL.value, *sampling, *(MERGES if config.elementwise else ())}


def _elementwise_error(config: Config, d: Descriptor) -> tuple[ErrorCode, str] | None:
    wide = d["opcode"] == Opcode.ELEMENTWISE_WIDE.value
    refused = {
        "a_format": d["a_format"] > 2,
        "b_format": d["b_format"] == 0 or (wide and d["b_format"] == 1),
        "reuse_tile": d["reuse_tile"],
        "out_int8": d["out_int8"] and not config.scale_multipliers,
        "out_raw": d["out_int8"] and d["out_raw"],
        "group_log2": d["out_csr"] and d["group_log2"],
        "rows": d["rows"] == 0,
        "k_start": d["k_start"] != 0,
        "n_start": d["out_csr"] and d["n_start"] != 0,
        **_misaligned(config, {**d, "k_count": 1}, False),
        "b_values": wide and d["b_nnz"] != 0 and d["b_values"] % 4 != 0,
        "out_csr": not d["out_csr"] or d["accumulate"] or d["out_raw"] or d["row_bias"],
        "csr_index32": d["out_csr"] and not d["csr_index32"] and d["n_start"] + d["n_count"] > 1 << 16,
        "operation": wide and d["operation"] == Operation.MULTIPLY.value,
        "csr_mode": d["csr_mode"] != CsrMode.WHOLE.value,
    }
    return next(((ErrorCode.FIELD, name) for field in DESCRIPTOR_FIELDS
                 for name in [field.name] if refused.get(name)), None)


def _misaligned(config: Config, d: Descriptor, sddmm: bool) -> dict[str, bool]:
    """Of arrays that are used: whose elements do not lie on multiples of their size, or that may not be
    empty, by field."""
    # Beats of a serial array hold whole sums and whole indices, and its vectors have no gaps.
    whole, index_bytes = config.serial and not d["out_int8"], 4 if config.serial and d["a_format"] == 2 else 2
    vector, word_bytes = config.serial and d["group_log2"] != 0, 4 * config.lanes
    sparse_a = d["a_format"] != 0
    sparse_b = d["b_format"] >= 2 and not d["reuse_tile"] and d["k_count"] != 0
    sums, parameters = d["accumulate"], d["row_bias"] or d["row_scale"]
    return {
        "a_pointers": sparse_a and d["a_pointers"] % 4 != 0,
        "a_indices": sparse_a and d["a_nnz"] != 0 and d["a_indices"] % index_bytes != 0,
        "a_nnz": sddmm and d["a_nnz"] == 0,
        "b_pointers": sparse_b and d["b_pointers"] % 4 != 0,
        "b_indices": sparse_b and d["b_nnz"] != 0 and d["b_indices"] % 2 != 0,
        "b_stride": vector and d["b_stride"] != 1,
        "c_address": whole and d["c_address"] % 4 != 0,
        "c_stride": (whole and d["c_stride"] % 4 != 0) or (
            vector and d["out_raw"] and d["c_stride"] != word_bytes),
        "cin_address": sums and d["cin_address"] % 4 != 0,
        "cin_stride": sums and not (config.csr_out and d["out_csr"]) and (
            d["cin_stride"] % 4 != 0 or (vector and d["cin_stride"] != word_bytes)),
        "params_address": parameters and d["params_address"] % 4 != 0,
    }
