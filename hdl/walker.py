"""From tokens to store words: walks a token's row of B and closes rows of C."""

from functools import partial

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .accumulator import BankPlace
from .adders import LoadedCounter
from .config import VALUE_BITS, Config, width_of
from .gates import fixed_gate
from .lane_store import TableEntry
from .pe_front import PeOp
from .row_buffer import MAX_ADVANCE

__all__ = ["MAX_CLOSES", "MacWord", "Walker"]

MAX_CLOSES = 4
"""Rows that can close in one cycle: two behind the last token, two before the next one."""


def MacWord(config: Config) -> data.StructLayout:
    """One store word and what becomes of it; lanes that are not in `lanes` do nothing."""
    return data.StructLayout({
        "valid": 1,
        "lanes": config.lanes,
        "address": data.ArrayLayout(config.store_address_bits, config.store_addresses),  # one, or each lane's
        "upper": 1,                       # dense: the upper half of the store word
        "word": config.acc_word_bits,     # accumulator word; packed: the row's first, a slot brings its own
        "bank": 1,
        "part": config.lanes,             # lanes that hold the token's row of B: all, or a part (N < V)
        "value": VALUE_BITS,
    })


class Walker(wiring.Component):
    """Issues a word a cycle, and closes rows; what is issued never waits again.

    Throughput: one store word a cycle, from token to token without a gap; a token without words takes a
        cycle; up to 4 rows close in a cycle, of which one was touched (had a token here).
    Latency: 3 cycles from `i` to `o_word`; packed rows are looked up in the table meanwhile.
    Backpressure: a touched row closes, and all behind it goes on, only when `i_room` says that it can be
        queued; words wait until the place of their sums is free.
    Order: kept. Closes behind a token take effect together with those before the next one.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : stream of PeOp
    i_packed, i_half : of the running job; a dense tile's addresses begin in its half, a packed token's
        address has it
    i_own_words : words of a row in this PE's slice
    i_group_log2 : rows in a group, as a power of two
    o_row_enable, o_row, i_table : table lookup by a packed op's address, one cycle (only with `compressed_b`)
    o_word : MacWord
    i_open : BankPlace of the open row
    i_next : BankPlace of the row after it
    i_room : a touched row can be queued
    i_open_free, i_next_free : sums may be made in that place
    i_run_room : the row queue can count some more rows
    o_touched : a touched row closes; the next cycle's `i_open` is this one's `i_next`
    o_empties : so many rows without own tokens close, after the touched one
    o_last : the job's last row has closed
    o_blocked : a close waits for room

    Only with `sddmm`, for such jobs:
    i_sddmm : of the running job
    i_there, i_far : see `hdl.row_buffer`; a token waits for its row of X
    o_advance : so many rows of X are done with
    o_index : word of the row of X that goes with the word that is issued
    """

    def __init__(self, config: Config):
        self._config = config
        members = {
            "i": In(stream.Signature(PeOp(config))),
            "i_packed": In(1),
            "i_half": In(1),
            "i_own_words": In(config.slice_words_bits),
            "i_group_log2": In(width_of(config.lane_bits + 1)),
            "o_word": Out(MacWord(config)),
            "i_open": In(BankPlace(config)),
            "i_next": In(BankPlace(config)),
            "i_room": In(1),
            "i_open_free": In(1),
            "i_next_free": In(1),
            "i_run_room": In(1),
            "o_touched": Out(1),
            "o_empties": Out(range(MAX_CLOSES + 1)),
            "o_last": Out(1),
            "o_blocked": Out(1),
        }
        if config.compressed_b:
            members |= {
                "o_row_enable": Out(1),
                "o_row": Out(config.table_address_bits),
                "i_table": In(TableEntry(config)),
            }
        if config.sddmm:
            members |= {
                "i_sddmm": In(1),
                "i_there": In(1),
                "i_far": In(1),
                "o_advance": Out(range(MAX_ADVANCE + 1)),
                "o_index": Out(config.slice_words_bits),
            }
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        config = self._config
        self._left_bits = max(config.slice_words_bits, config.count_bits)
        self._op_valid, self._op = Signal(), Signal(PeOp(config))    # looked up
        self._valid = Signal()                                       # at work
        self._op_moves = Signal()
        self._token = Signal(PeOp(config))
        # Of the next word to issue: dense, and its half; packed, of each lane.
        self._dense, self._upper = Signal(config.store_address_bits), Signal()
        self._addresses = Signal(MacWord(config)["address"].shape)
        self._left = Signal(self._left_bits)                         # words still to issue
        self._index = Signal(self._left_bits)                        # words that were issued
        self._counts = Signal(data.ArrayLayout(config.count_bits, config.lanes))
        self._lanes = Signal(config.lanes)                           # the token's lanes (N < V)
        self._part_lanes = Signal(config.lanes)                      # those that hold its row of B
        self._platform = platform
        self._goes, self._issues, self._closes_touched = Signal(), Signal(), Signal()
        self._done = Signal()                                        # with the token at work
        self._stage_lookup(m)
        self._stage_walk(m)
        self._stage_issue(m)
        return m

    def _stage_lookup(self, m: Module) -> None:
        """The table is read while the op is copied; then both are at the walk's entry."""
        enters = Signal()
        m.d.comb += [
            # As `_op_moves`, not behind it: the PE's front hangs on it.
            enters.eq(fixed_gate(m, self._platform, "op_enters",
                                 lambda there, works, done: ~there | ~works | done,
                                 self._op_valid, self._valid, self._done)),
            self.i.ready.eq(enters),
        ]
        with m.If(enters):
            m.d.sync += [self._op_valid.eq(self.i.valid), self._op.eq(self.i.p)]
        if self._config.compressed_b:
            m.d.comb += [
                self.o_row_enable.eq(enters & self.i.valid & self.i.p.token & self.i_packed),
                self.o_row.eq(self.i.p.address),
            ]

    def _stage_walk(self, m: Module) -> None:
        token, gate = self._token, partial(fixed_gate, m, self._platform)
        pending = Signal(range(MAX_CLOSES + 1))    # closes behind the last token
        closes = Signal(range(MAX_CLOSES + 1))
        touched, closing, done, last_done = Signal(), Signal(), self._done, Signal()   # closing: closes != 0
        closes_after = Signal()                    # there are some behind the token, which is done with
        waits, has_room = Signal(), Signal()       # for a row of X; closes have room
        placed = Signal()                          # the next word's sums have a place
        m.d.comb += [
            closes.eq(pending + Mux(self._valid, token.before, 0)),
            closes_after.eq(self._valid & done & token.after.any()),
            self._closes_touched.eq(closing & touched),
            has_room.eq(gate("has_room", lambda closing, touched, room, run_room:
                             ~closing | (run_room & (room | ~touched)),
                             closing, touched, self.i_room, self.i_run_room)),
            # A row closes though there is no place for the next one yet: its sums settle meanwhile.
            placed.eq(gate("has_place", lambda closing, touched, following, this:
                           (closing & touched & following) | (~(closing & touched) & this),
                           closing, touched, self.i_next_free, self.i_open_free)),
            self._goes.eq(has_room & ~waits),
            self._issues.eq(self._goes & self._valid & (self._left != 0) & placed),
            done.eq(gate("token_done", lambda goes, placed, none, one: goes & (none | (one & placed)),
                         self._goes, placed, self._left == 0, self._left == 1)),
            self._op_moves.eq(~self._valid | done),
            self.o_touched.eq(self._goes & self._closes_touched),
            self.o_empties.eq(Mux(self._goes, closes - touched, 0)),
            self.o_last.eq(self._goes & last_done),
        ]
        with m.If(~closing):
            m.d.comb += self.o_empties.eq(0)
        # Known beforehand: what goes on in the PE hangs on it.
        m.d.sync += closing.eq(Mux(self._goes, closes_after, closing)
                               | (self._op_moves & self._op_valid & self._op.before.any()))
        m.d.sync += self.o_blocked.eq(~has_room | (self._valid & (self._left != 0) & ~placed))
        if self._config.sddmm:
            self._rows_of_x(m, waits, done)
        with m.If(self._goes):
            m.d.sync += [
                pending.eq(Mux(self._valid & done, token.after, 0)),
                last_done.eq(self._valid & done & token.last),
                token.before.eq(0),
                touched.eq(self._issues | (touched & ~closing)),
            ]
        with m.If(self._issues):
            m.d.sync += [
                self._left.eq(self._left - 1),
                self._index.eq(self._index + 1),
                self._upper.eq(~self._upper & ~self.i_packed),
            ]
        self._enter(m)
        self._step(m)

    def _rows_of_x(self, m: Module, waits: Signal, done: Signal) -> None:
        """A token waits for its row; ends of rows behind a token and before the next one come together."""
        ends_after, ends_before = self._valid & done, self._op_valid & self._op_moves
        m.d.comb += [
            waits.eq(self.i_sddmm & Mux(self._valid & (self._left != 0), ~self.i_there, self.i_far)),
            self.o_advance.eq(Mux(self.i_sddmm, Mux(ends_after, self._token.rows_after, 0)
                                  + Mux(ends_before, self._op.rows_before, 0), 0)),
            self.o_index.eq(self._index),
        ]

    def _enter(self, m: Module) -> None:
        """The looked-up op comes to work."""
        config, op = self._config, self._op
        sddmm = self.i_sddmm if config.sddmm else None
        shift = Signal.like(self.i_group_log2)
        self._dense_address = Signal(config.tile_address_bits)
        m.d.comb += [
            shift.eq(config.lane_bits - self.i_group_log2),
            self._dense_address.eq(op.address | (self.i_half << (config.tile_address_bits - 1))),
        ]
        with m.If(self._op_moves):
            m.d.sync += [
                self._valid.eq(self._op_valid),
                self._token.eq(op),
                self._index.eq(0),
                self._left.eq(Mux(op.token, self.i_own_words, 0)),
                self._upper.eq(self._dense_address[0]),
            ]
            for lane in range(config.lanes):
                m.d.sync += [
                    self._lanes[lane].eq((Mux(sddmm, lane, lane >> shift) if config.sddmm else lane >> shift)
                                         == op.position),
                    self._part_lanes[lane].eq((lane >> shift) == op.part),
                ]
            if config.compressed_b:
                with m.If(self.i_packed):
                    m.d.sync += [
                        self._left.eq(Mux(op.token, self.i_table.words, 0)),
                        self._upper.eq(0),
                        self._counts.eq(self.i_table.counts),
                    ]

    def _step(self, m: Module) -> None:
        """Addresses are loaded, or go on by one: the adder chooses, so that it costs no multiplexer. Packed
        rows' come out of a block RAM, late: nothing else stands before their adders."""
        counters = [(self._dense, self._dense_address >> 1, self._upper)]
        if self._config.compressed_b:
            counters += [(address, start, Const(1))
                         for address, start in zip(self._addresses, self.i_table.starts, strict=True)]
        bits, steps = self._config.store_address_bits, Signal()
        m.d.comb += steps.eq(self._issues & ~self._op_moves)
        for number, (address, begin, moves) in enumerate(counters):
            m.submodules[f"address{number}"] = counter = LoadedCounter(bits + bits % 2)
            m.d.comb += [
                counter.i_value.eq(address),
                counter.i_new.eq(begin),
                counter.i_loads.eq(self._op_moves),
                counter.i_carry.eq(steps & moves),
            ]
            m.d.sync += address.eq(counter.o)

    def _stage_issue(self, m: Module) -> None:
        config, word = self._config, self.o_word
        place = Signal(BankPlace(config))    # packed: the row's
        m.d.comb += place.as_value().eq(
            # Rows begin at multiples of a power of two: no carry.
            Mux(self._closes_touched, self.i_next.as_value(), self.i_open.as_value())
            | Mux(self.i_packed | (self.i_sddmm if config.sddmm else 0), 0, self._index))
        m.d.sync += [
            word.valid.eq(self._issues),
            word.lanes.eq(0),
            *(address.eq(Mux(self.i_packed, packed, self._dense) if config.compressed_b else self._dense)
              for address, packed in zip(word.address, self._addresses, strict=True)),
            word.upper.eq(self._upper),
            word.word.eq(place.word),
            word.bank.eq(place.bank),
            word.part.eq(self._part_lanes),
            word.value.eq(self._token.value),
        ]
        lanes = self._lanes
        if config.compressed_b:
            packed_lanes = Cat(self._index < count for count in self._counts)
            lanes = Mux(self.i_packed, packed_lanes, self._lanes)
        with m.If(self._issues):
            m.d.sync += word.lanes.eq(lanes)
