"""Proof of the index of the rows that a packed tile has here."""

from dataclasses import replace

from amaranth.hdl import Array, Cat, Mux, Signal
from amaranth.lib import data

from hdl.pe_front import PeOp
from hdl.row_index import FLAGS, RowIndex

from .bench import Bench, Proof
from .checks import Marked, moves, prompt, stable, steady
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS"]

WORDS = 2               # of the index, a tile
ROWS = WORDS * FLAGS    # of B, a tile
HALVES = 2
INDEXED = replace(SMALL, index_rows=HALVES * ROWS, table_rows=HALVES * ROWS)
STAGES = 3              # ops that can be on their way

Tile = data.StructLayout({
    "rows": range(ROWS + 1),                        # that have been told, from 0 on
    "flags": data.ArrayLayout(FLAGS, WORDS),        # of these: they have an entry
})


def _filled_below(flags, word, place):
    """Rows that have an entry before the row at `place` of that word; of whole words without a place."""
    counts = []
    for number, word_flags in enumerate(flags):
        below = word_flags
        if place is not None:
            below = word_flags & Mux(word == number, (1 << place) - 1, (1 << FLAGS) - 1)[:FLAGS]
        counts.append(Mux(word >= number if place is not None else word > number, _ones(below), 0))
    return sum(counts)


def _ones(bits):
    return sum(bits[number] for number in range(FLAGS))


class _Expected:
    """What becomes of an op of the running job: whether it is kept, and how it leaves."""

    def __init__(self, b: Bench, op, tile, name: str):
        block, comb = b.dut, b.m.d.comb
        place, word = op.address[:4], op.address[4]
        self.filled, self.kept = Signal(name=f"{name}_filled"), Signal(name=f"{name}_kept")
        self.op = Signal.like(op, name=f"{name}_expected")
        self.looked_up = block.i_packed & op.token
        self.row = Signal(INDEXED.table_address_bits, name=f"{name}_row")
        comb += [
            self.filled.eq(Array(tile.flags)[word].bit_select(place, 1)),
            self.row.eq(block.i_half * ROWS + _filled_below(tile.flags, word, place)),
            self.kept.eq(~self.looked_up | self.filled | (op.before != 0) | (op.after != 0) | op.last),
            self.op.eq(op),
        ]
        with b.m.If(self.looked_up & ~self.filled):
            comb += self.op.token.eq(0)
        with b.m.If(self.looked_up):
            comb += self.op.address.eq(self.row)
        with b.m.If(block.i_packed & ~self.op.token):
            comb += self.op.address.eq(0)


def _row_index(b: Bench) -> None:
    """Tiles of up to ROWS rows in either half, the half of the running packed job only while no op of it is
    there."""
    block, m = b.dut, b.m
    steady(b, block.i)
    valid = b.inside("valid")
    early_op, late_op = (data.View(PeOp(INDEXED), b.inside(name)) for name in ("#op0", "#op1"))
    busy = valid.any() | block.o.valid

    # ---- jobs: constant while one of their ops is here ----
    for port in (block.i_packed, block.i_half):
        b.assume(~busy | (port == b.past(port, f"{port.name}_before")))

    # ---- tiles: rows in order, from 0 on ----
    tiles = [Signal(Tile, name=f"tile{half}") for half in range(HALVES)]
    end, half = block.i_end.p, Signal()
    current, running = Signal(Tile), Signal(Tile)
    place, word = end.row[:4], end.row[4]
    m.d.comb += [
        half.eq(end.row[5]),
        current.eq(Mux(half, tiles[1].as_value(), tiles[0].as_value())),
        running.eq(Mux(block.i_half, tiles[1].as_value(), tiles[0].as_value())),
    ]
    row, loaded = end.row[:5], Signal()         # the half of the last row end
    b.assume(~block.i_end.valid | (row == 0) | ((half == loaded) & (row == current.rows)))
    b.assume(~block.i_end.valid | (end.table_row == half * ROWS + Mux(
        row == 0, 0, _filled_below(current.flags, word, place))[:INDEXED.table_address_bits]))
    b.assume(~(block.i_end.valid & block.i_packed & (half == block.i_half) & (busy | block.i.valid)))
    with m.If(block.i_end.valid):
        m.d.sync += loaded.eq(half)
    for number, tile in enumerate(tiles):
        with m.If(block.i_end.valid & (half == number)):
            m.d.sync += tile.rows.eq(row + 1)
            for its_word, flags in enumerate(tile.flags):
                with m.If(row == 0):
                    m.d.sync += flags.eq(end.filled if its_word == 0 else 0)
                with m.Elif(word == its_word):
                    m.d.sync += flags.eq(flags | (end.filled << place))
    _words(b, tiles, loaded)

    # ---- ops: of a packed tile of rows that were told ----
    b.assume(~(block.i.valid & block.i_packed & block.i.p.token) | (block.i.p.address < running.rows))
    comes = _Expected(b, block.i.p, running, "comes")
    leaves = Signal.like(block.o.p)
    m.d.comb += leaves.eq(block.o.p)
    with m.If(block.i_packed & ~block.o.p.token):
        m.d.comb += leaves.address.eq(0)
    marked = Marked(b, moves(block.i) & comes.kept, comes.op, moves(block.o), leaves, STAGES)
    stable(b, block.o)
    late = prompt(b, marked.inside, block.o, STAGES - 1)
    b.cover(~block.i.ready & (marked.inside == STAGES))
    b.cover(moves(block.o) & block.i_packed & block.i_half & block.o.p.token & (block.o.p.address == ROWS + 1)
            & (running.rows == FLAGS + 1))
    b.cover(moves(block.o) & block.i_packed & ~block.o.p.token & (block.o.p.before != 0))

    # ---- invariants: the stages ----
    first, second = _Expected(b, early_op, running, "first"), _Expected(b, late_op, running, "second")
    kept = [block.o.valid, valid[1] & second.kept, valid[0] & first.kept]
    b.invariant(marked.inside == sum(kept))
    b.invariant(late <= Mux(block.o.valid, STAGES - 1, kept[1]))
    for stage, value in enumerate((leaves, second.op, first.op)):
        here = marked.present & kept[stage] & (marked.ahead == sum(kept[:stage]))
        b.invariant(~here | (value.as_value() == marked.value))
    for held, op in ((valid[0], early_op), (valid[1], late_op)):
        b.invariant(~(held & block.i_packed & op.token) | (op.address < running.rows))
    base = block.i_half * ROWS
    read = b.inside("_read:port").data
    looks = valid[0] & first.looked_up
    b.invariant(~looks | (read.flags == Array(running.flags)[early_op.address[4]]))
    b.invariant(~looks | (read.table_row == base + _filled_below(running.flags, early_op.address[4], None)))
    looks = valid[1] & second.looked_up
    place, word = late_op.address[:4], late_op.address[4]
    below = (Array(running.flags)[word] & (1 << place) - 1)[:FLAGS - 1]
    b.invariant(~looks | ((b.inside("filled") == second.filled) & (b.inside("below") == below)))
    b.invariant(~looks | (b.inside("first") == base + _filled_below(running.flags, word, None)))


def _words(b: Bench, tiles, loaded) -> None:
    """Invariants: what the memory holds of each tile, and the word that is still written."""
    for half, tile in enumerate(tiles):
        b.invariant(tile.rows <= ROWS)
        for number, flags in enumerate(tile.flags):
            memory = b.inside.word("words", half * WORDS + number)
            told = tile.rows > number * FLAGS
            b.invariant(~told | (memory.flags == flags))
            b.invariant(~told | (memory.table_row == half * ROWS + sum(map(_ones, tile.flags[:number]))))
            left = Cat((number * FLAGS + place >= tile.rows) & flags[place] for place in range(FLAGS))
            b.invariant(~left.any())
            word = b.inside("_write:word")
            writes = (loaded == half) & told & (tile.rows < (number + 1) * FLAGS)
            b.invariant(~writes | (word.as_value() == memory.as_value()))


PROOFS = (
    Proof("row_index", "RowIndex",
          "every op leaves once, in order, but a token whose row has no entry only as the closes around it, "
          "or not at all; a token's row becomes the tile's first table row and as many behind it as rows "
          "below have entries, from the cycle behind its row's end on; dense tiles' ops are unchanged; none "
          "is kept back; the output is stable; tiles of up to 32 rows",
          lambda: RowIndex(INDEXED), _row_index,
          Fault("the closes around an absent token go with it", "idle",
                lambda value, inside: inside("absent")),
          depth=7, cover=23, solver="bitwuzla"),
)
