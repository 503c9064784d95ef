"""Puts what comes in chunks of the port into the shape in which sums meet it: earlier sums, parameters."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .collector_layouts import CollectorPlan, LaneWord, ParameterRecord, record_bytes
from .config import Config, width_of
from .layouts import Chunk

__all__ = ["EarlierSums", "ParameterRecords"]


class EarlierSums(wiring.Component):
    """Joins chunks of earlier sums to words.

    Throughput: one chunk a cycle.
    Latency: a word is offered the cycle after its last chunk.
    Backpressure: a word that is not taken holds the chunks after it.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_start : 1, pulse before the job's first chunk; then the words are zero until chunks come
    i : stream of Chunk, whole ones
    o : stream of LaneWord
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_start": In(1),
            "i": In(stream.Signature(Chunk(config.port_bytes))),
            "o": Out(stream.Signature(LaneWord(config))),
        })

    def elaborate(self, platform):
        m = Module()
        chunks = 4 * self._config.lanes // self._config.port_bytes
        word = Signal(LaneWord(self._config))
        held, whole = Signal(range(chunks)), Signal()
        m.d.comb += [
            self.o.valid.eq(whole),
            self.o.p.eq(word),
            self.i.ready.eq(~whole | self.o.ready),
        ]
        with m.If(self.o.ready):
            m.d.sync += whole.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                word.eq(Cat(word.as_value()[8 * self._config.port_bytes:], self.i.p.data)),
                held.eq(held + 1),
                whole.eq(held == chunks - 1),
            ]
        with m.If(self.i_start):
            m.d.sync += word.eq(0)
        return m


class ParameterRecords(wiring.Component):
    """Cuts chunks of parameters into records and numbers them within their groups.

    Throughput: one record a cycle (port of 4 bytes: one element).
    Latency: none, `o` follows `i` in the same cycle.
    Backpressure: follows `o.ready` in the same cycle.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_plan : CollectorPlan, constant while the job runs
    i_start : 1, pulse before the job's first chunk
    i : stream of Chunk of `record_bytes`
    o : stream of ParameterRecord
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_plan": In(CollectorPlan(config)),
            "i_start": In(1),
            "i": In(stream.Signature(Chunk(record_bytes(config)))),
            "o": Out(stream.Signature(ParameterRecord(config))),
        })

    def elaborate(self, platform):
        m = Module()
        plan, chunk = self.i_plan, self.i.p
        row, row_last = Signal(self._config.lane_bits), Signal()
        offered, taken, chunk_done = Signal(), Signal(), Signal()
        record = Signal(ParameterRecord(self._config))
        both = Signal()
        m.d.comb += both.eq(plan.row_bias & plan.row_scale)

        if record_bytes(self._config) == 8:
            upper = Signal()  # the chunk's second element is the next record
            element = Mux(upper, chunk.data[32:], chunk.data[:32])
            m.d.comb += [
                offered.eq(self.i.valid),
                chunk_done.eq(both | upper | (chunk.count == 4)),
                record.bias.eq(element),
                record.scale.eq(Mux(both, chunk.data[32:], element)),
                self.i.ready.eq(taken & chunk_done),
            ]
            with m.If(taken):
                m.d.sync += upper.eq(~chunk_done)
        else:
            bias, bias_held = Signal(32), Signal()
            m.d.comb += [
                offered.eq(self.i.valid & (bias_held | ~both)),
                chunk_done.eq(1),
                record.bias.eq(Mux(both, bias, chunk.data)),
                record.scale.eq(chunk.data),
                self.i.ready.eq(taken | (both & ~bias_held)),
            ]
            with m.If(self.i.valid & self.i.ready):
                m.d.sync += [bias.eq(chunk.data), bias_held.eq(both & ~bias_held)]

        rows = Signal(width_of(self._config.lanes + 1))
        m.d.comb += [
            rows.eq(1 << plan.group_log2),
            row_last.eq((row == (rows - 1)[:self._config.lane_bits]) | (chunk.last & chunk_done)),
            record.row.eq(row),
            record.last.eq(row_last),
            taken.eq(offered & self.o.ready),
            self.o.valid.eq(offered),
            self.o.p.eq(record),
        ]
        with m.If(taken):
            m.d.sync += row.eq(row + 1)
            with m.If(row_last):
                m.d.sync += row.eq(0)
        with m.If(self.i_start):
            m.d.sync += row.eq(0)
        return m
