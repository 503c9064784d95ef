"""Puts the rows of the chains back into order."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .collector_layouts import RowChunk
from .config import Config
from .layouts import Chunk

__all__ = ["Merger"]


class Merger(wiring.Component):
    """Takes the chunks of one group from each chain in turn.

    Throughput: one chunk a cycle.
    Latency: 1 cycle.
    Backpressure: the ready of the chain whose turn it is follows `o.ready` in the same cycle.
    Order: group g comes from chain g mod chains; after a job's last chunk it is chain 0's turn.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : for each chain, stream of RowChunk
    o : stream of Chunk
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i": In(stream.Signature(RowChunk(config))).array(config.chains),
            "o": Out(stream.Signature(Chunk(config.port_bytes))),
        })

    def elaborate(self, platform):
        m = Module()
        turn, ready = Signal(range(max(2, self._config.chains))), Signal()
        valid, chunk = Signal(), Signal(RowChunk(self._config))
        m.d.comb += [
            ready.eq(~self.o.valid | self.o.ready),
            valid.eq(Array([source.valid for source in self.i])[turn]),
            chunk.eq(Array([source.p.as_value() for source in self.i])[turn]),
        ]
        for number, source in enumerate(self.i):
            m.d.comb += source.ready.eq(ready & (turn == number))
        with m.If(ready):
            m.d.sync += self.o.valid.eq(valid)
            with m.If(valid):
                m.d.sync += [
                    self.o.p.data.eq(chunk.data),
                    self.o.p.count.eq(chunk.count),
                    self.o.p.row_last.eq(chunk.row_last),
                    self.o.p.last.eq(chunk.last),
                ]
                if self._config.chains > 1:
                    with m.If(chunk.group_last):
                        m.d.sync += turn.eq(~turn)
                    with m.If(chunk.last):
                        m.d.sync += turn.eq(0)
        return m
