"""One legal way to run a product: what is cut where, and what it is expected to cost."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from hdl.config import Config
from hdl.layouts import CsrMode

from .operands import OperandError

__all__ = ["MOST_DESCRIPTORS", "Plan", "PlanError", "Tile"]

MOST_DESCRIPTORS = (1 << 16) - 1
"""Of one job: the register COUNT has 16 bits."""


class PlanError(OperandError):
    """No legal plan, or a plan that was made for another product or configuration."""


@dataclass(frozen=True)
class Tile:
    """Rows k and columns n of the resident operand that one descriptor multiplies by."""

    layer: int
    k_start: int
    k_count: int
    n_start: int
    n_count: int
    mode: Any = CsrMode.WHOLE           # CsrMode of a result in CSR
    reuse: bool = False                 # the tile of the descriptor before is this one
    rows: tuple[int, int] | None = None  # rows of the streamed operand, from the first to before the last

    @property
    def first_row(self) -> int:
        """Of those of the streamed operand."""
        return self.rows[0] if self.rows else 0


@dataclass(frozen=True)
class Plan:
    """One legal way to run a product.

    Attributes
    ----------
    shape : (M, K, N) of the product as asked for
    transposed : B^T streams against A^T, and the result is transposed on the host
    packed, densified : the tile is packed; a sparse resident operand is made dense on the host
    pk_log2, group_log2, slice_words : as in the descriptor
    whole : each tile takes both halves of the tile memory
    k_cuts : bounds of the K tiles, from 0 to K
    block_columns : columns of C that one descriptor makes, the last block's aside
    k_ranges : of each column block, the first row of the resident operand with an entry in it and the one
        after the last, where only these are loaded; else empty
    row_ranges : of each column block of a CSR result, the first row of the streamed operand that meets a row
        of `k_ranges` and the one after the last, where only these are streamed; else empty
    layers : matrices that the resident operand is the sum of (1 but for duplicates beyond int8)
    csr : the result is CSR; of several column blocks each is made twice, to count and to place its entries
    cycles : predicted, from doorbell to done
    terms : cycles of each part, as if it were alone
    """

    config: Config
    shape: tuple[int, int, int]
    transposed: bool
    packed: bool
    densified: bool
    pk_log2: int
    group_log2: int
    slice_words: int
    whole: bool
    k_cuts: tuple[int, ...]
    block_columns: int
    layers: int = 1
    csr: bool = False
    k_ranges: tuple[tuple[int, int], ...] = ()
    row_ranges: tuple[tuple[int, int], ...] = ()
    cycles: float = 0.0
    terms: dict[str, float] = field(default_factory=dict, compare=False)
    alternatives: tuple["Plan", ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.k_ranges and (len(self.k_cuts) != 2 or len(self.k_ranges) != self.blocks):
            raise PlanError(f"k_ranges has {len(self.k_ranges)} ranges for {self.blocks} column blocks, "
                            f"{len(self.k_cuts) - 1} parts of K; it must be empty, or hold one a block, of "
                            "one part")

    @property
    def columns(self) -> int:
        """Columns of what is made: C's, or its rows if transposed."""
        return self.shape[0] if self.transposed else self.shape[2]

    @property
    def blocks(self) -> int:
        """Column blocks."""
        return -(-self.columns // self.block_columns)

    @property
    def counts_first(self) -> bool:
        """A result in CSR whose rows are put together from several blocks."""
        return self.csr and self.blocks > 1

    @property
    def descriptors(self) -> int:
        return self.blocks * (len(self.k_cuts) - 1) * self.layers * (2 if self.counts_first else 1)

    def tiles(self) -> list[Tile]:
        """One a descriptor, in order: all parts of K of a column block follow each other.

        Of a CSR result in blocks: the entries of each row are counted, in any order of blocks; then the rows'
        pointers are known, and the blocks' entries go to their places, from the first block on, whose tile
        still rests from the last count. Of every row numbers are needed, and so the first and the last count
        and the first block that is placed have all rows; the others those that they have entries in.
        """
        tiles = self._tiles()
        if not self.counts_first:
            return tiles
        ranged = [replace(tile, rows=rows) for tile, rows in zip(tiles, self.row_ranges, strict=True)
                  ] if self.row_ranges else tiles
        widest = max(range(1, len(tiles)), key=lambda block: (self.rows_of(ranged[block]), block))
        others = [ranged[block] for block in reversed(range(1, len(tiles))) if block != widest]
        count = [replace(tile, mode=CsrMode.COUNT) for tile in (tiles[widest], *others)]
        pointers = replace(tiles[0], mode=CsrMode.POINTERS)
        first = replace(tiles[0], mode=CsrMode.PLACE, reuse=True)
        return [*count, pointers, first, *(replace(tile, mode=CsrMode.PLACE) for tile in ranged[1:])]

    def rows_of(self, tile: Tile) -> int:
        """Rows of the streamed operand that a descriptor of a CSR result has."""
        first, stop = tile.rows or (0, self.shape[0])
        return stop - first

    def _tiles(self) -> list[Tile]:
        result = []
        for block, n_start in enumerate(range(0, self.columns, self.block_columns)):
            n_count = min(self.block_columns, self.columns - n_start)
            for k_start, k_stop in self.k_ranges[block:block + 1] or pairwise(self.k_cuts):
                for layer in range(self.layers):
                    result.append(Tile(layer, k_start, k_stop - k_start, n_start, n_count))
        return result

    def label(self) -> str:
        """The plan in one line."""
        owners, slices = 1 << self.pk_log2, self.config.pes >> self.pk_log2
        blocks, parts = self.blocks, len(self.k_cuts) - 1
        stream, rest = ("B^T", "A^T") if self.transposed else ("A", "B")
        form = "packed" if self.packed else "dense, made from CSR" if self.densified else "dense"
        text = (f"{stream} streams, {rest} rests {form}; {owners} x {slices} PEs; "
                f"{blocks} column block{'s' * (blocks > 1)} of {min(self.block_columns, self.columns)}"
                f"{', each counted and then placed' if self.counts_first else ''}, "
                f"{parts} part{'s' * (parts > 1)} of K; {'whole' if self.whole else 'half'} tile memory")
        if self.k_ranges:
            loaded = sum(stop - start for start, stop in self.k_ranges) / (blocks * self.k_cuts[-1])
            text += f"; {loaded:.0%} of K loaded"
        if self.row_ranges:
            tiles = self.tiles()
            streamed = sum(self.rows_of(tile) for tile in tiles)
            text += f", {streamed / (len(tiles) * self.shape[0]):.0%} of A streamed"
        if self.group_log2:
            text += f"; {1 << self.group_log2} rows a word"
        return text if self.layers == 1 else f"{text}; resident operand as a sum of {self.layers}"

    def limit(self) -> str:
        """The part that takes longest."""
        parts = {name: value for name, value in self.terms.items() if name != "tile loading"}
        return max(parts, key=lambda name: parts[name])

    def explain(self) -> str:
        """The plan, its predicted cycles part by part, and the next best ones with what limits them."""
        parts = ", ".join(f"{name} {value:,.0f}" for name, value in self.terms.items())
        lines = [f"{self.label()}", f"  predicted {self.cycles:,.0f} cycles ({parts})"]
        if self.alternatives:
            lines.append("next best:")
            lines += [f"  {plan.cycles:,.0f} cycles, limited by {plan.limit()}: {plan.label()}"
                      for plan in self.alternatives]
        return "\n".join(lines)
