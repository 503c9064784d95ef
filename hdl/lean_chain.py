"""A stage of a drain chain that takes its time: it compares in one cycle, decides in the next, then adds."""

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data

from .chain import MergingStage
from .config import Config
from .overflow import sum_wraps

__all__ = ["LeanChainStage"]


class LeanChainStage(MergingStage):
    """As `ChainStage`, with a third of its registers.

    Throughput: one word every third cycle; a cycle less where the row of one side has ended and the other
        one's word waits.
    Latency: three cycles, two from a stage to the next.
    Backpressure: the inputs' ready are registers.
    Overflow: sums wrap; `o_overflow` says so.
    Order: rows in order, words of a row by their index; a row ends on its last word. An empty row of one
        side costs no cycle when the other side has words.

    Parameters
    ----------
    config : Config
    up_is_stage : bool
        A stage drives `i_up`: words are there in the cycle before their `valid`, so that they are compared.
    ready_is_late : bool
        Not even a decision hangs on `o.ready`: the next word is decided when the last one has left.

    Members
    -------
    i_own, i_up, o : streams of ChainWord
    o_overflow : a sum wrapped, two cycles ago
    """

    _COMPARES = "sync"

    def __init__(self, config: Config, *, up_is_stage: bool = False, ready_is_late: bool = False):
        super().__init__(config)
        self._up_is_stage = up_is_stage
        self._leaves = Const(0) if ready_is_late else self.o.ready

    def elaborate(self, platform):
        m = Module()
        self._adds, room = Signal(), Signal()
        lanes = Signal(data.StructLayout({"own": self._config.lanes, "up": self._config.lanes}))
        output = self.o

        # ---- compare, and decide which side's word goes on: its sums come behind what tells of them ----
        m.d.comb += room.eq(~self._adds & (~output.valid | self._leaves))
        decision = self._decide(m, room)
        m.d.sync += self._adds.eq(decision.decides)
        with m.If(decision.decides):
            m.d.sync += [
                *(output.p[name].eq(decision.head[name]) for name in ("word", "valid", "last")),
                lanes.own.eq(decision.own_lanes),
                lanes.up.eq(decision.up_lanes),
            ]

        # ---- add ----
        with m.If(self._adds):
            m.d.sync += output.valid.eq(1)
        with m.Elif(output.ready):
            m.d.sync += output.valid.eq(0)
        wraps = Signal(self._config.lanes)     # a register for each lane: sums come late
        for lane, total in enumerate(output.p.data):
            one, other = self.i_own.p.data[lane], self.i_up.p.data[lane]
            made = self._add_lane(m, lane, one, other, lanes.own[lane], lanes.up[lane])
            # Without the other side's the sum has its own one's sign.
            m.d.sync += wraps[lane].eq(self._adds & lanes.own[lane] & sum_wraps(one, other, made))
            with m.If(self._adds):
                m.d.sync += total.eq(made)
        m.d.comb += self.o_overflow.eq(wraps.any())
        return m

    def _there(self, m: Module) -> tuple[Value, Value]:
        seen = Signal(2)
        sides = self.i_own, self.i_up
        m.d.sync += seen.eq(Cat(side.valid & ~side.ready for side in sides))
        return sides[0].valid & seen[0], sides[1].valid & (Const(1) if self._up_is_stage else seen[1])

    def _take(self, m: Module, decides: Signal, own: Signal, up: Signal) -> None:
        """Once its sums are added."""
        takes_own, takes_up = Signal(), Signal()
        m.d.sync += [takes_own.eq(decides & own), takes_up.eq(decides & up)]
        m.d.comb += [self.i_own.ready.eq(takes_own), self.i_up.ready.eq(takes_up)]
