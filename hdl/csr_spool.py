"""Three streams of a CSR result by turns through one writer: row pointers, column indices, values."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .block_queue import BlockQueue
from .collector_layouts import CollectorPlan, PairBeat, PointerBeat
from .config import ADDRESS_BITS, MAX_BURST_BEATS, VALUE_BITS, Config, width_of
from .layouts import CsrPlace, WriteChunk, WriteJob
from .run_tracker import Run, RunTracker
from .selectors import one_of

__all__ = ["BLOCK_BEATS", "CsrSpool"]

BLOCK_BEATS = 4 * MAX_BURST_BEATS
"""Beats of one stream that are written before another stream has its turn."""

_POINTERS, _INDICES, _VALUES = range(3)


class CsrSpool(wiring.Component):
    """Keeps the three arrays' bytes in a queue each and has them written a segment at a time.

    A segment is a run of entries, first its indices, then its values, or a block of row pointers; none is
    longer than BLOCK_BEATS.

    Throughput: one chunk a cycle; a full beat of entries makes two chunks. The first segment behind an idle
        cycle, and a block of row pointers, take a cycle more.
    Latency: a segment is written when it is there as a whole.
    Backpressure: `i.ready` and `i_pointers.ready` fall when a queue is full, which holds two blocks.
    Order: each array's bytes in order. The last segment of all is one of row pointers: when it has arrived in
        memory, all has.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_plan, i_place : CollectorPlan and CsrPlace, constant while the job runs
    i_address : of the values
    i_start : 1, pulse before the job's first beat
    i : stream of PairBeat
    i_pointers : stream of PointerBeat
    i_ended : level, the job's last beats were taken; falls with the start or before
    o_write_job : stream of WriteJob, a scattered one for each job
    o : stream of WriteChunk; the one with `last` is the job's last
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_plan": In(CollectorPlan(config)),
            "i_place": In(CsrPlace()),
            "i_address": In(ADDRESS_BITS),
            "i_start": In(1),
            "i": In(stream.Signature(PairBeat(config))),
            "i_pointers": In(stream.Signature(PointerBeat(config))),
            "i_ended": In(1),
            "o_write_job": Out(stream.Signature(WriteJob(config))),
            "o": Out(stream.Signature(WriteChunk(config))),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        entry = data.StructLayout({"data": 8 * config.port_bytes, "count": width_of(config.pair_lanes + 1)})
        queues = [BlockQueue(entry, 2 * BLOCK_BEATS) for _ in range(3)]
        m.submodules.pointers, m.submodules.indices, m.submodules.values = queues
        m.submodules.runs = runs = RunTracker(config, BLOCK_BEATS)
        self._fill(m, queues, runs)
        m.d.comb += runs.i_ended.eq(self.i_ended)

        # ---- one write job for all segments ----
        job = self.o_write_job
        m.d.comb += [job.p.rows.eq(1), job.p.row_bytes.eq(1), job.p.stride.eq(1), job.p.scattered.eq(1)]
        with m.If(job.ready):
            m.d.sync += job.valid.eq(0)
        with m.If(self.i_start):
            m.d.sync += job.valid.eq(1)

        # ---- the segment at work, and the next one ----
        selected, beats_left = Signal(3), Signal(range(BLOCK_BEATS + 1))
        ends, final = Signal(), Signal()            # its last chunk leaves; it is the job's last segment
        shifts = Signal(data.ArrayLayout(2, 3))     # bytes of an element, as a power of two
        source, shift = Signal(entry), Signal(2)
        m.d.comb += [
            shifts[_POINTERS].eq(2),
            shifts[_INDICES].eq(Mux(self.i_place.index32, 2, 1)),
            shifts[_VALUES].eq(Mux(self.i_plan.int8, 0, 2)),
            shift.eq(one_of(selected, shifts)),
            source.eq(one_of(selected, [queue.o.p.as_value() for queue in queues])),
            self.o.valid.eq(one_of(selected, [queue.o.valid for queue in queues])),
            self.o.p.data.eq(source.data),
            self.o.p.count.eq(source.count << shift),
            self.o.p.row_last.eq(beats_left == 1),
            self.o.p.last.eq(final & (beats_left == 1)),
            ends.eq(self.o.valid & self.o.ready & self.o.p.row_last),
        ]
        for number, queue in enumerate(queues):
            m.d.comb += queue.o.ready.eq(self.o.ready & selected[number])
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += beats_left.eq(beats_left - 1)
        self._choose(m, runs, queues[_POINTERS], ~selected.any() | ends, selected, beats_left, final, shifts)
        return m

    def _choose(self, m: Module, runs: RunTracker, pointers: BlockQueue, now, selected, beats_left, final,
                shifts) -> None:
        """A run's values behind its indices; else pointers, where a block of them is there or nothing else is
        left; else the next run."""
        current = Signal(Run(self._config, BLOCK_BEATS))
        level, next_pointer = Signal(width_of(2 * BLOCK_BEATS + 2)), Signal(ADDRESS_BITS)
        alone, wanted, takes = Signal(), Signal(), Signal(range(BLOCK_BEATS + 1))
        base, position, at = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        block_bytes = BLOCK_BEATS * 4 * self._config.pair_lanes
        m.d.comb += [
            alone.eq(self.i_ended & runs.o_empty),
            wanted.eq(Mux(alone, level != 0, level > BLOCK_BEATS)),
            at.eq(base + position),
        ]
        with m.If(now):
            m.d.sync += [self.o.p.at.eq(at), selected.eq(0), final.eq(0)]
            with m.If(selected[_INDICES]):
                m.d.comb += [base.eq(self.i_address), position.eq(current.position << shifts[_VALUES])]
                m.d.sync += [selected.eq(1 << _VALUES), beats_left.eq(current.beats)]
            with m.Elif(wanted):
                m.d.comb += [base.eq(next_pointer), takes.eq(Mux(level > BLOCK_BEATS, BLOCK_BEATS, level))]
                m.d.sync += [selected.eq(1 << _POINTERS), beats_left.eq(takes),
                             next_pointer.eq(next_pointer + block_bytes),
                             final.eq(alone & (level <= BLOCK_BEATS))]
            with m.Elif(runs.o.valid):
                m.d.comb += [base.eq(self.i_place.indices), runs.o.ready.eq(1),
                             position.eq(runs.o.p.position << shifts[_INDICES])]
                m.d.sync += [selected.eq(1 << _INDICES), beats_left.eq(runs.o.p.beats), current.eq(runs.o.p)]
        m.d.sync += level.eq(level + (pointers.i.valid & pointers.i.ready) - takes)
        with m.If(self.i_start):
            m.d.sync += next_pointer.eq(self.i_place.pointers)

    def _fill(self, m: Module, queues, runs: RunTracker) -> None:
        """Beats as the bytes of their elements."""
        pointers, indices, values = queues
        pairs, place = self.i.p, self.i_place
        m.d.comb += [
            pointers.i.valid.eq(self.i_pointers.valid),
            pointers.i.p.data.eq(self.i_pointers.p.pointers),
            pointers.i.p.count.eq(self.i_pointers.p.count),
            self.i_pointers.ready.eq(pointers.i.ready),
            # All three or none: a beat's indices and values, and what is told of it.
            self.i.ready.eq(indices.i.ready & values.i.ready & runs.i.ready),
            indices.i.valid.eq(self.i.valid & values.i.ready & runs.i.ready),
            values.i.valid.eq(self.i.valid & indices.i.ready & runs.i.ready),
            runs.i.valid.eq(self.i.valid & indices.i.ready & values.i.ready),
            *(runs.i.p[name].eq(pairs[name]) for name in ("count", "opens", "position")),
            indices.i.p.count.eq(pairs.count),
            values.i.p.count.eq(pairs.count),
            indices.i.p.data.eq(Mux(place.index32, _elements(pairs.columns, 32),
                                    _elements(pairs.columns, 16))),
            values.i.p.data.eq(Mux(self.i_plan.int8, _elements(pairs.values, VALUE_BITS),
                                   _elements(pairs.values, 32))),
        ]


def _elements(values, bits: int) -> Value:
    """Each value in so many bits, one after the other."""
    return Cat(Cat(value, Const(0, bits))[:bits] for value in values)
