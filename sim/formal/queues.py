"""Proofs of the queues."""

from amaranth.hdl import Const, Mux, Signal

from hdl.block_queue import BlockQueue
from hdl.head_queue import HeadQueue
from hdl.queue import Queue
from hdl.register_slice import RegisterSlice
from hdl.serial_queue import QUEUE_WORDS, SerialQueue
from hdl.skid import Skid

from .bench import Bench, Proof
from .checks import Marked, moves, prompt, stable
from .inside import Fault

__all__ = ["PROOFS"]

DEPTH = 4
BITS = 3
SPARE_WORDS = 16


def _queue(b: Bench) -> None:
    queue = b.dut
    marked = Marked(b, moves(queue.i), queue.i.p, moves(queue.o), queue.o.p, DEPTH)
    stable(b, queue.o)
    prompt(b, marked.inside, queue.o, 0)
    b.check(queue.level == marked.inside)
    b.check(queue.i.ready == (marked.inside != DEPTH))
    b.cover(queue.level == DEPTH)
    read, write = b.inside.places("memory")
    b.invariant((write - read)[:len(read)] == marked.inside[:len(read)])
    place = Signal.like(read)
    b.m.d.comb += place.eq(read + marked.ahead)
    b.invariant(~marked.present | (b.inside.word("memory", place) == marked.value))


def _block_queue(b: Bench) -> None:
    queue = b.dut
    marked = Marked(b, moves(queue.i), queue.i.p, moves(queue.o), queue.o.p, DEPTH + 1)
    stable(b, queue.o)
    prompt(b, marked.inside, queue.o, 1)
    level = b.inside("level")
    b.check(queue.i.ready | (marked.inside >= DEPTH))
    # A freed place is free in the next cycle: users count on it.
    freed = b.past(queue.o_freed, "freed")
    b.check(~freed | queue.i.ready)
    b.cover(~queue.i.ready)
    read, write = b.inside.places("memory")
    b.invariant(marked.inside == level + queue.o.valid)
    b.invariant((write - read)[:len(read)] == level[:len(read)])
    place, at_output = Signal.like(read), Signal()
    b.m.d.comb += [
        at_output.eq(queue.o.valid & (marked.ahead == 0)),
        place.eq(read + marked.ahead - queue.o.valid),
    ]
    b.invariant(~(marked.present & at_output) | (queue.o.p == marked.value))
    b.invariant(~marked.present | at_output | (b.inside.word("memory", place) == marked.value))


def _head_queue(b: Bench, in_block_ram: bool) -> None:
    queue = b.dut
    marked = Marked(b, moves(queue.i), queue.i.p, moves(queue.o), queue.o.p, DEPTH + 2 + in_block_ram)
    stable(b, queue.o)
    late = prompt(b, marked.inside, queue.o, int(in_block_ram))
    waits, waiting = b.inside("head/o_waits"), b.inside("head/waiting")
    read_ahead = b.inside("behind/o.valid") if in_block_ram else Const(0)
    b.check(queue.level + read_ahead + queue.o.valid + waits == marked.inside)
    b.check(queue.i.ready == (queue.level != DEPTH))
    b.cover(queue.level == DEPTH)
    read, write = b.inside.places("behind/memory")
    b.invariant((write - read)[:len(read)] == queue.level[:len(read)])
    if in_block_ram:
        b.invariant((late == 0) | queue.o.valid)
        b.invariant((queue.level == 0) | read_ahead | (queue.o.valid & (queue.level == 1)))
    else:
        b.invariant((queue.level == 0) | queue.o.valid)
    b.invariant((queue.level <= DEPTH) & (~waits | queue.o.valid))
    place, at_output, second, third = Signal.like(read), Signal(), Signal(), Signal()
    b.m.d.comb += [at_output.eq(queue.o.valid & (marked.ahead == 0)), second.eq(waits & (marked.ahead == 1)),
                   third.eq(read_ahead & (marked.ahead == queue.o.valid + waits)),
                   place.eq(read + marked.ahead - queue.o.valid - waits - read_ahead)]
    b.invariant(~(marked.present & at_output) | (queue.o.p == marked.value))
    b.invariant(~(marked.present & second) | (waiting == marked.value))
    if in_block_ram:
        b.invariant(~(marked.present & third) | (b.inside("behind/o.p") == marked.value))
    b.invariant(~marked.present | at_output | second | third
                | (b.inside.word("behind/memory", place) == marked.value))


def _skid(b: Bench) -> None:
    """Nothing is assumed of the input: what was offered once is kept."""
    skid = b.dut
    # What passes in its cycle is not followed: it is what came.
    passes = moves(skid.o) & ~skid.o_held
    b.check(~passes | (moves(skid.i) & (skid.o.p == skid.i.p)))
    marked = Marked(b, moves(skid.i) & ~passes, skid.i.p, moves(skid.o) & ~passes, skid.o.p, 1)
    stable(b, skid.o)
    b.check(skid.o.valid == (skid.i.valid | (marked.inside != 0)))
    b.cover(~skid.i.ready & moves(skid.o))
    b.invariant((marked.inside == skid.o_held) & (b.inside("room") == ~skid.o_held))
    b.invariant(~marked.present | (skid.o.p == marked.value))


def _register_slice(b: Bench) -> None:
    """Nothing is assumed of the input, which may take an offer back."""
    block = b.dut
    marked = Marked(b, moves(block.i), block.i.p, moves(block.o), block.o.p, 2)
    stable(b, block.o)
    prompt(b, marked.inside, block.o, 0)
    b.check(block.i.ready == (marked.inside != 2))
    b.cover(~block.i.ready & moves(block.o))
    b.invariant(marked.inside == block.o.valid + block.o_waits)
    b.invariant(~block.o_waits | block.o.valid)
    b.invariant(~marked.present | (marked.value == Mux(marked.ahead == 0, block.o.p, b.inside("waiting"))))


def _serial_queue(b: Bench) -> None:
    """Nobody writes where there is no room, or takes what is not there; nothing is cleared, as by a reset."""
    queue, room = b.dut, QUEUE_WORDS - 1
    b.drive(queue.i_clear, Const(0))
    marked = Marked(b, queue.i_write, queue.i_data, queue.i_pop, queue.o_data, room)
    b.assume(~queue.i_write | (marked.inside != room))
    b.assume(~queue.i_pop | queue.o_valid)
    b.check(~queue.o_valid | (marked.inside != 0))
    b.check(queue.o_empty == (marked.inside == 0))
    late = b.past((marked.inside != 0) & ~queue.o_valid, "late")
    b.check(~late | queue.o_valid | (marked.inside == 0))
    before = b.past(marked.inside, "before")
    b.check(~queue.o_room | (before + SPARE_WORDS < QUEUE_WORDS))
    # Block RAM gives no promise for a word that is read in the cycle in which it is written.
    read, write = b.inside.places("memory")
    b.check(~(b.inside("read.en") & queue.i_write & (read == write)))
    b.cover(queue.i_pop & queue.i_write & (marked.inside == 1))
    first, free = b.inside("first"), b.inside("free")
    b.invariant((free - first)[:len(first)] == marked.inside[:len(first)])
    place = Signal.like(first)
    b.m.d.comb += place.eq(first + marked.ahead)
    b.invariant(~marked.present | (b.inside.word("memory", place) == marked.value))
    b.invariant(~(marked.present & queue.o_valid & (marked.ahead == 0)) | (queue.o_data == marked.value))


PAST = Fault("an entry goes past those in the memory", "straight",
             lambda value, inside: inside("head/i.ready"))
PROOFS = (
    Proof("queue", "Queue",
          "every entry leaves once, in order, unchanged, and is offered the next cycle; `level` is right; "
          "the output is stable",
          lambda: Queue(BITS, DEPTH), _queue,
          Fault("an entry is taken while full", "i.ready", lambda value, inside: Const(1)), quick=True),
    Proof("head_queue", "HeadQueue",
          "every entry leaves once, in order, unchanged, and is offered the next cycle; `level` is right; "
          "the output is stable",
          lambda: HeadQueue(BITS, DEPTH), lambda b: _head_queue(b, False), PAST, quick=True),
    Proof("head_queue_block", "HeadQueue",
          "in block RAM: every entry leaves once, in order, unchanged, and is offered a cycle later at most; "
          "`level` is right; the output is stable",
          lambda: HeadQueue(BITS, DEPTH, in_block_ram=True), lambda b: _head_queue(b, True), PAST),
    Proof("register_slice", "RegisterSlice",
          "every entry leaves once, in order, unchanged, and is offered the next cycle; two have room; the "
          "output is stable",
          lambda: RegisterSlice(BITS), _register_slice,
          Fault("what cannot leave at once is lost", "o_waits", lambda value, inside: Const(0)), quick=True),
    Proof("block_queue", "BlockQueue",
          "every entry leaves once, in order, unchanged, and is offered two cycles later; `o_freed` means "
          "room; the output is stable",
          lambda: BlockQueue(BITS, DEPTH), _block_queue,
          Fault("a read does not wait for the output", "read.en",
                lambda value, inside: inside("level") != 0),
          induction=2, quick=True),
    Proof("serial_queue", "SerialQueue",
          "every word leaves once, in order, unchanged, and is at the head two cycles after it came; empty "
          "means none, and room means room; no word is read in the cycle in which it is written",
          lambda: SerialQueue(SPARE_WORDS), _serial_queue,
          Fault("the head is read again though it is the last one and is taken", "read.en",
                lambda value, inside: inside("some"))),
    Proof("skid", "Skid",
          "every entry leaves once, in order, unchanged, in the cycle in which it comes if it is taken; the "
          "output is stable",
          lambda: Skid(BITS), _skid,
          Fault("an entry is taken while another one waits", "i.ready", lambda value, inside: Const(1)),
          quick=True),
)
