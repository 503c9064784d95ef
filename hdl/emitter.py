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
        # By element: lanes of the row behind this one; whether this is the row's first one, its last one.
        element, first, last = Signal.like(plan.row_elements), Signal(), Signal()
        row_end = Signal()

        # Whether anything moves comes late, and enables; whether it is a word that comes is known before.
        steps, comes, new_short = Signal(), Signal(), Signal()
        m.d.comb += [
            steps.eq(~busy | moves),
            comes.eq(~busy | word_end),
            self.i.ready.eq(steps & comes),
            new_short.eq(plan.separate | Mux(plan.run, self.i.p.job_last, self.i.p.group_last)),
        ]
        with m.If(steps):
            begins = comes | (plan.separate & row_end)
            m.d.sync += [
                word.eq(Mux(comes, self.i.p.data.as_value(), self._moved(plan, word))),
                second.eq(~begins & ~second),
                element.eq(Mux(begins, plan.row_elements, element) - 1),
                first.eq(begins),
                last.eq(Mux(begins, plan.row_elements == 1, element == 1)),
            ]
            with m.If(comes):
                m.d.sync += [
                    busy.eq(self.i.valid),
                    job_last.eq(self.i.p.job_last),
                    short.eq(new_short),
                    left.eq(Mux(new_short, plan.tail_bytes, plan.word_bytes)),
                    rows_left.eq(Mux(self.i.p.job_last, plan.tail_rows, 1 << plan.group_log2) - 1),
                ]
            with m.Elif(plan.separate & row_end):
                m.d.sync += [left.eq(plan.tail_bytes), rows_left.eq(rows_left - 1)]
            with m.Else():
                m.d.sync += left.eq(Mux(left > port_bytes, left - port_bytes, 0))

        # ---- the chunk at the word's low end -------------------------------------------------------
        chunk = self.o.p
        fits, last_row, there = Signal(), Signal(), Signal()
        if config.far_registers:
            begins_tail = Mux(comes, new_short, plan.separate & row_end)
            some = self._foretell(m, steps, left, comes & ~new_short, begins_tail, fits)
        else:
            some = left != 0
            m.d.comb += fits.eq(left <= port_bytes)
        m.d.comb += [
            row_end.eq(Mux(plan.by_element, last, second | ~plan.wide)),
            last_row.eq(~plan.separate | (rows_left == 0)),
            there.eq((first | ~plan.by_element) & some),
            word_end.eq(Mux(plan.separate, row_end, fits) & last_row),
            moves.eq(busy & (self.o.ready | ~there)),
            self.o.valid.eq(busy & there),
            chunk.data.eq(word),
            chunk.count.eq(Mux(fits, left, port_bytes)),
            chunk.row_last.eq(fits & short),
            chunk.last.eq(fits & last_row & job_last),
        ]
        return m

    def _foretell(self, m: Module, steps, left, begins_word, begins_tail, fits):
        """Whether the bytes that are left next fit into a chunk; and, returned, whether there are any.

        All that the word does hangs on it, and in a large array the word is far away.
        """
        plan, port_bytes = self.i_plan, self._config.port_bytes
        some = Signal()
        with m.If(steps):
            m.d.sync += [
                fits.eq(Mux(begins_word, plan.word_bytes <= port_bytes,
                            Mux(begins_tail, plan.tail_bytes <= port_bytes, left <= 2 * port_bytes))),
                some.eq(Mux(begins_word, plan.word_bytes != 0,
                            Mux(begins_tail, plan.tail_bytes != 0, left > port_bytes))),
            ]
        return some

    def _moved(self, plan, word):
        """The word without its first chunk. Rows of less than the port move down an element at a time: two
        steps to choose from, not one for each length of rows. What never comes down is not moved.
        """
        byte_bits, port_bits = 8 * self._config.lanes, 8 * self._config.port_bytes
        comes_down = len(word) - port_bits
        by_lane = Cat(Mux(plan.int8, word[8:byte_bits + 8], word[32:byte_bits + 32]), word[byte_bits + 32:])
        return Cat(Mux(plan.by_element, by_lane[:comes_down], word[port_bits:]), by_lane[comes_down:])
