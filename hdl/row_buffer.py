"""A PE's buffer of rows of the streamed dense operand of SDDMM: its own slice of each."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .config import VALUE_BITS, Config, log2_exact
from .layouts import PeTileBeat, TileBeat, TileBeatKind

__all__ = ["MAX_ADVANCE", "ROOM_MARGIN_WORDS", "RowBuffer"]

MAX_ADVANCE = 4
"""Rows that can end in one cycle: two behind the last token, two before the next one."""

ROOM_MARGIN_WORDS = 16
"""What still comes when `o_room` has fallen: two words a beat, of six beats in the loader and on the bus. Of
slices that are no longer than a row needs no beat brings more; other descriptors are refused."""

_LEAD_ROWS = 4
"""So many rows a PE may be done with before they come (it has no tokens in them)."""


class RowBuffer(wiring.Component):
    """A ring of words: rows come by the tile bus, stay while the PE's tokens need them, and go in order.

    Throughput: two words come a cycle, one is read.
    Latency: a row is there two cycles after its last beat; `o` comes two cycles after `i_index`.
    Backpressure: `o_room` keeps `ROOM_MARGIN_WORDS` of room.
    Order: rows as they come; words of a row by their index.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_begins : a job begins: the ring is empty, the next row that comes is its first
    i_slice, i_slice_words, i_own_words : this PE's slice, words of a full one, and of this one; constant from
        the first row on. A PE without words has all rows at once.
    i : stream of PeTileBeat, always taken
    i_data : data of the beat that came a cycle ago
    i_advance : so many rows are done with, the current one first
    o_there : the current row has come
    o_far : too many rows are done with that have not come: `i_advance` must be 0
    o_room : the loader may send on
    i_index : word of the current row to be read
    o : V values
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_begins": In(1),
            "i_slice": In(config.pe_bits),
            "i_slice_words": In(config.slice_words_bits),
            "i_own_words": In(config.slice_words_bits),
            "i": In(stream.Signature(PeTileBeat(config), always_ready=True)),
            "i_data": In(TileBeat(config)["data"].shape),
            "i_advance": In(range(MAX_ADVANCE + 1)),
            "o_there": Out(1),
            "o_far": Out(1),
            "o_room": Out(1),
            "i_index": In(config.slice_words_bits),
            "o": Out(VALUE_BITS * config.lanes),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        # Addresses go on from row to row, of which the lowest bits are the place in the ring.
        self._start = Signal(config.tile_address_bits)    # of the current row
        self._hits = Signal(config.words_per_beat)        # words of the beat that are this PE's
        self._write(m)
        self._read(m)
        self._count(m)
        return m

    def _half(self, address, slice_number):
        """Which half of the memory holds a word: see `PeTileBeat`."""
        return address[0] ^ slice_number[0] if self._config.words_per_beat == 2 else address[0]

    def _write(self, m: Module) -> None:
        """The beat in one cycle, its data in the next, as in the lanes' stores."""
        config, beat = self._config, self.i.p
        depth, word_bits = config.row_words // 2, VALUE_BITS * config.lanes
        place = Signal(range(depth))
        halves = Signal(2)
        for x in range(config.words_per_beat):
            m.d.comb += self._hits[x].eq(self.i.valid & (beat.kind == TileBeatKind.ROWS) & beat.enable[x]
                                         & (beat.slice[x] == self.i_slice))
        address = beat.address[0]
        if config.words_per_beat == 2:
            address = Mux(self._hits[1] & ~self._hits[0], beat.address[1], address)
            m.d.sync += halves.eq(Mux(beat.swap, self._hits[::-1], self._hits))
        else:
            m.d.sync += halves.eq(Cat(self._hits[0] & ~address[0], self._hits[0] & address[0]))
        m.d.sync += place.eq(address >> 1)
        self._reads = []
        for half in range(2):
            memory = Memory(shape=word_bits, depth=depth, init=[])
            m.submodules[f"half{half}"] = memory
            write = memory.write_port()
            second = half and len(self.i_data) > word_bits
            m.d.comb += [write.addr.eq(place), write.en.eq(halves[half]),
                         write.data.eq(self.i_data[word_bits:] if second else self.i_data[:word_bits])]
            self._reads.append(memory.read_port())

    def _read(self, m: Module) -> None:
        address, half = Signal(log2_exact(self._config.row_words)), Signal()
        m.d.sync += [address.eq(self._start + self.i_index), half.eq(self._half(address, self.i_slice))]
        for read in self._reads:
            m.d.comb += [read.addr.eq(address >> 1), read.en.eq(1)]
        m.d.comb += self.o.eq(Mux(half, self._reads[1].data, self._reads[0].data))

    def _count(self, m: Module) -> None:
        config = self._config
        came = Signal(config.slice_words_bits)            # words of the row that is coming
        with_these, arrives = Signal(config.slice_words_bits), Signal()
        end = Signal(config.tile_address_bits)            # address behind the rows that have come
        ahead, next_ahead = Signal(signed(8)), Signal(signed(8))   # rows that have come and are not done with
        used = Signal(signed(config.tile_address_bits))
        none = Signal()
        m.d.comb += [
            with_these.eq(came + sum(self._hits)),
            arrives.eq(self._hits.any() & (with_these == self.i_own_words)),
            next_ahead.eq(ahead + arrives - self.i_advance),
            used.eq(end - self._start),
        ]
        m.d.sync += [
            came.eq(Mux(arrives, 0, with_these)),
            ahead.eq(next_ahead),
            none.eq(self.i_own_words == 0),
            self.o_there.eq((next_ahead > 0) | none),
            self.o_far.eq((next_ahead <= -_LEAD_ROWS) & ~none),
            self._start.eq(self._start + sum(Mux(self.i_advance[bit], self.i_slice_words << bit, 0)
                                             for bit in range(len(self.i_advance)))),
            # The row that is coming counts as if it were complete.
            self.o_room.eq((used <= config.row_words - ROOM_MARGIN_WORDS - self.i_slice_words) | none),
        ]
        with m.If(arrives):
            m.d.sync += end.eq(end + self.i_slice_words)
        with m.If(self.i_begins):
            m.d.sync += [came.eq(0), ahead.eq(0), end.eq(0), self._start.eq(0), self.o_there.eq(0),
                         self.o_far.eq(0)]
