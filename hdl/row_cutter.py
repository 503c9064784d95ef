"""From row ends to cuts: which part of which token chunk makes a beat."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import Config
from .fetch_layouts import Cut, RowEndPair, position_bits
from .layouts import ROW_ENDS

__all__ = ["RowCutter"]

WINDOW = 6
"""Marks in sight: two for a cut, one to see whether the chunk is done, and room for what comes meanwhile."""


def _Mark(config: Config) -> data.StructLayout:
    """A row end, or a chunk without any."""
    return data.StructLayout({
        "end": 1,
        "position": position_bits(config),
        "fresh": 1,      # the first mark of its chunk
        "final": 1,
        "alone": 1,
    })


class RowCutter(wiring.Component):
    """Cuts token chunks into beats of at most two row ends; it needs to know the row ends only.

    Throughput: one cut a cycle. A chunk makes one cut for every two row ends begun, at least one.
    Latency: two cycles from a pair of row ends to its cut.
    Backpressure: `i.ready` looks at what is held only; `o` waits until the row end after a cut's last is
        known, because it decides whether the chunk is done.
    Order: kept. A cut that has two row ends and leaves a third in its chunk ends at the second.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : stream of RowEndPair
    o : stream of Cut
    o_idle : nothing held
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i": In(stream.Signature(RowEndPair(config))),
            "o": Out(stream.Signature(Cut(config))),
            "o_idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        window = Signal(data.ArrayLayout(_Mark(self._config), WINDOW))
        level = Signal(range(WINDOW + 1))
        held_valid = Signal()
        marks, added = self._marks(m, held_valid, level <= WINDOW - ROW_ENDS)
        removed = self._cut(m, window, level)

        remaining = Signal.like(level)
        m.d.comb += [
            remaining.eq(level - removed),
            self.o_idle.eq(~held_valid & (level == 0)),
        ]
        m.d.sync += level.eq(remaining + added)
        for place in range(WINDOW):
            later = [window[min(place + step, WINDOW - 1)] for step in range(ROW_ENDS + 1)]
            with m.If(remaining == place):
                m.d.sync += window[place].eq(marks[0])
            with m.Elif(remaining + 1 == place):
                m.d.sync += window[place].eq(marks[1])
            with m.Else():
                m.d.sync += window[place].eq(Mux(removed[1], later[2], Mux(removed[0], later[1], later[0])))
        return m

    # ---- stages 1, 2: row ends to marks; a chunk without row ends gets one too ---------------------------

    def _marks(self, m: Module, held_valid, room):
        """Every cycle makes two marks, or goes on by a chunk at least: never slower than the cuts."""
        config = self._config
        held = Signal(RowEndPair(config))
        first, second = held.ends
        marks = Signal(data.ArrayLayout(_Mark(config), ROW_ENDS))
        added = Signal(range(ROW_ENDS + 1))
        far_first, far_second, finish = Signal(), Signal(), Signal()
        m.d.comb += [
            # More than one chunk on: chunks without a row end lie between.
            far_first.eq((first.gap >> 1).any() & ~held.alone),
            far_second.eq((second.gap >> 1).any() & second.valid & ~held.alone),
            finish.eq(room & ~far_first & ~far_second),
            self.i.ready.eq(~held_valid | finish),
        ]
        for mark, end in zip(marks, (first, second), strict=True):
            m.d.comb += [mark.end.eq(1), mark.position.eq(end.position), mark.final.eq(end.final),
                         mark.fresh.eq(end.gap[0]), mark.alone.eq(held.alone)]
        empty_mark = {"end": 0, "position": 0, "fresh": 1, "final": 0, "alone": 0}
        with m.If(far_first):
            m.d.comb += marks[0].eq(_Mark(config).const(empty_mark))
        with m.If(far_second):
            m.d.comb += marks[1].eq(_Mark(config).const(empty_mark))
        with m.If(held_valid & room):
            m.d.comb += added.eq(Mux(far_first | ~second.valid, 1, 2))
            with m.If(far_first):
                m.d.sync += first.gap.eq(first.gap - 1)
            with m.Elif(far_second):
                m.d.sync += [first.eq(second), first.gap.eq(second.gap - 1), second.valid.eq(0)]
        with m.If(self.i.ready):
            m.d.sync += [held_valid.eq(self.i.valid), held.eq(self.i.p)]
        return marks, added

    # ---- stage 3: marks to cuts --------------------------------------------------------------------------

    def _cut(self, m: Module, window, level):
        tokens = self._config.beat_tokens
        first, second, third = window[0], window[1], window[2]
        cut = self.o.p
        sent = Signal(tokens)          # places of the chunk that went with earlier cuts
        before_first, before_second, up_to = Signal(tokens), Signal(tokens), Signal(tokens)
        one, two = Signal(), Signal()  # how many marks the cut takes
        removed = Signal(range(ROW_ENDS + 1))
        m.d.comb += [
            one.eq((level != 0) & (~first.end | first.final | ((level > 1) & second.fresh))),
            two.eq((level > 1) & first.end & ~first.final & ~second.fresh & (second.final | (level > 2))),
            self.o.valid.eq(one | two),
            before_first.eq(Cat(t < first.position for t in range(tokens))),
            before_second.eq(Cat(t < second.position for t in range(tokens))),
            up_to.eq(Mux(two, before_second, before_first)),
            cut.final.eq(Mux(two, second.final, first.final)),
            cut.done.eq(cut.final | one | third.fresh),
            cut.keep.eq(~sent & Mux(cut.done & ~cut.final, -1, up_to)),
            cut.alone.eq(first.alone),
            cut.ends[0].valid.eq(first.end),
            cut.ends[0].position.eq(first.position),
            cut.ends[1].valid.eq(two),
            cut.ends[1].position.eq(Mux(two, second.position, 0)),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.comb += removed.eq(Mux(two, 2, 1))
            m.d.sync += sent.eq(Mux(cut.done, 0, up_to))
        return removed
