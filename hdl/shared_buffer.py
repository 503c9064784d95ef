"""Two read streams' beats in one block RAM, which holds many times what one of them needs."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .config import Config
from .level import count_both_ways

__all__ = ["BUFFER_STREAMS", "SharedBuffer"]

BUFFER_STREAMS = 2


class SharedBuffer(wiring.Component):
    """Two queues of beats in one memory.

    Throughput: a beat in and a beat out a cycle, of both together; of one stream a beat out in two cycles.
    Latency: a beat is offered two cycles after it was taken.
    Backpressure: `i` has none: nobody asks for more beats than have room. A beat is only read for an `o` that
        was ready and got nothing, and is there for one cycle: who was ready in vain has to stay so.
    Order: kept in each stream; where both want a beat, the first one gets it.

    Parameters
    ----------
    config : Config; each stream has room for `read_buffer_beats`

    Members
    -------
    i : streams of beats' data, always taken, never both in one cycle
    o : streams of the same
    o_freed : for each, a place is free in the next cycle
    """

    def __init__(self, config: Config):
        self._depth = config.read_buffer_beats
        beat = 8 * config.port_bytes
        super().__init__({
            "i": In(stream.Signature(beat, always_ready=True)).array(BUFFER_STREAMS),
            "o": Out(stream.Signature(beat)).array(BUFFER_STREAMS),
            "o_freed": Out(1).array(BUFFER_STREAMS),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=len(self.i[0].p), depth=BUFFER_STREAMS * self._depth,
                                              init=[])
        write, read = memory.write_port(), memory.read_port()
        first, second = self.i
        wants, gets = Signal(BUFFER_STREAMS), Signal(BUFFER_STREAMS)
        ends = [Signal(range(self._depth), name=f"end_{number}") for number in range(BUFFER_STREAMS)]
        starts = [Signal(range(self._depth), name=f"start_{number}") for number in range(BUFFER_STREAMS)]
        m.d.comb += [
            write.en.eq(first.valid | second.valid),
            write.data.eq(Mux(second.valid, second.p, first.p)),
            write.addr.eq(Cat(Mux(second.valid, ends[1], ends[0]), second.valid)),
            gets.eq(Cat(wants[0], wants[1] & ~wants[0])),
            # What is read was written in an earlier cycle, so the two never meet at one address.
            read.en.eq(wants.any()),
            read.addr.eq(Cat(Mux(wants[0], starts[0], starts[1]), ~wants[0])),
        ]
        for number, (put, take) in enumerate(zip(self.i, self.o, strict=True)):
            level = Signal(range(self._depth + 1), name=f"level_{number}")
            m.d.comb += [
                wants[number].eq((level != 0) & take.ready & ~take.valid),
                self.o_freed[number].eq(gets[number]),
                take.p.eq(read.data),
            ]
            m.d.sync += take.valid.eq(gets[number])
            count_both_ways(m, level, put.valid, gets[number])
            with m.If(put.valid):
                m.d.sync += ends[number].eq(ends[number] + 1)
            with m.If(gets[number]):
                m.d.sync += starts[number].eq(starts[number] + 1)
        return m
