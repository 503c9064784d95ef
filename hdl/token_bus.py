"""The token bus: every PE hears every beat, or none does."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .attributes import KEPT_COPY
from .config import Config
from .layouts import BusBeat, PeBeat, PeJob

__all__ = ["ROOM_MARGIN_BEATS", "TokenBus"]

ROOM_MARGIN_BEATS = 4
"""Free places a PE must have while it says `room`, besides that for a beat at its input: beats that are on
their way when `room` falls, two in the bus and two that pass until it knows."""


class TokenBus(wiring.Component):
    """Passes beats to all PEs at once while the running job may use the array.

    Throughput: one beat a cycle.
    Latency: two cycles.
    Backpressure: a beat is taken only while every PE has said, a cycle ago, that it has room.
    Order: kept. After a `last` beat nothing passes until `i_open` has been low.

    Whose a token is is decided here, so that a PE needs no register of its own for the beat.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : stream of BusBeat
    i_pk_log2 : P_k of the running job, as a power of two; constant from two cycles before its first beat on
    i_open : the tile of the job that the next beat belongs to is loaded and the array is free for it
    i_room : one bit a PE
    o : P streams of PeBeat that are always taken
    o_last : the job's last beat passes in this cycle
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i": In(stream.Signature(BusBeat(config))),
            "i_pk_log2": In(PeJob(config)["pk_log2"].shape),
            "i_open": In(1),
            "i_room": In(config.pes),
            "o": Out(stream.Signature(PeBeat(config), always_ready=True)).array(config.pes),
            "o_last": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        closed, room = Signal(), Signal()
        beat, valid = Signal(BusBeat(self._config)), Signal()
        passes = Signal()
        m.d.sync += room.eq(self.i_room.all())
        m.d.comb += [
            self.i.ready.eq(self.i_open & ~closed & room),
            passes.eq(self.i.valid & self.i.ready),
            self.o_last.eq(passes & self.i.payload.last),
        ]
        m.d.sync += valid.eq(passes)
        with m.If(passes):
            m.d.sync += beat.eq(self.i.payload)
        with m.If(~self.i_open):
            m.d.sync += closed.eq(0)
        with m.Elif(self.o_last):
            m.d.sync += closed.eq(1)
        self._hand_out(m, valid, beat)
        return m

    def _hand_out(self, m: Module, valid: Signal, beat) -> None:
        """A copy of the beat for some neighbours, and for each PE the mask of its own tokens."""
        config = self._config
        low_mask = Signal(config.pe_bits)        # P_k - 1; an owner's number has no bits above it
        m.d.sync += low_mask.eq((1 << self.i_pk_log2) - 1)
        for group in config.listener_groups:
            first = group[0]
            copy_valid = Signal(name=f"valid{first}", attrs=KEPT_COPY)
            copy = Signal(PeBeat(config), name=f"copy{first}", attrs=KEPT_COPY)
            m.d.sync += [copy_valid.eq(valid), copy.ends.eq(beat.ends), copy.last.eq(beat.last)]
            if config.sddmm:
                m.d.sync += copy.chunk_end.eq(beat.chunk_end)
            for heard, token in zip(copy.tokens, beat.tokens, strict=True):
                m.d.sync += [heard[name].eq(token[name]) for name in ("address", "part", "value")]
            for number in group:
                own = Signal(config.beat_tokens, name=f"own{number}")
                wanted = (Cat(pes[number] for pes in beat.pes) if config.row_filter else beat.mask)
                m.d.sync += own.eq(beat.mask & wanted & Cat(token.owner == (number & low_mask)
                                                            for token in beat.tokens))
                port = self.o[number]
                m.d.comb += [port.valid.eq(copy_valid), port.p.eq(copy), port.p.mask.eq(own)]
