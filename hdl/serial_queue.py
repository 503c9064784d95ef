"""A queue of whole words in one or two block RAMs."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .attributes import IN_BLOCK_RAM
from .config import width_of

__all__ = ["QUEUE_WORDS", "WORD_BITS", "SerialQueue"]

WORD_BITS = 32
QUEUE_WORDS = 256


class SerialQueue(wiring.Component):
    """First in, first out; the memory's own output is the head, so that no word has a register beside it.

    Throughput: one word in and one out a cycle.
    Latency: a word is at the head two cycles after it came.
    Backpressure: none: who writes must know that there is room.
    Order: kept.

    Parameters
    ----------
    spare_words : int, a power of two; `o_room` says that so many words fit

    Members
    -------
    i_write, i_data : a word comes, 32 bits
    i_clear : all that is there is forgotten
    o_data, o_valid : the head
    i_pop : takes it; only while it is there
    o_taken : words taken since all was forgotten, modulo QUEUE_WORDS
    o_empty : nothing is there, not even on its way to the head
    o_room : `spare_words` words fit, from a cycle after they do
    """

    def __init__(self, spare_words: int):
        self._spare_words = spare_words
        super().__init__({
            "i_write": In(1),
            "i_data": In(WORD_BITS),
            "i_clear": In(1),
            "o_data": Out(WORD_BITS),
            "o_valid": Out(1),
            "i_pop": In(1),
            "o_empty": Out(1),
            "o_room": Out(1),
            "o_taken": Out(width_of(QUEUE_WORDS)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=WORD_BITS, depth=QUEUE_WORDS, init=[],
                                              attrs=IN_BLOCK_RAM)
        write, read = memory.write_port(), memory.read_port()
        # The head's place, the one behind it, and the next free one.
        first, second, free = (Signal(width_of(QUEUE_WORDS), name=name)
                               for name in ("first", "second", "free"))
        level = Signal(width_of(QUEUE_WORDS))
        some, more = Signal(), Signal()      # one word, two words are there
        m.d.comb += [
            second.eq(first + 1),
            some.eq(first != free), more.eq(second != free),
            level.eq(free - first),
            write.addr.eq(free), write.data.eq(self.i_data), write.en.eq(self.i_write),
            # Whether the head is taken comes late: it only chooses. What comes in a cycle is not read in it.
            read.addr.eq(Mux(self.i_pop, second, first)),
            read.en.eq(Mux(self.i_pop, more, some)),
            self.o_data.eq(read.data),
            self.o_empty.eq(~some),
            self.o_taken.eq(first),
        ]
        m.d.sync += [
            self.o_valid.eq(read.en & ~self.i_clear),
            self.o_room.eq(~level[self._spare_words.bit_length() - 1:].all()),
        ]
        with m.If(self.i_pop):
            m.d.sync += first.eq(second)
        with m.If(self.i_write):
            m.d.sync += free.eq(free + 1)
        with m.If(self.i_clear):
            m.d.sync += [first.eq(0), free.eq(0)]
        return m
