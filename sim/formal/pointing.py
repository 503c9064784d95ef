"""Proof of the order of row ends made of row pointers."""

from dataclasses import dataclass, replace

from amaranth.hdl import Cat, Const, Mux, Signal, Value
from amaranth.lib import data

from hdl.config import log2_exact
from hdl.fetch_layouts import RowEndPair, gap_bits, position_bits
from hdl.layouts import ROW_ENDS
from hdl.row_pointers import POINTER_BYTES, QUEUE_DEPTH, RowPointers, pointer_chunk_bytes

from .bench import Bench, Proof
from .checks import Marked, levels, moves, stable, steady
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS"]

WIDE_PORT = replace(SMALL, lanes=4, port_bytes=8)
"""Two row pointers a chunk; SMALL has one."""

ROW_BITS = 4
"""Dense rows that a job may have here: a counter that is compared needs no more."""

PIPELINE = 3
"""Stages before the queue."""


@dataclass(frozen=True)
class _Ends:
    """Two row ends: in how many chunks, where in the last of them; and the pointer before them counts."""

    chunks: list[Value]
    positions: list[Value]

    def pair(self, before, second, last, alone) -> Value:
        """As a RowEndPair says it, flat; what an absent row end says does not count."""
        first = Cat(Const(1), (self.chunks[0] - before)[:len(self.chunks[0])], self.positions[0],
                    last & ~second)
        gap = (self.chunks[1] - self.chunks[0])[:len(self.chunks[1])]
        return Cat(first, second, Mux(second, Cat(gap, self.positions[1], last), 0), alone)


def _flat(pair) -> Value:
    first, second = pair.ends
    counts = Mux(second.valid, Cat(second.gap, second.position, second.final), 0)
    return Cat(first.as_value(), second.valid, counts, pair.alone)


class _Pointers:
    """What the formula makes of entries of a job: which are wrong, and where their row ends are."""

    def __init__(self, b: Bench, job):
        self._b, self._job, config = b, job, b.dut._config
        self._shift, self._tokens = log2_exact(config.beat_tokens), config.beat_tokens
        self._gap_bits, self._position_bits = gap_bits(config), position_bits(config)
        self.number = pointer_chunk_bytes(config) // POINTER_BYTES     # of a chunk

    def wrong(self, entries, before, broken, name: str) -> Signal:
        """From the first one on that decreases or is beyond the entries, all are."""
        wrong = Signal(ROW_ENDS, name=f"wrong_{name}")
        for number, entry in enumerate(entries[:self.number]):
            self._b.m.d.comb += wrong[number].eq(broken | (entry < before) | (entry > self._job.nnz))
            before, broken = entry, wrong[number]
        return wrong

    def ends(self, entries, wrong, name: str) -> _Ends:
        """Row ends of entries; wrong ones are behind the last entry."""
        m, job = self._b.m, self._job
        chunks = [Signal(self._gap_bits, name=f"chunks_{name}{number}") for number in range(ROW_ENDS)]
        positions = [Signal(self._position_bits, name=f"position_{name}{number}")
                     for number in range(ROW_ENDS)]
        for number, entry in enumerate(entries):
            place, rest = Signal(32, name=f"place_{name}{number}"), Signal(self._shift)
            m.d.comb += [
                place.eq(Mux(wrong[number], job.nnz, entry)),
                rest.eq(place),
                # A row end before all entries lies in the first chunk, one between two in the former.
                chunks[number].eq(Mux(place == 0, 1, (place >> self._shift) + (rest != 0))),
                positions[number].eq(Mux((place == 0) | (rest != 0), rest, self._tokens)),
            ]
        return _Ends(chunks, positions)


def _row_pointers(b: Bench) -> None:
    """Follows one pair of row ends, from its pointers or, of dense rows, from its count."""
    block, m, inside = b.dut, b.m, b.inside
    shift, tokens = log2_exact(block._config.beat_tokens), block._config.beat_tokens
    steady(b, block.i, block.i_job)
    stable(b, block.o)
    offered = block.i_job.p
    b.assume((offered.rows != 0) & (offered.alone == (offered.nnz == 0)))
    b.assume(~offered.dense | ((offered.nnz % tokens == 0) & (offered.rows < 1 << ROW_BITS)))
    job, running = Signal.like(offered, name="own_job"), Signal(name="running")
    pointers = _Pointers(b, job)
    chunk, size = block.i.p, pointers.number * POINTER_BYTES
    b.assume((chunk.count == size) | (chunk.last & (chunk.count == POINTER_BYTES)))
    second = (chunk.count > POINTER_BYTES) & (pointers.number == ROW_ENDS)

    # ---- the pair that comes: of pointers, or of the next dense rows ----
    rows_left = Signal(ROW_BITS)
    before, broken, ended = Signal(32, name="own_before"), Signal(), Signal.like(inside("_output:before"))
    entries = [(chunk.data.word_select(number, 32) - job.first)[:32] if number < pointers.number
               else Const(0, 32) for number in range(ROW_ENDS)]
    wrong = pointers.wrong(entries, before, broken, "own")
    ends = pointers.ends(entries, wrong, "own")
    gap, position = Signal.like(ends.chunks[0]), Signal.like(ends.positions[0])
    dense_pair = Signal(len(_flat(block.o.p)))
    m.d.comb += [
        gap.eq(job.nnz >> shift), position.eq(Mux(job.alone, 0, tokens)),
        dense_pair.eq(Cat(Const(1), gap, position, rows_left == 1, rows_left > 1,
                          Mux(rows_left > 1, Cat(gap, position, rows_left == 2), 0), job.alone)),
    ]
    queue = inside("queue")
    put = moves(queue.i)
    puts_dense = put & job.dense
    final = queue.i.p.ends[0].final | (queue.i.p.ends[1].valid & queue.i.p.ends[1].final)
    with m.If(moves(block.i)):
        m.d.sync += [before.eq(entries[pointers.number - 1]), broken.eq(wrong[pointers.number - 1]),
                     ended.eq(ends.chunks[pointers.number - 1])]
    with m.If(puts_dense):
        m.d.sync += rows_left.eq(Mux(rows_left > ROW_ENDS, rows_left - ROW_ENDS, 0))
    with m.If(put & final):
        m.d.sync += running.eq(0)
    with m.If(moves(block.i_job)):
        m.d.sync += [job.eq(offered), running.eq(1), rows_left.eq(offered.rows), before.eq(0), broken.eq(0),
                     ended.eq(0)]
    expected = Mux(job.dense, dense_pair, ends.pair(ended, second, chunk.last, job.alone))
    enters = moves(block.i) | puts_dense
    marked = Marked(b, enters, expected, moves(block.o), _flat(block.o.p), QUEUE_DEPTH)
    b.check(~moves(block.i) | (running & ~job.dense))
    b.check(~puts_dense | (running & (rows_left != 0)))
    b.check(~moves(block.i_job) | ~running)
    b.check(block.o_idle == (~running & (marked.inside == 0)))
    # Dense rows come by themselves.
    late = Signal(range(PIPELINE + 2))
    m.d.sync += late.eq(Mux(running & job.dense & queue.i.ready & ~put, late + 1, 0))
    b.check(late < PIPELINE)
    # Every wrong pointer is reported with its chunk, and a last one that is not that of the last entry.
    is_last = entries[0] if pointers.number == 1 else Mux(second, entries[1], entries[0])
    faults = [moves(block.i) & (wrong[0] | (second & wrong[1]) | (chunk.last & (is_last != job.nnz)))]
    for stage in range(PIPELINE):
        faults.append(b.past(faults[-1], f"fault{stage}"))
    b.check(block.o_fault == faults[-1])
    b.cover(block.o.valid & block.o.p.ends[0].final & b.past(block.o_fault, "before_that"))
    b.cover(moves(block.o) & job.dense & (rows_left == 0) & ~block.o.p.ends[1].valid & ~job.alone)
    b.invariant(late <= Mux(running & job.dense, sum(inside("settled")), 0))
    _inside(b, pointers, marked, job, running, rows_left, before, broken, ended, faults, gap, position)


def _inside(b: Bench, pointers: _Pointers, marked: Marked, job, running, rows_left, before, broken, ended,
            faults, gap, position) -> None:
    """Invariants: what lies in the three stages and in the queue is what the formula says."""
    inside, m = b.inside, b.m
    relative, checked, placed = inside("relative"), inside("checked"), inside("placed")
    active, open_input, room = inside("active"), inside("open_input"), inside("elaborate:room")
    own_before, own_broken = inside("_check:before"), inside("broken")
    level, last_pointer = inside("queue").level, pointers.number - 1
    levels(b)
    b.invariant(active == running)
    b.invariant(~running | (inside("elaborate:job").as_value() == job.as_value()))
    b.invariant((job.alone == (job.nnz == 0)) | ~running)

    # ---- which stages are full: the oldest pair first ----
    stages = (placed, checked, relative)
    there = sum(stage.valid for stage in stages)
    b.invariant(marked.inside == level + there)
    b.invariant((level + there <= QUEUE_DEPTH) & (~room | (level + there < QUEUE_DEPTH)))
    csr = running & ~job.dense
    b.invariant(~any_of(stage.valid for stage in stages) | csr)
    ends_job = [stage.valid & stage.last for stage in stages]
    b.invariant(~(ends_job[0] & (checked.valid | relative.valid)) & ~(ends_job[1] & relative.valid))
    b.invariant(open_input == (csr & ~any_of(ends_job)))

    # ---- what they hold ----
    wrong = pointers.wrong(relative.entry, own_before, own_broken, "relative")
    made = [_Ends(list(placed.chunks), list(placed.position)),
            pointers.ends(checked.entry, checked.ends, "checked"),
            pointers.ends(relative.entry, wrong, "relative")]
    chunks, ahead = inside("_output:before"), level
    for stage, ends in zip(stages, made, strict=True):
        pair = ends.pair(chunks, stage.second, stage.last, job.alone)
        here = marked.present & stage.valid & (marked.ahead == ahead)
        b.invariant(~here | (pair == marked.value))
        chunks, ahead = Mux(stage.valid, ends.chunks[last_pointer], chunks), ahead + stage.valid
    b.invariant(~csr | (chunks == ended))
    b.invariant(~csr | (Mux(relative.valid, relative.entry[last_pointer], own_before) == before))
    b.invariant(~csr | (Mux(relative.valid, wrong[last_pointer], own_broken) == broken))
    b.invariant(~checked.valid | (checked.zero == Cat(entry == 0 for entry in checked.entry)))
    if pointers.number < ROW_ENDS:
        b.invariant(~any_of(stage.second for stage in stages))
    in_queue = data.View(RowEndPair(b.dut._config), Signal(RowEndPair(b.dut._config).size))
    read, _ = inside.places("queue/memory")
    place = Signal.like(read)
    m.d.comb += [place.eq(read + marked.ahead), in_queue.eq(inside.word("queue/memory", place))]
    b.invariant(~marked.present | (marked.ahead >= level) | (_flat(in_queue) == marked.value))

    # ---- faults on their way ----
    def early(entries, second, last):
        return last & (Mux(second, entries[1], entries[0]) != job.nnz)

    b.invariant(faults[1] == (relative.valid & (wrong[0] | (relative.second & wrong[1])
                                                | early(relative.entry, relative.second, relative.last))))
    b.invariant(faults[2] == (checked.valid & (checked.wrong
                                               | early(checked.entry, checked.second, checked.last))))

    # ---- dense rows ----
    # The count is one ahead from the cycle behind the start on.
    settled, pairs = inside("settled"), Signal(32)
    m.d.comb += pairs.eq(inside("pairs") - settled[0])
    dense = running & job.dense
    b.invariant(~(dense & settled[0]) | (inside("last_pair") == (pairs == job.rows >> 1)))
    b.invariant(~dense | ((job.rows < 1 << ROW_BITS) & (pairs <= job.rows >> 1) & (rows_left != 0)
                          & (rows_left == (job.rows[:ROW_BITS] - ((pairs[:ROW_BITS] - ~job.rows[0]) << 1)))))
    b.invariant(~dense | (inside("_output:before") == 0) & (job.nnz % b.dut._config.beat_tokens == 0))
    b.invariant(~(dense & settled[0]) | checked.ends.all())
    b.invariant(~(dense & settled[1]) | Cat(
        *(value == gap for value in placed.chunks), *(value == position for value in placed.position)).all())
    b.invariant(~dense | (settled == 0) | settled[0])


def any_of(values) -> Value:
    return Cat(values).any()


CLAIM = ("every row end of a job leaves once, in order, in the chunk and at the position of its pointer, "
         "those from the first wrong pointer on behind the last entry, and each wrong one is reported; dense "
         "rows leave as many as there are; idle means nothing held; the output is stable")
FAULT = Fault("distances are counted from the job's start", "_output:before", lambda value, inside: Const(0))

PROOFS = (
    Proof("row_pointers", "RowPointers", CLAIM, lambda: RowPointers(WIDE_PORT), _row_pointers, FAULT,
          depth=10, cover=14, solver="bitwuzla"),
    Proof("row_pointers_single", "RowPointers", f"{CLAIM}; one pointer a chunk", lambda: RowPointers(SMALL),
          _row_pointers, FAULT, depth=10, cover=14, solver="bitwuzla"),
)
