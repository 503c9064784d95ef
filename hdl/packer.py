"""From nonzeros of B to the slots of packed tiles."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import VALUE_BITS, Config
from .layouts import RawBeat, TileBeat, TileBeatKind, TileJob
from .owner import owner
from .queue import Queue
from .row_filter import RowPlace

__all__ = ["PACKER_ROW_ENDS", "Packer"]

PACKER_ROW_ENDS = 1
"""Row ends in a beat at most: each takes a cycle anyway."""

QUEUE_BEATS = 4


def _Placed(config: Config) -> data.StructLayout:
    """A nonzero of B with its place: PE slice, lane, and word of the slice."""
    return data.StructLayout({
        "slice": config.pe_bits,
        "lane": config.lane_bits,
        "word": config.acc_word_bits,
        "value": VALUE_BITS,
    })


def _PlacedBeat(config: Config) -> data.StructLayout:
    """A RawBeat with places; `after` says that the row end comes before a token."""
    return data.StructLayout({
        "tokens": data.ArrayLayout(_Placed(config), config.beat_tokens),
        "after": config.beat_tokens,
        "mask": config.beat_tokens,
        "end": 1,
        "last": 1,
    })


class Packer(wiring.Component):
    """Deals the nonzeros of B's rows to lanes, several a cycle: at most one a lane, of one row.

    Throughput: a beat takes, for each row in it, as many cycles as its fullest lane has nonzeros; a row end
        without any takes one. No cycle is lost between beats.
    Latency: a beat's first nonzeros come out 4 cycles after it was taken; START comes 3 cycles after the job,
        `o_done` one after the job's last beat.
    Backpressure: `i` waits while a few beats are queued; `o` has none.
    Order: kept in each lane.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_job : stream of TileJob; of its fields half and pk_log2 count
    i : stream of RawBeat with one row end at most, up to and with the one that has `last` set
    o : stream of TileBeat (START, SLOTS, ROW_END), always ready
    o_done : pulse, the job's last beat is out; a new job is taken from the next cycle on
    o_row : stream of RowPlace, always ready: what begins or ends with the beat at `o`
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_job": In(stream.Signature(TileJob(config))),
            "i": In(stream.Signature(RawBeat(config))),
            "o": Out(stream.Signature(TileBeat(config), always_ready=True)),
            "o_done": Out(1),
            "o_row": Out(stream.Signature(RowPlace(config), always_ready=True)),
        })

    def _declare(self) -> None:
        config, tokens = self._config, self._config.beat_tokens
        self._start, self._ended = Signal(), Signal()
        # The job.
        self._half, self._whole = Signal(), Signal()
        self._pk_log2 = Signal.like(self.i_job.p.pk_log2)
        self._low_mask = Signal(config.pe_bits)            # P_k - 1
        self._slices_log2 = Signal(range(config.pe_bits + 1))
        self._slice_mask = Signal(config.pe_bits)          # P_n - 1
        self._placed = Signal(_PlacedBeat(config))         # the incoming beat with places
        # The beat at work: `hinder[u][t]`, u < t, keeps tokens u and t out of one tile beat.
        # Without a beat, `pending`, `end` and `last` are 0.
        self._tokens = Signal(data.ArrayLayout(_Placed(config), tokens))
        self._after = Signal(tokens)                       # tokens of the row after the beat's row end
        self._pending = Signal(tokens)
        self._current = Signal(tokens)                     # tokens of the row that is open now
        self._end = Signal()                               # the row end is still to come
        self._last = Signal()
        self._hinder = [Signal(tokens, name=f"hinder_{u}") for u in range(tokens)]
        # What happens this cycle.
        self._take = Signal(tokens)
        self._slots, self._row_end = Signal(), Signal()
        self._finish = Signal()                            # the beat is done with, or there is none

    def elaborate(self, platform):
        m = Module()
        self._declare()
        self._job_stage(m)
        self._place_stage(m)
        self._pair_stage(m)
        self._choose(m)
        self._output_stages(m)
        return m

    # ---- stage 0: the job ------------------------------------------------------------------------------

    def _job_stage(self, m: Module) -> None:
        config, job = self._config, self.i_job.p
        busy, open_input = Signal(), Signal()
        m.d.comb += self.i_job.ready.eq(~busy)
        m.d.sync += self._start.eq(0)
        with m.If(self.i_job.valid & self.i_job.ready):
            m.d.sync += [
                busy.eq(1),
                open_input.eq(1),
                self._start.eq(1),
                self._half.eq(job.half),
                self._whole.eq(job.whole),
                self._pk_log2.eq(job.pk_log2),
                self._low_mask.eq((1 << job.pk_log2) - 1),
                self._slices_log2.eq(config.pe_bits - job.pk_log2),
                self._slice_mask.eq((config.pes - 1) >> job.pk_log2),
            ]
        with m.Elif(self._ended):
            m.d.sync += busy.eq(0)
        self._queue = m.submodules.queue = Queue(_PlacedBeat(config), QUEUE_BEATS)
        m.d.comb += [
            self.i.ready.eq(self._queue.i.ready & open_input),
            self._queue.i.valid.eq(self.i.valid & open_input),
            self._queue.i.p.eq(self._placed),
        ]
        with m.If(self.i.valid & self.i.ready & self.i.p.last):
            m.d.sync += open_input.eq(0)

    # ---- stage 1: place every token, into the queue ----------------------------------------------------

    def _place_stage(self, m: Module) -> None:
        config, beat, placed = self._config, self.i.p, self._placed
        for t in range(config.beat_tokens):
            token, place = beat.tokens[t], placed.tokens[t]
            word = token.index[config.lane_bits:]
            # Neighbouring words go to neighbouring slices: columns that are near each other make work for
            # many PEs.
            words = Array(word[log2:log2 + config.acc_word_bits] for log2 in range(config.pe_bits + 1))
            m.d.comb += [
                place.lane.eq(token.index[:config.lane_bits]),
                place.word.eq(words[self._slices_log2]),
                place.slice.eq(word & self._slice_mask),
                place.value.eq(token.value),
                placed.after[t].eq(beat.ends[0].valid & (beat.ends[0].position <= t)),
            ]
        m.d.comb += [
            placed.mask.eq(beat.mask),
            placed.end.eq(beat.ends[0].valid),
            placed.last.eq(beat.last),
        ]

    # ---- stage 2: compare tokens with each other, take a beat to work ----------------------------------

    def _pair_stage(self, m: Module) -> None:
        tokens, queue = self._config.beat_tokens, self._queue
        beat = queue.o.p
        there = queue.o.valid
        pairs = [(u, t) for u in range(tokens) for t in range(u + 1, tokens)]
        alike = Cat((beat.tokens[u].lane == beat.tokens[t].lane) & (beat.after[u] == beat.after[t])
                    for u, t in pairs)
        m.d.comb += queue.o.ready.eq(self._finish)
        with m.If(self._finish):
            m.d.sync += [
                self._tokens.eq(beat.tokens),
                self._after.eq(beat.after),
                self._pending.eq(Mux(there, beat.mask, 0)),
                self._current.eq(~beat.after),
                self._end.eq(there & beat.end),
                self._last.eq(there & beat.last),
            ]
            m.d.sync += [self._hinder[u][t].eq(bit) for (u, t), bit in zip(pairs, alike, strict=True)]
        with m.Else():
            m.d.sync += self._pending.eq(self._pending & ~self._take)
            with m.If(self._row_end):
                m.d.sync += [self._end.eq(0), self._current.eq(self._after)]

    # ---- stage 3: choose the tokens of a tile beat -----------------------------------------------------

    def _choose(self, m: Module) -> None:
        tokens, pending = self._config.beat_tokens, self._pending
        open_row = Signal(tokens)  # pending tokens of the open row
        more = Signal()            # some of them cannot go together: not the row's last SLOTS of this beat
        m.d.comb += [
            open_row.eq(pending & self._current),
            more.eq(Cat(open_row[u] & pending[t] & self._hinder[u][t]
                        for u in range(tokens) for t in range(u + 1, tokens)).any()),
            self._slots.eq(open_row.any()),
            self._row_end.eq(self._end & ~more),
            self._finish.eq(~more & (pending == open_row)),
        ]
        for t in range(tokens):
            # Earlier tokens of the same row and lane go before.
            blocked = Cat(pending[u] & self._hinder[u][t] for u in range(t)).any()
            m.d.comb += self._take[t].eq(open_row[t] & ~blocked)

    # ---- stages 4, 5: the tokens go to their lanes -----------------------------------------------------

    def _output_stages(self, m: Module) -> None:
        config, beat = self._config, self.o.p
        taken = Signal(config.beat_tokens)
        tokens = Signal.like(self._tokens)
        slots, row_end, start, ending, last_out = (Signal() for _ in range(5))
        k = Signal(config.index_bits)
        local_row = Signal(config.row_address_bits)
        m.d.sync += [
            taken.eq(self._take),
            tokens.eq(self._tokens),
            slots.eq(self._slots),
            row_end.eq(self._row_end),
            start.eq(self._start),
            ending.eq(self._finish & self._last),
            last_out.eq(ending),
            self.o_done.eq(last_out),
        ]
        m.d.comb += self._ended.eq(last_out)

        m.d.sync += [
            self.o.valid.eq(start | slots | row_end),
            beat.kind.eq(Mux(start, TileBeatKind.START,
                             Mux(slots, TileBeatKind.SLOTS, TileBeatKind.ROW_END))),
            beat.half.eq(self._half),
            beat.whole.eq(self._whole),
            beat.owner.eq(owner(k, self._pk_log2, config.pe_bits)),
            beat.address[0].eq(local_row),
            beat.row_end.eq(row_end),
            self.o_row.valid.eq(start | row_end),
            self.o_row.p.start.eq(start),
            self.o_row.p.half.eq(self._half),
            self.o_row.p.whole.eq(self._whole),
            self.o_row.p.row.eq((k ^ (k & self._low_mask)) | owner(k, self._pk_log2, config.pe_bits)),
        ]
        for lane in range(config.lanes):
            chosen = Signal(config.beat_tokens, name=f"lane{lane}_chosen")
            m.d.comb += chosen.eq(Cat(taken[t] & (tokens[t].lane == lane) for t in range(config.beat_tokens)))
            payload = _or(Mux(chosen[t], Cat(tokens[t].value, tokens[t].word, tokens[t].slice), 0)
                          for t in range(config.beat_tokens))
            value = beat.data.word_select(lane, VALUE_BITS)
            word = beat.data.word_select(config.lanes + lane, VALUE_BITS)
            m.d.sync += [beat.slot_valid[lane].eq(chosen.any()),
                         Cat(value, word[:config.acc_word_bits], beat.slot_slice[lane]).eq(payload)]

        with m.If(start):
            m.d.sync += [k.eq(0), local_row.eq(0)]
        with m.Elif(row_end):
            m.d.sync += k.eq(k + 1)
            with m.If((k & self._low_mask) == self._low_mask):
                m.d.sync += local_row.eq(local_row + 1)


def _or(values):
    result = 0
    for value in values:
        result = value | result
    return result
