"""Gives every token its owner and its place in the tile, and fills up the last group of rows."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .adders import MaskedAdder
from .config import Config
from .layouts import ROW_ENDS, RawBeat, RouterJob, TokenBeat
from .owner import owner

__all__ = ["Router"]


class Router(wiring.Component):
    """Turns column indices into owners and tile addresses, once for all PEs.

    Throughput: one beat a cycle.
    Latency: three cycles.
    Backpressure: the whole pipeline waits while `o` is stalled.
    Order: kept. Rows are padded with row ends to a multiple of the group; `last` moves to the final pad.

    A job is taken before its first beat and is given up when its `last` beat has left.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_job : stream of RouterJob
    i : stream of RawBeat
    o : stream of TokenBeat
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_job": In(stream.Signature(RouterJob(config))),
            "i": In(stream.Signature(RawBeat(config))),
            "o": Out(stream.Signature(TokenBeat(config))),
        })

    def elaborate(self, platform):
        config = self._config
        m = Module()
        job = Signal(RouterJob(config))
        active = Signal()
        complete = Signal()  # the last beat is in the pipeline: what follows belongs to the next job
        advance = Signal()
        m.d.comb += [advance.eq(~self.o.valid | self.o.ready), self.i_job.ready.eq(~active)]
        with m.If(self.i_job.valid & self.i_job.ready):
            m.d.sync += [job.eq(self.i_job.payload), active.eq(1), complete.eq(0)]
            # A packed tile is found by its table, row by row.
            with m.If(self.i_job.payload.packed):
                m.d.sync += job.slice_words.eq(1)
        with m.If(self.o.valid & self.o.ready & self.o.payload.last):
            m.d.sync += active.eq(0)

        if config.address_multipliers:
            self._scale(m, job)
        entry_valid, entry = self._pad(m, job, active & ~complete, advance)
        with m.If(entry_valid & advance & entry.last):
            m.d.sync += complete.eq(1)
        self._place(m, job, advance, entry_valid, entry)
        return m

    def _pad(self, m: Module, job, accepts, advance):
        """Stage 0: the beat that enters the pipeline, or a pad that completes the group."""
        config = self._config
        entry = Signal(RawBeat(config))
        valid, padding = Signal(), Signal()
        phase = Signal(config.lane_bits)         # rows of the open group that have ended
        missing = Signal(config.lane_bits + 1)   # row ends that still complete it
        group_mask = Signal(config.lane_bits)
        ended = Signal(range(ROW_ENDS + 1))
        after = Signal(config.lane_bits)
        takes_last = Signal()
        m.d.comb += [
            group_mask.eq((1 << job.group_log2) - 1),
            ended.eq(sum(end.valid for end in self.i.payload.ends)),
            after.eq((phase + ended) & group_mask),
            takes_last.eq(self.i.payload.last & (after != 0)),
            self.i.ready.eq(accepts & ~padding & advance),
            entry.eq(self.i.payload),
            entry.last.eq(self.i.payload.last & (after == 0)),
            valid.eq((self.i.valid & accepts) | padding),
        ]
        with m.If(padding):
            m.d.comb += [entry.eq(0), entry.last.eq(missing <= ROW_ENDS)]
            for number, end in enumerate(entry.ends):
                m.d.comb += end.valid.eq(missing > number)
            with m.If(advance):
                m.d.sync += missing.eq(missing - ROW_ENDS)
                with m.If(missing <= ROW_ENDS):
                    m.d.sync += padding.eq(0)
        with m.Elif(self.i.valid & self.i.ready):
            m.d.sync += phase.eq(Mux(self.i.payload.last, 0, after))
            with m.If(takes_last):
                m.d.sync += [padding.eq(1), missing.eq(group_mask - after + 1)]
        return valid, entry

    def _place(self, m: Module, job, advance, entry_valid, entry) -> None:
        config = self._config
        first, second = Signal(TokenBeat(config)), Signal(TokenBeat(config))
        first_valid, second_valid = Signal(), Signal()
        output, output_valid = Signal(TokenBeat(config)), Signal()
        m.d.comb += [self.o.payload.eq(output), self.o.valid.eq(output_valid)]
        if not config.address_multipliers:
            self._word_rows = [Signal(config.row_address_bits, name=f"word_row{number}")
                               for number in range(config.beat_tokens)]
            self._addresses = [_product(m, f"product{number}", word_row, job.slice_words)
                               for number, word_row in enumerate(self._word_rows)]
        with m.If(advance):
            m.d.sync += [first_valid.eq(entry_valid), second_valid.eq(first_valid),
                         output_valid.eq(second_valid)]
            for target, source in ((first, entry), (second, first), (output, second)):
                m.d.sync += [target.mask.eq(source.mask), target.ends.eq(source.ends),
                             target.last.eq(source.last)]
                if config.sddmm:
                    m.d.sync += target.chunk_end.eq(source.chunk_end)
            for number in range(config.beat_tokens):
                self._place_token(m, job, number, *(beat.tokens[number]
                                                    for beat in (entry, first, second, output)))

    def _place_token(self, m: Module, job, number: int, entry, first, second, output) -> None:
        config = self._config
        index = entry.index[:config.index_bits]
        m.d.sync += [
            # Stage 1: owner and part.
            first.value.eq(entry.value),
            first.owner.eq(owner(index, job.pk_log2, config.pe_bits)),
            first.part.eq(index & ((1 << job.group_log2) - 1)),

            second.value.eq(first.value),
            second.owner.eq(first.owner),
            second.part.eq(first.part),

            output.value.eq(second.value),
            output.owner.eq(second.owner),
            output.part.eq(second.part),
        ]
        if config.address_multipliers:
            # The bits below the word row, and then the product, that many bits higher, without them.
            kept, row = Signal(config.index_bits), Signal(config.index_bits)
            bits = len(self._below)
            m.d.sync += [kept.eq(Cat(index[:bits] & ~self._below, index[bits:])), row.eq(kept),
                         output.address.eq((row * self._factor) >> bits)]
            return
        # Stage 1: local row. Stage 2: word row. Stage 3: the row's first word.
        local_row = Signal(config.index_bits)
        m.d.sync += [
            local_row.eq(index >> job.pk_log2),
            self._word_rows[number].eq(local_row >> job.group_log2),
            output.address.eq(self._addresses[number]),
        ]

    def _scale(self, m: Module, job) -> None:
        """With multipliers: an index is shifted to its word row by what multiplies it."""
        config = self._config
        bits = config.pe_bits + config.lane_bits          # shifted at most
        self._below = Signal(bits)                        # mask of what an index has below its word row
        self._factor = Signal(config.slice_words_bits + bits)
        shift = Signal(range(bits + 1))
        m.d.comb += [shift.eq(job.pk_log2 + job.group_log2), self._below.eq((1 << shift) - 1)]
        # Used by a beat two cycles after it has entered.
        m.d.sync += self._factor.eq(job.slice_words << (bits - shift).as_unsigned())


def _product(m: Module, name: str, value: Value, factor: Value) -> Value:
    """value * factor by adding shifted copies: synthesis would spend a lane's multiplier on it."""
    width = len(value)  # the product is an address, and fits
    terms: list[tuple[Value, Value]] = [(value << bit, factor[bit]) for bit in range(min(width, len(factor)))]
    while len(terms) > 1:
        (one, uses_one), (other, uses_other) = terms[:2]
        adder = MaskedAdder(width + width % 2)
        m.submodules[f"{name}_{len(terms)}"] = adder
        m.d.comb += [adder.i_a.eq(one), adder.i_use_a.eq(uses_one), adder.i_b.eq(other),
                     adder.i_use_b.eq(uses_other)]
        terms = [*terms[2:], (adder.o, uses_one | uses_other)]
    return terms[0][0][:width]
