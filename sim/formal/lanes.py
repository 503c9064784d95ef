"""Proofs of a PE's arithmetic: accumulators, and a lane that skips zeros against a plain one."""

from amaranth.hdl import Array, Cat, Const, Signal

from hdl.accumulator import Accumulator, Sum
from hdl.config import ACC_BITS

from .bench import Bench, Proof
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS"]


def _accumulator(b: Bench) -> None:
    """A plain sum of one word of one bank, whichever, two cycles behind the inputs."""
    block, m = b.dut, b.m
    add, drain = block.i_add, block.i_drain
    bank, word = b.constant(1, "bank"), b.constant(add.word.shape(), "word")
    b.assume(word < SMALL.acc_words)
    b.assume(~(add.valid & drain.valid) | (add.bank != drain.bank))
    b.assume(~drain.valid | (drain.word < SMALL.acc_words))
    # The walker drains the words of a row one after the other, never one of them twice in a row.
    drained_before = b.past(drain, "drained_before")
    b.assume(~(drain.valid & drained_before.valid) | (drain.as_value() != drained_before.as_value()))

    adds = [add.valid & (add.bank == bank) & (add.word == word)]
    drains = [drain.valid & (drain.bank == bank) & (drain.word == word)]
    for stage in (1, 2):
        adds.append(b.past(adds[-1], f"adds{stage}"))
        drains.append(b.past(drains[-1], f"drains{stage}"))
    # A reset leaves the memories as they are: the walker drains every word once before it adds.
    total, swept = Signal(Sum()), Signal()
    with m.If(drains[2]):
        m.d.sync += [total.eq(0), swept.eq(1)]
    with m.Elif(adds[2]):
        m.d.sync += [total.valid.eq(1), total.data.eq(total.data + block.i_product)]
    b.check(~(drains[2] & swept) | (block.o.valid == total.valid))
    b.check(~(drains[2] & swept & total.valid) | (block.o.data == total.data))
    b.cover(drains[2] & swept & total.valid & (total.data == 3) & b.past(drains[2] | adds[2], "busy"))
    b.invariant(drains[1] == (drained_before.valid & (drained_before.bank == bank)
                              & (drained_before.word == word)))
    b.invariant(~(drains[1] & drains[2]) & ~(adds[1] & drains[1]) & ~(adds[2] & drains[2]))
    _accumulator_inside(b, bank, word, adds, drains, total, swept)


def _accumulator_inside(b: Bench, bank, word, adds, drains, total, swept) -> None:
    """Invariants: the memory holds the plain sum's complement; what is in the two stages was read right."""
    inside = b.inside
    stored = [inside.word(f"bank{number}", word) for number in range(2)]
    memory = Array(stored)[bank]
    plain = Signal(ACC_BITS + 1)
    b.m.d.comb += plain.eq(Cat(~total.data, 1))
    b.invariant(~(swept & total.valid) | (memory == plain))
    b.invariant(~swept | total.valid | ~memory[-1])
    b.invariant(total.valid | (total.data == 0))
    for number, stage in ((1, "reads"), (2, "writes")):
        steps = [inside(f"{stage}@{number}") for number in range(2)]
        here = Array(step.word for step in steps)[bank] == word
        b.invariant((Array(step.adds for step in steps)[bank] & here) == adds[number])
        b.invariant((Array(step.drains for step in steps)[bank] & here) == drains[number])
        b.invariant(~(steps[0].adds & steps[1].adds) & ~(steps[0].drains & steps[1].drains))
        for step in steps:
            b.invariant(~(step.adds & step.drains))
    to_add, to_drain = ([inside(f"{name}@{number}") for number in range(2)]
                        for name in ("to_add", "to_drain"))
    # Carry cells choose between the banks only where one of them is all ones.
    b.check(to_add[0].all() | to_add[1].all())
    read = ~(inside("passed_add") & to_add[0] & to_add[1])
    b.invariant(~(adds[2] & swept) | (read == total.data.as_unsigned()))
    drained = ~(inside("passed_drain") & to_drain[0] & to_drain[1])
    b.invariant(~(drains[2] & swept) | (
        (inside("drained_valid") == total.valid) & (drained == total.data.as_unsigned())))


PROOFS = (
    Proof("accumulator", "Accumulator",
          "a drained word is the sum of all products added since it was drained before, and not valid "
          "where there were none",
          lambda: Accumulator(SMALL), _accumulator,
          Fault("a sum that is one cycle old is not passed on", "passes_add@0",
                lambda value, inside: Const(0)),
          quick=True),
)
