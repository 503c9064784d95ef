"""Turns the sparse words of the drain chains into dense ones, in the order of the rows."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .collector_layouts import ChainedWord, CollectorPlan
from .config import ACC_BITS, Config
from .layouts import ChainWord

__all__ = ["Densifier"]


class Densifier(wiring.Component):
    """Takes the chains' groups in turn and gives each all its words, zeros where words or lanes are absent.

    Throughput: one dense word a cycle. A group whose `last` comes on an empty word after its final word keeps
        its chain for a cycle more, not the other one.
    Latency: none, `o` follows `i` in the same cycle, from the second one behind `i_start` on.
    Backpressure: `i.ready` follows `o.ready` in the same cycle.
    Order: group g comes on chain g mod chains; words that no group has room for are dropped.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_plan : CollectorPlan, constant while the job runs
    i_start : 1, pulse before the job's first word; the plan is valid with it
    i : for each chain, stream of ChainWord
    o : stream of ChainedWord
    o_drained : 1, level: the job's last word was taken, on all chains
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_plan": In(CollectorPlan(config)),
            "i_start": In(1),
            "i": In(stream.Signature(ChainWord(config))).array(config.chains),
            "o": Out(stream.Signature(ChainedWord(config))),
            "o_drained": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config, plan = self._config, self.i_plan
        behind = Signal(signed(33))         # groups behind the one at hand - 1: its sign tells the last one
        active, starting, final = Signal(), Signal(), Signal()
        position = Signal.like(plan.last_word)
        turn = Signal(config.chains, init=1)  # the chain whose group it is, one bit set
        ended = Signal()                      # its `last` was taken, zeros fill up the group
        flushing = Signal(config.chains)      # the chain's group is full, its `last` is still to come

        # An empty last word ends the group wherever it stands; its number says nothing.
        ready, hits, lasts = Signal(), Signal(config.chains), Signal(config.chains)
        there, last, group_last, advance = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            final.eq(behind[-1]),
            ready.eq(active & ~starting & ~(turn & flushing).any()),
            hits.eq(Cat(turn[c] & source.valid & ((source.p.word == position)
                                                  | (source.p.last & ~source.p.valid.any()))
                        for c, source in enumerate(self.i)) & ~ended.replicate(config.chains)),
            lasts.eq(Cat(source.p.last for source in self.i)),
            last.eq((hits & lasts).any()),
            there.eq((Cat(source.valid for source in self.i) & turn).any()),
            group_last.eq(position == plan.last_word),
            self.o.valid.eq(ready & (ended | there)),
            advance.eq(self.o.valid & self.o.ready),
            self.o.p.group_last.eq(group_last),
            self.o.p.job_last.eq(group_last & final),
            self.o_drained.eq((~active | (final & ended)) & ~flushing.any()),
        ]
        for c, source in enumerate(self.i):
            m.d.comb += source.ready.eq(flushing[c] | (hits[c] & ready & self.o.ready))
            with m.If(flushing[c] & source.valid & source.p.last):
                m.d.sync += flushing[c].eq(0)
        if config.lean_drain:
            m.d.comb += [self.o.p.data.eq(self.i[0].p.data),
                         self.o.p.lanes.eq(Mux(hits[0], self.i[0].p.valid, 0))]
        else:
            for lane, value in enumerate(self.o.p.data):
                # At most one chain hits: a sum of masked words, no choice between them.
                m.d.comb += value.eq(reduce(or_, (
                    source.p.data[lane] & (hits[c] & source.p.valid[lane]).replicate(ACC_BITS)
                    for c, source in enumerate(self.i))).as_signed())

        with m.If(advance):
            m.d.sync += position.eq(position + 1)
            with m.If(last):
                m.d.sync += ended.eq(1)
            with m.If(group_last):
                m.d.sync += [
                    position.eq(0),
                    ended.eq(0),
                    turn.eq(turn.rotate_left(1)),
                    active.eq(~final),
                ]
                for c in range(config.chains):
                    with m.If(turn[c] & ~(ended | last)):
                        m.d.sync += flushing[c].eq(1)
        m.d.sync += starting.eq(self.i_start)
        with m.If(self.i_start | starting | (advance & group_last)):
            m.d.sync += behind.eq(Mux(self.i_start, plan.groups, behind) - 1)
        with m.If(self.i_start):
            m.d.sync += [active.eq(1), turn.eq(1)]
        return m
