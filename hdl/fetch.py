"""Streams a matrix from memory as tokens: CSR or dense."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .beat_cutter import BeatCutter
from .config import ADDRESS_BITS, VALUE_BITS, Config, log2_exact
from .fetch_layouts import Cut
from .layouts import (
    INDEX_BYTES,
    POINTER_BYTES,
    ROW_ENDS,
    Chunk,
    Fault,
    FetchFormat,
    FetchJob,
    RawBeat,
    ReadBeat,
    ReadRequest,
    SegmentJob,
)
from .ones import Ones
from .queue import Queue
from .reader import SegmentReader
from .registers import ErrorCode
from .row_cutter import RowCutter
from .row_pointers import RowPointers, pointer_chunk_bytes
from .shared_buffer import SharedBuffer
from .status import AT_WORK_BITS
from .token_join import TokenJoin

__all__ = ["FETCH_READERS", "Fetch"]

FETCH_READERS = 3
POINTERS, INDICES, VALUES = range(FETCH_READERS)
ELEMENT_BYTES = (POINTER_BYTES, INDEX_BYTES, 1)   # what each array's address is a multiple of
QUEUE_DEPTH = 4


class Fetch(wiring.Component):
    """Reads row pointers, column indices and values, and makes beats of nonzeros and row ends.

    Throughput: one beat a cycle; a chunk of T entries with more than `row_ends` row ends makes a beat for
        every so many. With int32 indices a beat in two cycles.
    Latency: one cycle from a job to the jobs of the readers; four from a chunk of values and indices to its
        beat, eight from one of row pointers.
    Backpressure: `o`. Everything the readers have asked for finds room in them.
    Order: kept. A job is taken when every part has begun it, and must hold until then; a part that is done
        with it goes on at once.

    Exactly `rows` row ends come out, whatever the pointers say, and `last` with the final one: row ends
    that decrease or pass the last entry are moved to the nearest legal place, entries past the
    last row end are dropped. A job without rows makes nothing.

    Parameters
    ----------
    config : Config
    own_values : bool; without it the values are read by somebody else, and the other two readers share a
        buffer: beats of both may not come in one cycle
    row_ends : 1 or 2, the most that a beat holds
    value_bits : 8, or (without `own_values`) 32: values are int8 or int32, as the job says

    Members
    -------
    i_job : stream of FetchJob
    o : stream of RawBeat
    o_request, i_beat : read streams; 0 row pointers, 1 column indices, 2 values (with `own_values`)
    o_value_job, i_values : (without) stream of SegmentJob, what must be read, and of Chunk(T) or Chunk(4·T),
        what was read
    o_fault : Fault ROW_POINTER or COLUMN_INDEX
    o_fault_number : `FetchJob.number` of the job that it is about
    o_fault_address : of the row pointers or column indices, a chunk, that have the fault
    o_numbers : `FetchJob.number` of the job that each reader works on
    o_waiting : a reader waits for memory, and there is no beat to give
    o_idle : no job, nothing on its way
    """

    def __init__(self, config: Config, *, own_values: bool = True, row_ends: int = ROW_ENDS,
                 value_bits: int = VALUE_BITS):
        self._config, self._own_values, self._row_ends = config, own_values, row_ends
        self._value_bits = value_bits
        readers = FETCH_READERS if own_values else VALUES
        values = {} if own_values else {
            "o_value_job": Out(stream.Signature(SegmentJob())),
            "i_values": In(stream.Signature(Chunk(config.beat_tokens * value_bits // VALUE_BITS))),
        }
        super().__init__({
            **values,
            "i_job": In(stream.Signature(FetchJob(config))),
            "o": Out(stream.Signature(RawBeat(config, value_bits))),
            "o_request": Out(stream.Signature(ReadRequest(config))).array(readers),
            "i_beat": In(stream.Signature(ReadBeat(config), always_ready=True)).array(readers),
            "o_fault": Out(Fault()),
            "o_fault_number": Out(AT_WORK_BITS),
            "o_fault_address": Out(ADDRESS_BITS),
            "o_numbers": Out(AT_WORK_BITS).array(FETCH_READERS),
            "o_waiting": Out(1),
            "o_idle": Out(1),
        })

    def elaborate(self, platform):
        config = self._config
        m = Module()
        chunk_bytes = (pointer_chunk_bytes(config, self._row_ends), 2 * config.beat_tokens,
                       config.beat_tokens)
        # Row pointers and indices lie in one piece, whole elements; only dense rows may have gaps.
        self._readers = [SegmentReader(config, size, single_row=number != VALUES, align_bytes=align,
                                       own_buffer=self._own_values)
                         for number, (size, align) in enumerate(zip(chunk_bytes, ELEMENT_BYTES, strict=True))
                         if number != VALUES or self._own_values]
        self._join, self._rows = TokenJoin(config, self._value_bits), RowPointers(config, self._row_ends)
        cutter, beats = RowCutter(config, self._row_ends), BeatCutter(config, self._value_bits)
        cuts = Queue(Cut(config), QUEUE_DEPTH)
        names = ("pointer_reader", "index_reader", "value_reader")
        for name, reader in zip(names, self._readers, strict=False):
            m.submodules[name] = reader
        m.submodules.join, m.submodules.rows = self._join, self._rows
        m.submodules.cutter, m.submodules.cuts, m.submodules.beats = cutter, cuts, beats
        for reader, request, beat in zip(self._readers, self.o_request, self.i_beat, strict=True):
            connect(m, reader.o_request, flipped(request))
            connect(m, flipped(beat), reader.i_beat)
        if not self._own_values:
            self._share_buffer(m)
        connect(m, self._readers[POINTERS].o, self._rows.i)
        connect(m, self._readers[INDICES].o, self._join.i_indices)
        if not self._own_values:
            connect(m, flipped(self.i_values), self._join.i_values)
        elif config.sddmm:
            self._values_or_ones(m, self._readers[VALUES])
        else:
            connect(m, self._readers[VALUES].o, self._join.i_values)
        connect(m, self._join.o, beats.i)
        connect(m, self._rows.o, cutter.i)
        connect(m, cutter.o, cuts.i)
        connect(m, cuts.o, beats.i_cut)
        connect(m, beats.o, flipped(self.o))

        waiting = self._job_stage(m)
        self._report_stage(m)
        parts = [*self._readers, self._join, self._rows, cutter, beats]
        m.d.comb += [
            self.o_idle.eq(~waiting & Cat(part.o_idle for part in parts).all() & (cuts.level == 0)),
            self.o_waiting.eq(Cat(reader.o_waiting for reader in self._readers).any() & ~self.o.valid),
        ]
        return m

    def _share_buffer(self, m: Module) -> None:
        """One memory for the beats of both readers. Pointers go first: there are fewer of them, and indices,
        which wait for the values beside them, know late whether they want a beat."""
        m.submodules.buffer = buffer = SharedBuffer(self._config)
        for place, number in enumerate((POINTERS, INDICES)):
            beat, reader = self.i_beat[number], self._readers[number]
            m.d.comb += [buffer.i[place].valid.eq(beat.valid), buffer.i[place].p.eq(beat.p.data),
                         reader.i_freed.eq(buffer.o_freed[place])]
            connect(m, buffer.o[place], reader.i_stored)

    def _values_or_ones(self, m: Module, reader) -> None:
        """Of a pattern no values are read."""
        join, job = self._join, self.i_job.p
        m.submodules.ones = ones = Ones(self._config.beat_tokens)
        pattern, begins = Signal(), Signal()
        m.d.comb += [
            begins.eq(join.i_job.valid & join.i_job.ready),
            ones.i_start.eq(begins & job.pattern),
            ones.i_count.eq(job.nnz),
            join.i_values.p.eq(Mux(pattern, ones.o.p.as_value(), reader.o.p.as_value())),
            join.i_values.valid.eq(Mux(pattern, ones.o.valid, reader.o.valid)),
            ones.o.ready.eq(join.i_values.ready & pattern),
            reader.o.ready.eq(join.i_values.ready & ~pattern),
        ]
        with m.If(begins):
            m.d.sync += pattern.eq(job.pattern)

    def _job_stage(self, m: Module):
        """Hands each part its share of the job, which its owner holds; the return value is 1 while one has
        still to take it."""
        shift = log2_exact(self._config.beat_tokens)
        job = self.i_job.p
        # Dense rows; no token chunk; there are rows. What sizes say is looked at a cycle before it counts.
        is_dense, is_alone, any_rows, known = Signal(), Signal(), Signal(), Signal()
        reads_values = ~is_alone & ~job.pattern if self._config.sddmm else ~is_alone
        wanted, given = Signal(FETCH_READERS + 2), Signal(FETCH_READERS + 2)
        row_chunks = Signal(self._config.fetch_index_bits + 1 - shift)   # of a dense row
        m.d.comb += [
            row_chunks.eq((job.count[:self._config.fetch_index_bits + 1] + ((1 << shift) - 1)) >> shift),
            is_dense.eq(job.format == FetchFormat.DENSE),
            wanted.eq(Mux(any_rows, Cat(~is_dense, ~is_dense & ~is_alone, reads_values, ~is_alone, 1), 0)),
            self.i_job.ready.eq(known & (given | ~wanted).all()),
        ]
        m.d.sync += [
            is_alone.eq(Mux(is_dense, job.count, job.nnz) == 0),
            any_rows.eq(job.rows != 0),
            known.eq(self.i_job.valid & ~self.i_job.ready),
        ]
        # Parts go on to the next job at different times; each remembers which one it has.
        self._numbers = [Signal(AT_WORK_BITS, name=f"number_{part}") for part in range(len(given))]
        m.d.comb += [number.eq(of) for number, of in zip(self.o_numbers, self._numbers, strict=False)]
        reads = [reader.i_job for reader in self._readers]
        if not self._own_values:
            reads.append(self.o_value_job)
        branches = [*reads, self._join.i_job, self._rows.i_job]
        for number, branch in enumerate(branches):
            m.d.comb += branch.valid.eq(known & wanted[number] & ~given[number])
            with m.If(branch.valid & branch.ready):
                m.d.sync += [given[number].eq(1), self._numbers[number].eq(job.number)]
        with m.If(self.i_job.valid & self.i_job.ready):
            m.d.sync += given.eq(0)

        wide = Signal()
        m.d.comb += wide.eq(job.format == FetchFormat.CSR32)
        value_bytes: Any = job.nnz
        if self._value_bits != VALUE_BITS:
            value_bytes = Mux(job.wide_values, job.nnz << 2, job.nnz)
            m.d.comb += self._join.i_job.p.wide_values.eq(job.wide_values)
        sizes = (job.rows << 2, Mux(wide, job.nnz << 2, job.nnz << 1), value_bytes)
        for read, address, size in zip(reads, (job.pointers, job.indices, job.values), sizes, strict=True):
            piece = read.p
            m.d.comb += [piece.address.eq(address), piece.row_bytes.eq(size), piece.rows.eq(1),
                         piece.stride.eq(job.stride)]    # which matters where there are several rows
        tokens, rows = self._join.i_job.p, self._rows.i_job.p
        with m.If(is_dense):
            m.d.comb += [reads[VALUES].p.row_bytes.eq(job.count), reads[VALUES].p.rows.eq(job.rows)]
        m.d.comb += [
            *([tokens.sddmm.eq(job.sddmm)] if self._config.sddmm else []),
            tokens.dense.eq(is_dense),
            tokens.wide.eq(wide),
            # Dense rows are read from the first column on; what is there is counted, not compared.
            *(tokens[name].eq(job[name]) for name in ("start", "count", "columns")),
            rows.dense.eq(is_dense),
            rows.alone.eq(is_alone),
            rows.rows.eq(job.rows),
            rows.first.eq(job.first),
            rows.nnz.eq(Mux(is_dense, row_chunks << shift, job.nnz)),
        ]
        return self.i_job.valid

    def _report_stage(self, m: Module) -> None:
        """One fault a cycle; a second kind waits for its turn."""
        index_fault, index_waits = Signal(), Signal()
        *_, of_join, of_rows = self._numbers
        pointer, index = self._addresses(m)
        m.d.comb += index_fault.eq(self._join.o_fault | index_waits)
        m.d.sync += [
            index_waits.eq(index_fault & self._rows.o_fault),
            self.o_fault.valid.eq(index_fault | self._rows.o_fault),
            self.o_fault_address.eq(Mux(self._rows.o_fault, pointer, index)),
            self.o_fault_number.eq(Mux(self._rows.o_fault, of_rows, of_join)),
            self.o_fault.code.eq(Mux(self._rows.o_fault, ErrorCode.ROW_POINTER, ErrorCode.COLUMN_INDEX)),
        ]

    def _addresses(self, m: Module) -> tuple[Signal, Signal]:
        """Where the row pointers and the column indices lie that are looked at now."""
        step = 2 * self._config.beat_tokens
        pointer, index = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        wide = Signal()
        for part, address, first, bytes_ in (
                (self._rows, pointer, self.i_job.p.pointers,
                 pointer_chunk_bytes(self._config, self._row_ends)),
                (self._join, index, self.i_job.p.indices, Mux(wide, 2 * step, step))):
            with m.If(part.i_job.valid & part.i_job.ready):
                m.d.sync += address.eq(first)
            with m.Elif(part.o_passed):
                m.d.sync += address.eq(address + bytes_)
        with m.If(self._join.i_job.valid & self._join.i_job.ready):
            m.d.sync += wide.eq(self._join.i_job.p.wide)
        return pointer, index
