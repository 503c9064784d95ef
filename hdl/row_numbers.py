"""Hands the rows of a CSR result what is known of them from before."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .collector_layouts import CollectorPlan, RowNumber
from .config import Config, width_of
from .layouts import Chunk, CsrPlace

__all__ = ["RowNumbers"]


class RowNumbers(wiring.Component):
    """Cuts chunks into a number for each row, and works out the room that is left from there on.

    Throughput: one row a cycle.
    Latency: one cycle.
    Backpressure: `i` waits for `o`.
    Order: kept. Without earlier numbers there is no end of rows of the number 0.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_plan, i_place : CollectorPlan and CsrPlace, constant while the job runs
    i_start : 1, pulse before the job's first chunk
    i : stream of Chunk of W bytes
    o : stream of RowNumber
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_plan": In(CollectorPlan(config)),
            "i_place": In(CsrPlace()),
            "i_start": In(1),
            "i": In(stream.Signature(Chunk(config.port_bytes))),
            "o": Out(stream.Signature(RowNumber())),
        })

    def elaborate(self, platform):
        m = Module()
        numbers = self._config.port_bytes // 4
        place = Signal(width_of(numbers))
        number, goes, last = Signal(32), Signal(), Signal()
        capacity = self.i_place.capacity
        m.d.comb += [
            number.eq(Mux(self.i_plan.row_numbers, self.i.p.data.word_select(place, 32), 0)),
            goes.eq((self.i.valid | ~self.i_plan.row_numbers) & (~self.o.valid | self.o.ready)),
            last.eq(self.i.p.count == (place + 1) << 2),
            self.i.ready.eq(goes & self.i_plan.row_numbers & last),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(goes):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.p.number.eq(number),
                self.o.p.left.eq(Mux(number < capacity, capacity - number, 0)),
                place.eq(Mux(last | ~self.i_plan.row_numbers, 0, place + 1)),
            ]
        with m.If(self.i_start):
            m.d.sync += [self.o.valid.eq(0), place.eq(0)]
        return m
