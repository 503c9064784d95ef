"""Proofs of a PE's arithmetic: accumulators, and a lane that skips zeros against a plain one."""

from dataclasses import replace
from functools import reduce
from operator import and_

from amaranth.hdl import Array, Cat, Const, Signal

from hdl.accumulator import BANKS, Accumulator, Sum
from hdl.config import ACC_BITS

from .bench import Bench, Proof
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS"]

ONE_MEMORY = replace(SMALL, chains=1, lean_drain=True)


def _accumulator(b: Bench) -> None:
    """A plain sum of one word of one bank, whichever; products come to it two cycles after their `i_add`."""
    block, m = b.dut, b.m
    lean = block._config.lean_drain
    add, drain = block.i_add, block.i_drain
    bank, word = b.constant(1, "bank"), b.constant(add.word.shape(), "word")
    b.assume(word < SMALL.acc_words)
    b.assume(~drain.valid | (drain.word < SMALL.acc_words))
    adds = [add.valid & (add.bank == bank) & (add.word == word)]
    drains = [drain.valid & (drain.bank == bank) & (drain.word == word)]
    for stage in (1, 2):
        adds.append(b.past(adds[-1], f"adds{stage}"))
    drains.append(b.past(drains[-1], "drains1"))
    # The adder keeps a sum between products for one place.
    added = b.past(add, "added")
    added_before = b.past(added, "added_before")
    keeps = block.i_keeps
    b.assume(~keeps | (added.valid & (added.as_value() == add.as_value())
                       & (added.as_value() == added_before.as_value())))
    # The row queue drains where nothing is read to be added to, and a word when its sum is there, once.
    b.assume(~(drain.valid & added.valid & ~keeps) | (Const(0) if lean else drain.bank != added.bank))
    b.assume(~(drains[0] & (adds[0] | adds[1] | adds[2] | drains[1])))

    # A reset leaves the memories as they are: every word is drained once before it is added to.
    total, wanted, swept, known = Signal(Sum()), Signal(Sum()), Signal(), Signal()
    m.d.sync += known.eq(swept)
    with m.If(drains[0]):
        m.d.sync += [total.eq(0), wanted.eq(total), swept.eq(1)]
    with m.Elif(adds[2]):
        m.d.sync += [total.valid.eq(1), total.data.eq(total.data + block.i_product)]
    b.check(~(drains[1] & known) | (block.o.valid == wanted.valid))
    b.check(~(drains[1] & known & wanted.valid) | (block.o.data == wanted.data))
    b.cover(drains[1] & known & wanted.valid & (wanted.data == 3))
    b.cover(drains[1] & b.past(keeps & (added.bank == bank), "kept") & known & wanted.valid)
    _accumulator_inside(b, bank, word, adds, drains, total, wanted, swept, known, added, added_before)


def _accumulator_inside(b: Bench, bank, word, adds, drains, total, wanted, swept, known, added,
                        added_before) -> None:
    """Invariants: the memory holds the plain sum's complement; what is in the two stages was read right."""
    inside, keeps = b.inside, b.dut.i_keeps
    # Number of each memory; the followed word lies in one of them, and where.
    lean = b.dut._config.lean_drain
    memories = range(1 if lean else BANKS)
    at, where = (Const(0), Cat(bank, word)) if lean else (bank, word)
    memory = Array([inside.word(f"bank{number}", where) for number in memories])[at]
    plain = Signal(ACC_BITS + 1)
    b.m.d.comb += plain.eq(Cat(~total.data, 1))
    # While the adder keeps it the sum is not in the memory; its next product is there.
    kept = b.past(keeps, "kept")
    stale = b.past(adds[2] & kept, "stale")
    b.invariant(~stale | adds[2])
    b.invariant(stale | ~(swept & total.valid) | (memory == plain))
    b.invariant(stale | ~swept | total.valid | drains[1] | ~memory[-1])
    b.invariant(total.valid | (total.data == 0))
    b.invariant(~(drains[1] & total.valid) & (~known | swept) & ~(drains[1] & ~swept))
    b.invariant(~(drains[1] & (adds[1] | adds[2])))

    reading = inside("_add")
    b.invariant(reading.as_value() == added.as_value())
    b.invariant(adds[1] == (added.valid & (added.bank == bank) & (added.word == word)))
    passes, to_add = inside("_passes"), [inside(f"to_add@{number}") for number in memories]
    for number in memories:
        here = (at == number) & (inside(f"place@{number}") == where)
        b.invariant((at != number) | ((inside(f"sums@{number}") & here) == (adds[2] & ~kept)))
        b.invariant((at != number)
                    | ((inside(f"writes@{number}") & here) == ((adds[2] & ~kept) | drains[1])))
        b.invariant(~inside(f"sums@{number}") | inside(f"writes@{number}"))
    b.invariant(~(adds[2] & kept) | adds[1])
    if not lean:
        b.invariant(~(inside("sums@0") & inside("sums@1")))
    b.invariant(~adds[1] | (passes == adds[2]))
    b.invariant(adds[2] == (added_before.valid & (added_before.bank == bank) & (added_before.word == word)))
    # Carry cells choose between three only where two of them are all ones.
    if not lean:
        b.check(to_add[0].all() | to_add[1].all())
    stored = reduce(and_, to_add)
    b.check(inside("passed").all() | stored.all())
    read = ~(inside("passed") & stored)
    b.invariant(~(adds[2] & swept) | (read == total.data.as_unsigned()))
    b.invariant(~(drains[1] & known) | (b.dut.o.valid == wanted.valid))
    b.invariant(~(drains[1] & known & wanted.valid) | (b.dut.o.data == wanted.data))


PROOFS = (
    Proof("accumulator", "Accumulator",
          "a drained word is the sum of all products added since it was drained before, and not valid "
          "where there were none",
          lambda: Accumulator(SMALL), _accumulator,
          Fault("a sum that is one cycle old is not passed on", "_passes",
                lambda value, inside: Const(0)),
          quick=True),
    Proof("accumulator_lean", "Accumulator", "the same of banks that are one memory",
          lambda: Accumulator(ONE_MEMORY), _accumulator,
          Fault("sums of both banks meet in one word", "place", lambda value, inside: value >> 1 << 1),
          quick=True),
)
