"""Proof of the order of bytes on their way from a finished word into chunks."""

from dataclasses import replace

from amaranth.hdl import Const, Mux, Signal

from hdl.config import log2_exact
from hdl.emitter import Emitter

from .bench import Bench, Proof
from .checks import moves, stable, steady
from .configs import WIDER
from .inside import Fault

__all__ = ["PROOFS"]

WIDE_PORT = replace(WIDER, port_bytes=8)
"""A row of one int32 is less than the port."""
FAR, FAR_WIDE_PORT = (replace(config, far_registers=True) for config in (WIDER, WIDE_PORT))


def _plan(b: Bench):
    """Any plan as the collector's control makes them, constant."""
    config = b.dut._config
    lane_bits, port_log2 = config.lane_bits, log2_exact(config.port_bytes)
    plan = b.constant(b.dut.i_plan.shape(), "plan")
    b.drive(b.dut.i_plan, plan)
    element_log2, row_log2, row_limit = Signal(2), Signal(3), Signal(8)
    b.m.d.comb += [
        element_log2.eq(Mux(plan.int8, 0, 2)),
        row_log2.eq(lane_bits - plan.group_log2 + element_log2),
        row_limit.eq(Mux(plan.separate, 1 << row_log2, plan.word_bytes)),
    ]
    b.assume(plan.group_log2 <= lane_bits)
    b.assume(~(plan.run & plan.separate) & (~(plan.run | plan.separate) | (plan.group_log2 != 0)))
    b.assume(plan.word_bytes == config.lanes << element_log2)
    b.assume(plan.row_elements == config.lanes >> plan.group_log2)
    b.assume(plan.by_element == (plan.separate & (row_log2 < port_log2)))
    b.assume(plan.wide == (plan.separate & (row_log2 > port_log2)))
    b.assume((plan.tail_bytes != 0) & (plan.tail_bytes <= row_limit))
    b.assume((plan.tail_rows != 0) & (plan.tail_rows <= 1 << plan.group_log2))
    return plan


class _Word:
    """The word at work: what of it has left.

    Attributes
    ----------
    here : bytes of it are still to leave
    data : the word
    row : of its rows that leave apart, the one at work, of `rows`
    sent : bytes of that row that left, of `size`
    start : the row's first byte in the word
    """

    def __init__(self, b: Bench, plan):
        m, lanes, word = b.m, b.dut._config.lanes, b.dut.i.p
        self.here, self.data = Signal(name="here"), Signal(32 * lanes, name="data")
        self.job_last, group_last = Signal(name="job_last"), Signal(name="group_last")
        self.row, self.rows = Signal(range(lanes + 1), name="row"), Signal(range(lanes + 1), name="rows")
        self.sent, self.size = Signal(range(4 * lanes + 1), name="sent"), Signal(range(4 * lanes + 1))
        self.start, self.short = Signal(range(4 * lanes + 1), name="start"), Signal(name="short")
        self.row_done, self.done = Signal(name="row_done"), Signal(name="word_done")
        m.d.comb += [
            self.short.eq(plan.separate | Mux(plan.run, self.job_last, group_last)),
            self.rows.eq(Mux(plan.separate, Mux(self.job_last, plan.tail_rows, 1 << plan.group_log2), 1)),
            self.size.eq(Mux(self.short, plan.tail_bytes, plan.word_bytes)),
            self.start.eq((self.row * plan.row_elements) << Mux(plan.int8, 0, 2)),
            self.row_done.eq(self.sent + b.dut.o.p.count == self.size),
            self.done.eq(moves(b.dut.o) & self.row_done & (self.row == self.rows - 1)),
        ]
        with m.If(moves(b.dut.o)):
            m.d.sync += [self.sent.eq(Mux(self.row_done, 0, self.sent + b.dut.o.p.count)),
                         self.row.eq(self.row + self.row_done), self.here.eq(~self.done)]
        with m.If(moves(b.dut.i)):
            m.d.sync += [self.here.eq(1), self.data.eq(word.data), self.job_last.eq(word.job_last),
                         group_last.eq(word.group_last), self.row.eq(0), self.sent.eq(0)]


def _emitter(b: Bench) -> None:
    """The bytes of one word after the other leave as the plan says, none left out, none twice."""
    emitter, m = b.dut, b.m
    port_bytes, lanes = emitter._config.port_bytes, emitter._config.lanes
    steady(b, emitter.i)
    stable(b, emitter.o)
    plan = _plan(b)
    b.assume(~(emitter.i.valid & emitter.i.p.job_last) | emitter.i.p.group_last)
    word, chunk = _Word(b, plan), emitter.o.p
    b.check(~emitter.o.valid | word.here)
    b.check(~moves(emitter.i) | ~word.here | word.done)
    left = word.size - word.sent
    b.check(~emitter.o.valid | (chunk.count == Mux(left > port_bytes, port_bytes, left)))
    b.check(~emitter.o.valid | (chunk.row_last == (word.row_done & word.short)))
    b.check(~emitter.o.valid
            | (chunk.last == (word.row_done & (word.row == word.rows - 1) & word.job_last)))
    for number in range(port_bytes):
        wanted = word.data.word_select((word.start + word.sent + number)[:log2_exact(4 * lanes)], 8)
        b.check(~emitter.o.valid | (chunk.count <= number) | (chunk.data.word_select(number, 8) == wanted))
    late = Signal(range(lanes + 2))
    m.d.sync += late.eq(Mux(word.here & ~emitter.o.valid, late + 1, 0))
    b.check(late < lanes)
    b.cover(word.done & word.job_last & (word.rows == lanes) & emitter.o.valid)
    b.cover(word.done & ~plan.separate & (word.sent != 0) & ~word.short)
    if 4 * lanes // 2 > port_bytes:
        b.cover(emitter.o.valid & plan.wide & (word.sent != 0) & (word.row != 0))
    _emitter_inside(b, plan, word, late)


def _emitter_inside(b: Bench, plan, word: _Word, late) -> None:
    """Invariants: how far the block's word has moved down, and what its counters say of it."""
    inside, lanes, port_bytes = b.inside, b.dut._config.lanes, b.dut._config.port_bytes
    busy, register = inside("busy"), inside("elaborate:word")
    second = inside("second") & ~plan.by_element
    left, rows_left, element = inside("left"), inside("rows_left"), inside("element") + 1
    row, moved, at = Signal(range(2 * lanes), name="own_row"), Signal(range(lanes + 1)), Signal(8)
    size = plan.tail_bytes
    b.m.d.comb += [
        row.eq(word.rows - 1 - rows_left),
        moved.eq(plan.row_elements - element),
        at.eq(Mux(plan.separate,
                  ((row * plan.row_elements + Mux(plan.by_element, moved, 0)) << Mux(plan.int8, 0, 2))
                  + Mux(second, port_bytes, 0), word.sent)),
    ]
    b.invariant(busy | ~word.here)
    b.invariant(~busy | (inside("job_last") == word.job_last) & (inside("short") == word.short))
    b.invariant(~busy | plan.separate | (word.here & (left == word.size - word.sent) & (word.row == 0)
                                         & (left != 0) & (word.sent % port_bytes == 0)))
    if b.dut._config.far_registers:
        b.invariant(~busy | ((inside("fits") == (left <= port_bytes)) & (inside("some") == (left != 0))))
    separate = busy & plan.separate
    b.invariant(~separate | ((row < word.rows) & (rows_left < word.rows)))
    b.invariant(~separate | (word.here == (word.row < word.rows)))
    passed = Mux(plan.by_element, moved != 0, second & (size <= port_bytes))
    b.invariant(~separate | (word.row == row + passed))
    b.invariant(~separate | (word.sent == Mux(second & (size > port_bytes), port_bytes, 0)))
    b.invariant(~separate | ~second | plan.wide)
    b.invariant(~separate | ~plan.by_element | (element <= plan.row_elements))
    b.invariant(~separate | ~plan.by_element | ((inside("first") == (moved == 0))
                                                & (inside("last") == (element == 1))))
    b.invariant(~separate | plan.by_element
                | (left == Mux(second, Mux(size > port_bytes, size - port_bytes, 0), size)))
    b.invariant(~separate | ~plan.by_element | (moved != 0) | (left == size))
    longest = Mux(plan.by_element, Mux(moved != 0, moved, plan.row_elements) - 1, plan.wide & ~second)
    b.invariant((late == 0) | (separate & (late <= longest)))
    for number in range(4 * lanes):
        byte = (at + number)[:log2_exact(4 * lanes) + 1]
        b.invariant(~(busy & word.here) | (byte >= plan.word_bytes)
                    | (register.word_select(number, 8)
                       == word.data.word_select(byte[:log2_exact(4 * lanes)], 8)))


CLAIM = ("every byte of a word that the plan wants leaves once, in order, rows apart where they go to "
         "addresses of their own; ends of rows and jobs are marked; a chunk comes at least every V cycles; "
         "the output is stable")
FAULT = Fault("the second chunk of a row is not counted", "second", lambda value, inside: Const(0))

PROOFS = (
    Proof("emitter", "Emitter", CLAIM, lambda: Emitter(WIDER), _emitter, FAULT, cover=14),
    Proof("emitter_wide_port", "Emitter", f"{CLAIM}; rows of less than the port", lambda: Emitter(WIDE_PORT),
          _emitter,
          Fault("a row is counted one lane short", "element", lambda value, inside: value - 1), cover=14),
    Proof("emitter_far", "Emitter", f"{CLAIM}; with registers on far ways", lambda: Emitter(FAR), _emitter,
          Fault("a word that fits ends a chunk later", "fits", lambda value, inside: Const(0)), cover=14),
    Proof("emitter_far_wide_port", "Emitter",
          f"{CLAIM}; rows of less than the port, with registers on far ways", lambda: Emitter(FAR_WIDE_PORT),
          _emitter, Fault("nothing is left", "some", lambda value, inside: Const(0)), cover=14),
)
