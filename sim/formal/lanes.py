"""Proofs of a PE's arithmetic: accumulators, and a lane that skips zeros against a plain one."""

from amaranth.hdl import Array, Const, Mux, Signal

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
    b.check(~(drains[2] & swept) | ((block.o.valid == total.valid) & (~total.valid | (block.o.data == total.data))))
    b.cover(drains[2] & swept & total.valid & (total.data == 3) & b.past(drains[2] | adds[2], "busy"))
    b.invariant(drains[1] == (drained_before.valid & (drained_before.bank == bank)
                              & (drained_before.word == word)))
    b.invariant(~(drains[1] & drains[2]) & ~(adds[1] & drains[1]) & ~(adds[2] & drains[2]))
    _accumulator_inside(b, bank, word, adds, drains, total, swept)


def _accumulator_inside(b: Bench, bank, word, adds, drains, total, swept) -> None:
    """Invariants: the memory holds the plain sum; what is in the two stages was read right."""
    inside = b.inside
    stored = [inside.word(f"bank{number}", word) for number in range(2)]
    memory = Array(stored)[bank]
    plain = Signal(ACC_BITS + 1)
    b.m.d.comb += plain.eq(total)
    b.invariant(~(swept & total.valid) | (memory == plain))
    b.invariant(~swept | total.valid | ~memory[-1])
    b.invariant(total.valid | (total.data == 0))
    same = {}
    for stage in ("reads", "writes"):
        step = [inside(f"{stage}@{number}") for number in range(2)]
        valid, writes_sum, place = (Array(getattr(s, name) for s in step)[bank]
                                    for name in ("valid", "adds", "word"))
        same[stage] = valid & (place == word)
        number = 1 if stage == "reads" else 2
        b.invariant(same[stage] == (adds[number] | drains[number]))
        b.invariant(~same[stage] | (writes_sum == adds[number]))
    b.invariant(~adds[1] | (inside("add_bank") == bank))
    b.invariant(~drains[1] | (inside("drain_bank") == bank))
    past_total, read, drained = inside("past_total"), inside("elaborate:read"), inside("drained")
    by_total = total.valid & (past_total == total.data)
    b.invariant(~(adds[2] & swept) | Mux(
        inside("read_passed"), Mux(inside("read_passed_adds"), by_total, ~total.valid),
        (read.valid == total.valid) & (~total.valid | (read.data == total.data))))
    b.invariant(~(drains[2] & swept) | Mux(
        inside("drained_passed"), by_total,
        (drained.valid == total.valid) & (~total.valid | (drained.data == total.data))))


PROOFS = (
    Proof("accumulator", "Accumulator",
          "a drained word is the sum of all products added since it was drained before, and not valid "
          "where there were none",
          lambda: Accumulator(SMALL), _accumulator,
          Fault("a sum that is one cycle old is not passed on", "read_passed", lambda value, inside: Const(0)), quick=True),
)
