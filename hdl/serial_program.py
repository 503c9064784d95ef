"""The program of a serial array's sequencer: what it does for a job, a descriptor, a burst."""

from functools import cache
from typing import Any

from .config import Config
from .descriptor import DESCRIPTOR_BYTES, DESCRIPTOR_FIELDS, Opcode, field_number
from .descriptor_check import NOT_A_FIELD
from .layouts import AFormat
from .registers import ErrorCode
from .serial_code import (
    INDIRECT,
    LOOKS,
    NEWS_BLOCKED,
    NEWS_NUMBER,
    NEWS_POINTER,
    NEWS_READ_ERROR,
    NEWS_TAKEN_BITS,
    NEWS_WRITE_ERROR,
    VECTOR_WORDS,
    Assembler,
    Event,
    Op,
    Program,
    Register,
    Request,
    Source,
    Stream,
)

__all__ = ["serial_program"]

_FIELDS = {field.name: field for field in DESCRIPTOR_FIELDS}
_ALIGNED = -4   # a mask
_STREAM = 7     # another one, for a stream's number


class _Writer:
    """Instructions by what they are about: a number is a constant, a descriptor's field its word, any other
    name a variable."""

    def __init__(self) -> None:
        self.code = Assembler()
        self._refusals: dict[int, str] = {}
        self._names = 0

    def _place(self, what: int | str) -> int:
        if isinstance(what, int):
            return self.code.constant(what)
        return _FIELDS[what].word if what in _FIELDS else self.code.variable(what)

    def load(self, what: int | str | Source) -> None:
        self._alu(Op.LOAD, Op.LOAD_FROM, what)

    def add(self, what: int | str | Source) -> None:
        self._alu(Op.ADD, Op.ADD_FROM, what)

    def subtract(self, what: int | str | Source) -> None:
        self._alu(Op.SUBTRACT, Op.SUBTRACT_FROM, what)

    def keep(self, mask: int) -> None:
        """Those bits of the accumulator."""
        self.code.do(Op.AND, self.code.constant(mask))

    def _alu(self, inside: Op, outside: Op, what: int | str | Source) -> None:
        if isinstance(what, Source):
            self.code.do(outside, what)
            return
        place = self._place(what)
        if self.code.stores_last(place):
            if inside is Op.LOAD and not self.code.is_labelled():
                return      # the accumulator holds it
            self.keep(-1)
        self.code.do(inside, place)

    def store(self, name: str) -> None:
        self.code.do(Op.STORE, self._place(name))

    def copy(self, what: int | str | Source, *names: str) -> None:
        self.load(what)
        for name in names:
            self.store(name)

    def set(self, register: Register, what: int | str | Source | None = None) -> None:
        if what is not None:
            self.load(what)
        self.code.do(Op.SET, register)

    def event(self, event: Event) -> None:
        self.code.do(Op.EVENT, event)

    def go(self, op: Op, place: str) -> None:
        self.code.do(op, place)

    def label(self, name: str) -> None:
        self.code.label(name)

    def new_label(self) -> str:
        self._names += 1
        return f"place {self._names}"

    def serve(self) -> None:
        self.code.do(Op.SERVE)

    def flags(self, *names: str) -> None:
        """The accumulator is those bits of the descriptor's first word."""
        self.load("opcode")
        self.keep(_mask(*names))

    def refuse(self, op: Op, name: str, code: ErrorCode = ErrorCode.FIELD) -> None:
        """If the jump is taken, the job ends, and that field is to blame."""
        detail = NOT_A_FIELD if name == "registers" else field_number(name)
        why = code | detail << 8
        self.go(op, self._refusals.setdefault(why, f"refuse {why}"))

    def refusals(self) -> None:
        for why, name in self._refusals.items():
            self.label(name)
            self.load(why)
            self.go(Op.JUMP, "refuse")


def _code_of(member: Any) -> int:
    return member.value


def _mask(*names: str) -> int:
    fields = [_FIELDS[name] for name in names]
    return sum(((1 << field.bits) - 1) << field.offset for field in fields)


@cache
def serial_program(config: Config) -> Program:
    """The program for an array of that configuration."""
    w = _Writer()
    _serve(w)
    _job(w)
    _check_fields(w, config)
    _check_arrays(w, config)
    _begin(w, config)
    _check_one(w)
    _set_up_values(w)
    _ends(w)
    _faults(w)
    w.refusals()
    return w.code.program("first", "trap")


# ---- requests -------------------------------------------------------------------------------------------


def _serve(w: _Writer) -> None:
    """What SERVE goes to, and the rest of it where there is no room for it there."""
    w.code.at(Request.RESULT * VECTOR_WORDS)
    w.event(Event.ROW)
    w.load("result_limit")
    w.go(Op.JUMP_ZERO, "result_bytes")
    w.code.do(Op.LIMIT)
    w.load("result_base")
    w.code.do(Op.WRITE)
    w.go(Op.JUMP_SPLIT, "result_split")
    w.label("result_done")
    w.add("result_stride")
    w.store("result_base")
    w.serve()
    for stream, name in ((Stream.VALUES, "values"), (Stream.INDICES, "indices"),
                         (Stream.POINTERS, "pointers"), (Stream.EARLIER, "earlier"),
                         (Stream.PARAMETERS, "parameters")):
        w.code.at(stream * VECTOR_WORDS)
        _ask(w, name, Op.READ, stream)
        if stream in (Stream.VALUES, Stream.EARLIER):
            w.go(Op.JUMP_ZERO, f"{name}_row")
        else:
            w.code.do(Op.WANT, stream)
        w.serve()
    w.code.at(Request.END * VECTOR_WORDS)
    w.load("multiplies")
    w.go(Op.JUMP_NONZERO, "completed")
    w.go(Op.JUMP, "loaded")
    w.code.at(Request.START * VECTOR_WORDS)
    w.event(Event.TAKEN)
    w.go(Op.JUMP, "start")

    # A row of sums in two bursts, or one of bytes, which may begin and end anywhere in a beat.
    w.label("result_split")
    w.add(Source.NEWS)
    w.store("result_at")
    w.load("result_base")
    w.add("result_limit")
    w.store("result_end")
    w.label("result_burst")
    _ask(w, "result", Op.WRITE)
    w.go(Op.JUMP_NONZERO, "result_burst")
    w.load("result_base")
    w.go(Op.JUMP, "result_done")
    w.label("result_bytes")
    w.set(Register.WRITE_OFFSET, "result_base")
    _beats(w, "result")
    w.go(Op.JUMP, "result_burst")
    for stream, name in ((Stream.VALUES, "values"), (Stream.EARLIER, "earlier")):
        w.label(f"{name}_row")
        w.load(f"{name}_rows")
        w.subtract(1)
        w.store(f"{name}_rows")
        w.code.do(Op.WANT, stream)
        w.go(Op.JUMP_ZERO, "serve")
        _next_row(w, name)


def _ask(w: _Writer, name: str, op: Op, stream: Stream | int = 0) -> None:
    """A burst of what is left of a row; zero is left in the accumulator if it is the last one."""
    w.load(f"{name}_end")
    w.subtract(f"{name}_at")
    w.code.do(Op.LIMIT)
    w.load(f"{name}_at")
    w.code.do(op, stream)
    w.add(Source.NEWS)
    w.store(f"{name}_at")
    w.subtract(f"{name}_end")


def _next_row(w: _Writer, name: str) -> None:
    w.load(f"{name}_base")
    w.add(f"{name}_stride")
    w.store(f"{name}_base")
    _beats(w, name)
    w.serve()


def _beats(w: _Writer, name: str) -> None:
    """Whole beats around a row, whose first byte's address is in the accumulator and has been stored."""
    w.keep(_ALIGNED)
    w.store(f"{name}_at")
    w.load(f"{name}_base")
    w.add(f"{name}_length")
    w.add(3)
    w.keep(_ALIGNED)
    w.store(f"{name}_end")


# ---- a job ------------------------------------------------------------------------------------------------


def _job(w: _Writer) -> None:
    """Reads descriptor after descriptor."""
    w.label("first")
    # No tile is there that could be used again: none has 0 columns.
    w.copy(0, "tile_columns")
    w.label("serve")
    w.serve()
    w.label("start")
    w.copy(Source.READ_BASE, "read_base")
    w.copy(Source.READ_LAST, "read_last")
    w.copy(Source.COUNT, "left")
    w.refuse(Op.JUMP_ZERO, "registers")
    w.subtract(1)
    w.store("factor")
    w.copy(Source.DESCRIPTOR, "base", "descriptor_at")
    w.keep(~_ALIGNED)
    w.refuse(Op.JUMP_NONZERO, "registers")
    w.copy(DESCRIPTOR_BYTES, "length", "stride")
    w.copy(ErrorCode.OUTSIDE | NOT_A_FIELD << 8, "why")
    w.copy("read_base", "window_base")
    w.copy("read_last", "window_last")
    w.go(Op.CALL, "check")
    w.label("descriptor")
    w.event(Event.CLEAR)
    w.load("descriptor_at")
    w.add(DESCRIPTOR_BYTES)
    w.store("descriptor_end")
    w.label("descriptor_burst")
    _ask(w, "descriptor", Op.READ, Stream.VALUES)
    w.go(Op.JUMP_NONZERO, "descriptor_burst")
    last = max(_FIELDS[name].word for name in ("slice_words", "scale"))
    for word in range(DESCRIPTOR_BYTES // 4):
        w.load(Source.VALUES)
        if word <= last:
            w.code.do(Op.STORE, word)


def _check_fields(w: _Writer, config: Config) -> None:
    """What this array cannot do, in the order of the fields."""
    w.flags("opcode")
    w.subtract(_code_of(Opcode.MATMUL))
    w.refuse(Op.JUMP_NONZERO, "opcode", ErrorCode.OPCODE)
    w.flags("a_format")
    w.subtract(_mask("a_format"))
    w.refuse(Op.JUMP_ZERO, "a_format")
    w.flags("b_format")
    w.refuse(Op.JUMP_NONZERO, "b_format")
    w.flags("half", "whole")
    w.subtract(_mask("half", "whole"))
    w.refuse(Op.JUMP_ZERO, "half")
    loads = w.new_label()
    w.flags("reuse_tile")
    w.go(Op.JUMP_ZERO, loads)
    for name, kept in (("k_count", "tile_rows"), ("n_count", "tile_columns")):
        w.load(name)
        w.subtract(kept)
        w.refuse(Op.JUMP_NONZERO, "reuse_tile")
    w.flags("half", "whole")
    w.subtract("tile_place")
    w.refuse(Op.JUMP_NONZERO, "reuse_tile")
    w.label(loads)
    if not config.scale_multipliers:
        w.flags("out_int8")
        w.refuse(Op.JUMP_NONZERO, "out_int8")
    w.flags("out_int8", "out_raw")
    w.subtract(_mask("out_int8", "out_raw"))
    w.refuse(Op.JUMP_ZERO, "out_raw")
    for name in ("pk_log2", "group_log2"):
        w.flags(name)
        w.refuse(Op.JUMP_NONZERO, name)
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
    dense, nothing = w.new_label(), w.new_label()
    w.flags("a_format")
    w.go(Op.JUMP_ZERO, dense)
    w.load("a_pointers")
    w.keep(~_ALIGNED)
    w.refuse(Op.JUMP_NONZERO, "a_pointers")
    w.load("a_nnz")
    w.go(Op.JUMP_ZERO, nothing)
    # A wide index is one beat.
    narrow = w.new_label()
    w.flags("a_format")
    w.subtract(_code_of(AFormat.CSR32) << _FIELDS["a_format"].offset)
    w.go(Op.JUMP_NONZERO, narrow)
    w.load("a_indices")
    w.keep(~_ALIGNED)
    w.refuse(Op.JUMP_NONZERO, "a_indices")
    w.label(narrow)
    w.load("a_indices")
    w.keep(1)
    w.refuse(Op.JUMP_NONZERO, "a_indices")
    w.label(dense)
    w.label(nothing)
    # Sums are whole beats.
    bytes_ = w.new_label()
    w.flags("out_int8")
    w.go(Op.JUMP_NONZERO, bytes_)
    for name in ("c_address", "c_stride"):
        w.load(name)
        w.keep(~_ALIGNED)
        w.refuse(Op.JUMP_NONZERO, name)
    w.label(bytes_)
    for flags, names in ((("accumulate",), ("cin_address", "cin_stride")),
                         (("row_bias", "row_scale"), ("params_address",))):
        unused = w.new_label()
        w.flags(*flags)
        w.go(Op.JUMP_ZERO, unused)
        for name in names:
            w.load(name)
            w.keep(3)
            w.refuse(Op.JUMP_NONZERO, name)
        w.label(unused)
    w.load("slice_words")
    w.keep(_mask("slice_words"))
    w.subtract(1)
    w.refuse(Op.JUMP_NONZERO, "slice_words")
    w.flags("out_csr")
    w.refuse(Op.JUMP_NONZERO, "out_csr")


# ---- where arrays lie -------------------------------------------------------------------------------------


def _check_arrays(w: _Writer, config: Config) -> None:
    """Arrays in the order of their fields; each one's last byte is kept where it helps later."""
    sum_bytes = 4
    w.load("rows")
    w.subtract(1)
    w.store("rows_less_one")
    w.copy("read_base", "window_base")
    w.copy("read_last", "window_last")

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
    w.flags("a_format")
    w.subtract(_code_of(AFormat.CSR32) << _FIELDS["a_format"].offset)
    w.go(Op.JUMP_NONZERO, narrow)
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
    w.load(sum_bytes * config.lanes)
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
    one_row = w.new_label()
    w.load("rows_less_one")
    w.go(Op.JUMP_ZERO, one_row)
    w.load("c_stride")
    w.subtract("result_length")
    w.refuse(Op.JUMP_CARRY, "c_stride")
    w.label(one_row)
    w.copy(Source.WRITE_BASE, "window_base")
    w.copy(Source.WRITE_LAST, "window_last")
    _array(w, "c_address", "result_length", "rows_less_one", "c_stride")
    w.copy("read_base", "window_base")
    w.copy("read_last", "window_last")

    unused = w.new_label()
    w.flags("accumulate")
    w.go(Op.JUMP_ZERO, unused)
    _array(w, "cin_address", sum_bytes * config.lanes, "rows_less_one", "cin_stride")
    w.label(unused)

    unused, one = w.new_label(), w.new_label()
    w.flags("row_bias", "row_scale")
    w.go(Op.JUMP_ZERO, unused)
    w.subtract(_mask("row_bias", "row_scale"))
    w.go(Op.JUMP_NONZERO, one)
    _array(w, "params_address", 8, "rows_less_one", 8)
    w.go(Op.JUMP, unused)
    w.label(one)
    _array(w, "params_address", 4, "rows_less_one", 4)
    w.label(unused)
    w.copy("last", "parameters_last")

    unused, half, known = w.new_label(), w.new_label(), w.new_label()
    w.flags("reuse_tile")
    w.go(Op.JUMP_NONZERO, unused)
    w.flags("whole")
    w.go(Op.JUMP_ZERO, half)
    w.load(config.lane_values)
    w.go(Op.JUMP, known)
    w.label(half)
    w.load(config.lane_values // 2)
    w.label(known)
    w.subtract("k_count")
    w.refuse(Op.JUMP_CARRY, "k_count")
    w.label(unused)


def _array(w: _Writer, name: str, length: int | str, rows: int | str, stride: int | str) -> None:
    """Rows (less one) of that many bytes, from the field's address on, must be in the window."""
    w.copy(name, "base")
    w.copy(length, "length")
    w.copy(rows, "factor")
    w.copy(stride, "stride")
    w.copy(ErrorCode.OUTSIDE | field_number(name) << 8, "why")
    w.go(Op.CALL, "check")


def _check_one(w: _Writer) -> None:
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


# ---- a descriptor -----------------------------------------------------------------------------------------


def _begin(w: _Writer, config: Config) -> None:
    """Its tile is loaded; then its rows are multiplied."""
    _check_pointers(w)
    w.set(Register.MODE, "opcode")
    w.set(Register.N_COUNT, "n_count")
    w.set(Register.K_COUNT, "k_count")
    w.go(Op.JUMP_ZERO, "loaded")
    w.flags("reuse_tile")
    w.go(Op.JUMP_NONZERO, "loaded")
    w.copy("b_values", "values_base")
    w.copy("n_count", "values_length")
    w.copy("b_stride", "values_stride")
    w.copy("k_count", "values_rows")
    w.copy("b_last", "values_last")
    w.go(Op.CALL, "values")
    w.copy(0, "multiplies")
    w.load("k_count")
    w.subtract(1)
    w.set(Register.ROWS)
    w.event(Event.LOAD)
    _load_rows(w)
    w.serve()

    w.label("loaded")
    # Of a run of rows the last beat may be there still.
    w.event(Event.CLEAR)
    w.copy("k_count", "tile_rows")
    w.copy("n_count", "tile_columns")
    w.flags("half", "whole")
    w.store("tile_place")
    dense, nothing, begun = w.new_label(), w.new_label(), w.new_label()
    w.copy("a_values", "values_base")
    w.flags("a_format")
    w.go(Op.JUMP_ZERO, dense)
    w.set(Register.COLUMN_START, "k_start")
    w.set(Register.COLUMNS, "a_columns")
    w.set(Register.ENTRY, "a_first")
    w.load("a_pointers")
    w.store("pointers_at")
    _last_beat(w, "pointers")
    w.code.do(Op.WANT, Stream.POINTERS)
    w.load("a_nnz")
    w.go(Op.JUMP_ZERO, nothing)
    w.set(Register.INDEX_OFFSET, "a_indices")
    w.keep(_ALIGNED)
    w.store("indices_at")
    _last_beat(w, "indices")
    w.code.do(Op.WANT, Stream.INDICES)
    w.copy("a_nnz", "values_length", "values_stride")
    w.copy(1, "values_rows")
    w.go(Op.JUMP, begun)
    w.label(dense)
    w.copy("rows", "values_rows")
    w.copy("a_stride", "values_stride")
    w.copy("k_count", "values_length")
    w.go(Op.JUMP_NONZERO, begun)
    # Rows without a column have a zero each instead: a byte of `k_count`, where the descriptor is.
    w.copy(0, "values_stride")
    w.load("descriptor_at")
    w.subtract(DESCRIPTOR_BYTES - 4 * _FIELDS["k_count"].word)
    w.store("values_base")
    w.copy(1, "values_length")
    w.set(Register.K_COUNT)
    w.label(begun)
    w.copy("a_last", "values_last")
    w.go(Op.CALL, "values")
    w.label(nothing)

    unused = w.new_label()
    w.flags("accumulate")
    w.go(Op.JUMP_ZERO, unused)
    w.code.do(Op.WANT, Stream.EARLIER)
    w.copy(4 * config.lanes, "earlier_length")
    w.copy("cin_stride", "earlier_stride")
    w.copy("rows", "earlier_rows")
    w.copy("cin_address", "earlier_base")
    _beats(w, "earlier")
    w.label(unused)
    unused = w.new_label()
    w.flags("row_bias", "row_scale")
    w.go(Op.JUMP_ZERO, unused)
    w.code.do(Op.WANT, Stream.PARAMETERS)
    w.copy("params_address", "parameters_at")
    _last_beat(w, "parameters")
    w.label(unused)
    w.set(Register.SCALE, "scale")
    w.copy("c_stride", "result_stride")
    w.copy("c_address", "result_base")
    w.copy("result_length", "result_limit")
    sums = w.new_label()
    w.flags("out_int8")
    w.go(Op.JUMP_ZERO, sums)
    w.copy(0, "result_limit")
    w.label(sums)
    w.set(Register.ROWS, "rows_less_one")
    w.copy(1, "multiplies")
    w.event(Event.RUN)
    w.serve()


def _load_rows(w: _Writer) -> None:
    """Rows of B with gaps between them are asked for here, one burst each; they wait for no request."""
    w.load("values_rows")
    w.subtract(1)
    w.go(Op.JUMP_ZERO, "serve")
    # Rows at one place have no end that could be told from their beginning.
    w.load("values_stride")
    w.go(Op.JUMP_ZERO, "serve")
    w.load("values_last")
    w.add(1)
    w.subtract("values_length")
    w.store("last_row")
    w.load("values_stride")
    w.keep(~_ALIGNED)
    w.go(Op.JUMP_NONZERO, "load_anywhere")
    w.load("values_base")
    _limit_to_row(w)
    w.label("load_aligned")
    _ask_for_row(w, "load_aligned", "aligned")
    w.label("load_anywhere")
    w.load("values_base")
    w.label("load_row")
    _limit_to_row(w)
    _ask_for_row(w, "load_row", "anywhere")
    w.label("load_done")
    w.code.do(Op.WANT, Stream.VALUES)
    w.serve()


def _limit_to_row(w: _Writer) -> None:
    """To the beats around a row of B, whose address is in the accumulator and stays there."""
    w.store("base")
    w.keep(~_ALIGNED)
    w.add("values_length")
    w.add(3)
    w.keep(_ALIGNED)
    w.store("row_bytes")
    w.code.do(Op.LIMIT)
    w.load("base")


def _ask_for_row(w: _Writer, again: str, name: str) -> None:
    """One burst, or two, and the next row's address."""
    w.code.do(Op.READ, Stream.VALUES | LOOKS)
    w.go(Op.JUMP_SPLIT, f"split {name}")
    w.label(f"next {name}")
    w.subtract("last_row")
    w.go(Op.JUMP_ZERO, "load_done")
    w.add("last_row")
    w.add("values_stride")
    w.go(Op.JUMP, again)
    w.label(f"split {name}")
    w.store("base")
    w.load("row_bytes")
    w.subtract(Source.NEWS)
    w.code.do(Op.LIMIT)
    w.load("base")
    w.add(Source.NEWS)
    w.code.do(Op.READ, Stream.VALUES)
    w.load("row_bytes")
    w.code.do(Op.LIMIT)
    w.load("base")
    w.go(Op.JUMP, f"next {name}")


def _last_beat(w: _Writer, name: str) -> None:
    """The end of the beat with its last byte."""
    w.load(f"{name}_last")
    w.add(4)
    w.keep(_ALIGNED)
    w.store(f"{name}_end")


def _check_pointers(w: _Writer) -> None:
    """A's last row pointer is read before anything else: more entries than there are would be waited for."""
    dense = w.new_label()
    w.flags("a_format")
    w.go(Op.JUMP_ZERO, dense)
    w.load(4)
    w.code.do(Op.LIMIT)
    w.load("pointers_last")
    w.keep(_ALIGNED)
    w.code.do(Op.READ, Stream.VALUES)
    w.load(Source.VALUES)
    w.subtract("a_first")
    w.subtract("a_nnz")
    w.go(Op.JUMP_NONZERO, "last_pointer")
    w.label(dense)


def _set_up_values(w: _Writer) -> None:
    """Rows of values, one run where they are without a gap."""
    w.label("values")
    w.set(Register.VALUE_STEP, "values_stride")
    w.set(Register.VALUE_OFFSET, "values_base")
    _beats(w, "values")
    w.load("values_stride")
    w.subtract("values_length")
    w.go(Op.JUMP_NONZERO, "values_apart")
    w.copy(1, "values_rows")
    w.code.do(Op.SET, Register.RUNS_ON)
    _last_beat(w, "values")
    w.go(Op.JUMP, "values_set")
    w.label("values_apart")
    w.set(Register.RUNS_ON, 0)
    w.label("values_set")
    w.load(1)
    w.code.do(Op.WANT, Stream.VALUES)
    w.code.do(Op.RETURN)


def _ends(w: _Writer) -> None:
    w.label("completed")
    w.event(Event.COMPLETED)
    w.load("left")
    w.subtract(1)
    w.store("left")
    w.go(Op.JUMP_NONZERO, "descriptor")
    w.event(Event.FINISHED)
    w.serve()


# ---- faults -----------------------------------------------------------------------------------------------


def _where(w: _Writer, name: str, first: str) -> None:
    """The address of a queue's head: the last one before what was asked for that is as many words behind the
    first one as were taken, modulo what the queue holds."""
    w.load(Source.NEWS)
    w.keep((1 << NEWS_TAKEN_BITS) - 1)
    w.store("base")
    w.load(first)
    w.keep(_ALIGNED)
    w.add("base")
    w.store("base")
    w.load(f"{name}_at")
    w.subtract("base")
    w.keep((1 << NEWS_TAKEN_BITS) - 1)
    w.store("base")
    w.load(f"{name}_at")
    w.subtract("base")
    w.go(Op.JUMP, "report")


def _faults(w: _Writer) -> None:
    """Each ends with the error's address in the accumulator, and waits for the reset that a report brings."""
    w.label("trap")
    for kind, name in ((NEWS_READ_ERROR, "read error"), (NEWS_WRITE_ERROR, "write error"),
                       (NEWS_BLOCKED, "blocked"), (NEWS_POINTER, "pointer fault")):
        w.load(Source.NEWS)
        w.keep(kind)
        w.go(Op.JUMP_NONZERO, name)
    w.set(Register.WHY, ErrorCode.COLUMN_INDEX)
    _where(w, "indices", "a_indices")
    w.label("pointer fault")
    w.set(Register.WHY, ErrorCode.ROW_POINTER)
    _where(w, "pointers", "a_pointers")
    w.label("last_pointer")
    w.set(Register.WHY, ErrorCode.ROW_POINTER)
    w.load("pointers_last")
    w.keep(_ALIGNED)
    w.go(Op.JUMP, "report")
    w.label("write error")
    w.set(Register.WHY, ErrorCode.WRITE_BUS)
    w.code.do(Op.LOAD, INDIRECT)
    w.go(Op.JUMP, "report")
    w.label("blocked")
    w.load(Source.NEWS)
    w.keep(_STREAM << NEWS_NUMBER)
    w.go(Op.JUMP_ZERO, "blocked write")
    w.copy(ErrorCode.BLOCKED, "why")
    w.go(Op.JUMP, "blocked read")
    w.label("read error")
    w.copy(ErrorCode.READ_BUS, "why")
    w.label("blocked read")
    w.load(Source.NEWS)
    w.keep(_STREAM << NEWS_NUMBER)
    w.add("why")
    w.code.do(Op.SET, Register.WHY)
    w.code.do(Op.LOAD, INDIRECT)
    w.go(Op.JUMP, "report")
    w.label("blocked write")
    report_why = ErrorCode.BLOCKED | NOT_A_FIELD << 8
    w.set(Register.WHY, report_why)
    w.code.do(Op.LOAD, INDIRECT)
    w.go(Op.JUMP, "report")
    w.label("outside")
    w.set(Register.WHY, "why")
    w.load("base")
    w.go(Op.JUMP, "report")
    w.label("refuse")
    w.code.do(Op.SET, Register.WHY)
    w.load(0)
    w.label("report")
    w.event(Event.REPORT)
    w.label("halt")
    w.go(Op.JUMP, "halt")


