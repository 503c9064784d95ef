"""From rows of int8 to dense beats of the tile bus."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import Config, log2_exact
from .layouts import BFormat, Chunk, SegmentJob, TileBeat, TileBeatKind, TileJob
from .owner import fold, owner

__all__ = ["DenseLoader"]


class DenseLoader(wiring.Component):
    """Cuts the rows of a dense tile into words, and finds the PE and the place of each.

    Throughput: one chunk a cycle; two cycles for a chunk whose two words are neighbours in one slice and
        begin at an odd address (they lie in two store words), and as many as needed for a chunk that
        holds more than P rows (N' < V).
    Latency: `o_read_job` follows `i_job` by one cycle, `o` follows a chunk by two, `o_done` the last beat
        by one.
    Backpressure: `i` waits for a split chunk; `o` has none.
    Order: rows in order, words of a row in order.

    Rows of N' <= V bytes that lie without a gap are read as one run, so that a beat carries several of
    them (V bytes: two, where a beat holds two words and P_k = P); all rows of one beat have the same local
    row number, hence the same word and part of it.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_job : stream of TileJob of a dense tile
    o_read_job : stream of SegmentJob, what must be read and come to `i`; none for an empty tile. Its payload
        is right for values of any format, from the cycle after their job was offered until it is taken
    i : stream of Chunk(port_bytes)
    o : stream of TileBeat (WORDS, PARTS; for rows of X ROWS), always ready
    o_done : pulse, the job's last beat is out; a new job is taken from the next cycle on
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_job": In(stream.Signature(TileJob(config))),
            "o_read_job": Out(stream.Signature(SegmentJob())),
            "i": In(stream.Signature(Chunk(config.port_bytes))),
            "o": Out(stream.Signature(TileBeat(config), always_ready=True)),
            "o_done": Out(1),
        })

    def _declare(self) -> None:
        config = self._config
        # The job, as far as beats depend on it.
        self._busy = Signal()
        self._half = Signal()
        self._parts = Signal()                          # PARTS beats
        self._rows_of_x = Signal()                      # ROWS beats
        self._pk_log2 = Signal.like(self.i_job.p.pk_log2)
        self._low_mask = Signal(config.pe_bits)         # P_k - 1
        self._part_log2 = Signal.like(self.o.p.part_log2)
        self._part_mask = Signal(config.lane_bits)      # G - 1
        self._beat_rows = Signal(config.pe_bits + 1)    # rows of k that one step goes on by
        self._slice_words = Signal(config.slice_words_bits)
        self._second_last = Signal(config.slice_words_bits)   # word of a slice, and the one before it
        self._third_last = Signal(config.slice_words_bits)
        self._single = Signal()                         # a slice has one word; it has two
        self._double = Signal()
        # Where the next word goes.
        self._k = Signal(config.index_bits)
        self._part = Signal(config.lane_bits)
        self._base = Signal(config.row_address_bits)    # of the row's first word in a PE
        self._address = Signal(config.row_address_bits)
        self._slice = Signal(config.pe_bits)
        self._word = Signal(config.slice_words_bits)
        self._slice_end = Signal()                      # that is the slice's last
        # The chunk at work.
        self._held = Signal()
        self._data = Signal(8 * config.port_bytes)
        self._enable = Signal(config.words_per_beat)
        self._rows = Signal.like(self.o.p.rows)
        self._row_last = Signal()
        self._last = Signal()
        # What happens this cycle.
        self._finish = Signal()                         # the held chunk's last beat is made
        self._send = Signal(config.words_per_beat)      # words of the beat

    def elaborate(self, platform):
        m = Module()
        self._declare()
        self._job_stage(m)
        self._hold_stage(m)
        self._place(m)
        self._advance(m)
        self._output_stage(m)
        return m

    # ---- stage 0: the job ------------------------------------------------------------------------------

    def _job_stage(self, m: Module) -> None:
        config, job, read = self._config, self.i_job.p, self.o_read_job
        part_log2 = Signal.like(self._part_log2)
        row_bytes = Signal(range(config.lanes + 1))
        gapless, narrow, empty = Signal(), Signal(), Signal()
        grouped, run = Signal(), Signal()    # of the job that was taken; a run are rows of parts without gaps
        run_bytes = Signal(len(job.k_count) + config.lane_bits)
        m.d.comb += [
            self.i_job.ready.eq(~self._busy),
            part_log2.eq(config.lane_bits - job.group_log2),
            row_bytes.eq(1 << part_log2),
            gapless.eq((job.n_count == row_bytes) & (job.stride == row_bytes)),
            # A beat of two words holds two rows of V bytes, of two PEs: N' = V.
            narrow.eq((job.group_log2 != 0)
                      | ((config.words_per_beat == 2) & (job.pk_log2 == config.pe_bits))),
            run_bytes.eq(job.k_count << part_log2),
            empty.eq((job.k_count == 0) | (job.n_count == 0)),
        ]
        rows_of = Array(min(config.port_bytes >> log2, config.pes) for log2 in range(config.lane_bits + 1))
        # What follows from that is there long before the first chunk.
        m.d.sync += [self._parts.eq(grouped | run),
                     self._beat_rows.eq(Mux(run, rows_of[self._part_log2], 1))]
        with m.If(read.ready):
            m.d.sync += read.valid.eq(0)
        self._read_job(m, gapless & narrow, run_bytes)
        # Whether a job is taken comes late: what it looks like is there as long as none is at work.
        with m.If(~self._busy):
            m.d.sync += [
                self._half.eq(job.half),
                grouped.eq(job.group_log2 != 0),
                run.eq(gapless & narrow),
                self._rows_of_x.eq(job.rows if config.sddmm else 0),
                self._pk_log2.eq(job.pk_log2),
                self._low_mask.eq((1 << job.pk_log2) - 1),
                self._part_log2.eq(part_log2),
                self._part_mask.eq((1 << job.group_log2) - 1),
                self._slice_words.eq(job.slice_words),
                self._second_last.eq(job.slice_words - 2),
                self._third_last.eq(job.slice_words - 3),
                self._single.eq(job.slice_words == 1),
                self._double.eq(job.slice_words == 2),
                self._slice_end.eq(job.slice_words == 1),
            ]
        with m.If(self.i_job.valid & self.i_job.ready):
            m.d.sync += [self._busy.eq(1), read.valid.eq(~empty)]
        last_out = Signal()
        m.d.sync += [
            last_out.eq((self._finish & self._last) | (self.i_job.valid & self.i_job.ready & empty)),
            self.o_done.eq(last_out),
        ]
        with m.If(last_out):
            m.d.sync += self._busy.eq(0)

    def _read_job(self, m: Module, run: Value, run_bytes: Signal) -> None:
        """What must be read of the values, whatever the format: one register for both paths."""
        config, job, read = self._config, self.i_job.p, self.o_read_job.p
        rows, columns, csr_bytes = job.k_count, job.n_count, job.nnz
        if config.elementwise:
            rows = Mux(job.elementwise, job.merge_rows, rows)
            columns = Mux(job.elementwise, job.merge_count, columns)
            csr_bytes = Mux(job.wide_values, job.nnz << 2, job.nnz)
        # Whether rows are one run is known last.
        is_run, of_run = Signal(), Signal.like(run_bytes)
        row_bytes, row_count = Signal.like(read.row_bytes), Signal.like(read.rows)
        with m.If(~self._busy):
            m.d.sync += [
                read.address.eq(job.values),
                row_bytes.eq(columns),
                row_count.eq(rows),
                # Of a run, which is one row, nobody looks at it.
                read.stride.eq(job.stride),
                is_run.eq((job.format == BFormat.DENSE) & run),
                of_run.eq(run_bytes),
            ]
            if config.compressed_b:
                with m.If((job.format == BFormat.CSR16_PACKED) | (job.format == BFormat.CSR32_PACKED)):
                    m.d.sync += [row_bytes.eq(csr_bytes), row_count.eq(1)]
        m.d.comb += [read.row_bytes.eq(Mux(is_run, of_run, row_bytes)),
                     read.rows.eq(Mux(is_run, 1, row_count))]

    # ---- stage 1: the chunk at work --------------------------------------------------------------------

    def _hold_stage(self, m: Module) -> None:
        config, chunk = self._config, self.i.p
        rows = Signal.like(self._rows)
        # Single rows of less than N' bytes count as one.
        with m.If(self._beat_rows == 1):
            m.d.comb += rows.eq(1)
        with m.Else():
            m.d.comb += rows.eq(chunk.count >> self._part_log2)
        m.d.comb += self.i.ready.eq(~self._held | self._finish)
        with m.If(self.i.ready):
            m.d.sync += [
                self._held.eq(self.i.valid),
                self._data.eq(Mux(self._parts & (self._beat_rows == 1), self._in_all_parts(chunk.data),
                                  chunk.data)),
                self._enable.eq(Cat(chunk.count > x * config.lanes for x in range(config.words_per_beat))),
                self._rows.eq(rows),
                self._row_last.eq(chunk.row_last),
                self._last.eq(chunk.last),
            ]
        with m.Elif(self._held):
            m.d.sync += self._enable.eq(self._enable & ~self._send)
            # Only chunks of more than P rows come here with rows left, each in its place.
            with m.If(self._parts):
                m.d.sync += self._rows.eq(self._rows - config.pes)

    def _in_all_parts(self, row: Value) -> Value:
        """A single row of N' bytes, wherever a PE may look for it."""
        copies = Array(row[:8 << log2].replicate(self._config.port_bytes >> log2)
                       for log2 in range(self._config.lane_bits + 1))
        return copies[self._part_log2]

    # ---- stage 2: which words make the beat, and where they go -----------------------------------------

    def _place(self, m: Module) -> None:
        config = self._config
        self._split = split = Signal()
        if config.words_per_beat == 2:
            m.d.comb += split.eq(~self._parts & self._enable.all() & self._address[0] & ~self._slice_end)
        m.d.comb += [
            self._send.eq(Mux(split, 1, self._enable)),
            self._finish.eq(self._held & ~split & (~self._parts | (self._rows <= config.pes))),
        ]

    def _advance(self, m: Module) -> None:
        config = self._config
        two = self._send.all() if config.words_per_beat == 2 else Const(0)
        wrap_second, wrap_third = Signal(), Signal()
        new_row, new_local_row = Signal(), Signal()
        last_row = Signal(config.pe_bits)
        next_base = Signal.like(self._base)
        # Where two words are passed: (slice, word) twice one further, without waiting for the first step.
        m.d.comb += [
            wrap_second.eq(self._word == self._second_last),
            wrap_third.eq(self._word == self._third_last),
            new_row.eq(self._parts | (self._finish & self._row_last)),
            last_row.eq(self._k[:config.pe_bits] | (self._beat_rows - 1)[:config.pe_bits]),
            new_local_row.eq((last_row & self._low_mask) == self._low_mask),
            next_base.eq(self._base),
        ]
        with m.If(new_local_row & (self._part == self._part_mask)):
            m.d.comb += next_base.eq(self._base + self._slice_words)
        with m.If(self._held):
            with m.If(new_row):
                m.d.sync += [
                    self._k.eq(self._k + self._beat_rows),
                    self._base.eq(next_base),
                    self._address.eq(next_base),
                    self._slice.eq(0),
                    self._word.eq(0),
                    self._slice_end.eq(self._single),
                ]
                with m.If(new_local_row):
                    m.d.sync += self._part.eq((self._part + 1) & self._part_mask)
            with m.Elif(~two & self._slice_end):
                self._go_to(m, 1, 0, self._base, self._single)
            with m.Elif(~two):
                self._go_to(m, 0, self._word + 1, self._address + 1, wrap_second)
            with m.Elif(self._slice_end & self._single):
                m.d.sync += self._slice.eq(self._slice + 2)
            with m.Elif(self._slice_end):
                self._go_to(m, 1, 1, self._base + 1, self._double)
            with m.Elif(wrap_second):
                self._go_to(m, 1, 0, self._base, self._single)
            with m.Else():
                self._go_to(m, 0, self._word + 2, self._address + 2, wrap_third)
        with m.If(~self._busy):
            m.d.sync += [signal.eq(0) for signal in (
                self._k, self._part, self._base, self._address, self._slice, self._word)]

    def _go_to(self, m: Module, slices: int, word, address, slice_end) -> None:
        """The next word: so many slices on, its number in the slice, its address, whether the slice ends."""
        m.d.sync += [self._slice.eq(self._slice + slices), self._word.eq(word), self._address.eq(address),
                     self._slice_end.eq(slice_end)]

    # ---- stage 3: the beat -----------------------------------------------------------------------------

    def _output_stage(self, m: Module) -> None:
        config, beat = self._config, self.o.p
        pe_bits = config.pe_bits
        rows_log2 = log2_exact(config.pes)
        m.d.sync += [
            self.o.valid.eq(self._held),
            beat.kind.eq(Mux(self._parts, TileBeatKind.PARTS,
                             Mux(self._rows_of_x, TileBeatKind.ROWS, TileBeatKind.WORDS))),
            beat.half.eq(self._half),
            beat.owner.eq(owner(self._k, self._pk_log2, pe_bits)),
            beat.enable.eq(self._send),
            beat.slice[0].eq(self._slice),
            beat.address[0].eq(self._address),
            beat.part_log2.eq(self._part_log2),
            # P_k = P where rows share a word, so the local row is a fixed part of k.
            beat.fold.eq(fold(self._k[rows_log2:], Const(pe_bits, unsigned(len(self._pk_log2))), pe_bits)),
            beat.first.eq(self._k[:pe_bits]),
            beat.above.eq(self._k[pe_bits:]),
            beat.rows.eq(Mux(self._rows > config.pes, config.pes, self._rows)),
            beat.data.eq(self._data),
        ]
        if config.words_per_beat == 2:
            first_there = self._enable[0]
            m.d.sync += [
                beat.slice[1].eq(self._slice + (first_there & self._slice_end)),
                beat.address[1].eq(Mux(first_there & self._slice_end, self._base,
                                       self._address + first_there)),
            ]
