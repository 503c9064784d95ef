"""Finished rows of a PE on their way to the drain chains."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import Config
from .layouts import ChainWord
from .queue import Queue
from .walker import MAX_CLOSES

__all__ = ["RUN_BITS", "RowQueue"]

RUN_BITS = 8
"""Rows without own tokens are counted up to 2^8 - 1 between two touched ones."""


class RowQueue(wiring.Component):
    """Keeps words of touched rows, and counts of the empty rows between them; deals rows to the chains.

    Throughput: one word a cycle in; out, one item a cycle and chain: an empty row on each chain, or a word
        and on the other chain an empty row before it.
    Latency: 3 cycles from `i` to `o`, 2 for empty rows when nothing is before them.
    Backpressure: room is reserved when a touched row closes; `i` is always taken.
    Order: rows in the order in which they closed; row r of a job on chain r mod chains.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_own_words : words of a touched row
    i_touched : a touched row closes; reserves its words
    i_empties : so many empty rows close, after the touched one
    i_last : the job's last row has closed; what comes when all is out begins at chain 0
    i : stream of ChainWord, always taken; words of the touched rows in order
    i_skips : one of the reserved words will not come (only with `csr_out`)
    o_room : a touched row may close
    o_run_room : MAX_CLOSES empty rows may close
    o : for each chain, stream of ChainWord
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_own_words": In(config.slice_words_bits),
            "i_touched": In(1),
            "i_empties": In(range(MAX_CLOSES + 1)),
            "i_last": In(1),
            "i": In(stream.Signature(ChainWord(config), always_ready=True)),
            "o_room": Out(1),
            "o_run_room": Out(1),
            "o": Out(stream.Signature(ChainWord(config))).array(config.chains),
        } | ({"i_skips": In(1)} if config.csr_out else {}))

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.words = words = Queue(ChainWord(config), config.row_queue_words)
        m.submodules.runs = runs = Queue(RUN_BITS, config.row_queue_words)
        # The item at work: a run of empty rows, then maybe a word, the first in the queue.
        self._run, self._has_word, self._head = Signal(RUN_BITS), Signal(), words.o.p
        self._free = Signal()                                # it is done in this cycle, or there is none
        self._row_done, self._chain = Signal(2), Signal()    # rows that end; chain of the next row

        # ---- counts: words under way (from the close on), empty rows behind the last touched one ----
        reserved = Signal(range(config.row_queue_words + 1))
        trailing, moves = Signal(RUN_BITS), Signal()
        pops, loads, finished = Signal(), Signal(), Signal()
        m.d.comb += [
            self.o_room.eq(reserved + self.i_own_words <= config.row_queue_words),
            self.o_run_room.eq(trailing < (1 << RUN_BITS) - MAX_CLOSES),
            # With no word before them the empty rows need not wait for the next touched row.
            moves.eq(self._free & (reserved == self._has_word) & (trailing != 0)),
            pops.eq(self._has_word & self._free),
            loads.eq(self._free & (words.level > self._has_word)),
            runs.i.valid.eq(self.i_touched),
            runs.i.p.eq(Mux(moves, 0, trailing)),
            words.i.valid.eq(self.i.valid),
            words.i.p.eq(self.i.p),
            words.o.ready.eq(pops),
        ]
        skips = self.i_skips if config.csr_out else 0
        m.d.sync += [
            reserved.eq(reserved + Mux(self.i_touched, self.i_own_words, 0) - pops - skips),
            trailing.eq(Mux(self.i_touched | moves, 0, trailing) + self.i_empties),
        ]

        self._deal(m)

        # ---- the next item ----
        row_ended, row_starts = Signal(init=1), Signal()     # the word before it, and the item at work's
        m.d.comb += [
            row_starts.eq(Mux(self._has_word, self._head.last, row_ended)),
            runs.o.ready.eq(loads & row_starts),
        ]
        with m.If(pops):
            m.d.sync += row_ended.eq(self._head.last)
        with m.If(loads):
            m.d.sync += [self._has_word.eq(1), self._run.eq(Mux(row_starts, runs.o.p, 0))]
        with m.Elif(self._free):
            m.d.sync += [self._has_word.eq(0), self._run.eq(Mux(moves, trailing, 0))]

        # ---- jobs: all is out long before the next job's first row closes ----
        with m.If(self.i_last):
            m.d.sync += finished.eq(1)
        with m.If(finished & (reserved == 0) & (trailing == 0) & (self._run == 0) & ~self._has_word):
            m.d.sync += [finished.eq(0), self._chain.eq(0)]
        return m

    def _deal(self, m: Module) -> None:
        """The next row's chain gets an empty row or the word; the other one what comes after an empty row."""
        chains = self._config.chains
        empty, word = Signal(2), Signal(2)          # what the first and the second item would be
        room, emits = Signal(2), Signal(2)
        run = Signal(RUN_BITS)                      # the run after this cycle
        can = Signal(2)
        for number, output in enumerate(self.o):
            m.d.comb += can[number].eq(~output.valid | output.ready)
        m.d.comb += [
            empty[0].eq(self._run != 0),
            word[0].eq((self._run == 0) & self._has_word),
            empty[1].eq(self._run > 1),
            word[1].eq((self._run == 1) & self._has_word),
            room.eq(Mux(self._chain, can[::-1], can)),
            emits[0].eq(room[0] & (empty[0] | word[0])),
            emits[1].eq(room[0] & empty[0] & room[1] & (empty[1] | word[1])),
            run.eq(self._run - (emits[0] & empty[0]) - (emits[1] & empty[1])),
            self._free.eq(Mux(self._has_word, (emits & word).any(), run == 0)),
            self._row_done.eq(emits & (empty | Mux(self._head.last, 0b11, 0))),
        ]
        m.d.sync += self._run.eq(run)
        if chains > 1:
            m.d.sync += self._chain.eq(self._chain ^ self._row_done[0] ^ self._row_done[1])
        for number, output in enumerate(self.o):
            mine = Signal(2, name=f"mine{number}")  # the item that goes to this chain, one-hot
            is_word = Signal(name=f"is_word{number}")
            selected = Mux(self._chain, 0b01 if number else 0b10, 0b10 if number else 0b01)
            m.d.comb += [mine.eq(emits & selected), is_word.eq((mine & word).any())]
            with m.If(can[number]):
                m.d.sync += output.valid.eq(mine.any())
            with m.If(can[number] & is_word):
                m.d.sync += output.p.eq(self._head)
            with m.Elif(mine.any()):
                m.d.sync += [output.p.valid.eq(0), output.p.last.eq(1), output.p.word.eq(0)]
