"""Merges two sparse matrices: sum, difference, product or mask, element by element."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .config import Config
from .layouts import Fault, MergedWord, MergeJob, RawBeat, TileRawBeat, tile_value_bits
from .merge_combiner import MergeCombiner
from .merge_feed import MergeFeed
from .merge_rows import MergeRows
from .merge_sorter import MergeSorter
from .registers import ErrorCode

__all__ = ["OPERAND_A", "OPERAND_B", "Merger"]

OPERAND_A, OPERAND_B = 1, 2
"""Of which matrix an elementwise job's fault is."""


class Merger(wiring.Component):
    """One job after the other: the beats of two matrices of as many rows, both with rising columns.

    Throughput: `merge_lanes` entries and row ends a cycle, of both together.
    Latency: 2 · log2(`merge_lanes`) + 13 cycles from a beat to its entries; an entry waits until as many
        follow as there are lanes, or the matrix ends.
    Backpressure: from `o` to both inputs. Neither waits for the other but where its elements are later.
    Order: rows, and columns of a row, in order.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_job : stream of MergeJob, taken when the job before has left its last stage but for MergeRows
    i_a : stream of RawBeat, taken from a job's begin to its beat with `last`
    i_b : stream of TileRawBeat, likewise
    o : stream of MergedWord
    o_fault : Fault COLUMN_INDEX, columns of a row do not rise
    o_fault_operand : OPERAND_A or OPERAND_B
    o_active : a job is at work
    o_overflow : pulse, a sum of int32 wrapped
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_job": In(stream.Signature(MergeJob())),
            "i_a": In(stream.Signature(RawBeat(config))),
            "i_b": In(stream.Signature(TileRawBeat(config))),
            "o": Out(stream.Signature(MergedWord(config))),
            "o_fault": Out(Fault()),
            "o_fault_operand": Out(8),
            "o_active": Out(1),
            "o_overflow": Out(1),
        })

    def elaborate(self, platform):
        config = self._config
        m = Module()
        m.submodules.feed_a = feed_a = MergeFeed(config, config.beat_tokens)
        m.submodules.feed_b = feed_b = MergeFeed(config, config.tile_beat_tokens, tile_value_bits(config))
        m.submodules.sorter = sorter = MergeSorter(config)
        m.submodules.combiner = combiner = MergeCombiner(config)
        m.submodules.rows = rows = MergeRows(config)
        for bank in range(config.merge_lanes):
            connect(m, feed_a.o[bank], sorter.i_a[bank])
            connect(m, feed_b.o[bank], sorter.i_b[bank])
        connect(m, sorter.o, combiner.i)
        connect(m, combiner.o, rows.i)
        connect(m, rows.o, flipped(self.o))
        m.d.comb += sorter.i_room.eq(rows.o_room)

        # ---- one job at a time: what has come of the next one waits ----
        starts = Signal()
        m.d.comb += [self.i_job.ready.eq(~self.o_active), starts.eq(self.i_job.valid & self.i_job.ready)]
        with m.If(combiner.o.valid & combiner.o.p.last):
            m.d.sync += self.o_active.eq(0)
        for source, feed in ((self.i_a, feed_a), (self.i_b, feed_b)):
            takes = Signal()
            m.d.comb += [
                feed.i.p.eq(source.p),
                feed.i.valid.eq(source.valid & takes),
                source.ready.eq(feed.i.ready & takes),
            ]
            with m.If(source.valid & source.ready & source.p.last):
                m.d.sync += takes.eq(0)
            with m.If(starts):
                m.d.sync += takes.eq(1)
        with m.If(starts):
            m.d.sync += [self.o_active.eq(1), combiner.i_job.eq(self.i_job.p)]
        m.d.comb += [
            self.o_overflow.eq(combiner.o_overflow),
            self.o_fault.valid.eq(feed_a.o_fault | feed_b.o_fault),
            self.o_fault.code.eq(ErrorCode.COLUMN_INDEX),
            self.o_fault_operand.eq(OPERAND_B),
        ]
        with m.If(feed_a.o_fault):
            m.d.comb += self.o_fault_operand.eq(OPERAND_A)
        return m
