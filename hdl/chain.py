"""A stage of a drain chain: a PE's rows are merged into those of the PEs behind it."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .adders import MaskedAdder
from .config import ACC_BITS, Config
from .layouts import ChainWord
from .register_slice import RegisterSlice

__all__ = ["ChainStage"]


class ChainStage(wiring.Component):
    """Merges two streams of sorted rows into one: equal words are added, lane by lane.

    Throughput: one word a cycle, and where words of both sides meet two.
    Latency: one cycle.
    Backpressure: the inputs' ready follows `o.ready` in the same cycle, by one gate; in a stage that `cuts`
        it comes out of a register and the decision, and there are two words of room at the output.
    Overflow: sums wrap; `o_overflow` says so.
    Order: rows in order, words of a row by their index; a row ends on its last word. An empty row of one
        side costs no cycle when the other side has words.

    Parameters
    ----------
    config : Config
    cuts : bool
        End the path of ready here, at the cost of a second word; each word costs more than the adders.

    Members
    -------
    i_own, i_up, o : streams of ChainWord
    o_overflow : a sum wrapped, two cycles ago
    """

    def __init__(self, config: Config, *, cuts: bool = False):
        self._config, self._cuts = config, cuts
        super().__init__({
            "i_own": In(stream.Signature(ChainWord(config))),
            "i_up": In(stream.Signature(ChainWord(config))),
            "o": Out(stream.Signature(ChainWord(config))),
            "o_overflow": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        own, up = self.i_own.p, self.i_up.p
        room = Signal()
        own_done, up_done = Signal(), Signal()     # that side's row has ended, the other's goes on
        decides, takes_own, takes_up = Signal(), Signal(), Signal()
        own_empty, up_empty = Signal(), Signal()
        uses_own, uses_up = Signal(), Signal()     # its word is part of the output
        row_ends = Signal()

        # ---- which side's word goes on ----
        m.d.comb += [
            decides.eq((own_done | self.i_own.valid) & (up_done | self.i_up.valid) & room),
            own_empty.eq((own.valid == 0) & own.last),
            up_empty.eq((up.valid == 0) & up.last),
        ]
        with m.If(own_done):
            m.d.comb += uses_up.eq(1)
        with m.Elif(up_done):
            m.d.comb += uses_own.eq(1)
        with m.Else():
            m.d.comb += [
                uses_own.eq(up_empty | (~own_empty & (own.word <= up.word))),
                uses_up.eq(own_empty | (~up_empty & (up.word <= own.word))),
            ]
        m.d.comb += [
            # An empty row goes along with whatever the other side has.
            takes_own.eq(~own_done & (uses_own | own_empty)),
            takes_up.eq(~up_done & (uses_up | up_empty)),
            row_ends.eq((own_done | (takes_own & own.last)) & (up_done | (takes_up & up.last))),
            self.i_own.ready.eq(decides & takes_own),
            self.i_up.ready.eq(decides & takes_up),
        ]
        with m.If(decides):
            m.d.sync += [
                own_done.eq(~row_ends & (own_done | (takes_own & own.last))),
                up_done.eq(~row_ends & (up_done | (takes_up & up.last))),
            ]

        # ---- the word ----
        word = Signal(ChainWord(self._config))
        own_lanes, up_lanes = Signal(self._config.lanes), Signal(self._config.lanes)
        m.d.comb += [
            own_lanes.eq(Mux(uses_own, own.valid, 0)),
            up_lanes.eq(Mux(uses_up, up.valid, 0)),
            word.word.eq(Mux(uses_own & ~(own_empty & uses_up), own.word, up.word)),
            word.valid.eq(own_lanes | up_lanes),
            word.last.eq(row_ends),
        ]
        # Overflow: the signs are compared a cycle later, the adder is long enough.
        may_wrap, sign = (Signal(self._config.lanes, name=name) for name in ("may_wrap", "sign"))
        # Without room for a second word a sum that is made is at the output.
        new_sign = (Signal(self._config.lanes, name="new_sign") if self._cuts
                    else Cat(total[-1] for total in self.o.p.data))
        for lane, total in enumerate(word.data):
            m.submodules[f"adder{lane}"] = adder = MaskedAdder(ACC_BITS)
            m.d.comb += [
                adder.i_a.eq(own.data[lane]),
                adder.i_b.eq(up.data[lane]),
                adder.i_use_a.eq(own_lanes[lane]),
                adder.i_use_b.eq(up_lanes[lane]),
                total.eq(adder.o),
            ]
            m.d.sync += [
                may_wrap[lane].eq(decides & own_lanes[lane] & up_lanes[lane]
                                  & (own.data[lane][-1] == up.data[lane][-1])),
                sign[lane].eq(own.data[lane][-1]),
            ]
            if self._cuts:
                m.d.sync += new_sign[lane].eq(total[-1])
        m.d.sync += self.o_overflow.eq((may_wrap & (sign ^ new_sign)).any())
        if self._cuts:
            m.submodules.head = head = RegisterSlice(ChainWord(self._config))
            m.d.comb += [room.eq(head.i.ready), head.i.valid.eq(decides), head.i.p.eq(word)]
            connect(m, head.o, flipped(self.o))
        else:
            m.d.comb += room.eq(~self.o.valid | self.o.ready)
            with m.If(room):
                m.d.sync += [self.o.valid.eq(decides), self.o.p.eq(word)]
        return m
