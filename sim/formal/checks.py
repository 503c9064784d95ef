"""Properties that many blocks share: stable streams, and elements that are neither lost nor doubled."""

from amaranth.hdl import Cat, Mux, Signal, Value, ValueCastable
from amaranth.lib import data

from hdl.block_queue import BlockQueue
from hdl.layouts import ChainWord
from hdl.queue import Queue
from hdl.row_queue import RowItem

from .bench import Bench
from .configs import SMALL

__all__ = ["Beats", "Marked", "flat", "levels", "moves", "stable", "steady"]


def flat(payload) -> Value:
    """What a payload means as one value: without data of absent lanes, and indices of words without any."""
    shape = payload.shape() if isinstance(payload, data.View) else None
    if shape == RowItem(SMALL):
        return Cat(payload.touched, Mux(payload.touched, payload.word, 0), payload.last)
    if shape == ChainWord(SMALL):
        lanes = zip(payload.valid, payload.data, strict=True)
        index = Mux(payload.last & ~payload.valid.any(), 0, payload.word)
        return Cat(index, payload.valid, payload.last, *(Mux(valid, value, 0) for valid, value in lanes))
    return payload.as_value() if isinstance(payload, ValueCastable) else Value.cast(payload)


def moves(stream) -> Value:
    """An element passes in this cycle."""
    return stream.valid & stream.ready


def _holds(b: Bench, stream, name: str):
    """1 unless the stream was stalled and changed what it offered."""
    stalled = b.past(stream.valid & ~stream.ready, f"{name}_stalled")
    before = b.past(flat(stream.payload), f"{name}_before")
    return ~stalled | (stream.valid & (flat(stream.payload) == before))


def stable(b: Bench, *streams) -> None:
    """Property: what an output stream offers stays until it is taken."""
    for number, stream in enumerate(streams):
        b.check(_holds(b, stream, f"output{number}"))
        b.cover(b.past(stream.valid & ~stream.ready, f"stall{number}") & stream.valid & stream.ready)


def steady(b: Bench, *streams) -> None:
    """Assumption: input streams do the same."""
    for number, stream in enumerate(streams):
        b.assume(_holds(b, stream, f"input{number}"))


def levels(b: Bench) -> None:
    """Invariant: the queues inside hold as many entries as their addresses are apart."""
    for path in (*b.inside.paths(Queue), *b.inside.paths(BlockQueue)):
        read, write = b.inside.places(f"{path}/memory")
        level = b.inside(f"{path}/level")
        b.invariant((write - read)[:len(read)] == level[:len(read)])
        b.invariant(level <= 1 << len(read))


class Marked:
    """Follows one element, whichever, from the input of a block to its output.

    In any cycle in which an element enters, the solver may mark it. `ahead` counts the elements that must
    leave before it. When its turn comes it must be the expected one. As every element can be the marked one,
    none is lost, doubled, changed or overtaken, provided `inside` stays within the block's room.

    Parameters
    ----------
    enters, leaves : conditions, one element each
    expected : what the entering element must look like when it leaves
    got : what leaves
    room : elements the block can hold

    Attributes
    ----------
    inside : elements in the block
    present : the marked one is among them
    ahead : elements that leave before it
    value : what it must look like
    """

    def __init__(self, b: Bench, enters, expected, leaves, got, room: int, name: str = "marked"):
        m = b.m
        expected, got = flat(expected), flat(got)
        self.inside = Signal(range(room + 2), name=f"{name}_inside")
        self.present, self.once = Signal(name=f"{name}_present"), Signal(name=f"{name}_once")
        self.ahead = Signal(range(room + 2), name=f"{name}_ahead")
        self.value = Signal(len(expected), name=f"{name}_value")
        choose = b.free(1, f"{name}_choose")
        marks, its_turn = Signal(name=f"{name}_marks"), Signal(name=f"{name}_turn")
        m.d.comb += [marks.eq(enters & choose & ~self.once), its_turn.eq(self.present & (self.ahead == 0))]
        m.d.sync += self.inside.eq(self.inside + enters - leaves)
        with m.If(marks):
            m.d.sync += [self.present.eq(1), self.once.eq(1), self.value.eq(expected),
                         self.ahead.eq(self.inside - leaves)]
        with m.Elif(leaves & its_turn):
            m.d.sync += self.present.eq(0)
        with m.Elif(leaves & self.present):
            m.d.sync += self.ahead.eq(self.ahead - 1)
        # Nothing leaves that has not entered, and nothing more enters than the block can hold.
        b.check(~leaves | (self.inside != 0))
        b.check(self.inside <= room)
        b.check(~(leaves & its_turn) | (got == self.value))
        b.invariant(~self.present | self.once)
        b.invariant(~self.present | (self.ahead < self.inside))
        b.cover(leaves & its_turn & (self.inside > (room > 1)))


def prompt(b: Bench, inside, stream, cycles: int, name: str = "late") -> Signal:
    """Property: what is inside is on offer at most so many cycles after it could have been; the cycles so
    far."""
    late = Signal(range(cycles + 2), name=name)
    b.m.d.sync += late.eq(Mux((inside != 0) & ~stream.valid, late + 1, 0))
    b.check(late <= cycles)
    return late


class Beats:
    """An output of beats of up to `size` things, in order; what waits for a full beat is inside.

    Attributes
    ----------
    left : things that left
    offered : of the beat on offer
    made : those that left, are on offer, or wait
    """

    def __init__(self, b: Bench, output, things, waiting, fill, bits: int, name: str):
        self._b, self._stream, self._things, self._waiting = b, output, things, waiting
        self.left = Signal(bits, name=f"{name}_left")
        self.offered = Mux(output.valid, output.p.count, 0)
        self.made = self.left + self.offered + fill
        with b.m.If(moves(output)):
            b.m.d.sync += self.left.eq(self.left + output.p.count)

    def are(self, known, number, value: Value) -> None:
        """Property: the thing of that number looks so. Invariant: while it waits, too."""
        b, output = self._b, self._stream
        for slot, thing in enumerate(self._things):
            here = output.valid & known & (output.p.count > slot) & (self.left + slot == number)
            b.check(~here | (thing == value))
            waits = known & (number < self.made) & (number == self.left + self.offered + slot)
            b.invariant(~waits | (Value.cast(self._waiting[slot]) == value))
