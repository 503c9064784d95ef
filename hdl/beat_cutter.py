"""Applies cuts to token chunks: the last stage of a fetch unit."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import VALUE_BITS, Config
from .fetch_layouts import Cut, TokenChunk
from .layouts import RawBeat

__all__ = ["BeatCutter"]


class BeatCutter(wiring.Component):
    """Makes a beat of a cut and the token chunk it belongs to.

    Throughput: one beat a cycle.
    Latency: one cycle.
    Backpressure: both inputs wait while `o` is stalled, and for each other.
    Order: kept. A cut that comes to nothing makes no beat, unless (SDDMM) it ends its chunk; chunks after the
        final cut's are dropped up to the job's last.

    Parameters
    ----------
    config : Config
    value_bits : int, of a token

    Members
    -------
    i : stream of TokenChunk
    i_cut : stream of Cut
    o : stream of RawBeat
    o_idle : no beat held, nothing to be dropped
    """

    def __init__(self, config: Config, value_bits: int = VALUE_BITS):
        self._config = config
        super().__init__({
            "i": In(stream.Signature(TokenChunk(config, value_bits))),
            "i_cut": In(stream.Signature(Cut(config))),
            "o": Out(stream.Signature(RawBeat(config, value_bits))),
            "o_idle": Out(1),
        })

    def elaborate(self, platform):
        config = self._config
        m = Module()
        cut, chunk = self.i_cut.p, self.i.p
        dropping = Signal()
        advance, complete, fire = Signal(), Signal(), Signal()
        mask, chunk_end = Signal(config.beat_tokens), Signal()
        if config.sddmm:
            m.d.comb += chunk_end.eq(cut.done & ~cut.alone & chunk.sddmm)
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            complete.eq(cut.alone | self.i.valid),
            fire.eq(self.i_cut.valid & complete & advance & ~dropping),
            self.i_cut.ready.eq(complete & advance & ~dropping),
            self.i.ready.eq(dropping | (fire & ~cut.alone & cut.done)),
            self.o_idle.eq(~self.o.valid & ~dropping),
        ]
        for t in range(config.beat_tokens):
            m.d.comb += mask[t].eq(chunk.mask[t] & cut.keep[t] & ~cut.alone)
        with m.If(advance):
            m.d.sync += [
                self.o.valid.eq(fire & (mask.any() | cut.ends[0].valid | chunk_end)),
                self.o.p.tokens.eq(chunk.tokens),
                self.o.p.mask.eq(mask),
                self.o.p.ends.eq(cut.ends),
                self.o.p.last.eq(cut.final),
            ]
            if config.sddmm:
                m.d.sync += self.o.p.chunk_end.eq(chunk_end)
        with m.If(fire & cut.final & ~cut.alone):
            m.d.sync += dropping.eq(~chunk.last)
        with m.Elif(self.i.valid & chunk.last):
            m.d.sync += dropping.eq(0)
        return m
