"""Three streams of a CSR result by turns through one writer: row pointers, column indices, values."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .block_queue import BlockQueue
from .collector_layouts import CollectorPlan, PairBeat, PointerBeat
from .config import ADDRESS_BITS, MAX_BURST_BEATS, VALUE_BITS, Config, log2_exact, width_of
from .layouts import Chunk, CsrPlace, WriteJob
from .selectors import one_of

__all__ = ["BLOCK_BEATS", "CsrSpool"]

BLOCK_BEATS = 4 * MAX_BURST_BEATS
"""Beats of one stream that are written before the next stream has its turn."""

_POINTERS, _INDICES, _VALUES = range(3)


class CsrSpool(wiring.Component):
    """Keeps the three arrays' bytes in a queue each and has them written a block at a time.

    Throughput: one chunk a cycle, less three cycles a block; a full beat of entries makes two chunks.
    Latency: a block is written when it is there as a whole, or when the job has ended.
    Backpressure: `i.ready` and `i_pointers.ready` fall when a queue is full, which holds two blocks.
    Order: each array's bytes in order. The last block of all is one of row pointers: when it has arrived in
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
    i_kept : entries of the job, right once `i_ended`
    i_ended : level, the job's last beats were taken; falls with the start or before
    o_write_job : stream of WriteJob
    o : stream of Chunk of W bytes; the one with `last` is the job's last
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
            "i_kept": In(32),
            "i_ended": In(1),
            "o_write_job": Out(stream.Signature(WriteJob(config))),
            "o": Out(stream.Signature(Chunk(config.port_bytes))),
        })

    def elaborate(self, platform):
        m = Module()
        config, size = self._config, self._config.pair_lanes
        entry = data.StructLayout({"data": 8 * config.port_bytes, "count": width_of(size + 1)})
        queues = [BlockQueue(entry, 2 * BLOCK_BEATS) for _ in range(3)]
        m.submodules.pointers, m.submodules.indices, m.submodules.values = queues
        self._fill(m, queues)

        # ---- what is there: beats in a queue, of which some may belong to the block at work ----
        level_bits = width_of(2 * BLOCK_BEATS + 2)
        levels = [Signal(level_bits, name=f"level{number}") for number in range(3)]
        addresses = [Signal(ADDRESS_BITS, name=f"address{number}") for number in range(3)]
        wanted, chosen = Signal(3), Signal(3)
        selected = Signal(3)                                  # the stream at work
        beats_left, taken = Signal(range(BLOCK_BEATS + 1)), Signal(range(BLOCK_BEATS + 1))
        elements, more = Signal(32), Signal()                 # of the block
        shifts = Signal(data.ArrayLayout(2, 3))               # bytes of an element, as a power of two
        begins, asked = Signal(), Signal()
        job, chunk = self.o_write_job.p, self.o.p
        pointers_wait = Signal()
        m.d.comb += [
            pointers_wait.eq(~self.i_ended | (levels[_INDICES] != 0) | (levels[_VALUES] != 0)),
            # The last pointers stay until all else has been asked for.
            wanted[_POINTERS].eq(Mux(pointers_wait, levels[_POINTERS] > BLOCK_BEATS, levels[_POINTERS] != 0)),
            *(wanted[number].eq((levels[number] >= BLOCK_BEATS) | (self.i_ended & (levels[number] != 0)))
              for number in (_INDICES, _VALUES)),
            chosen.eq(wanted & -wanted),
            shifts[_POINTERS].eq(2),
            shifts[_INDICES].eq(Mux(self.i_place.index32, 2, 1)),
            shifts[_VALUES].eq(Mux(self.i_plan.int8, 0, 2)),
        ]
        self._blocks(m, levels, chosen, begins, taken, elements, more)
        for number, queue in enumerate(queues):
            m.d.sync += levels[number].eq(levels[number] + (queue.i.valid & queue.i.ready)
                                          - Mux(begins & chosen[number], taken, 0))

        # ---- a block: its job, then its chunks ----
        shift, source = Signal(2), Signal(entry)
        m.d.comb += [
            shift.eq(one_of(selected, shifts)),
            source.eq(one_of(selected, [queue.o.p.as_value() for queue in queues])),
            begins.eq((wanted != 0) & (beats_left == 0) & ~asked & ~self.i_start),
            self.o_write_job.valid.eq(asked),
            job.address.eq(one_of(selected, addresses)),
            job.rows.eq(1),
            job.row_bytes.eq(elements << shift),
            job.stride.eq(job.row_bytes),
            job.more.eq(more),
            self.o.valid.eq(one_of(selected, [queue.o.valid for queue in queues])
                            & ~asked & (beats_left != 0)),
            chunk.data.eq(source.data),
            chunk.count.eq(source.count << shift),
            chunk.row_last.eq(beats_left == 1),
            chunk.last.eq((beats_left == 1) & ~more),
        ]
        for number, queue in enumerate(queues):
            m.d.comb += queue.o.ready.eq(self.o.valid & self.o.ready & selected[number])
            with m.If(asked & self.o_write_job.ready & selected[number]):
                m.d.sync += addresses[number].eq(job.address + job.row_bytes)
        with m.If(begins):
            m.d.sync += [asked.eq(1), selected.eq(chosen), beats_left.eq(taken)]
        with m.If(asked & self.o_write_job.ready):
            m.d.sync += asked.eq(0)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += beats_left.eq(beats_left - 1)
        with m.If(self.i_start):
            m.d.sync += [addresses[_POINTERS].eq(self.i_place.pointers),
                         addresses[_INDICES].eq(self.i_place.indices),
                         addresses[_VALUES].eq(self.i_address)]
        return m

    def _fill(self, m: Module, queues) -> None:
        """Beats as the bytes of their elements."""
        pointers, indices, values = queues
        pairs, place = self.i.p, self.i_place
        m.d.comb += [
            pointers.i.valid.eq(self.i_pointers.valid),
            pointers.i.p.data.eq(self.i_pointers.p.pointers),
            pointers.i.p.count.eq(self.i_pointers.p.count),
            self.i_pointers.ready.eq(pointers.i.ready),
            # Both or none: a beat's indices and values.
            self.i.ready.eq(indices.i.ready & values.i.ready),
            indices.i.valid.eq(self.i.valid & values.i.ready),
            values.i.valid.eq(self.i.valid & indices.i.ready),
            indices.i.p.count.eq(pairs.count),
            values.i.p.count.eq(pairs.count),
            indices.i.p.data.eq(Mux(place.index32, _elements(pairs.columns, 32),
                                    _elements(pairs.columns, 16))),
            values.i.p.data.eq(Mux(self.i_plan.int8, _elements(pairs.values, VALUE_BITS),
                                   _elements(pairs.values, 32))),
        ]

    def _blocks(self, m: Module, levels, chosen, begins, taken, elements, more) -> None:
        """Beats and elements of the next block; a job's last block of a stream may end in a short beat."""
        size_log2 = log2_exact(self._config.pair_lanes)
        level, last = Signal.like(levels[0]), Signal()
        last_count = Signal(size_log2)        # elements of the stream's last beat, less one
        full = Const((1 << size_log2) - 1, size_log2)
        m.d.comb += [
            level.eq(one_of(chosen, levels)),
            last.eq(self.i_ended & (level <= BLOCK_BEATS)),
            taken.eq(Mux(level > BLOCK_BEATS, BLOCK_BEATS, level)),
            # One pointer more than rows.
            last_count.eq(Mux(chosen[_POINTERS], self.i_plan.groups, self.i_kept - 1)),
        ]
        with m.If(begins):
            m.d.sync += [elements.eq(Cat(Mux(last, last_count, full), taken - 1) + 1),
                         more.eq(~(last & chosen[_POINTERS]))]


def _elements(values, bits: int):
    """Each value in so many bits, one after the other."""
    return Cat(Cat(value, Const(0, bits))[:bits] for value in values)
