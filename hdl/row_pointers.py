"""From row pointers to row ends in units of token chunks."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .config import Config, log2_exact
from .fetch_layouts import RowEndPair, RowJob, gap_bits, position_bits
from .layouts import ROW_ENDS, Chunk
from .queue import Queue

__all__ = ["RowPointers", "pointer_chunk_bytes"]

POINTER_BYTES = 4
QUEUE_DEPTH = 16
QUEUE_MARGIN = 5
"""Places that pairs in the pipeline, and one taken before `room` falls, can still need."""


def pointer_chunk_bytes(config: Config) -> int:
    """Two row pointers a chunk, where the memory port is wide enough."""
    return min(ROW_ENDS * POINTER_BYTES, config.port_bytes)


class RowPointers(wiring.Component):
    """Says how many token chunks lie between row ends, whatever the row pointers are.

    Throughput: one chunk of pointers, one or two, a cycle; dense: two row ends a cycle.
    Latency: four cycles from a chunk of pointers; dense: two from the job.
    Backpressure: the pipeline never stalls; pointers are taken while the queue behind it has room for
        everything on its way.
    Order: kept.

    Row ends never decrease and never pass the last entry: a pointer that does is replaced by the nearest
    legal one and raises `o_fault`, as does a last pointer that is not first + nnz. So the row ends of a job
    never ask for more token chunks than there are.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_job : stream of RowJob, rows > 0
    i : stream of Chunk(pointer_chunk_bytes): row pointers from the second on, int32; its `last` ends the job
    o : stream of RowEndPair; only the pair that ends the job may hold one row end where chunks hold two
    o_fault : pulse, a row pointer is wrong
    o_passed : a chunk of pointers has been looked at, the one that `o_fault` is about
    o_idle : no job
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_job": In(stream.Signature(RowJob(config))),
            "i": In(stream.Signature(Chunk(pointer_chunk_bytes(config)))),
            "o": Out(stream.Signature(RowEndPair(config))),
            "o_fault": Out(1),
            "o_passed": Out(1),
            "o_idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = self._queue = queue = Queue(RowEndPair(self._config), QUEUE_DEPTH)
        connect(m, queue.o, flipped(self.o))
        job = Signal(RowJob(self._config))
        active, open_input = Signal(), Signal()
        start, room = Signal(), Signal()
        ends = queue.i.p.ends
        m.d.comb += [
            self.o_idle.eq(~active & (queue.level == 0)),
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
        ordered = self._order(m, job, start, relative)
        placed = self._place(m, job, ordered)
        m.d.comb += self.o_passed.eq(placed.valid)
        self._output(m, job, active, start, placed)
        return m

    def _relative(self, m: Module, job):
        """Stage 1: entry numbers instead of pointers; one bit more, so that nothing overflows."""
        both = pointer_chunk_bytes(self._config) == ROW_ENDS * POINTER_BYTES
        chunk = self.i.p
        relative = Signal(data.StructLayout({
            "valid": 1, "second": 1, "last": 1, "falls": 1, "entry": data.ArrayLayout(signed(33), ROW_ENDS)}))
        pointers = [chunk.data[at:at + 32].as_signed() for at in range(0, 64 if both else 32, 32)]
        m.d.sync += [
            relative.valid.eq(self.i.valid & self.i.ready),
            relative.last.eq(chunk.last),
            relative.entry[0].eq(pointers[0] - job.first.as_signed()),
        ]
        if both:
            m.d.sync += [
                relative.second.eq(chunk.count > POINTER_BYTES),
                relative.falls.eq(pointers[1] < pointers[0]),
                relative.entry[1].eq(pointers[1] - job.first.as_signed()),
            ]
        return relative

    def _order(self, m: Module, job, start, relative):
        """Stage 2: never below the row end before; past the end or not."""
        ordered = Signal(data.StructLayout({
            "valid": 1, "second": 1, "last": 1, "falls": 1, "entry": data.ArrayLayout(32, ROW_ENDS),
            "beyond": ROW_ENDS}))
        highest = Signal(32)   # of the entries so far
        passed = Signal()      # it is past the end
        floor = Signal(signed(33))
        entry = Signal(data.ArrayLayout(signed(33), ROW_ENDS))
        low = Signal(ROW_ENDS)
        raised = Signal(data.ArrayLayout(32, ROW_ENDS))
        beyond = Signal(ROW_ENDS)
        m.d.comb += [
            floor.eq(highest),
            entry[0].eq(relative.entry[0]),
            entry[1].eq(Mux(relative.falls, relative.entry[0], relative.entry[1])),
        ]
        for number in range(ROW_ENDS):
            m.d.comb += [
                low[number].eq(entry[number] < floor),
                raised[number].eq(Mux(low[number], highest, entry[number])),
                beyond[number].eq(passed | (entry[number] > job.nnz)),
            ]
        m.d.sync += [
            ordered.valid.eq(relative.valid),
            ordered.second.eq(relative.second),
            ordered.last.eq(relative.last),
            ordered.falls.eq(low[0] | (relative.second & (relative.falls | low[1]))),
            ordered.entry.eq(raised),
            ordered.beyond.eq(beyond),
        ]
        with m.If(relative.valid):
            m.d.sync += [
                highest.eq(Mux(relative.second, raised[1], raised[0])),
                passed.eq(Mux(relative.second, beyond[1], beyond[0])),
            ]
        with m.If(start):
            m.d.sync += [highest.eq(0), passed.eq(0)]
        return ordered

    def _place(self, m: Module, job, ordered):
        """Stage 3: never past the last entry; chunks and positions."""
        config = self._config
        shift = log2_exact(config.beat_tokens)
        placed = Signal(data.StructLayout({
            "valid": 1, "second": 1, "last": 1,
            "chunks": data.ArrayLayout(gap_bits(config), ROW_ENDS),  # up to the one that holds the row end
            "position": data.ArrayLayout(position_bits(config), ROW_ENDS)}))
        entry = Signal(data.ArrayLayout(32, ROW_ENDS))
        wrong = Signal(ROW_ENDS)   # past the end, or the last one and before it
        for number in range(ROW_ENDS):
            whole, rest = Signal(name=f"whole_{number}"), entry[number][:shift]
            zero = Signal(name=f"zero_{number}")
            is_last = ordered.last & (ordered.second if number else ~ordered.second)
            m.d.comb += [
                entry[number].eq(Mux(ordered.beyond[number], job.nnz, ordered.entry[number])),
                zero.eq(entry[number] == 0),
                whole.eq(rest == 0),
                wrong[number].eq(ordered.beyond[number] | (is_last & (entry[number] != job.nnz))),
            ]
            m.d.sync += [
                placed.chunks[number].eq((entry[number] >> shift) + (~whole | zero)),
                placed.position[number].eq(Mux(whole & ~zero, config.beat_tokens, rest)),
            ]
        m.d.sync += [
            placed.valid.eq(ordered.valid),
            placed.second.eq(ordered.second),
            placed.last.eq(ordered.last),
            self.o_fault.eq(ordered.valid & (ordered.falls | wrong[0] | (ordered.second & wrong[1]))),
        ]
        return placed

    def _output(self, m: Module, job, active, start, placed) -> None:
        """Stage 4: distances between row ends, into the queue; dense rows are all alike."""
        config, output = self._config, self._queue.i
        before = Signal(gap_bits(config))   # chunks up to the row end before
        rows_left = Signal(32)
        ends = output.p.ends
        m.d.comb += output.p.alone.eq(job.alone)
        with m.If(job.dense):
            m.d.comb += output.valid.eq(active)
            for number, end in enumerate(ends):
                m.d.comb += [
                    end.valid.eq(rows_left > number),
                    end.gap.eq(job.row_chunks),
                    end.position.eq(Mux(job.alone, 0, config.beat_tokens)),
                    end.final.eq(rows_left == number + 1),
                ]
        with m.Else():
            m.d.comb += [
                output.valid.eq(placed.valid),
                ends[0].valid.eq(1),
                ends[1].valid.eq(placed.second),
                ends[0].final.eq(placed.last & ~placed.second),
                ends[1].final.eq(placed.last & placed.second),
                ends[0].gap.eq(placed.chunks[0] - before),
                ends[1].gap.eq(placed.chunks[1] - placed.chunks[0]),
                ends[0].position.eq(placed.position[0]),
                ends[1].position.eq(placed.position[1]),
            ]
        with m.If(output.valid & output.ready):
            m.d.sync += [
                before.eq(Mux(placed.second, placed.chunks[1], placed.chunks[0])),
                rows_left.eq(rows_left - ROW_ENDS),
            ]
        with m.If(start):
            m.d.sync += [before.eq(0), rows_left.eq(self.i_job.p.rows)]
