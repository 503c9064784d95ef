"""Proofs of the collector's blocks."""

from amaranth.hdl import Array, Cat, Const, Mux, Signal

from hdl.dealer import EarlierSums
from hdl.densifier import Densifier
from hdl.layouts import Chunk
from hdl.merger import Merger

from .bench import Bench, Proof
from .checks import Marked, flat, moves, stable, steady
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS"]

GROUP_BITS = 3
"""Groups a job may have in these proofs: a counter that is compared needs no more."""


def _merger(b: Bench) -> None:
    merger, m = b.dut, b.m
    steady(b, *merger.i)
    stable(b, merger.o)
    enters = Cat(moves(source) for source in merger.i)
    taken, expected = Signal.like(merger.i[0].p), Signal(Chunk(SMALL.port_bytes))
    m.d.comb += [
        taken.eq(Mux(enters[1], flat(merger.i[1].p), flat(merger.i[0].p))),
        *(expected[name].eq(taken[name]) for name in ("data", "count", "row_last", "last")),
    ]
    b.check(~enters.all())
    marked = Marked(b, enters.any(), expected, moves(merger.o), merger.o.p, 1)
    b.invariant(marked.inside == merger.o.valid)
    b.invariant(~marked.present | (marked.value == flat(merger.o.p)))
    # Group by group from chain to chain, and chain 0 first in every job.
    turn = Signal()
    with m.If(enters.any()):
        m.d.sync += turn.eq(Mux(taken.last, 0, turn ^ taken.group_last))
    b.check(~enters[0] | ~turn)
    b.check(~enters[1] | turn)
    valid = Array(source.valid for source in merger.i)[turn]
    b.check(~valid | enters.any() | (merger.o.valid & ~merger.o.ready))
    b.invariant(turn == b.inside("turn"))
    b.cover(moves(merger.o) & enters[1])


def _plan(b: Bench):
    """Any plan, constant."""
    plan = b.constant(b.dut.i_plan.shape(), "plan")
    b.drive(b.dut.i_plan, plan)
    return plan


def _one_start(b: Bench) -> Signal:
    """`i_start` pulses once after a reset; its chunks and words come after it. The job has begun."""
    begun = Signal(name="begun")
    with b.m.If(b.dut.i_start):
        b.m.d.sync += begun.eq(1)
    b.assume(~(begun & b.dut.i_start))
    return begun


def _earlier_sums(b: Bench) -> None:
    """Two chunks make a word; a group's words go to one chain, the next group's to the other."""
    sums, m = b.dut, b.m
    plan = _plan(b)
    begun = _one_start(b)
    b.assume(~sums.i.valid | begun)
    steady(b, sums.i)
    stable(b, *sums.o)
    leaves = Cat(moves(output) for output in sums.o)
    lower, second = Signal.like(sums.i.p.data), Signal()
    with m.If(moves(sums.i)):
        m.d.sync += [second.eq(~second), lower.eq(sums.i.p.data)]
    word = Cat(lower, sums.i.p.data)
    marked = Marked(b, moves(sums.i) & second, word, leaves.any(), sums.o[0].p, 1)
    b.check(~leaves.all())
    b.check(sums.o[0].p == sums.o[1].p)
    chain, position = Signal(), Signal.like(plan.last_word)
    ends = position == plan.last_word
    with m.If(leaves.any()):
        m.d.sync += [position.eq(Mux(ends, 0, position + 1)), chain.eq(chain ^ ends)]
    for number, output in enumerate(sums.o):
        b.check(output.valid == ((marked.inside != 0) & (chain == number)))
        b.cover(moves(output) & moves(sums.i))
    held, whole = b.inside("held"), b.inside("whole")
    b.invariant((held == second) & (marked.inside == whole) & (chain == b.inside("chain")))
    b.invariant(position == b.inside("position"))
    b.invariant(~marked.present | (flat(b.inside("word")) == marked.value))
    b.invariant(~second | (flat(b.inside("word"))[-len(lower):] == lower))
    b.invariant(~(whole & second))
    b.invariant(begun | ~(whole | second | chain | (position != 0)))


def _densifier(b: Bench) -> None:
    """Words 0..last_word of every group, each with what the chain's row holds there."""
    block, m = b.dut, b.m
    plan = _plan(b)
    begun = _one_start(b)
    steady(b, block.i)
    word, output = block.i.p, block.o.p
    groups = plan.groups[0]
    b.assume(groups < 1 << GROUP_BITS)
    b.assume(plan.final_chain == 0)
    # Rows come as the chain orders them: words rise and lie within the group, the last one may be empty.
    rows, rising, floor = Signal(GROUP_BITS + 1), Signal(), Signal.like(word.word)
    empty = word.valid == 0
    b.assume(~block.i.valid | (begun & (rows < groups)))
    b.assume(~block.i.valid | (word.last & empty) | ((word.word <= plan.last_word)
                                                    & (~rising | (word.word > floor))))
    with m.If(moves(block.i)):
        m.d.sync += [rising.eq(~word.last), floor.eq(word.word), rows.eq(rows + word.last)]

    made, position = Signal(GROUP_BITS + 1), Signal.like(plan.last_word)
    with m.If(moves(block.o)):
        m.d.sync += position.eq(position + 1)
        with m.If(output.group_last):
            m.d.sync += [position.eq(0), made.eq(made + 1)]
    ends = position == plan.last_word
    b.check(~block.o.valid | (made < groups))
    b.check(~block.o.valid | (output.group_last == ends))
    b.check(~block.o.valid | (output.job_last == (ends & (made == (groups - 1)[:GROUP_BITS + 1]))))
    # A word with sums is taken when the word of its place in its row's group is made of it, and otherwise
    # zeros are made.
    carries = moves(block.i) & ~empty
    b.check(~carries | (moves(block.o) & (word.word == position) & (rows == made)))
    for lane, value in enumerate(output.data):
        b.check(~moves(block.o) | (value == Mux(carries & word.valid[lane], word.data[lane], 0)))
    # Groups and rows keep step, and something always goes on.
    b.check((made == rows) | (made == rows + 1) | (made + 1 == rows))
    b.check(~(block.i.valid & block.o.ready) | moves(block.i) | moves(block.o))
    b.check(~begun | (block.o_drained == (rows == groups)))
    b.cover((rows == 2) & (made == 2) & (plan.last_word == 1) & block.o_drained)
    stalled = b.past(block.o.valid & ~block.o.ready, "stalled")
    b.check(~stalled | (block.o.valid & (flat(output) == b.past(flat(output), "offered"))))

    ended, flushing, inside = b.inside("ended"), b.inside("flushing"), b.inside
    b.invariant(position == inside("position"))
    b.invariant(position <= plan.last_word)
    b.invariant(~(ended & flushing))
    b.invariant(made + ended == rows + flushing)
    b.invariant(~begun | ((inside("groups_left") + made) == groups))
    b.invariant(inside("active") == (begun & (inside("groups_left") != 0)))
    b.invariant(~begun | (inside("final") == (inside("groups_left") == 1)))
    b.invariant((rows <= groups) & (made <= groups))
    b.invariant(begun | ((rows == 0) & (made == 0) & ~rising & ~ended & ~flushing))
    b.invariant(~rising | (floor <= plan.last_word))
    # While a row is being taken, its group is the one being made, and has passed all its words.
    b.invariant(~(rising & ~flushing) | (position > floor))
    # Zeros were made only because a later word of the row is on offer.
    ahead = position > Mux(rising, floor + 1, 0)
    b.invariant(ended | flushing | ~ahead
                | (block.i.valid & (word.word >= position) & ~(word.last & empty)))
    b.invariant(~(ended & rising))
    b.invariant(~(flushing & rising) | (floor == plan.last_word))
    b.invariant(~flushing | (rising & (position == 0)))


PROOFS = (
    Proof("merger", "Merger",
          "every chunk leaves once, in order, groups in turn from the chains, chain 0 first in every job; "
          "the output is stable",
          lambda: Merger(SMALL), _merger,
          Fault("the turn does not go back to chain 0", "turn", lambda value, inside: None, only=1), quick=True),
    Proof("earlier_sums", "EarlierSums",
          "every word leaves once, in order, on its group's chain; the outputs are stable",
          lambda: EarlierSums(SMALL), _earlier_sums,
          Fault("a chunk is taken while a whole word waits", "i.ready", lambda value, inside: Const(1)), quick=True),
    Proof("densifier", "Densifier",
          "every group has each of its words once, in order, made of the chain's word of that place or of "
          "zeros; every chain word is taken once; drained means all taken; the output is stable",
          lambda: Densifier(SMALL, 0), _densifier,
          Fault("an empty last word is not dropped behind a full group", "flushing", lambda value, inside: Const(0), only=1), quick=True),
)
