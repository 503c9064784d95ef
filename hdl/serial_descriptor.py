"""The program of a serial array: how a descriptor's streams begin."""

from .config import Config
from .descriptor import DESCRIPTOR_BYTES
from .serial_checks import check_pointers
from .serial_code import LOOKS, Event, Op, Register, Source, Stream
from .serial_requests import set_beats, set_last_beat
from .serial_writer import ALIGNED, FIELDS, ProgramWriter

__all__ = ["begin_descriptor", "set_up_values"]


def begin_descriptor(w: ProgramWriter, config: Config) -> None:
    """Its tile is loaded; then its rows are multiplied."""
    check_pointers(w)
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
    # A vector is a row of the tile after the other.
    with w.where("group_log2"):
        w.copy(config.lanes, "values_length", "values_stride")
        w.set(Register.N_COUNT)
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
    w.set(Register.N_COUNT, "n_count")
    w.flags("half", "whole", "group_log2")
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
    set_last_beat(w, "pointers")
    w.code.do(Op.WANT, Stream.POINTERS)
    w.load("a_nnz")
    w.go(Op.JUMP_ZERO, nothing)
    w.set(Register.INDEX_OFFSET, "a_indices")
    w.keep(ALIGNED)
    w.store("indices_at")
    set_last_beat(w, "indices")
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
    w.subtract(DESCRIPTOR_BYTES - 4 * FIELDS["k_count"].word)
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
    w.copy("rows", "earlier_rows")
    w.copy("sum_bytes", "earlier_length")
    w.copy("cin_address", "earlier_base")
    set_beats(w, "earlier")
    w.copy("earlier_step", "earlier_stride")
    w.subtract("earlier_length")
    w.go(Op.JUMP_NONZERO, unused)
    # One run, where they are without a gap.
    w.copy(1, "earlier_rows")
    set_last_beat(w, "earlier")
    w.label(unused)
    with w.where("row_bias", "row_scale"):
        w.code.do(Op.WANT, Stream.PARAMETERS)
        w.copy("params_address", "parameters_at")
        set_last_beat(w, "parameters")
    w.set(Register.SCALE, "scale")
    w.copy("result_step", "result_stride")
    w.copy("c_address", "result_base")
    w.copy("result_length", "result_limit")
    long, short = w.new_label(), w.new_label()
    if 4 * config.lanes > config.burst_bytes:
        w.load(config.burst_bytes)
        w.subtract("result_length")
        w.go(Op.JUMP_CARRY, long)
    w.flags("out_int8")
    w.go(Op.JUMP_ZERO, short)
    # No number of words, known before, is a row's only burst.
    w.label(long)
    w.copy(0, "result_limit")
    w.label(short)
    w.set(Register.ROWS, "rows_less_one")
    w.copy(1, "multiplies")
    w.event(Event.RUN)
    w.serve()


def _load_rows(w: ProgramWriter) -> None:
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
    w.keep(~ALIGNED)
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


def _limit_to_row(w: ProgramWriter) -> None:
    """To the beats around a row of B, whose address is in the accumulator and stays there."""
    w.store("base")
    w.keep(~ALIGNED)
    w.add("values_length")
    w.add(3)
    w.keep(ALIGNED)
    w.store("row_bytes")
    w.code.do(Op.LIMIT)
    w.load("base")


def _ask_for_row(w: ProgramWriter, again: str, name: str) -> None:
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


def set_up_values(w: ProgramWriter) -> None:
    """Rows of values, one run where they are without a gap."""
    w.label("values")
    w.set(Register.VALUE_STEP, "values_stride")
    w.set(Register.VALUE_OFFSET, "values_base")
    set_beats(w, "values")
    w.load("values_stride")
    w.subtract("values_length")
    w.go(Op.JUMP_NONZERO, "values_apart")
    w.copy(1, "values_rows")
    w.code.do(Op.SET, Register.RUNS_ON)
    set_last_beat(w, "values")
    w.go(Op.JUMP, "values_set")
    w.label("values_apart")
    w.set(Register.RUNS_ON, 0)
    w.label("values_set")
    w.load(1)
    w.code.do(Op.WANT, Stream.VALUES)
    w.code.do(Op.RETURN)
