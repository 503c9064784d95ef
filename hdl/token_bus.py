"""The token bus: every PE hears every beat, or none does."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import Config
from .layouts import TokenBeat

__all__ = ["ROOM_MARGIN_BEATS", "TokenBus"]

ROOM_MARGIN_BEATS = 4
"""Free places a PE must have while it says `room`: beats on their way when `room` falls."""


class TokenBus(wiring.Component):
    """Passes beats to all PEs at once while the running job may use the array.

    Throughput: one beat a cycle.
    Latency: one cycle.
    Backpressure: a beat is taken only while every PE has said, a cycle ago, that it has room.
    Order: kept. After a `last` beat nothing passes until `i_open` has been low.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : stream of TokenBeat
    i_open : the tile of the job that the next beat belongs to is loaded and the array is free for it
    i_room : one bit a PE
    o : P streams of TokenBeat that are always taken
    o_last : the job's last beat passes in this cycle
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i": In(stream.Signature(TokenBeat(config))),
            "i_open": In(1),
            "i_room": In(config.pes),
            "o": Out(stream.Signature(TokenBeat(config), always_ready=True)).array(config.pes),
            "o_last": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        closed, room = Signal(), Signal()
        beat, valid = Signal(TokenBeat(self._config)), Signal()
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
        for port in self.o:
            m.d.comb += [port.payload.eq(beat), port.valid.eq(valid)]
        return m
