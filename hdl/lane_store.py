"""A PE's part of the tile: one memory a lane, and the table that finds packed rows in it."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .adders import LoadedCounter
from .config import VALUE_BITS, Config, log2_exact
from .layouts import PeTileBeat, TileBeat, TileBeatKind
from .row_index import RowEnd

__all__ = ["LaneStore", "TableEntry"]

PACK_KINDS = {"starts": TileBeatKind.START, "slots": TileBeatKind.SLOTS, "row_ends": TileBeatKind.ROW_END}


def TableEntry(config: Config) -> data.StructLayout:
    """Where a packed row lies: in lane j `counts[j]` store words from `starts[j]` on, `words` at most."""
    return data.StructLayout({
        "starts": data.ArrayLayout(config.store_address_bits, config.lanes),
        "words": config.count_bits,
        "counts": data.ArrayLayout(config.count_bits, config.lanes),
    })


class LaneStore(wiring.Component):
    """Takes tile beats into the lanes' memories and gives out one word of every lane a cycle.

    Throughput: one tile beat and one store word a cycle; one table entry a cycle.
    Latency: a tile beat can be read 3 cycles after it came; `o_words` comes 2 cycles after `i_address`,
        `o_table` one cycle after `i_row`.
    Backpressure: none.
    Overflow: a packed value past the end of the tile's half of the memory, or past what a row's count can
        hold, is dropped, and so is a row past the end of the table (only with an index); `o_overflow`.
    Order: values of a lane lie in the order in which they came, without a gap from row to row.

    A dense word takes one half of a store word, see `PeTileBeat`; a packed slot takes all of it, the value in
    its low bits, the accumulator word above. No word is read while it is written: tiles are loaded into the
    half that no token reads.

    Parameters
    ----------
    config : Config
    number : what `i_number` is where nothing drives it

    Members
    -------
    i_number : the PE's number, constant
    i_owner, i_slice : this PE's place under the running job's P_k
    i : stream of PeTileBeat, always taken
    i_data : data of the beat that came a cycle ago
    i_enable, i_address : read a store word, of a packed row each lane its own; else, and without
        `compressed_b`, there is one address
    i_low, i_high : for each lane, whether to read the half of an even and of an odd dense word, or of a
        slot's value and word; what is not read is zero
    i_swapped : even dense words lie in the upper half
    o_words : V store words of 2 * half_word_bits
    i_row_enable, i_row, o_table : read a TableEntry: with an index, RowEnd tells where it is; without one
        a row's is at its number, or in the upper half of the table (only with `compressed_b`)
    o_end : stream of RowEnd, always taken, 2 cycles behind the beat (only with `compressed_b`)
    o_overflow : pulse, a packed value was dropped
    """

    def __init__(self, config: Config, number: int = 0):
        self._config = config
        members = {
            "i_number": In(config.pe_bits, init=number),
            "i_owner": In(config.pe_bits),
            "i_slice": In(config.pe_bits),
            "i": In(stream.Signature(PeTileBeat(config), always_ready=True)),
            "i_data": In(TileBeat(config)["data"].shape),
            "i_enable": In(1),
            "i_address": In(data.ArrayLayout(config.store_address_bits, config.store_addresses)),
            "i_low": In(config.lanes),
            "i_high": In(config.lanes),
            "i_swapped": In(1),
            "o_words": Out(data.ArrayLayout(2 * config.half_word_bits, config.lanes)),
            "o_overflow": Out(1),
        }
        if config.compressed_b:
            members |= {
                "i_row_enable": In(1),
                "i_row": In(config.table_address_bits),
                "o_table": Out(TableEntry(config)),
                "o_end": Out(stream.Signature(RowEnd(config), always_ready=True)),
            }
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        config = self._config
        self._stage_decode(m)
        lower = Mux(self.i_swapped, self.i_high, self.i_low)
        upper = Mux(self.i_swapped, self.i_low, self.i_high)
        ports = []
        for lane in range(config.lanes):
            memory = Memory(shape=2 * config.half_word_bits, depth=config.store_depth, init=[])
            m.submodules[f"lane{lane}"] = memory
            ports.append(memory.write_port(granularity=config.half_word_bits))
            read = memory.read_port()
            m.d.comb += [read.en.eq(self.i_enable),
                         read.addr.eq(self.i_address[lane % config.store_addresses])]
            # A block RAM's output is slow: a register follows at once. Its reset clears what is not wanted.
            for half, wanted in enumerate((lower, upper)):
                absent = Signal(name=f"absent{half}_{lane}")     # a reset as it is, without an inverter
                value = Signal(config.half_word_bits, name=f"value{half}_{lane}")
                place = slice(half * config.half_word_bits, (half + 1) * config.half_word_bits)
                m.d.sync += [absent.eq(~wanted[lane]), value.eq(Mux(absent, 0, read.data[place]))]
                m.d.comb += self.o_words[lane][place].eq(value)
        self._write_dense(m, ports)
        if config.compressed_b:
            self._write_packed(m, ports)
        return m

    def _stage_decode(self, m: Module) -> None:
        """Which of the beat is this PE's, and where it goes."""
        config, beat = self._config, self.i.p
        words, lane_bits = config.words_per_beat, config.lane_bits
        self._low_enable, self._high_enable = Signal(), Signal()
        self._lanes = Signal(config.lanes)
        # Where a dense word goes; packed: each lane's next slot, past the memory with the top bit. No tile is
        # both.
        self._places = [Signal(config.store_address_bits + 1, name=f"place{lane}")
                        for lane in range(config.store_addresses)]
        self._dense_place = Signal(config.store_address_bits)

        mine = Signal(words)
        for x in range(words):
            m.d.comb += mine[x].eq(self.i.valid & (beat.kind == TileBeatKind.WORDS) & beat.enable[x]
                                   & (beat.owner == self.i_owner) & (beat.slice[x] == self.i_slice))
        # PARTS: the row of the beat that this PE owns; negative where its row is not in the beat.
        own_k, row = Signal(config.pe_bits), Signal(config.pe_bits + 1)
        in_beat, parts, part_hit = Signal(), Signal(), Signal()
        first_byte = Signal(log2_exact(config.port_bytes))
        m.d.comb += [
            own_k.eq(self.i_number ^ beat.fold),
            row.eq(own_k - beat.first),
            in_beat.eq(~row[-1] & (row < beat.rows)),
            parts.eq(beat.kind == TileBeatKind.PARTS),
            part_hit.eq(self.i.valid & parts & in_beat),
            first_byte.eq(Cat(own_k, beat.above) << beat.part_log2),
        ]
        low, high, address = Signal(), Signal(), beat.address[0]
        if words == 2:
            part_high = first_byte[lane_bits] ^ beat.swap
            m.d.comb += [
                low.eq(Mux(beat.swap, mine[1], mine[0]) | (part_hit & ~part_high)),
                high.eq(Mux(beat.swap, mine[0], mine[1]) | (part_hit & part_high)),
            ]
            # Where neither is this PE's, nothing is written: the rest of `mine` need not be waited for.
            first = parts | (beat.enable[0] & (beat.slice[0] == self.i_slice))
            address = Mux(first, address, beat.address[1])
        else:
            hit = mine[0] | part_hit
            m.d.comb += [low.eq(hit & ~address[0]), high.eq(hit & address[0])]
        m.d.sync += [self._low_enable.eq(low), self._high_enable.eq(high)]
        self._dense = Signal()
        m.d.comb += self._dense.eq(self.i.valid & ((beat.kind == TileBeatKind.WORDS) | parts))
        m.d.comb += self._dense_place.eq(address[1:1 + config.store_address_bits]
                                         | (beat.half << (config.store_address_bits - 1)))
        if not config.compressed_b:
            with m.If(self._dense):
                m.d.sync += self._places[0].eq(self._dense_place)
        for lane in range(config.lanes):
            its_part = Const(lane, lane_bits) >> beat.part_log2
            part = first_byte[:lane_bits] >> beat.part_log2
            m.d.sync += self._lanes[lane].eq(~parts | (its_part == part))

    def _write_dense(self, m: Module, ports) -> None:
        config = self._config
        upper_word = config.lanes if len(self.i_data) > 8 * config.lanes else 0
        for lane, port in enumerate(ports):
            m.d.comb += [
                port.addr.eq(self._places[lane % len(self._places)]),
                port.data.eq(Cat(self.i_data.word_select(place, VALUE_BITS)
                                 for place in (lane, upper_word + lane))),
                port.en[0].eq(self._low_enable & self._lanes[lane]),
                port.en[1].eq(self._high_enable & self._lanes[lane]),
            ]

    def _write_packed(self, m: Module, ports) -> None:
        """Rows follow one another in each lane for itself."""
        config, beat = self._config, self.i.p
        hits = {name: Signal(name=name) for name in ("starts", "row_ends")}
        row = Signal(config.index_address_bits)
        start_half, start_whole = Signal(), Signal()
        lower = Signal()                              # the tile has the lower half, and not the other
        owned, comes = Signal(), Signal(config.lanes)
        m.d.comb += owned.eq(beat.owner == self.i_owner)
        kind_hit = {name: self.i.valid & (beat.kind == kind) for name, kind in PACK_KINDS.items()}
        m.d.sync += [
            hits["starts"].eq(kind_hit["starts"]),
            hits["row_ends"].eq((kind_hit["row_ends"] | (kind_hit["slots"] & beat.row_end)) & owned),
            row.eq(beat.address[0]),
            start_half.eq(beat.half),
            start_whole.eq(beat.whole),
            *(mine.eq(kind_hit["slots"] & owned & valid & (slot == self.i_slice))
              for mine, valid, slot in zip(comes, beat.slot_valid, beat.slot_slice, strict=True)),
        ]

        length = Signal(config.count_bits)            # of the open row: its longest lane
        entry = TableEntry(config)
        starts, counts = Signal(entry["starts"].shape), Signal(entry["counts"].shape)
        new_length, new_counts = Signal.like(length), Signal.like(counts)   # with what comes now
        dropped, counted, longer = Signal(config.lanes), Signal(config.lanes), Signal()
        longest = Signal(config.lanes, init=-1)       # lanes whose count is the length
        full = Signal(config.lanes)                   # lanes whose count is all ones; known beforehand
        load, begin = Signal(), hits["starts"] | hits["row_ends"]
        # A dense tile's first beat may come right behind a packed tile's last row end.
        m.d.comb += load.eq(self._dense | hits["starts"])
        address_bits, most_counted = config.store_address_bits, (1 << config.count_bits) - 1
        for lane, (port, place) in enumerate(zip(ports, self._places, strict=True)):
            m.submodules[f"counter{lane}"] = counter = LoadedCounter(address_bits + 2 - address_bits % 2)
            stored = Signal(name=f"stored{lane}")
            m.d.comb += [
                counter.i_value.eq(place),
                counter.i_loads.eq(load),
                counter.i_new.eq(Mux(self._dense, self._dense_place, start_half << (address_bits - 1))),
                counter.i_carry.eq(stored & ~load),
                stored.eq(comes[lane] & ~dropped[lane]),
                dropped[lane].eq(comes[lane] & (place[-1] | (lower & place[-2]) | full[lane])),
                # After an overflow lengths need not be right, but must not wrap.
                counted[lane].eq(comes[lane] & ~full[lane]),
                new_counts[lane].eq(counts[lane] + counted[lane]),
            ]
            m.d.sync += [
                place.eq(counter.o),
                full[lane].eq(~begin & (full[lane] | (comes[lane] & (counts[lane] == most_counted - 1)))),
                # Known beforehand whether its count is the length: no compare stands before the table.
                longest[lane].eq(begin | Mux(longer, longest[lane] & counted[lane],
                                             longest[lane] | (counted[lane] & (counts[lane] + 1 == length)))),
            ]
            with m.If(begin):
                m.d.sync += starts[lane].eq(counter.o)
            with m.If(stored):
                m.d.comb += port.en.eq(0b11)
        m.d.comb += [longer.eq((counted & longest).any()), new_length.eq(length + longer)]
        m.d.sync += [length.eq(new_length), counts.eq(new_counts)]
        with m.If(begin):
            m.d.sync += [length.eq(0), counts.eq(0)]

        # ---- the table: rows that have something here ----
        m.submodules.table = table = Memory(shape=entry, depth=config.table_rows, init=[])
        write, read = table.write_port(), table.read_port()
        filled = Signal()
        m.d.comb += [
            filled.eq(hits["row_ends"] & ((length != 0) | counted.any())),
            write.data.starts.eq(starts),
            write.data.words.eq(new_length),
            write.data.counts.eq(new_counts),
            read.addr.eq(self.i_row),
            read.en.eq(self.i_row_enable),
            self.o_table.eq(read.data),
        ]
        table_row = Signal(config.table_address_bits + 1)                      # past the table: the top bit
        half, end, room = Signal(), self.o_end.p, Signal()                     # of the tile; there is a row
        m.d.comb += room.eq(~(table_row[-1] | (lower & table_row[-2])))
        m.d.sync += [
            self.o_end.valid.eq(hits["row_ends"]),
            end.row.eq(row | (half << (config.index_address_bits - 1))),
            end.filled.eq(filled & room),
            end.table_row.eq(table_row),
        ]
        if config.indexed:
            m.d.comb += [write.addr.eq(table_row), write.en.eq(filled & room)]
            m.d.sync += self.o_overflow.eq(dropped.any() | (filled & ~room))
        else:
            m.d.comb += [write.en.eq(hits["row_ends"]),
                         write.addr.eq(row | (half << (config.table_address_bits - 1)))]
            m.d.sync += self.o_overflow.eq(dropped.any())
        with m.If(hits["starts"]):
            m.d.sync += [half.eq(start_half), lower.eq(~start_half & ~start_whole),
                         table_row.eq(start_half << (config.table_address_bits - 1))]
        with m.Elif(filled & room):
            m.d.sync += table_row.eq(table_row + 1)
