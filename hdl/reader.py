"""Reads a two-dimensional piece of memory and hands it on in chunks of bytes."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .block_queue import BlockQueue
from .config import ADDRESS_BITS, MAX_BURST_BEATS, Config, log2_exact
from .layouts import Chunk, ReadBeat, ReadRequest, SegmentJob
from .skid import Skid

__all__ = ["SegmentReader"]

BURST_LOG2 = log2_exact(MAX_BURST_BEATS)


class SegmentReader(wiring.Component):
    """Asks for the bytes of one job after the other and cuts the answers, however aligned, into chunks.

    Throughput: one chunk a cycle, as far as beats come: one beat a cycle; one burst asked a cycle. A row with
    gaps around it whose last chunk lies in two beats costs a cycle more.
    Latency: three cycles from a job to its first request, five from a beat to its first chunk. Short rows
    without gaps are asked for in long bursts: each of them takes a cycle, as it does at `o`, but for the
    first burst, which waits until as many are counted as fill it.
    Backpressure: nothing is asked before the buffer has room for the longest burst, so beats are
    always taken; a stalled `o` stops the requests when the buffer is spoken for.
    Order: that of the job; the next job is taken when the last chunk of the former is at the output.

    A job without rows or with empty rows yields nothing. Beats with `error` are treated as data.

    Parameters
    ----------
    config : Config
    chunk_bytes : int, bytes of a full chunk, a power of two up to `port_bytes`
    single_row : bool, build it for jobs of one row at most, at half the logic; `stride` is not looked at
    align_bytes : int, a power of two: addresses and strides are multiples of it (lower bits count as 0),
        sizes too, which saves a step of the shifter each time it doubles
    own_buffer : bool; without it beats come by way of a SharedBuffer
    shallow : bool, room for two bursts only instead of `read_buffer_beats`, which takes no block RAM: where
        little is read in a cycle

    Members
    -------
    i_job : stream of SegmentJob
    o : stream of Chunk(chunk_bytes)
    o_request : stream of ReadRequest
    i_beat : stream of ReadBeat, never stalled
    i_stored, i_freed : (without `own_buffer`) the data of the same beats, and that a place came free
    o_waiting : beats are on their way, up to the buffer's end, and there is nothing to give
    o_idle : no job, no chunk
    """

    def __init__(self, config: Config, chunk_bytes: int, *, single_row: bool = False,
                 align_bytes: int = 1, own_buffer: bool = True, shallow: bool = False):
        if not 1 <= chunk_bytes <= config.port_bytes or chunk_bytes & (chunk_bytes - 1):
            raise ValueError(f"chunk_bytes = {chunk_bytes}; it must be a power of two from 1 to port_bytes, "
                             f"{config.port_bytes}")
        self._config, self._chunk_bytes, self._single_row = config, chunk_bytes, single_row
        self._align_log2 = log2_exact(align_bytes)
        self._own_buffer = own_buffer
        self._depth = 2 * MAX_BURST_BEATS if shallow else config.read_buffer_beats
        stored = {} if own_buffer else {"i_stored": In(stream.Signature(8 * config.port_bytes)),
                                        "i_freed": In(1)}
        super().__init__({
            **stored,
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
        active = self._active = Signal()
        start, done, empty = Signal(), Signal(), Signal()
        strided = Signal()
        self._load, self._begin = Signal(), Signal()   # one and two cycles after `start`
        self._longest = Signal(33)                     # row_bytes - 1
        self._offset = Signal(log2_exact(self._config.port_bytes))   # of the chunk in the window
        m.d.sync += [self._load.eq(start), self._begin.eq(self._load & ~empty)]
        m.d.comb += [
            self.i_job.ready.eq(~active),
            start.eq(self.i_job.valid & ~active & ((job.rows != 0) if self._single_row else 1)),
            self.o_idle.eq(~active & ~self.o.valid),
        ]
        with m.If(~active):
            m.d.sync += self._longest.eq(job.row_bytes - 1)
            if not self._single_row:
                m.d.sync += strided.eq(job.stride != job.row_bytes)
        with m.If(start):
            m.d.sync += active.eq(1)
        with m.Elif(done | (self._load & empty)):
            m.d.sync += active.eq(0)

        if self._own_buffer:
            m.submodules.buffer = buffer = BlockQueue(8 * self._config.port_bytes, self._depth,
                                                      however_shallow=self._config.block_queues)
            m.d.comb += [buffer.i.valid.eq(self.i_beat.valid), buffer.i.payload.eq(self.i_beat.payload.data)]
            freed, beats = buffer.o_freed, buffer.o
        else:
            freed, beats = self.i_freed, self.i_stored
        if self._config.far_registers:
            # Whether a beat leaves the window is known late, and the buffer's memory may be far away.
            m.submodules.skid = skid = Skid(8 * self._config.port_bytes)
            m.d.comb += [skid.i.p.eq(beats.p), skid.i.valid.eq(beats.valid), beats.ready.eq(skid.i.ready)]
            beats = skid.o
        self._ask(m, strided, empty, freed)
        self._answer(m, strided, done, beats)
        return m

    def _aligned(self, value: Value) -> Value:
        return Cat(Const(0, self._align_log2), value[self._align_log2:])

    def _count_down(self, m: Module, name: str, step) -> Signal:
        """Rows of the job behind this one, less one: below 0 at the last. It counts with each `step`, and
        before that when the job is taken and in the cycle after. Without a job it follows what is offered:
        the carry cells choose what is counted.
        """
        left = Signal(33, name=name)
        with m.If(~self._active | self._load | step):
            m.d.sync += left.eq(Mux(self._active, left, self.i_job.payload.rows) - 1)
        return left

    # ---- requests ------------------------------------------------------------------------------------

    def _ask(self, m: Module, strided, empty, freed) -> None:
        """The next burst, as far as the job is known, when there is room for the longest one."""
        request = self.o_request
        depth, beat_log2 = self._depth, log2_exact(self._config.port_bytes)
        asking = Signal()
        position = Signal(ADDRESS_BITS - beat_log2)  # beat to be asked next
        last = Signal(ADDRESS_BITS)                  # last byte that is known to be wanted
        last_beat = last[beat_log2:]
        same, exhausted, may, issue = Signal(), Signal(), Signal(), Signal()
        issued = Signal()                            # the burst at the output is not yet counted
        asked = Signal(range(MAX_BURST_BEATS + 1))
        leaves = Signal()                            # a place came free in the cycle before
        free = Signal(range(depth + 1), init=depth)  # places of the buffer nobody has asked for
        # Room for the longest burst after the one at the output, whose length is taken for 8 or 16: an exact
        # sum would be on the longest path.
        room = free[BURST_LOG2 + 1:].any() | (
            free[BURST_LOG2] & (~issued | (free[BURST_LOG2 - 1] & ~request.payload.beats[-1])))
        m.d.comb += [
            # `position` never passes the block of `last` while something is asked for: a carry chain says
            # whether it is there, faster than a tree of LUTs. It comes last.
            same.eq(~(position[BURST_LOG2:] - last_beat[BURST_LOG2:])[-1]),
            may.eq(asking & room & (~request.valid | request.ready)),
            issue.eq(may & (strided | ~same | exhausted)),
            asked.eq(Mux(issued, request.payload.beats + 1, 0)),
            self.o_waiting.eq(~free[-1] & ~self.o.valid),
        ]
        m.d.sync += [
            issued.eq(issue),
            leaves.eq(freed),
            free.eq(free - asked + leaves),
        ]
        with m.If(issue):
            m.d.sync += [
                request.valid.eq(1),
                request.payload.address.eq(position << beat_log2),
                request.payload.beats.eq(Mux(same, last_beat[:BURST_LOG2], MAX_BURST_BEATS - 1)
                                         - position[:BURST_LOG2]),
            ]
        with m.Elif(request.ready):
            m.d.sync += request.valid.eq(0)
        with m.If(self._load & ~empty):
            m.d.sync += asking.eq(1)
        with m.Elif(may & same & exhausted):
            m.d.sync += asking.eq(0)
        if self._single_row:
            m.d.comb += [exhausted.eq(1), empty.eq(self._longest[-1])]
            with m.If(self._load):
                m.d.sync += last.eq(Cat(self._offset, position) + self._longest)
            sets, begins, base = ~self._active, ~self._active, self.i_job.payload.address[beat_log2:]
        else:
            sets, begins, base = self._next_rows(
                m, strided, asking, same, may & same, exhausted, empty, last)
        # Where the next burst begins: what it is counted from is chosen in the carry cells. Whether it is
        # needed comes last, and enables only; behind a job's last burst nobody looks at it.
        with m.If(begins | issue):
            m.d.sync += [
                position[:BURST_LOG2].eq(Mux(sets, base[:BURST_LOG2], 0)),
                position[BURST_LOG2:].eq(Mux(sets, base[BURST_LOG2:], position[BURST_LOG2:]) + ~sets),
            ]

    def _next_rows(self, m: Module, strided, asking, same, row_done, exhausted, empty, last
                   ) -> tuple[Value, Value, Value]:
        """Goes on from row to row: where there are gaps when one is done, else one a cycle, so that the first
        bursts of a run of short rows are long, too. Whether the next position is one that is set, whether it
        is set for the job's first burst, and to what.
        """
        job = self.i_job.payload
        row, stride = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)   # first byte of the row behind `last`
        longer = Signal()
        more = self._count_down(m, "more", longer)
        m.d.comb += [
            exhausted.eq(more[-1]),
            empty.eq(self._longest[-1] | more[-1]),
            longer.eq(~exhausted & Mux(strided, row_done, asking)),
        ]
        with m.If(self._load | longer):
            m.d.sync += last.eq(row + self._longest)
        with m.If(~self._active):
            m.d.sync += [row.eq(self._aligned(job.address)), stride.eq(self._aligned(job.stride))]
        with m.Elif(self._load | longer):
            m.d.sync += row.eq(row + stride)
        return self._load | (strided & same), self._load, row[log2_exact(self._config.port_bytes):]

    # ---- chunks --------------------------------------------------------------------------------------

    def _answer(self, m: Module, strided, done, beats) -> None:
        port_bytes, chunk_bytes = self._config.port_bytes, self._chunk_bytes
        running = Signal()
        offset = self._offset
        end = Signal(range(port_bytes + chunk_bytes))  # of the same
        count = Signal(range(chunk_bytes + 1))         # its bytes
        row_last, last_row = Signal(), Signal()        # the row's last chunk, the job's last row
        # The window: two beats, so that any chunk lies in it. Beats move up through it, one register behind
        # the other, so that nothing stands between the buffer's memory and a register.
        current, following = Signal(8 * port_bytes), Signal(8 * port_bytes)
        have_current, have_following = Signal(), Signal()

        last, drop = Signal(), Signal()
        crosses, emit = Signal(), Signal()             # it lies in both beats; it goes to the output
        leaves, leaves_both = Signal(), Signal()
        m.d.comb += [
            last.eq(row_last & last_row),
            drop.eq((row_last & strided) | last),
            emit.eq(running & have_current & (~crosses | have_following)
                    & (~self.o.valid | self.o.ready)),
            done.eq(emit & last),
            leaves.eq(emit & (drop | (end >= port_bytes))),
            leaves_both.eq(emit & drop & crosses),
            beats.ready.eq(~have_following | ~have_current | leaves),
        ]
        with m.If(beats.ready):
            m.d.sync += [following.eq(beats.payload), have_following.eq(beats.valid)]
        with m.If(~have_current | leaves):
            m.d.sync += [current.eq(following), have_current.eq(have_following & ~leaves_both)]

        with m.If(done):
            m.d.sync += running.eq(0)
        with m.If(self._begin):
            m.d.sync += running.eq(1)
        self._count(m, strided, emit, end, crosses, count, row_last, last_row)
        self._output(m, emit, count, row_last, last, Cat(current, following), offset)

    def _count(self, m: Module, strided, emit, end, crosses, count, row_last, last_row) -> None:
        """Where the next chunk lies is worked out while this one leaves. So is whether it is its row's last:
        what is counted is below 0 already when one is left, and nothing waits for a subtraction.
        """
        chunk_bytes, offset = self._chunk_bytes, self._offset
        chunk_log2 = log2_exact(chunk_bytes)
        tail = Signal(range(chunk_bytes + 1))          # bytes of a row's last chunk
        chunks = self._longest[chunk_log2:32]          # of a row, less one
        left = Signal(33 - chunk_log2)                 # behind this chunk, less one
        one_chunk, first, next_last = Signal(), Signal(), Signal()
        new_left = Signal.like(left)
        new_offset, new_count, new_end = Signal.like(offset), Signal.like(count), Signal.like(end)
        m.d.comb += [
            first.eq(row_last | self._load | self._begin),
            next_last.eq(Mux(first, one_chunk, left[-1])),
            # Less two for a row's first chunk, else, and while the job is loaded, less one: one addition,
            # which the carry cells choose the operand of.
            new_left.eq(Mux(first, chunks, left) + Cat(~first | self._load, Const(-1, len(left) - 1))),
            new_offset.eq(end),
            new_count.eq(Mux(next_last, tail, chunk_bytes)),
            new_end.eq(new_offset + new_count),
        ]
        with m.If(self._load):
            m.d.sync += [tail.eq(self._longest[:chunk_log2] + 1), one_chunk.eq(new_left[-1])]
        if self._single_row:
            m.d.comb += last_row.eq(1)
        else:
            self._count_rows(m, strided, emit, row_last, last_row, new_offset)
        with m.If(~self._active):
            m.d.sync += offset.eq(self._aligned(self.i_job.payload.address))
        with m.If(self._begin):
            m.d.comb += new_offset.eq(offset)
        with m.If(emit | self._begin):
            m.d.sync += [
                offset.eq(self._aligned(new_offset)),
                count.eq(new_count),
                end.eq(new_end),
                crosses.eq(new_end > self._config.port_bytes),
                row_last.eq(next_last),
                left.eq(new_left),
            ]

    def _count_rows(self, m: Module, strided, emit, row_last, last_row, new_offset) -> None:
        job = self.i_job.payload
        row_offset, stride, next_offset = (Signal.like(new_offset) for _ in range(3))
        rows_left = self._count_down(m, "rows_left", emit & row_last)
        m.d.comb += [last_row.eq(rows_left[-1]), next_offset.eq(row_offset + stride)]
        with m.If(strided & row_last):
            m.d.comb += new_offset.eq(next_offset)
        with m.If(~self._active):
            m.d.sync += [row_offset.eq(self._aligned(job.address)), stride.eq(self._aligned(job.stride))]
        with m.Elif(emit & row_last):
            m.d.sync += row_offset.eq(next_offset)

    def _output(self, m: Module, emit, count, row_last, last, window, offset) -> None:
        """The output register: the shifted window, without what lies past the chunk."""
        chunk_bytes = self._chunk_bytes
        shifted = window
        # The large steps first, and no further than the chunk needs: the fewest multiplexers.
        for log2 in reversed(range(self._align_log2, len(offset))):
            width = 8 * (chunk_bytes + (1 << log2) - (1 << self._align_log2))
            moved = Signal(width, name=f"moved_{1 << log2}")
            m.d.comb += moved.eq(Mux(offset[log2], shifted[8 << log2:], shifted))
            shifted = moved
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(emit):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.count.eq(count),
                self.o.payload.row_last.eq(row_last),
                self.o.payload.last.eq(last),
            ]
            for number in range(chunk_bytes):
                m.d.sync += self.o.payload.data.word_select(number, 8).eq(
                    Mux(count > number, shifted.word_select(number, 8), 0))
