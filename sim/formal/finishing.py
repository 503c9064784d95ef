"""Proofs of the order of words on their way through a job's arithmetic."""

from collections.abc import Callable
from dataclasses import replace

from amaranth.hdl import Array, Cat, Const, Mux, Signal, Value, signed
from amaranth.lib import data

from hdl.collector_layouts import DenseWord, LaneWord
from hdl.config import ACC_BITS
from hdl.finisher import QUEUE_WORDS, Finisher
from hdl.scaler import SCALER_STAGES

from .bench import Bench, Proof
from .checks import Marked, levels, moves, stable, steady
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS"]

PARALLEL = replace(SMALL, scale_multipliers=SMALL.lanes)
QUEUED = replace(PARALLEL, csr_out=True)
SERIAL = replace(SMALL, scale_multipliers=1)
LEAN = replace(SERIAL, chains=1, lean_drain=True)

GROUP_BITS = 6
"""Of numbers of groups: more than are in the block at once."""

Stage = tuple[Value, Value, Value | None]
"""A word is there; its ends of group and job; its sums, where they are as they came."""


class _Records:
    """The parameter records: one for each row of a group, in order, the groups in order.

    Attributes
    ----------
    biases : of the rows of the marked word's group, as far as their records came; 0 of others
    """

    def __init__(self, b: Bench, marked: Marked, plan):
        self._b, self._plan, self._marked = b, plan, marked
        m, block, rows = b.m, b.dut, b.dut._config.lanes
        record, word = block.i_parameters.p, block.i.p
        needed = plan.row_bias | plan.row_scale
        self._lane_bits = block._config.lane_bits
        self.biases = [Signal(signed(ACC_BITS), name=f"bias{row}") for row in range(rows)]
        # Groups of records that came, of words that came; of the latest record, of the marked word.
        self._came, self._words, self._latest, self._group = (
            Signal(GROUP_BITS, name=f"{name}_group") for name in ("came", "words", "latest", "marked"))
        self._any = Signal(name="any_record")
        self.row = Signal(range(rows))        # of the next record
        self._held = Signal.like(record)      # the latest one
        b.assume(plan.group_log2 <= self._lane_bits)
        in_group = (1 << plan.group_log2) - 1
        b.assume(~block.i_parameters.valid | ((record.row == self.row) & needed
                                              & (record.last | (self.row != in_group))))
        b.assume(~block.i.valid | (plan.group_log2 == 0) | word.group_last)
        # One job, which starts before anything of it comes.
        b.assume(~block.i_start | ~(self._any | block.i_parameters.valid | block.i.valid))
        takes, marks = moves(block.i_parameters), moves(block.i) & ~marked.once
        m.d.sync += self._words.eq(self._words + (moves(block.i) & word.group_last))
        with m.If(takes):
            m.d.sync += [self._came.eq(self._came + record.last), self._any.eq(1),
                         self.row.eq(Mux(record.last, 0, self.row + 1)),
                         self._latest.eq(self._came), self._held.eq(record)]
        with m.If(marks):
            m.d.sync += self._group.eq(self._words)
        for row, bias in enumerate(self.biases):
            latest = (self._latest == self._words) & (self._held.row == row) & self._any
            with m.If(takes & (record.row == row) & (self._came == Mux(marks, self._words, self._group))):
                m.d.sync += bias.eq(record.bias)
            with m.Elif(marks):
                m.d.sync += bias.eq(Mux(latest, self._held.bias, 0))

    def _row_of(self, lane: int):
        return Const(lane, self._lane_bits) >> (self._lane_bits - self._plan.group_log2).as_unsigned()

    def of_lane(self, lane: int):
        """What is added to the lane."""
        return Mux(self._plan.row_bias, Array(self.biases)[self._row_of(lane)], 0)

    def inside(self, stages: list[Stage], total) -> None:
        """Invariants: the block's record is the latest; which word it is for, and how far that one is."""
        b, plan, marked, latest = self._b, self._plan, self._marked, self._held
        (summed, summed_tags, _), (dense, dense_tags, _), (waiting, waiting_tags, _) = stages
        full, held, biased = b.inside("full"), b.inside("held"), b.inside("elaborate:biased")
        needed, in_group = plan.row_bias | plan.row_scale, (1 << plan.group_log2) - 1
        if b.dut._config.lean_drain:
            # What is foretold of a record is so while it is there.
            for lane in range(len(self.biases)):
                mine = self._row_of(lane)
                b.invariant(~full | ((b.inside(f"#added{lane}") == (plan.row_bias & (mine == held.row)))
                                     & (b.inside(f"#reached{lane}") == (mine >= held.row))))
                b.invariant(needed | ~summed | (b.inside(f"#reached{lane}") & ~b.inside(f"#added{lane}")))
        group, row = Signal(GROUP_BITS, name="open_group"), Signal.like(self.row, name="open_row")
        behind = Signal.like(marked.ahead)
        b.m.d.comb += [
            group.eq(self._words - (summed & summed_tags[0]) - (dense & dense_tags[0])
                     - (waiting & waiting_tags[0])),
            row.eq(Mux(full, held.row, self.row)),
            behind.eq(marked.inside - marked.ahead),
        ]
        for there, tags in ((summed, summed_tags), (dense, dense_tags), (waiting, waiting_tags)):
            b.invariant(~there | (plan.group_log2 == 0) | tags[0])
        b.invariant(plan.group_log2 <= self._lane_bits)
        b.invariant(needed | ~(full | self._any))
        b.invariant((row == 0) | (summed & needed & ~b.inside("biased_valid")))
        b.invariant(row <= in_group)
        b.invariant(~full | (self._any & (held.as_value() == latest.as_value()) & (self._latest == group)
                             & (held.last | (held.row != in_group))))
        b.invariant(~full | (self.row == Mux(held.last, 0, held.row + 1)))
        b.invariant(~needed | (self._came == (group + (full & held.last))[:GROUP_BITS]))
        b.invariant(full | ~self._any | (self._latest == (group - (self.row == 0))[:GROUP_BITS]))
        b.invariant(full | (self.row == 0) | (latest.row == self.row - 1))
        # Of the marked word.
        at_waiting = marked.present & waiting & (behind == 1)
        at_dense = marked.present & dense & (behind == 1 + waiting)
        at_summed = marked.present & summed & (behind == 1 + dense + waiting)
        later = marked.present & ~at_waiting & ~at_dense & ~at_summed
        b.invariant(~at_summed | (self._group == group))
        b.invariant(~at_dense | (self._group == (group + (summed & summed_tags[0]))[:GROUP_BITS]))
        b.invariant(~at_waiting | (self._group == (
            group + (summed & summed_tags[0]) + (dense & dense_tags[0]))[:GROUP_BITS]))
        b.invariant(~later | ((group - self._group)[:GROUP_BITS] <= (behind - summed - dense - waiting)))
        b.invariant(~marked.present | (plan.group_log2 == 0) | marked.value[0])
        b.invariant(~later | (group != self._group) | ~marked.value[0])
        b.invariant(~(later & needed) | (full & held.last) | (group != self._group))
        for number, bias in enumerate(self.biases):
            is_held = full & (held.row == number)
            b.invariant(~((at_dense | at_waiting) & needed)
                        | (bias == Mux(is_held & (self._latest == self._group), held.bias, 0)))
            b.invariant(~(at_summed & needed & is_held) | (bias == held.bias))
            b.invariant(~(at_summed & needed) | (number < row) | is_held | (bias == 0))
        for lane in range(len(self.biases)):
            done = (biased.data[lane] == (total[lane] + self.of_lane(lane))[:ACC_BITS].as_signed())
            b.invariant(~at_summed | (self._row_of(lane) >= row) | done)


def _finisher(b: Bench, way: Callable[[Bench, object], list[Stage]], room: int) -> None:
    """Follows one word; its sums too, as long as neither bias nor scale changes them. `way` lists the stages
    between bias and queue, the oldest word first."""
    block, m, inside = b.dut, b.m, b.inside
    steady(b, block.i, block.i_earlier, block.i_parameters)
    stable(b, block.o)
    plan = b.constant(block.i_plan.shape(), "plan")
    b.drive(block.i_plan, plan)
    b.assume(plan.accumulate | (block.i_earlier.p.as_value() == 0))
    word, result = block.i.p, block.o.p
    ends = Cat(word.group_last, word.job_last)
    marked = Marked(b, moves(block.i), ends, moves(block.o), Cat(result.group_last, result.job_last), room)

    # ---- its sums: the earlier ones of its place are added ----
    owed = Signal(2)      # words whose earlier sums are not taken
    waits = Signal()      # the marked one's are not
    others = Signal(2)    # so many words before it wait for theirs
    took = moves(block.i_earlier)
    total = Signal(LaneWord(block._config))
    m.d.sync += owed.eq(owed + (moves(block.i) & plan.accumulate) - took)
    b.check(~took | (owed != 0))
    b.check(owed <= 2)
    with m.If(moves(block.i) & ~marked.once):
        m.d.sync += [total.eq(_counted(block, word)), waits.eq(plan.accumulate), others.eq(owed - took)]
    with m.Elif(took & (others != 0)):
        m.d.sync += others.eq(others - 1)
    with m.Elif(took & waits & marked.present):
        m.d.sync += waits.eq(0)
        for value, earlier in zip(total, block.i_earlier.p, strict=True):
            m.d.sync += value.eq(value + earlier)
    records = _Records(b, marked, plan)
    known = ~plan.int8
    biased, finished = Signal(LaneWord(block._config)), Signal(LaneWord(block._config))
    for lane, (value, result_lane) in enumerate(zip(biased, finished, strict=True)):
        m.d.comb += [value.eq(total[lane] + records.of_lane(lane)),
                     result_lane.eq(Mux(plan.relu & (value < 0), 0, value))]
    here = moves(block.o) & marked.present & (marked.ahead == 0)
    b.check(~(here & known) | (~waits & (result.data.as_value() == finished.as_value())))
    b.cover(here & plan.int8 & plan.row_scale)
    b.cover(here & plan.row_bias & (plan.group_log2 != 0) & (records.biases[1] == 1))
    b.cover(here & plan.accumulate & plan.relu & known & (total[0] < 0))

    # ---- invariants: where the word is ----
    stages: list[Stage] = []
    for name in ("summed", "dense"):
        stage = inside(f"elaborate:{name}")
        sums = _counted(block, stage) if name == "dense" else stage.data.as_value()
        stages.append((inside(f"{name}_valid"), Cat(stage.group_last, stage.job_last), sums))
    if block._config.words_spaced:
        stages.append((Const(0), Const(0, 2), None))
    else:
        waiting = data.View(DenseWord(block._config), inside("first/waiting"))
        stages.append((inside("first/o_waits"), Cat(waiting.group_last, waiting.job_last),
                       waiting.data.as_value()))
    (in_dense, _, _), (in_waiting, _, _) = stages[-2:]
    b.invariant(in_dense | ~in_waiting)
    stages = [*way(b, plan), *stages]
    level = _queue(b).level if _has_queue(b) else Const(0)
    levels(b)
    b.invariant(marked.inside == level + sum(there for there, _, _ in stages))
    b.invariant(owed == Mux(plan.accumulate, in_dense + in_waiting, 0))
    records.inside(stages[-3:], total)
    ahead = level
    for number, (there, tags, sums) in enumerate(stages):
        at = marked.present & there & (marked.ahead == ahead)
        b.invariant(~at | (tags == marked.value))
        b.invariant(~at | (waits == ((number >= len(stages) - 2) & plan.accumulate)))
        b.invariant(~at | (others == ((number == len(stages) - 1) & plan.accumulate)))
        if sums is not None:
            behind = number >= len(stages) - 3
            b.invariant(~at | ((sums == total.as_value()) if behind
                               else ~known | (sums == biased.as_value())))
        ahead = ahead + there
    plain = inside("plain")
    is_plain = marked.present & inside("_clear_negative:valid")
    b.invariant(~(is_plain & (marked.ahead == level)) | (plain.data.as_value() == finished.as_value()))
    if not _has_queue(b):
        return
    read, _ = inside.places("queue/memory")
    place, kept = Signal.like(read), Signal(_queue(b).o.p.shape())
    m.d.comb += [place.eq(read + marked.ahead), kept.eq(inside.word("queue/memory", place))]
    queued = marked.present & (marked.ahead < level)
    b.invariant(~queued | (Cat(kept.group_last, kept.job_last) == marked.value) & ~waits)
    if block._config.csr_out:
        b.invariant(~(queued & known) | (kept.data.as_value() == finished.as_value()))


def _counted(block: Finisher, word) -> Value:
    """A word's sums; with `lean_drain` what it has of absent ones means nothing."""
    if not block._config.lean_drain:
        return word.data.as_value()
    return Cat(Mux(there, value, 0) for there, value in zip(word.lanes, word.data, strict=True))


def _has_queue(b: Bench) -> bool:
    config = b.dut._config
    return config.csr_out or config.scale_multipliers == config.lanes


def _queue(b: Bench):
    """Of all words, or of scaled ones."""
    return b.inside("_output:queue" if b.dut._config.csr_out else "_scale_parallel:queue")


def _unscaled(b: Bench, plan) -> tuple[Stage, Stage]:
    """The words themselves: with negative sums cleared, and before."""
    plain, biased = b.inside("plain"), b.inside("elaborate:biased")
    b.invariant(~plan.int8 | ~b.inside("_clear_negative:valid"))
    return ((b.inside("_clear_negative:valid"), Cat(plain.group_last, plain.job_last), None),
            (b.inside("biased_valid"), Cat(biased.group_last, biased.job_last), biased.data.as_value()))


def _parallel_way(b: Bench, plan) -> list[Stage]:
    """The bias, and the scaler's stages, which never stall."""
    inside, scaler, level = b.inside, b.inside("scaler"), _queue(b).level
    plain, biased = _unscaled(b, plan)
    scaled = [(scaler.o_valid, scaler.o_tag)]
    scaled += [(inside(f"scaler/#valid_{number}"), inside(f"scaler/#tag_{number}"))
               for number in reversed(range(SCALER_STAGES - 1))]
    stages: list[Stage] = [plain, *((valid, tag, None) for valid, tag in scaled), biased]
    underway, room = inside("underway"), inside("_count_room:room")
    b.invariant(plan.int8 | ~Cat(valid for valid, _ in scaled).any())
    counted = level + sum(valid for valid, _, _ in stages)
    if not b.dut._config.csr_out:
        b.invariant(plan.int8 | (level == 0))
        counted = Mux(plan.int8, counted, 0)
    b.invariant(underway == counted)
    b.invariant((underway <= QUEUE_WORDS) & (~room | (underway < QUEUE_WORDS)))
    return stages


def _serial_way(b: Bench, plan) -> list[Stage]:
    """The bias, and of what is in the scaler the last lane of each word: it has the word's ends."""
    inside, scaler = b.inside, b.inside("scaler")
    plain, biased = _unscaled(b, plan)
    scaled = [(scaler.o_valid, scaler.o_tag)]
    scaled += [(inside(f"scaler/#valid_{number}"), inside(f"scaler/#tag_{number}"))
               for number in reversed(range(SCALER_STAGES - 1))]
    gathered = inside("gathered")
    b.invariant(plan.int8 | ~Cat(gathered.valid, *(valid for valid, _ in scaled)).any())
    if b.dut._config.lean_drain:
        lasts = [gathered.valid, *(valid & tag[2] for valid, tag in scaled)]
        b.invariant(sum(lasts) == inside("underway"))
    ends = Cat(gathered.p.group_last, gathered.p.job_last)
    return [plain, (gathered.valid, ends, None),
            *((valid & tag[2], tag[:2], None) for valid, tag in scaled), biased]


CLAIM = ("every word leaves once, in order, with its ends; where they are not scaled, its sums are those "
         "that came, the earlier ones of its place and the bias of its row, negative ones cut off where "
         "asked; the output is stable")
PROOFS = (
    Proof("finisher", "Finisher", f"{CLAIM}; a multiplier a lane", lambda: Finisher(PARALLEL),
          lambda b: _finisher(b, _parallel_way, QUEUE_WORDS + 3),
          Fault("a word goes on without its earlier sums", "dense_moves",
                lambda value, inside: inside("dense_valid")), cover=16, solver="bitwuzla"),
    Proof("finisher_queued", "Finisher", f"{CLAIM}; a multiplier a lane, with results in CSR",
          lambda: Finisher(QUEUED), lambda b: _finisher(b, _parallel_way, QUEUE_WORDS + 3),
          Fault("a bias is added to a word that is not there", "elaborate:applies",
                lambda value, inside: inside("elaborate:room") & inside("elaborate:biased_leaves")),
          cover=16, solver="bitwuzla"),
    Proof("finisher_serial", "Finisher", f"{CLAIM}; one multiplier", lambda: Finisher(SERIAL),
          lambda b: _finisher(b, _serial_way, 2 + 1 + SCALER_STAGES + 3),
          Fault("a word leaves before the scaler has taken all its lanes", "_scale_serial:leaves",
                lambda value, inside: Const(1)), cover=20, depth=12, solver="bitwuzla"),
    Proof("finisher_lean", "Finisher", f"{CLAIM}; one multiplier, with `lean_drain`", lambda: Finisher(LEAN),
          lambda b: _finisher(b, _serial_way, 2 + 1 + SCALER_STAGES + 3),
          Fault("lanes before a record's row are added to again", "#reached0",
                lambda value, inside: Const(1)),
          cover=20, depth=12, solver="bitwuzla"),
)
