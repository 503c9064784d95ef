"""Proofs of the order of rows and tokens in a PE."""

from dataclasses import replace

from amaranth.hdl import Cat, Const, Mux, Signal, Value

from hdl.accumulator import BANKS
from hdl.pe_front import PeFront
from hdl.row_queue import NO_RUN, RowQueue, drain_cycles
from hdl.touched_words import TouchedWords
from hdl.walker import MAX_CLOSES

from .bench import Bench, Proof
from .checks import flat, moves, stable
from .configs import SMALL
from .inside import Fault
from .tokens import ROOM_CYCLES

__all__ = ["PROOFS", "rows_after_the_sweep"]

CSR = replace(SMALL, csr_out=True)
"""Of packed rows only words that got a sum leave."""

ONE_CHAIN = replace(SMALL, chains=1)

LEAN = replace(ONE_CHAIN, lean_drain=True, far_registers=True)
"""Words leave while nothing is added."""

WALK_CYCLES = 5 - drain_cycles(LEAN)
"""From a cycle in which no place is free to the one in which `i_adding` says that therefore nothing is
added."""

GAP_CYCLES = WALK_CYCLES + 1
"""So many cycles a word that could leave waits for nothing to be added, at the latest."""

COUNT_BITS = 6
"""Of rows and words: more than can pass in the cycles that are looked at."""

LATE_CYCLES = 10
"""What is all there is offered after so many cycles without an offer at the latest."""


def _row_queue(b: Bench) -> None:
    """Follows one row of a job, whichever: where its words are added up, and on which chain they leave."""
    queue, m, chains = b.dut, b.m, b.dut._config.chains
    own, first_word = queue.i_own_words, queue.i_first_word
    for port in (own, first_word, queue.i_packed, queue.i_slices_log2):
        b.drive(port, b.constant(port.shape(), f"constant_{port.name}"))
    row = b.constant(COUNT_BITS, "row")
    b.assume((own != 0) & (own <= SMALL.acc_words))
    b.assume(queue.i_slices_log2 <= SMALL.pe_bits)

    # ---- rows close: when the accumulators have been cleared and the job's sizes are known ----
    closed, ended, ready = Signal(COUNT_BITS), Signal(), Signal(2)
    m.d.sync += ready.eq(Cat(queue.o_swept, ready))
    may_close = ready.all() & ~ended
    b.assume(~queue.i_touched | (queue.o_room & queue.o_open_free & may_close))
    b.assume((queue.i_empties == 0) | (queue.o_run_room & may_close))
    b.assume(queue.i_empties <= MAX_CLOSES)
    b.assume(~queue.i_last | may_close)
    with m.If(queue.i_last):
        m.d.sync += ended.eq(1)
    m.d.sync += closed.eq(closed + queue.i_touched + queue.i_empties)

    # ---- the row that is followed ----
    touched, place = Signal(), Signal(len(flat(queue.o_open)))
    with m.If(queue.i_touched & (closed == row)):
        m.d.sync += [touched.eq(1), place.eq(flat(queue.o_open))]
    # Its sums are in their place; its last word is offered, or on its way to the accumulators, of which that
    # place hears as late.
    rests, leaves = Signal(), Signal()
    with m.If(leaves):
        m.d.sync += rests.eq(0)
    with m.Elif(queue.i_touched & (closed == row)):
        m.d.sync += rests.eq(1)
    here = rests & ~leaves
    b.check(~(here & queue.o_open_free & (flat(queue.o_open) == place)))
    b.check(~(here & queue.o_next_free & (flat(queue.o_next) == place)))
    b.cover(here & (flat(queue.o_open) == place))
    beside = queue.i_adding.valid & (queue._config.lean_drain | (queue.i_adding.bank == queue.o_drain.bank))
    b.check(~(queue.o_drain.valid & queue.o_swept & beside))
    sparse = _Sparse(b, touched, place, closed == row)
    drained = Signal.like(place)
    recent = [queue.o_drain.valid]           # a word is on its way to the accumulators: now, a cycle ago, ...
    for cycle in range(drain_cycles(queue._config)):
        recent.append(b.past(recent[-1], f"recent{cycle}"))
    with m.If(queue.o_drain.valid):
        m.d.sync += drained.eq(Cat(queue.o_drain.bank, queue.o_drain.word))

    if len(recent) > 1:
        last = Signal.like(place)
        m.d.comb += last.eq(place + Mux(queue.i_packed, (own - 1) * BANKS, own - 1))
        with m.If(queue.o_drain.valid & (Cat(queue.o_drain.bank, queue.o_drain.word) == last)):
            m.d.comb += leaves.eq(1)

    # ---- each chain gets its rows, each row its words ----
    given_rows = []
    for chain, output in enumerate(queue.o):
        rows, words = Signal(COUNT_BITS, name=f"rows{chain}"), Signal(COUNT_BITS, name=f"words{chain}")
        this, expected = Signal(COUNT_BITS, name=f"this{chain}"), Signal.like(place, name=f"expected{chain}")
        m.d.comb += [this.eq(rows * chains + chain),
                     expected.eq(place + Mux(queue.i_packed, words * BANKS, words))]
        with m.If(moves(output)):
            m.d.sync += [rows.eq(rows + output.p.last), words.eq(Mux(output.p.last, 0, words + 1))]
        given_rows.append(rows)
        followed = output.valid & (this == row)
        b.check(~output.valid | (this < closed))
        b.check(~followed | (output.p.touched == touched))
        b.check(~(output.valid & output.p.touched & Cat(recent[1:]).any()))
        b.check(~(followed & ~touched) | (output.p.last & (words == 0)))
        b.check(~(followed & touched & ~sparse.here) | (
            (output.p.last == (words == own - 1)) & (drained == expected)
            & (output.p.word == _word(queue, words))))
        with m.If(followed & touched & output.p.last):
            m.d.comb += leaves.eq(1)
        sparse.offered(followed & touched, output, drained)
        b.cover(followed & touched & output.p.last & (row > 1) & (own == 2))
    if chains > 1:
        b.cover(queue.o[0].valid & queue.o[1].valid & queue.o[0].p.touched & ~queue.o[1].p.touched)
    stable(b, *queue.o)
    idle = ~Cat(output.valid for output in queue.o).any() & ~queue.i_adding.valid
    waits = idle & (sum(given_rows) != closed)
    late = Signal(range(LATE_CYCLES + 2))
    m.d.sync += late.eq(Mux(waits, late + 1, 0))
    b.check(late <= LATE_CYCLES)


def rows_after_the_sweep(b: Bench) -> None:
    """Assumption: no row comes before the accumulators have been cleared; and what follows inside."""
    queue, inside = b.dut, b.inside
    there, loaded = inside("there"), inside("loaded")
    b.assume(queue.o_swept | ~queue.i_touched)
    b.invariant(queue.o_swept | ~Cat(inside("_has_row"), there, loaded, inside("settling")).any())
    b.invariant(inside("_ready") == ((there != 0) & ~((there == 1) & loaded)))


def _gap(b: Bench) -> None:
    """Something is added wherever the walker had a place: for a word that could leave it has none in one
    cycle."""
    queue, inside = b.dut, b.inside
    none = [~(queue.o_open_free | queue.o_next_free)]     # no place: now, a cycle ago, ...
    for cycle in range(WALK_CYCLES):
        none.append(b.past(none[-1], f"none{cycle}"))
    b.assume(~(queue.i_adding.valid & none[-1]))
    run_is = Cat(inside("_run_is"))
    could = (inside("_has_row") & run_is[0] & (~queue.o[0].valid | queue.o[0].ready)
             & ~inside("underway").any())
    late = Signal(range(GAP_CYCLES + 2))
    b.m.d.sync += late.eq(Mux(could & ~queue.o_drain.valid, late + 1, 0))
    b.check(late <= GAP_CYCLES)
    b.cover((late == GAP_CYCLES) & queue.o_drain.valid)
    rows_after_the_sweep(b)
    b.invariant(run_is == Cat(inside("_run") == NO_RUN - count for count in range(len(run_is))))
    b.invariant((late == 0) | (could & inside("asked")))
    b.invariant(~inside("asked") | (late != 0))
    for cycle, was_none in enumerate(none, 1):
        b.invariant((late != cycle) | was_none)


def _word(queue: RowQueue, number) -> Value:
    """Where the PE's word of that number lies in the whole row of C."""
    first = queue.i_first_word
    return Mux(queue.i_packed, first | (number << queue.i_slices_log2), first + number)[:len(first)]


class _Sparse:
    """Of a packed row only words that got a sum leave, where that is known.

    Attributes
    ----------
    here : it is such a row
    """

    def __init__(self, b: Bench, touched, place, its_turn):
        self._b, queue, m = b, b.dut, b.m
        self.here = Const(0)
        if "i_touched_words" not in queue.signature.members:
            return
        own, words = queue.i_own_words, range(CSR.acc_words)
        self.here = queue.i_packed
        loads, number, loaded = Signal(), Signal(COUNT_BITS), Signal(COUNT_BITS)
        closes = Signal(COUNT_BITS)
        self._left, self._first = Signal(CSR.acc_words), Signal(CSR.acc_word_bits)
        self._bank = Signal()
        bank, first = place[0], place[1:]
        its = Signal(CSR.acc_words)
        m.d.comb += [
            loads.eq(Cat(bits.any() for bits in queue.o_clear_words).any()),
            its.eq(Cat((word >= first) & (word < first + own) for word in words)),
            self._first.eq(first), self._bank.eq(bank),
        ]
        m.d.sync += [closes.eq(closes + queue.i_touched), loaded.eq(loaded + loads)]
        with m.If(queue.i_touched & its_turn):
            m.d.sync += number.eq(closes)
        own_load = loads & touched & (loaded == number) & queue.i_packed
        sums = Mux(bank, queue.i_touched_words[1], queue.i_touched_words[0]) & its
        with m.If(own_load):
            m.d.sync += self._left.eq(Mux(sums == 0, 1 << first, sums))
        # They are forgotten, and nothing else is.
        b.check(~own_load | (Mux(bank, queue.o_clear_words[1], queue.o_clear_words[0]) == its))
        b.check(~own_load | (Mux(bank, queue.o_clear_words[0], queue.o_clear_words[1]) == 0))

    def offered(self, followed, output, drained) -> None:
        """Property: what leaves of the row is the lowest of its words that are left."""
        b, left = self._b, getattr(self, "_left", None)
        if left is None:
            return
        rest, word = left & (left - 1), drained[1:]
        index = _word(b.dut, (word - self._first)[:len(word)])
        b.check(~(followed & self.here) | (
            (drained[0] == self._bank) & (left == ((1 << word) | rest)[:len(left)])
            & ~rest.bit_select(word, 1) & (output.p.last == (rest == 0)) & (output.p.word == index)))
        b.cover(followed & self.here & output.p.last & (word == 1) & (b.dut.i_own_words == 2))
        with b.m.If(followed & moves(output)):
            b.m.d.sync += left.eq(rest)


def _touched_words(b: Bench) -> None:
    """The bit of one word of one bank, whichever."""
    block, m = b.dut, b.m
    bank, word = b.constant(range(BANKS), "bank"), b.constant(range(CSR.acc_words), "word")
    adds, bit = Signal(), Signal()
    m.d.comb += adds.eq(Cat(access.valid & (access.bank == bank) & (access.word == word)
                            for access in block.i).any())
    added = b.past(adds, "added")
    cleared = Mux(bank, block.i_clear[1], block.i_clear[0]).bit_select(word, 1)
    m.d.sync += bit.eq((bit | added) & ~cleared)
    b.check(Mux(bank, block.o[1], block.o[0]).bit_select(word, 1) == bit)
    b.cover(bit & (word == 1) & (bank == 1))
    for number in range(BANKS):
        b.invariant(~(bank == number) | (b.inside(f"#added{number}").bit_select(word, 1)
                                         == added))


def _pe_front(b: Bench) -> None:
    """Follows one own token of a job, whichever, and counts the row ends before it."""
    front, m, tokens = b.dut, b.m, SMALL.beat_tokens
    group_log2 = b.constant(front.i_group_log2.shape(), "group_log2")
    b.drive(front.i_group_log2, group_log2)
    b.assume(group_log2 <= SMALL.lane_bits)
    room = front.o_room
    for stage in range(ROOM_CYCLES):
        room = b.past(room, f"room{stage}")
    b.assume(~front.i.valid | room)

    # ---- what comes ----
    beat, came, ends = front.i.p, Signal(COUNT_BITS), Signal(COUNT_BITS)
    first, second = beat.ends
    last_came = Signal()
    b.assume(~front.i.valid | ~last_came)
    b.assume((first.valid | ~second.valid) & (first.position <= second.position)
             & (second.position <= tokens))
    own = list(beat.mask)
    ended = ends + first.valid + second.valid
    in_group = (1 << group_log2) - 1
    # A job's last beat closes its last group.
    b.assume(~(front.i.valid & beat.last) | ((ended & in_group) == 0))
    with m.If(front.i.valid):
        m.d.sync += [came.eq(came + sum(own)), ends.eq(ended), last_came.eq(beat.last)]

    # ---- the token that is followed ----
    choose, choice = b.free(1, "choose"), b.free(range(tokens), "choice")
    present, number, ends_before = Signal(), Signal(COUNT_BITS), Signal(COUNT_BITS)
    followed = Signal.like(beat.tokens[0])
    for place, token in enumerate(beat.tokens):
        with m.If(front.i.valid & choose & (choice == place) & own[place] & ~present):
            m.d.sync += [present.eq(1), followed.eq(token), number.eq(came + sum(own[:place])),
                         ends_before.eq(ends + sum(end.valid & (end.position <= place)
                                                   for end in beat.ends))]

    # ---- what leaves ----
    op, left, closes, done = front.o.p, Signal(COUNT_BITS), Signal(COUNT_BITS), Signal()
    closed = closes + op.before + op.after
    with m.If(moves(front.o)):
        m.d.sync += [left.eq(left + op.token), closes.eq(closed), done.eq(op.last)]
    here = front.o.valid & op.token & present & (left == number)
    b.check(~here | ((op.address == followed.address) & (op.part == followed.part)
                     & (op.value == followed.value[:len(op.value)])))
    b.check(~here | (closes + op.before == ends_before >> group_log2))
    b.check(~here | (op.position == (ends_before & in_group)))
    b.check(~(front.o.valid & op.token) | (left < came))
    b.check(~front.o.valid | ((closed <= ends >> group_log2) & ~done))
    b.check(~(front.o.valid & op.last) | (last_came & (left + op.token == came)
                                          & (closed == ends >> group_log2)))
    b.cover(here & (number == 2) & (op.before != 0))
    b.cover(front.o.valid & op.last & (group_log2 != 0) & (closed == 1) & (left != 0))
    stable(b, front.o)
    late = Signal(range(LATE_CYCLES + 2))
    m.d.sync += late.eq(Mux(last_came & ~done & ~front.o.valid, late + 1, 0))
    b.check(late <= LATE_CYCLES)


PROOFS = (
    Proof("row_queue", "RowQueue",
          "every row of a job leaves once, in order, on the chain whose turn it is: an empty one as an empty "
          "item, a touched one with its words from where it was added up; the outputs are stable",
          lambda: RowQueue(SMALL), _row_queue,
          Fault("the turn of the chains does not change", "_chain", lambda value, inside: Const(0)),
          induction=None, depth=13, cover=20),
    Proof("row_queue_one_chain", "RowQueue", "the same with one chain",
          lambda: RowQueue(ONE_CHAIN), _row_queue,
          Fault("a run of empty rows is one longer", "_run", lambda value, inside: value - 1),
          induction=None, depth=13, cover=20),
    Proof("row_queue_lean", "RowQueue", "the same where words leave while nothing is added in either bank",
          lambda: RowQueue(LEAN), _row_queue,
          Fault("words are read in the other bank while something is added", "readable",
                lambda value, inside: inside("_has_row") & ~(
                    inside("i_adding.valid") & (inside("i_adding.bank") == inside("_place.bank")))),
          induction=None, depth=15, cover=20),
    Proof("row_queue_gap", "RowQueue",
          f"a word that could leave does {GAP_CYCLES} cycles later at the latest, though something is added "
          "wherever there was a place",
          lambda: RowQueue(LEAN), _gap,
          Fault("no gap is asked for", "asks", lambda value, inside: Const(0)),
          depth=24, cover=24, quick=True),
    Proof("row_queue_sparse", "RowQueue",
          "the same where it is known which words got a sum: of a packed row these leave, the lowest first, "
          "or else its first one, and are forgotten",
          lambda: RowQueue(CSR), _row_queue,
          Fault("words without a sum leave, too", "words",
                lambda value, inside: Mux(inside("_skip:loads"), inside("its_words"), inside("rest"))),
          induction=None, depth=15, cover=20, solver="bitwuzla"),
    Proof("touched_words", "TouchedWords",
          "a word's bit is set two cycles after a lane adds to it, and stays until it is cleared",
          lambda: TouchedWords(CSR), _touched_words,
          Fault("of a bank only the first word counts", "#added0", lambda value, inside: value & 1),
          quick=True),
    Proof("pe_front", "PeFront",
          "every own token of a job leaves once, in order, unchanged, between the row ends between which it "
          "came, a group closing with its last row; the last one leaves last; the output is stable",
          lambda: PeFront(SMALL), _pe_front,
          Fault("a row end behind a beat's last token is forgotten", "_cut:after",
                lambda value, inside: Const(0)), induction=None, depth=10, cover=14),
)
