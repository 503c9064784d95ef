"""Cuts a chain's finished words into chunks of bytes."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .collector_layouts import CollectorPlan, DenseWord, RowChunk
from .config import Config, log2_exact
from .queue import Queue

__all__ = ["Emitter", "queue_chunks"]


def queue_chunks(config: Config) -> int:
    """Chunks an emitter holds: with two chains a whole int8 row of one slice, so that both chains work
    while one row is written."""
    return 32 if config.chains > 1 else 8


class Emitter(wiring.Component):
    """Chunks of at most W bytes out of words: real columns of real rows only, unless they are padding.

    Throughput: one chunk a cycle; int8 words come one a cycle, two of a row make one chunk where W = 2V.
        Rows that go to separate addresses cost a chunk each.
    Latency: 2 cycles.
    Backpressure: `i.ready` depends on the queue's level, not on `o.ready`.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_plan : CollectorPlan, constant while the job runs
    i : stream of DenseWord
    o : stream of RowChunk
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_plan": In(CollectorPlan(config)),
            "i": In(stream.Signature(DenseWord(config))),
            "o": Out(stream.Signature(RowChunk(config))),
        })

    def elaborate(self, platform):
        m = Module()
        config, plan = self._config, self.i_plan
        m.submodules.queue = queue = Queue(RowChunk(config), queue_chunks(config))
        wiring.connect(m, queue.o, wiring.flipped(self.o))

        busy, moves, word_end = Signal(), Signal(), Signal()
        word = Signal(32 * config.lanes, reset_less=True)
        group_last, job_last = Signal(reset_less=True), Signal(reset_less=True)
        short = Signal(reset_less=True)              # the word ends a row of the write job
        left = Signal.like(plan.word_bytes, reset_less=True)       # bytes left of the word, or of its row
        rows_left = Signal.like(plan.tail_rows, reset_less=True)   # rows after this one in the word
        second = Signal(reset_less=True)             # second step of a wide row

        m.d.comb += self.i.ready.eq(~busy | (moves & word_end))
        with m.If(self.i.ready):
            new_short = Signal()
            m.d.comb += new_short.eq(Mux(plan.run, self.i.p.job_last, self.i.p.group_last))
            m.d.sync += [
                busy.eq(self.i.valid),
                word.eq(self.i.p.data.as_value()),
                group_last.eq(self.i.p.group_last),
                job_last.eq(self.i.p.job_last),
                short.eq(new_short | plan.separate),
                left.eq(Mux(new_short | plan.separate, plan.tail_bytes, plan.word_bytes)),
                rows_left.eq(Mux(self.i.p.job_last, plan.tail_rows, 1 << plan.group_log2) - 1),
                second.eq(0),
            ]
        with m.Elif(moves):
            with m.Switch(plan.step_log2):
                for step_log2 in range(log2_exact(config.port_bytes) + 1):
                    with m.Case(step_log2):
                        m.d.sync += word.eq(word >> (8 << step_log2))
            m.d.sync += [left.eq(Mux(left > config.port_bytes, left - config.port_bytes, 0)),
                         second.eq(~second)]
            with m.If(plan.separate & (second | ~plan.wide)):
                m.d.sync += [left.eq(plan.tail_bytes), rows_left.eq(rows_left - 1), second.eq(0)]

        # ---- the chunk at the word's low end -------------------------------------------------------
        chunk = Signal(RowChunk(config))
        fits, last_row, there, chunk_ready = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            fits.eq(left <= config.port_bytes),
            last_row.eq(~plan.separate | (rows_left == 0)),
            there.eq(busy & (left != 0)),
            word_end.eq(Mux(plan.wide, second, fits) & last_row),
            moves.eq(busy & (chunk_ready | (left == 0))),
            chunk.count.eq(Mux(fits, left, config.port_bytes)),
            chunk.row_last.eq(fits & short),
            chunk.group_last.eq(fits & last_row & group_last),
            chunk.last.eq(fits & last_row & job_last),
        ]
        for byte in range(config.port_bytes):
            with m.If(left > byte):
                m.d.comb += chunk.data.word_select(byte, 8).eq(word.word_select(byte, 8))
        if config.port_bytes == config.lanes:
            m.d.comb += [queue.i.valid.eq(there), queue.i.p.eq(chunk), chunk_ready.eq(queue.i.ready)]
        else:
            self._join(m, queue, chunk, there, chunk_ready)
        return m

    def _join(self, m, queue, chunk, there, chunk_ready):
        """An int8 word is half a chunk: it waits for the other half, unless its row or its turn ends."""
        config, plan = self._config, self.i_plan
        half_bits = 8 * config.lanes
        held, holds, keeps = Signal(half_bits, reset_less=True), Signal(), Signal()
        turn_ends = chunk.group_last if config.chains > 1 else chunk.last
        m.d.comb += [
            keeps.eq(plan.int8 & ~holds & ~chunk.row_last & ~turn_ends),
            chunk_ready.eq(keeps | queue.i.ready),
            queue.i.valid.eq(there & ~keeps),
            queue.i.p.eq(chunk),
        ]
        with m.If(holds):
            m.d.comb += [
                queue.i.p.data.eq(Cat(held, chunk.data[:half_bits])),
                queue.i.p.count.eq(chunk.count + config.lanes),
            ]
        with m.If(there & chunk_ready):
            m.d.sync += [holds.eq(keeps), held.eq(chunk.data)]
