"""Pairs values with their column indices and drops what makes no token."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .block_queue import queue_anywhere
from .config import VALUE_BITS, Config, log2_exact
from .fetch_layouts import TokenChunk, TokenJob
from .layouts import Chunk

__all__ = ["TokenJoin"]

WIDE_BITS = 32
NARROW_BITS = 16


QUEUE_DEPTH = 8
QUEUE_MARGIN = 4
"""Places that chunks in the pipeline, and one taken before `room` falls, can still need."""


class TokenJoin(wiring.Component):
    """Makes token chunks of value chunks and index chunks, or of value chunks alone where rows are dense.

    Throughput: one chunk a cycle; with int32 indices one in two cycles (two index chunks make one).
    Latency: two cycles; one more for a last chunk that one chunk of int32 indices is enough for, and with
        `fetch_block_queues`.
    Backpressure: the pipeline never stalls; the inputs are taken while the queue behind it has room for
        everything on its way.
    Order: kept. Every chunk of values makes one of tokens, also one without any.

    A value is masked out if it is zero or its index lies outside start..start+count-1; an index at or
    past `columns` raises `o_fault` besides. Dense rows count their index from 0, chunk by chunk.

    Parameters
    ----------
    config : Config
    value_bits : int, of a token; 8, or 32, where values of either size come, as the job says

    Members
    -------
    i_job : stream of TokenJob; for jobs that have at least one value
    i_indices : stream of Chunk(2·T)
    i_values : stream of Chunk(T), or Chunk(4·T), whose upper bytes do not count with small values; its `last`
        ends the job
    o : stream of TokenChunk
    o_fault : pulse, a column index is too large
    o_passed : a chunk of entries has been looked at, the one that `o_fault` is about
    o_idle : no job and nothing on its way
    """

    def __init__(self, config: Config, value_bits: int = VALUE_BITS):
        self._config, self._value_bits = config, value_bits
        super().__init__({
            "i_job": In(stream.Signature(TokenJob(config))),
            "i_indices": In(stream.Signature(Chunk(2 * config.beat_tokens))),
            "i_values": In(stream.Signature(Chunk(config.beat_tokens * value_bits // VALUE_BITS))),
            "o": Out(stream.Signature(TokenChunk(config, value_bits))),
            "o_fault": Out(1),
            "o_passed": Out(1),
            "o_idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = queue_anywhere(
            TokenChunk(self._config, self._value_bits), QUEUE_DEPTH, self._config.fetch_block_queues)
        connect(m, queue.o, flipped(self.o))
        active, free, room = Signal(), Signal(), Signal()
        fire, joined_valid = Signal(), Signal()
        self._load, self._wide, self._dense, self._sddmm = Signal(), Signal(), Signal(), Signal()
        self._wide_values = Signal()
        bounds = self._job_stage(m)
        holds_lower = self._take(m, fire, active & room)
        placed = self._place(m, bounds, holds_lower)
        m.d.comb += [
            free.eq(~active & ~joined_valid & ~self.o_passed),
            # The stages behind look at the job too: the next one waits until they are empty.
            self.i_job.ready.eq(free),
            self._load.eq(self.i_job.valid & free),
            self.o_idle.eq(free & (queue.level == 0) & ~queue.o.valid),
            queue.i.valid.eq(joined_valid),
        ]
        m.d.sync += [
            room.eq(queue.level <= QUEUE_DEPTH - QUEUE_MARGIN),
            joined_valid.eq(fire),
            self.o_passed.eq(joined_valid),
        ]
        with m.If(self._load):
            m.d.sync += active.eq(1)
        with m.If(fire & self.i_values.p.last):
            m.d.sync += active.eq(0)
        self._filter(m, bounds, placed, fire, joined_valid, queue.i.p)
        return m

    # ---- the job ---------------------------------------------------------------------------------------

    def _job_stage(self, m: Module) -> data.View:
        """What indices are compared with: int32 as they are, 16 bits twice."""
        job = self.i_job.p
        bounds = Signal(data.StructLayout({
            "start": WIDE_BITS, "columns": WIDE_BITS, "count": len(job.count),
            "limited": 1,      # without it no index is too large
            "reached": 1}))    # without it none comes up to the block
        with m.If(self._load):
            m.d.sync += [
                self._wide.eq(job.wide),
                self._dense.eq(job.dense),
                bounds.count.eq(job.count),
                bounds.limited.eq(job.wide | ~job.columns[NARROW_BITS:].any()),
                bounds.reached.eq(job.wide | ~job.start[NARROW_BITS:].any()),
            ]
            if self._value_bits != VALUE_BITS:
                m.d.sync += self._wide_values.eq(job.wide_values)
            if self._config.sddmm:
                m.d.sync += self._sddmm.eq(job.sddmm)
            for name in ("start", "columns"):
                low, high = job[name][:NARROW_BITS], job[name][NARROW_BITS:]
                m.d.sync += bounds[name].eq(Cat(low, Mux(job.wide, high, low)))
        return bounds

    # ---- stage 1: value and index side by side ---------------------------------------------------------

    def _take(self, m: Module, fire: Signal, enable) -> Signal:
        """Takes a chunk of values with all its indices, or half of the latter before; 1 while it is held."""
        indices, values = self.i_indices, self.i_values
        lower_held = Signal()    # int32: the indices of a chunk's first half
        alone = Signal()         # they are the job's last
        keeps_lower = Signal()   # int32: they come next
        complete = Signal()
        m.d.comb += [
            complete.eq(self._dense | alone | (indices.valid & ~keeps_lower)),
            fire.eq(enable & values.valid & complete),
            values.ready.eq(enable & complete),
            indices.ready.eq(enable & ~self._dense & (keeps_lower | (values.valid & ~alone))),
        ]
        with m.If(fire):
            m.d.sync += [lower_held.eq(0), alone.eq(0), keeps_lower.eq(self._wide)]
        with m.Elif(indices.valid & indices.ready):
            m.d.sync += [lower_held.eq(1), alone.eq(indices.p.last), keeps_lower.eq(0)]
        with m.If(self._load):
            m.d.sync += keeps_lower.eq(self.i_job.p.wide)
        return lower_held

    def _place(self, m: Module, bounds, holds_lower: Signal) -> data.ArrayLayout:
        """Each index within its block. Every 32 bits are one index or two: one subtraction, cut in two."""
        config, tokens = self._config, self._config.beat_tokens
        index_bits = config.fetch_index_bits
        # `before`: it lies before the block, or so far behind its first column that `index` cannot say it.
        place = data.StructLayout({"index": index_bits, "before": 1, "below_columns": 1})
        placed = Signal(data.ArrayLayout(place, tokens))
        found = [Signal(place, name=f"found_{number}") for number in range(tokens)]   # 16 bits
        wide = [Signal(place, name=f"wide_{number}") for number in range(tokens // 2)]
        for number in range(tokens // 2):
            pair = self.i_indices.p.data.word_select(number, WIDE_BITS)
            local, below_start = self._less(m, f"local_{number}", pair, bounds.start)
            _, below_columns = self._less(m, f"columns_{number}", pair, bounds.columns)
            for half in range(2):
                part = local.word_select(half, NARROW_BITS)
                m.d.comb += [
                    found[2 * number + half].index.eq(part),
                    found[2 * number + half].before.eq(below_start[half] | part[index_bits:].any()),
                    found[2 * number + half].below_columns.eq(below_columns[half]),
                ]
            m.d.comb += [
                wide[number].index.eq(local),
                wide[number].before.eq(below_start[1] | local[index_bits:].any()),
                wide[number].below_columns.eq(below_columns[1]),
            ]
        for number in range(tokens):
            # What is not taken does no harm: nobody looks at it.
            with m.If(~holds_lower if number < tokens // 2 else 1):
                m.d.sync += placed[number].eq(Mux(self._wide, wide[number % (tokens // 2)], found[number]))
        return placed

    def _less(self, m: Module, name: str, pair: Value, bound: Value) -> tuple[Signal, Signal]:
        """Differences of one index or two from a bound, and for each whether it is below."""
        cut = Signal(WIDE_BITS + 2, name=f"{name}_cut")
        difference, below = Signal(WIDE_BITS, name=name), Signal(2, name=f"{name}_below")
        m.d.comb += [
            # A bit between the halves hands on what is borrowed of the upper one, or is there to be borrowed.
            cut.eq(Cat(pair[:NARROW_BITS], ~self._wide, pair[NARROW_BITS:])
                   - Cat(bound[:NARROW_BITS], Const(0, 1), bound[NARROW_BITS:])),
            difference.eq(Cat(cut[:NARROW_BITS], cut[NARROW_BITS + 1:])),
            below.eq(Cat(~cut[NARROW_BITS], cut[-1])),
        ]
        return difference, below

    def _values(self, content: Value) -> list[Value]:
        narrow = [content.word_select(number, VALUE_BITS).as_signed()
                  for number in range(self._config.beat_tokens)]
        if self._value_bits == VALUE_BITS:
            return narrow
        return [Mux(self._wide_values, content.word_select(number, self._value_bits).as_signed(), value)
                for number, value in enumerate(narrow)]

    def _present(self, count: Value) -> Value:
        tokens = range(self._config.beat_tokens)
        narrow = Cat(count > number for number in tokens)
        if self._value_bits == VALUE_BITS:
            return narrow
        size = self._value_bits // VALUE_BITS
        return Mux(self._wide_values, Cat(count > size * number for number in tokens), narrow)

    # ---- stage 2: is it a token ------------------------------------------------------------------------

    def _filter(self, m: Module, bounds, placed, fire: Signal, valid: Signal, output) -> None:
        config, tokens, values = self._config, self._config.beat_tokens, self.i_values.p
        token_log2 = log2_exact(tokens)
        entries = Signal(data.StructLayout({
            "value": data.ArrayLayout(self._value_bits, tokens), "present": tokens, "last": 1,
            "chunk": config.fetch_index_bits - token_log2}))     # dense: chunks before in the row
        chunk = Signal.like(entries.chunk)
        inside, beyond = Signal(tokens), Signal(tokens)
        m.d.sync += [
            *(entries.value[number].eq(value) for number, value in enumerate(self._values(values.data))),
            entries.present.eq(self._present(values.count)),
            entries.last.eq(values.last),
            entries.chunk.eq(chunk),
            self.o_fault.eq(valid & beyond.any()),
        ]
        with m.If(fire):
            m.d.sync += chunk.eq(chunk + 1)
        with m.If(self._load | (fire & values.row_last)):
            m.d.sync += chunk.eq(0)
        m.d.comb += output.last.eq(entries.last)
        if config.sddmm:
            m.d.comb += output.sddmm.eq(self._sddmm)
        for number, (token, place) in enumerate(zip(output.tokens, placed, strict=True)):
            m.d.comb += [
                beyond[number].eq(entries.present[number] & ~self._dense & ~place.below_columns
                                  & bounds.limited),
                inside[number].eq(bounds.reached & ~place.before & (place.index < bounds.count)),
                token.index.eq(Mux(self._dense, Cat(Const(number, token_log2), entries.chunk), place.index)),
                token.value.eq(entries.value[number]),
                output.mask[number].eq(entries.present[number] & entries.value[number].any()
                                       & (self._dense | (inside[number] & ~beyond[number]))),
            ]
