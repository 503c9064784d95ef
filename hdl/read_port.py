"""Shares the read channels of the memory port among the array's read streams."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .axi import ID_BITS, AxiAddress, AxiRead
from .burst_log import BurstAsked
from .config import Config, log2_exact
from .layouts import ReadBeat, ReadRequest
from .register_slice import RegisterSlice
from .selectors import WideSelect, one_of

__all__ = ["ReadError", "ReadPort"]


def ReadError() -> data.StructLayout:
    """One cycle of `valid` for a beat that came with an error response."""
    return data.StructLayout({"valid": 1, "reader": ID_BITS})


def _above_first(bits: Signal) -> Value:
    """The places above the lowest set bit."""
    return Cat(bits[:number].any() for number in range(len(bits)))


class ReadPort(wiring.Component):
    """Passes bursts to the memory, in turns, and hands every answer to the stream that asked for it.

    Throughput: one burst asked and one beat answered a cycle.
    Latency: two cycles from a request to `ar`, one if its reader was the last to be served; one from `r` to
        `o_beat`.
    Backpressure: `ar` may stall, and a second burst waits behind it; `r` is always taken, since every reader
        has reserved room for its answers.
    Order: that of the memory. A reader's number is its AXI id, so its own answers come in order; answers of
    different readers may come in any order and may be interleaved.

    Parameters
    ----------
    config : Config
    readers : int, number of read streams, 1..16

    Members
    -------
    i_request : streams of ReadRequest
    o_beat : streams of ReadBeat, never stalled
    ar, r : the memory's read channels
    o_asked : BurstAsked, in the cycle in which a request is taken
    o_error : ReadError, for one cycle
    o_beats : a beat arrived
    """

    def __init__(self, config: Config, readers: int):
        if not 1 <= readers <= 1 << ID_BITS:
            raise ValueError(f"readers = {readers}; it must be 1 to {1 << ID_BITS}")
        self._config, self._readers = config, readers
        super().__init__({
            "i_request": In(stream.Signature(ReadRequest(config))).array(readers),
            "o_beat": Out(stream.Signature(ReadBeat(config), always_ready=True)).array(readers),
            "ar": Out(stream.Signature(AxiAddress())),
            "r": In(stream.Signature(AxiRead(config.port_bytes))),
            "o_asked": Out(BurstAsked()),
            "o_error": Out(ReadError()),
            "o_beats": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        self._ask(m)
        self._answer(m)
        return m

    def _ask(self, m: Module) -> None:
        """Round robin: the first request after the reader that was served last, or else the first of all.

        Whose turn it is is worked out while the one before is taken: no reader waits for the search. It stays
        a reader's turn until another one wants it.
        """
        readers = self._readers
        advance = Signal()
        wanted, after, preferred = Signal(readers), Signal(readers), Signal(readers)
        chosen, later = Signal(readers), Signal(readers)
        granted = Signal(readers)      # of it one bit at most is set
        number = Signal(ID_BITS)       # of that bit
        any_after, any_wanted = Signal(), Signal()
        valid = Cat(request.valid for request in self.i_request)
        m.d.comb += [
            # Whether the one that is taken now is followed by another is not known yet.
            wanted.eq(valid & ~granted),
            any_wanted.eq(wanted.any()),
            after.eq(wanted & preferred),
            any_after.eq(after.any()),
            # Both searches at once, then the choice: half the depth of logic.
            later.eq(Mux(any_after, _above_first(after), _above_first(wanted))),
            chosen.eq(Mux(any_after, after, wanted) & ~later),
        ]
        with m.If(advance & any_wanted):
            m.d.sync += [granted.eq(chosen), preferred.eq(later), number.eq(one_of(chosen, range(readers)))]
        beat_log2 = log2_exact(self._config.port_bytes)
        bursts = [Cat(request.p.beats, request.p.address[beat_log2:]) for request in self.i_request]
        m.submodules.select = select = WideSelect(len(bursts[0]), readers)
        m.d.comb += select.i_number.eq(number)
        for place, (request, burst) in enumerate(zip(self.i_request, bursts, strict=True)):
            m.d.comb += [request.ready.eq(advance & granted[place]), select.i[place].eq(burst)]
        beats = len(self.i_request[0].p.beats)
        # The memory guard looks at a register, and no reader waits for what it says.
        m.submodules.head = head = RegisterSlice(AxiAddress())
        m.d.comb += [
            advance.eq(head.i.ready),
            head.i.valid.eq((granted & valid).any()),
            head.i.p.id.eq(number),
            head.i.p.length.eq(select.o[:beats]),
            head.i.p.address.eq(select.o[beats:] << beat_log2),
            self.o_asked.valid.eq(head.i.valid & head.i.ready),
            self.o_asked.id.eq(head.i.p.id),
            self.o_asked.address.eq(head.i.p.address),
        ]
        connect(m, head.o, flipped(self.ar))

    def _answer(self, m: Module) -> None:
        # One register for the data, one valid bit a reader.
        beat = Signal(ReadBeat(self._config))
        error = Signal()
        m.d.comb += [self.r.ready.eq(1), error.eq(self.r.payload.response[1])]
        m.d.sync += [
            beat.data.eq(self.r.payload.data),
            beat.error.eq(error),
            self.o_beats.eq(self.r.valid),
            self.o_error.valid.eq(self.r.valid & error),
            self.o_error.reader.eq(self.r.payload.id),
        ]
        for number, output in enumerate(self.o_beat):
            valid = Signal(name=f"valid{number}")
            m.d.sync += valid.eq(self.r.valid & (self.r.payload.id == Const(number, ID_BITS)))
            m.d.comb += [output.valid.eq(valid), output.payload.eq(beat)]
