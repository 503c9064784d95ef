"""From matrices in memory to tile beats: the dense path and the packed path, one job at a time."""

from dataclasses import replace

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .config import ADDRESS_BITS, Config
from .dense_loader import DenseLoader
from .fetch import Fetch
from .layouts import (
    BFormat,
    Chunk,
    Fault,
    FetchFormat,
    ReadBeat,
    ReadRequest,
    TileBeat,
    TileJob,
    TileRawBeat,
    tile_value_bits,
)
from .packer import PACKER_ROW_ENDS, Packer
from .reader import SegmentReader
from .row_filter import RowPlace
from .skid import Skid
from .splitter import ChunkSplitter

__all__ = ["TileLoader"]


class TileLoader(wiring.Component):
    """Loads one tile of B after another, each in the format its job names.

    Throughput: dense, one beat of the memory port a cycle, see `DenseLoader`; packed, several nonzeros a
        cycle, see `Packer`.
    Latency: a job's readers have theirs one cycle after it was taken; `o_done` comes one cycle after the
        job's last beat.
    Backpressure: `o` has none; read streams ask only for what they have room for.
    Order: tiles, rows and words in order.

    Parameters
    ----------
    config : Config; without `compressed_b` there is the dense path only

    Members
    -------
    i_job : stream of TileJob
    o : stream of TileBeat, always ready
    o_done : pulse, the job's last beat is out
    o_rows_done : the same, of a job of rows of X (only with `sddmm`)
    i_row_room : their buffers take another beat, and what is on its way (only with `sddmm`)
    o_rows_waiting : such a job waits for memory (only with `sddmm`)
    o_idle : no job
    o_waiting : the job has asked for data and has nothing to work on
    o_fault, o_fault_address : faults of a packed tile's indices and row pointers, and where those lie
    o_request, i_beat : read streams: values; then (with `compressed_b`) row pointers, column indices
    o_row : stream of RowPlace, always ready: what begins or ends with a beat at `o` (only with `row_filter`)
    o_merge : stream of TileRawBeat, the matrix of an elementwise job (only with `elementwise`)
    o_merge_waiting : `o_waiting` of such a job (likewise)
    """

    def __init__(self, config: Config):
        self._config = config
        streams = config.tile_readers
        super().__init__({
            "i_job": In(stream.Signature(TileJob(config))),
            "o": Out(stream.Signature(TileBeat(config), always_ready=True)),
            "o_done": Out(1),
            "o_idle": Out(1),
            "o_waiting": Out(1),
            "o_fault": Out(Fault()),
            "o_fault_address": Out(ADDRESS_BITS),
            "o_request": Out(stream.Signature(ReadRequest(config))).array(streams),
            "i_beat": In(stream.Signature(ReadBeat(config), always_ready=True)).array(streams),
        } | ({"o_rows_done": Out(1), "i_row_room": In(1), "o_rows_waiting": Out(1)} if config.sddmm else {})
          | ({"o_row": Out(stream.Signature(RowPlace(config), always_ready=True))}
             if config.row_filter else {})
          | ({"o_merge": Out(stream.Signature(TileRawBeat(config))), "o_merge_waiting": Out(1)}
             if config.elementwise else {}))

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.reader = reader = SegmentReader(config, config.port_bytes)
        m.submodules.dense = dense = DenseLoader(config)
        connect(m, reader.o_request, flipped(self.o_request[0]))
        connect(m, flipped(self.i_beat[0]), reader.i_beat)
        busy = Signal()
        begins = self._begins = Signal()
        self._takes_wide = Signal()      # the fetch unit takes int32 values
        self._waits = Signal()           # for values, and none is at hand
        done, ends = Signal(), Signal()  # the tile is complete; the job's last beat is out
        self._flows = self._rows_stage(m, reader, begins, done) if config.sddmm else Const(1)
        # How far the loader is with a chunk comes late: the reader does not wait for that.
        m.submodules.chunks = chunks = Skid(Chunk(config.port_bytes))
        connect(m, reader.o, chunks.i)
        m.d.comb += self._waits.eq(reader.o_waiting & ~chunks.o_held)
        m.d.comb += [self.o_idle.eq(~busy), dense.i_job.p.eq(self.i_job.p)]
        with m.If(begins):
            m.d.sync += busy.eq(1)
        with m.Elif(ends):
            m.d.sync += busy.eq(0)
        if not config.sddmm:
            m.d.comb += self.o_done.eq(done)
        if config.compressed_b:
            self._both_paths(m, dense, reader, chunks, busy, begins, done, ends)
        else:
            connect(m, dense.o_read_job, reader.i_job)
            m.d.comb += [dense.i.p.eq(chunks.o.p), dense.i.valid.eq(chunks.o.valid & self._flows),
                         chunks.o.ready.eq(dense.i.ready & self._flows)]
            # A job of another format is refused before it comes here.
            m.d.comb += [
                begins.eq(self.i_job.valid & ~busy),
                self.i_job.ready.eq(~busy),
                dense.i_job.valid.eq(begins),
                self.o.valid.eq(dense.o.valid),
                self.o.p.eq(dense.o.p),
                done.eq(dense.o_done),
                ends.eq(done),
                self.o_waiting.eq(busy & self._waits),
            ]
        return m

    def _rows_stage(self, m: Module, reader: SegmentReader, begins: Signal, done: Signal) -> Signal:
        """Rows of X go the dense path, where a beat waits for room; 1 where one may go on."""
        rows, flows = Signal(), Signal()
        m.d.comb += [
            flows.eq(~rows | self.i_row_room),
            self.o_done.eq(done & ~rows),
            self.o_rows_done.eq(done & rows),
            self.o_rows_waiting.eq(rows & ~self.o_idle & self._waits),
        ]
        with m.If(begins):
            m.d.sync += rows.eq(self.i_job.p.rows)
        return flows

    def _both_paths(self, m: Module, dense: DenseLoader, reader: SegmentReader, chunks: Skid, busy: Signal,
                    begins: Signal, done: Signal, ends: Signal) -> None:
        config = replace(self._config, beat_tokens=self._config.tile_beat_tokens)
        m.submodules.fetch = fetch = Fetch(config, own_values=False, row_ends=PACKER_ROW_ENDS,
                                           value_bits=tile_value_bits(config))
        m.submodules.packer = packer = Packer(config)
        if config.row_filter:
            connect(m, packer.o_row, flipped(self.o_row))
        m.submodules.splitter = splitter = ChunkSplitter(config.port_bytes, config.beat_tokens)
        if config.elementwise:
            merges, merged, wide = self._merge_path(m, fetch, packer, splitter, chunks)
        else:
            connect(m, fetch.o, packer.i)
            connect(m, splitter.o, fetch.i_values)
            merges, merged, wide = Const(0), Const(0), Const(0)
        for number in range(config.tile_readers - 1):
            connect(m, fetch.o_request[number], flipped(self.o_request[1 + number]))
            connect(m, flipped(self.i_beat[1 + number]), fetch.i_beat[number])
        job = self.i_job.p
        packed, is_packed, empty = Signal(), Signal(), Signal()

        # ---- one reader for the values of both paths ----
        m.d.comb += [
            dense.i.p.eq(chunks.o.p),
            splitter.i.p.eq(chunks.o.p),
            dense.i.valid.eq(chunks.o.valid & ~packed & self._flows),
            splitter.i.valid.eq(chunks.o.valid & packed & ~wide),
            chunks.o.ready.eq(Mux(packed, Mux(wide, self._takes_wide, splitter.i.ready),
                                  dense.i.ready & self._flows)),
            reader.i_job.p.eq(dense.o_read_job.p),   # which is right for either
            reader.i_job.valid.eq(Mux(packed, fetch.o_value_job.valid, dense.o_read_job.valid)),
            dense.o_read_job.ready.eq(reader.i_job.ready & ~packed),
            fetch.o_value_job.ready.eq(reader.i_job.ready & packed),
        ]

        # ---- jobs: an empty tile goes the dense path, which is done with it at once; a packed tile's job
        # holds until all parts of the fetch unit have begun it ----
        fetching, wants = Signal(), fetch.i_job.p
        begun = Signal()     # all that an elementwise job must wait for
        m.d.comb += [
            # What a packed tile with wrong row pointers has left over is read and dropped first.
            begins.eq(self.i_job.valid & ~busy & reader.o_idle & ~chunks.o.valid & ~splitter.o.valid),
            empty.eq(job.k_count == 0),
            is_packed.eq((job.format != BFormat.DENSE) & (~empty | merges)),
            self.i_job.ready.eq(Mux(fetching, fetch.i_job.ready, begins & ~is_packed)),
            dense.i_job.valid.eq(begins & ~is_packed),
            packer.i_job.valid.eq(begins & is_packed & ~merges),
            packer.i_job.p.eq(job),
            fetch.i_job.valid.eq(fetching),
            wants.format.eq(Mux(job.format == BFormat.DENSE_PACKED, FetchFormat.DENSE,
                                Mux(job.format == BFormat.CSR16_PACKED, FetchFormat.CSR16,
                                    FetchFormat.CSR32))),
            wants.rows.eq(Mux(merges, job.merge_rows, job.k_count) if config.elementwise else job.k_count),
            wants.start.eq(job.n_start),
            wants.count.eq(Mux(merges, job.merge_count, job.n_count) if config.elementwise else job.n_count),
            *(wants[name].eq(job[name]) for name in (
                "pointers", "indices", "values", "stride", "nnz", "first", "columns")),
        ]
        with m.If(begins):
            m.d.sync += [packed.eq(is_packed), fetching.eq(is_packed)]
        with m.Elif(fetch.i_job.ready):
            m.d.sync += fetching.eq(0)
        m.d.sync += begun.eq(fetching & fetch.i_job.ready)   # after the job was taken, as of any other

        # ---- beats ----
        m.d.comb += [
            self.o.valid.eq(Mux(packed, packer.o.valid, dense.o.valid)),
            # What only one path makes needs no multiplexer.
            self.o.p.eq(dense.o.p),
            *(self.o.p[name].eq(packer.o.p[name])
              for name in ("whole", "slot_valid", "slot_slice", "row_end")),
            done.eq(Mux(packed, Mux(merged, begun, packer.o_done), dense.o_done)),
            ends.eq(Mux(merged, fetch.o.valid & fetch.o.ready & fetch.o.p.last, done)),
            self.o_waiting.eq(busy & (self._waits | (packed & fetch.o_waiting))),
            self.o_fault.eq(fetch.o_fault),
            self.o_fault_address.eq(fetch.o_fault_address),
        ]
        with m.If(packed):
            m.d.comb += [self.o.p[name].eq(packer.o.p[name]) for name in ("kind", "half", "owner", "data")]
            m.d.comb += self.o.p.address[0].eq(packer.o.p.address[0])

    def _merge_path(self, m: Module, fetch: Fetch, packer: Packer, splitter: ChunkSplitter,
                    chunks: Skid) -> tuple[Signal, Signal, Signal]:
        """Beats of an elementwise job go to the merger; whether the job on offer is one, and that at work,
        and whether this one's values are int32."""
        config = self._config
        merges, merged, wide = Signal(), Signal(), Signal()
        values, words = fetch.i_values, chunks.o
        wide_bytes = 4 * config.tile_beat_tokens
        if wide_bytes < config.port_bytes:
            m.submodules.wide_splitter = narrower = ChunkSplitter(config.port_bytes, wide_bytes)
            m.d.comb += [narrower.i.p.eq(chunks.o.p), narrower.i.valid.eq(chunks.o.valid & wide),
                         self._takes_wide.eq(narrower.i.ready), narrower.o.ready.eq(values.ready & wide)]
            words = narrower.o
        else:
            m.d.comb += self._takes_wide.eq(values.ready)
        m.d.comb += [
            values.valid.eq(Mux(wide, words.valid, splitter.o.valid)),
            splitter.o.ready.eq(values.ready & ~wide),
            values.p.eq(words.p),
        ]
        with m.If(~wide):
            m.d.comb += [values.p[name].eq(splitter.o.p[name])
                         for name in ("data", "count", "row_last", "last")]
        m.d.comb += [
            merges.eq(self.i_job.p.elementwise),
            *(packer.i.p[name].eq(fetch.o.p[name]) for name in ("mask", "ends", "last")),
            *(sink[name].eq(token[name]) for name in ("index", "value")
              for sink, token in zip(packer.i.p.tokens, fetch.o.p.tokens, strict=True)),
            packer.i.valid.eq(fetch.o.valid & ~merged),
            self.o_merge.p.eq(fetch.o.p),
            self.o_merge.valid.eq(fetch.o.valid & merged),
            fetch.o.ready.eq(Mux(merged, self.o_merge.ready, packer.i.ready)),
            self.o_merge_waiting.eq(self.o_waiting & merged),
        ]
        with m.If(self._begins):
            m.d.sync += [merged.eq(merges), wide.eq(merges & self.i_job.p.wide_values)]
        m.d.comb += fetch.i_job.p.wide_values.eq(wide)   # begins a cycle later
        return merges, merged, wide
