"""Proofs of the order of rows and tokens in a PE."""

from amaranth.hdl import Const, Mux, Signal

from hdl.pe_front import PeFront
from hdl.row_queue import RowQueue
from hdl.walker import MAX_CLOSES

from .bench import Bench, Proof
from .checks import flat, moves, stable
from .configs import SMALL
from .inside import Fault
from .tokens import ROOM_CYCLES

__all__ = ["PROOFS"]

COUNT_BITS = 6
"""Of rows and words: more than can pass in the cycles that are looked at."""

LATE_CYCLES = 6
"""What is all there is offered after so many cycles without an offer at the latest."""


def _row_queue(b: Bench) -> None:
    """Follows one row of a job, whichever, and one of its words."""
    queue, m, chains = b.dut, b.m, SMALL.chains
    own = b.constant(queue.i_own_words.shape(), "own")
    row, place = b.constant(COUNT_BITS, "row"), b.constant(COUNT_BITS, "place")
    b.drive(queue.i_own_words, own)
    b.assume((own != 0) & (own <= SMALL.row_queue_words))

    # ---- rows close, words of touched ones follow in order ----
    closed, touched_rows, due = Signal(COUNT_BITS), Signal(COUNT_BITS), Signal(COUNT_BITS)
    arriving, position = Signal(COUNT_BITS), Signal(COUNT_BITS)
    ended = Signal()
    b.assume(~queue.i_touched | (queue.o_room & ~ended))
    b.assume((queue.i_empties == 0) | (queue.o_run_room & ~ended))
    b.assume(queue.i_empties <= MAX_CLOSES)
    b.assume(~queue.i.valid | (due != 0))
    b.assume(~queue.i.valid | (queue.i.p.last == (position == own - 1)))
    with m.If(queue.i_last):
        m.d.sync += ended.eq(1)
    m.d.sync += [
        closed.eq(closed + queue.i_touched + queue.i_empties),
        touched_rows.eq(touched_rows + queue.i_touched),
        due.eq(due + Mux(queue.i_touched, own, 0) - queue.i.valid),
    ]
    with m.If(queue.i.valid):
        m.d.sync += [position.eq(Mux(queue.i.p.last, 0, position + 1)),
                     arriving.eq(arriving + queue.i.p.last)]

    # ---- the row that is followed ----
    touched, number = Signal(), Signal(COUNT_BITS)
    word, known = Signal(len(flat(queue.i.p))), Signal()
    with m.If(queue.i_touched & (closed == row)):
        m.d.sync += [touched.eq(1), number.eq(touched_rows)]
    with m.If(queue.i.valid & touched & (arriving == number) & (position == place)):
        m.d.sync += [word.eq(flat(queue.i.p)), known.eq(1)]

    # ---- each chain gets its rows, each row its words ----
    given_rows = []
    for chain, output in enumerate(queue.o):
        rows, words = Signal(COUNT_BITS, name=f"rows{chain}"), Signal(COUNT_BITS, name=f"words{chain}")
        this = Signal(COUNT_BITS, name=f"this{chain}")
        m.d.comb += this.eq(rows * chains + chain)
        taken = moves(output)
        with m.If(taken):
            m.d.sync += [rows.eq(rows + output.p.last), words.eq(Mux(output.p.last, 0, words + 1))]
        given_rows.append(rows)
        followed = taken & (this == row)
        b.check(~taken | (this < closed))
        b.check(~(followed & ~touched) | ((output.p.valid == 0) & output.p.last & (words == 0)))
        b.check(~(followed & touched) | (output.p.last == (words == own - 1)))
        b.check(~(followed & touched & (words == place)) | (known & (flat(output.p) == word)))
        b.cover(followed & touched & output.p.last & (row > 2))
    b.cover(queue.o[0].valid & queue.o[1].valid & (queue.o[0].p.valid != 0) & (queue.o[1].p.valid == 0))
    stable(b, *queue.o)
    waits = (due == 0) & (sum(given_rows) != closed) & ~queue.o[0].valid & ~queue.o[1].valid
    late = Signal(range(LATE_CYCLES + 2))
    m.d.sync += late.eq(Mux(waits, late + 1, 0))
    b.check(late <= LATE_CYCLES)


def _pe_front(b: Bench) -> None:
    """Follows one own token of a job, whichever, and counts the row ends before it."""
    front, m, tokens = b.dut, b.m, SMALL.beat_tokens
    owner = b.constant(front.i_owner.shape(), "owner")
    group_log2 = b.constant(front.i_group_log2.shape(), "group_log2")
    b.drive(front.i_owner, owner)
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
    own = [beat.mask[number] & (token.owner == owner) for number, token in enumerate(beat.tokens)]
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
          "word, a touched one with its words, unchanged; the outputs are stable",
          lambda: RowQueue(SMALL), _row_queue,
          Fault("a run of empty rows is forgotten when a word is loaded", "_run",
                lambda value, inside: Const(0), only=0), induction=None, depth=9, cover=12),
    Proof("pe_front", "PeFront",
          "every own token of a job leaves once, in order, unchanged, between the row ends between which it "
          "came, a group closing with its last row; the last one leaves last; the output is stable",
          lambda: PeFront(SMALL), _pe_front,
          Fault("a row end behind a beat's last token is forgotten", "_cut:after",
                lambda value, inside: Const(0)), induction=None, depth=10, cover=14),
)
