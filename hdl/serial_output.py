"""Sums of a serial array on their way to memory."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .axi import AxiWrite
from .config import VALUE_BITS, Config
from .layouts import ScaleWord
from .serial_queue import QUEUE_WORDS, WORD_BITS, SerialQueue
from .serial_scaler import SerialScaler
from .stream_scaler import StreamScaler

__all__ = ["SerialOutput"]


class SerialOutput(wiring.Component):
    """Keeps rows of sums until their bursts are announced, and makes beats of them: sums, or scaled bytes.

    Throughput: a sum a cycle; scaled, what `StreamScaler` does, or `SerialScaler`.
    Latency: a row may be announced when it is complete; its first beat is there a cycle later.
    Backpressure: a beat waits until it is taken; `o_room`.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_push, i_sum : a word comes, 32 bits: a row's scale, with `i_row_scale`, and its sums
    i_row : the row's words are all there
    o_room : a row fits
    o_waits : a row waits to be announced, and none is on its way
    o_empty : there is none, and none is on its way
    o_moves : a byte is made
    i_begin : its bursts are going to be announced
    i_burst, i_beats : one is, of so many beats less one; beats of the one before are all out
    o_idle : they are
    i_bytes, i_row_scale, i_scale, i_n_count : of the descriptor: scaled bytes, each row's scale, that of all
        rows, columns
    i_offset, i_set_offset : byte of the row's first beat
    w : stream of AxiWrite
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_push": In(1), "i_sum": In(WORD_BITS), "i_row": In(1), "o_room": Out(1),
            "o_waits": Out(1), "o_empty": Out(1), "o_moves": Out(1),
            "i_begin": In(1), "i_burst": In(1), "i_beats": In(4), "o_idle": Out(1),
            "i_bytes": In(1), "i_row_scale": In(1), "i_scale": In(ScaleWord()),
            "i_n_count": In(range(config.lanes + 1)),
            "i_offset": In(2), "i_set_offset": In(1),
            "w": Out(stream.Signature(AxiWrite(config.port_bytes))),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = SerialQueue(2 * self._config.lanes)
        rows = Signal(range(QUEUE_WORDS))
        left, sends = Signal(4), Signal()    # beats of the burst, less one
        scaling = Signal()                   # a row's bytes are being made
        m.d.sync += rows.eq(rows + self.i_row - self.i_begin)
        m.d.comb += [
            queue.i_write.eq(self.i_push), queue.i_data.eq(self.i_sum),
            self.o_room.eq(queue.o_room),
            self.o_idle.eq(~sends),
            self.o_waits.eq((rows != 0) & ~sends & ~scaling),
            self.o_empty.eq((rows == 0) & ~sends & ~scaling),
            self.w.p.last.eq(left == 0),
        ]
        with m.If(self.i_burst):
            m.d.sync += [sends.eq(1), left.eq(self.i_beats)]
        with m.Elif(self.w.valid & self.w.ready):
            m.d.sync += [left.eq(left - 1), sends.eq(left != 0)]
        if self._config.scale_multipliers:
            self._scaled(m, queue, sends, scaling)
        else:
            m.d.comb += [self.w.valid.eq(sends & queue.o_valid), self.w.p.data.eq(queue.o_data),
                         self.w.p.strobe.eq(-1), queue.i_pop.eq(self.w.valid & self.w.ready)]
        return m

    def _scaled(self, m: Module, queue: SerialQueue, sends: Signal, scaling: Signal) -> None:
        m.submodules.scaler = scaler = StreamScaler() if self._config.scaler_block else SerialScaler()
        scale, header = Signal(ScaleWord()), Signal()    # the row's scale comes first
        # The next byte's place in its beat and in the row, and how many sums the scaler has.
        place, column, given = Signal(2), Signal.like(self.i_n_count), Signal.like(self.i_n_count)
        beat, strobe, full = Signal(WORD_BITS), Signal(WORD_BITS // VALUE_BITS), Signal()
        takes, lasts = Signal(), Signal()
        waits = full
        if self._config.scaler_block:
            # The first byte may be there before its place is.
            unplaced = Signal()
            waits = full | unplaced
            with m.If(self.i_begin | self.i_set_offset):
                m.d.sync += unplaced.eq(self.i_begin)
        m.d.comb += [
            scaler.i_scale.eq(scale),
            scaler.i.p.eq(queue.o_data),
            # What is behind the row's sums is another row's.
            scaler.i.valid.eq(queue.o_valid & scaling & ~header & (given != self.i_n_count)),
            scaler.o.ready.eq(~waits),
            takes.eq(scaler.o.valid & ~waits),
            self.o_moves.eq(takes),
            lasts.eq(column + 1 == self.i_n_count),
            # ---- beats of bytes, or of sums as they are ----
            self.w.valid.eq(sends & Mux(self.i_bytes, full, queue.o_valid)),
            self.w.p.data.eq(Mux(self.i_bytes, beat, queue.o_data)),
            self.w.p.strobe.eq(Mux(self.i_bytes, strobe, -1)),
            queue.i_pop.eq(Mux(self.i_bytes, (scaler.i.valid & scaler.i.ready) | (header & queue.o_valid),
                               self.w.valid & self.w.ready)),
        ]
        with m.If(self.i_begin & self.i_bytes):
            m.d.sync += [scaling.eq(1), column.eq(0), given.eq(0), header.eq(self.i_row_scale),
                         scale.eq(self.i_scale)]
        with m.If(scaler.i.valid & scaler.i.ready):
            m.d.sync += given.eq(given + 1)
        with m.If(header & queue.o_valid):
            m.d.sync += [header.eq(0), scale.eq(queue.o_data)]
        with m.If(takes):
            m.d.sync += [
                beat.word_select(place, VALUE_BITS).eq(scaler.o.p),
                strobe.bit_select(place, 1).eq(1),
                place.eq(place + 1),
                column.eq(column + 1),
                full.eq((place == 3) | lasts),
            ]
        with m.If(full & self.w.valid & self.w.ready):
            m.d.sync += [full.eq(0), strobe.eq(0)]
            with m.If(column == self.i_n_count):
                m.d.sync += scaling.eq(0)
        with m.If(self.i_set_offset):
            m.d.sync += place.eq(self.i_offset)
