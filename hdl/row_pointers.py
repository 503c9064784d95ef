"""From row pointers to row ends in units of token chunks."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .block_queue import queue_anywhere
from .config import Config, log2_exact
from .fetch_layouts import RowEndPair, RowJob, gap_bits, position_bits
from .layouts import ROW_ENDS, Chunk

__all__ = ["RowPointers", "pointer_chunk_bytes"]

POINTER_BYTES = 4
QUEUE_DEPTH = 16
QUEUE_MARGIN = 5
"""Places that pairs in the pipeline, and one taken before `room` falls, can still need."""

DENSE_SETTLES = 2
"""Stages from a dense job that is held to the place of its row ends."""


def pointer_chunk_bytes(config: Config, row_ends: int = ROW_ENDS) -> int:
    """As many row pointers a chunk as there are row ends in a pair, where the memory port is wide enough."""
    return min(row_ends * POINTER_BYTES, config.port_bytes)


class RowPointers(wiring.Component):
    """Says how many token chunks lie between row ends, whatever the row pointers are.

    Throughput: one chunk of pointers, one or two, a cycle; dense: `row_ends` a cycle.
    Latency: four cycles from a chunk of pointers; dense: three from the job. One more with
        `fetch_block_queues`.
    Backpressure: the pipeline never stalls; pointers are taken while the queue behind it has room for
        everything on its way.
    Order: kept.

    Row ends never decrease and never pass the last entry: from the first pointer on that does, all row ends
    come after the last entry. Every such pointer raises `o_fault`, as does a last pointer that is not
    first + nnz. So the row ends of a job never ask for more token chunks than there are.

    Parameters
    ----------
    config : Config
    row_ends : 1 or 2, the most that a pair holds

    Members
    -------
    i_job : stream of RowJob, rows > 0
    i : stream of Chunk(pointer_chunk_bytes): row pointers from the second on, int32; its `last` ends the job
    o : stream of RowEndPair; where chunks hold two pointers, only the pair that ends the job may hold one
    o_fault : pulse, a row pointer is wrong
    o_passed : a chunk of pointers has been looked at, the one that `o_fault` is about
    o_idle : no job
    """

    def __init__(self, config: Config, row_ends: int = ROW_ENDS):
        self._config, self._row_ends = config, row_ends
        self._pointers = pointer_chunk_bytes(config, row_ends) // POINTER_BYTES   # in a chunk
        super().__init__({
            "i_job": In(stream.Signature(RowJob(config))),
            "i": In(stream.Signature(Chunk(pointer_chunk_bytes(config, row_ends)))),
            "o": Out(stream.Signature(RowEndPair(config))),
            "o_fault": Out(1),
            "o_passed": Out(1),
            "o_idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = self._queue = queue = queue_anywhere(
            RowEndPair(self._config), QUEUE_DEPTH, self._config.fetch_block_queues)
        connect(m, queue.o, flipped(self.o))
        job = Signal(RowJob(self._config))
        active, open_input = Signal(), Signal()
        start, room = Signal(), Signal()
        ends = queue.i.p.ends
        m.d.comb += [
            self.o_idle.eq(~active & (queue.level == 0) & ~queue.o.valid),
            self.i_job.ready.eq(~active),
            start.eq(self.i_job.valid & self.i_job.ready),
            self.i.ready.eq(open_input & room),
        ]
        m.d.sync += room.eq(queue.level <= QUEUE_DEPTH - QUEUE_MARGIN)
        with m.If(start):
            m.d.sync += [job.eq(self.i_job.p), active.eq(1), open_input.eq(~self.i_job.p.dense)]
        with m.If(self.i.valid & self.i.ready & self.i.p.last):
            m.d.sync += open_input.eq(0)
        with m.If(queue.i.valid & queue.i.ready & (ends[0].final | ends[1].final)):
            m.d.sync += active.eq(0)

        relative = self._relative(m, job)
        checked = self._check(m, job, start, relative)
        placed = self._place(m, job, checked)
        m.d.comb += self.o_passed.eq(placed.valid)
        self._output(m, job, active, start, placed)
        return m

    def _relative(self, m: Module, job):
        """Stage 1: entry numbers instead of pointers; negative ones come out large."""
        chunk = self.i.p
        relative = Signal(data.StructLayout({
            "valid": 1, "second": 1, "last": 1, "entry": data.ArrayLayout(32, ROW_ENDS)}))
        m.d.sync += [
            relative.valid.eq(self.i.valid & self.i.ready),
            relative.last.eq(chunk.last),
            *(relative.entry[number].eq(chunk.data.word_select(number, 32) - job.first)
              for number in range(self._pointers)),
        ]
        if self._pointers == ROW_ENDS:
            m.d.sync += relative.second.eq(chunk.count > POINTER_BYTES)
        return relative

    def _check(self, m: Module, job, start, relative):
        """Stage 2: do they rise, and stay within the entries? After one that does not, none counts."""
        checked = Signal(data.StructLayout({
            "valid": 1, "second": 1, "last": 1, "entry": data.ArrayLayout(32, ROW_ENDS), "zero": ROW_ENDS,
            "ends": ROW_ENDS,        # after the last entry: the pointer does not count, or there is none
            "wrong": 1}))
        before, broken = Signal(32), Signal()   # the last entry of the chunk before; one was wrong
        wrong = Signal(ROW_ENDS)
        previous, failed = before, broken
        for number in range(self._pointers):
            entry = relative.entry[number]
            m.d.comb += wrong[number].eq(failed | (entry < previous) | (entry > job.nnz))
            previous, failed = entry, wrong[number]
        m.d.sync += [
            checked.valid.eq(relative.valid),
            checked.second.eq(relative.second),
            checked.last.eq(relative.last),
            checked.entry.eq(relative.entry),
            checked.zero.eq(Cat(entry == 0 for entry in relative.entry)),
            checked.ends.eq(wrong | job.dense.replicate(ROW_ENDS)),
            checked.wrong.eq(wrong[0] | (relative.second & wrong[1])),
        ]
        with m.If(relative.valid):
            # A chunk that is not full is the last one.
            m.d.sync += [before.eq(previous), broken.eq(failed)]
        with m.If(start):
            m.d.sync += [before.eq(0), broken.eq(0)]
        return checked

    def _place(self, m: Module, job, checked):
        """Stage 3: chunks and positions; dense rows all end where their entries do."""
        config = self._config
        shift = log2_exact(config.beat_tokens)
        placed = Signal(data.StructLayout({
            "valid": 1, "second": 1, "last": 1,
            "chunks": data.ArrayLayout(gap_bits(config), ROW_ENDS),  # up to the one that holds the row end
            "position": data.ArrayLayout(position_bits(config), ROW_ENDS)}))
        entry = Signal(data.ArrayLayout(32, ROW_ENDS))
        early = Signal(ROW_ENDS)   # the last one, and not where it should be
        for number in range(self._row_ends):
            whole, rest = Signal(name=f"whole_{number}"), entry[number][:shift]
            zero = Signal(name=f"zero_{number}")
            is_last = checked.last & (checked.second if number else ~checked.second)
            m.d.comb += [
                entry[number].eq(Mux(checked.ends[number], job.nnz, checked.entry[number])),
                zero.eq(Mux(checked.ends[number], job.alone, checked.zero[number])),
                whole.eq(rest == 0),
                early[number].eq(is_last & (checked.entry[number] != job.nnz)),
            ]
            m.d.sync += [
                placed.chunks[number].eq((entry[number] >> shift) + (~whole | (zero & ~job.dense))),
                placed.position[number].eq(Mux(whole & ~zero, config.beat_tokens, rest)),
            ]
        m.d.sync += [
            placed.valid.eq(checked.valid),
            placed.second.eq(checked.second),
            placed.last.eq(checked.last),
            self.o_fault.eq(checked.valid & (checked.wrong | early.any())),
        ]
        return placed

    def _output(self, m: Module, job, active, start, placed) -> None:
        """Stage 4: distances between row ends, into the queue."""
        config, output = self._config, self._queue.i
        before = Signal(gap_bits(config))   # chunks up to the row end before; dense: 0
        ends = output.p.ends
        settled = Signal(DENSE_SETTLES)      # dense: the row's place is known
        # Dense rows are counted by pairs, from 0 on where the last pair holds one row, else from 1 on.
        # Whether the next one is the last is compared while this one leaves.
        pairs, last_pair, counts = Signal(32), Signal(), Signal()
        single = job.rows[0] if self._row_ends == ROW_ENDS else Const(1)   # the last pair holds one row
        m.d.comb += [
            output.p.alone.eq(job.alone),
            counts.eq(~settled[0] | (output.valid & output.ready)),
            ends[0].valid.eq(1),
            ends[0].gap.eq(placed.chunks[0] - before),
            ends[1].gap.eq(placed.chunks[1] - Mux(job.dense, 0, placed.chunks[0])),
            ends[0].position.eq(placed.position[0]),
            ends[1].position.eq(placed.position[1]),
        ]
        with m.If(job.dense):
            m.d.comb += [
                output.valid.eq(active & settled.all()),
                ends[0].final.eq(last_pair & single),
                ends[1].valid.eq(~(last_pair & single) if self._row_ends == ROW_ENDS else 0),
                ends[1].final.eq(last_pair & ~single),
            ]
        with m.Else():
            m.d.comb += [
                output.valid.eq(placed.valid),
                ends[0].final.eq(placed.last & ~placed.second),
                ends[1].valid.eq(placed.second),
                ends[1].final.eq(placed.last & placed.second),
            ]
        m.d.sync += settled.eq(Cat(1, settled[:-1]))
        with m.If(output.valid & output.ready):
            m.d.sync += before.eq(placed.chunks[self._pointers - 1])
        with m.If(counts):
            m.d.sync += [pairs.eq(pairs + 1), last_pair.eq(pairs == (job.rows >> (self._row_ends - 1)))]
        with m.If(start | job.dense):
            m.d.sync += before.eq(0)
        with m.If(start):
            m.d.sync += [settled.eq(0), pairs.eq(~self.i_job.p.rows[0] if self._row_ends == ROW_ENDS else 1)]
