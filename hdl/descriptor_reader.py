"""Reads descriptors from memory, one ahead of the one in use."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .block_queue import BlockQueue
from .config import ADDRESS_BITS, MAX_BURST_BEATS, Config, log2_exact
from .descriptor import DESCRIPTOR_BYTES, Descriptor
from .layouts import ReadBeat, ReadRequest
from .status import COUNT_BITS

__all__ = ["DESCRIPTOR_BURSTS", "DescriptorRead", "DescriptorReader"]

DESCRIPTOR_BURSTS = 8
"""More than two descriptors ever take, of up to three bursts each."""

def DescriptorRead() -> data.StructLayout:
    """A descriptor, or what came in its place when the memory answered with an error."""
    return data.StructLayout({"descriptor": Descriptor(), "error": 1})


class DescriptorReader(wiring.Component):
    """Reads `i_count` contiguous descriptors: one is offered while the next one waits behind it.

    Descriptors start on a beat of the memory port, so whole beats are placed and no byte is shifted: this is
    why there is no SegmentReader here. The descriptor on offer is the only copy that the command processor
    has; the one behind it waits in a small memory.

    Throughput: a beat a cycle; two descriptors are asked for at most.
    Latency: first request the cycle after `i_start`; a descriptor is offered the cycle after its last beat.
    Backpressure: nothing is asked for without room for the answer.
    Order: that of memory.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_start : reads begin; only while `o_idle`
    i_address : of the first descriptor, in bytes; a multiple of `config.port_bytes`
    i_count : descriptors, 1..65535
    o_request, i_beat : read stream
    o : stream of DescriptorRead; the payload holds until it is taken, and is there as it comes:
    o_placed : beats of `o.payload` that are in place
    o_idle : nothing is to be asked, nothing is on its way, nothing is offered; from the cycle after that on
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_start": In(1),
            "i_address": In(ADDRESS_BITS),
            "i_count": In(COUNT_BITS),
            "o_request": Out(stream.Signature(ReadRequest(config))),
            "i_beat": In(stream.Signature(ReadBeat(config), always_ready=True)),
            "o": Out(stream.Signature(DescriptorRead())),
            "o_placed": Out(range(DESCRIPTOR_BYTES // config.port_bytes + 1)),
            "o_idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        self._beats = DESCRIPTOR_BYTES // self._config.port_bytes
        self._pending = Signal(range(3))  # descriptors asked for and not yet taken from `o`
        self._left = Signal(COUNT_BITS)   # descriptors not yet asked for
        self._ask(m)
        self._assemble(m)
        return m

    def _ask(self, m: Module) -> None:
        """Bursts of the next descriptor, cut where `burst_bytes` ends."""
        beat_bytes_log2 = log2_exact(self._config.port_bytes)
        beat_address = Signal(ADDRESS_BITS - beat_bytes_log2)
        active = Signal()                        # from a start until all descriptors are taken
        asking = Signal()                        # for a descriptor: so many beats, less one, are left
        rest = Signal(range(self._beats))
        # Of the next burst, less one, as of all sizes here: that needs no sums.
        beats, to_boundary, fits = self.o_request.payload.beats, Signal(range(MAX_BURST_BEATS)), Signal()
        taken, begins = Signal(), Signal()
        wanted, room = Signal(), Signal()
        m.d.comb += [
            taken.eq(self.o.valid & self.o.ready),
            to_boundary.eq(~beat_address),
            fits.eq(rest <= to_boundary),
            beats.eq(Mux(fits, rest, to_boundary)),
            self.o_request.valid.eq(asking),
            self.o_request.payload.address.eq(beat_address << beat_bytes_log2),
            wanted.eq(self._left != 0),
            # Behind a descriptor on offer is room for one more; before it is complete there is not.
            room.eq(active & ((self._pending == 0) | ((self._pending == 1) & self.o.valid))),
            begins.eq(wanted & room & ~asking),
            self.o_idle.eq(~active),
        ]
        m.d.sync += self._pending.eq(self._pending + begins - taken)
        with m.If(begins):
            m.d.sync += [asking.eq(1), rest.eq(self._beats - 1), self._left.eq(self._left - 1)]
        with m.If(self.o_request.valid & self.o_request.ready):
            # A complement is what is taken away, less one. Of the last burst nobody looks at `rest`.
            m.d.sync += [
                beat_address.eq(beat_address - Cat(~beats, 1).as_signed()),
                rest.eq(rest + Cat(~to_boundary, 1).as_signed()),
                asking.eq(~fits),
            ]
        # A start comes late: what it begins with is there before, and the first descriptor begins at once.
        with m.If(~active):
            m.d.sync += [
                beat_address.eq(self.i_address >> beat_bytes_log2),
                self._left.eq(self.i_count - 1),
                rest.eq(self._beats - 1),
            ]
        with m.If(self.i_start):
            m.d.sync += [active.eq(1), asking.eq(1), self._pending.eq(1)]
        with m.Elif(~(wanted | asking) & (self._pending == 0)):
            m.d.sync += active.eq(0)

    def _assemble(self, m: Module) -> None:
        """Beats into the descriptor, straight or, while one is on offer, by way of the queue."""
        beat_bits = 8 * self._config.port_bytes
        m.submodules.behind = behind = BlockQueue(beat_bits + 1, self._beats,
                                                  however_shallow=self._config.fetch_block_queues)
        arriving, placed = Signal(beat_bits + 1), Signal(beat_bits + 1)
        straight, place = Signal(), Signal()
        full, number = Signal(), Signal(range(self._beats))
        words = [Signal(beat_bits, name=f"beat{index}") for index in range(self._beats)]
        error = Signal()
        m.d.comb += [
            arriving.eq(Cat(self.i_beat.payload.data, self.i_beat.payload.error)),
            straight.eq(~full & (behind.level == 0) & ~behind.o.valid),
            behind.i.p.eq(arriving),
            behind.i.valid.eq(self.i_beat.valid & ~straight),
            behind.o.ready.eq(~full),
            placed.eq(behind.o.p),
            place.eq(behind.o.valid & ~full),
            self.o.valid.eq(full),
            self.o.payload.descriptor.eq(Cat(words)),
            self.o.payload.error.eq(error),
            self.o_placed.eq(Cat(number, full)),
        ]
        with m.If(straight):
            m.d.comb += [placed.eq(arriving), place.eq(self.i_beat.valid)]
        with m.If(place):
            with m.Switch(number):
                for index, word in enumerate(words):
                    with m.Case(index):
                        m.d.sync += word.eq(placed)
            m.d.sync += [
                number.eq(number + 1),
                error.eq(placed[-1] | (error & (number != 0))),
                full.eq(number == self._beats - 1),
            ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += full.eq(0)
