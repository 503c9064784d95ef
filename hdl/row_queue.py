"""Finished rows of a PE, in its accumulators, on their way to the drain chains."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .accumulator import BANKS, BankAccess, BankPlace, BankWords
from .adders import MaskedAdder
from .config import Config
from .dot import dot_cycles
from .gates import fixed_gate
from .selectors import one_of
from .walker import MAX_CLOSES

__all__ = ["RUN_BITS", "RowItem", "RowQueue", "drain_cycles", "settling_cycles"]

RUN_BITS = 8
"""Rows without own tokens are counted up to 2^8 - 1 between two touched ones."""

NO_RUN = (1 << RUN_BITS) - 1


def drain_cycles(config: Config) -> int:
    """From `o_drain` until the accumulators hear of it: registers on the way to lanes that are far away."""
    return 2 * (config.far_registers and config.lean_drain)


def settling_cycles(config: Config) -> int:
    """From a row's close until its words may be read: the accumulators hold all of its sums when they hear
    of it."""
    return 5 + config.far_registers - drain_cycles(config)


def RowItem(config: Config) -> data.StructLayout:
    """A word of a touched row, whose sums the accumulators show; or an empty row."""
    return data.StructLayout({
        "touched": 1,
        "word": config.word_bits,   # in the whole row of C; of a touched row only
        "last": 1,                  # the row's last
    })


class RowQueue(wiring.Component):
    """Says where in the accumulators rows add up, keeps them there in order, and deals them to the chains.

    Throughput: one word a cycle, while what adds is in the other bank (with `lean_drain`: while nothing
        adds, and with `far_registers`, too, every third cycle); and one item a cycle and chain: an empty row
        on each chain, or a word and on the other chain an empty row before it.
    Latency: `settling_cycles` + `drain_cycles` + 1 from the close of a row to its first word, 2 for empty
        rows when nothing is before them.
    Backpressure: a row closes only when it can be queued; its place is free again when it has left. With
        `lean_drain` places are not free for a cycle where a word waits for adding to pause.
    Order: rows in the order in which they closed; row r of a job on chain r mod chains.

    A row takes a power of two of words. Dense rows are walked word by word, and neighbouring words are in
    different banks: a row can leave while another one adds. A packed row adds in any order, all its words are
    in one bank, and the next row's in the other. Of a packed row only words that got a sum leave (where
    that is known: with `csr_out`); if there is none, the first one does.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_packed : of the running job
    i_sddmm : of the running job (only with `sddmm`): sums come `dot_cycles` later
    i_own_words : words of a touched row
    i_first_word : the first one's index in the whole row of C
    i_slices_log2 : of a packed row, every so many words of the whole row are one of this PE
    i_touched : a touched row closes
    i_empties : so many empty rows close, after the touched one
    i_last : the job's last row has closed; what comes when all is out begins at chain 0
    o_open, o_next : BankPlace of the open row, and of the one after it
    o_room : a touched row may close
    o_open_free, o_next_free : sums may be made there
    o_run_room : MAX_CLOSES empty rows may close
    i_adding : sums of a bank are read to be added to, when the accumulators hear of what `o_drain` says now
    o_drain : BankAccess, a word is read and cleared; after a reset, one after the other, all of them are. The
        accumulators hear of it `drain_cycles` later, and before the word is offered to a chain
    o_swept : all have been
    i_touched_words, o_clear_words : BankWords, of TouchedWords (only with `csr_out`)
    o : for each chain, stream of RowItem; sums are those of the last `o_drain`
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_packed": In(1),
            "i_own_words": In(config.slice_words_bits),
            "i_first_word": In(config.word_bits),
            "i_slices_log2": In(range(config.pe_bits + 1)),
            "i_touched": In(1),
            "i_empties": In(range(MAX_CLOSES + 1)),
            "i_last": In(1),
            "o_open": Out(BankPlace(config)),
            "o_next": Out(BankPlace(config)),
            "o_room": Out(1),
            "o_open_free": Out(1),
            "o_next_free": Out(1),
            "o_run_room": Out(1),
            "i_adding": In(data.StructLayout({"valid": 1, "bank": 1})),
            "o_drain": Out(BankAccess(config)),
            "o_swept": Out(1),
            "o": Out(stream.Signature(RowItem(config))).array(config.chains),
        } | ({"i_sddmm": In(1)} if config.sddmm else {})
          | ({"i_touched_words": In(BankWords(config)), "o_clear_words": Out(BankWords(config))}
             if config.csr_out else {}))

    def elaborate(self, platform):
        m = Module()
        config, self._platform = self._config, platform
        # The item at work: a run of empty rows, then maybe a touched row, and its next word. Runs are counted
        # as their complements: all ones is none.
        self._run, self._has_row = Signal(RUN_BITS, init=NO_RUN), Signal()
        # There are none, one, two: what comes next hangs on it.
        self._run_is = [Signal(name=f"run_is_{count}", init=count == 0) for count in range(3)]
        self._place = Signal(BankPlace(config))
        self._index = Signal(config.word_bits)
        self._left = Signal(config.slice_words_bits)         # words of the row behind this one
        self._last = Signal()                                # it is the row's last
        at_end = Signal(init=1)                              # none is left; known beforehand
        self._drains = Signal()                              # a word leaves
        self._goes_on = Signal()                             # or the next row comes, or words are swept
        self._row_leaves = Signal()                          # the last one
        self._free = Signal()                                # the item is done now, or there is none
        self._row_done, self._chain = Signal(2), Signal()    # rows that end; chain of the next row
        self._loads, self._waits = Signal(), Signal()        # the next row comes to work; one is in the queue
        self._ready = Signal()                               # the sums of the next row are there
        # Empty rows behind the last touched one; they come to work. They are the difference of two counts, of
        # which one only stays behind or not: it comes late whether they move.
        trailing, moves, stay = Signal(RUN_BITS), Signal(), Signal()
        behind = Signal()                                    # there are some; their counts differ
        closed, counted = Signal(RUN_BITS), Signal(RUN_BITS)
        fresh, finished = Signal(init=1), Signal()           # no row of the job has closed; its last one has
        self._idle = idle = Signal()
        # The item is done with the first, with the second that goes; the chains take the first, and a second.
        self._ends = [Signal(name=f"ends_{number}") for number in range(2)]
        self._one_goes, self._two_go = Signal(), Signal()
        m.d.comb += idle.eq(~self._has_row & self._run_is[0])

        head = self._keep(m, Mux(moves, NO_RUN, trailing))
        self._allot(m, fresh)
        self._deal(m)

        # ---- empty rows behind the last touched one; none before them: they need not wait for the next ----
        m.d.comb += [
            trailing.eq(counted - closed - 1),
            stay.eq(~self._waits & behind),
            moves.eq(self._happens(m, "run_comes", stay, stay & self._ends[0], stay & self._ends[1])),
        ]
        m.d.sync += [
            closed.eq(closed + self.i_empties),
            behind.eq(self.i_empties.any() | (behind & ~self.i_touched & ~moves)),
            # Less than three quarters of what can be; some come until this is seen.
            self.o_run_room.eq(trailing[-2:].any()),
        ]
        with m.If(self.i_touched | moves):
            m.d.sync += counted.eq(closed)

        # ---- the next item, or the next word ----
        begins, swept = Signal(), self.o_swept     # what comes next is a row's first word
        m.d.comb += [
            self._loads.eq(self._free & self._ready),
            self._last.eq(at_end),
            begins.eq(swept & (~self._has_row | self._last)),
        ]
        with m.If(self._goes_on):
            m.d.sync += [
                self._place.as_value().eq(Mux(begins, head.place.as_value(), self._place.as_value()
                                              + Mux(self.i_packed & swept, BANKS, 1))),
                self._index.eq(Mux(begins, Mux(self.i_packed, 0, self.i_first_word), self._index) + ~begins),
                self._left.eq(Mux(begins, self.i_own_words, self._left) - 1),
                at_end.eq(Mux(begins, self._row_words[0], self._left == 1)),
            ]
        with m.If(self._free):
            m.d.sync += self._has_row.eq(self._loads)
        self._count_run(m, moves, Mux(self._waits, head.run, trailing), self._ready | stay)
        if config.csr_out:
            self._skip(m, head.place, begins)

        # ---- jobs: all is out before the next job's first token comes ----
        with m.If(self.i_last):
            m.d.sync += finished.eq(1)
        with m.If(finished & idle & ~self._waits & ~behind):
            m.d.sync += [finished.eq(0), fresh.eq(1), self._chain.eq(0)]

        # ---- after a reset the place counts through all words ----
        with m.If(~swept):
            m.d.sync += swept.eq(self._place.as_value().all())
        m.d.comb += [
            self.o_drain.valid.eq(self._drains | ~swept),
            self.o_drain.bank.eq(self._place.bank),
            self.o_drain.word.eq(self._place.word),
        ]
        return m

    def _count_run(self, m: Module, moves: Signal, next_run: Value, more: Value) -> None:
        """The adder chooses between the run at work and the next one; a second row leaves in its place."""
        begins, leaves = Signal(), self._run_leaves
        m.submodules.runs = adder = MaskedAdder(RUN_BITS)
        # Of both runs it is known before it is known which one it will be, and how many of it leave.
        of_next = Cat(next_run == NO_RUN - count for count in range(3))
        of_this = Cat(self._run == NO_RUN - count for count in range(5))
        if self._config.chains > 1:
            chooses, added, second = begins, Mux(begins, next_run, 1), leaves[1]
        else:
            # The next one takes the place of a run that is over, should anything happen: that comes late, and
            # enables only.
            over = self._run_is[0] | (self._run_is[1] & ~self._has_row & more)
            chooses, added, second = over, next_run, Const(0)
        m.d.comb += [
            begins.eq(self._loads | moves),
            adder.i_a.eq(self._run), adder.i_use_a.eq(~chooses),
            adder.i_b.eq(added), adder.i_use_b.eq(chooses | second),
            adder.i_carry.eq(~chooses),
        ]
        with m.If(self._happens(m, "run_goes_on", more, ~self._run_is[0] | (more & self._ends[0]),
                                more & self._ends[1])):
            m.d.sync += [self._run.eq(adder.o),
                         Cat(self._run_is).eq(Mux(chooses, of_next, Mux(second, of_this[2:], of_this[1:])))]

    def _keep(self, m: Module, run: Value) -> data.View:
        """The queue of touched rows, each with the empty ones before it; returns the next one.

        What leaves is counted a cycle later: ready of the chains comes late.
        """
        config, depth = self._config, self._config.row_queue_rows
        row = data.StructLayout({"run": RUN_BITS, "place": BankPlace(config)})
        m.submodules.rows = rows = Memory(shape=row.size, depth=depth, init=[])
        write, read = rows.write_port(), rows.read_port(domain="comb")
        came, there = Signal(range(depth + 1)), Signal(range(depth + 1))   # rows; those whose sums are there
        there_next, loaded, settled = Signal.like(there), Signal(), Signal()
        settles = settling_cycles(config) - 2                # one more to count it, and one to load it
        settling = Signal(settles + dot_cycles(config) if config.sddmm else settles)
        underway = settling[:settles].any()
        m.d.comb += settled.eq(settling[settles - 1])
        if config.sddmm:
            m.d.comb += settled.eq(Mux(self.i_sddmm, settling[-1], settling[settles - 1]))
            underway |= self.i_sddmm & settling.any()
        m.d.comb += [
            write.data.eq(Cat(run, self.o_open)),
            write.en.eq(self.i_touched),
            self.o_room.eq(~came[-1]),
            there_next.eq(there + settled - loaded),
            self._waits.eq(underway | self._ready),
        ]
        m.d.sync += [
            loaded.eq(self._loads),
            settling.eq(Cat(self.i_touched, settling)),
            came.eq(came + self.i_touched - loaded),
            there.eq(there_next),
            # Whether one is left when that which is loaded now has been counted.
            self._ready.eq((there_next != 0) & ~((there_next == 1) & self._loads)),
        ]
        with m.If(self.i_touched):
            m.d.sync += write.addr.eq(write.addr + 1)
        with m.If(self._loads):
            m.d.sync += read.addr.eq(read.addr + 1)
        return data.View(row, read.data)

    def _skip(self, m: Module, place, begins: Signal) -> None:
        """Of a packed row, from one word that got a sum to the next."""
        config, loads = self._config, self._loads
        its_words, words, rest, lowest = (Signal(config.acc_words, name=name)
                                          for name in ("its_words", "words", "rest", "lowest"))
        next_word = Signal(config.acc_word_bits)
        numbers = [Const(word, config.acc_word_bits) for word in range(config.acc_words)]
        # A row begins at a multiple of its words.
        above = Cat(~self._row_words[bit + 1:].any() for bit in range(config.acc_word_bits))
        touched = Mux(place.bank, self.i_touched_words[1], self.i_touched_words[0])
        m.d.comb += [
            its_words.eq(Cat(((number ^ place.word) & above) == 0 for number in numbers)),
            words.eq(Mux(begins, touched & its_words, rest)),
            lowest.eq(words & -words),
            next_word.eq(Mux(words.any(), one_of(lowest, numbers), place.word)),
            *(cleared.eq(Mux(loads & (place.bank == bank), its_words, 0))
              for bank, cleared in enumerate(self.o_clear_words)),
        ]
        with m.If(self.i_packed):
            m.d.comb += self._last.eq(rest == 0)
            with m.If(loads | self._drains):
                m.d.sync += [rest.eq(words & ~lowest), self._place.word.eq(next_word),
                             self._index.eq(next_word & ~above)]

    def _allot(self, m: Module, fresh: Signal) -> None:
        """The places are a ring: rows that took words give them back in order."""
        config = self._config
        last, row_words = Signal(config.acc_word_bits), Signal(config.acc_word_bits + 1)
        self._row_words = row_words
        # From a place in an even and in an odd bank to the next row's.
        steps = [Signal(config.acc_word_bits + 1, name=f"step{bank}") for bank in range(BANKS)]
        places = Signal(range(BANKS * config.acc_words))     # there are, beside the open row's
        free = Signal(signed(len(places) + 1))               # -1: not even the open row's
        more, fewer = Signal(), Signal()
        m.d.comb += last.eq(self.i_own_words - 1)
        m.d.sync += [
            # The power of two that is not below i_own_words.
            row_words.eq(Cat(last == 0, (last[bit] & ~last[bit + 1:].any()
                                         for bit in range(config.acc_word_bits)))),
            steps[0].eq(Mux(self.i_packed, 1, row_words)),
            steps[1].eq(Mux(self.i_packed, 2 * row_words - 1, row_words)),
            places.eq(Cat(bit for bit in reversed(BANKS * row_words)) - 1),
            # Compared before it is known what comes and leaves.
            self.o_open_free.eq(Mux(more, free >= -1, Mux(fewer, free > 0, free >= 0))),
            self.o_next_free.eq(Mux(more, free >= 0, Mux(fewer, free > 1, free > 0))),
        ]
        m.d.comb += [
            more.eq(self._row_leaves & ~self.i_touched),
            fewer.eq(self.i_touched & ~self._row_leaves),
        ]
        with m.If(more | fewer):
            m.d.sync += free.eq(Mux(self.i_touched, free - 1, free + 1))
        with m.If(self.i_touched):
            m.d.sync += [
                fresh.eq(0),
                self.o_open.eq(self.o_next),
                self.o_next.as_value().eq(self.o_next.as_value() + Mux(self.o_next.bank, steps[1], steps[0])),
            ]
        with m.Elif(fresh):
            m.d.sync += [
                self.o_open.as_value().eq(0),
                self.o_next.as_value().eq(steps[0]),
                free.eq(places),
                self.o_open_free.eq(1),
                self.o_next_free.eq(places != 0),
            ]

    def _happens(self, m: Module, name: str, idle: Any, one: Any, two: Any) -> Signal:
        """What happens without an item; as the first goes; as both go. What the chains take comes last, and
        passes one level."""
        return fixed_gate(m, self._platform, name,
                          lambda without, goes, first, both: without | (goes & first) | both,
                          self._idle & idle, self._one_goes, one, self._two_go & two)

    def _deal(self, m: Module) -> None:
        """The next row's chain gets an empty row or the word; the other one what comes after an empty row.

        What would happen is known before it is known whether the chains take it: their ready comes late.
        """
        config, chains = self._config, self._config.chains
        empty, word = Signal(2), Signal(2)          # what the first and the second item would be
        room, emits = Signal(2), Signal(2)
        can, held = Signal(2), Signal(chains)       # can: take an item; held: a word waits
        readable, alone = Signal(), Signal()        # alone: the first item can be a word
        interleaved = Signal(config.word_bits)      # a packed row's word in the whole row of C
        word_index, word_last = Signal(config.word_bits), Signal()
        self._run_leaves = Signal(2)                # a first and a second empty row
        late = drain_cycles(config)                 # there is one chain
        underway = Signal(late)                     # a word, since so many cycles
        for number, output in enumerate(self.o):
            may = ~output.valid | output.ready
            m.d.comb += [
                can[number].eq(may & ~underway.any() if late else may),
                held[number].eq(output.valid & output.p.touched & ~output.ready),
                output.p.word.eq(word_index),
                output.p.last.eq(word_last | ~output.p.touched),
            ]
        run_is = self._run_is
        same_memory = Const(1) if config.lean_drain else self.i_adding.bank == self._place.bank
        m.d.comb += [
            # The sums of one word are shown at a time, and read while nothing is added in their memory.
            readable.eq(self._has_row & ~(self.i_adding.valid & same_memory)),
            empty[0].eq(~run_is[0]),
            word[0].eq(run_is[0] & readable),
            empty[1].eq(~run_is[0] & ~run_is[1]),
            word[1].eq(run_is[1] & readable),
            *(done.eq(Mux(self._has_row, word[number] & self._last, run_is[number + 1]))
              for number, done in enumerate(self._ends)),
            room.eq(Mux(self._chain, can[::-1], can)),
            alone.eq(room[0] & ~held.any() if chains > 1 else room[0]),
            emits[0].eq(Mux(word[0], alone, room[0] & empty[0])),
            emits[1].eq(room.all() & empty[0] & (empty[1] | word[1])),
            self._one_goes.eq(Mux(word[0], alone, room[0])),
            self._two_go.eq(room.all()),
            self._free.eq(self._happens(m, "item_done", Const(1), self._ends[0], self._ends[1])),
            self._run_leaves.eq(Cat(room[0] & empty[0], room.all() & empty[1])),
            self._drains.eq((alone & word[0]) | (room.all() & word[1])),
            self._goes_on.eq(self._happens(m, "goes_on", self._ready | ~self.o_swept,
                                           word[0] | (self._ready & self._ends[0]),
                                           word[1] | (self._ready & self._ends[1]))),
            self._row_leaves.eq(self._drains & self._last),
            self._row_done.eq(emits & (empty | self._last.replicate(2))),
            interleaved.eq((self._index << self.i_slices_log2) | self.i_first_word),
        ]
        with m.If(self._drains):
            m.d.sync += [word_index.eq(Mux(self.i_packed, interleaved, self._index)),
                         word_last.eq(self._last)]
        if chains > 1:
            m.d.sync += self._chain.eq(self._chain ^ self._row_done[0] ^ self._row_done[1])
        for number, output in enumerate(self.o):
            mine = Signal(2, name=f"mine{number}")  # the item that goes to this chain, one-hot
            selected = Mux(self._chain, 0b01 if number else 0b10, 0b10 if number else 0b01)
            m.d.comb += mine.eq(emits & selected)
            with m.If(can[number]):
                m.d.sync += [output.valid.eq(mine.any()), output.p.touched.eq((mine & word).any())]
            if late:
                self._show_later(m, output, (mine & word).any(), underway)
        if config.lean_drain:
            self._ask_for_gap(m, can[0])

    def _show_later(self, m: Module, output: Any, comes: Value, underway: Signal) -> None:
        """A word is offered when the accumulators show its sums; until then nothing else goes."""
        m.d.sync += underway.eq(Cat(comes, underway))
        with m.If(comes):
            m.d.sync += output.valid.eq(0)
        with m.If(underway[-1]):
            m.d.sync += output.valid.eq(1)

    def _ask_for_gap(self, m: Module, room: Value) -> None:
        """Whoever adds in every cycle leaves one for a word that could leave: for that cycle there is no
        place. The gap comes some cycles later, and is not asked for again until then."""
        asks, asked = Signal(), Signal()
        m.d.comb += asks.eq(self._has_row & self._run_is[0] & room & self.i_adding.valid & ~asked)
        m.d.sync += asked.eq((asked | asks) & ~self._drains)
        with m.If(asks):
            m.d.sync += [self.o_open_free.eq(0), self.o_next_free.eq(0)]
