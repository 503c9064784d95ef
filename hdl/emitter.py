"""Cuts finished words into chunks of bytes."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .collector_layouts import CollectorPlan, DenseWord
from .config import Config
from .layouts import Chunk

__all__ = ["Emitter"]


class Emitter(wiring.Component):
    """Chunks of at most W bytes out of words: real columns of real rows only, unless they are padding.

    Throughput: one chunk a cycle: int8 words one a cycle. Rows that go to separate addresses cost a chunk
        each, and a cycle for each of their lanes where these are less than the port.
    Latency: 1 cycle.
    Backpressure: `i.ready` follows `o.ready` in the same cycle.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_plan : CollectorPlan, constant while the job runs
    i : stream of DenseWord
    o : stream of Chunk of W bytes; bytes past its count are not zero
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_plan": In(CollectorPlan(config)),
            "i": In(stream.Signature(DenseWord(config))),
            "o": Out(stream.Signature(Chunk(config.port_bytes))),
        })

    def elaborate(self, platform):
        m = Module()
        config, plan, port_bytes = self._config, self.i_plan, self._config.port_bytes
        busy, moves, word_end = Signal(), Signal(), Signal()
        word = Signal(32 * config.lanes)
        job_last = Signal()
        short = Signal()                             # the word ends a row of the write job
        left = Signal.like(plan.word_bytes)          # bytes left of the word, or of its row
        rows_left = Signal.like(plan.tail_rows)      # rows after this one in the word
        second = Signal()                            # second chunk of a wide row
        element = Signal.like(plan.row_elements)     # by element: lanes of the row still here
        first, row_end = Signal(), Signal()

        new_short = Signal()
        m.d.comb += [
            self.i.ready.eq(~busy | (moves & word_end)),
            new_short.eq(plan.separate | Mux(plan.run, self.i.p.job_last, self.i.p.group_last)),
        ]
        with m.If(self.i.ready):
            m.d.sync += [
                busy.eq(self.i.valid),
                word.eq(self.i.p.data.as_value()),
                job_last.eq(self.i.p.job_last),
                short.eq(new_short),
                left.eq(Mux(new_short, plan.tail_bytes, plan.word_bytes)),
                rows_left.eq(Mux(self.i.p.job_last, plan.tail_rows, 1 << plan.group_log2) - 1),
                second.eq(0),
                element.eq(plan.row_elements),
            ]
        with m.Elif(moves):
            m.d.sync += word.eq(self._moved(plan, word))
            m.d.sync += [
                left.eq(Mux(left > port_bytes, left - port_bytes, 0)), second.eq(~second),
                element.eq(element - 1),
            ]
            with m.If(plan.separate & row_end):
                m.d.sync += [left.eq(plan.tail_bytes), rows_left.eq(rows_left - 1), second.eq(0),
                             element.eq(plan.row_elements)]

        # ---- the chunk at the word's low end -------------------------------------------------------
        chunk = self.o.p
        fits, last_row, there = Signal(), Signal(), Signal()
        m.d.comb += [
            fits.eq(left <= port_bytes),
            first.eq(~plan.by_element | (element == plan.row_elements)),
            row_end.eq(Mux(plan.by_element, element == 1, second | ~plan.wide)),
            last_row.eq(~plan.separate | (rows_left == 0)),
            there.eq(first & (left != 0)),
            word_end.eq(Mux(plan.separate, row_end, fits) & last_row),
            moves.eq(busy & (self.o.ready | ~there)),
            self.o.valid.eq(busy & there),
            chunk.data.eq(word),
            chunk.count.eq(Mux(fits, left, port_bytes)),
            chunk.row_last.eq(fits & short),
            chunk.last.eq(fits & last_row & job_last),
        ]
        return m

    def _moved(self, plan, word):
        """The word without its first chunk. Rows of less than the port move down an element at a time: two
        steps to choose from, not one for each length of rows. What never comes down is not moved.
        """
        byte_bits, port_bits = 8 * self._config.lanes, 8 * self._config.port_bytes
        comes_down = len(word) - port_bits
        by_lane = Cat(Mux(plan.int8, word[8:byte_bits + 8], word[32:byte_bits + 32]), word[byte_bits + 32:])
        return Cat(Mux(plan.by_element, by_lane[:comes_down], word[port_bits:]), by_lane[comes_down:])
