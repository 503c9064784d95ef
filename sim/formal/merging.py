"""Proofs of where elementwise jobs go, what they make of two matrices, and how its rows are cut."""

from dataclasses import replace

from amaranth.hdl import Array, Cat, Const, Mux, Signal, Value, signed

from hdl.config import ACC_BITS, VALUE_BITS
from hdl.job_switch import JobSwitch
from hdl.layouts import Operation
from hdl.merge_combiner import MergeCombiner
from hdl.merge_layouts import END_COLUMN
from hdl.merge_rows import MergeRows

from .bench import Bench, Proof
from .checks import flat, moves, stable, steady
from .configs import PAIRS
from .inside import Fault

__all__ = ["MERGER", "PROOFS"]

MERGER = replace(PAIRS, merge_lanes=2)
"""The smallest merger."""

WIDE_MERGER = replace(PAIRS, merge_lanes=4)
"""A word may hold several row ends."""

ROOM_CYCLES = 14
"""A word comes at most so many cycles after a cycle in which there was room: in a merger of 16 lanes 10 in
the sorter and 3 in the combiner."""

COMBINER_CYCLES = 3
"""From a word to what it makes."""


def _job_switch(b: Bench) -> None:
    """A job's side is known from the cycle in which it is taken to that of its last beat."""
    switch, m = b.dut, b.m
    steady(b, switch.i_job, switch.i)
    job, beat = switch.i_job, switch.i
    begun, elementwise = Signal(), Signal()
    with m.If(moves(job)):
        m.d.sync += [begun.eq(1), elementwise.eq(job.p.elementwise)]
    with m.Elif(moves(beat) & beat.p.last):
        m.d.sync += begun.eq(0)
    b.check(~moves(job) | ~begun)
    b.check(~moves(beat) | begun)
    for own, jobs, expected, beats in (
            (~job.p.elementwise, switch.o_router_job, job.p, switch.o_router),
            (job.p.elementwise, switch.o_merge_job, job.p.merge, switch.o_merge)):
        side = elementwise if jobs is switch.o_merge_job else ~elementwise
        # What is there is offered at once, and taken when it is taken there.
        b.check(jobs.valid == (job.valid & own & ~begun))
        b.check(beats.valid == (beat.valid & begun & side))
        b.check(moves(jobs) == (moves(job) & own))
        b.check(moves(beats) == (moves(beat) & side))
        b.check(~jobs.valid | (flat(jobs.p) == flat(expected)))
        b.check(~beats.valid | (flat(beats.p) == flat(beat.p)))
        other = b.past(moves(beat) & ~side & beat.p.last, f"after_other{len(jobs.p.as_value())}")
        b.cover(moves(jobs) & other)
    stable(b, *(switch.o_router_job, switch.o_router, switch.o_merge_job, switch.o_merge))
    b.invariant(b.inside("busy") == begun)
    b.invariant(~begun | (b.inside("merges") == elementwise))


def _merge_rows(b: Bench) -> None:
    """Follows one entry or row end, whichever, from the word that comes out of the queue inside (`queue`
    keeps them in order)."""
    rows, m, lanes = b.dut, b.m, WIDE_MERGER.merge_lanes
    queue, held, left = b.inside("elaborate:queue"), b.inside("held"), b.inside("left")
    word, output = queue.o.p, rows.o

    # ---- words come while there is room, or a few cycles later; each holds something ----
    since = Signal(range(ROOM_CYCLES + 2), init=ROOM_CYCLES + 1)
    m.d.sync += since.eq(Mux(rows.o_room, 1, Mux(since > ROOM_CYCLES, since, since + 1)))
    b.assume(~rows.i.valid | rows.o_room | (since <= ROOM_CYCLES))
    for source in (rows.i, queue.o):
        b.assume(~source.valid | ((source.p.entry | source.p.end).any()
                                  & ((source.p.entry & source.p.end) == 0)))
    b.check(queue.i.valid == rows.i.valid)
    b.check(~rows.i.valid | (queue.i.ready & (flat(queue.i.p) == flat(rows.i.p))))
    b.cover(rows.i.valid & ~rows.o_room & (queue.level > 16))
    cycles = Mux(rows.o_room, 0, since)
    b.invariant(queue.level <= Mux(cycles > ROOM_CYCLES, 32, 17 + cycles))
    read, write = b.inside.places("queue/memory")
    b.invariant((write - read)[:len(read)] == queue.level[:len(read)])

    # ---- one of a word's entries and row ends ----
    lane, choose = b.constant(range(lanes), "lane"), b.free(1, "choose")
    items, taken = word.entry | word.end, moves(queue.o)
    gone = Mux(moves(output), sum(output.p.valid) + output.p.row_last, 0)
    there = Signal(range(lanes + 1))
    present, once, ahead = Signal(), Signal(), Signal(range(lanes + 1))
    is_end, is_last, entry = Signal(), Signal(), Signal(len(_entry(word, lane)))
    marks = taken & choose & ~once & items.bit_select(lane, 1)
    its_turn = present & moves(output) & (ahead < gone)
    later_ends = _above(word.end, lane)
    m.d.sync += there.eq(there - gone + Mux(taken, sum(items), 0))
    with m.If(marks):
        m.d.sync += [present.eq(1), once.eq(1), ahead.eq(there - gone + _count_below(items, lane)),
                     is_end.eq(word.end.bit_select(lane, 1)), entry.eq(_entry(word, lane)),
                     is_last.eq(word.last & ~later_ends)]
    with m.Elif(its_turn):
        m.d.sync += present.eq(0)
    with m.Elif(present):
        m.d.sync += ahead.eq(ahead - gone)
    b.check(gone <= there)
    b.check(~output.valid | output.p.valid.any() | output.p.row_last)
    b.check(output.p.row_last | ~output.p.job_last)
    entries = sum(output.p.valid)
    b.check(~its_turn | (is_end == (ahead == entries)))
    b.check(~(its_turn & is_end) | (output.p.row_last & (output.p.job_last == is_last)))
    for place in range(lanes):
        this = output.p.valid[place] & (ahead == sum(output.p.valid[:place], Const(0, 1)))
        b.check(~(its_turn & ~is_end & this) | (_entry(output.p, place) == entry))
    stable(b, output)
    waits = b.past(queue.o.valid & ~left.any(), "waits")
    b.check(~waits | output.valid)
    b.cover(its_turn & is_end & is_last & (ahead == 2))
    b.cover(its_turn & ~is_end & ~output.p.row_last & (ahead == 1))
    b.cover(moves(output) & output.p.row_last & ~output.p.valid.any() & b.past(moves(output), "went"))

    # ---- where it is ----
    b.invariant(there == sum(left))
    b.invariant(~present | once)
    b.invariant(~present | (left.bit_select(lane, 1) & (ahead == _count_below(left, lane))))
    b.invariant(~present | ((held.end.bit_select(lane, 1) == is_end)
                            & (held.entry.bit_select(lane, 1) == ~is_end)))
    b.invariant(~present | (_entry(held, lane) == entry))
    b.invariant(~(present & is_end) | (is_last == (held.last & ~_above(held.end, lane))))
    b.invariant((left & ~(held.entry | held.end)) == 0)
    b.invariant(~left.any() | ((held.entry & held.end) == 0))
    # What has left are the lowest lanes.
    b.invariant((_all_below(left) & (held.entry | held.end) & ~left) == 0)


def _entry(word, lane) -> Value:
    """Column and value of a lane."""
    return Cat(word.columns[lane], word.values[lane])


def _count_below(bits: Value, lane) -> Value:
    return sum((bits[place] & (lane > place) for place in range(len(bits))), Const(0, 1))


def _above(bits: Value, lane) -> Value:
    """One of the higher bits is set."""
    return Cat(bits[place] & (lane < place) for place in range(len(bits))).any()


def _all_below(bits: Value) -> Value:
    """The bits that have a set one below them."""
    return Cat(bits[:place].any() if place else Const(0, 1) for place in range(len(bits)))


def _small(value: Value) -> Value:
    """From -4 to 3."""
    return value == value[:3].as_signed()


def _one_digit(value: Value) -> Value:
    """At most one of the byte's digits is 1."""
    return (value[:VALUE_BITS] & (value - 1)[:VALUE_BITS]) == 0


def _same_place(one, other) -> Value:
    return (one.column == other.column) & (one.row == other.row)


def _combiner(b: Bench) -> None:
    """What the two inputs at one place make, of every place: its first element, the one behind it."""
    combiner, m, lanes = b.dut, b.m, MERGER.merge_lanes
    word, output = combiner.i.p, combiner.o
    b.drive(combiner.i_job, b.constant(combiner.i_job.shape(), "job"))
    operation = combiner.i_job.operation
    adds, subtracts, multiplies, masks = (operation == of for of in (
        Operation.ADD, Operation.SUBTRACT, Operation.MULTIPLY, Operation.MASK))

    by_digits = b.constant(1, "by_digits")

    # ---- the last element of the word before; whether it was the second of its place ----
    before, before_of_b, before_second = Signal(word.elements[0].shape(), name="before"), Signal(), Signal()
    known = Signal()
    elements, of_b = [before, *word.elements], [before_of_b, *word.of_b]
    same = Signal(lanes)
    m.d.comb += same.eq(Cat(_same_place(elements[place], elements[place + 1])
                            & (known if place == 0 else Const(1)) for place in range(lanes)))
    with m.If(combiner.i.valid):
        m.d.sync += [before.eq(elements[-1]), before_of_b.eq(of_b[-1]), before_second.eq(same[-1]),
                     known.eq(1)]

    # ---- of a place there is one element of A, then one of B, or one of either ----
    seconds = [before_second, *same]
    for place in range(lanes):
        later = elements[place + 1]
        b.assume(~(combiner.i.valid & same[place]) | (
            ~of_b[place] & of_b[place + 1] & ~seconds[place] & (elements[place].end == later.end)))
        # An end lies past every column; values of A, and those that are multiplied, are of 8 bits.
        b.assume(~combiner.i.valid | (later.end == (later.column == END_COLUMN)))
        narrow = later.value == later.value[:VALUE_BITS].as_signed()
        b.assume(~combiner.i.valid | narrow | (of_b[place + 1] & ~multiplies))
        b.assume(~combiner.i.valid | later.end | (~later.last & ~later.pad))
        # Two ways to multiply bytes are too much for solvers: one number is small, or of one digit.
        b.assume(~(combiner.i.valid & multiplies) | Mux(
            of_b[place + 1], ~by_digits | _one_digit(later.value), by_digits | _small(later.value)))

    # ---- what each lane of the output is, when it comes ----
    lane = b.constant(range(lanes), "lane")
    entries, ends, lasts, wraps, columns, values = Signal(lanes), Signal(lanes), Signal(lanes), [], [], []
    for place in range(lanes):
        first, second = elements[place], elements[place + 1]
        exists = known if place == 0 else Const(1)
        both = same[place]
        a = Mux(of_b[place], 0, first.value)
        of_the_other = Mux(of_b[place], first.value, Mux(both, second.value, 0))
        alone_stays = adds | subtracts
        total = Signal(signed(ACC_BITS + 1), name=f"sum{place}")
        m.d.comb += [
            total.eq(Mux(subtracts, of_the_other - a, Mux(adds, of_the_other + a, of_the_other))),
            entries[place].eq(exists & ~first.end & ~seconds[place] & (both | alone_stays)),
            ends[place].eq(exists & first.end & ~first.pad & both),
            lasts[place].eq(first.last),
        ]
        wraps.append(entries[place] & ~multiplies & (total != total[:ACC_BITS].as_signed()))
        columns.append(first.column)
        values.append(total[:ACC_BITS])
    factors = [Array(element.value[:VALUE_BITS] for element in elements[start:start + lanes])[lane]
               for start in range(2)]
    made = Signal(len(Cat(entries, ends)) + 2)
    m.d.comb += made.eq(Mux(combiner.i.valid, Cat(
        entries, ends, (lasts & ends).any(), Cat(wraps).any()), 0))
    facts = Cat(Array(columns)[lane], Array(values)[lane], *factors)
    for cycle in range(COMBINER_CYCLES):
        made, facts = b.past(made, f"made{cycle}"), b.past(facts, f"facts{cycle}")
    entries, ends = made[:lanes], made[lanes:2 * lanes]
    b.check(output.valid == (entries | ends).any())
    b.check(~output.valid | ((output.p.entry == entries) & (output.p.end == ends)
                             & (output.p.last == made[2 * lanes])))
    b.check(combiner.o_overflow == b.past(made[-1], "wrapped"))
    column, value, left, right = (facts[:32], facts[32:64], facts[64:72].as_signed(),
                                  facts[72:80].as_signed())
    here = output.valid & entries.bit_select(lane, 1)
    product = Signal(signed(2 * VALUE_BITS))
    m.d.comb += product.eq(left * right)
    got = output.p.values[lane]
    b.check(~here | (output.p.columns[lane] == column))
    b.check(~(here & ~multiplies) | (got == value.as_signed()))
    b.check(~(here & multiplies) | (got == product))
    for operates in (adds, subtracts, multiplies, masks):
        b.cover(here & operates & (got == -3))
    b.cover(combiner.o_overflow & subtracts)
    b.cover(output.valid & output.p.last & output.p.entry.any() & adds)
    b.cover(output.valid & output.p.last & masks)

    # ---- what the block keeps of the word before ----
    held = b.inside("held")
    b.invariant(~known | ((flat(held) == flat(before)) & (b.inside("held_of_b") == before_of_b)))
    b.invariant(known | (held.pad & held.end & (held.column == END_COLUMN)))
    b.invariant(~known | (b.inside("held_second") == before_second))
    b.invariant(known | ~b.inside("held_second") & ~before_second)
    narrow = before.value == before.value[:VALUE_BITS].as_signed()
    b.invariant(~known | narrow | (before_of_b & ~multiplies))
    b.invariant(~(known & multiplies) | Mux(before_of_b, ~by_digits | _one_digit(before.value),
                                            by_digits | _small(before.value)))


PROOFS = (
    Proof("job_switch", "JobSwitch",
          "every job, and every beat up to its last one, goes once, in order, unchanged, to the unit that "
          "the job is for; the next job waits for the last beat; the outputs are stable",
          lambda: JobSwitch(MERGER), _job_switch,
          Fault("after an elementwise job all beats go to the merger", "merges",
                lambda value, inside: value | inside("merges")), quick=True),
    Proof("merge_rows", "MergeRows",
          "every entry and every row end leaves once, in order, unchanged, a row end as a word's last; words "
          "that come up to 14 cycles after `o_room` has fallen find room; the output is stable",
          lambda: MergeRows(WIDE_MERGER), _merge_rows,
          Fault("behind a word's first row end nothing is left", "done", lambda value, inside: Const(1)),
          cover=22, quick=True, solver="bitwuzla"),
    Proof("merge_combiner", "MergeCombiner",
          "of every place with an element of A, or of B, or of both, comes what the operation says: their "
          "sum, difference, product (of A from -4 to 3, or B of one binary digit), or B's, or nothing; of "
          "two row ends one; in order, each in its lane, three cycles after the word that comes behind it; a "
          "sum of int32 that wraps is reported a cycle later",
          lambda: MergeCombiner(MERGER), _combiner,
          Fault("of a pair in two words the second one goes on, too", "held_second",
                lambda value, inside: Const(0)),
          induction=COMBINER_CYCLES + 3, depth=8, cover=8, solver="bitwuzla"),
)
