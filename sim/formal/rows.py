"""Proofs of the order of rows and tokens in a PE."""

from dataclasses import replace

from amaranth.hdl import Cat, Const, Mux, Signal

from hdl.accumulator import BANKS
from hdl.pe_front import PeFront
from hdl.row_queue import RowQueue
from hdl.touched_words import TouchedWords
from hdl.walker import MAX_CLOSES

from .bench import Bench, Proof
from .checks import flat, moves, stable
from .configs import SMALL
from .inside import Fault
from .tokens import ROOM_CYCLES

__all__ = ["PROOFS"]

CSR = replace(SMALL, csr_out=True)
"""Of packed rows only words that got a sum leave."""

COUNT_BITS = 6
"""Of rows and words: more than can pass in the cycles that are looked at."""

LATE_CYCLES = 10
"""What is all there is offered after so many cycles without an offer at the latest."""


def _row_queue(b: Bench) -> None:
    """Follows one row of a job, whichever: where its words are added up, and on which chain they leave."""
    queue, m, chains = b.dut, b.m, SMALL.chains
    own, first_word = queue.i_own_words, queue.i_first_word
    for port in (own, first_word, queue.i_packed):
        b.drive(port, b.constant(port.shape(), f"constant_{port.name}"))
    row = b.constant(COUNT_BITS, "row")
    b.assume((own != 0) & (own <= SMALL.acc_words))

    # ---- rows close: when the accumulators have been cleared and the job's sizes are known ----
    closed, ended, ready = Signal(COUNT_BITS), Signal(), Signal(2)
    m.d.sync += ready.eq(Cat(queue.o_swept, ready))
    may_close = ready.all() & ~ended
    b.assume(~queue.i_touched | (queue.o_room & may_close))
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
    drained = Signal.like(place)
    with m.If(queue.o_drain.valid):
        m.d.sync += drained.eq(Cat(queue.o_drain.bank, queue.o_drain.word))

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
        b.check(~(followed & ~touched) | (output.p.last & (words == 0)))
        b.check(~(followed & touched) | ((output.p.last == (words == own - 1)) & (drained == expected)
                                         & (output.p.word == (first_word + words)[:len(first_word)])))
        b.cover(followed & touched & output.p.last & (row > 1) & (own == 2))
    b.cover(queue.o[0].valid & queue.o[1].valid & queue.o[0].p.touched & ~queue.o[1].p.touched)
    stable(b, *queue.o)
    idle = ~queue.o[0].valid & ~queue.o[1].valid & ~queue.i_adding.valid
    waits = idle & (sum(given_rows) != closed)
    late = Signal(range(LATE_CYCLES + 2))
    m.d.sync += late.eq(Mux(waits, late + 1, 0))
    b.check(late <= LATE_CYCLES)


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
