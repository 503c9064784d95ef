"""Proofs of the drain chain."""

from amaranth.hdl import Cat, Const, Mux, Signal, Value
from amaranth.lib import data

from hdl.chain import ChainHead, ChainStage
from hdl.layouts import ChainWord
from hdl.lean_chain import LeanChainStage

from .bench import Bench, Proof
from .checks import Marked, flat, moves, stable, steady
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS"]


def _what_counts(b: Bench, word, name: str) -> Signal:
    """A word without what says nothing: sums of absent lanes, the number of an empty word."""
    counted = Signal(ChainWord(SMALL), name=name)
    b.m.d.comb += [counted.valid.eq(word.valid), counted.last.eq(word.last),
                   counted.word.eq(Mux(word.valid.any(), word.word, 0))]
    for lane, value in enumerate(word.data):
        b.m.d.comb += counted.data[lane].eq(Mux(word.valid[lane], value, 0))
    return counted


def _merges(b: Bench, words: int) -> tuple[list[Signal], Marked, Value]:
    """What one cycle takes makes one word; no word and no row's end is passed over. Returns which sides' rows
    have ended, the word that is followed, and what it looks like when it is offered."""
    stage, m = b.dut, b.m
    steady(b, stage.i_own, stage.i_up)
    sides = (stage.i_own, stage.i_up)
    ended = [Signal(name=f"ended_{name}") for name in ("own", "up")]
    taken = [moves(side) for side in sides]
    carries = [moves(side) & side.p.valid.any() for side in sides]
    ends = [done | (moves(side) & side.p.last) for done, side in zip(ended, sides, strict=True)]
    any_taken, row_ends = Signal(), Signal()
    m.d.comb += [any_taken.eq(Cat(taken).any()), row_ends.eq(ends[0] & ends[1])]
    with m.If(any_taken):
        m.d.sync += [done.eq(end & ~row_ends) for done, end in zip(ended, ends, strict=True)]

    made = Signal(ChainWord(SMALL))
    m.d.comb += [made.last.eq(row_ends), made.word.eq(Mux(carries[0], sides[0].p.word, sides[1].p.word))]
    for lane in range(SMALL.lanes):
        there = [carry & side.p.valid[lane] for carry, side in zip(carries, sides, strict=True)]
        terms = [Mux(has, side.p.data[lane], 0) for has, side in zip(there, sides, strict=True)]
        m.d.comb += [made.valid[lane].eq(there[0] | there[1]), made.data[lane].eq(terms[0] + terms[1])]
    counted = _what_counts(b, made, "counted")
    b.check(~(carries[0] & carries[1]) | (sides[0].p.word == sides[1].p.word))
    for (mine, other), (done, other_done), carry, both in (
            (sides, ended, carries[0], carries[1]), (sides[::-1], ended[::-1], carries[1], carries[0])):
        # A row that has ended waits for the other side's; the lower word goes first.
        b.check(~(moves(mine) & done))
        b.check(~moves(mine) | other_done | other.valid)
        b.check(~(carry & ~both) | other_done | ~other.p.valid.any() | (mine.p.word < other.p.word))
    offered = _what_counts(b, stage.o.p, "offered")
    marked = Marked(b, any_taken, counted, moves(stage.o), offered, words)
    b.check(stage.o.valid == (marked.inside != 0))
    b.cover(carries[0] & carries[1] & row_ends)
    b.invariant(~(ended[0] & ended[1]))
    return ended, marked, offered


def _chain(b: Bench, words: int) -> None:
    stage = b.dut
    ended, marked, offered = _merges(b, words)
    b.invariant((ended[0] == b.inside("own_done")) & (ended[1] == b.inside("up_done")))
    waits, at_output = 0, stage.o.valid & (marked.ahead == 0)
    if words == 2:
        held, head = b.inside("skid/o_held"), data.View(ChainHead(SMALL), b.inside("next_head"))
        behind = Signal(ChainWord(SMALL), name="behind")
        b.m.d.comb += [behind.word.eq(head.word), behind.valid.eq(head.valid), behind.last.eq(head.last),
                       behind.data.eq(b.inside("sums"))]
        there = b.inside("next_there")
        waits = held & there
        b.invariant((stage.o.valid == (there | held)) & (b.inside("skid/room") == ~held))
        b.invariant(~marked.present | at_output | (flat(_what_counts(b, behind, "waiting")) == marked.value))
    b.invariant(marked.inside == stage.o.valid + waits)
    b.invariant(~(marked.present & at_output) | (flat(offered) == marked.value))


def _lean_chain(b: Bench) -> None:
    """A row ends where its last word is decided, a cycle before it is taken, and is compared a cycle before:
    an induction over four cycles sees all."""
    if b.dut._up_is_stage:
        b.assume(_comes_early(b, b.dut.i_up))
    ended, marked, offered = _merges(b, 1)
    adds = b.inside("_adds")
    b.invariant(adds | ((ended[0] == b.inside("own_done")) & (ended[1] == b.inside("up_done"))))
    b.invariant(~(adds & b.dut.o.valid))
    b.invariant(~(marked.present & b.dut.o.valid) | (flat(offered) == marked.value))
    stable(b, b.dut.o)
    b.check(_comes_early(b, b.dut.o))


def _comes_early(b: Bench, side) -> Value:
    """What a word is beside its sums is there in the cycle before it is valid."""
    head, before = (Signal(ChainHead(SMALL), name=name) for name in ("head", "before"))
    b.m.d.comb += [head[name].eq(side.p[name]) for name, _ in ChainHead(SMALL)]
    b.m.d.sync += before.eq(head)
    return ~side.valid | (flat(head) == flat(before))


def _fault() -> Fault:
    return Fault("of two words that meet one is dropped", "own_lanes",
                 lambda value, inside: Mux(inside("uses_up"), 0, value))


CLAIM = ("words of both sides leave once, lower ones first, added where they meet; a row ends when "
         "both sides' rows have")
PROOFS = (
    Proof("chain", "ChainStage", CLAIM, lambda: ChainStage(SMALL), lambda b: _chain(b, 1), _fault(),
          quick=True),
    Proof("chain_cut", "ChainStage", f"{CLAIM}; the form that cuts the path of ready",
          lambda: ChainStage(SMALL, cuts=True), lambda b: _chain(b, 2), _fault()),
    Proof("chain_lean", "LeanChainStage",
          f"{CLAIM}; the output is stable, and early: it can be compared before it is valid",
          lambda: LeanChainStage(SMALL, up_is_stage=True), _lean_chain,
          Fault("the next word is decided before this one has been added", "room",
                lambda value, inside: ~inside("o.valid") | inside("o.ready")),
          induction=4, quick=True),
    Proof("chain_lean_first", "LeanChainStage",
          f"{CLAIM}; the output is stable, and early; the form behind which there is no other",
          lambda: LeanChainStage(SMALL), _lean_chain,
          Fault("a word is decided before it was compared", "_there:seen", lambda value, inside: Const(3)),
          induction=4),
    Proof("chain_lean_late", "LeanChainStage",
          f"{CLAIM}; the output is stable, and early; the form next to the collector",
          lambda: LeanChainStage(SMALL, up_is_stage=True, ready_is_late=True), _lean_chain,
          Fault("words of its own are taken whatever is decided", "_take:takes_own",
                lambda value, inside: Const(1)),
          induction=4),
)
