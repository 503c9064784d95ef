"""A serial array between job control and memory: sequencer, queues, rows, output; connected."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect

from .axi import AxiMemory
from .config import ADDRESS_BITS, MAX_BURST_BEATS, Config
from .descriptor import DESCRIPTOR_FIELDS
from .guard import BLOCK_BITS, EVERYWHERE, Blocked, Windows
from .layouts import ScaleWord
from .serial_code import (
    NEWS_LAST_BITS,
    NEWS_NUMBER,
    OUTSTANDING,
    SLOT_BITS,
    Event,
    Register,
    Request,
    Source,
    Stream,
)
from .serial_output import SerialOutput
from .serial_program import serial_program
from .serial_queue import SerialQueue
from .serial_rows import RowsMode, SerialRows
from .serial_sequencer import Sequencer
from .status import COUNT_BITS, Report

__all__ = ["SerialEngine"]

_MODE_FIELDS = {"half": "half", "accumulate": "accumulate", "relu": "relu", "row_bias": "row_bias",
                "row_scale": "row_scale", "bytes": "out_int8", "raw": "out_raw"}


class SerialEngine(wiring.Component):
    """Runs a job's descriptors one after the other, one row and one entry at a time.

    Each stream, results too, has OUTSTANDING bursts outstanding at most: a log has the addresses of so many,
    and one that fails is among them.

    Throughput, Latency: those of its parts; one descriptor begins when the one before is in memory.
    Backpressure: on AR, AW and W; answers are always taken.
    Order: rows of C are written in order.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_start, i_descriptor, i_count : one cycle of `i_start` begins a job
    i_windows : Windows, where arrays must lie
    i_completed : descriptors that are complete
    i_blocked : Blocked, of the memory guard
    o_report : Report, for a cycle: the job may not go on
    o_completed, o_finished : one cycle each: a descriptor's results are in memory; the job ended
    o_overflow : an int32 addition wrapped around
    o_moves : something was done in the cycle before that is not seen at `port`
    o_active, o_blocked, o_loading, o_hungry, o_tokens_due, o_draining : for the counters
    o_read_beat : a beat of an answer is taken
    port : AXI4 master
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_start": In(1), "i_descriptor": In(ADDRESS_BITS), "i_count": In(COUNT_BITS),
            "i_windows": In(Windows(), init=EVERYWHERE),
            "i_completed": In(COUNT_BITS),
            "i_blocked": In(Blocked()),
            "o_report": Out(Report()),
            "o_completed": Out(1), "o_finished": Out(1), "o_overflow": Out(1),
            "o_moves": Out(1), "o_active": Out(1), "o_blocked": Out(1), "o_loading": Out(1),
            "o_hungry": Out(1), "o_tokens_due": Out(1), "o_draining": Out(1), "o_read_beat": Out(1),
            "port": Out(AxiMemory(config.port_bytes)),
        })

    def elaborate(self, platform):
        config = self._config
        m = Module()
        m.submodules.sequencer = self._sequencer = sequencer = Sequencer(serial_program(config))
        m.submodules.rows = self._rows = rows = SerialRows(config)
        m.submodules.output = self._output = output = SerialOutput(config)
        self._accumulator = sequencer.o_accumulator
        self._runs, self._in_job = Signal(), Signal()
        # Of each stream, bursts that were asked for and that were answered, modulo twice OUTSTANDING.
        self._asked, self._answered = (Signal(data.ArrayLayout(SLOT_BITS + 1, len(Stream)), name=name)
                                       for name in ("asked", "answered"))
        self._why, self._slots = Signal(16), Signal(len(Stream), init=-1)
        m.d.sync += self._slots.eq(Cat((self._asked[stream] ^ self._answered[stream]) != OUTSTANDING
                                       for stream in Stream))
        self._configure(m)
        self._streams(m)
        self._write(m)
        self._fault(m)
        # ---- what is to be done, and what has been ----
        started, event, ended = Signal(), sequencer.o_event, Signal()
        with m.If(event[Event.REPORT]):
            m.d.sync += ended.eq(1)
        # Behind its report the sequencer goes round in a circle.
        m.d.sync += self.o_moves.eq((sequencer.o_moves & ~ended) | rows.o_moves | output.o_moves)
        with m.If(self.i_start):
            m.d.sync += started.eq(1)
        with m.Elif(event[Event.TAKEN]):
            m.d.sync += started.eq(0)
        with m.If(event[Event.RUN]):
            m.d.sync += self._runs.eq(1)
        with m.If(event[Event.COMPLETED]):
            m.d.sync += self._runs.eq(0)
        with m.If(event[Event.TAKEN] | event[Event.FINISHED]):
            m.d.sync += self._in_job.eq(event[Event.TAKEN])
        m.d.comb += [
            sequencer.i_requests[Request.START].eq(started),
            sequencer.i_requests[Request.END].eq(
                self._in_job & rows.o_ended & output.o_empty & ~self._is_outstanding(Stream.RESULTS)),
            sequencer.i_requests[Request.RESULT].eq(output.o_waits & self._has_slot(Stream.RESULTS)),
            rows.i_load.eq(event[Event.LOAD]),
            rows.i_run.eq(event[Event.RUN]),
            output.i_begin.eq(event[Event.ROW]),
            self.o_completed.eq(event[Event.COMPLETED]),
            self.o_finished.eq(event[Event.FINISHED]),
            output.i_push.eq(rows.o_push), output.i_sum.eq(rows.o_sum), output.i_row.eq(rows.o_row),
            rows.i_room.eq(output.o_room),
            self.o_overflow.eq(rows.o_overflow),
            self.o_active.eq(rows.o_active), self.o_blocked.eq(self._runs & rows.o_blocked),
            self.o_loading.eq(rows.o_loading), self.o_hungry.eq(rows.o_hungry),
            self.o_tokens_due.eq(self._runs & ~rows.o_ended), self.o_draining.eq(self._runs & rows.o_ended),
        ]
        return m

    def _configure(self, m: Module) -> None:
        """Registers that the sequencer sets for a descriptor."""
        rows, output, chosen, value = self._rows, self._output, self._sequencer.o_set, self._accumulator
        mode, fields = Signal(RowsMode()), {field.name: field for field in DESCRIPTOR_FIELDS}
        offset = fields["a_format"].offset
        runs_on = Signal()
        # The program lets 0 and `lane_bits` through: one bit tells them apart.
        lane_bits = self._config.lane_bits
        vector_bit = (lane_bits & -lane_bits).bit_length() - 1
        scale, n_count = Signal(ScaleWord()), Signal.like(rows.i_n_count)
        with m.If(chosen[Register.MODE]):
            m.d.sync += [
                mode.vector.eq(value[fields["group_log2"].offset + vector_bit]),
                mode.sparse.eq(value[offset:offset + 2].any()), mode.wide.eq(value[offset + 1]),
                *(mode[name].eq(value[fields[of].offset]) for name, of in _MODE_FIELDS.items()),
            ]
        column_start, columns, k_count = (Signal.like(sink) for sink in (
            rows.i_column_start, rows.i_columns, rows.i_k_count))
        for register, kept in ((Register.COLUMN_START, column_start), (Register.COLUMNS, columns),
                               (Register.K_COUNT, k_count), (Register.N_COUNT, n_count),
                               (Register.SCALE, scale), (Register.RUNS_ON, runs_on),
                               (Register.WHY, self._why)):
            with m.If(chosen[register]):
                m.d.sync += kept.eq(value)
        m.d.comb += [
            rows.i_mode.eq(mode), rows.i_n_count.eq(n_count), rows.i_k_count.eq(k_count),
            rows.i_column_start.eq(column_start), rows.i_columns.eq(columns),
            rows.i_number.eq(value), rows.i_set_entry.eq(chosen[Register.ENTRY]),
            rows.i_set_rows.eq(chosen[Register.ROWS]), rows.i_runs_on.eq(runs_on),
            rows.i_offset.eq(value), output.i_offset.eq(value),
            rows.i_set_value_offset.eq(chosen[Register.VALUE_OFFSET]),
            rows.i_set_value_step.eq(chosen[Register.VALUE_STEP]),
            rows.i_set_index_offset.eq(chosen[Register.INDEX_OFFSET]),
            output.i_set_offset.eq(chosen[Register.WRITE_OFFSET]),
            output.i_bytes.eq(mode.bytes), output.i_row_scale.eq(mode.row_scale),
            output.i_scale.eq(scale), output.i_n_count.eq(n_count),
        ]

    def _is_outstanding(self, stream: Stream) -> Value:
        return self._asked[stream] != self._answered[stream]

    def _has_slot(self, stream: Stream) -> Value:
        """Another burst of that stream may be asked for, as of a cycle ago: two never are in two cycles."""
        return self._slots[stream]

    def _streams(self, m: Module) -> None:
        """A queue for each stream; it asks for a burst when it wants one and has room for all of it."""
        sequencer, rows = self._sequencer, self._rows
        ar, r = self.port.ar, self.port.r
        words = {Stream.VALUES: rows.values, Stream.INDICES: rows.indices, Stream.POINTERS: rows.pointers,
                 Stream.EARLIER: rows.earlier, Stream.PARAMETERS: rows.parameters}
        may_ask, offered = Signal(), Signal()
        self._last_read = Signal(3 + SLOT_BITS)
        m.d.comb += [
            # What was offered once is, though what comes meanwhile takes the room of another burst.
            ar.valid.eq(sequencer.o_read & (may_ask | offered)),
            sequencer.i_read_ready.eq(ar.ready & (may_ask | offered)),
            sequencer.i_slot.eq(self._asked[sequencer.o_stream][:SLOT_BITS]),
            ar.p.id.eq(sequencer.o_stream),
            ar.p.address.eq(Cat(Const(0, 2), self._accumulator[2:])),
            ar.p.length.eq(sequencer.o_beats),
            r.ready.eq(1),
            self.o_read_beat.eq(r.valid),
        ]
        m.d.sync += offered.eq(ar.valid & ~ar.ready)
        with m.If(ar.valid & ar.ready):
            m.d.sync += self._last_read.eq(Cat(sequencer.o_stream, sequencer.i_slot))
        self._taken = {}
        for stream, sink in words.items():
            name = stream.name.lower()
            m.submodules[name] = queue = SerialQueue(MAX_BURST_BEATS * OUTSTANDING)
            wants, here, selected = (Signal(name=f"{what}_{name}") for what in ("wants", "here", "selected"))
            m.d.comb += [
                here.eq(r.valid & (r.p.id == stream)),
                queue.i_write.eq(here), queue.i_data.eq(r.p.data),
                queue.i_clear.eq(sequencer.o_event[Event.CLEAR]),
                queue.i_pop.eq(sink.take),
                sink.data.eq(queue.o_data), sink.valid.eq(queue.o_valid),
                sink.empty.eq(queue.o_empty & ~wants & ~self._is_outstanding(stream)),
                selected.eq(sequencer.o_stream == stream),
                sequencer.i_requests[stream].eq(wants & queue.o_room & self._has_slot(stream)),
            ]
            self._taken[stream] = queue.o_taken
            if stream is Stream.VALUES:
                m.d.comb += [queue.i_pop.eq(sink.take | sequencer.o_take),
                             sequencer.i_source_there.eq(queue.o_valid),
                             sequencer.i_sources[Source.VALUES].eq(queue.o_data)]
            with m.If(selected):
                m.d.comb += may_ask.eq(self._has_slot(stream) & (queue.o_room | ~sequencer.o_looks))
            with m.If(sequencer.o_want & selected):
                m.d.sync += wants.eq(sequencer.o_nonzero)
            with m.If(ar.valid & ar.ready & selected):
                m.d.sync += self._asked[stream].eq(self._asked[stream] + 1)
            with m.If(here & r.p.last):
                m.d.sync += self._answered[stream].eq(self._answered[stream] + 1)

    def _write(self, m: Module) -> None:
        sequencer, output = self._sequencer, self._output
        aw, w, b = self.port.aw, self.port.w, self.port.b
        may_announce, begins, number = Signal(), Signal(), Stream.RESULTS
        m.d.comb += [
            may_announce.eq(output.o_idle & self._has_slot(Stream.RESULTS)),
            aw.valid.eq(sequencer.o_write & may_announce),
            sequencer.i_write_ready.eq(aw.ready & may_announce),
            sequencer.i_offered.eq(self.port.ar.valid | aw.valid),
            aw.p.address.eq(Cat(Const(0, 2), self._accumulator[2:])),
            aw.p.length.eq(sequencer.o_beats),
            begins.eq(aw.valid & aw.ready),
            output.i_burst.eq(begins), output.i_beats.eq(sequencer.o_beats),
            b.ready.eq(1),
        ]
        connect(m, output.w, wiring.flipped(w))
        with m.If(begins):
            m.d.sync += self._asked[number].eq(self._asked[number] + 1)
        with m.If(b.valid):
            m.d.sync += self._answered[number].eq(self._answered[number] + 1)

    def _fault(self, m: Module) -> None:
        """The first fault stays until the reset that it brings about."""
        sequencer, rows, r, b = self._sequencer, self._rows, self.port.r, self.port.b
        kinds = Cat(r.valid & r.p.response[1], b.valid & b.p.response[1],
                    self.i_blocked.read | self.i_blocked.write, rows.o_pointer_fault, rows.o_index_fault)
        seen, number, results = Signal(len(kinds)), Signal(3 + SLOT_BITS), Const(Stream.RESULTS, 3)
        taken, in_rows = Signal(len(self._taken[Stream.POINTERS]) + 1), Signal()     # in halves of words
        windows, low = self.i_windows, Const(0, ADDRESS_BITS - BLOCK_BITS)
        with m.If(kinds.any() & ~seen.any()):
            m.d.sync += [seen.eq(kinds), taken.eq(Mux(rows.o_pointer_fault,
                                                      Cat(Const(0, 1), self._taken[Stream.POINTERS]),
                                                      Cat(rows.o_upper, self._taken[Stream.INDICES])))]
            # What is blocked is the last burst of its channel: nothing follows it.
            with m.If(kinds[0]):
                m.d.sync += number.eq(Cat(r.p.id[:3], self._answered[r.p.id[:3]][:SLOT_BITS]))
            with m.Elif(kinds[1]):
                m.d.sync += number.eq(Cat(results, self._answered[Stream.RESULTS][:SLOT_BITS]))
            with m.Elif(self.i_blocked.read):
                m.d.sync += number.eq(self._last_read)
            with m.Elif(self.i_blocked.write):
                m.d.sync += number.eq(Cat(results, (self._asked[Stream.RESULTS] - 1)[:SLOT_BITS]))
        nothing = Const(0, NEWS_NUMBER - NEWS_LAST_BITS)
        news = Cat(Mux(in_rows, Cat(Const(0, 1), taken), Cat(sequencer.o_last_bytes, nothing, number)),
                   Const(0, 16 - NEWS_NUMBER - len(number)), seen)
        m.d.comb += [
            in_rows.eq(seen[3:].any()),
            sequencer.i_trap.eq(seen.any()),
            sequencer.i_log.eq(number),
            *(sequencer.i_sources[source].eq(value) for source, value in {
                Source.DESCRIPTOR: self.i_descriptor, Source.COUNT: self.i_count,
                Source.READ_BASE: Cat(low, windows.read.base),
                Source.READ_LAST: Cat(~low, windows.read.last),
                Source.WRITE_BASE: Cat(low, windows.write.base),
                Source.WRITE_LAST: Cat(~low, windows.write.last),
                Source.NEWS: news,
            }.items()),
            self.o_report.valid.eq(sequencer.o_event[Event.REPORT]),
            self.o_report.error.code.eq(self._why[:8]),
            self.o_report.error.detail.eq(self._why[8:]),
            self.o_report.error.descriptor.eq(self.i_completed),
            self.o_report.error.address.eq(self._accumulator),
        ]

