"""Proof of the filter that names the PEs a token is for."""

from amaranth.hdl import Array, Mux, Signal

from hdl.layouts import TokenBeat
from hdl.row_filter import TILE_LAG_CYCLES, RowFilter, RowPlace

from .bench import Bench, Proof
from .checks import Marked, moves, prompt, stable, steady
from .configs import FILTERED
from .inside import Fault

__all__ = ["PROOFS"]

TOP = FILTERED.index_address_bits - 1       # the bit of a place that tells the halves apart
HALVES = 2


class _Tiles:
    """What was told of the tiles, TILE_LAG_CYCLES ago: of a whole tile, or of one in either half.

    Attributes
    ----------
    crowded : for each half, its tile has a row without a place
    whole : the tile in half 0 takes all places
    place, known, pes : a place, whichever; a row was told that has it, and these PEs have an entry of it
    touches : a row of the running job's tile was told of now or in the cycle before
    """

    def __init__(self, b: Bench):
        block, m = b.dut, b.m
        row, valid = Signal(RowPlace(FILTERED)), Signal()
        m.d.comb += [row.eq(block.i_row.p), valid.eq(block.i_row.valid)]
        b.assume(~(row.whole & row.half))
        for cycle in range(TILE_LAG_CYCLES):
            row, valid = b.past(row, f"late_row{cycle}"), b.past(valid, f"late_valid{cycle}")
            b.invariant((b.inside("valids")[cycle] == valid)
                        & (b.inside(f"#row{cycle}") == row.as_value()) & ~(row.whole & row.half))
        self.crowded, self.whole = Signal(HALVES), Signal()
        self.place, self.known = b.constant(TOP + 1, "place"), Signal()
        self.pes = Signal(FILTERED.pes)
        fits, ends = Signal(), valid & ~row.start
        m.d.comb += fits.eq(Mux(row.whole, row.row < 1 << TOP + 1, row.row < 1 << TOP))
        told = ends & fits & (self.place == (row.row | (row.half << TOP))[:TOP + 1])
        with m.If(valid & row.start):
            m.d.sync += self.crowded.bit_select(row.half, 1).eq(0)
        with m.Elif(ends & ~fits):
            m.d.sync += self.crowded.bit_select(row.half, 1).eq(1)
        with m.If(valid & ~row.half):
            m.d.sync += self.whole.eq(row.whole)
        with m.If(told):
            m.d.sync += [self.known.eq(1), self.pes.eq(block.i_filled)]
        before, before_valid = b.past(row, "row_before"), b.past(valid, "valid_before")
        self.touches = Signal()
        m.d.comb += self.touches.eq((valid & self._is_running(b, row))
                                    | (before_valid & self._is_running(b, before)))

        # ---- invariants ----
        memory = Array(b.inside.word(f"bank{bank}", self.place >> 1) for bank in range(2))[self.place[0]]
        b.invariant(~self.known | (memory == self.pes))
        b.invariant(b.inside("_crowded") == self.crowded)
        self.crowded_before = b.past(self.crowded, "crowded_before")
        for half in range(HALVES):
            b.invariant((self.crowded[half] == self.crowded_before[half])
                        | (before_valid & (before.half == half)))

    def _is_running(self, b: Bench, row):
        """It is of the running job's tile, or of one in its place."""
        return (row.half == b.dut.i_job.half) | row.whole | self.whole


def _row_filter(b: Bench) -> None:
    """Jobs and tiles as the command processor sets and loads them: neither changes while beats may come."""
    block, m, tokens = b.dut, b.m, FILTERED.beat_tokens
    job, open_ = block.i_job, block.i_open
    steady(b, block.i)
    valid, pending = b.inside("_look_up:valid"), b.inside("pending")
    tiles = _Tiles(b)
    busy = valid | block.o.valid
    job_before = b.past(job, "job_before")
    b.assume(~(open_ | busy) | (job.as_value() == job_before.as_value()))
    b.assume(~((open_ | busy) & tiles.touches))
    b.assume(job.pk_log2 <= FILTERED.pe_bits)
    filters = Signal()
    m.d.comb += filters.eq(job.packed & ~tiles.crowded.bit_select(job.half, 1))

    def row(token):
        return (token.address << job.pk_log2) | token.owner

    def place(token):
        return (row(token) | (job.half << TOP))[:TOP + 1]

    def in_tile(token):
        """A tile that is not whole has no more rows than its half has places, or it is crowded."""
        return tiles.whole | (row(token) < 1 << TOP)

    for number, token in enumerate(block.i.p.tokens):
        b.assume(~(block.i.valid & filters & block.i.p.mask[number]) | in_tile(token))

    # ---- beats ----
    beat = Signal(TokenBeat(FILTERED))
    m.d.comb += [beat[name].eq(block.o.p[name]) for name, _ in TokenBeat(FILTERED)]
    marked = Marked(b, moves(block.i), block.i.p, moves(block.o), beat, 2)
    stable(b, block.o)
    late = prompt(b, marked.inside, block.o, tokens)
    closed = Signal()
    with m.If(~open_):
        m.d.sync += closed.eq(0)
    with m.Elif(moves(block.i) & block.i.p.last):
        m.d.sync += closed.eq(1)
    b.check(~moves(block.i) | (open_ & ~closed))
    # Where nothing is looked up there is room for a beat a cycle.
    b.check(filters | closed | ~open_ | (block.o.valid & ~block.o.ready) | block.i.ready)

    # ---- the PEs of a token ----
    for number, (token, pes) in enumerate(zip(beat.tokens, block.o.p.pes, strict=True)):
        here = block.o.valid & beat.mask[number]
        b.check(~block.o.valid | filters | pes.all())
        b.check(~(here & filters & tiles.known & (place(token) == tiles.place)) | (pes == tiles.pes))
    met = (place(beat.tokens[0]) == tiles.place) & tiles.known & (tiles.pes == 1)
    b.cover(moves(block.o) & filters & job.half & beat.mask.all() & met)
    b.cover(moves(block.o) & job.packed & ~filters & (marked.inside == 2))
    b.cover(moves(block.o) & (late == tokens))

    # ---- invariants ----
    held = b.inside("_look_up:beat")
    registered = b.inside("filters")
    b.invariant(marked.inside == valid + block.o.valid)
    b.invariant(~(marked.present & (marked.ahead == 0) & block.o.valid) | (beat.as_value() == marked.value))
    b.invariant(~(marked.present & (marked.ahead == block.o.valid)) | (held.as_value() == marked.value))
    b.invariant(registered == (job_before.packed & ~tiles.crowded_before.bit_select(job_before.half, 1)))
    b.invariant(closed == b.inside("closed"))
    asked = held.mask & filters.replicate(tokens)
    b.invariant((pending & ~(asked & valid.replicate(tokens))) == 0)
    b.invariant(~(valid & block.o.valid) | (pending == asked))
    b.invariant(late <= Mux(block.o.valid, tokens, valid & (pending != asked)))
    for number, found in enumerate(b.inside("found")):
        b.invariant(~(valid & asked[number]) | in_tile(held.tokens[number]))
        b.invariant(~(block.o.valid & filters & beat.mask[number]) | in_tile(beat.tokens[number]))
        answered = valid & ~block.o.valid & asked[number] & ~pending[number]
        for has, token in ((answered, held.tokens[number]),
                           (block.o.valid & filters & beat.mask[number], beat.tokens[number])):
            b.invariant(~(has & tiles.known & (place(token) == tiles.place)) | (found == tiles.pes))


PROOFS = (
    Proof("row_filter", "RowFilter",
          "every beat leaves once, in order, unchanged; of a packed tile all of whose rows have places each "
          "token with the PEs that have said that they have an entry of its row, else with all; no beat is "
          "taken while closed or behind a job's last; none is kept back; the output is stable",
          lambda: RowFilter(FILTERED), _row_filter,
          Fault("rows of a tile in half 0 take places of half 1", "past",
                lambda value, inside: (inside("_write:last").row >> (TOP + 1)).any()),
          depth=13, cover=14, quick=True, solver="bitwuzla"),
)
