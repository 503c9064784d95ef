"""Proof of the order of tokens in an A fetch."""

from amaranth.hdl import Const, Mux, Signal

from hdl.token_join import TokenJoin

from .bench import Bench, Proof
from .checks import moves, prompt, stable, steady
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS"]

ENTRY_BITS = 5
"""Entries of a job: more than can pass in the cycles that are looked at."""


def _token_join(b: Bench) -> None:
    """Follows one chunk of a job's values, whichever, and the chunks with its indices."""
    join, m, tokens = b.dut, b.m, SMALL.beat_tokens
    steady(b, join.i_values, join.i_indices)
    job = b.constant(join.i_job.p.shape(), "job")
    entries, which = b.constant(ENTRY_BITS, "entries"), b.constant(ENTRY_BITS, "which")
    started = Signal()
    b.drive(join.i_job.payload, job)
    b.drive(join.i_job.valid, ~started)
    with m.If(moves(join.i_job)):
        m.d.sync += started.eq(1)
    b.assume(~job.dense | ((job.start == 0) & (job.columns == job.count)))
    b.assume(job.count <= SMALL.tile_bytes)
    b.assume(entries != 0)

    # ---- chunks come as readers give them: all full but the last, of dense rows each row's last ----
    values, indices = join.i_values.p, join.i_indices.p
    taken, index_chunks, in_row = Signal(ENTRY_BITS), Signal(ENTRY_BITS), Signal(ENTRY_BITS)
    width = Mux(job.wide, tokens // 2, tokens)          # indices of a chunk; it has 2·T bytes
    before = taken * tokens
    b.assume(values.count <= tokens)
    ended = Signal()
    b.assume(~join.i_values.valid | (started & ~ended & (values.count != 0)))
    b.assume(~join.i_values.valid | job.dense
             | ((values.last == (before + tokens >= entries))
                & (values.count == Mux(values.last, entries - before, tokens)[:len(values.count)])))
    b.assume(~join.i_values.valid | ~job.dense
             | ((in_row + values.count <= job.count) & (values.row_last | (values.count == tokens))
                & (values.row_last | ~values.last)))
    b.assume(~join.i_indices.valid | (started & ~job.dense & (index_chunks * width < entries)
                                      & (indices.last == ((index_chunks + 1) * width >= entries))))
    with m.If(moves(join.i_values)):
        m.d.sync += [taken.eq(taken + 1), ended.eq(values.last),
                     in_row.eq(Mux(values.row_last, 0, in_row + tokens))]
    m.d.sync += index_chunks.eq(index_chunks + moves(join.i_indices))

    # ---- the chunk that is followed ----
    chunk, base, known = Signal.like(values), Signal(ENTRY_BITS), Signal()
    halves = [Signal.like(indices.data,
                     name=f"half{number}") for number in range(2)]
    with m.If(moves(join.i_values) & (taken == which)):
        m.d.sync += [chunk.eq(values), base.eq(in_row), known.eq(1)]
    for number, half in enumerate(halves):
        with m.If(moves(join.i_indices) & (index_chunks == Mux(job.wide, which * 2 + number, which))):
            m.d.sync += half.eq(indices.data)

    # ---- chunks of tokens: as many as of values, in order, made of the indices of the same place ----
    given = Signal(ENTRY_BITS)
    m.d.sync += given.eq(given + moves(join.o))
    b.check(~join.o.valid | (given < taken))
    output = join.o.p
    here = join.o.valid & (given == which)
    b.check(~here | (known & (output.last == chunk.last)))
    for number, token in enumerate(output.tokens):
        narrow = halves[0].word_select(number, 16)
        wide = halves[number // (tokens // 2)].word_select(number % (tokens // 2), 32)
        index, local = Signal(32, name=f"index{number}"), Signal(32, name=f"local{number}")
        m.d.comb += [index.eq(Mux(job.dense, base + number, Mux(job.wide, wide, narrow))),
                     local.eq(index - job.start)]
        is_token = ((chunk.count > number) & (index < job.columns) & (index >= job.start)
                    & (local < job.count) & (chunk.data.word_select(number, 8) != 0))
        b.check(~here | (output.mask[number] == is_token))
        b.check(~(here & is_token) | ((token.index == local[:len(token.index)])
                                      & (token.value == chunk.data.word_select(number, 8).as_signed())))
    b.cover(here & job.wide & output.mask.all() & (given == 1))
    b.cover(here & job.dense & output.mask.all() & (given == 2) & (base != 0))
    b.cover(here & ~job.wide & ~job.dense & output.last & (given == 1) & output.mask[0])
    stable(b, join.o)
    prompt(b, taken - given, join.o, 3)


PROOFS = (
    Proof("token_join", "TokenJoin",
          "every chunk of values makes one of tokens, in order, with the indices of its place, less the "
          "block's start; zeros and what lies outside the block are masked out; the output is stable",
          lambda: TokenJoin(SMALL), _token_join,
          Fault("dense rows do not count on", "_filter:chunk", lambda value, inside: Const(0), only=0),
          induction=None, depth=6, cover=12, solver="bitwuzla"),
)
