"""The program of a serial array: what it refuses to do, decided before any data moves."""

from .config import Config
from .descriptor import Opcode, field_number
from .layouts import AFormat
from .registers import ErrorCode
from .serial_code import Op, Source, Stream
from .serial_writer import ALIGNED, FIELDS, ProgramWriter, code_of, field_mask

__all__ = ["check_array", "check_arrays", "check_fields", "check_pointers"]


def check_fields(w: ProgramWriter, config: Config) -> None:
    """What this array cannot do, in the order of the fields."""
    w.flags("opcode")
    w.subtract(code_of(Opcode.MATMUL))
    w.refuse(Op.JUMP_NONZERO, "opcode", ErrorCode.OPCODE)
    w.flags("a_format")
    w.subtract(field_mask("a_format"))
    w.refuse(Op.JUMP_ZERO, "a_format")
    w.flags("b_format")
    w.refuse(Op.JUMP_NONZERO, "b_format")
    w.flags("half", "whole")
    w.subtract(field_mask("half", "whole"))
    w.refuse(Op.JUMP_ZERO, "half")
    with w.where("reuse_tile"):
        for name, kept in (("k_count", "tile_rows"), ("n_count", "tile_columns")):
            w.load(name)
            w.subtract(kept)
            w.refuse(Op.JUMP_NONZERO, "reuse_tile")
        w.flags("half", "whole", "group_log2")
        w.subtract("tile_place")
        w.refuse(Op.JUMP_NONZERO, "reuse_tile")
    if not config.scale_multipliers:
        w.flags("out_int8")
        w.refuse(Op.JUMP_NONZERO, "out_int8")
    w.flags("out_int8", "out_raw")
    w.subtract(field_mask("out_int8", "out_raw"))
    w.refuse(Op.JUMP_ZERO, "out_raw")
    w.flags("pk_log2")
    w.refuse(Op.JUMP_NONZERO, "pk_log2")
    # Of narrow tiles only vectors.
    with w.where("group_log2"):
        w.subtract(config.lane_bits << FIELDS["group_log2"].offset)
        w.refuse(Op.JUMP_NONZERO, "group_log2")
    w.load("rows")
    w.refuse(Op.JUMP_ZERO, "rows")
    w.load(config.tile_bytes)
    w.subtract("k_count")
    w.refuse(Op.JUMP_CARRY, "k_count")
    w.load("n_count")
    w.refuse(Op.JUMP_ZERO, "n_count")
    w.load(config.lanes)
    w.subtract("n_count")
    w.refuse(Op.JUMP_CARRY, "n_count")
    with w.where("group_log2"):
        w.load("n_count")
        w.subtract(1)
        w.refuse(Op.JUMP_NONZERO, "n_count")
    with w.where("a_format"):
        nothing, narrow = w.new_label(), w.new_label()
        w.refuse_within_beat("a_pointers")
        w.load("a_nnz")
        w.go(Op.JUMP_ZERO, nothing)
        # A wide index is one beat.
        _jump_if_narrow(w, narrow)
        w.refuse_within_beat("a_indices")
        w.label(narrow)
        w.load("a_indices")
        w.keep(1)
        w.refuse(Op.JUMP_NONZERO, "a_indices")
        w.label(nothing)
    # A vector lies in one piece.
    with w.where("group_log2"):
        w.load("b_stride")
        w.subtract(1)
        w.refuse(Op.JUMP_NONZERO, "b_stride")
    # Sums are whole beats.
    bytes_ = w.new_label()
    w.flags("out_int8")
    w.go(Op.JUMP_NONZERO, bytes_)
    for name in ("c_address", "c_stride"):
        w.refuse_within_beat(name)
    w.label(bytes_)
    with w.where("out_raw"):
        _check_vector_stride(w, config, "c_stride")
    for flags, names in ((("accumulate",), ("cin_address", "cin_stride")),
                         (("row_bias", "row_scale"), ("params_address",))):
        with w.where(*flags):
            for name in names:
                w.refuse_within_beat(name)
            if "cin_stride" in names:
                _check_vector_stride(w, config, "cin_stride")
    w.load("slice_words")
    w.keep(field_mask("slice_words"))
    w.subtract(1)
    w.refuse(Op.JUMP_NONZERO, "slice_words")
    w.flags("out_csr")
    w.refuse(Op.JUMP_NONZERO, "out_csr")


def check_arrays(w: ProgramWriter, config: Config) -> None:
    """Arrays in the order of their fields; each one's last byte is kept where it helps later."""
    w.load("rows")
    w.subtract(1)
    w.store("rows_less_one")
    _set_steps(w, config)

    dense, done = w.new_label(), w.new_label()
    w.flags("a_format")
    w.go(Op.JUMP_ZERO, dense)
    _array(w, "a_pointers", 4, "rows_less_one", 4)
    w.copy("last", "pointers_last")
    w.load("a_nnz")
    w.go(Op.JUMP_ZERO, done)
    w.subtract(1)
    w.store("factor_kept")
    narrow, wide = w.new_label(), w.new_label()
    _jump_if_narrow(w, narrow)
    w.load(4)
    w.go(Op.JUMP, wide)
    w.label(narrow)
    w.load(2)
    w.label(wide)
    w.store("stride_kept")
    _array(w, "a_indices", "stride_kept", "factor_kept", "stride_kept")
    w.copy("last", "indices_last")
    _array(w, "a_values", "a_nnz", 0, 0)
    w.go(Op.JUMP, done)
    w.label(dense)
    w.load("k_count")
    w.go(Op.JUMP_ZERO, done)
    _array(w, "a_values", "k_count", "rows_less_one", "a_stride")
    w.label(done)
    w.copy("last", "a_last")

    unused = w.new_label()
    w.flags("reuse_tile")
    w.go(Op.JUMP_NONZERO, unused)
    w.load("k_count")
    w.go(Op.JUMP_ZERO, unused)
    w.subtract(1)
    w.store("factor_kept")
    _array(w, "b_values", "n_count", "factor_kept", "b_stride")
    w.copy("last", "b_last")
    w.label(unused)

    bytes_, words, known = w.new_label(), w.new_label(), w.new_label()
    w.flags("out_int8")
    w.go(Op.JUMP_NONZERO, bytes_)
    w.flags("out_raw")
    w.go(Op.JUMP_ZERO, words)
    w.load("sum_bytes")
    w.go(Op.JUMP, known)
    w.label(words)
    w.load("n_count")
    w.add("n_count")
    w.store("length")
    w.add(0)
    w.add("length")
    w.go(Op.JUMP, known)
    w.label(bytes_)
    w.load("n_count")
    w.label(known)
    w.store("result_length")
    w.copy(Source.WRITE_BASE, "window_base")
    w.copy(Source.WRITE_LAST, "window_last")
    _array(w, "c_address", "result_length", "rows_less_one", "result_step")
    one_row = w.new_label()
    w.load("rows_less_one")
    w.go(Op.JUMP_ZERO, one_row)
    w.load("result_step")
    w.subtract("result_length")
    w.refuse(Op.JUMP_CARRY, "c_stride")
    w.label(one_row)
    w.copy("read_base", "window_base")
    w.copy("read_last", "window_last")

    with w.where("accumulate"):
        _array(w, "cin_address", "sum_bytes", "rows_less_one", "earlier_step")
        w.copy("last", "earlier_last")

    unused, one = w.new_label(), w.new_label()
    w.flags("row_bias", "row_scale")
    w.go(Op.JUMP_ZERO, unused)
    w.subtract(field_mask("row_bias", "row_scale"))
    w.go(Op.JUMP_NONZERO, one)
    _array(w, "params_address", 8, "rows_less_one", 8)
    w.go(Op.JUMP, unused)
    w.label(one)
    _array(w, "params_address", 4, "rows_less_one", 4)
    w.label(unused)
    w.copy("last", "parameters_last")

    unused = w.new_label()
    w.flags("reuse_tile")
    w.go(Op.JUMP_NONZERO, unused)
    w.load("tile_holds")
    w.subtract("k_count")
    w.refuse(Op.JUMP_CARRY, "k_count")
    # In half of the memory there is room for twice as many.
    w.store("length")
    w.flags("whole")
    w.go(Op.JUMP_NONZERO, unused)
    w.load("length")
    w.subtract("k_count")
    w.refuse(Op.JUMP_CARRY, "k_count")
    w.label(unused)


def _jump_if_narrow(w: ProgramWriter, place: str) -> None:
    """Goes there, of a sparse A, where its indices have 16 bits."""
    w.flags("a_format")
    w.subtract(code_of(AFormat.CSR32) << FIELDS["a_format"].offset)
    w.go(Op.JUMP_NONZERO, place)


def _check_vector_stride(w: ProgramWriter, config: Config, name: str) -> None:
    """Of a vector, sums lie without a gap: a word of them for as many rows as there are lanes."""
    with w.where("group_log2"):
        w.load(name)
        w.subtract(4 * config.lanes)
        w.refuse(Op.JUMP_NONZERO, name)


def _set_steps(w: ProgramWriter, config: Config) -> None:
    """From row to row of sums, and how many bytes of them belong to one; how many rows of B a tile holds."""
    lanes = config.lanes
    w.copy("c_stride", "result_step")
    w.copy("cin_stride", "earlier_step")
    w.copy(4 * lanes, "sum_bytes")
    w.copy(config.lane_values, "tile_holds")
    # A vector's sums, as many as there are lanes in a word of them, follow each other without a gap.
    with w.where("group_log2"):
        w.copy(config.lane_values * lanes, "tile_holds")
        w.copy(4, "sum_bytes", "earlier_step")
        with w.where("out_raw"):
            w.copy(4, "result_step")


def _array(w: ProgramWriter, name: str, length: int | str, rows: int | str, stride: int | str) -> None:
    """Rows (less one) of that many bytes, from the field's address on, must be in the window."""
    w.copy(name, "base")
    w.copy(length, "length")
    w.copy(rows, "factor")
    w.copy(stride, "stride")
    w.copy(ErrorCode.OUTSIDE | field_number(name) << 8, "why")
    w.go(Op.CALL, "check")


def check_array(w: ProgramWriter) -> None:
    """`last` becomes base + length - 1 + factor * stride; all of it must be in the window."""
    w.label("check")
    w.load("base")
    w.subtract("window_base")
    w.go(Op.JUMP_CARRY, "outside")
    w.load("factor")
    w.go(Op.JUMP_ZERO, "one_row")
    w.code.do(Op.FACTOR)
    w.load(0)
    w.code.do(Op.MULTIPLY, w.code.variable("stride"))
    w.go(Op.JUMP_CARRY, "outside")
    w.label("one_row")
    w.add("base")
    w.go(Op.JUMP_CARRY, "outside")
    w.add("length")
    w.go(Op.JUMP_CARRY, "wraps")
    w.label("within")
    w.subtract(1)
    w.store("last")
    w.load("window_last")
    w.subtract("last")
    w.go(Op.JUMP_CARRY, "outside")
    w.code.do(Op.RETURN)
    # The last byte may be the address space's.
    w.label("wraps")
    w.go(Op.JUMP_ZERO, "within")
    w.go(Op.JUMP, "outside")


def check_pointers(w: ProgramWriter) -> None:
    """A's last row pointer is read before anything else: more entries than there are would be waited for."""
    with w.where("a_format"):
        w.load(4)
        w.code.do(Op.LIMIT)
        w.load("pointers_last")
        w.keep(ALIGNED)
        w.code.do(Op.READ, Stream.VALUES)
        w.load(Source.VALUES)
        w.subtract("a_first")
        w.subtract("a_nnz")
        w.go(Op.JUMP_NONZERO, "last_pointer")
