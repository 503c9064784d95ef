"""Values of a matrix of which only the pattern is stored."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Chunk

__all__ = ["Ones"]


class Ones(wiring.Component):
    """Makes the chunks that a reader would bring, if every value in memory were 1.

    Throughput: one chunk a cycle.
    Latency: one cycle from `i_start` to the first chunk.
    Backpressure: `o`.
    Order: full chunks, the last one with what is left.

    Parameters
    ----------
    chunk_bytes : of a chunk, a power of two

    Members
    -------
    i_start, i_count : so many values (at least one) are wanted from now on; what was left before is forgotten
    o : stream of Chunk(chunk_bytes)
    """

    def __init__(self, chunk_bytes: int):
        self._chunk_bytes = chunk_bytes
        super().__init__({
            "i_start": In(1),
            "i_count": In(32),
            "o": Out(stream.Signature(Chunk(chunk_bytes))),
        })

    def elaborate(self, platform):
        m = Module()
        size, chunk, left = self._chunk_bytes, self.o.p, Signal(32)
        ends = Signal()
        m.d.comb += [
            ends.eq(left <= size),
            self.o.valid.eq(left != 0),
            chunk.count.eq(Mux(ends, left, size)),
            chunk.row_last.eq(ends),
            chunk.last.eq(ends),
            *(chunk.data.word_select(number, 8).eq(left > number) for number in range(size)),
        ]
        with m.If(self.i_start):
            m.d.sync += left.eq(self.i_count)
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += left.eq(Mux(ends, 0, left - size))
        return m
