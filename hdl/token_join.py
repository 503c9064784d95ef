"""Pairs values with their column indices and drops what makes no token."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import Config, log2_exact
from .fetch_layouts import TokenChunk, TokenJob
from .layouts import Chunk

__all__ = ["TokenJoin"]

WIDE_BITS = 32
NARROW_BITS = 16


class TokenJoin(wiring.Component):
    """Makes token chunks of value chunks and index chunks, or of value chunks alone where rows are dense.

    Throughput: one chunk a cycle; with int32 indices one in two cycles (two index chunks make one).
    Latency: two cycles, the third stage is combinational.
    Backpressure: on both inputs; a stage that is empty fills up while the next one is stalled.
    Order: kept. Every chunk of values makes one of tokens, also one without any.

    A value is masked out if it is zero or its index lies outside start..start+count-1; an index at or
    past `columns` raises `o_fault` besides. Dense rows count their index from 0, chunk by chunk.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_job : stream of TokenJob; for jobs that have at least one value
    i_indices : stream of Chunk(2·T)
    i_values : stream of Chunk(T); its `last` ends the job
    o : stream of TokenChunk
    o_fault : pulse, a column index is too large
    o_idle : no job and nothing on its way
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_job": In(stream.Signature(TokenJob(config))),
            "i_indices": In(stream.Signature(Chunk(2 * config.beat_tokens))),
            "i_values": In(stream.Signature(Chunk(config.beat_tokens))),
            "o": Out(stream.Signature(TokenChunk(config))),
            "o_fault": Out(1),
            "o_idle": Out(1),
        })

    def elaborate(self, platform):
        config = self._config
        m = Module()
        job = Signal(TokenJob(config))
        active = Signal()
        joined_valid, ranged_valid = Signal(), Signal()
        joined_advance, ranged_advance = Signal(), Signal()
        m.d.comb += [
            ranged_advance.eq(~ranged_valid | self.o.ready),
            joined_advance.eq(~joined_valid | ranged_advance),
            self.o_idle.eq(~active & ~joined_valid & ~ranged_valid),
            # The stages behind look at the job too: the next one waits until they are empty.
            self.i_job.ready.eq(self.o_idle),
        ]
        fire, entries = self._join(m, job, active, joined_advance)
        with m.If(self.i_job.valid & self.i_job.ready):
            m.d.sync += [job.eq(self.i_job.p), active.eq(1)]
        with m.If(fire & self.i_values.p.last):
            m.d.sync += active.eq(0)
        with m.If(joined_advance):
            m.d.sync += joined_valid.eq(fire)
        with m.If(ranged_advance):
            m.d.sync += ranged_valid.eq(joined_valid)
        m.d.comb += self.o.valid.eq(ranged_valid)
        self._filter(m, job, entries, joined_valid, ranged_advance)
        return m

    # ---- stage 1: value and index side by side ---------------------------------------------------------

    def _join(self, m: Module, job, active, advance):
        tokens = self._config.beat_tokens
        half = tokens // 2
        indices, values = self.i_indices, self.i_values
        lower = Signal(half * WIDE_BITS)   # int32: the indices of a chunk's first half
        lower_held = Signal()
        keeps_lower, complete, fire = Signal(), Signal(), Signal()
        row_chunk = Signal(WIDE_BITS - log2_exact(tokens))
        m.d.comb += [
            keeps_lower.eq(job.wide & ~lower_held & ~indices.p.last),
            complete.eq(job.dense | (indices.valid & ~keeps_lower)),
            fire.eq(active & values.valid & complete & advance),
            values.ready.eq(active & complete & advance),
            indices.ready.eq(active & ~job.dense & (keeps_lower | (values.valid & advance))),
        ]
        with m.If(indices.valid & indices.ready):
            m.d.sync += lower_held.eq(keeps_lower)
            with m.If(keeps_lower):
                m.d.sync += lower.eq(indices.p.data)
        with m.If(fire & job.dense):
            m.d.sync += row_chunk.eq(Mux(values.p.row_last, 0, row_chunk + 1))

        entries = Signal(data.StructLayout({
            "index": data.ArrayLayout(WIDE_BITS, tokens),
            "value": data.ArrayLayout(8, tokens),
            "present": tokens,
            "last": 1,
        }))
        with m.If(advance):
            m.d.sync += [entries.value.eq(values.p.data), entries.last.eq(values.p.last)]
            for t in range(tokens):
                narrow = indices.p.data.word_select(t, NARROW_BITS)
                wide = indices.p.data.word_select(t % half, WIDE_BITS)
                if t < half:
                    wide = Mux(lower_held, lower.word_select(t, WIDE_BITS), wide)
                counted = Cat(Const(t, log2_exact(tokens)), row_chunk)
                m.d.sync += [
                    entries.index[t].eq(Mux(job.dense, counted, Mux(job.wide, wide, narrow))),
                    entries.present[t].eq(values.p.count > t),
                ]
        return fire, entries

    # ---- stage 2: index within the block; stage 3: does it lie in the block ------------------------------

    def _filter(self, m: Module, job, entries, valid, advance) -> None:
        config, tokens = self._config, self._config.beat_tokens
        local = Signal(data.ArrayLayout(WIDE_BITS, tokens))
        value = Signal.like(entries.value)
        real = Signal(tokens)      # a value that is not zero, with an index that exists
        beyond = Signal(tokens)
        last = Signal()
        with m.If(advance):
            m.d.sync += [value.eq(entries.value), last.eq(entries.last)]
        m.d.sync += self.o_fault.eq(valid & advance & beyond.any())
        for t in range(tokens):
            m.d.comb += beyond[t].eq(entries.present[t] & (entries.index[t] >= job.columns))
            with m.If(advance):
                m.d.sync += [
                    local[t].eq(entries.index[t] - job.start),
                    real[t].eq(entries.present[t] & ~beyond[t] & entries.value[t].any()),
                ]
            m.d.comb += [
                self.o.p.tokens[t].index.eq(local[t][:config.index_bits]),
                self.o.p.tokens[t].value.eq(value[t]),
                # An index below `start` has wrapped around and is large.
                self.o.p.mask[t].eq(real[t] & (local[t] < job.count)),
            ]
        m.d.comb += self.o.p.last.eq(last)
