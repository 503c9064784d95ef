"""From the numbers of entries in rows to row pointers, or to what the next block of columns must know."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .collector_layouts import PointerBeat, RowCount
from .config import Config
from .layouts import CsrFull, CsrMode, CsrPlace

__all__ = ["RowTotals"]

LARGEST = (1 << 32) - 1


class RowTotals(wiring.Component):
    """Adds what rows have to what they had, and these up where row pointers are wanted; packs beats of them.

    Throughput: one row a cycle; the end of a job takes two.
    Latency: two cycles from a row to the beat that it fills.
    Backpressure: `i` waits for room behind the first stage.
    Overflow: numbers stop at 2^32 - 1. Where one of them is past `capacity` (but for CsrMode COUNT), `o_full`
        says the last such one at the job's end: of row pointers, how many entries there are.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_place : CsrPlace, constant while the job runs
    i_start : 1, pulse before the job's first row
    i : stream of RowCount
    o : stream of PointerBeat; row pointers begin with 0
    o_ended : level, from the job's last beat, when it was taken, to the next start
    o_full : CsrFull
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_place": In(CsrPlace()),
            "i_start": In(1),
            "i": In(stream.Signature(RowCount())),
            "o": Out(stream.Signature(PointerBeat(config))),
            "o_ended": Out(1),
            "o_full": Out(CsrFull()),
        })

    def elaborate(self, platform):
        m = Module()
        size, mode = self._config.pair_lanes, self.i_place.mode
        adds_up, limited = Signal(), Signal()
        m.d.comb += [adds_up.eq((mode == CsrMode.WHOLE) | (mode == CsrMode.POINTERS)),
                     limited.eq(mode != CsrMode.COUNT)]

        # ---- stage 1: what the row has and had ----
        added, there, last, goes = Signal(32), Signal(), Signal(), Signal()
        m.d.comb += self.i.ready.eq(~there | goes)
        with m.If(self.i.ready):
            m.d.sync += [there.eq(self.i.valid), last.eq(self.i.p.job_last),
                         added.eq(_saturated(self.i.p.count + self.i.p.number))]
        with m.If(self.i_start):
            # The pointer before all rows.
            m.d.sync += [there.eq(adds_up), last.eq(0), added.eq(0)]

        # ---- stage 2: pointers, in beats ----
        total, value = Signal(32), Signal(32)
        fill, whole = Signal(range(max(2, size))), Signal()
        waiting = Signal(data.ArrayLayout(32, size))
        flushing, flushes, ended, full, room = (Signal(name=name) for name in (
            "flushing", "flushes", "ended", "full", "room"))
        m.d.comb += [
            value.eq(_saturated(added + Mux(adds_up, total, 0))),
            room.eq(~self.o.valid | self.o.ready),
            goes.eq(there & room & ~flushing),
            flushes.eq(flushing & room),
            whole.eq(fill == size - 1),
            self.o_ended.eq(ended & ~self.o.valid),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(goes):
            m.d.sync += [total.eq(value), fill.eq(Mux(whole, 0, fill + 1)), flushing.eq(last)]
            with m.If(limited & (value > self.i_place.capacity)):
                m.d.sync += [full.eq(1), self.o_full.needed.eq(value)]
        with m.If((goes & whole) | (flushes & (fill != 0))):
            m.d.sync += [self.o.valid.eq(1), self.o.p.count.eq(Mux(flushing, fill, size))]
        for slot in range(size):
            with m.If(goes & (fill == slot)):
                m.d.sync += waiting[slot].eq(value)
            with m.If(room):
                m.d.sync += self.o.p.pointers[slot].eq(
                    Mux(~flushing & (fill == slot), value, waiting[slot]))
        m.d.sync += self.o_full.valid.eq(flushes & full)
        with m.If(flushes):
            m.d.sync += [fill.eq(0), flushing.eq(0), ended.eq(1)]
        with m.If(self.i_start):
            m.d.sync += [ended.eq(0), full.eq(0), total.eq(0)]
        return m


def _saturated(sum_of_two: Value) -> Value:
    return Mux(sum_of_two[32], LARGEST, sum_of_two[:32])
