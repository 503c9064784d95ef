"""Rows of A times the tile, one entry after the other, and how rows of B come into the tile."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import ACC_BITS, ADDRESS_BITS, VALUE_BITS, Config, width_of
from .overflow import sum_wraps
from .serial_lane import SerialLane
from .serial_queue import WORD_BITS

__all__ = ["RowsMode", "SerialRows", "Word"]


def Word() -> wiring.Signature:
    """The head of a queue of words, seen from who takes it; `empty`: no more comes."""
    return wiring.Signature({"data": In(WORD_BITS), "valid": In(1), "empty": In(1), "take": Out(1)})


def RowsMode() -> data.StructLayout:
    """What the descriptor's first word says of its rows. `vector`: B has one column, of which a row of the
    tile has as many values as there are lanes; the first lane multiplies them all."""
    return data.StructLayout({"sparse": 1, "wide": 1, "half": 1, "accumulate": 1, "relu": 1, "row_bias": 1,
                              "row_scale": 1, "bytes": 1, "raw": 1, "vector": 1})


class SerialRows(wiring.Component):
    """Takes the streams of one descriptor at a time: rows of B into the lanes' tiles, then rows of A, whose
    entries it multiplies; a row's sums leave through the first lane while those of earlier passes come in
    through the last.

    Throughput: an entry of A a cycle, zero or not; two cycles more a row and one a column, or, with earlier
        sums, a lane; two more with a row's bias or scale. A row of B takes a cycle a byte, or a cycle for
        four.
    Latency: three cycles from an entry to a sum.
    Backpressure: waits for words of its streams, and for `i_room` before a row's sums leave.
    Order: that of the rows.
    Overflow: sums wrap, and `o_overflow` says so.

    Parameters
    ----------
    config : Config

    Members
    -------
    values, indices, pointers, earlier, parameters : Word
    i_load, i_run : one cycle: rows of B, or of A, come
    i_mode, i_column_start, i_columns, i_k_count, i_n_count : of the descriptor, constant while it runs
    i_number, i_set_entry, i_set_rows : number of the next entry of A; how many rows come, less one
    i_offset, i_set_value_offset, i_set_value_step, i_set_index_offset : byte of the first beat of values;
        by how many that moves from row to row; byte of the first beat of indices
    i_runs_on : rows of values follow each other without a gap; otherwise each begins in a beat of its own.
        Constant while rows come
    o_ended : what was begun is done
    o_sum, o_push : a word of the result: a row's scale, then its sums
    i_room : a row's words fit
    o_row : a row's words are all there
    o_upper : the next index is the upper half of its word
    o_overflow : an addition wrapped
    o_pointer_fault, o_index_fault : a row pointer decreases or is too large; a column index is too large
    o_moves : a byte or an entry is taken, or sums move
    o_active, o_blocked, o_hungry, o_loading : a product is made; no room; waits for words; rows of B come
    """

    def __init__(self, config: Config):
        self._config = config
        counts = width_of(config.lane_values * config.lanes + 1)
        super().__init__({
            **{name: Out(Word()) for name in ("values", "indices", "pointers", "earlier", "parameters")},
            "i_load": In(1), "i_run": In(1),
            "i_mode": In(RowsMode()),
            "i_column_start": In(ADDRESS_BITS), "i_columns": In(ADDRESS_BITS),
            "i_k_count": In(counts), "i_n_count": In(range(config.lanes + 1)),
            "i_number": In(WORD_BITS), "i_set_entry": In(1), "i_set_rows": In(1),
            "i_runs_on": In(1),
            "i_offset": In(2), "i_set_value_offset": In(1), "i_set_value_step": In(1),
            "i_set_index_offset": In(1),
            "o_ended": Out(1),
            "o_sum": Out(ACC_BITS), "o_push": Out(1), "i_room": In(1), "o_row": Out(1),
            "o_overflow": Out(1), "o_pointer_fault": Out(1), "o_index_fault": Out(1), "o_upper": Out(1),
            "o_moves": Out(1),
            "o_active": Out(1), "o_blocked": Out(1), "o_hungry": Out(1), "o_loading": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        self._lanes = [SerialLane(config) for _ in range(config.lanes)]
        for number, lane in enumerate(self._lanes):
            m.submodules[f"lane{number}"] = lane
        # Of the tile; of the tile or of the result; the next entry's number.
        self._row, self._column = Signal(width_of(config.lane_values + 1)), Signal(range(config.lanes + 1))
        self._entry = Signal(WORD_BITS)
        self._takes_entry, self._moves, self._takes_earlier = Signal(), Signal(), Signal()
        self._takes_value, self._ends_values = Signal(), Signal()   # a byte; the last one of a row
        self._stores, self._pushes_scale = Signal(), Signal()
        # Rows behind the one that is at work; bytes of a vector that is loaded.
        self._left, self._ends_row, self._counts_bytes = Signal(WORD_BITS), Signal(), Signal()
        self._first, self._more, self._bias = Signal(), Signal(), Signal(signed(ACC_BITS))
        self._byte = Signal(signed(VALUE_BITS))
        # Four bytes of B at a time; a dense row of A, whose zeros are skipped, and where its next value is.
        self._four, self._skips, self._where = Signal(), Signal(), Signal(2)
        self._beat_done, self._row_done, self._starts_rows = Signal(), Signal(), Signal()
        with m.If(self.i_set_rows):
            m.d.sync += self._left.eq(self.i_number)
        with m.Elif(self._ends_row):
            m.d.sync += self._left.eq(self._left - Mux(self._four & self._counts_bytes, 4, 1))
        with m.If(self.i_set_entry):
            m.d.sync += self._entry.eq(self.i_number)
        with m.Elif(self._takes_entry):
            m.d.sync += self._entry.eq(self._entry + 1)
        self._values(m)
        self._skip(m)
        self._multiply(m)
        self._result(m)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.o_ended.eq(1)
                m.d.sync += [self._row.eq(0), self._column.eq(0), self._bias.eq(0)]
                with m.If(self.i_load):
                    m.next = "LOAD"
                with m.If(self.i_run):
                    # Nothing is known of the sums that are there.
                    m.d.sync += self._first.eq(1)
                    m.next = "NEXT"
            with m.State("LOAD"):
                self._load(m)
            with m.State("ENTRIES"):
                self._entries(m)
            with m.State("BIAS"):
                with m.If(~self.i_mode.row_bias):
                    m.next = "SCALE"
                with m.Elif(self.parameters.valid):
                    m.d.comb += self.parameters.take.eq(1)
                    m.d.sync += self._bias.eq(self.parameters.data)
                    m.next = "SCALE"
            with m.State("SCALE"):
                with m.If(~self.i_mode.row_scale):
                    m.next = "NEXT"
                with m.Elif(self.i_room & self.parameters.valid):
                    m.d.comb += [self.parameters.take.eq(1), self._pushes_scale.eq(self.i_mode.bytes)]
                    m.next = "NEXT"
            with m.State("NEXT"):
                self._is_there_more(m)
            with m.State("MOVE"):
                self._move(m)
        return m

    # ---- words to bytes --------------------------------------------------------------------------------

    def _values(self, m: Module) -> None:
        """The next byte of values; rows of a dense matrix may begin in a beat of their own each."""
        start, step = Signal(2, name="value_start"), Signal(2, name="value_step")
        self._start = start
        self._place, self._following, behind, shared = Signal(2), Signal(2), Signal(3), Signal()
        m.d.comb += [
            self._following.eq(start + step),
            behind.eq(self._place + Mux(self._four, 4, 1)),
            self._byte.eq(self.values.data.word_select(Mux(self._skips, self._where, self._place),
                                                       VALUE_BITS)),
            self.values.take.eq(self._takes_value & Mux(
                self._skips, self._beat_done & ~(self._row_done & shared),
                behind[-1] | (self._ends_values & ~self.i_runs_on))),
            # The next row begins in this row's last beat.
            shared.eq(self.i_runs_on & (self._following != 0)),
        ]
        with m.If(self._takes_value):
            m.d.sync += self._place.eq(Mux(self._ends_values, self._following, behind))
        with m.If(self._takes_value & self._ends_values):
            m.d.sync += start.eq(self._following)
        with m.If(self.i_set_value_offset):
            m.d.sync += [self._place.eq(self.i_offset), start.eq(self.i_offset)]
        with m.If(self.i_set_value_step):
            m.d.sync += step.eq(self.i_offset)

    def _skip(self, m: Module) -> None:
        """Of a dense row, zeros cost nothing before the next value that is none, or at the end of a beat.

        `waiting` are bytes of the beat that are the row's and have yet to be looked at, `behind` those of the
        row's later beats; the beat's first byte would have column `base`.
        """
        counts = len(self.i_k_count)
        waiting, behind, base = Signal(4), Signal(counts), Signal(counts)
        nonzero, later = Signal(4), Signal(4)
        self._column_of, self._found = Signal(counts), Signal()
        m.d.comb += [
            nonzero.eq(Cat(self.values.data.word_select(number, VALUE_BITS).any() for number in range(4))
                       & waiting),
            self._found.eq(nonzero.any()),
            # What is left behind the first one.
            later.eq(waiting & Cat(nonzero[:number].any() for number in range(4))),
            self._beat_done.eq(~later.any()),
            self._row_done.eq(self._beat_done & (behind == 0)),
            self._column_of.eq(base + self._where),
        ]
        with m.Switch(nonzero):
            for number in range(4):
                with m.Case("-" * (3 - number) + "1" + "0" * number):
                    m.d.comb += self._where.eq(number)
        # ---- a row's first beat, worked out in the two cycles before; its following ones ----
        place, room, many, begins = Signal(2), Signal(3), Signal(), Signal()
        first = Signal(data.StructLayout({"waiting": 4, "behind": counts, "place": 2}))
        m.d.comb += [
            # Before the first row, and while the first sums move.
            begins.eq(self._first & (self._column < self._config.lanes // 2)),
            room.eq(4 - place),
            many.eq(self.i_k_count > room),
        ]
        m.d.sync += [
            place.eq(Mux(begins, self._start, self._following)),
            first.waiting.eq(((1 << Mux(many, room, self.i_k_count[:3]))[:5] - 1) << place),
            first.behind.eq(Mux(many, self.i_k_count - room, 0)), first.place.eq(place),
        ]
        with m.If(self._starts_rows | (self._takes_value & self._row_done)):
            m.d.sync += [waiting.eq(first.waiting), behind.eq(first.behind), base.eq(-first.place)]
        with m.Elif(self._takes_value & self._beat_done):
            m.d.sync += [
                waiting.eq(Mux(behind[2:].any(), 15, (1 << behind[:2]) - 1)),
                behind.eq(Mux(behind[2:].any(), behind - 4, 0)),
                base.eq(base + 4),
            ]
        with m.Elif(self._takes_value):
            m.d.sync += waiting.eq(later)

    def _load(self, m: Module) -> None:
        """A byte of B goes into the lane of its column, or four do."""
        four, width = self._four, Signal.like(self._column)
        m.d.comb += [
            self.o_loading.eq(1),
            four.eq(~(self.i_n_count[:2].any() | self._place.any() | self._column[:2].any())),
            width.eq(self._column + Mux(four, 4, 1)),
            self._stores.eq(self.values.valid),
            self._takes_value.eq(self._stores),
            self._ends_values.eq(width == self.i_n_count),
            # A vector may end within a row of the tile: what is behind it belongs to nobody.
            self._counts_bytes.eq(self.i_mode.vector),
            self._ends_row.eq(self._stores & (self._ends_values | self._counts_bytes)),
        ]
        with m.If(self._stores):
            m.d.sync += self._column.eq(Mux(self._ends_values, 0, width))
        with m.If(self._stores & self._ends_values):
            m.d.sync += self._row.eq(self._row + 1)
        with m.If(self._ends_row & ~self._left[2:].any()
                  & ((four & self._counts_bytes) | ~self._left[:2].any())):
            m.next = "IDLE"

    # ---- entries of A ----------------------------------------------------------------------------------

    def _entries(self, m: Module) -> None:
        """One entry a cycle up to the row's end."""
        sparse, pointer = self.i_mode.sparse, self.pointers.data
        there, ends = Signal(), Signal()
        m.d.comb += self.o_hungry.eq(~there & ~ends)
        with m.If(sparse):
            m.d.comb += [
                there.eq(self.values.valid & self.indices.valid & self.pointers.valid),
                # A difference below zero or not is a carry chain; whether it is more is a fault, and may come
                # late.
                ends.eq((self._entry >= pointer) & self.pointers.valid),
                self._takes_entry.eq(there & ~ends),
                # As many entries as there are must be enough.
                self.o_pointer_fault.eq(Mux(ends, self._entry != pointer, self.pointers.valid
                                            & (self.values.empty | self.indices.empty))),
                self.o_index_fault.eq(self._takes_entry & (self._index >= self.i_columns)),
                self._takes_value.eq(self._takes_entry),
                self.pointers.take.eq(ends),
            ]
        with m.Else():
            m.d.comb += [
                there.eq(self.values.valid),
                self._takes_value.eq(there),
                self._skips.eq(1),
                self._ends_values.eq(self._row_done),
                ends.eq(there & self._row_done),
            ]
        with m.If(ends):
            with m.If(self.i_mode.row_bias | self.i_mode.row_scale):
                m.next = "BIAS"
            with m.Else():
                m.next = "NEXT"

    def _multiply(self, m: Module) -> None:
        """Where an entry's row of B is, a cycle before the lanes have it."""
        config, sparse = self._config, self.i_mode.sparse
        upper, index = Signal(), Signal(ADDRESS_BITS)
        distance = Signal(ADDRESS_BITS + 1)     # from the tile's first row; before it there is a borrow
        self._index = index
        address, inside = Signal(range(config.lane_values)), Signal()
        counts = len(self.i_k_count)
        place, part, vector = Signal(counts), Signal(config.lane_bits), self.i_mode.vector
        token, step = Signal(signed(VALUE_BITS)), Signal()
        m.d.comb += [
            index.eq(Mux(self.i_mode.wide, self.indices.data, self.indices.data.word_select(upper, 16))),
            self.o_upper.eq(upper),
            self.indices.take.eq(self._takes_entry & (self.i_mode.wide | upper)),
            distance.eq(index - self.i_column_start),
            inside.eq(~sparse | (~distance[counts:].any() & (distance[:counts] < self.i_k_count))),
            place.eq(Mux(sparse, distance, self._column_of)),
            address.eq(Mux(self.o_loading, self._row, Mux(vector, place >> config.lane_bits, place))
                       | (self.i_mode.half << len(address) - 1)),
        ]
        with m.If(self._takes_entry):
            m.d.sync += upper.eq(~upper)
        with m.If(self.i_set_index_offset):
            m.d.sync += upper.eq(self.i_offset[1])
        counts = Mux(self._skips, self._found, self._byte.any())
        m.d.sync += [token.eq(self._byte), part.eq(place),
                     step.eq(self._takes_value & ~self.o_loading & inside & counts)]
        m.d.comb += [self.o_active.eq(step),
                     self.o_moves.eq(self._takes_value | self._stores | self._moves)]
        following = [lane.o_sum for lane in self._lanes[1:]]
        last = Mux(self._takes_earlier, self.earlier.data, 0)
        values = Array(lane.o_value for lane in self._lanes)
        fours = self._column[2:config.lane_bits]     # of lanes, which take a beat together
        for number, (lane, neighbour) in enumerate(zip(self._lanes, [*following, last], strict=True)):
            m.d.comb += [
                lane.i_write.eq(self._stores & ((self._column == number)
                                                | (self._four & (fours == number // 4)))),
                lane.i_address.eq(address),
                lane.i_value.eq(Mux(self._four, self.values.data.word_select(number % 4, VALUE_BITS),
                                    self._byte)),
                # Others than those with a column have never got a value.
                lane.i_factor.eq(Mux(vector, values[part], lane.o_value) if number == 0 else lane.o_value),
                lane.i_token.eq(token), lane.i_step.eq(step & (number < self.i_n_count)),
                lane.i_move.eq(self._moves), lane.i_sum.eq(neighbour),
            ]

    # ---- sums ------------------------------------------------------------------------------------------

    def _is_there_more(self, m: Module) -> None:
        """Another row comes, or none. A row's end is seen a cycle before its last product."""
        m.d.comb += self.o_blocked.eq(~self.i_room)
        m.d.sync += [self._more.eq(self._first | (self._left != 0)), self._column.eq(0)]
        with m.If(self.i_room):
            m.d.comb += self._ends_row.eq(~self._first)
            m.next = "MOVE"

    def _move(self, m: Module) -> None:
        """Sums move to the first lane and out, others come in at the last one."""
        lanes, comes, width = self._config.lanes, Signal(), Signal.like(self.i_n_count)
        whole = Signal()     # rows of the result have all lanes
        m.d.comb += [
            self._starts_rows.eq(self._first & (self._column == self._config.lanes // 2 - 1)),
            comes.eq(self._more & self.i_mode.accumulate),
            whole.eq(self.i_mode.raw & ~self.i_mode.vector),
            width.eq(Mux(self._first | comes | whole, lanes, self.i_n_count)),
            # The one sum of a vector's row has the way of all others before it.
            self._takes_earlier.eq(comes & (~self.i_mode.vector | (self._column == 0))),
            self._moves.eq(~self._takes_earlier | self.earlier.valid),
            self.earlier.take.eq(self._takes_earlier & self.earlier.valid),
        ]
        with m.If(self._moves):
            m.d.sync += self._column.eq(self._column + 1)
            with m.If(self._column + 1 == width):
                m.d.comb += self.o_row.eq(~self._first)
                m.d.sync += self._first.eq(0)
                with m.If(self._more):
                    m.next = "ENTRIES"
                with m.Else():
                    m.next = "IDLE"

    def _result(self, m: Module) -> None:
        """A sum with its row's bias, negative or not, and a row's scale before its sums."""
        total, first = Signal(signed(ACC_BITS)), self._lanes[0].o_sum
        pushes, biased, keeps = Signal(), Signal(), Signal()
        m.d.comb += [
            total.eq(first + self._bias),
            pushes.eq(self._moves & ~self._first & ((self.i_mode.raw & ~self.i_mode.vector)
                                                    | (self._column < self.i_n_count))),
            biased.eq(pushes & sum_wraps(first, self._bias, total)),
            keeps.eq(~(self.i_mode.relu & total[-1])),
            self.o_push.eq(pushes | self._pushes_scale),
            self.o_sum.eq(Mux(self._pushes_scale, self.parameters.data, Mux(keeps, total, 0))),
        ]
        m.d.sync += self.o_overflow.eq(biased | Cat(lane.o_overflow for lane in self._lanes).any())
