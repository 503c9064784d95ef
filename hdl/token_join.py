"""Pairs values with their column indices and drops what makes no token."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .config import Config
from .fetch_layouts import TokenChunk, TokenJob
from .layouts import Chunk
from .queue import Queue

__all__ = ["TokenJoin"]

WIDE_BITS = 32
NARROW_BITS = 16


QUEUE_DEPTH = 8
QUEUE_MARGIN = 4
"""Places that chunks in the pipeline, and one taken before `room` falls, can still need."""


class TokenJoin(wiring.Component):
    """Makes token chunks of value chunks and index chunks, or of value chunks alone where rows are dense.

    Throughput: one chunk a cycle; with int32 indices one in two cycles (two index chunks make one).
    Latency: three cycles; one more for a last chunk that one chunk of int32 indices is enough for.
    Backpressure: the pipeline never stalls; the inputs are taken while the queue behind it has room for
        everything on its way.
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
    o_passed : a chunk of entries has been looked at, the one that `o_fault` is about
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
            "o_passed": Out(1),
            "o_idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = Queue(TokenChunk(self._config), QUEUE_DEPTH)
        connect(m, queue.o, flipped(self.o))
        job = Signal(TokenJob(self._config))
        active, free, room = Signal(), Signal(), Signal()
        joined_valid, ranged_valid = Signal(), Signal()
        fire, entries = self._join(m, job, active & room)
        m.d.comb += [
            free.eq(~active & ~joined_valid & ~ranged_valid),
            # The stages behind look at the job too: the next one waits until they are empty.
            self.i_job.ready.eq(free),
            self.o_idle.eq(free & (queue.level == 0)),
            queue.i.valid.eq(ranged_valid),
            self.o_passed.eq(ranged_valid),
        ]
        m.d.sync += [
            room.eq(queue.level <= QUEUE_DEPTH - QUEUE_MARGIN),
            joined_valid.eq(fire),
            ranged_valid.eq(joined_valid),
        ]
        with m.If(self.i_job.valid & free):
            m.d.sync += [job.eq(self.i_job.p), active.eq(1)]
        with m.If(fire & self.i_values.p.last):
            m.d.sync += active.eq(0)
        self._filter(m, job, entries, joined_valid, queue.i.p)
        return m

    # ---- stage 1: value and index side by side ---------------------------------------------------------

    def _join(self, m: Module, job, enable):
        tokens = self._config.beat_tokens
        half = tokens // 2
        indices, values = self.i_indices, self.i_values
        lower = Signal(half * WIDE_BITS)   # int32: the indices of a chunk's first half
        lower_held, lower_last = Signal(), Signal()
        alone = Signal()                   # they are the job's last
        keeps_lower, complete, fire = Signal(), Signal(), Signal()
        m.d.comb += [
            keeps_lower.eq(job.wide & ~lower_held),
            alone.eq(lower_held & lower_last),
            complete.eq(job.dense | alone | (indices.valid & ~keeps_lower)),
            fire.eq(enable & values.valid & complete),
            values.ready.eq(enable & complete),
            indices.ready.eq(enable & ~job.dense & (keeps_lower | (values.valid & ~alone))),
        ]
        with m.If(fire):
            m.d.sync += lower_held.eq(0)
        with m.Elif(indices.valid & indices.ready):
            m.d.sync += [lower_held.eq(1), lower_last.eq(indices.p.last), lower.eq(indices.p.data)]

        entries = Signal(data.StructLayout({
            "index": data.ArrayLayout(WIDE_BITS, tokens),   # dense: the place within the chunk
            "value": data.ArrayLayout(8, tokens),
            "present": tokens,
            "row_last": 1,
            "last": 1,
        }))
        m.d.sync += [entries.value.eq(values.p.data), entries.row_last.eq(values.p.row_last),
                     entries.last.eq(values.p.last)]
        for t in range(tokens):
            narrow = indices.p.data.word_select(t, NARROW_BITS)
            wide = (lower if t < half else indices.p.data).word_select(t % half, WIDE_BITS)
            m.d.sync += [
                entries.index[t].eq(Mux(job.dense, t, Mux(job.wide, wide, narrow))),
                entries.present[t].eq(values.p.count > t),
            ]
        return fire, entries

    # ---- stage 2: index within the block; stage 3: does it lie in the block ------------------------------

    def _filter(self, m: Module, job, entries, valid, output) -> None:
        config, tokens = self._config, self._config.beat_tokens
        origin = Signal(WIDE_BITS)   # what is subtracted; dense: less than 0 by the chunks before in the row
        local = Signal(data.ArrayLayout(WIDE_BITS, tokens))
        value = Signal.like(entries.value)
        real = Signal(tokens)        # a value that is not zero, with an index that exists
        beyond = Signal(tokens)
        last = Signal()
        with m.If(self.i_job.valid & self.i_job.ready):
            m.d.sync += origin.eq(self.i_job.p.start)
        with m.Elif(valid & job.dense):
            m.d.sync += origin.eq(Mux(entries.row_last, 0, origin - tokens))
        m.d.sync += [
            value.eq(entries.value),
            last.eq(entries.last),
            self.o_fault.eq(valid & beyond.any()),
        ]
        for t in range(tokens):
            m.d.comb += beyond[t].eq(entries.present[t] & (entries.index[t] >= job.columns))
            m.d.sync += [
                local[t].eq(entries.index[t] - origin),
                real[t].eq(entries.present[t] & ~beyond[t] & entries.value[t].any()),
            ]
            m.d.comb += [
                output.tokens[t].index.eq(local[t][:config.index_bits]),
                output.tokens[t].value.eq(value[t]),
                # An index below `start` has wrapped around and is large.
                output.mask[t].eq(real[t] & (local[t] < job.count)),
            ]
        m.d.comb += output.last.eq(last)
