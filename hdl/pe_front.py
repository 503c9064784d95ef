"""A PE's ear on the token bus: its queue of beats, cut into single tokens."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .attributes import KEPT_COPY
from .config import VALUE_BITS, Config, width_of
from .layouts import ROW_ENDS, TokenBeat
from .queue import Queue

__all__ = ["PeFront", "PeOp"]

ROOM_BEATS = 4
"""Beats that may still come when the bus sees that there is no room: two in its registers, one at the
entry, and the one that was on its way when the room shrank."""


def _OwnToken(config: Config) -> data.StructLayout:
    return data.StructLayout({
        "address": config.row_address_bits,
        "part": config.lane_bits,
        "value": VALUE_BITS,
    })


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
    })


class PeFront(wiring.Component):
    """Queues the beats that concern this PE and hands out one token of its own at a time.

    Throughput: one token a cycle, together with the row ends around it; a beat costs max(1, own tokens)
        cycles, and nothing when it has neither own tokens nor row ends.
    Latency: 4 cycles.
    Backpressure: `i` has none; `o_room` says that four more beats can be taken.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : stream of TokenBeat, always taken
    i_owner : this PE's owner number under the running job
    i_group_log2 : rows in a group, as a power of two
    o_room : queue and entry leave four places
    o : stream of PeOp
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i": In(stream.Signature(TokenBeat(config), always_ready=True)),
            "i_owner": In(config.pe_bits),
            "i_group_log2": In(width_of(config.lane_bits + 1)),
            "o_room": Out(1),
            "o": Out(stream.Signature(PeOp(config))),
        })

    def _Beat(self) -> data.StructLayout:
        config = self._config
        return data.StructLayout({
            "tokens": data.ArrayLayout(_OwnToken(config), config.beat_tokens),
            "mask": config.beat_tokens,
            "ends": TokenBeat(config)["ends"].shape,
            "last": 1,
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.queue = queue = Queue(self._Beat(), config.queue_beats)
        entry_valid = Signal(attrs=KEPT_COPY)
        entry = Signal(TokenBeat(config), attrs=KEPT_COPY, reset_less=True)

        # ---- entry: which tokens are this PE's own ----
        own = Signal(config.beat_tokens)
        m.d.sync += entry_valid.eq(self.i.valid)
        with m.If(self.i.valid):
            m.d.sync += entry.eq(self.i.payload)
        m.d.comb += [
            own.eq(entry.mask & Cat(token.owner == self.i_owner for token in entry.tokens)),
            queue.i.valid.eq(entry_valid & (own.any() | entry.ends[0].valid | entry.last)),
            queue.i.p.mask.eq(own),
            queue.i.p.ends.eq(entry.ends),
            queue.i.p.last.eq(entry.last),
            self.o_room.eq(queue.level + entry_valid <= config.queue_beats - ROOM_BEATS),
        ]
        for stored, token in zip(queue.i.p.tokens, entry.tokens, strict=True):
            m.d.comb += [stored[name].eq(token[name]) for name in ("address", "part", "value")]

        op_valid, op = Signal(), Signal(PeOp(config))
        self._cut(m, queue, op_valid, op)
        self._group(m, op_valid, op)
        return m

    def _cut(self, m: Module, queue: Queue, op_valid: Signal, op) -> None:
        """The head beat gives its first own token, the row ends before it, and at its end those behind."""
        config = self._config
        valid, head = Signal(), Signal(self._Beat())
        lowest, rest, final = Signal(config.beat_tokens), Signal(config.beat_tokens), Signal()
        moves, ends_later, after = Signal(), Signal(ROW_ENDS), Signal(range(ROW_ENDS + 1))
        ended = Cat(end.valid for end in head.ends)
        m.d.comb += [
            moves.eq(~op_valid | self.o.ready),
            rest.eq(head.mask & (head.mask - 1)),
            lowest.eq(head.mask & ~rest),
            final.eq(rest == 0),
            after.eq(sum(ended[number] & ends_later[number] for number in range(ROW_ENDS))),
            queue.o.ready.eq(~valid | (moves & final)),
        ]
        for number, end in enumerate(head.ends):
            # A token before the end's position: the end comes after it.
            tokens_before = Signal(config.beat_tokens, name=f"tokens_before{number}")
            m.d.comb += [
                tokens_before.eq((1 << end.position) - 1),
                ends_later[number].eq((lowest & tokens_before).any()),
            ]
        with m.If(moves):
            m.d.sync += [
                op_valid.eq(valid),
                op.before.eq(sum(ended[number] & ~ends_later[number] for number in range(ROW_ENDS))),
                op.token.eq(head.mask.any()),
                op.after.eq(Mux(final, after, 0)),
                op.last.eq(head.last & final),
            ]
            for name in ("address", "part", "value"):
                chosen = 0
                for number, token in enumerate(head.tokens):
                    chosen = chosen | Mux(lowest[number], token[name], 0)
                m.d.sync += op[name].eq(chosen)
            m.d.sync += [head.mask.eq(rest), *(head.ends[number].valid.eq(ended[number] & ends_later[number])
                                               for number in range(ROW_ENDS))]
        with m.If(queue.o.ready):
            m.d.sync += valid.eq(queue.o.valid)
            with m.If(queue.o.valid):
                m.d.sync += head.eq(queue.o.p)

    def _group(self, m: Module, op_valid: Signal, op) -> None:
        """From row ends to closes: a group closes with its last row."""
        config = self._config
        phase, row_mask = Signal(config.lane_bits), Signal(config.lane_bits)  # phase: rows that ended
        at_token, at_end = Signal(config.lane_bits + 1), Signal(config.lane_bits + 1)
        m.d.comb += [
            row_mask.eq((1 << self.i_group_log2) - 1),
            at_token.eq(phase + op.before),
            at_end.eq((at_token & row_mask) + op.after),
            self.o.valid.eq(op_valid),
            self.o.p.eq(op),
            self.o.p.before.eq(at_token >> self.i_group_log2),
            self.o.p.position.eq(at_token & row_mask),
            self.o.p.after.eq(at_end >> self.i_group_log2),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += phase.eq(at_end & row_mask)
