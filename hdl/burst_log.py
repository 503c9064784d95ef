"""Where the burst began that a beat belongs to."""

from collections.abc import Sequence

from amaranth.hdl import Array, Const, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .axi import ID_BITS
from .config import ADDRESS_BITS, Config, log2_exact, width_of

__all__ = ["BurstAnswer", "BurstAsked", "BurstLog"]


def BurstAsked() -> data.StructLayout:
    """A burst is on its way to the memory."""
    return data.StructLayout({"valid": 1, "id": ID_BITS, "address": ADDRESS_BITS})


def BurstAnswer() -> data.StructLayout:
    """A beat came; `last` of its burst."""
    return data.StructLayout({"valid": 1, "id": ID_BITS, "last": 1})


class BurstLog(wiring.Component):
    """Remembers the addresses of read bursts until they are answered, so that an error can name its own.

    Throughput: one burst asked and one beat answered a cycle.
    Latency: one cycle from a beat to its burst's address, which is there two cycles after the burst was
        asked for.
    Backpressure: none; a stream never has more bursts outstanding than `bursts` says.
    Order: bursts of one id are answered in order, those of different ids in any.

    Parameters
    ----------
    config : Config, for the size of a beat
    bursts : powers of two, the most bursts that each id has outstanding

    Members
    -------
    i_asked : BurstAsked
    i_answer : BurstAnswer
    o_address : address of the burst that the beat of one cycle ago belongs to, bytes
    """

    def __init__(self, config: Config, bursts: Sequence[int]):
        self._config, self._bursts = config, tuple(bursts)
        super().__init__({
            "i_asked": In(BurstAsked()),
            "i_answer": In(BurstAnswer()),
            "o_address": Out(ADDRESS_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        beat_log2 = log2_exact(self._config.port_bytes)
        depth = 1 << (sum(self._bursts) - 1).bit_length()
        m.submodules.memory = memory = Memory(shape=ADDRESS_BITS - beat_log2, depth=depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        # A cycle of its own for the way here.
        asked = Signal(BurstAsked())
        m.d.sync += asked.eq(self.i_asked)
        m.d.comb += [
            write.en.eq(asked.valid),
            write.data.eq(asked.address >> beat_log2),
            write.addr.eq(self._place(m, "asked", asked.id, asked.valid, depth)),
            read.addr.eq(self._place(m, "answered", self.i_answer.id,
                                     self.i_answer.valid & self.i_answer.last, depth)),
            self.o_address.eq(read.data << beat_log2),
        ]
        return m

    def _place(self, m: Module, name: str, stream: Signal, goes_on, depth: int) -> Signal:
        """The id's place in the log, which then goes on to its next one."""
        # The largest parts of the memory first: each begins at a multiple of its size.
        starts, start = {}, 0
        for number in sorted(range(len(self._bursts)), key=lambda number: -self._bursts[number]):
            starts[number] = start
            start += self._bursts[number]
        places = [Signal(width_of(most), name=f"{name}_{number}")
                  for number, most in enumerate(self._bursts)]
        place = Signal(range(depth), name=f"{name}_place")
        following = Signal(range(depth), name=f"{name}_next")
        m.d.comb += [
            place.eq(Array(Const(starts[number], range(depth)) | places[number]
                           for number in range(len(places)))[stream]),
            following.eq(place + 1),
        ]
        with m.If(goes_on):
            with m.Switch(stream):
                for number, signal in enumerate(places):
                    with m.Case(number):
                        m.d.sync += signal.eq(following)
        return place
