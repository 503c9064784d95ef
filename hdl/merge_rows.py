"""Cuts what the merger makes where rows end."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import Config
from .layouts import MergedWord
from .merge_layouts import CombinedWord
from .queue import Queue

__all__ = ["ROOM_WORDS", "MergeRows"]

QUEUE_WORDS = 32
ROOM_WORDS = 16
"""Words that may be on their way when `o_room` falls; more than sorter and combiner have stages."""


class MergeRows(wiring.Component):
    """Hands on entries row by row: a word for each row end, and one for entries behind a word's last row end.

    Throughput: one word a cycle.
    Latency: two cycles.
    Backpressure: `i` never waits; `o_room` falls while there is still room for what is on its way.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : stream of CombinedWord, always ready
    o_room : room for ROOM_WORDS more
    o : stream of MergedWord
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i": In(stream.Signature(CombinedWord(config), always_ready=True)),
            "o_room": Out(1),
            "o": Out(stream.Signature(MergedWord(config))),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = self._config.merge_lanes
        m.submodules.queue = queue = Queue(CombinedWord(self._config), QUEUE_WORDS)
        m.d.comb += [queue.i.valid.eq(self.i.valid), queue.i.p.eq(self.i.p)]
        m.d.sync += self.o_room.eq(queue.level <= QUEUE_WORDS - ROOM_WORDS)

        held = Signal(CombinedWord(self._config))
        left, piece, ends = Signal(lanes), Signal(lanes), Signal(lanes)
        done = Signal()
        m.d.comb += [
            ends.eq(left & held.end),
            # Up to the lowest row end with it; all where there is none.
            piece.eq(left & (ends ^ (ends - 1))),
            self.o.valid.eq(left.any()),
            self.o.p.valid.eq(piece & held.entry),
            self.o.p.columns.eq(held.columns),
            self.o.p.values.eq(held.values),
            self.o.p.row_last.eq(ends.any()),
            self.o.p.job_last.eq(held.last & ends.any() & (ends & (ends - 1) == 0)),
            done.eq(left == piece),
            queue.o.ready.eq(~left.any() | (self.o.ready & done)),
        ]
        with m.If(queue.o.ready):
            m.d.sync += [held.eq(queue.o.p),
                         left.eq((queue.o.p.entry | queue.o.p.end) & queue.o.valid.replicate(lanes))]
        with m.Elif(self.o.ready):
            m.d.sync += left.eq(left & ~piece)
        return m
