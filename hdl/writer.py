"""Writes chunks of bytes to a two-dimensional piece of memory."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .axi import AxiAddress, AxiWrite, AxiWriteResponse
from .block_queue import BlockQueue
from .config import ADDRESS_BITS, MAX_BURST_BEATS, Config, log2_exact
from .head_queue import HeadQueue
from .layouts import WriteChunk, WriteJob
from .level import count_both_ways

__all__ = ["SegmentWriter"]

BURST_LOG2 = log2_exact(MAX_BURST_BEATS)
BEAT_QUEUE = 2 * MAX_BURST_BEATS
BURST_QUEUE = 8
OUTSTANDING_LOG2 = 6


def _Placed(config: Config) -> data.StructLayout:
    """A chunk, turned so that every byte is at its place in a beat."""
    return data.StructLayout({
        "data": 8 * config.port_bytes,
        "low": config.port_bytes,    # bytes that belong to the open beat
        "high": config.port_bytes,   # bytes that belong to the beat after it
        "fills": 1,                  # the open beat's last byte is there
        "spills": 1,                 # some byte of `high` is
        "flushes": 1,                # the segment ends: nothing is kept back
        "job_last": 1,
        # A scattered job's segment begins in this beat.
        **({"opens": 1, "beat": ADDRESS_BITS - log2_exact(config.port_bytes)} if config.csr_out else {}),
    })


def _Burst(config: Config) -> data.StructLayout:
    """A burst to be sent: its first beat, and its number of beats less one."""
    return data.StructLayout({"beat": ADDRESS_BITS - log2_exact(config.port_bytes), "length": BURST_LOG2})


def _Unanswered(config: Config) -> data.StructLayout:
    """A burst on its way."""
    return data.StructLayout({"job_last": 1, "beat": ADDRESS_BITS - log2_exact(config.port_bytes)})


class SegmentWriter(wiring.Component):
    """Packs chunks into beats from any byte address on and sends them as bursts, one job after the other.

    Throughput: one full chunk a cycle; the end of a strided row costs a cycle more where it spills into a
    second beat.
    Latency: three cycles from the chunk that closes a burst to its first beat.
    Backpressure: two bursts are buffered; then `i` stalls.
    Order: kept. A burst is sent when all its beats are there: at a multiple of `burst_bytes`, at the end of a
    strided row, and at the end of the job. Its data never comes before its address.

    Every job has a byte at least. Rows are counted; a chunk's `last` is looked at in
    scattered jobs only, where a segment that spills into a second beat costs a cycle more, as a row does.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_job : stream of WriteJob
    i : stream of WriteChunk; any count from 1 on, also within a row; none crosses a row's end
    aw, w, b : the memory's write channels; `b` is always taken
    o_error, o_error_address : an error response came, for one cycle, to the burst at that address
    o_job_written : the last burst of a job was answered, for one cycle
    o_idle : no job, every response has come
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_job": In(stream.Signature(WriteJob(config))),
            "i": In(stream.Signature(WriteChunk(config))),
            "aw": Out(stream.Signature(AxiAddress())),
            "w": Out(stream.Signature(AxiWrite(config.port_bytes))),
            "b": In(stream.Signature(AxiWriteResponse())),
            "o_error": Out(1),
            "o_error_address": Out(ADDRESS_BITS),
            "o_job_written": Out(1),
            "o_idle": Out(1),
        })

    def elaborate(self, platform):
        config, job = self._config, self.i_job.payload
        m = Module()
        active, strided, scattered = Signal(), Signal(), Signal()
        start, load, done = Signal(), Signal(), Signal()      # `load` one cycle after `start`
        m.d.comb += [
            self.i_job.ready.eq(~active),
            start.eq(self.i_job.valid & ~active),
        ]
        m.d.sync += load.eq(start)
        with m.If(start):
            m.d.sync += [active.eq(1), strided.eq(job.stride != job.row_bytes)]
            if config.csr_out:
                m.d.sync += scattered.eq(job.scattered)
        with m.Elif(done):
            m.d.sync += active.eq(0)

        m.submodules.beats = beats = BlockQueue(AxiWrite(config.port_bytes), BEAT_QUEUE,
                                                however_shallow=config.block_queues)
        # The memory's gate works out what an address is: it comes from a register.
        m.submodules.bursts = bursts = HeadQueue(_Burst(config), BURST_QUEUE, config.fetch_block_queues)
        outstanding = Signal(OUTSTANDING_LOG2 + 1)   # bursts closed and not yet answered
        room = Signal()
        # A register, as `i.ready` hangs on it: each of the last places is for a beat pushed in the cycle of
        # the count.
        m.d.sync += room.eq((beats.level < BEAT_QUEUE - 1) & (bursts.level < BURST_QUEUE - 1)
                            & (outstanding < (1 << OUTSTANDING_LOG2) - 1))

        placed = Signal(_Placed(config))
        placed_valid, placed_taken = Signal(), Signal()
        self._place(m, load, active, strided, scattered, placed, placed_valid, placed_taken)
        push, rest, closes = self._merge(m, placed, placed_valid, placed_taken, room, beats.i)
        opens = (placed_valid & placed.opens & ~rest) if config.csr_out else Const(0)
        self._close(m, load, active, push, closes, opens, placed, bursts.i)
        self._send(m, beats.o, bursts.o)
        m.d.comb += [
            done.eq(push & closes.segment & placed.job_last),
            self.b.ready.eq(1),
            self.o_idle.eq(~active & (outstanding == 0)),
        ]
        m.d.sync += outstanding.eq(outstanding + (push & closes.burst) - self.b.valid)
        self._answers(m, push & closes.burst, done, bursts.i.payload.beat)
        return m

    def _answers(self, m: Module, burst_closed, job_closed, beat) -> None:
        """Remembers every burst until it is answered."""
        m.submodules.unanswered = unanswered = BlockQueue(_Unanswered(self._config), 1 << OUTSTANDING_LOG2)
        beat_log2 = log2_exact(self._config.port_bytes)
        burst = unanswered.o.payload
        m.d.comb += [
            unanswered.i.valid.eq(burst_closed),
            unanswered.i.payload.job_last.eq(job_closed),
            unanswered.i.payload.beat.eq(beat),
            unanswered.o.ready.eq(self.b.valid),
        ]
        m.d.sync += [
            self.o_error.eq(self.b.valid & self.b.payload.response[1]),
            self.o_error_address.eq(burst.beat << beat_log2),
            self.o_job_written.eq(self.b.valid & burst.job_last),
        ]

    # ---- stage 1: the chunk turned to its place in the beats ---------------------------------------------

    def _place(self, m: Module, load, active, strided, scattered, placed, placed_valid, placed_taken
               ) -> None:
        job, chunk = self.i_job.payload, self.i.payload
        port_bytes = self._config.port_bytes
        beat_log2 = log2_exact(port_bytes)
        filling = Signal()                           # chunks of the job are still to come
        next_offset, offset = Signal(beat_log2), Signal(beat_log2)   # of a chunk's first byte in its beat
        row_offset, stride = Signal(beat_log2), Signal(beat_log2)
        rows_left = Signal(33)                       # less one: below 0 in the last one
        end = Signal(range(2 * port_bytes))
        job_last, next_row_offset = Signal(), Signal(beat_log2)
        turned = Signal(8 * port_bytes)
        m.d.comb += [
            self.i.ready.eq(filling & (~placed_valid | placed_taken)),
            end.eq(offset + chunk.count),
            offset.eq(next_offset),
            job_last.eq(chunk.row_last & rows_left[-1]),
            next_row_offset.eq(row_offset + stride),
            turned.eq((Cat(chunk.data, chunk.data) << (offset << 3))[8 * port_bytes:]),
        ]
        with m.If(placed_taken):
            m.d.sync += placed_valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                placed_valid.eq(1),
                placed.data.eq(turned),
                placed.low.eq(Cat((number >= offset) & (number < end) for number in range(port_bytes))),
                placed.high.eq(Cat(number + port_bytes < end for number in range(port_bytes))),
                placed.fills.eq(end >= port_bytes),
                placed.spills.eq(end > port_bytes),
                placed.flushes.eq((chunk.row_last & (strided | scattered)) | job_last),
                placed.job_last.eq(job_last),
                next_offset.eq(end),
            ]
            with m.If(chunk.row_last & strided):
                m.d.sync += [next_offset.eq(next_row_offset), row_offset.eq(next_row_offset)]
            with m.If(job_last):
                m.d.sync += filling.eq(0)
        with m.If(~active):
            m.d.sync += [
                next_offset.eq(job.address), row_offset.eq(job.address), stride.eq(job.stride),
            ]
        with m.If(load):
            m.d.sync += filling.eq(1)
        with m.If(~active | load | (self.i.valid & self.i.ready & chunk.row_last)):
            # One subtraction, whose operand the carry cells can choose.
            m.d.sync += rows_left.eq(Mux(active, rows_left, job.rows) - 1)
        if self._config.csr_out:
            opens = Signal()                         # the next chunk is the first of its segment
            with m.If(scattered):
                m.d.comb += job_last.eq(chunk.last)
                with m.If(opens):
                    m.d.comb += offset.eq(chunk.at)
            with m.If(self.i.valid & self.i.ready):
                m.d.sync += [placed.opens.eq(scattered & opens), placed.beat.eq(chunk.at >> beat_log2),
                             opens.eq(chunk.row_last)]
            with m.If(~active):
                m.d.sync += opens.eq(1)

    # ---- stage 2: the open beat ----------------------------------------------------------------------------

    def _merge(self, m: Module, placed, placed_valid, placed_taken, room, output):
        """Adds the placed chunk to the open beat; passes the beat on when it is full or its segment ends."""
        config = self._config
        partial = Signal(AxiWrite(config.port_bytes))
        rest = Signal()                              # only the spilled bytes of `placed` are left to pass on
        push = Signal()
        closes = Signal(data.StructLayout({"burst": 1, "segment": 1}))
        merged = Signal(8 * config.port_bytes)
        low = Signal(config.port_bytes)
        m.d.comb += [
            low.eq(Mux(rest, 0, placed.low)),
            merged.eq(Cat(
                Mux(low[number], placed.data.word_select(number, 8), partial.data.word_select(number, 8))
                for number in range(config.port_bytes))),
            output.payload.data.eq(merged),
            output.payload.strobe.eq(partial.strobe | low),
            output.payload.last.eq(closes.burst),
            output.valid.eq(push),
            push.eq(placed_valid & room & (placed.fills | placed.flushes)),
            closes.segment.eq(placed.flushes & (rest | ~placed.spills)),
            placed_taken.eq(placed_valid & Mux(placed.fills | placed.flushes,
                                               push & (closes.segment | ~placed.flushes), 1)),
        ]
        with m.If(push):
            m.d.sync += [
                partial.data.eq(placed.data),
                partial.strobe.eq(Mux(closes.segment, 0, placed.high)),
                rest.eq(placed.flushes & ~closes.segment),
            ]
        with m.Elif(placed_taken):
            m.d.sync += [partial.data.eq(merged), partial.strobe.eq(partial.strobe | low)]
        return push, rest, closes

    # ---- stage 2: where the beat goes, and whether it ends a burst -----------------------------------------

    def _close(self, m: Module, load, active, push, closes, opens, placed, burst_out) -> None:
        job = self.i_job.payload
        beat_log2 = log2_exact(self._config.port_bytes)
        here, position = (Signal(ADDRESS_BITS - beat_log2, name=name)   # of the open beat, in beats
                          for name in ("here", "position"))
        row, stride = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)        # first byte of the next row
        opened, first = Signal(), Signal(BURST_LOG2)  # a burst is open; its first beat in its block
        start_beat, sets = Signal(BURST_LOG2), Signal()
        m.d.comb += [
            position.eq(here),
            closes.burst.eq(closes.segment | position[:BURST_LOG2].all()),
            start_beat.eq(Mux(opened, first, position[:BURST_LOG2])),
            sets.eq(load | (push & closes.segment)),
            burst_out.valid.eq(push & closes.burst),
            burst_out.payload.beat.eq(Cat(start_beat, position[BURST_LOG2:])),
            burst_out.payload.length.eq(position[:BURST_LOG2] - start_beat),
        ]
        if self._config.csr_out:
            with m.If(opens):
                m.d.comb += position.eq(placed.beat)
        with m.If(push):
            m.d.sync += [opened.eq(~closes.burst), first.eq(start_beat)]
        # Where the next beat goes; what it is that is counted from is chosen in the same carry cells.
        m.d.sync += here.eq(Mux(sets, row[beat_log2:], position) + (push & ~closes.segment))
        with m.If(~active):
            m.d.sync += [row.eq(job.address), stride.eq(job.stride)]
        with m.Elif(sets):
            m.d.sync += row.eq(row + stride)

    # ---- stage 3: to the memory ----------------------------------------------------------------------------

    def _send(self, m: Module, beats, bursts) -> None:
        # Addresses taken less bursts of data sent, plus one. Data may start together with its address (no
        # master may wait for one with the other) but never gets further ahead.
        lead = Signal(OUTSTANDING_LOG2 + 2, init=1)
        send = Signal()
        taken, sent = self.aw.valid & self.aw.ready, self.w.valid & self.w.ready & self.w.payload.last
        if self._config.far_registers:
            # The memory's side is far: an address counts a cycle later, until then like one that is offered.
            # What is compared is known before it is known what comes and goes.
            took, ahead, even, behind = Signal(), Signal(), Signal(init=1), Signal()
            m.d.sync += [
                took.eq(taken),
                ahead.eq(Mux(took == sent, lead > 1, Mux(took, lead > 0, lead > 2))),
                even.eq(Mux(took == sent, lead == 1, Mux(took, lead == 0, lead == 2))),
                behind.eq(Mux(took == sent, lead == 0, ~took & (lead == 1))),
            ]
            may_send = ahead | (even & (bursts.valid | took)) | (behind & bursts.valid & took)
            counted = took
        else:
            may_send, counted = (lead > 1) | ((lead == 1) & bursts.valid), taken
        m.d.comb += [
            self.aw.valid.eq(bursts.valid),
            self.aw.payload.address.eq(bursts.payload.beat << log2_exact(self._config.port_bytes)),
            self.aw.payload.length.eq(bursts.payload.length),
            bursts.ready.eq(self.aw.ready),
            send.eq(may_send),
            self.w.valid.eq(beats.valid & send),
            self.w.payload.eq(beats.payload),
            beats.ready.eq(self.w.ready & send),
        ]
        count_both_ways(m, lead, counted, sent)
