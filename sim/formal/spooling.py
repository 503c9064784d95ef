"""Proofs of the three arrays of a CSR result on their way to the writer: order, runs, addresses."""

from amaranth.hdl import Cat, Const, Mux, Signal

from hdl.config import ADDRESS_BITS
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
    b.invariant((own.beats == 0) | ((entries == (own.beats - 1) * SIZE + last)
                                    & (last != 0) & (last <= SIZE)))
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
    address = b.constant(ADDRESS_BITS, "address")
    for port, value in ((block.i_plan, plan), (block.i_place, place), (block.i_address, address)):
        b.drive(port, value)
    steady(b, block.i, block.i_pointers)
    stable(b, block.o, block.o_write_job)
    job = block.o_write_job
    b.check(~job.valid | (job.p.scattered & (job.p.rows != 0) & (job.p.row_bytes != 0)))
    begun, pointers_over = Signal(), Signal()
    with m.If(block.i_start):
        m.d.sync += begun.eq(1)
    b.assume(~(begun & block.i_start))
    pairs, pointers = block.i.p, block.i_pointers.p
    expected, _, _ = _in_runs(b, block.i, begun)
    # All beats of pointers but the last are full, too.
    b.assume(~block.i_pointers.valid | (begun & ~pointers_over & (pointers.count != 0)
                                        & (pointers.count <= SIZE)))
    with m.If(moves(block.i_pointers) & (pointers.count != SIZE)):
        m.d.sync += pointers_over.eq(1)
    b.assume(~block.i_ended | (begun & ~block.i.valid & ~block.i_pointers.valid))
    b.assume(~b.past(block.i_ended, "ended") | block.i_ended)

    # ---- a beat as the bytes of its elements ----
    def elements(values, bits: int):
        return Cat(Cat(value, Const(0, bits))[:bits] for value in values)

    bits = 8 * PAIRS.port_bytes
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
    # The one that is called the last is: of no array anything is left. It ends a segment.
    b.check(~(moves(block.o) & chunk.last) | (chunk.row_last & block.i_ended & (marked.inside == leaves)))
    b.cover(leaves & plan.int8 & (marked.inside == 1))
    b.cover(moves(block.o) & chunk.last)
    _addresses(b, marked, enters, which, expected, count == SIZE,
               (place.pointers, place.indices, address)[which], shift, begun, pointers_over)
    _inside(b, marked, which, shift, begun)


def _addresses(b: Bench, marked: Marked, enters, which: int, expected, is_full, where, shift,
               begun, pointers_over) -> None:
    """The beat that is followed goes to the place of its first element, and is full where others of its
    segment follow: so they lie one behind the other. Of RunTracker is assumed what `run_tracker` says."""
    block, m, inside = b.dut, b.m, b.inside
    selected, left, current = inside("selected"), inside("beats_left"), inside("current")
    chunk, runs = block.o.p, inside("runs").o
    came, position, full = Signal(32, name="pointer_beats"), Signal(32), Signal(name="full")
    opens, follows = Signal(init=1), Signal(ADDRESS_BITS)
    here, at = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
    m.d.comb += [here.eq(Mux(opens, chunk.at, follows)), at.eq(where + (position << shift))]
    m.d.sync += came.eq(came + moves(block.i_pointers))
    with m.If(moves(block.o)):
        m.d.sync += [opens.eq(chunk.row_last), follows.eq(here + (SIZE << inside("elaborate:shift")))]
    with m.If(enters & ~marked.once):
        m.d.sync += [position.eq(expected if which else came * SIZE), full.eq(is_full)]
    its_turn = moves(block.o) & selected[which] & marked.present & (marked.ahead == 0)
    b.check(~its_turn | (here == at))
    b.check(~its_turn | chunk.row_last | full)
    b.cover(its_turn & ~opens & (position == 5 * SIZE) & (which == 0)
            | its_turn & opens & (position == 5) & (which != 0))
    at_work = Mux(selected[which], left, 0) + Mux(selected[1], current.beats, 0) * (which == 2)
    if which:
        behind = (marked.ahead - at_work)[:len(marked.ahead)]
        b.assume(~(marked.present & runs.valid & (marked.ahead >= at_work) & (behind < runs.p.beats))
                 | (((runs.p.position + behind * SIZE)[:32] == position)
                    & (full | (behind + 1 == runs.p.beats))))

    # ---- inside ----
    b.invariant(begun | (came == 0))
    b.invariant((left != 0) | opens)
    b.invariant(~marked.present | ~selected[which] | (marked.ahead >= left) | (
        ((here + ((marked.ahead * SIZE) << shift))[:ADDRESS_BITS] == at)
        & (full | (marked.ahead + 1 == left))))
    if which == 2:
        b.invariant(~marked.present | ~selected[1] | (marked.ahead >= current.beats) | (
            ((current.position + marked.ahead * SIZE)[:32] == position)
            & (full | (marked.ahead + 1 == current.beats))))
    if which == 0:
        level = inside("level")
        b.invariant((block.i_ended & (level == 0))
                    | (inside("next_pointer") == (where + (came - level) * (4 * SIZE))[:ADDRESS_BITS])
                    | ~begun)
        b.invariant(~marked.present | (position == ((came - marked.inside + marked.ahead) * SIZE)[:32]))
        b.invariant(~marked.present | full | (pointers_over & (marked.ahead + 1 == marked.inside)))


def _inside(b: Bench, marked: Marked, which: int, shift, begun) -> None:
    """Invariants: what lies in the queues, and what of it is at work."""
    block, m, inside = b.dut, b.m, b.inside
    selected, left, current = inside("selected"), inside("beats_left"), inside("current")
    level, final, runs = inside("level"), inside("elaborate:final"), inside("runs")
    levels(b)
    promised = Signal(range(4 * BLOCK_BEATS))      # beats of runs that were not taken
    m.d.sync += promised.eq(promised + moves(block.i) - Mux(moves(runs.o), runs.o.p.beats, 0))
    # As `run_tracker` says.
    b.assume(runs.o_empty == (promised == 0))
    b.assume(~runs.o.valid | ((runs.o.p.beats != 0) & (runs.o.p.beats <= BLOCK_BEATS)
                              & (runs.o.p.beats <= promised)))
    b.invariant((selected & (selected - 1)) == 0)
    b.invariant((left == 0) == (selected == 0))
    b.invariant(begun | ~Cat(selected, level, promised, marked.inside, final).any())
    b.invariant(left <= BLOCK_BEATS)
    b.invariant(~selected[1] | ((current.beats != 0) & (current.beats <= BLOCK_BEATS)))
    b.invariant(~final | (selected[0] & block.i_ended & (level == 0) & (promised == 0)))
    waiting = (level, promised, promised + Mux(selected[1], current.beats, 0))
    for number, name in enumerate(ARRAYS):
        queue = inside(name)
        held = inside(f"{name}/level") + queue.o.valid
        b.invariant(held == waiting[number] + Mux(selected[number], left, 0))
        if number != which:
            continue
        b.invariant(marked.inside == held)
        read, _ = inside.places(f"{name}/memory")
        at = Signal.like(read, name=f"at_{name}")
        m.d.comb += at.eq(read + marked.ahead - queue.o.valid)
        entry = Signal.like(queue.o.p, name=f"entry_{name}")
        m.d.comb += entry.eq(inside.word(f"{name}/memory", at))
        at_output = queue.o.valid & (marked.ahead == 0)
        for value, there in ((queue.o.p, at_output), (entry, ~at_output)):
            seen = Cat(value.data, (value.count << shift)[:len(block.o.p.count)])
            b.invariant(~(marked.present & there) | (seen == marked.value))


_FAULTS = (
    Fault("a stalled chunk counts as taken", "o.ready", lambda value, inside: Const(1), reads=True),
    Fault("the last pointers do not wait for the other arrays", "alone",
          lambda value, inside: inside("i_ended")),
    Fault("values are placed by the size of column indices", "_choose:position",
          lambda value, inside: inside("current").position << inside("shifts")[1], only=0),
)


def _proof(which: int) -> Proof:
    return Proof(
        f"csr_spool_{ARRAYS[which]}", "CsrSpool",
        f"every beat of {ARRAYS[which]} leaves once, in order, as the bytes of its elements, at their "
        "address; what is called the last is the last of all three arrays; the outputs are stable",
        lambda: CsrSpool(PAIRS), lambda b: _csr_spool(b, which), _FAULTS[which],
        depth=12, cover=20, solver="bitwuzla")


PROOFS = (
    Proof("run_tracker", "RunTracker",
          "every beat is in one run, in order, at its position; no run is longer than a block, none goes "
          "over a beat that opens one or is not full; none is cut before, or kept back at the end; empty "
          "means none",
          lambda: RunTracker(PAIRS, MOST_BEATS), _run_tracker,
          Fault("a run that is cut goes on at the same position", "elaborate:run.position",
                lambda value, inside: Mux(inside("i").p.opens, value, inside("elaborate:run").position)),
          depth=10, cover=12, solver="bitwuzla"),
    *(_proof(which) for which in range(len(ARRAYS))),
)
