"""Whether every array that a descriptor names lies in its memory window, worked out while it comes in."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .adders import MaskedAdder
from .config import ADDRESS_BITS, Config, width_of
from .descriptor import (
    DESCRIPTOR_BYTES,
    DESCRIPTOR_FIELDS,
    Descriptor,
    Opcode,
    field_number,
    is_elementwise,
    is_sddmm,
)
from .guard import BLOCK_BITS, Window, Windows
from .layouts import AFormat, BFormat
from .registers import ErrorCode
from .selectors import WideSelect
from .status import Report

__all__ = ["ExtentCheck"]

_ADDED_BITS = 4
"""Of a number of rows, that two adders multiply by in a cycle."""
_MULTIPLIED_BITS = 16
"""The same for two multipliers."""

_HIGH = 18
"""Bits of the distance of rows that one multiplier takes; another one takes the others."""

_FIELD_BITS = width_of(len(DESCRIPTOR_FIELDS))
_FIELDS = {field.name: field for field in DESCRIPTOR_FIELDS}
_UNITS = ("rows", "a_nnz", "k_count", "b_nnz", "n_count", "slice_words")
_STRIDES = ("a_stride", "b_stride", "c_stride", "cin_stride", "slice_words")


def _units(config: Config) -> tuple[str, ...]:
    return (*_UNITS, "c_capacity") if config.csr_out else _UNITS


@dataclass
class _Array:
    """Rows of `units` << `shift` bytes, `stride` bytes apart, from the value of `name` on.

    As many rows as the descriptor has, or, `of_k`, the tile; by groups of 1 << `grouped`.
    """

    name: str          # the field that is to blame
    words: str         # the field that comes last of those that matter
    units: Any         # a number of `_units`; where it is 0 the array is not used
    one_more: Any = 0  # there is one unit more than that
    used: Any = 1
    shift: Any = 0
    whole: Any = 0     # units are rounded up to whole words of sums; one word where rows share it
    counted: Any = 0   # otherwise there is one row
    of_k: Any = 0
    grouped: Any = 0
    stride: str = "a_stride"
    write: bool = False
    tile: bool = False  # words of the tile memory, from 0 on
    possible: Any = 1   # as far as the first word says


def _Choice(config: Config) -> data.StructLayout:
    """What is to be looked at of the descriptor, for an array."""
    return data.StructLayout({
        "used": 1, "field": _FIELD_BITS, "write": 1, "tile": 1, "unit": width_of(len(_units(config))),
        "one_more": 1, "shift": 2, "whole": 1, "counted": 1, "of_k": 1,
        "grouped": width_of(config.pe_bits + config.lane_bits + 1), "stride": width_of(len(_STRIDES))})


def _Item() -> data.StructLayout:
    """An array at work."""
    return data.StructLayout({"base": ADDRESS_BITS, "field": _FIELD_BITS, "write": 1, "tile": 1, "wrong": 1})


def _Part(low_bits: int, high_bits: int) -> data.StructLayout:
    """A digit's part of the product: `low`, and, from bit _HIGH on, `high`."""
    return data.StructLayout({"first": 1, "last": 1, "low": low_bits, "high": high_bits,
                              "start": ADDRESS_BITS + 4, "several": 1, "closer": 1, "item": _Item()})


def _End() -> data.StructLayout:
    """Where an array ends."""
    return data.StructLayout({"address": ADDRESS_BITS, "overlaps": 1, "item": _Item()})


class ExtentCheck(wiring.Component):
    """Finds the first array of a descriptor that is not wholly inside its window, or a tile that is too long.

    Reads of A, B, earlier sums and parameters belong in the window `read`, C in `write`. An array that wraps
    around the end of the address space is outside. Rows of C may not overlap. A dense tile must fit in its
    half of the tile memory, or in all of it (packed ones are only known when they are packed). Arrays that
    the descriptor does not use are not looked at.

    Throughput: an array a cycle; one with several rows takes a cycle for every four bits of its number of
        rows (for every 16 with `address_multipliers`). Arrays have their turn when their fields are in place;
        those that the formats in the first word rule out have none.
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
        self._digit_bits = _MULTIPLIED_BITS if config.address_multipliers else _ADDED_BITS
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
        self._units = Signal(33)                                              # of a row, less one
        self._sizes = Signal(data.StructLayout({"whole": 1, "one": 1, "shift": 2}))
        self._digits, self._factor = Signal(32), Signal(ADDRESS_BITS)         # rows less one; their distance
        self._window = Signal(Window())   # of the array whose end is known
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
        sparse_a, sparse_b, loads, merges, wide = (Signal() for _ in range(5))
        parameters = Signal(2)
        # Values that are too large are refused, whatever comes out here.
        group, split = i.group_log2[:width_of(config.lane_bits + 1)], i.pk_log2[:width_of(config.pe_bits + 1)]
        m.d.comb += [
            sparse_a.eq(i.a_format != AFormat.DENSE),
            sparse_b.eq((i.b_format == BFormat.CSR16_PACKED) | (i.b_format == BFormat.CSR32_PACKED)),
            merges.eq(is_elementwise(i.opcode) if config.elementwise else 0),
            wide.eq(i.opcode == Opcode.ELEMENTWISE_WIDE),   # refused where it is not known
            loads.eq(~i.reuse_tile & ((i.k_count != 0) | merges)),
            parameters.eq(Cat(i.row_bias, i.row_scale)),
        ]
        unit = _units(config).index
        # SDDMM's result is one vector with an element for each entry of A.
        sddmm = is_sddmm(i.opcode) if config.sddmm else Const(0)
        reads_values = (i.opcode != Opcode.SDDMM_PATTERN) if config.sddmm else Const(1)
        per_row = Mux(sddmm, unit("a_nnz"), unit("n_count"))
        dense_c: Any = ~i.out_csr if config.csr_out else Const(1)
        arrays = [
            _Array("a_pointers", "a_pointers", unit("rows"), shift=2, used=sparse_a, possible=sparse_a),
            _Array("a_indices", "a_nnz", unit("a_nnz"), shift=Mux(i.a_format == AFormat.CSR32, 2, 1),
                   used=sparse_a, possible=sparse_a),
            _Array("a_values", "a_nnz", Mux(sparse_a, unit("a_nnz"), unit("k_count")), counted=~sparse_a,
                   used=reads_values),
        ]
        if config.compressed_b:
            arrays += [
                _Array("b_pointers", "b_pointers", Mux(merges, unit("rows"), unit("k_count")), shift=2,
                       used=loads & sparse_b, possible=sparse_b),
                _Array("b_indices", "b_nnz", unit("b_nnz"), used=loads & sparse_b, possible=sparse_b,
                       shift=Mux(i.b_format == BFormat.CSR32_PACKED, 2, 1)),
                _Array("b_values", "b_nnz", Mux(sparse_b, unit("b_nnz"), unit("n_count")), used=loads,
                       shift=Mux(wide, 2, 0),
                       counted=~sparse_b, of_k=~merges, stride="b_stride"),
            ]
        else:
            arrays.append(_Array("b_values", "b_stride", unit("n_count"), used=loads, counted=1, of_k=True,
                                 stride="b_stride"))
        if config.csr_out:
            csr = {"used": i.out_csr, "possible": i.out_csr, "write": True}
            arrays += [
                _Array("c_address", "c_capacity", unit("c_capacity"), shift=Mux(i.out_int8, 0, 2), **csr),
                _Array("c_indices", "c_capacity", unit("c_capacity"), shift=Mux(i.csr_index32, 2, 1), **csr),
                _Array("c_pointers", "c_pointers", unit("rows"), one_more=1, shift=2, **csr),
            ]
        return [
            *arrays,
            _Array("c_address", "c_stride", per_row, whole=i.out_raw,
                   shift=Mux(i.out_raw | ~i.out_int8, 2, 0), counted=~sddmm, grouped=Mux(i.out_raw, group, 0),
                   stride="c_stride", write=True, possible=dense_c),
            _Array("cin_address", "cin_stride", Mux(dense_c, per_row, unit("rows")), used=i.accumulate,
                   whole=dense_c, shift=2, counted=dense_c & ~sddmm, grouped=group, stride="cin_stride",
                   possible=i.accumulate),
            _Array("params_address", "params_address", unit("rows"), shift=Mux(parameters.all(), 3, 2),
                   used=parameters.any(), possible=parameters.any()),
            *([_Array("x_values", "x_values", unit("n_count"), counted=1, used=sddmm, possible=sddmm)]
              if config.sddmm else []),
            _Array("k_count", "slice_words", unit("slice_words"), used=loads & (i.b_format == BFormat.DENSE),
                   counted=1, of_k=True, grouped=split + group, stride="slice_words", tile=True),
        ]

    def _choose(self, m: Module) -> Value:
        """Loads one array after the other; the return value is 1 when all had their turn."""
        arrays, item = self._arrays(m), self._item
        # The first turn is nobody's: with the first word it is known whose is next.
        nobody, all_done = len(arrays), len(arrays) + 1
        number, following = Signal(range(all_done + 1), init=nobody), Signal(range(all_done + 1))
        there, takes = Signal(), Signal()
        # What comes after each array hangs on the first word, which is there before the first array.
        after = Array(Signal.like(following, name=f"after{place}") for place in range(len(arrays)))
        m.d.sync += [next_one.eq(self._after(arrays, 1 + place)) for place, next_one in enumerate(after)]
        choice, next_choice = Signal(_Choice(self._config)), Signal(_Choice(self._config))
        # The tile, which is the last one, has no address.
        m.submodules.base = base = WideSelect(ADDRESS_BITS, len(arrays) - 1)
        m.d.comb += [base.i_number.eq(number),
                     *(sink.eq(self.i[array.name]) for sink, array in zip(base.i, arrays[:-1], strict=True))]
        words_per_beat = self._config.port_bytes // 4
        with m.Switch(number):
            with m.Case(nobody):
                m.d.comb += [there.eq(~self._begins), following.eq(self._after(arrays, 0))]
            for place, array in enumerate(arrays):
                with m.Case(place):
                    m.d.comb += [
                        following.eq(after[place]),
                        there.eq(self.i_placed > _FIELDS[array.words].word // words_per_beat),
                    ]
        with m.Switch(following):
            for place, array in enumerate(arrays):
                with m.Case(place):
                    m.d.comb += [
                        next_choice.used.eq(array.used), next_choice.field.eq(field_number(array.name)),
                        next_choice.write.eq(array.write), next_choice.tile.eq(array.tile),
                        next_choice.unit.eq(array.units), next_choice.one_more.eq(array.one_more),
                        next_choice.shift.eq(array.shift), next_choice.whole.eq(array.whole),
                        next_choice.counted.eq(array.counted), next_choice.of_k.eq(array.of_k),
                        next_choice.grouped.eq(array.grouped),
                        next_choice.stride.eq(_STRIDES.index(array.stride)),
                    ]
        m.d.comb += takes.eq(there & ~self._more)
        with m.If(~self._more):
            m.d.sync += [self._loaded.eq(takes & choice.used), self._first.eq(1)]
        with m.If(takes):
            m.d.sync += [
                number.eq(following), choice.eq(next_choice),
                item.base.eq(base.o), item.field.eq(choice.field), item.write.eq(choice.write),
                item.tile.eq(choice.tile), item.wrong.eq(0),
            ]
            with m.If(choice.tile):
                m.d.sync += item.base.eq(0)
        self._load(m, choice, takes)
        with m.If(self._begins):
            m.d.sync += number.eq(nobody)
        return number == all_done

    def _load(self, m: Module, choice, takes: Signal) -> None:
        """Sizes of the array that is chosen."""
        i = self.i
        units, rows, stride = Signal(32), Signal(32), Signal(32)   # rows less one
        m.d.comb += [
            units.eq(Array(i[name] for name in _units(self._config))[choice.unit]),
            stride.eq(Array(i[name] for name in _STRIDES)[choice.stride]),
            rows.eq(Mux(choice.of_k, i.k_count, i.rows) - 1),
        ]
        with m.If(takes):
            m.d.sync += [
                self._units.eq(units - ~choice.one_more),
                self._sizes.whole.eq(choice.whole), self._sizes.one.eq(choice.whole & (i.group_log2 != 0)),
                self._sizes.shift.eq(choice.shift),
                self._digits.eq(Mux(choice.counted, rows >> choice.grouped, 0)),
                self._factor.eq(stride),
            ]

    def _after(self, arrays: list[_Array], number: int) -> Value:
        """Whose turn is next, from that one on."""
        following: Value = Const(1 + len(arrays))
        for place in reversed(range(number, len(arrays))):
            following = Mux(arrays[place].possible, place, following)
        return following

    # ---- stage 2: a digit of the product, and where the array would end with one row -------------------

    def _multiply(self, m: Module) -> tuple[data.View, Signal]:
        digits, factor, item, digit_bits = self._digits, self._factor, self._item, self._digit_bits
        # The sum of what two multipliers make is for the next stage: they take half of this one.
        widths = ((_HIGH + digit_bits, ADDRESS_BITS - _HIGH + digit_bits) if self._config.address_multipliers
                  else (ADDRESS_BITS + digit_bits, 1))   # one that stays 0: a width of 0 is no Verilog
        part, valid = Signal(_Part(*widths)), Signal()
        sizes, units, last = self._sizes, Signal(32), Signal(ADDRESS_BITS + 3)   # bytes of a row, less one
        works = Signal()   # there are units
        in_word = (1 << self._config.lane_bits) - 1
        m.d.comb += [
            works.eq(self._loaded & ~self._units[-1]),
            self._more.eq(works & digits[digit_bits:].any()),
            units.eq(Mux(sizes.one, 0, self._units[:-1]) | Mux(sizes.whole, in_word, 0)),
            # What is below the units are bytes, of which the last one counts.
            last.eq((units << sizes.shift) | ((1 << sizes.shift) - 1)),
        ]
        digit = digits[:digit_bits]
        if self._config.address_multipliers:
            m.d.sync += [part.low.eq(factor[:_HIGH] * digit), part.high.eq(factor[_HIGH:] * digit)]
        else:
            m.d.sync += part.low.eq(self._added(m, factor, digit))
        m.d.sync += [
            valid.eq(works),
            part.first.eq(self._first),
            part.last.eq(~self._more),
            part.start.eq(item.base + last),
            part.several.eq(item.write & digits.any()),
            part.closer.eq(factor <= last),   # rows, if there are several, less than a row apart
            part.item.eq(item),
        ]
        with m.If(self._more):
            # What leaves the factor would have counted.
            m.d.sync += [
                self._first.eq(0), digits.eq(digits >> digit_bits), factor.eq(factor << digit_bits),
                item.wrong.eq(item.wrong | factor[-digit_bits:].any()),
            ]
        return part, valid

    def _added(self, m: Module, factor: Value, digit: Value) -> Value:
        low = self._masked(m, "low", factor, digit[0], factor << 1, digit[1])
        high = self._masked(m, "high", factor, digit[2], factor << 1, digit[3])
        product = self._masked(m, "product", low, digit[:2].any(), high << 2, digit[2:].any())
        return Mux(digit.any(), product, 0)

    def _masked(self, m: Module, name: str, one: Value, uses_one: Value, other: Value,
                uses_other: Value) -> Value:
        """The sum of those that are used, one of them at least."""
        m.submodules[name] = adder = MaskedAdder(ADDRESS_BITS + _ADDED_BITS)
        m.d.comb += [adder.i_a.eq(one), adder.i_use_a.eq(uses_one), adder.i_b.eq(other),
                     adder.i_use_b.eq(uses_other)]
        return adder.o.as_unsigned()

    # ---- stage 3: the last byte ------------------------------------------------------------------------

    def _add(self, m: Module, part, part_valid: Signal) -> tuple[data.View, Signal]:
        end, valid = Signal(_End()), Signal()
        # What of the product is past the address space by itself is not added.
        within = ADDRESS_BITS - _HIGH if len(part.high) else 0
        above, total = Signal(ADDRESS_BITS + 5 - _HIGH), Signal(ADDRESS_BITS + 5)
        m.d.comb += [
            above.eq(part.low[_HIGH:] + part.high[:within]),
            total.eq(Mux(part.first, part.start, end.address) + Cat(part.low[:_HIGH], above)),
        ]
        m.d.sync += [
            valid.eq(part_valid & part.last),
            # The registers are far, and there is time here.
            self._window.eq(Mux(part.item.write, self.i_windows.write.as_value(),
                                self.i_windows.read.as_value())),
            end.address.eq(total),
            end.item.eq(part.item),
            end.item.wrong.eq(part.item.wrong | part.high[within:].any() | total[ADDRESS_BITS:].any()
                              | (end.item.wrong & ~part.first)),
            # Of the stride as it was.
            end.overlaps.eq(Mux(part.first, part.several & part.closer, end.overlaps)),
        ]
        return end, valid

    # ---- stage 4: is it inside -------------------------------------------------------------------------

    def _compare(self, m: Module, end, end_valid: Signal) -> None:
        config, item, error = self._config, end.item, self.o.error
        window, outside, bad = self._window, Signal(), Signal()
        values = Mux(self.i.whole, config.lane_values, config.lane_values // 2)  # words of the tile
        block = ADDRESS_BITS - BLOCK_BITS
        m.d.comb += [
            # Differences below 0: carry chains are faster than comparisons in LUTs.
            outside.eq(item.wrong | (window.last - end.address[block:])[-1]
                       | (item.base[block:] - window.base)[-1]),
            bad.eq(Mux(item.tile, item.wrong | (end.address >= values), outside | end.overlaps)),
        ]
        # What is wrong, of the first that is: it is written down before it is known whether it is.
        base, field = Signal.like(item.base), Signal.like(item.field)
        of_tile, of_field = Signal(), Signal()
        with m.If(~self.o.valid):
            m.d.sync += [self.o.valid.eq(end_valid & bad), base.eq(item.base), field.eq(item.field),
                         of_tile.eq(item.tile), of_field.eq(item.tile | ~outside)]
        m.d.comb += [
            error.code.eq(Mux(of_field, ErrorCode.FIELD, ErrorCode.OUTSIDE)),
            error.detail.eq(Mux(of_field & ~of_tile, field_number("c_stride"), field)),
            error.address.eq(Mux(of_field, 0, base)),
        ]
        with m.If(self._begins):
            m.d.sync += self.o.valid.eq(0)
