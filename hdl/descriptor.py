"""The job descriptor: 32 little-endian 32-bit words in memory, one matrix product of one tile each, or one
elementwise operation."""

from dataclasses import dataclass

from amaranth.hdl import Value, unsigned
from amaranth.lib import data, enum

__all__ = ["DESCRIPTOR_BYTES", "DESCRIPTOR_FIELDS", "Descriptor", "Field", "Opcode", "field_number",
           "is_elementwise", "is_sddmm"]

DESCRIPTOR_BYTES = 128


class Opcode(enum.Enum, shape=8):
    MATMUL = 1
    SDDMM = 2              # A is CSR and names the samples; X·Bᵀ is sampled, B being the tile
    SDDMM_PATTERN = 3      # the same; every value of A is 1, none is read
    ELEMENTWISE = 4        # C = A op B in CSR; B is not loaded but merged with A
    ELEMENTWISE_WIDE = 5   # the same, and B is CSR with values of int32; not with MULTIPLY


def is_sddmm(opcode: Value) -> Value:
    """One of the two that sample."""
    return (opcode == Opcode.SDDMM) | (opcode == Opcode.SDDMM_PATTERN)


def is_elementwise(opcode: Value) -> Value:
    """One of the two that merge."""
    return (opcode == Opcode.ELEMENTWISE) | (opcode == Opcode.ELEMENTWISE_WIDE)


@dataclass(frozen=True)
class Field:
    """A descriptor field: `bits` at bit `offset` of word `word`."""

    name: str
    word: int
    offset: int
    bits: int
    about: str


DESCRIPTOR_FIELDS = (
    Field("opcode", 0, 0, 8, "Opcode"),
    Field("a_format", 0, 8, 2, "AFormat"),
    Field("b_format", 0, 10, 2, "BFormat"),
    Field("half", 0, 12, 1, "half of the tile memory that holds this tile; 0 for a whole tile"),
    Field("whole", 0, 13, 1, "the tile takes both halves"),
    Field("reuse_tile", 0, 14, 1, "the tile of the descriptor before is used again, in the same shape; "
                                "nothing is loaded"),
    Field("accumulate", 0, 15, 1, "add earlier sums, read from cin_address; CSR: numbers of rows, "
                                "see CsrMode"),
    Field("out_int8", 0, 16, 1, "scale and write int8; otherwise int32"),
    Field("relu", 0, 17, 1, "negative sums become zero"),
    Field("row_bias", 0, 18, 1, "each row's parameter record begins with an int32 bias"),
    Field("row_scale", 0, 19, 1, "each row's parameter record ends with a ScaleWord"),
    Field("out_raw", 0, 20, 1, "write sums as whole V-wide int32 words, as cin_address expects them"),
    Field("pk_log2", 0, 24, 4, "P_k = 1 << pk_log2"),
    Field("group_log2", 0, 28, 4, "rows of C in a word, as a power of two: V / N' for N <= V, else 0"),
    Field("rows", 1, 0, 32, "M, rows of A and of C"),
    Field("k_start", 2, 0, 32, "first column of A (row of B) in this tile; elementwise: 0"),
    Field("k_count", 3, 0, 32, "columns of A (rows of B) in this tile; elementwise: columns of A"),
    Field("n_start", 4, 0, 32, "first column of B in this block (used by packed formats, and of a result in "
                               "CSR)"),
    Field("n_count", 5, 0, 32, "columns of B in this block; elementwise: of B, 0 where a dense B has none"),
    Field("a_pointers", 6, 0, 32, "CSR: address of indptr[1], A's second row pointer"),
    Field("a_indices", 7, 0, 32, "CSR: address of A's first column index"),
    Field("a_values", 8, 0, 32, "CSR: address of A's first value; dense: of A[0, k_start]"),
    Field("a_stride", 9, 0, 32, "dense: bytes from row to row of A"),
    Field("a_nnz", 10, 0, 32, "CSR: stored entries of A"),
    Field("a_first", 11, 0, 32, "CSR: A's first row pointer"),
    Field("a_columns", 12, 0, 32, "CSR: columns of the whole A; an index at or past it is a fault"),
    Field("b_pointers", 13, 0, 32, "CSR: address of indptr[k_start + 1]"),
    Field("b_indices", 14, 0, 32, "CSR: address of the first column index of row k_start"),
    Field("b_values", 15, 0, 32, "CSR: first value of row k_start; dense: address of B[k_start, n_start]"),
    Field("b_stride", 16, 0, 32, "dense: bytes from row to row of B"),
    Field("b_nnz", 17, 0, 32, "CSR: stored entries of rows k_start..k_start + k_count - 1"),
    Field("b_first", 18, 0, 32, "CSR: indptr[k_start]"),
    Field("b_columns", 19, 0, 32, "CSR: columns of the whole B"),
    Field("c_address", 20, 0, 32, "address of C[0, n_start]"),
    Field("c_stride", 21, 0, 32, "bytes from row to row of C (out_raw: from group to group); SDDMM: unused"),
    Field("cin_address", 22, 0, 32, "earlier sums, whole V-wide int32 words a row (or group); CSR: an "
                                    "int32 a row, without a gap"),
    Field("cin_stride", 23, 0, 32, "bytes from row to row (group to group) of earlier sums; 0 repeats; "
                                   "CSR, SDDMM: unused"),
    Field("params_address", 24, 0, 32, "parameter records, one a row, without a gap"),
    Field("scale", 25, 0, 32, "ScaleWord of every row, unless row_scale"),
    Field("slice_words", 26, 0, 16, "words of a row of C in a full slice of a PE"),
    Field("out_csr", 0, 21, 1, "C is written as CSR: values at c_address, without gaps"),
    Field("csr_index32", 0, 22, 1, "column indices are int32, else unsigned 16-bit"),
    Field("csr_drop_zeros", 0, 23, 1, "entries that are zero are left out; otherwise every sum to which "
                                      "something was added is an entry, zero or not"),
    Field("c_indices", 27, 0, 32, "CSR: address of C's first column index"),
    Field("c_pointers", 28, 0, 32, "CSR: address of C's rows + 1 row pointers; the first one is 0 (csr_mode "
                                   "COUNT, PLACE: of a number a row)"),
    Field("c_capacity", 29, 0, 32, "CSR: entries that there is room for; more end the job with OUTPUT_FULL "
                                   "(but csr_mode COUNT)"),
    Field("x_values", 30, 0, 32, "SDDMM: address of X[0, n_start], the dense operand of A's rows; a_stride "
                                 "bytes from row to row"),
    Field("operation", 26, 20, 2, "elementwise: Operation"),
    Field("csr_mode", 26, 16, 2, "CSR: CsrMode"),
)


def field_number(name: str) -> int:
    """Number of a descriptor field, as `ERROR.detail` gives it; KeyError if there is none."""
    for number, field in enumerate(DESCRIPTOR_FIELDS):
        if field.name == name:
            return number
    raise KeyError(name)


def Descriptor() -> data.Layout:
    """The descriptor's words as one 1024-bit layout, word 0 lowest."""
    return data.FlexibleLayout(8 * DESCRIPTOR_BYTES, {
        field.name: data.Field(unsigned(field.bits), 32 * field.word + field.offset)
        for field in DESCRIPTOR_FIELDS
    })
