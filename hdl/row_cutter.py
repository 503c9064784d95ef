"""From row ends to cuts: which part of which token chunk makes a beat."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import Config
from .fetch_layouts import Cut, RowEndPair, position_bits
from .layouts import ROW_ENDS

__all__ = ["RowCutter"]

WINDOWS = {1: 3, 2: 6}
"""Marks in sight, by the row ends of a cut: so many and one more, to see whether the chunk is done, and room
for what comes meanwhile."""


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
    """Cuts token chunks into beats of at most `row_ends`; it needs to know the row ends only.

    Throughput: one cut a cycle. A chunk makes one cut for every `row_ends` begun, at least one.
    Latency: two cycles from a pair of row ends to its cut.
    Backpressure: `i.ready` looks at what is held only; `o` waits until the row end after a cut's last is
        known, because it decides whether the chunk is done.
    Order: kept. A cut that has as many row ends as it may and leaves one in its chunk ends at its last.

    Parameters
    ----------
    config : Config
    row_ends : 1 or 2, the most that a pair and a cut hold

    Members
    -------
    i : stream of RowEndPair
    o : stream of Cut
    o_idle : nothing held
    """

    def __init__(self, config: Config, row_ends: int = ROW_ENDS):
        self._config, self._row_ends = config, row_ends
        super().__init__({
            "i": In(stream.Signature(RowEndPair(config))),
            "o": Out(stream.Signature(Cut(config))),
            "o_idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        size = WINDOWS[self._row_ends]
        window = Signal(data.ArrayLayout(_Mark(self._config), size))
        level = Signal(range(size + 1))
        held_valid = Signal()
        # More than so many: what is decided in a cycle hangs on it.
        self._above = above = [Signal(name=f"above_{number}") for number in range(1 + self._row_ends)]
        marks, added = self._marks(m, held_valid, level <= size - self._row_ends)
        removed = self._cut(m, window)

        m.d.comb += self.o_idle.eq(~held_valid & ~above[0])
        # How many marks are removed comes late: what follows is there before, for each number of them.
        steps = range(self._row_ends + 1)
        m.d.sync += [
            level.eq(_by(removed, [level + added - step for step in steps])),
            *(bit.eq(_by(removed, [level + added > number + step for step in steps]))
              for number, bit in enumerate(above)),
        ]
        for place in range(size):
            kept = _by(removed, [window[min(place + step, size - 1)].as_value() for step in steps])
            for number, mark in enumerate(marks):
                here = _by(removed, [level == place - number + step if place + step >= number else Const(0)
                                     for step in steps])
                kept = Mux(here, mark, kept)
            m.d.sync += window[place].eq(kept)
        return m

    # ---- stages 1, 2: row ends to marks; a chunk without row ends gets one too ---------------------------

    def _marks(self, m: Module, held_valid, room):
        """Every cycle makes two marks, or goes on by a chunk at least: never slower than the cuts."""
        config = self._config
        held = Signal(RowEndPair(config))
        first, second = held.ends
        marks = Signal(data.ArrayLayout(_Mark(config), self._row_ends))
        added = Signal(range(self._row_ends + 1))
        # More than one chunk on: chunks without a row end lie between. Found out as a pair comes, since what
        # asks for the next one hangs on it.
        far_first, far_second, finish = Signal(), Signal(), Signal()
        both, comes = Signal(), self.i.p
        m.d.comb += [
            both.eq(second.valid if self._row_ends == ROW_ENDS else 0),
            finish.eq(room & ~far_first & ~far_second),
            self.i.ready.eq(~held_valid | finish),
        ]
        for mark, end in zip(marks, (first, second), strict=False):
            m.d.comb += [mark.end.eq(1), mark.position.eq(end.position), mark.final.eq(end.final),
                         mark.fresh.eq(end.gap[0]), mark.alone.eq(held.alone)]
        empty_mark = {"end": 0, "position": 0, "fresh": 1, "final": 0, "alone": 0}
        for mark, far in zip(marks, (far_first, far_second), strict=False):
            with m.If(far):
                m.d.comb += mark.eq(_Mark(config).const(empty_mark))
        with m.If(held_valid & room):
            m.d.comb += added.eq(Mux(far_first | ~both, 1, 2))
            with m.If(far_first):
                m.d.sync += [first.gap.eq(first.gap - 1), far_first.eq(_exceeds_two(first.gap))]
            if self._row_ends == ROW_ENDS:
                with m.Elif(far_second):
                    m.d.sync += [first.eq(second), first.gap.eq(second.gap - 1), second.valid.eq(0),
                                 far_first.eq(_exceeds_two(second.gap)), far_second.eq(0)]
        with m.If(self.i.ready):
            m.d.sync += [
                held_valid.eq(self.i.valid),
                held.eq(comes),
                far_first.eq((comes.ends[0].gap >> 1).any() & ~comes.alone),
            ]
            if self._row_ends == ROW_ENDS:
                m.d.sync += far_second.eq((comes.ends[1].gap >> 1).any() & ~comes.alone
                                          & comes.ends[1].valid)
        return marks, added

    # ---- stage 3: marks to cuts --------------------------------------------------------------------------

    def _cut(self, m: Module, window):
        tokens = self._config.beat_tokens
        two_ends = self._row_ends == ROW_ENDS
        first, second, third = window[0], window[1], window[2]
        above = self._above
        cut = self.o.p
        sent = Signal(tokens)          # places of the chunk that went with earlier cuts
        before_first, before_second, up_to = Signal(tokens), Signal(tokens), Signal(tokens)
        one, two = Signal(), Signal()  # how many marks the cut takes
        removed = [Signal(name=f"removed_{number}") for number in range(1, self._row_ends + 1)]
        m.d.comb += [
            one.eq(above[0] & (~first.end | first.final | (above[1] & (second.fresh if two_ends else 1)))),
            self.o.valid.eq(one | two),
            before_first.eq(Cat(t < first.position for t in range(tokens))),
            before_second.eq(Cat(t < second.position for t in range(tokens))),
            up_to.eq(Mux(two, before_second, before_first)),
            cut.final.eq(Mux(two, second.final, first.final)),
            cut.done.eq(cut.final | Mux(two, third.fresh, ~first.end | second.fresh)),
            cut.keep.eq(~sent & Mux(cut.done & ~cut.final, -1, up_to)),
            cut.alone.eq(first.alone),
            cut.ends[0].valid.eq(first.end),
            cut.ends[0].position.eq(first.position),
            cut.ends[1].valid.eq(two),
            cut.ends[1].position.eq(Mux(two, second.position, 0)),
        ]
        if two_ends:
            m.d.comb += two.eq(above[1] & first.end & ~first.final & ~second.fresh
                               & (second.final | above[2]))
        for way, takes in zip(removed, (one & ~two, two), strict=False):
            m.d.comb += way.eq(takes & self.o.ready)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += sent.eq(Mux(cut.done, 0, up_to))
        return removed


def _by(removed: Sequence[Signal], ways: Sequence[Any]) -> Value:
    """The way for as many marks as are removed: the first for none."""
    chosen: Value = ways[0]
    for is_number, way in zip(removed, ways[1:], strict=True):
        chosen = Mux(is_number, way, chosen)
    return chosen


def _exceeds_two(gap: Value) -> Value:
    """By its bits: a comparison would take carry cells."""
    return (gap >> 2).any() | gap[:2].all()
