"""A stage of a drain chain: a PE's rows are merged into those of the PEs behind it."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .adders import MaskedAdder
from .config import ACC_BITS, Config
from .layouts import ChainWord
from .overflow import sum_wraps
from .skid import Skid

__all__ = ["ChainHead", "ChainStage", "Decision", "MergingStage"]


def ChainHead(config: Config) -> data.StructLayout:
    """What a word is beside its sums."""
    return data.StructLayout({"word": config.word_bits, "valid": config.lanes, "last": 1})


def _Terms(config: Config) -> data.StructLayout:
    """The sums of both sides, and in which lanes they count."""
    side = data.StructLayout({"data": ChainWord(config)["data"].shape, "lanes": config.lanes})
    return data.StructLayout({"own": side, "up": side})


@dataclass(frozen=True)
class Decision:
    """Which words go on."""

    decides: Signal      # something does
    own_lanes: Signal    # in which that side's sums count
    up_lanes: Signal
    head: data.View      # of the word that they make


class MergingStage(wiring.Component):
    """What stages of drain chains have in common: ports, and which word goes on.

    Parameters
    ----------
    config : Config

    Members
    -------
    As `ChainStage`.
    """

    _COMPARES = "comb"
    """The domain in which words are compared."""

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_own": In(stream.Signature(ChainWord(config))),
            "i_up": In(stream.Signature(ChainWord(config))),
            "o": Out(stream.Signature(ChainWord(config))),
            "o_overflow": Out(1),
        })

    def _decide(self, m: Module, room: Value) -> Decision:
        """With `room` for what follows from it."""
        own, up = self.i_own.p, self.i_up.p
        own_done, up_done = Signal(), Signal()     # that side's row has ended, the other's goes on
        decides, takes_own, takes_up = Signal(), Signal(), Signal()
        own_empty, up_empty = Signal(), Signal()
        own_later, up_later = Signal(), Signal()   # its word is above the other's
        uses_own, uses_up = Signal(), Signal()     # its word is part of the output
        row_ends = Signal()

        # ---- which side's word goes on ----
        own_there, up_there = self._there(m)
        own_above_up = self._above(m, "own_above_up", own.word, up.word)
        up_above_own = self._above(m, "up_above_own", up.word, own.word)
        m.d.comb += decides.eq((own_done | own_there) & (up_done | up_there) & room)
        m.d[self._COMPARES] += [
            own_empty.eq((own.valid == 0) & own.last),
            up_empty.eq((up.valid == 0) & up.last),
            own_later.eq(own_above_up),
            up_later.eq(up_above_own),
        ]
        with m.If(own_done):
            m.d.comb += uses_up.eq(1)
        with m.Elif(up_done):
            m.d.comb += uses_own.eq(1)
        with m.Else():
            m.d.comb += [
                uses_own.eq(up_empty | (~own_empty & ~own_later)),
                uses_up.eq(own_empty | (~up_empty & ~up_later)),
            ]
        m.d.comb += [
            # What is used, and an empty row, which goes along with whatever the other side has; said once
            # more, as the ready of both sides hangs on it.
            takes_own.eq(~own_done & (up_done | up_empty | own_empty | ~own_later)),
            takes_up.eq(~up_done & (own_done | up_empty | own_empty | ~up_later)),
            row_ends.eq((own_done | (takes_own & own.last)) & (up_done | (takes_up & up.last))),
        ]
        self._take(m, decides, takes_own, takes_up)
        with m.If(decides):
            m.d.sync += [
                own_done.eq(~row_ends & (own_done | (takes_own & own.last))),
                up_done.eq(~row_ends & (up_done | (takes_up & up.last))),
            ]

        # ---- what follows ----
        own_lanes, up_lanes = Signal(self._config.lanes), Signal(self._config.lanes)
        decision = Decision(decides, own_lanes, up_lanes, Signal(ChainHead(self._config)))
        m.d.comb += [
            own_lanes.eq(Mux(uses_own, own.valid, 0)),
            up_lanes.eq(Mux(uses_up, up.valid, 0)),
            decision.head.word.eq(Mux(uses_own & ~(own_empty & uses_up), own.word, up.word)),
            decision.head.valid.eq(own_lanes | up_lanes),
            decision.head.last.eq(row_ends),
        ]
        return decision

    def _there(self, m: Module) -> tuple[Value, Value]:
        """Of each side whether there is a word that has been compared."""
        return self.i_own.valid, self.i_up.valid

    def _take(self, m: Module, decides: Signal, own: Signal, up: Signal) -> None:
        """Of each side the word that is done with, once it is decided."""
        m.d.comb += [self.i_own.ready.eq(decides & own), self.i_up.ready.eq(decides & up)]

    def _above(self, m: Module, name: str, one: Value, other: Value) -> Value:
        """one > other: the sign of a difference, in carry cells of its own, as synthesis makes so few bits of
        LUTs, three or four in a row. The ready of both sides comes behind them."""
        bits = len(one) + 1
        m.submodules[name] = difference = MaskedAdder(bits + bits % 2)
        m.d.comb += [difference.i_a.eq(~Cat(one, Const(0, len(difference.i_a) - len(one)))),
                     difference.i_b.eq(other),
                     difference.i_use_a.eq(1), difference.i_use_b.eq(1), difference.i_carry.eq(1)]
        return difference.o[-1]

    def _add_lane(self, m: Module, lane: int, own: Value, up: Value, own_used: Value,
                  up_used: Value) -> Signal:
        """The sum of those that are used."""
        m.submodules[f"adder{lane}"] = adder = MaskedAdder(ACC_BITS)
        m.d.comb += [
            adder.i_a.eq(own),
            adder.i_b.eq(up),
            adder.i_use_a.eq(own_used),
            adder.i_use_b.eq(up_used),
        ]
        return adder.o


class ChainStage(MergingStage):
    """Merges two streams of sorted rows into one: equal words are added, lane by lane.

    Throughput: one word a cycle, and where words of both sides meet two.
    Latency: one cycle.
    Backpressure: the inputs' ready follows `o.ready` in the same cycle, by one gate; in a stage that `cuts`
        it comes out of a register and the decision, and a word that was not taken waits beside the next one.
    Overflow: sums wrap; `o_overflow` says so.
    Order: rows in order, words of a row by their index; a row ends on its last word. An empty row of one
        side costs no cycle when the other side has words.

    Parameters
    ----------
    config : Config
    cuts : bool
        End the path of ready here, at the cost of a word that waits, which takes more than the adders.

    Members
    -------
    i_own, i_up, o : streams of ChainWord
    o_overflow : a sum wrapped, two cycles ago
    """

    def __init__(self, config: Config, *, cuts: bool = False):
        super().__init__(config)
        self._cuts = cuts

    def elaborate(self, platform):
        m = Module()
        own, up = self.i_own.p, self.i_up.p
        room = Signal()                            # in a stage that cuts a register
        decision = self._decide(m, room)
        decides, new = decision.decides, decision.head

        # ---- what is decided: the sums are made of it in the next cycle ----
        terms = Signal(_Terms(self._config))
        with m.If(room):
            m.d.sync += [terms.own.data.eq(own.data), terms.own.lanes.eq(decision.own_lanes),
                         terms.up.data.eq(up.data), terms.up.lanes.eq(decision.up_lanes)]

        sums = self._add(m, terms, decides)
        head = Signal(ChainHead(self._config))
        m.d.comb += [self.o.p.word.eq(head.word), self.o.p.valid.eq(head.valid), self.o.p.last.eq(head.last)]
        if self._cuts:
            self._offer_or_keep(m, decides, new, head, sums, room)
        else:
            m.d.comb += [room.eq(~self.o.valid | self.o.ready), self.o.p.data.eq(sums)]
            with m.If(room):
                m.d.sync += [self.o.valid.eq(decides), head.eq(new)]
        return m

    def _add(self, m: Module, terms: data.View, decides: Signal) -> Signal:
        """The terms' sums; what wraps is told in the first cycle in which they are there."""
        sums = Signal(ChainWord(self._config)["data"].shape)
        fresh, wraps = Signal(), Signal(self._config.lanes)     # a register for each lane: sums come late
        for lane, total in enumerate(sums):
            one, other = terms.own.data[lane], terms.up.data[lane]
            used = terms.own.lanes[lane], terms.up.lanes[lane]
            m.d.comb += total.eq(self._add_lane(m, lane, one, other, *used))
            m.d.sync += wraps[lane].eq(fresh & used[0] & used[1] & sum_wraps(one, other, total))
        m.d.sync += fresh.eq(decides)
        m.d.comb += self.o_overflow.eq(wraps.any())
        return sums

    def _offer_or_keep(self, m: Module, decides: Signal, new, head, sums: Signal, room: Signal) -> None:
        """A word that is not taken leaves its terms to the next one: its sums wait in a skid. Of the heads
        both are there, the one on offer in a register of its own, as the next stage compares it."""
        next_head, next_there = Signal(ChainHead(self._config)), Signal()
        m.submodules.skid = skid = Skid(sums.shape())
        m.d.comb += [
            skid.i.valid.eq(next_there),
            skid.i.p.eq(sums),
            room.eq(skid.i.ready),
            self.o.p.data.eq(skid.o.p),
            skid.o.ready.eq(self.o.ready),
        ]
        with m.If(room):
            m.d.sync += [next_head.eq(new), next_there.eq(decides)]
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(Mux(skid.o_held, next_there, decides)),
                         head.eq(Mux(skid.o_held, next_head.as_value(), new.as_value()))]
