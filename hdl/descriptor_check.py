"""What a configuration refuses to do, decided before any data moves."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import WHOLE_INDEX_BITS, Config, log2_exact, width_of
from .descriptor import (
    DESCRIPTOR_BYTES,
    DESCRIPTOR_FIELDS,
    Descriptor,
    Opcode,
    field_number,
    is_elementwise,
    is_sddmm,
)
from .layouts import INDEX_BYTES, POINTER_BYTES, SUM_BYTES, AFormat, BFormat, CsrMode, Operation
from .registers import ErrorCode

__all__ = ["NOT_A_FIELD", "DescriptorCheck", "Refusal", "TileShape", "shape_of"]

NOT_A_FIELD = 0xFF
"""`ERROR.detail` when not a descriptor but the DESCRIPTOR or COUNT register is to blame."""

_LAST_WORD = max(field.word for field in DESCRIPTOR_FIELDS if field.name in ("slice_words", "csr_mode"))
"""Fields behind it are not looked at."""


def Refusal() -> data.StructLayout:
    """Whether a descriptor is refused, and for which field."""
    return data.StructLayout({"valid": 1, "code": 8, "detail": 8})


def TileShape(config: Config) -> data.StructLayout:
    """What must be the same in descriptors that share a tile, and whether there is a tile."""
    return data.StructLayout({
        "present": 1,
        "packed": 1, "half": 1, "whole": 1,
        "pk_log2": width_of(config.pe_bits + 1),
        "group_log2": width_of(config.lane_bits + 1),
        "slice_words": config.slice_words_bits,
        "k_count": width_of(config.tile_bytes + 1),
        "n_count": width_of(config.max_block_columns + 1),
    })


def shape_of(descriptor: data.View) -> dict[str, Value]:
    """The fields of a descriptor that a TileShape holds."""
    names = ("half", "whole", "pk_log2", "group_log2", "slice_words", "k_count", "n_count")
    return {"packed": descriptor.b_format != BFormat.DENSE} | {name: descriptor[name] for name in names}


def has_shape(tile: data.View, descriptor: data.View) -> Value:
    """Whether a descriptor may use that tile."""
    return Cat(tile[name] == value for name, value in shape_of(descriptor).items()).all()


class DescriptorCheck(wiring.Component):
    """Refuses descriptors that this configuration cannot run; names the first field that is to blame.

    Not checked here: where arrays lie and whether a dense tile fits, see `ExtentCheck`, and everything that
    only the data shows.

    Throughput: one descriptor a cycle.
    Latency: one cycle from `i` to the outputs. Where `i` comes in beats, as many after the last one, of
        which nothing may be looked at: up to 16 bytes a beat it was all there a cycle earlier.
    Backpressure: none.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : the descriptor, constant while its outputs are looked at
    i_tile : TileShape that `reuse_tile` can mean
    o : Refusal
    o_total_words : V-wide words in a row of C's block, ceil(n_count / V); right where nothing is refused
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i": In(Descriptor()),
            "i_tile": In(TileShape(config)),
            "o": Out(Refusal()),
            "o_total_words": Out(range(config.pes * config.acc_words + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        conditions = [*self._formats(), *self._csr(), *self._sddmm(), *self._alignment(m)]
        of_products = [*self._tiles(), *self._sizes(m), *self._grid(m)]
        if self._config.elementwise:
            conditions += [*self._elementwise(),
                           *((name, bad & ~self._is_elementwise()) for name, bad in of_products)]
        else:
            conditions += of_products
        # In the order of the descriptor's fields, so that the first one is named.
        conditions.sort(key=lambda condition: field_number(condition[0]))
        flags = Signal(len(conditions))
        m.d.sync += flags.eq(Cat(Value.cast(bad).any() for _, bad in conditions))
        # What begins a job hangs on all of them: out of a register, where that costs no cycle.
        last_beat = (DESCRIPTOR_BYTES - self._config.port_bytes) // 4
        domain = m.d.sync if last_beat > _LAST_WORD else m.d.comb
        domain += self.o.valid.eq(flags.any())
        for number, (name, _) in reversed(list(enumerate(conditions))):
            code = ErrorCode.OPCODE if name == "opcode" else ErrorCode.FIELD
            with m.If(flags[number]):
                m.d.comb += [self.o.code.eq(code), self.o.detail.eq(field_number(name))]
        return m

    def _formats(self) -> list[tuple[str, Value]]:
        """Features that are not built, and settings that exclude each other."""
        config, i = self._config, self.i
        known = i.opcode == Opcode.MATMUL
        if config.sddmm:
            known |= is_sddmm(i.opcode)
        if config.elementwise:
            known |= self._is_elementwise()
        return [
            ("opcode", ~known),
            ("a_format", i.a_format > AFormat.CSR32),
            ("rows", i.rows == 0),
            ("out_int8", i.out_int8 & (config.scale_multipliers == 0)),
            ("out_raw", i.out_int8 & i.out_raw),
        ]

    def _is_elementwise(self) -> Value:
        return is_elementwise(self.i.opcode)

    def _elementwise(self) -> list[tuple[str, Value]]:
        """Whole matrices, B of a format that its fetch unit reads, CSR out."""
        i, mine = self.i, self._is_elementwise()
        wide = i.opcode == Opcode.ELEMENTWISE_WIDE
        return [
            ("b_format", mine & (i.b_format == BFormat.DENSE)),
            ("reuse_tile", mine & i.reuse_tile),
            ("out_csr", mine & ~i.out_csr),
            ("csr_mode", mine & (i.csr_mode != CsrMode.WHOLE)),
            ("n_start", mine & i.out_csr & (i.n_start != 0)),
            ("k_start", mine & (i.k_start != 0)),
            ("b_format", wide & (i.b_format == BFormat.DENSE_PACKED)),
            ("operation", wide & (i.operation == Operation.MULTIPLY)),
        ]

    def _tiles(self) -> list[tuple[str, Value]]:
        """What tile a product rests, and where."""
        i = self.i
        return [
            ("b_format", (i.b_format != BFormat.DENSE) & (not self._config.compressed_b)),
            ("half", i.whole & i.half),
            ("reuse_tile", i.reuse_tile & ~(self.i_tile.present & has_shape(self.i_tile, i))),
        ]

    def _csr(self) -> list[tuple[str, Value]]:
        """Results in CSR: rows by themselves, all of K at once; every column has a number that fits."""
        i = self.i
        if not self._config.csr_out:
            return [("out_csr", i.out_csr)]
        end = i.n_start + i.n_count
        whole = i.csr_mode == CsrMode.WHOLE
        return [
            ("n_start", i.out_csr & (end > 1 << WHOLE_INDEX_BITS)),
            ("csr_index32", i.out_csr & ~i.csr_index32 & (end > 1 << 16)),
            ("group_log2", i.out_csr & (i.group_log2 != 0)),
            ("out_csr", i.out_csr & ((whole & i.accumulate) | i.out_raw | i.row_bias)),
        ]

    def _sddmm(self) -> list[tuple[str, Value]]:
        """SDDMM: A is CSR with entries, B dense; what is one a row of C would be one an entry."""
        i = self.i
        if not self._config.sddmm:
            return []
        sddmm = is_sddmm(i.opcode)
        return [
            ("a_format", sddmm & (i.a_format == AFormat.DENSE)),
            ("b_format", sddmm & (i.b_format != BFormat.DENSE)),
            ("row_bias", sddmm & i.row_bias),
            ("row_scale", sddmm & i.row_scale),
            ("group_log2", sddmm & (i.group_log2 != 0)),
            ("a_nnz", sddmm & (i.a_nnz == 0)),
            ("out_csr", sddmm & i.out_csr),
        ]

    def _sizes(self, m: Module) -> list[tuple[str, Value]]:
        """Numbers of rows and columns by themselves."""
        config, i = self._config, self.i
        sizes = [
            # Every row takes a byte of tile memory or more; none at all is fine.
            ("k_count", i.k_count > config.tile_bytes),
            ("n_count", i.n_count == 0),
            ("slice_words", (i.slice_words == 0) | (i.slice_words > config.acc_words)),
        ]
        if config.compressed_b:
            rows = Signal(range(config.index_rows * config.pes + 1))
            m.d.comb += rows.eq(Mux(i.whole, config.index_rows, config.index_rows // 2)
                                << i.pk_log2[:width_of(config.pe_bits + 1)])
            # More than the tile memory has bytes are refused anyway.
            k_count = i.k_count[:width_of(config.tile_bytes + 1)]
            sizes.append(("k_count", (i.b_format != BFormat.DENSE) & (k_count > rows)))
        return sizes

    def _grid(self, m: Module) -> list[tuple[str, Value]]:
        """The shape P_k × P_n, the slices and, for N < V, the groups."""
        config, i = self._config, self.i
        packed, grouped, sliced, too_many = Signal(), Signal(), Signal(), Signal()
        words, capacity = (Signal(range(config.pes * config.acc_words + 1), name=name)
                           for name in ("words", "capacity"))
        columns = Signal(range(config.max_block_columns + 1))
        group_columns = Signal(range(config.lanes + 1))
        m.d.comb += [
            packed.eq(i.b_format != BFormat.DENSE),
            grouped.eq(i.group_log2 != 0),
            sliced.eq(i.pk_log2 != config.pe_bits),
            # What no block has is a fault by itself; the rest need not look at so many bits.
            too_many.eq(i.n_count > config.max_block_columns),
            columns.eq(i.n_count),
            words.eq((columns + (config.lanes - 1)) >> config.lane_bits),
            capacity.eq(i.slice_words << (config.pe_bits - i.pk_log2)[:width_of(config.pe_bits + 1)]),
            group_columns.eq(config.lanes >> i.group_log2),
        ]
        m.d.sync += self.o_total_words.eq(words)
        longest = []
        if config.sddmm:
            # A row buffer counts on rows that are as long as their slices make them.
            step = Signal(range(config.pes + 1))
            m.d.comb += step.eq(1 << (config.pe_bits - i.pk_log2)[:width_of(config.pe_bits + 1)])
            longest = [("slice_words", is_sddmm(i.opcode) & (words + step <= capacity))]
        return [
            *longest,
            ("pk_log2", i.pk_log2 > config.pe_bits),
            ("pk_log2", grouped & sliced),
            ("group_log2", i.group_log2 > config.lane_bits),
            ("group_log2", grouped & packed),
            ("n_count", grouped & (too_many | (columns > group_columns))),
            # Slices that are too long are their own fault; `capacity` cannot hold what they would.
            # In columns, not in words, which are a sum: a difference below 0.
            ("n_count", (too_many | ((capacity << config.lane_bits) - columns)[-1])
             & (i.slice_words <= config.acc_words)),
            ("slice_words", grouped & (i.slice_words != 1)),
        ]

    def _alignment(self, m: Module) -> list[tuple[str, Value]]:
        """Addresses and strides of arrays that are used, which split an element's bytes."""
        config, i = self._config, self.i
        sparse_a, sparse_b = Signal(), Signal()
        loads: Any = self._is_elementwise() if config.elementwise else 0   # whatever k_count is
        m.d.comb += [
            sparse_a.eq(i.a_format != AFormat.DENSE),
            sparse_b.eq(((i.b_format == BFormat.CSR16_PACKED) | (i.b_format == BFormat.CSR32_PACKED))
                        & ~i.reuse_tile & ((i.k_count != 0) | loads)),
        ]
        arrays = [
            ("a_pointers", sparse_a, POINTER_BYTES),
            ("a_indices", sparse_a & (i.a_nnz != 0), INDEX_BYTES),
            ("cin_address", i.accumulate, SUM_BYTES),
            ("cin_stride", i.accumulate & ~(i.out_csr if config.csr_out else 0), SUM_BYTES),
            ("params_address", i.row_bias | i.row_scale, SUM_BYTES),
        ]
        if config.compressed_b:
            arrays += [("b_pointers", sparse_b, POINTER_BYTES),
                       ("b_indices", sparse_b & (i.b_nnz != 0), INDEX_BYTES)]
        if config.elementwise:
            arrays.append(("b_values", (i.opcode == Opcode.ELEMENTWISE_WIDE) & (i.b_nnz != 0), SUM_BYTES))
        return [(name, used & i[name][:log2_exact(size)].any()) for name, used, size in arrays]
