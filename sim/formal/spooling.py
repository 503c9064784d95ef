"""Proof of the order of the three arrays of a CSR result on their way to the writer."""

from amaranth.hdl import Cat, Const, Mux, Signal

from hdl.csr_spool import BLOCK_BEATS, CsrSpool

from .bench import Bench, Proof
from .checks import Marked, levels, moves, stable, steady
from .configs import PAIRS
from .inside import Fault

__all__ = ["PROOFS"]

ARRAYS = ("pointers", "indices", "values")


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


PROOFS = tuple(_proof(which) for which in range(len(ARRAYS)))
