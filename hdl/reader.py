"""Reads a two-dimensional piece of memory and hands it on in chunks of bytes."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .block_queue import BlockQueue
from .config import ADDRESS_BITS, MAX_BURST_BEATS, Config, log2_exact
from .layouts import Chunk, ReadBeat, ReadRequest, SegmentJob

__all__ = ["SegmentReader"]

BURST_LOG2 = log2_exact(MAX_BURST_BEATS)


class SegmentReader(wiring.Component):
    """Asks for the bytes of one job after the other and cuts the answers, however aligned, into chunks.

    Throughput: one chunk a cycle, as far as beats come: one beat a cycle; one burst asked a cycle.
    Latency: three cycles from a job to its first request, four from a beat to its first chunk. A contiguous
    job of short rows learns its length in as many cycles as its number of rows has bits.
    Backpressure: nothing is asked before `read_buffer_beats` has room for the whole answer, so beats are
    always taken; a stalled `o` stops the requests when the buffer is spoken for.
    Order: that of the job; the next job is taken when the last chunk of the former is at the output.

    A job without rows or with empty rows yields nothing. Beats with `error` are treated as data.

    Parameters
    ----------
    config : Config
    chunk_bytes : int, bytes of a full chunk, a power of two up to `port_bytes`
    single_row : bool, build it for jobs of one row at most, at half the logic; `stride` is not looked at

    Members
    -------
    i_job : stream of SegmentJob
    o : stream of Chunk(chunk_bytes)
    o_request : stream of ReadRequest
    i_beat : stream of ReadBeat, never stalled
    o_waiting : beats are on their way and there is nothing to give
    o_idle : no job, no chunk
    """

    def __init__(self, config: Config, chunk_bytes: int, *, single_row: bool = False):
        if not 1 <= chunk_bytes <= config.port_bytes or chunk_bytes & (chunk_bytes - 1):
            raise ValueError(f"chunk_bytes = {chunk_bytes}; it must be a power of two from 1 to port_bytes, "
                             f"{config.port_bytes}")
        self._config, self._chunk_bytes, self._single_row = config, chunk_bytes, single_row
        super().__init__({
            "i_job": In(stream.Signature(SegmentJob())),
            "o": Out(stream.Signature(Chunk(chunk_bytes))),
            "o_request": Out(stream.Signature(ReadRequest(config))),
            "i_beat": In(stream.Signature(ReadBeat(config), always_ready=True)),
            "o_waiting": Out(1),
            "o_idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        job = self.i_job.payload
        active = Signal()
        start, done = Signal(), Signal()
        strided = Signal()
        m.d.comb += [
            self.i_job.ready.eq(~active),
            start.eq(self.i_job.valid & ~active & (job.rows != 0) & (job.row_bytes != 0)),
            self.o_idle.eq(~active & ~self.o.valid),
        ]
        with m.If(start):
            m.d.sync += active.eq(1)
            if not self._single_row:
                m.d.sync += strided.eq(job.stride != job.row_bytes)
        with m.Elif(done):
            m.d.sync += active.eq(0)

        m.submodules.buffer = buffer = BlockQueue(8 * self._config.port_bytes, self._config.read_buffer_beats)
        m.d.comb += [buffer.i.valid.eq(self.i_beat.valid), buffer.i.payload.eq(self.i_beat.payload.data)]
        self._ask(m, start, strided, buffer.o_freed)
        self._answer(m, start, strided, done, buffer.o)
        return m

    # ---- requests ------------------------------------------------------------------------------------

    def _plan(self, m: Module, start, strided, planned, planned_valid, issue) -> None:
        """The next burst, as far as the job is known."""
        job = self.i_job.payload
        beat_log2 = log2_exact(self._config.port_bytes)
        asking = Signal()
        position = Signal(ADDRESS_BITS - beat_log2)  # beat to be asked next
        last = Signal(ADDRESS_BITS)                  # last byte that is known to be wanted
        last_beat = last[beat_log2:]
        same, exhausted, plan = Signal(), Signal(), Signal()
        m.d.comb += [
            same.eq(last_beat[BURST_LOG2:] == position[BURST_LOG2:]),
            plan.eq(asking & (strided | ~same | exhausted) & (~planned_valid | issue)),
        ]
        with m.If(issue):
            m.d.sync += planned_valid.eq(0)
        with m.If(plan):
            m.d.sync += [
                planned_valid.eq(1),
                planned.address.eq(position << beat_log2),
                planned.beats.eq(Mux(same, last_beat[:BURST_LOG2], MAX_BURST_BEATS - 1)
                                 - position[:BURST_LOG2]),
            ]
            with m.If(~same):
                m.d.sync += position.eq(Cat(Const(0, BURST_LOG2), position[BURST_LOG2:] + 1))
            with m.Elif(exhausted):
                m.d.sync += asking.eq(0)
        if self._single_row:
            m.d.comb += exhausted.eq(1)
        else:
            self._next_rows(m, start, strided, plan & same, exhausted, position, last)
        with m.If(start):
            m.d.sync += [
                asking.eq(1),
                position.eq(job.address[beat_log2:]),
                last.eq(job.address + job.row_bytes - 1),
            ]

    def _next_rows(self, m: Module, start, strided, row_done, exhausted, position, last) -> None:
        job = self.i_job.payload
        row = Signal(ADDRESS_BITS)       # strided: first byte of the row
        step = Signal(ADDRESS_BITS)      # strided: from row to row; else: bytes of the rows added next
        more = Signal(32)                # strided: rows after this one; else: bits not yet multiplied
        next_row = Signal(ADDRESS_BITS)
        m.d.comb += [exhausted.eq(more == 0), next_row.eq(row + step)]
        with m.If(strided):
            with m.If(row_done & ~exhausted):
                m.d.sync += [
                    position.eq(next_row[ADDRESS_BITS - len(position):]), row.eq(next_row),
                    last.eq(last + step), more.eq(more - 1),
                ]
        with m.Else():
            # A contiguous run is `rows` times `row_bytes` long: multiplied bit by bit while the first bursts
            # are on their way, so that bursts of short rows are long too.
            m.d.sync += [more.eq(more >> 1), step.eq(step << 1)]
            with m.If(more[0]):
                m.d.sync += last.eq(last + step)
        with m.If(start):
            m.d.sync += [row.eq(job.address), step.eq(job.stride), more.eq(job.rows - 1)]

    def _ask(self, m: Module, start, strided, freed) -> None:
        """A planned burst is asked as soon as there is room for all of it."""
        depth = self._config.read_buffer_beats
        planned, planned_valid = Signal(ReadRequest(self._config)), Signal()
        issue, asked = Signal(), Signal(BURST_LOG2 + 1)
        free = Signal(range(depth + 1), init=depth)  # places of the buffer nobody has asked for
        outstanding = Signal(range(depth + 1))
        self._plan(m, start, strided, planned, planned_valid, issue)
        m.d.comb += [
            issue.eq(planned_valid & (planned.beats < free) & (~self.o_request.valid | self.o_request.ready)),
            asked.eq(Mux(issue, planned.beats + 1, 0)),
            self.o_waiting.eq((outstanding != 0) & ~self.o.valid),
        ]
        with m.If(issue):
            m.d.sync += [self.o_request.valid.eq(1), self.o_request.payload.eq(planned)]
        with m.Elif(self.o_request.ready):
            m.d.sync += self.o_request.valid.eq(0)
        m.d.sync += [
            free.eq(free - asked + freed),
            outstanding.eq(outstanding + asked - self.i_beat.valid),
        ]

    # ---- chunks --------------------------------------------------------------------------------------

    def _answer(self, m: Module, start, strided, done, beats) -> None:
        config, job, chunk_bytes = self._config, self.i_job.payload, self._chunk_bytes
        port_bytes = config.port_bytes
        beat_log2, chunk_log2 = log2_exact(port_bytes), log2_exact(chunk_bytes)
        running = Signal()
        offset = Signal(beat_log2)                   # of the next chunk in the window
        chunks_left = Signal(32 - chunk_log2)        # of the row, less one
        tail = Signal(range(chunk_bytes + 1))        # bytes of a row's last chunk
        row_last, last_row = Signal(), Signal()      # the row's last chunk, the job's last row

        # The window: two beats, so that any chunk lies in it.
        current, following = Signal(8 * port_bytes), Signal(8 * port_bytes)
        have_current, have_following = Signal(), Signal()

        last, drop = Signal(), Signal()
        count = Signal(range(chunk_bytes + 1))
        end = Signal(range(port_bytes + chunk_bytes))  # of the chunk in the window
        crosses, emit = Signal(), Signal()
        m.d.comb += [
            last.eq(row_last & last_row),
            drop.eq((row_last & strided) | last),
            count.eq(Mux(row_last, tail, chunk_bytes)),
            end.eq(offset + count),
            crosses.eq(end > port_bytes),
            emit.eq(running & have_current & (~crosses | have_following)
                    & (~self.o.valid | self.o.ready)),
            done.eq(emit & last),
        ]

        # ---- window moves ----
        leaves, leaves_both, keeps_following = Signal(), Signal(), Signal()
        m.d.comb += [
            leaves.eq(emit & (drop | (end >= port_bytes))),
            leaves_both.eq(emit & drop & crosses),
            keeps_following.eq(have_following & ~leaves_both),
            beats.ready.eq(~have_following | leaves),
        ]
        with m.If(~have_current | leaves):
            m.d.sync += [
                have_current.eq(keeps_following | beats.valid),
                have_following.eq(keeps_following & beats.valid),
                current.eq(Mux(keeps_following, following, beats.payload)),
            ]
        with m.Elif(~have_following):
            m.d.sync += have_following.eq(beats.valid)
        with m.If(~have_following | leaves):
            m.d.sync += following.eq(beats.payload)

        # ---- counts ----
        longest, fits = Signal(32), Signal()
        m.d.comb += [longest.eq(job.row_bytes - 1), fits.eq(job.row_bytes <= chunk_bytes)]
        with m.If(emit):
            m.d.sync += [offset.eq(end), chunks_left.eq(chunks_left - 1), row_last.eq(chunks_left == 1)]
            with m.If(last):
                m.d.sync += running.eq(0)
        if self._single_row:
            m.d.comb += last_row.eq(1)
        else:
            self._count_rows(m, start, strided, emit & row_last, longest, fits, offset, chunks_left, row_last,
                             last_row)
        with m.If(start):
            m.d.sync += [
                running.eq(1), offset.eq(job.address),
                chunks_left.eq(longest >> chunk_log2), row_last.eq(fits),
                tail.eq(longest[:chunk_log2] + 1),
            ]
        self._output(m, emit, count, row_last, last, tail, Cat(current, following) >> (offset << 3))

    def _count_rows(self, m: Module, start, strided, row_done, longest, fits, offset, chunks_left, row_last,
                    last_row) -> None:
        job = self.i_job.payload
        row_offset, stride = Signal.like(offset), Signal.like(offset)
        next_offset = Signal.like(offset)
        chunks, one_chunk = Signal.like(chunks_left), Signal()
        rows_left = Signal(32)           # less one
        first_chunks = longest >> log2_exact(self._chunk_bytes)
        m.d.comb += next_offset.eq(row_offset + stride)
        with m.If(row_done):
            m.d.sync += [
                chunks_left.eq(chunks), row_last.eq(one_chunk),
                rows_left.eq(rows_left - 1), last_row.eq(rows_left == 1),
                row_offset.eq(next_offset),
            ]
            with m.If(strided):
                m.d.sync += offset.eq(next_offset)
        with m.If(start):
            m.d.sync += [
                row_offset.eq(job.address), stride.eq(job.stride),
                chunks.eq(first_chunks), one_chunk.eq(fits),
                rows_left.eq(job.rows - 1), last_row.eq(job.rows == 1),
            ]

    def _output(self, m: Module, emit, count, row_last, last, tail, shifted) -> None:
        """The output register: the shifted window, without what lies past the chunk."""
        window = Signal(8 * self._chunk_bytes)
        m.d.comb += window.eq(shifted)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(emit):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.count.eq(count),
                self.o.payload.row_last.eq(row_last),
                self.o.payload.last.eq(last),
            ]
            for number in range(self._chunk_bytes):
                # Full chunks need no mask, so the comparison is with the job's constant.
                m.d.sync += self.o.payload.data.word_select(number, 8).eq(
                    Mux(row_last & (tail <= number), 0, window.word_select(number, 8)))
