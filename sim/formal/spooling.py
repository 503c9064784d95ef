"""Proofs of the three arrays of a CSR result on their way to the writer: order, runs, addresses."""

from amaranth.hdl import Cat, Const, Mux, Signal

from hdl.csr_spool import BLOCK_BEATS, CsrSpool
from hdl.run_tracker import RunTracker

from .bench import Bench, Proof
from .checks import Marked, levels, moves, stable, steady
from .configs import PAIRS
from .inside import Fault

__all__ = ["PROOFS"]

ARRAYS = ("pointers", "indices", "values")
SIZE = PAIRS.pair_lanes

MOST_BEATS = 4
"""Of a run, where runs alone are looked at."""

BEAT_BITS = 8
"""Of numbers of beats; they begin again at 0, which those that are inside are too few to notice."""


def _in_runs(b: Bench, marks, begun):
    """Assumption: all beats of a run but its last are full, also none goes on behind the end. Returns the
    position of the beat on offer."""
    m, mark = b.m, marks.p
    expected, following, goes_on = Signal(32), Signal(32), Signal()
    m.d.comb += expected.eq(Mux(mark.opens, mark.position, following))
    b.assume(~marks.valid | (begun & (mark.count != 0) & (mark.count <= SIZE) & (mark.opens | goes_on)))
    with m.If(moves(marks)):
        m.d.sync += [following.eq(expected + mark.count), goes_on.eq(mark.count == SIZE)]
    with m.If(b.dut.i_ended):
        m.d.sync += goes_on.eq(0)
    return expected, following, goes_on


# ---- runs ------------------------------------------------------------------------------------------------


def _run_tracker(b: Bench) -> None:
    """Follows one beat, whichever, into a run, seen as runs enter their queue, which `queue` is about."""
    block, m, inside = b.dut, b.m, b.inside
    steady(b, block.i)
    levels(b)
    expected, following, goes_on = _in_runs(b, block.i, Const(1))
    b.assume(~(block.i.valid & block.i_ended))
    b.assume(~b.past(block.i_ended & ~block.o_empty, "ending") | block.i_ended)
    queue, mark = inside("queue").i, block.i.p
    put, run = moves(queue), queue.p
    came, gone = Signal(BEAT_BITS), Signal(BEAT_BITS)
    known, index, position = Signal(), Signal(BEAT_BITS), Signal(32)
    opens, full = Signal(), Signal()
    ahead, covered = Signal(BEAT_BITS), Signal()
    m.d.comb += [ahead.eq(index - gone), covered.eq(known & (ahead < run.beats))]
    m.d.sync += came.eq(came + moves(block.i))
    with m.If(put):
        m.d.sync += gone.eq(gone + run.beats)
    with m.If(moves(block.i) & ~known & b.free(1, "choose")):
        m.d.sync += [known.eq(1), index.eq(came), position.eq(expected), opens.eq(mark.opens),
                     full.eq(mark.count == SIZE)]
    with m.Elif(put & covered):
        m.d.sync += known.eq(0)
    b.check(~queue.valid | ((run.beats != 0) & (run.beats <= MOST_BEATS)
                            & (run.beats == (came - gone)[:BEAT_BITS])))
    b.check(~(queue.valid & known) | covered)
    b.check(~(queue.valid & covered) | (
        ((run.position + ahead * SIZE)[:32] == position) & (~opens | (ahead == 0))
        & (full | (ahead + 1 == run.beats))))
    # None is cut that need not be, none is kept back.
    b.check(~queue.valid | block.i_ended | (run.beats == MOST_BEATS) | (block.i.valid & mark.opens))
    b.check(~b.past(block.i_ended & queue.ready, "closes") | (came == gone))
    b.check(block.o_empty == ((came == gone) & (inside("queue").level == 0)))
    b.cover(put & covered & ~opens & (ahead == 2) & ~full)
    b.cover(put & covered & (run.position == 7) & (gone == 5))
    # The open run.
    entries, last = inside("entries"), Signal(range(SIZE + 1))
    own = inside("elaborate:run")
    with m.If(moves(block.i)):
        m.d.sync += last.eq(mark.count)
    b.invariant((own.beats <= MOST_BEATS) & (own.beats == (came - gone)[:BEAT_BITS]))
    b.invariant((own.beats == 0) | ((entries == (own.beats - 1) * SIZE + last) & (last != 0) & (last <= SIZE)))
    b.invariant(~goes_on | ((own.beats != 0) & (last == SIZE)))
    b.invariant(~goes_on | ((own.position + entries)[:32] == following))
    b.invariant(~known | ((ahead < own.beats) & ((own.position + ahead * SIZE)[:32] == position)
                          & (~opens | (ahead == 0))
                          & Mux(ahead + 1 == own.beats, full == (last == SIZE), full)))


# ---- the spool -------------------------------------------------------------------------------------------


def _csr_spool(b: Bench, which: int) -> None:
    """Follows one beat of an array of a job, whichever."""
    block, m, inside = b.dut, b.m, b.inside
    plan, place = (b.constant(port.shape(), name) for port, name in
                   ((block.i_plan, "plan"), (block.i_place, "place")))
    b.drive(block.i_plan, plan)
    b.drive(block.i_place, place)
    steady(b, block.i, block.i_pointers)
    stable(b, block.o, block.o_write_job)
    begun, ended = Signal(), Signal()
    with m.If(block.i_start):
        m.d.sync += begun.eq(1)
    m.d.sync += ended.eq(block.i_ended)
    b.assume(~(begun & block.i_start))
    for source in (block.i, block.i_pointers):
        b.assume(~source.valid | (begun & ~block.i_ended & (source.p.count != 0)
                                  & (source.p.count <= PAIRS.pair_lanes)))
    b.assume(~block.i_ended | begun)
    b.assume(~ended | block.i_ended)

    # ---- a beat as the bytes of its elements ----
    def elements(values, bits: int):
        return Cat(Cat(value, Const(0, bits))[:bits] for value in values)

    pairs, pointers, bits = block.i.p, block.i_pointers.p, 8 * PAIRS.port_bytes
    selected = inside("selected")
    data, count, shift, enters = Signal(bits), Signal.like(pairs.count), Signal(2), Signal()
    wide = (elements(pairs.columns, 32), elements(pairs.columns, 16))
    bytes_of = (pointers.pointers.as_value(), Mux(place.index32, *wide),
                Mux(plan.int8, elements(pairs.values, 8), elements(pairs.values, 32)))
    m.d.comb += [
        data.eq(bytes_of[which]),
        count.eq(pairs.count if which else pointers.count),
        shift.eq((Const(2, 2), Mux(place.index32, 2, 1), Mux(plan.int8, 0, 2))[which]),
        enters.eq(moves(block.i if which else block.i_pointers)),
    ]
    chunk = block.o.p
    leaves = moves(block.o) & selected[which]
    room = 2 * (2 * BLOCK_BEATS)
    marked = Marked(b, enters, Cat(data, (count << shift)[:len(chunk.count)]), leaves,
                    Cat(chunk.data, chunk.count), room)
    b.check(~block.o.valid | ((selected != 0) & ((selected & (selected - 1)) == 0)))
    b.check(~(block.o.valid & block.o_write_job.valid))
    # The one that is called the last is: of no array anything is left.
    b.check(~(moves(block.o) & chunk.last) | (block.i_ended & (marked.inside == leaves)))
    b.cover(leaves & plan.int8 & (marked.inside == 1))
    b.cover(moves(block.o) & chunk.last)
    _inside(b, marked, which, selected, shift, begun)


def _inside(b: Bench, marked: Marked, which: int, selected, shift, begun) -> None:
    """Invariants: what lies in the queues, and what of it has been asked for."""
    block, m, inside = b.dut, b.m, b.inside
    left, more, asked = inside("beats_left"), inside("more"), inside("asked")
    levels(b)
    b.invariant((selected & (selected - 1)) == 0)
    b.invariant((left == 0) | ((selected != 0) & begun))
    b.invariant(left <= BLOCK_BEATS)
    b.invariant(~asked | (left != 0))
    held = []
    for number, name in enumerate(ARRAYS):
        queue, level = inside(name), inside(f"#level{number}")
        inner = inside(f"{name}/level")
        held.append(inner + queue.o.valid)
        b.invariant(begun | (held[-1] == 0))
        b.invariant(held[-1] == level + Mux(selected[number], left, 0))
        if number != which:
            continue
        b.invariant(marked.inside == held[-1])
        read, _ = inside.places(f"{name}/memory")
        at = Signal.like(read, name=f"at_{name}")
        m.d.comb += at.eq(read + marked.ahead - queue.o.valid)
        entry = Signal.like(queue.o.p, name=f"entry_{name}")
        m.d.comb += entry.eq(inside.word(f"{name}/memory", at))
        at_output = queue.o.valid & (marked.ahead == 0)
        for value, there in ((queue.o.p, at_output), (entry, ~at_output)):
            seen = Cat(value.data, (value.count << shift)[:len(block.o.p.count)])
            b.invariant(~(marked.present & there) | (seen == marked.value))
    b.invariant(more | (left == 0) | (block.i_ended & selected[0]
                                      & (sum(held) == left)))


_EARLY = Fault("pointers do not wait for the other arrays", "pointers_wait",
               lambda value, inside: ~inside("i_ended"))
_DEAF = Fault("a stalled chunk counts as taken", "o.ready", lambda value, inside: Const(1), reads=True)



def _proof(which: int) -> Proof:
    return Proof(
        f"csr_spool_{ARRAYS[which]}", "CsrSpool",
        f"every beat of {ARRAYS[which]} leaves once, in order, as the bytes of its elements, and none before "
        "its block's job was taken; what is called the last is the last of all three arrays; the outputs are "
        "stable",
        lambda: CsrSpool(PAIRS), lambda b: _csr_spool(b, which), _EARLY if which else _DEAF,
        depth=12, cover=20, solver="bitwuzla")


PROOFS = (
    Proof("run_tracker", "RunTracker",
          "every beat is in one run, in order, at its position; no run is longer than a block, none goes over "
          "a beat that opens one or is not full; none is cut before, or kept back at the end; empty means none",
          lambda: RunTracker(PAIRS, MOST_BEATS), _run_tracker,
          Fault("a run that is cut goes on at the same position", "elaborate:run.position",
                lambda value, inside: Mux(inside("i").p.opens, value, inside("elaborate:run").position)),
          depth=10, cover=12, solver="bitwuzla"),
    *(_proof(which) for which in range(len(ARRAYS))),
)
