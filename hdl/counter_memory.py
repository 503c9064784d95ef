"""The job's counters: a small memory that they pass through in turn."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .config import Config, width_of
from .counters import CounterSteps, counter_names
from .registers import register

__all__ = ["COUNTER_BITS", "COUNTER_NUMBER_BITS", "CounterMemory", "counter_number"]

COUNTER_BITS = 32
COUNTER_NUMBER_BITS = 4
_TURNS = 1 << COUNTER_NUMBER_BITS


def counter_number(name: str) -> int:
    """Of the counter register of that name: the lowest bits of its word's address."""
    return register(name.upper()).address >> 2 & (_TURNS - 1)


class CounterMemory(wiring.Component):
    """Adds up what is to be counted. Every counter has its turn each 16 cycles; what comes meanwhile waits in
    a few bits of its own, so that one adder and a memory do for all.

    Throughput: every counter goes on in every cycle; one value is read at a time.
    Latency: a value is there 2 to 18 cycles after it was asked for.
    Backpressure: `i.ready` in the cycle in which `o` is the value that was asked for.
    Overflow: a counter that would pass 0xffffffff reads as that from then on.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_start : every counter becomes zero; what comes in this cycle and the next is the job's before
    i_steps : CounterSteps, what they go on by
    i : stream of a counter's number
    o : its value, with everything that came until the cycle before `i` was offered
    """

    def __init__(self, config: Config):
        self._config = config
        self._memory = Memory(shape=COUNTER_BITS + 1, depth=_TURNS, init=[])
        super().__init__({
            "i_start": In(1),
            "i_steps": In(CounterSteps(config)),
            "i": In(stream.Signature(COUNTER_NUMBER_BITS)),
            "o": Out(COUNTER_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = self._memory
        write, read = memory.write_port(), memory.read_port(domain="comb")
        # What the memory holds does not count for as many turns, from a start or a reset on.
        turn, clears = Signal(COUNTER_NUMBER_BITS), Signal(COUNTER_NUMBER_BITS + 1, init=_TURNS)
        # It comes from afar and goes everywhere.
        begins = Signal()
        m.d.sync += [turn.eq(turn + 1), begins.eq(self.i_start)]
        # ---- stage 1: what was stored, and what came since ----
        fresh = self._fresh(m, turn, begins)
        stored, more, asked = Signal(COUNTER_BITS + 1), Signal.like(fresh), Signal()
        number = Signal(COUNTER_NUMBER_BITS)
        m.d.comb += read.addr.eq(turn)
        m.d.sync += [
            stored.eq(Mux(clears.any(), 0, read.data)),
            more.eq(fresh),
            number.eq(turn),
            asked.eq(self.i.valid & (self.i.p == turn) & ~begins),
        ]
        with m.If(begins):
            m.d.sync += clears.eq(_TURNS)
        with m.Elif(clears.any()):
            m.d.sync += clears.eq(clears - 1)
        # ---- stage 2: their sum; the highest bit stays once it is set ----
        total, added, answers = Signal(COUNTER_BITS + 1), Signal(COUNTER_BITS + 1), Signal()
        m.d.comb += added.eq(stored[:COUNTER_BITS] + more)
        m.d.sync += [
            total.eq(Cat(added[:COUNTER_BITS], added[COUNTER_BITS] | stored[COUNTER_BITS])),
            write.addr.eq(number),
            answers.eq(asked & ~begins),
        ]
        # ---- stage 3: stored again ----
        m.d.comb += [
            write.en.eq(1),
            write.data.eq(total),
            self.o.eq(total[:COUNTER_BITS] | total[COUNTER_BITS].replicate(COUNTER_BITS)),
            self.i.ready.eq(answers),
        ]
        return m

    def _fresh(self, m: Module, turn: Signal, begins: Signal) -> Signal:
        """Of the counter whose turn it is: what came since its last one."""
        fresh = Signal(_waiting_bits(self._config.pes))
        waiting = {name: Signal(_waiting_bits(self._config.pes if name == "mac_words" else 1),
                                name=f"waiting_{name}") for name in counter_names()}
        for name, number in waiting.items():
            m.d.sync += number.eq(Mux(turn == counter_number(name), 0, number) + self.i_steps[name])
            with m.If(begins):
                m.d.sync += number.eq(0)
        with m.Switch(turn):
            for name, number in waiting.items():
                with m.Case(counter_number(name)):
                    m.d.comb += fresh.eq(number)
        return fresh


def _waiting_bits(most: int) -> int:
    """For what can come between two turns where it is `most` in a cycle."""
    return width_of(_TURNS * most + 1)
