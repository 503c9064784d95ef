"""Joins sparse words of a row that need not be handled one by one."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .collector_layouts import CollectorPlan, JoinedWord
from .config import Config, log2_exact
from .layouts import ChainWord

__all__ = ["WordJoiner"]


class WordJoiner(wiring.Component):
    """Puts words of a row that follow each other into one, while their lanes do so too.

    A word joins the one before it if all of its lanes are above those that this has: read by lanes, entries
    stay in the order of columns. A word without any lane joins always, so that the end of a row needs no word
    of its own.

    Throughput: one word a cycle.
    Latency: a word leaves when the next one does not join it, or in the cycle after its row's last one.
    Backpressure: `i.ready` follows `o.ready` in the same cycle where a word does not join.
    Order: kept. Words of the next job wait until it starts.

    Parameters
    ----------
    config : Config
    chain : int, number of the drain chain

    Members
    -------
    i_plan : CollectorPlan, constant while the job runs; lanes past its columns are none
    i_start : 1, pulse: a job starts, the plan is valid with it; the chain has its share of the groups
    i : stream of ChainWord
    o : stream of JoinedWord
    """

    def __init__(self, config: Config, chain: int):
        self._config, self._chain = config, chain
        super().__init__({
            "i_plan": In(CollectorPlan(config)),
            "i_start": In(1),
            "i": In(stream.Signature(ChainWord(config))),
            "o": Out(stream.Signature(JoinedWord(config))),
        })

    def elaborate(self, platform):
        m = Module()
        chains = self._config.chains
        rows_left, active, final = Signal(32), Signal(), Signal()   # rows_left != 0, == 1
        rows = (self.i_plan.groups + (chains - 1 - self._chain)) >> log2_exact(chains)
        held, there = Signal(JoinedWord(self._config)), Signal()
        word, lanes, joins, takes, adds = self.i.p, Signal(self._config.lanes), Signal(), Signal(), Signal()
        m.d.comb += [
            # A dense tile makes sums past the last column, too.
            lanes.eq(word.valid & Mux(word.word == self.i_plan.last_word, self.i_plan.last_lanes, -1)),
            # No lane is held at the lowest one of these or above it.
            joins.eq(there & ~held.last & ((held.valid & (lanes | -lanes)) == 0)),
            self.o.valid.eq(there & (held.last | (self.i.valid & ~joins))),    # a held word's row goes on
            self.o.p.eq(held),
            self.i.ready.eq(active & (~there | joins | (self.o.valid & self.o.ready))),
            takes.eq(self.i.valid & self.i.ready),
            adds.eq(takes & joins),
        ]
        with m.If(takes):
            m.d.sync += [there.eq(1), held.last.eq(word.last),
                         held.valid.eq(Mux(adds, held.valid, 0) | lanes)]
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += there.eq(0)
        with m.If(takes & word.last):
            m.d.sync += [rows_left.eq(rows_left - 1), active.eq(~final), final.eq(rows_left == 2)]
        with m.If(self.i_start):
            m.d.sync += [rows_left.eq(rows), active.eq(rows != 0), final.eq(rows == 1)]
        for lane in range(self._config.lanes):
            with m.If(takes & lanes[lane]):
                m.d.sync += [held.words[lane].eq(word.word), held.data[lane].eq(word.data[lane])]
        return m
