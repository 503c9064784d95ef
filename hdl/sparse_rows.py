"""Takes the sparse words of the drain chains in the order of rows, for results that stay sparse."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .collector_layouts import CollectorPlan, DenseWord, JoinedWord, SparseTag
from .config import ACC_BITS, Config
from .queue import Queue
from .selectors import one_of

__all__ = ["SparseRows"]

TAGS = 32
"""Words between `o` and whoever joins them with their tags again: more than a finisher holds."""


class SparseRows(wiring.Component):
    """Takes the chains' rows in turn, and sends sums and tags apart.

    The sums go through the finisher as words of a dense result do; the tags wait in a queue to be joined with
    what comes out of it.

    Throughput: one word a cycle; an empty row takes one, too.
    Latency: none from `i` to `o`; one cycle to `o_tag`.
    Backpressure: `i.ready` follows `o.ready` in the same cycle; a full queue of tags holds all up.
    Order: row r comes on chain r mod chains; a tag for each word of `o`, in order.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_plan : CollectorPlan, constant while the job runs; groups of one row
    i_start : 1, pulse before the job's first word; the plan is valid with it
    i : for each chain, stream of JoinedWord
    o : stream of DenseWord; lanes without a sum are 0
    o_tag : stream of SparseTag
    o_drained : 1, level: the job's last word was taken
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_plan": In(CollectorPlan(config)),
            "i_start": In(1),
            "i": In(stream.Signature(JoinedWord(config))).array(config.chains),
            "o": Out(stream.Signature(DenseWord(config))),
            "o_tag": Out(stream.Signature(SparseTag(config))),
            "o_drained": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.tags = tags = Queue(SparseTag(config), TAGS)
        connect(m, tags.o, flipped(self.o_tag))
        rows_left, active, final = Signal(32), Signal(), Signal()
        turn = Signal(config.chains, init=1)  # the chain whose row it is, one bit set
        word = Signal(JoinedWord(config))     # at most one chain has its turn: a sum of masked words
        chosen = Signal(config.chains)
        leaves, tag = Signal(), tags.i.p
        m.d.comb += [
            chosen.eq(Cat(turn[chain] & source.valid & active for chain, source in enumerate(self.i))),
            word.eq(one_of(chosen, [source.p.as_value() for source in self.i])),
            self.o.valid.eq(chosen.any() & tags.i.ready),
            leaves.eq(self.o.valid & self.o.ready),
            tags.i.valid.eq(leaves),
            tag.valid.eq(word.valid),
            tag.words.eq(word.words),
            tag.row_last.eq(word.last),
            tag.job_last.eq(word.last & final),
            self.o.p.group_last.eq(word.last),
            self.o.p.job_last.eq(word.last & final),
            self.o_drained.eq(~active),
        ]
        for lane, value in enumerate(self.o.p.data):
            m.d.comb += value.eq((word.data[lane] & word.valid[lane].replicate(ACC_BITS)).as_signed())
        for source, mine in zip(self.i, chosen, strict=True):
            m.d.comb += source.ready.eq(mine & leaves)
        with m.If(leaves & word.last):
            m.d.sync += [turn.eq(turn.rotate_left(1)), rows_left.eq(rows_left - 1), active.eq(~final),
                         final.eq(rows_left == 2)]
        with m.If(self.i_start):
            m.d.sync += [rows_left.eq(self.i_plan.groups), active.eq(1), final.eq(self.i_plan.groups == 1),
                         turn.eq(1)]
        return m
