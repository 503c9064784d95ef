"""Proofs that what an output stream offers stays until it is taken, block by block."""

from collections.abc import Callable
from dataclasses import replace

from amaranth.hdl import Cat, Const, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.chain import ChainStage
from hdl.collector_control import CollectorControl
from hdl.csr_spool import CsrSpool
from hdl.dealer import ParameterRecords
from hdl.dense_loader import DenseLoader
from hdl.descriptor_reader import DescriptorReader
from hdl.emitter import Emitter
from hdl.finisher import Finisher
from hdl.ones import Ones
from hdl.pair_packer import PairPacker
from hdl.pe_front import PeFront
from hdl.row_pointers import RowPointers
from hdl.row_queue import RowQueue
from hdl.row_totals import RowTotals
from hdl.run_tracker import RunTracker
from hdl.sparse_rows import SparseRows
from hdl.splitter import ChunkSplitter
from hdl.token_join import TokenJoin

from .bench import Bench, Proof
from .checks import levels, moves, stable, steady
from .configs import PAIRS, SMALL
from .inside import Fault
from .rows import rows_after_the_sweep

__all__ = ["PROOFS", "output_streams"]

TWO_BEATS = replace(SMALL, lanes=32, port_bytes=64)
"""A descriptor is two beats."""

EIGHT_BEATS = replace(SMALL, lanes=8, port_bytes=16)
"""A descriptor is eight beats."""

SPARSE = replace(SMALL, csr_out=True)
"""Of packed rows only words that got a sum leave."""


def _streams(component: wiring.Component, flow) -> list:
    """The streams of a block that go one way, arrays one by one; those always taken are left out."""
    found = []

    def visit(value, member) -> None:
        if member.dimensions:
            for element in value:
                visit(element, wiring.Member(member.flow, member.signature))
        elif isinstance(member.signature, stream.Signature) and not member.signature.always_ready:
            found.append(value)

    for name, member in component.signature.members.items():
        if member.is_signature and member.flow == flow:
            visit(getattr(component, name), member)
    return found


def output_streams(component: wiring.Component) -> list:
    """Streams that the block offers."""
    return _streams(component, Out)


def _stays(b: Bench) -> None:
    """All streams of the block; plans and jobs that its contract calls constant are constant."""
    steady(b, *_streams(b.dut, In))
    for name in ("i_plan", "i_place", "i_group_log2", "i_owner", "i_own_words"):
        if name in b.dut.signature.members:
            port = getattr(b.dut, name)
            shape = b.dut.signature.members[name].shape
            b.drive(port, b.constant(shape, f"constant_{name}"))
    stable(b, *output_streams(b.dut))
    levels(b)


def _proof(block: type, make: Callable[[], wiring.Component], fault: Fault, *, extra=None, **how) -> Proof:
    """The proof of one block; `extra` states what else its contract asks of its inputs."""
    def state(b: Bench) -> None:
        _stays(b)
        if extra is not None:
            extra(b)

    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in block.__name__)
    return Proof(f"offers{name}", block.__name__, "all output streams are stable", make, state, fault, **how)


def _beats_find_room(b: Bench) -> None:
    """Beats come only where `o_room` has said so (proof `front_room`); they lie one behind the other."""
    held, behind = Signal(range(SMALL.queue_beats + 1)), Signal(range(SMALL.queue_beats + 1))
    b.m.d.comb += [behind.eq(b.inside("_waiting") - b.inside("_taken")), held.eq(behind + b.inside("_valid"))]
    b.assume(~b.inside("puts") | (held < SMALL.queue_beats))
    read, write = b.inside.places("tokens")
    ahead, _ = b.inside.places("controls")
    b.invariant(held <= SMALL.queue_beats)
    b.invariant(b.inside("_waiting") <= SMALL.queue_beats)
    b.invariant(~b.inside("_taken") | (b.inside("_valid") & (b.inside("_waiting") != 0)))
    b.invariant((write - ahead)[:len(ahead)] == behind[:len(ahead)])
    b.invariant(~b.inside("_valid") | ((ahead - read)[:len(ahead)] == 1))


def _starts_before_chunks(b: Bench) -> None:
    """A job starts before its first chunk is on offer."""
    b.assume(~(b.dut.i_start & b.dut.i.valid))


def _jobs_are_taken(b: Bench) -> None:
    """A job's last chunk leaves when its readers' jobs have been taken: each of its words needed them."""
    block, state = b.dut, b.inside.state
    reads = block.o_earlier_job.valid | block.o_parameter_job.valid
    b.assume(~block.i_finished | ~reads)
    at_work = state("START") | state("RUN")
    b.invariant(~reads | at_work)
    b.invariant(~block.o_write_job.valid | at_work | state("DRAIN"))


def _starts_before_words(b: Bench) -> None:
    """A job starts before the first word of any chain is on offer."""
    for source in b.dut.i:
        b.assume(~(b.dut.i_start & source.valid))
    turn = b.inside("turn")
    b.invariant((turn != 0) & ((turn & (turn - 1)) == 0))


def _starts_when_all_is_given(b: Bench) -> None:
    """A job starts when nothing of the last one is left."""
    b.assume(~(b.dut.i_start & b.dut.o.valid))


def _starts_when_all_is_written(b: Bench) -> None:
    """A job starts when the last one's write job was taken."""
    b.assume(~b.dut.i_start | ~b.dut.o_write_job.valid)
    selected = b.inside("selected")
    b.invariant((selected & (selected - 1)) == 0)


def _starts_when_idle(b: Bench) -> None:
    """Reads begin when the reader is idle."""
    block, asked = b.dut, Signal(8)
    b.assume(~block.i_start | block.o_idle)
    b.invariant(~block.o_request.valid | b.inside("active"))
    # Beats come when they were asked for.
    b.m.d.sync += asked.eq(asked + Mux(moves(block.o_request), block.o_request.p.beats + 1, 0)
                           - block.i_beat.valid)
    b.assume(~block.i_beat.valid | (asked != 0))


def _chunks_after_their_job(b: Bench) -> None:
    """Chunks come when their read job was taken, up to the last one."""
    block, due = b.dut, Signal()
    with b.m.If(moves(block.o_read_job)):
        b.m.d.sync += due.eq(1)
    with b.m.Elif(moves(block.i) & block.i.p.last):
        b.m.d.sync += due.eq(0)
    b.assume(~block.i.valid | due)
    busy, held, ended = b.inside("_busy"), b.inside("_held"), b.inside("last_out")
    offered = block.o_read_job.valid
    b.invariant(~due | (busy & ~offered & ~ended & ~(held & b.inside("_last"))))
    b.invariant(~offered | (busy & ~held & ~due & ~ended))
    b.invariant(~held | (busy & ~ended))
    b.invariant(~ended | busy)


def _one_word_at_a_time(b: Bench) -> None:
    """There are sums of one word to be shown; and as each word is that of the last read, no read may come
    while it waits."""
    block = b.dut
    words = [item.valid & item.p.touched for item in block.o]
    b.check(~(words[0] & words[1]))
    waits = Cat(word & ~item.ready for word, item in zip(words, block.o, strict=True)).any()
    b.check(~(waits & block.o_drain.valid & block.o_swept))
    rows_after_the_sweep(b)
    b.invariant(block.o_swept | ~Cat(words).any())


def _deaf(path: str = "o") -> Fault:
    """The fault that the block takes what it offers for taken."""
    return Fault("a stalled element counts as taken", f"{path}.ready",
                 lambda value, inside: Const(1), reads=True)


PROOFS = (
    _proof(ChainStage, lambda: ChainStage(SMALL), _deaf()),
    _proof(RowQueue, lambda: RowQueue(SPARSE),
           Fault("an item is dealt to a chain that stalls", "can", lambda value, inside: Const(1)),
           extra=_one_word_at_a_time),
    _proof(PeFront, lambda: PeFront(SMALL), _deaf(), extra=_beats_find_room),
    _proof(TokenJoin, lambda: TokenJoin(SMALL), _deaf()),
    _proof(RowPointers, lambda: RowPointers(SMALL), _deaf()),
    _proof(DenseLoader, lambda: DenseLoader(SMALL), _deaf("o_read_job"), extra=_chunks_after_their_job),
    _proof(DescriptorReader, lambda: DescriptorReader(TWO_BEATS), _deaf(), extra=_starts_when_idle),
    _proof(ParameterRecords, lambda: ParameterRecords(SMALL), _deaf(), extra=_starts_before_chunks),
    _proof(Finisher, lambda: Finisher(SMALL), _deaf()),
    _proof(ChunkSplitter, lambda: ChunkSplitter(2 * SMALL.port_bytes, SMALL.port_bytes), _deaf()),
    _proof(Emitter, lambda: Emitter(SMALL), _deaf()),
    # Every step of the plan is calculated anew in every cycle: k covers them.
    _proof(CollectorControl, lambda: CollectorControl(SMALL), _deaf("o_earlier_job"), extra=_jobs_are_taken,
           induction=5),
    _proof(SparseRows, lambda: SparseRows(PAIRS), _deaf(), extra=_starts_before_words),
    _proof(Ones, lambda: Ones(SMALL.beat_tokens), _deaf(), extra=_starts_when_all_is_given),
    _proof(PairPacker, lambda: PairPacker(PAIRS), _deaf()),
    _proof(RowTotals, lambda: RowTotals(PAIRS), _deaf()),
    _proof(RunTracker, lambda: RunTracker(PAIRS, 4), _deaf()),
    _proof(CsrSpool, lambda: CsrSpool(PAIRS), _deaf("o_write_job"), extra=_starts_when_all_is_written),
)
