"""The last gate before the memory's pins: no burst outside the windows, no transfer left half done."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .axi import ID_BITS, AxiAddress, AxiMemory
from .config import ADDRESS_BITS, Config, log2_exact, width_of
from .level import count_both_ways
from .registers import WINDOW_BYTES

__all__ = ["BLOCK_BITS", "EVERYWHERE", "MAX_WRITE_BURSTS", "Blocked", "MemoryGuard", "Window", "Windows"]

BLOCK_BITS = ADDRESS_BITS - log2_exact(WINDOW_BYTES)
"""Of the number of a block of WINDOW_BYTES."""

MAX_WRITE_BURSTS = 128
"""Write bursts that may be outstanding; a segment writer has no more than 64."""


def Window() -> data.StructLayout:
    """A piece of memory, in blocks of WINDOW_BYTES: the first and the last one that belong to it."""
    return data.StructLayout({"base": BLOCK_BITS, "last": BLOCK_BITS})


def Windows() -> data.StructLayout:
    """What may be read, and what may be written."""
    return data.StructLayout({"read": Window(), "write": Window()})


EVERYWHERE = {name: {"base": 0, "last": (1 << BLOCK_BITS) - 1} for name in ("read", "write")}
"""Windows that allow everything."""


def Blocked() -> data.StructLayout:
    """Offers that do not go out since they lie outside of their window; of which read stream, where."""
    return data.StructLayout({"read": 1, "write": 1, "id": ID_BITS, "address": ADDRESS_BITS})


class MemoryGuard(wiring.Component):
    """Lets only bursts inside the windows out to the memory, and closes the port without cutting a transfer.

    Contract, whatever `port` does: an address goes out only if every byte of its burst lies in the window
    (`read` for AR, `write` for AW) and in one piece of `burst_bytes`, from a multiple of that on.
    Contract, if an offer of `port.aw` holds until it is taken and the windows stay as they are meanwhile: W
    beats go out only for a burst whose address went out, at the earliest in the cycle after it was first
    offered.
    Contract, if `port` keeps all rules of AXI (WLAST ends a burst) and the windows stay as they are while
    anything is outstanding: `memory` keeps them too, also when `i_close` or `i_hold` comes in any cycle; once
    `o_quiet` is high under `i_close` it stays so until `i_close` falls.

    Throughput: that of the channels.
    Latency: none, all channels pass in the same cycle.
    Backpressure: passed through; `ready` of an address does not wait for what is found of it. A burst outside
    of its window may be taken, and goes nowhere; then none of its channel is taken until `i_close`.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    port : AXI slave, towards the array
    memory : AXI master, towards the memory
    i_windows : Windows
    i_hold : no further address is offered
    i_close : the same, for good: what was offered is brought to its end
    o_blocked : Blocked, from the cycle after the offer, or after `i_hold` has fallen, until `i_close`
    o_quiet : under `i_close`, a cycle later: nothing is offered, nothing is outstanding
    o_moves : something was handed over on some channel in the cycle before, an address in the one before that
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "port": In(AxiMemory(config.port_bytes)),
            "memory": Out(AxiMemory(config.port_bytes)),
            "i_windows": In(Windows()),
            "i_hold": In(1),
            "i_close": In(1),
            "o_blocked": Out(Blocked()),
            "o_quiet": Out(1),
            "o_moves": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        most_reads = 16 * self._config.read_buffer_beats
        # Addresses are counted the cycle after they were taken: that comes late.
        asked_before, announced_before = Signal(), Signal()
        reads = Signal(range(most_reads + 1))         # bursts asked for, last beat not here
        writes = Signal(range(MAX_WRITE_BURSTS + 1))  # bursts announced, answer not here
        # Bursts announced less bursts whose data went out, plus one: data may be a burst ahead of an address
        # that is on offer.
        lead = Signal(width_of(MAX_WRITE_BURSTS + 2), init=1)
        # What was offered, or was blocked.
        read_kept, write_kept = (Signal(AxiAddress(), name=name) for name in ("read_kept", "write_kept"))
        asked, read_offered = self._address(m, self.port.ar, self.memory.ar, self.i_windows.read,
                                            reads < most_reads - 1, self.o_blocked.read, read_kept)
        announced, write_offered = self._address(m, self.port.aw, self.memory.aw, self.i_windows.write,
                                                 writes < MAX_WRITE_BURSTS - 1, self.o_blocked.write,
                                                 write_kept)

        # ---- write data, only behind an address ----
        w, w_open, sent = self.memory.w, Signal(), Signal()
        m.d.comb += [
            # What was offered and not taken is on offer still; whether it may be is not asked again.
            w_open.eq((lead > 1) | ((lead == 1) & (announced_before | write_offered))),
            w.valid.eq(self.port.w.valid & w_open),
            w.p.eq(self.port.w.p),
            self.port.w.ready.eq(w.ready & w_open),
            sent.eq(w.valid & w.ready & w.p.last),
        ]

        # ---- answers ----
        r, b = self.memory.r, self.memory.b
        for source, sink in ((r, self.port.r), (b, self.port.b)):
            m.d.comb += [sink.valid.eq(source.valid), sink.p.eq(source.p), source.ready.eq(sink.ready)]
        m.d.sync += [
            asked_before.eq(asked),
            announced_before.eq(announced),
        ]
        count_both_ways(m, reads, asked_before, r.valid & r.ready & r.p.last)
        count_both_ways(m, writes, announced_before, b.valid & b.ready)
        count_both_ways(m, lead, announced_before, sent)
        # Nothing new is offered under `i_close`.
        m.d.sync += self.o_quiet.eq(
            self.i_close & ~(read_offered | write_offered | asked_before | announced_before)
            & (reads == 0) & (writes == 0) & (lead == 1))
        m.d.comb += [
            self.o_blocked.id.eq(read_kept.id),
            self.o_blocked.address.eq(Mux(self.o_blocked.read, read_kept.address, write_kept.address)),
        ]
        m.d.sync += self.o_moves.eq(asked_before | announced_before | (w.valid & w.ready)
                                    | (r.valid & r.ready) | (b.valid & b.ready))
        return m

    def _address(self, m: Module, source, sink, window, room, blocked, kept) -> tuple[Signal, Signal]:
        """An address channel; is one handed over, and was one offered and not taken. `kept` is the burst that
        was looked at last, and the one that is `blocked`.
        """
        beat_log2, piece_log2 = log2_exact(self._config.port_bytes), log2_exact(self._config.burst_bytes)
        block_log2 = log2_exact(WINDOW_BYTES)
        # The array's bursts end in the piece of memory that they begin in; others are not let out.
        address, length = source.p.address, source.p.length
        beats, blocks = piece_log2 - beat_log2, piece_log2 - block_log2   # of a piece, as powers of two
        first, in_piece = Signal(BLOCK_BITS), Signal()
        in_time, inside = Signal(), Signal()
        offered, opened, moves = Signal(), Signal(), Signal()
        m.d.comb += [
            first.eq(address[block_log2:]),
            in_piece.eq(~(address[beat_log2:piece_log2] + length[:beats])[-1] & ~length[beats:].any()),
            # Differences, below 0 or not: carry chains are faster than comparisons in LUTs.
            in_time.eq(~self._room_behind(address[beat_log2:], length[:beats], window.last, blocks)[-1]),
            inside.eq(~(first - window.base)[-1] & in_time & in_piece),
            # What was offered once is offered until it is taken.
            opened.eq(offered | (room & ~self.i_hold & ~self.i_close & ~blocked)),
            sink.valid.eq(source.valid & inside & opened),
            sink.p.eq(source.p),
            # The comparison comes late: what lies outside is taken as well, and is dropped.
            source.ready.eq(sink.ready & opened),
            moves.eq(sink.valid & sink.ready),
        ]
        m.d.sync += [
            offered.eq(sink.valid & ~sink.ready),
            # Under `i_hold` it is still being looked at whether the array may ask at all.
            blocked.eq((blocked | (source.valid & ~inside & opened)) & ~self.i_close),
        ]
        with m.If(~blocked):
            m.d.sync += kept.eq(source.p)
        return moves, offered

    @staticmethod
    def _room_behind(beat: Value, length: Value, last: Value, blocks: int) -> Value:
        """Below 0 where a burst that ends in its piece, of 1 << `blocks` blocks, ends behind block `last`.

        One carry chain: `last` minus the beat minus the length, without a sum before it. Within a block
        `last` is all ones, of which the length takes away; the bits of blocks in the piece are three numbers,
        that become two. Where those two make no carry, or the one from below makes none, there is a borrow.
        """
        within = len(length) - blocks
        three = [(last[place], ~beat[within + place], ~length[within + place]) for place in range(blocks)]
        odd = [a ^ b ^ c for a, b, c in three]
        carries = [(a & b) | (a & c) | (b & c) for a, b, c in three]
        top = [Const(0, 1), Const(1, 1)] if blocks else []
        return (Cat(~beat[:within], *odd, *carries[-1:], last[blocks:])
                - Cat(length[:within], *top[:1], *(~carry for carry in carries[:-1]), *top[1:],
                      beat[len(length):]))
