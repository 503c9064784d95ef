"""Turns the sparse words of a drain chain into dense ones."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .collector_layouts import CollectorPlan, DenseWord
from .config import Config
from .layouts import ChainWord

__all__ = ["Densifier"]


class Densifier(wiring.Component):
    """Gives every group of a chain all its words, with zeros where words or lanes are absent.

    Throughput: one dense word a cycle; a group whose `last` comes on an empty word after its final word
        costs one cycle more.
    Latency: none, `o` follows `i` in the same cycle.
    Backpressure: `i.ready` follows `o.ready` in the same cycle.
    Order: kept; words that no group has room for are dropped.

    Parameters
    ----------
    config : Config
    chain : int, number of the chain

    Members
    -------
    i_plan : CollectorPlan, constant while the job runs
    i_start : 1, pulse before the job's first word; the plan is valid with it
    i : stream of ChainWord
    o : stream of DenseWord
    o_drained : 1, level: the chain's last word of the job was taken
    """

    def __init__(self, config: Config, chain: int):
        self._chain = chain
        super().__init__({
            "i_plan": In(CollectorPlan(config)),
            "i_start": In(1),
            "i": In(stream.Signature(ChainWord(config))),
            "o": Out(stream.Signature(DenseWord(config))),
            "o_drained": Out(1, init=1),
        })

    def elaborate(self, platform):
        m = Module()
        word, plan = self.i.p, self.i_plan
        groups_left = Signal(32)
        active, final = Signal(), Signal()  # groups_left != 0, == 1: kept beside it, compares are long
        position = Signal.like(plan.last_word)
        ended = Signal()     # `last` was taken, zeros fill up the group
        flushing = Signal()  # the group is full, its `last` is still to come

        # An empty last word ends the group wherever it stands; its number says nothing.
        hit, group_last, advance, taken = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            hit.eq(self.i.valid & ~ended & ((word.word == position) | (word.last & ~word.valid.any()))),
            group_last.eq(position == plan.last_word),
            self.o.valid.eq(active & ~flushing & (ended | self.i.valid)),
            advance.eq(self.o.valid & self.o.ready),
            self.i.ready.eq(Mux(flushing, 1, hit & active & self.o.ready)),
            taken.eq(self.i.valid & self.i.ready),
            self.o.p.group_last.eq(group_last),
            self.o.p.job_last.eq(group_last & final & (plan.final_chain == self._chain)),
        ]
        for lane, value in enumerate(self.o.p.data):
            m.d.comb += value.eq(Mux(hit & word.valid[lane], word.data[lane], 0))

        with m.If(taken & word.last):
            m.d.sync += [ended.eq(~flushing), flushing.eq(0)]
            # While flushing, the group was already counted.
            with m.If(Mux(flushing, ~active, final)):
                m.d.sync += self.o_drained.eq(1)
        with m.If(advance):
            m.d.sync += position.eq(position + 1)
            with m.If(group_last):
                m.d.sync += [
                    position.eq(0),
                    ended.eq(0),
                    flushing.eq(~(ended | (hit & word.last))),
                    groups_left.eq(groups_left - 1),
                    active.eq(~final),
                    final.eq(groups_left == 2),
                ]
        with m.If(self.i_start):
            m.d.sync += [
                groups_left.eq(plan.groups[self._chain]),
                active.eq(plan.groups[self._chain] != 0),
                final.eq(plan.groups[self._chain] == 1),
                self.o_drained.eq(plan.groups[self._chain] == 0),
            ]
        return m
