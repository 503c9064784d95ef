"""A PE's ear on the token bus: its queue of beats, cut into single tokens."""

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .attributes import IN_BLOCK_RAM
from .config import VALUE_BITS, Config, log2_exact, width_of
from .gates import fixed_gate
from .layouts import ROW_ENDS, PeBeat
from .selectors import WideSelect
from .token_bus import ROOM_MARGIN_BEATS

__all__ = ["PeFront", "PeOp"]


def PeOp(config: Config) -> data.StructLayout:
    """A token with the rows (groups, N < V) that close around it; or only closes."""
    return data.StructLayout({
        "before": range(ROW_ENDS + 1),   # closes before the token
        "token": 1,
        "address": config.row_address_bits,
        "part": config.lane_bits,
        "value": VALUE_BITS,
        "position": config.lane_bits,    # the token's row within its group
        "after": range(ROW_ENDS + 1),    # closes after the token
        "last": 1,                       # the job's last
    } | ({
        # SDDMM: rows of X that end; what closes are groups of V entries, the token's entry is `position`.
        "rows_before": range(ROW_ENDS + 1),
        "rows_after": range(ROW_ENDS + 1),
    } if config.sddmm else {}))


class PeFront(wiring.Component):
    """Queues the beats that concern this PE and hands out one token of its own at a time.

    Throughput: one token a cycle, together with the row ends around it; a beat costs max(1, own tokens)
        cycles, and nothing when it has neither own tokens nor row ends.
    Latency: 2 cycles.
    Backpressure: `i` has none; `o_room` says that one more beat than now come, and ROOM_MARGIN_BEATS behind
        it, can be taken.
    Order: kept.

    The tokens of the beat at work stay in the memory; only what changes as they go is in registers.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : stream of PeBeat, always taken
    i_group_log2 : rows in a group, as a power of two
    i_sddmm : of the running job (only with `sddmm`)
    o_room : the memory leaves places for what may be on its way
    o : stream of PeOp
    """

    def __init__(self, config: Config):
        self._config = config
        self._control_names = ("ends", "last", *(("chunk_end",) if config.sddmm else ()))
        super().__init__({
            "i": In(stream.Signature(PeBeat(config), always_ready=True)),
            "i_group_log2": In(width_of(config.lane_bits + 1)),
            "o_room": Out(1),
            "o": Out(stream.Signature(PeOp(config))),
        } | ({"i_sddmm": In(1)} if config.sddmm else {}))

    def _Control(self) -> data.StructLayout:
        """What is in a beat besides its tokens. Its mask is looked at before it is stored: what asks for the
        next beat comes late."""
        beat, tokens = PeBeat(self._config), self._config.beat_tokens
        return data.StructLayout({name: beat[name].shape for name in self._control_names} | {
            "has_token": 1,
            "first": range(tokens),      # number of its first own token
            "rest": tokens,              # mask of those behind it
            "final": 1,                  # there are none
        })

    def elaborate(self, platform):
        m = Module()
        config, self._platform = self._config, platform
        tokens, self._coming = self.i.p.tokens, Signal(self._Control(), name="coming")
        self._loads = Signal()                               # the next beat comes to work, if there is one
        self._takes = Signal()                               # there is one
        # It would come, not the beat's next token: known before `o.ready`, which says if anything goes.
        self._at_end, self._steps = Signal(), Signal()
        self._valid = Signal()                               # a beat is at work
        # Beats behind it; the one that has become it a cycle ago, `taken`, counts still.
        self._waiting, self._taken = Signal(range(config.queue_beats + 1)), Signal()
        self._there = Signal()
        mask, coming = self.i.p.mask, self._coming
        m.d.comb += [
            *(coming[name].eq(self.i.p[name]) for name in self._control_names),
            coming.has_token.eq(mask.any()),
            coming.first.eq(_first(mask)),
            coming.rest.eq(_rest(mask)),
            coming.final.eq(coming.rest == 0),
        ]
        self._token_bits, control_bits = (Shape.cast(shape).width
                                          for shape in (tokens[0].shape(), self._Control()))
        # The payload is stored flat: memories of structs do not keep their field names anyway.
        m.submodules.controls = control_memory = Memory(shape=control_bits, depth=config.queue_beats, init=[])
        self._queue(m, control_memory.write_port())

        # ---- the beat at work, and the next one ----
        self._ahead = ahead = control_memory.read_port(domain="comb")
        control = data.View(self._Control(), ahead.data)
        with m.If(self._loads):
            m.d.sync += self._valid.eq(self._there)
        with m.If(self._takes):
            m.d.sync += ahead.addr.eq(ahead.addr + 1)
        op = self.o.p
        self._cut(m, control, op)
        store = self._tokens_in_block_ram if config.block_queues else self._tokens_in_luts
        token = data.View(tokens[0].shape(), store(m))
        m.d.comb += [op[name].eq(token[name]) for name in ("address", "part", "value")]
        return m

    def _queue(self, m: Module, control_write) -> None:
        """What concerns this PE goes into both memories."""
        config, coming = self._config, self._coming
        self._puts, self._write_address = Signal(), control_write.addr
        puts, taken = self._puts, self._taken
        m.d.comb += [
            puts.eq(self.i.valid & (coming.has_token | coming.ends[0].valid | coming.last
                                    | (coming.chunk_end if config.sddmm else 0))),
            self._there.eq((self._waiting != 0) & ~((self._waiting == 1) & taken)),
            control_write.data.eq(coming),
            control_write.en.eq(puts),
            self.o_room.eq(self._waiting + self._valid + self.i.valid
                           <= config.queue_beats - ROOM_MARGIN_BEATS + taken),
        ]
        m.d.sync += [taken.eq(self._takes), self._waiting.eq(self._waiting + puts - taken)]
        with m.If(puts):
            m.d.sync += control_write.addr.eq(control_write.addr + 1)

    def _tokens_in_luts(self, m: Module) -> Value:
        """A memory as wide as the beat, and one token of what it shows."""
        config, tokens, bits = self._config, self.i.p.tokens, self._token_bits
        m.submodules.tokens = memory = Memory(shape=bits * config.beat_tokens, depth=config.queue_beats,
                                              init=[])
        m.submodules.select = select = WideSelect(bits, config.beat_tokens)
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [
            write.addr.eq(self._write_address),
            write.data.eq(tokens),
            write.en.eq(self._puts),
            select.i_number.eq(self._index),
            *(value.eq(read.data.word_select(number, bits)) for number, value in enumerate(select.i)),
        ]
        with m.If(self._loads):
            m.d.sync += read.addr.eq(self._ahead.addr)
        return select.o

    def _tokens_in_block_ram(self, m: Module) -> Value:
        """A memory that is written by beats and read by tokens: the block RAM chooses. What is read was
        written in an earlier cycle, so the two never meet at one address."""
        config, count = self._config, self._config.beat_tokens
        m.submodules.tokens = memory = Memory(shape=self._token_bits, depth=config.queue_beats * count,
                                              init=[], attrs=IN_BLOCK_RAM)
        number_bits, beat = log2_exact(count), Signal.like(self._ahead.addr)
        for number, token in enumerate(self.i.p.tokens):
            write = memory.write_port()
            m.d.comb += [
                write.addr.eq(Cat(Const(number, number_bits), self._write_address)),
                write.data.eq(token),
                write.en.eq(self._puts),
            ]
        read = memory.read_port()
        m.d.comb += [
            read.addr.eq(Cat(self._next_index, Mux(self._at_end, self._ahead.addr, beat))),
            read.en.eq(self._steps & (self._there | ~self._at_end)),
        ]
        with m.If(self._loads):
            m.d.sync += beat.eq(self._ahead.addr)
        return read.data

    def _cut(self, m: Module, control, op) -> None:
        """The beat at work gives its first own token, the row ends before it, and at its end those behind."""
        config = self._config
        count = config.beat_tokens
        # Of the beat at work, from its next token on.
        head = Signal(self._Control(), init={"final": 1})
        ends_later, later, earlier = Signal(ROW_ENDS), Signal(ROW_ENDS), Signal(ROW_ENDS)
        has_token, final, rest = head.has_token, head.final, _rest(head.rest)
        self._index, self._next_index = index, next_index = head.first, Signal(range(count))
        m.d.comb += [
            self._at_end.eq(~self._valid | final),
            self._steps.eq(~self._valid | self.o.ready),
            self._loads.eq(self._steps & self._at_end),
            self._takes.eq(fixed_gate(m, self._platform, "beat_taken",
                                      lambda works, ready, there: (~works | ready) & there,
                                      self._valid, self.o.ready, self._at_end & self._there)),
            next_index.eq(Mux(self._at_end, control.first, _first(head.rest))),
        ]
        for number, end in enumerate(head.ends):
            m.d.comb += [
                # A token before the end's position: the end comes after it.
                ends_later[number].eq(has_token & (index < end.position)),
                later[number].eq(end.valid & ends_later[number]),
                earlier[number].eq(end.valid & ~ends_later[number]),
            ]
        with m.If(self._loads):
            m.d.sync += head.eq(control)
        with m.Elif(self._steps):
            m.d.sync += [
                *(end.valid.eq(later[number]) for number, end in enumerate(head.ends)),
                head.first.eq(next_index), head.rest.eq(rest), final.eq(rest == 0),
            ]

        before, after = Signal(range(ROW_ENDS + 1)), Signal(range(ROW_ENDS + 1))
        m.d.comb += [
            self.o.valid.eq(self._valid),
            before.eq(sum(earlier)),
            after.eq(Mux(final, sum(later), 0)),
            op.token.eq(has_token),
            op.last.eq(head.last & final),
        ]
        self._group(m, op, before, after)
        if config.sddmm:
            self._sample(m, op, head, index, final, before, after)

    def _group(self, m: Module, op, before: Signal, after: Signal) -> None:
        """From row ends to closes: a group closes with its last row."""
        config = self._config
        phase, row_mask = Signal(config.lane_bits), Signal(config.lane_bits)  # phase: rows that ended
        at_token, at_end = Signal(config.lane_bits + 1), Signal(config.lane_bits + 1)
        m.d.comb += [
            row_mask.eq((1 << self.i_group_log2) - 1),
            at_token.eq(phase + before),
            at_end.eq((at_token & row_mask) + after),
            op.before.eq(at_token >> self.i_group_log2),
            op.position.eq(at_token & row_mask),
            op.after.eq(at_end >> self.i_group_log2),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += phase.eq(at_end & row_mask)

    def _sample(self, m: Module, op, head, index: Signal, final: Signal, before: Signal,
                after: Signal) -> None:
        """SDDMM: entries have their place by their number, and close as groups with their chunks."""
        config = self._config
        ends, chunk_bits = Signal(), config.lane_bits - log2_exact(config.beat_tokens)
        chunk = Signal(chunk_bits)                           # of the group; V / T chunks make one
        m.d.comb += ends.eq(final & head.chunk_end)
        with m.If(self.i_sddmm):
            m.d.comb += [
                op.before.eq(0),
                op.after.eq(ends & ((chunk.all() if chunk_bits else 1) | head.last)),
                op.position.eq(Cat(index, chunk)),
                op.rows_before.eq(before),
                op.rows_after.eq(after),
            ]
        with m.If(self.o.valid & self.o.ready & ends):
            m.d.sync += chunk.eq(Mux(head.last, 0, chunk + 1))


def _first(bits):
    """Number of the lowest bit that is set; undefined where there is none."""
    number = Const(len(bits) - 1)
    for place in reversed(range(len(bits) - 1)):
        number = Mux(bits[place], place, number)
    return number


def _rest(bits) -> Value:
    """All bits that are set but the lowest."""
    return Cat(bit & bits[:place].any() for place, bit in enumerate(bits))
