"""A PE's part of the tile: one memory a lane, and the table that finds packed rows in it."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .attributes import KEPT_COPY
from .config import VALUE_BITS, Config, log2_exact
from .layouts import TileBeat, TileBeatKind

__all__ = ["LaneStore", "TableEntry"]

PACK_KINDS = {"starts": TileBeatKind.START, "slots": TileBeatKind.SLOTS, "row_ends": TileBeatKind.ROW_END}


def TableEntry(config: Config) -> data.StructLayout:
    """Where a packed row lies: `words` store words from `start` on, of which lane j uses `counts[j]`."""
    return data.StructLayout({
        "start": config.store_address_bits,
        "words": config.count_bits,
        "counts": data.ArrayLayout(config.count_bits, config.lanes),
    })


class LaneStore(wiring.Component):
    """Takes tile beats into the lanes' memories and gives out one word of every lane a cycle.

    Throughput: one tile beat and one store word a cycle; one table entry a cycle.
    Latency: a tile beat can be read 4 cycles after it came; `o_words` comes 2 cycles after `i_address`,
        `o_table` one cycle after `i_row`.
    Backpressure: none.
    Overflow: a packed value past the end of the memory, or past what a row's count can hold, is dropped;
        `o_overflow`.
    Order: values of a lane lie in the order in which they came.

    A dense word takes one half of a store word; a packed slot takes all of it, the value in its low bits,
    the accumulator word above. No word is read while it is written: tiles are loaded into the half that no
    token reads.

    Parameters
    ----------
    config : Config
    number : what `i_number` is where nothing drives it

    Members
    -------
    i_number : the PE's number, constant
    i_owner, i_slice : this PE's place under the running job's P_k
    i : stream of TileBeat, always taken
    i_enable, i_address : read a store word
    i_low, i_high : for each lane, whether to read its lower and its upper half; what is not read is zero
    o_words : V store words of 2 * half_word_bits
    i_row_enable, i_row, o_table : read a TableEntry (only with `compressed_b`)
    o_overflow : pulse, a packed value was dropped
    """

    def __init__(self, config: Config, number: int = 0):
        self._config = config
        members = {
            "i_number": In(config.pe_bits, init=number),
            "i_owner": In(config.pe_bits),
            "i_slice": In(config.pe_bits),
            "i": In(stream.Signature(TileBeat(config), always_ready=True)),
            "i_enable": In(1),
            "i_address": In(config.store_address_bits),
            "i_low": In(config.lanes),
            "i_high": In(config.lanes),
            "o_words": Out(data.ArrayLayout(2 * config.half_word_bits, config.lanes)),
            "o_overflow": Out(1),
        }
        if config.compressed_b:
            members |= {
                "i_row_enable": In(1),
                "i_row": In(config.table_address_bits),
                "o_table": Out(TableEntry(config)),
            }
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        config = self._config
        self._stage_entry(m)
        self._stage_decode(m)
        ports = []
        for lane in range(config.lanes):
            memory = Memory(shape=2 * config.half_word_bits, depth=config.store_depth, init=[])
            m.submodules[f"lane{lane}"] = memory
            ports.append(memory.write_port(granularity=config.half_word_bits))
            read = memory.read_port()
            m.d.comb += [read.addr.eq(self.i_address), read.en.eq(self.i_enable)]
            # A block RAM's output is slow: a register follows at once. Its reset clears what is not wanted.
            for half, wanted in enumerate((self.i_low, self.i_high)):
                comes = Signal(name=f"comes{half}_{lane}")
                value = Signal(config.half_word_bits, name=f"value{half}_{lane}", reset_less=True)
                place = slice(half * config.half_word_bits, (half + 1) * config.half_word_bits)
                m.d.sync += [comes.eq(wanted[lane]), value.eq(Mux(comes, read.data[place], 0))]
                m.d.comb += self.o_words[lane][place].eq(value)
        self._write_dense(m, ports)
        if config.compressed_b:
            self._write_packed(m, ports)
        return m

    def _stage_entry(self, m: Module) -> None:
        self._entry_valid = Signal(attrs=KEPT_COPY)
        self._entry = Signal(TileBeat(self._config), attrs=KEPT_COPY, reset_less=True)
        m.d.sync += self._entry_valid.eq(self.i.valid)
        with m.If(self.i.valid):
            m.d.sync += self._entry.eq(self.i.payload)

    def _stage_decode(self, m: Module) -> None:
        """Which of the beat is this PE's, and where it goes."""
        config, entry = self._config, self._entry
        words, lane_bits = config.words_per_beat, config.lane_bits
        self._data = Signal.like(entry.data, reset_less=True)
        self._low_enable, self._high_enable = Signal(), Signal()
        self._low_second, self._high_second = Signal(), Signal()   # data comes from the beat's second word
        self._lanes = Signal(config.lanes)
        self._address = Signal(config.tile_address_bits)
        m.d.sync += self._data.eq(entry.data)

        mine, high = Signal(words), Signal(words)
        for x in range(words):
            m.d.comb += [
                mine[x].eq(self._entry_valid & (entry.kind == TileBeatKind.WORDS) & entry.enable[x]
                           & (entry.owner == self.i_owner) & (entry.slice[x] == self.i_slice)),
                high[x].eq(entry.address[x][0]),
            ]
        # PARTS: the row of the beat that this PE owns; negative where its row is not in the beat.
        own_k, row = Signal(config.pe_bits), Signal(config.pe_bits + 1)
        in_beat, parts, part_hit = Signal(), Signal(), Signal()
        first_byte = Signal(log2_exact(config.port_bytes))
        part_second = first_byte[lane_bits] if words == 2 else Const(0)
        m.d.comb += [
            own_k.eq(self.i_number ^ entry.fold),
            row.eq(own_k - entry.first),
            in_beat.eq(~row[-1] & (row < entry.rows)),
            parts.eq(entry.kind == TileBeatKind.PARTS),
            part_hit.eq(self._entry_valid & parts & in_beat),
            first_byte.eq(Cat(own_k, entry.above) << entry.part_log2),
        ]
        packs = entry.kind == TileBeatKind.SLOTS
        use_second = (mine[-1] & ~mine[0]) if words == 2 else Const(0)
        m.d.sync += [
            self._address.eq(Mux(use_second, entry.address[-1], entry.address[0])
                             | (entry.half << (config.tile_address_bits - 1))),
            self._low_enable.eq((mine & ~high).any() | (part_hit & ~high[0])),
            self._high_enable.eq((mine & high).any() | (part_hit & high[0])),
            self._low_second.eq(Mux(parts, part_second, (mine & ~high)[-1] if words == 2 else 0)),
            self._high_second.eq(
                Mux(parts, part_second, packs | ((mine & high)[-1] if words == 2 else 0))),
        ]
        for lane in range(config.lanes):
            its_part = Const(lane, lane_bits) >> entry.part_log2
            part = first_byte[:lane_bits] >> entry.part_log2
            m.d.sync += self._lanes[lane].eq(~parts | (its_part == part))

    def _write_dense(self, m: Module, ports) -> None:
        config = self._config
        second_word = config.lanes if len(self._data) > 8 * config.lanes else 0
        for lane, port in enumerate(ports):
            first, second = (self._data.word_select(word + lane, VALUE_BITS) for word in (0, second_word))
            m.d.comb += [
                port.addr.eq(self._address[1:]),
                port.data.eq(Cat(Mux(self._low_second, second, first),
                                 Mux(self._high_second, second, first))),
                port.en[0].eq(self._low_enable & self._lanes[lane]),
                port.en[1].eq(self._high_enable & self._lanes[lane]),
            ]

    def _write_packed(self, m: Module, ports) -> None:
        """Rows follow one another; within a row each lane counts for itself."""
        config, entry = self._config, self._entry
        address_bits, count_bits = config.store_address_bits, config.count_bits
        hits = {name: Signal(name=name) for name in PACK_KINDS}
        row = Signal(config.table_address_bits)
        start_half = Signal()
        half = Signal()                               # of the tile that is being packed
        owned, own_slice = Signal(), Signal()
        slot_valid = Signal(config.lanes)
        m.d.comb += [
            owned.eq(entry.owner == self.i_owner),
            own_slice.eq(entry.slice[0] == self.i_slice),
        ]
        kind_hit = {name: self._entry_valid & (entry.kind == kind) for name, kind in PACK_KINDS.items()}
        m.d.sync += [
            hits["starts"].eq(kind_hit["starts"]),
            hits["slots"].eq(kind_hit["slots"] & owned & own_slice),
            hits["row_ends"].eq(kind_hit["row_ends"] & owned),
            row.eq(entry.address[0]),
            start_half.eq(entry.half),
            slot_valid.eq(entry.slot_valid),
        ]

        start, end = Signal(address_bits + 1), Signal(address_bits + 1)  # of the open row; end: longest lane
        length = Signal(count_bits)
        counts = Signal(data.ArrayLayout(count_bits, config.lanes))
        stored, dropped, longest = Signal(config.lanes), Signal(config.lanes), Signal(config.lanes)
        for lane, port in enumerate(ports):
            place = Signal(address_bits + 1, name=f"place{lane}")   # past the memory: the top bit
            comes = Signal(name=f"comes{lane}")
            m.d.comb += [
                place.eq(start + counts[lane]),
                comes.eq(hits["slots"] & slot_valid[lane]),
                dropped[lane].eq(comes & (place[-1] | counts[lane].all())),
                stored[lane].eq(comes & ~dropped[lane]),
                longest[lane].eq(stored[lane] & (counts[lane] == length)),
            ]
            with m.If(hits["slots"]):
                m.d.comb += [port.addr.eq(place), port.en.eq(stored[lane].replicate(2))]
            with m.If(stored[lane]):
                m.d.sync += counts[lane].eq(counts[lane] + 1)
        m.d.sync += self.o_overflow.eq(dropped.any())
        with m.If(longest.any()):
            m.d.sync += [length.eq(length + 1), end.eq(end + 1)]
        with m.If(hits["row_ends"] | hits["starts"]):
            m.d.sync += [length.eq(0), counts.eq(0), start.eq(end)]
        with m.If(hits["starts"]):
            m.d.sync += [
                half.eq(start_half),
                start.eq(start_half << (address_bits - 1)),
                end.eq(start_half << (address_bits - 1)),
            ]

        m.submodules.table = table = Memory(shape=TableEntry(config), depth=config.table_rows, init=[])
        write, read = table.write_port(), table.read_port()
        m.d.comb += [
            write.addr.eq(row | (half << (config.table_address_bits - 1))),
            write.data.start.eq(start),
            write.data.words.eq(length),
            write.data.counts.eq(counts),
            write.en.eq(hits["row_ends"]),
            read.addr.eq(self.i_row),
            read.en.eq(self.i_row_enable),
            self.o_table.eq(read.data),
        ]
