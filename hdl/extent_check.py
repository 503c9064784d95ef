"""Whether every array that a descriptor names lies in its memory window, worked out while it comes in."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import ADDRESS_BITS, Config, width_of
from .descriptor import DESCRIPTOR_BYTES, DESCRIPTOR_FIELDS, Descriptor, field_number
from .guard import BLOCK_BITS, Window, Windows
from .layouts import AFormat, BFormat
from .registers import ErrorCode
from .status import Report

__all__ = ["ExtentCheck"]

DIGIT_BITS = 4
FACTOR_BITS = 16
"""One factor of a product that fits in the address space is shorter than this."""

_FIELD_BITS = width_of(len(DESCRIPTOR_FIELDS))
_FIELDS = {field.name: field for field in DESCRIPTOR_FIELDS}


@dataclass
class _Array:
    """`count` + 1 rows of `units` << `shift` bytes, `stride` bytes apart, from the value of `name` on."""

    name: str          # the field that is to blame
    words: str         # the field that comes last of those that matter
    used: Any
    units: Any
    shift: Any = 0
    count: Any = 0
    stride: Any = 0
    write: bool = False
    tile: bool = False  # words of the tile memory, from 0 on
    possible: Any = 1   # as far as the first word says


def _Item() -> data.StructLayout:
    """An array at work."""
    return data.StructLayout({"base": ADDRESS_BITS, "field": _FIELD_BITS, "write": 1, "tile": 1, "wrong": 1,
                              "overlaps": 1})


def _Part() -> data.StructLayout:
    """A digit's part of the product."""
    return data.StructLayout({"first": 1, "last": 1, "product": ADDRESS_BITS + 4, "start": ADDRESS_BITS + 4,
                              "item": _Item()})


def _End() -> data.StructLayout:
    """Where an array ends."""
    return data.StructLayout({"address": ADDRESS_BITS, "item": _Item()})


class ExtentCheck(wiring.Component):
    """Finds the first array of a descriptor that is not wholly inside its window, or a tile that is too long.

    Reads of A, B, earlier sums and parameters belong in the window `read`, C in `write`. An array that wraps
    around the end of the address space is outside. Rows of C may not overlap. A dense tile must fit in its
    half of the tile memory, or in all of it (packed ones are only known when they are packed). Arrays that
    the descriptor does not use are not looked at.

    Throughput: an array a cycle; one with several rows takes a cycle for every four bits of its number of
        rows or of their distance. Arrays have their turn when their fields are in place; those that the
        formats in the first word rule out have none.
    Latency: five cycles from an array's turn to its part of the answer.
    Backpressure: none.
    Order: that of the arrays' fields; the tile is looked at last.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : the descriptor, as far as it is there
    i_placed : beats of it that are in place; 0 between two descriptors, for a cycle at least
    i_windows : Windows
    o_done : the answer is complete
    o : Report but for the number of the descriptor: OUTSIDE, or FIELD for C's stride and for `k_count`
    """

    def __init__(self, config: Config):
        self._config = config
        self._beats = DESCRIPTOR_BYTES // config.port_bytes
        super().__init__({
            "i": In(Descriptor()),
            "i_placed": In(range(self._beats + 1)),
            "i_windows": In(Windows()),
            "o_done": Out(1),
            "o": Out(Report()),
        })

    def elaborate(self, platform):
        m = Module()
        self._begins = Signal()
        # ---- the array at work ----
        self._loaded, self._first, self._more = Signal(), Signal(), Signal()  # `more` digits are left
        self._item = Signal(_Item())
        self._bytes = Signal(ADDRESS_BITS + 3)                                # of its last row
        self._several, self._swapped = Signal(), Signal()                     # rows; the factors
        self._digits, self._factor = Signal(FACTOR_BITS), Signal(ADDRESS_BITS)
        m.d.comb += self._begins.eq(self.i_placed == 0)
        all_loaded = self._choose(m)
        part, part_valid = self._multiply(m)
        end, end_valid = self._add(m, part, part_valid)
        self._compare(m, end, end_valid)
        m.d.comb += self.o_done.eq(all_loaded & ~self._begins & ~(self._loaded | part_valid | end_valid))
        return m

    # ---- stage 1: the array whose turn it is -----------------------------------------------------------

    def _arrays(self, m: Module) -> list[_Array]:
        config, i = self._config, self.i
        sparse_a, sparse_b, loads = Signal(), Signal(), Signal()
        rows, tile_rows, groups = Signal(32), Signal(32), Signal(32)  # less one
        words = Signal(32 - config.lane_bits)                         # of a row of sums, less one
        parameters = Signal(2)
        m.d.comb += [
            sparse_a.eq(i.a_format != AFormat.DENSE),
            sparse_b.eq((i.b_format == BFormat.CSR16_PACKED) | (i.b_format == BFormat.CSR32_PACKED)),
            loads.eq(~i.reuse_tile & (i.k_count != 0)),
            rows.eq(i.rows - 1),
            groups.eq(rows >> i.group_log2),
            tile_rows.eq(i.k_count - 1),
            words.eq(Mux(i.group_log2 != 0, 0, (i.n_count - 1) >> config.lane_bits)),
            parameters.eq(Cat(i.row_bias, i.row_scale)),
        ]
        word_log2 = config.lane_bits + 2
        arrays = [
            _Array("a_pointers", "a_pointers", sparse_a, i.rows, 2, possible=sparse_a),
            _Array("a_indices", "a_nnz", sparse_a & (i.a_nnz != 0), i.a_nnz,
                   Mux(i.a_format == AFormat.CSR32, 2, 1), possible=sparse_a),
            _Array("a_values", "a_nnz", Mux(sparse_a, i.a_nnz, i.k_count) != 0,
                   Mux(sparse_a, i.a_nnz, i.k_count), 0, Mux(sparse_a, 0, rows), i.a_stride),
        ]
        if config.compressed_b:
            entries = Mux(sparse_b, i.b_nnz, i.n_count)
            arrays += [
                _Array("b_pointers", "b_pointers", loads & sparse_b, i.k_count, 2, possible=sparse_b),
                _Array("b_indices", "b_nnz", loads & sparse_b & (i.b_nnz != 0), i.b_nnz,
                       Mux(i.b_format == BFormat.CSR32_PACKED, 2, 1), possible=sparse_b),
                _Array("b_values", "b_nnz", loads & (entries != 0), entries, 0,
                       Mux(sparse_b, 0, tile_rows), i.b_stride),
            ]
        else:
            arrays.append(_Array("b_values", "b_stride", loads, i.n_count, 0, tile_rows, i.b_stride))
        csr = i.out_csr if config.csr_out else Const(0, 1)
        entries = [
            _Array("c_address", "c_capacity", csr & (i.c_capacity != 0), i.c_capacity, Mux(i.out_int8, 0, 2),
                   write=True, possible=csr),
            _Array("c_indices", "c_capacity", csr & (i.c_capacity != 0), i.c_capacity,
                   Mux(i.csr_index32, 2, 1), write=True, possible=csr),
            _Array("c_pointers", "c_pointers", csr, 4, 0, i.rows, 4, write=True, possible=csr),
        ] if config.csr_out else []
        return [
            *arrays,
            *entries,
            _Array("c_address", "c_stride", ~csr, Mux(i.out_raw, (words + 1) << word_log2, i.n_count),
                   Mux(i.out_raw | i.out_int8, 0, 2), Mux(i.out_raw, groups, rows), i.c_stride,
                   write=True, possible=~csr),
            _Array("cin_address", "cin_stride", i.accumulate, (words + 1) << word_log2, 0, groups,
                   i.cin_stride, possible=i.accumulate),
            _Array("params_address", "params_address", parameters.any(), i.rows,
                   Mux(parameters.all(), 3, 2), possible=parameters.any()),
            _Array("k_count", "slice_words", loads & (i.b_format == BFormat.DENSE), i.slice_words, 0,
                   tile_rows >> i.pk_log2 >> i.group_log2, i.slice_words, tile=True),
        ]

    def _choose(self, m: Module) -> Value:
        """Loads one array after the other; the return value is 1 when all had their turn."""
        arrays, item = self._arrays(m), self._item
        # The first turn is nobody's: with the first word it is known whose is next.
        number, following = Signal(range(len(arrays) + 2)), Signal(range(len(arrays) + 2))
        there, takes = Signal(), Signal()
        used, field, write, tile = Signal(), Signal(_FIELD_BITS), Signal(), Signal()
        base, units, shift = Signal(ADDRESS_BITS), Signal(32), Signal(2)
        count, stride, large = Signal(32), Signal(32), Signal()
        words_per_beat = self._config.port_bytes // 4
        with m.Switch(number):
            with m.Case(0):
                m.d.comb += [there.eq(~self._begins), following.eq(self._after(arrays, 0))]
            for place, array in enumerate(arrays):
                with m.Case(1 + place):
                    m.d.comb += [
                        following.eq(self._after(arrays, 1 + place)),
                        there.eq(self.i_placed > _FIELDS[array.words].word // words_per_beat),
                        used.eq(array.used), field.eq(field_number(array.name)),
                        units.eq(array.units), shift.eq(array.shift),
                        count.eq(array.count), stride.eq(array.stride),
                        write.eq(array.write), tile.eq(array.tile),
                    ]
                    if not array.tile:
                        m.d.comb += base.eq(self.i[array.name])
        m.d.comb += [large.eq(count[FACTOR_BITS:].any()), takes.eq(there & ~self._more)]
        with m.If(~self._more):
            m.d.sync += [self._loaded.eq(takes & used), self._first.eq(1)]
        with m.If(takes):
            m.d.sync += [
                number.eq(following),
                item.base.eq(base), item.field.eq(field), item.write.eq(write), item.tile.eq(tile),
                self._bytes.eq(units << shift), self._several.eq(count != 0), self._swapped.eq(large),
                # The shorter factor is taken apart into digits; where neither is short, the product is long.
                self._digits.eq(Mux(large, stride, count)), self._factor.eq(Mux(large, count, stride)),
                item.wrong.eq(large & stride[FACTOR_BITS:].any()),
            ]
        with m.If(self._begins):
            m.d.sync += number.eq(0)
        return number == 1 + len(arrays)

    def _after(self, arrays: list[_Array], number: int) -> Value:
        """Whose turn is next."""
        following: Value = Const(1 + len(arrays))
        for place in reversed(range(number, len(arrays))):
            following = Mux(arrays[place].possible, 1 + place, following)
        return following

    # ---- stage 2: a digit of the product, and where the array would end with one row -------------------

    def _multiply(self, m: Module) -> tuple[data.View, Signal]:
        digits, factor, item = self._digits, self._factor, self._item
        part, valid = Signal(_Part()), Signal()
        stride, start = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS + 4)
        m.d.comb += [
            self._more.eq(self._loaded & digits[DIGIT_BITS:].any()),
            stride.eq(Mux(self._swapped, digits, factor)),
            start.eq(item.base + self._bytes - 1),
        ]
        low = Mux(digits[0], factor, 0) + Mux(digits[1], factor << 1, 0)
        high = Mux(digits[2], factor, 0) + Mux(digits[3], factor << 1, 0)
        m.d.sync += [
            valid.eq(self._loaded),
            part.first.eq(self._first),
            part.last.eq(~self._more),
            part.product.eq(low + (high << 2)),
            part.start.eq(start),
            part.item.eq(item),
            part.item.overlaps.eq(item.write & self._several & (stride < self._bytes)),
        ]
        with m.If(self._more):
            # What leaves the factor would have counted.
            m.d.sync += [
                self._first.eq(0), digits.eq(digits >> DIGIT_BITS), factor.eq(factor << DIGIT_BITS),
                item.wrong.eq(item.wrong | factor[-DIGIT_BITS:].any()),
            ]
        return part, valid

    # ---- stage 3: the last byte ------------------------------------------------------------------------

    def _add(self, m: Module, part, part_valid: Signal) -> tuple[data.View, Signal]:
        end, valid = Signal(_End()), Signal()
        total = Signal(ADDRESS_BITS + 5)
        m.d.comb += total.eq(Mux(part.first, part.start, end.address) + part.product)
        m.d.sync += [
            valid.eq(part_valid & part.last),
            end.address.eq(total),
            end.item.eq(part.item),
            end.item.wrong.eq(part.item.wrong | total[ADDRESS_BITS:].any() | (end.item.wrong & ~part.first)),
            # Of the stride as it was.
            end.item.overlaps.eq(Mux(part.first, part.item.overlaps, end.item.overlaps)),
        ]
        return end, valid

    # ---- stage 4: is it inside -------------------------------------------------------------------------

    def _compare(self, m: Module, end, end_valid: Signal) -> None:
        config, item, error = self._config, end.item, self.o.error
        window, outside, bad = Signal(Window()), Signal(), Signal()
        values = Mux(self.i.whole, config.lane_values, config.lane_values // 2)  # words of the tile
        block = ADDRESS_BITS - BLOCK_BITS
        m.d.comb += [
            window.eq(Mux(item.write, self.i_windows.write.as_value(), self.i_windows.read.as_value())),
            outside.eq(item.wrong | (end.address[block:] > window.last)
                       | (item.base[block:] < window.base)),
            bad.eq(Mux(item.tile, item.wrong | (end.address >= values), outside | item.overlaps)),
        ]
        with m.If(end_valid & bad & ~self.o.valid):
            m.d.sync += [
                self.o.valid.eq(1),
                error.code.eq(Mux(item.tile | ~outside, ErrorCode.FIELD, ErrorCode.OUTSIDE)),
                error.detail.eq(Mux(item.tile | outside, item.field, field_number("c_stride"))),
                error.address.eq(Mux(item.tile | ~outside, 0, item.base)),
            ]
        with m.If(self._begins):
            m.d.sync += self.o.valid.eq(0)
