"""Proofs of the blocks that start, stop and count jobs."""

from amaranth.hdl import Const, Signal

from hdl.control import ControlPort
from hdl.counters import Counters
from hdl.registers import COUNTERS
from hdl.supervisor import Supervisor

from .bench import Bench, Proof
from .checks import moves
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS"]


def _supervisor(b: Bench) -> None:
    """One end for every start; a reset of the array only behind a closed, quiet memory port."""
    block, m = b.dut, b.m
    b.assume(~block.i_start | ~block.o_status.busy)
    # `guard_protocol`: once quiet under `o_close`, quiet it stays.
    was_quiet = b.past(block.i_quiet & block.o_close, "was_quiet")
    b.assume(~(was_quiet & block.o_close) | block.i_quiet)
    b.check(~block.o_reset | (block.o_close & block.i_quiet & was_quiet))
    # Jobs: begun and not over. A soft reset ends one without a word.
    running, forgets = Signal(), Signal()
    with m.If(block.o_finished | block.o_cleared):
        m.d.sync += running.eq(0)
    with m.If(block.i_start):
        m.d.sync += running.eq(1)
    with m.If(block.o_cleared):
        m.d.sync += forgets.eq(0)
    with m.If(block.i_reset):
        m.d.sync += forgets.eq(1)
    b.check(~block.o_finished | running)
    b.check(~(block.o_finished & block.o_cleared))
    b.check(block.o_status.busy == (running | forgets))
    b.check(~block.o_cleared | forgets)
    # The array never starts a second job before it was reset, or had finished the first.
    works = Signal()
    with m.If(block.o_reset | (block.o_finished & ~block.o_close)):
        m.d.sync += works.eq(0)
    with m.If(block.o_start):
        m.d.sync += works.eq(1)
    b.check(~(block.o_start & block.o_close))
    b.check(~(block.o_start & works))
    # What the array looks at before a start is in registers: they have seen it since the reset.
    was_reset = b.past(block.o_reset, "was_reset")
    b.check(~(block.o_start & was_reset))
    resetting = Const(0)        # the reset is on its way
    if block._late_reset:
        b.check(~(block.o_start & b.past(was_reset, "was_reset_late")))
        resetting = b.inside.state("RESETTING")
        b.invariant((resetting == was_reset) & (b.inside.state("RESET") == block.o_reset))
        b.invariant(~resetting | ~works)
    b.invariant((running == b.inside("_busy")) & (forgets == b.inside("_forget")))
    b.invariant(~(works & b.inside.state("OPEN")) | running)
    b.invariant(~(works & (b.inside.state("BEGIN") | b.inside.state("SETTLE"))))
    b.invariant(~b.inside.state("OPEN") | ~was_reset)
    # A job that was started meanwhile waits only where the one before is over; or for the reset alone.
    waits, over, state = b.inside("waits"), b.inside("over"), b.inside.state
    alone = state("SETTLE") & int(block._late_reset)
    b.invariant(~waits | (running & (over | alone)
                          & (state("STUCK") | state("RESET") | resetting | state("SETTLE"))))
    b.invariant(~(state("STUCK") | state("LATE")) | over)
    b.invariant(~state("CLOSING") | (~over & (running | forgets)))
    b.invariant(~state("RESET") | over | running | forgets)
    b.invariant(~state("BEGIN") | running)
    b.cover(block.o_reset & running)
    b.cover(block.o_finished & block.o_close & ~block.o_reset)
    b.cover(block.o_start & ~block.i_start)


def _windows_hold(b: Bench) -> None:
    """The windows of the memory guard stay while anything may be outstanding."""
    port = b.dut
    locked = b.past(port.i_status.busy | port.i_status.closing, "locked")
    before = b.past(port.o_windows, "before")
    # After a reset the register of the past holds no windows.
    known = b.past(Const(1), "known")
    b.check(~(known & locked) | (port.o_windows == before))
    b.cover(known & ~locked & (port.o_windows.write.base != before.write.base))
    refused = b.past(moves(port.bus.b) & (port.bus.b.p.response == 2), "refused")
    b.cover(refused & locked)


def _counters(b: Bench) -> None:
    """When `cycles` goes on, one cause goes on with it; none otherwise."""
    counters = b.dut
    causes = [counters.o[f"count_{name}"] for name, _ in COUNTERS]
    b.check(counters.o.cycles == sum(causes))
    b.check(sum(causes) <= 1)
    b.cover(causes[0] & b.past(causes[1], "before"))


PROOFS = (
    Proof("supervisor", "Supervisor",
          "every start has one end, an interrupt unless it was a soft reset; the array is reset only "
          "while the memory port is closed and nothing is outstanding, and starts no job before the one "
          "before has ended",
          Supervisor, _supervisor,
          Fault("the array is reset with transfers outstanding", "i_quiet",
                lambda value, inside: Const(1), reads=True),
          induction=3, quick=True),
    Proof("supervisor_late", "Supervisor", "the same where the array hears of its reset a cycle later",
          lambda: Supervisor(late_reset=True), _supervisor,
          Fault("the array is reset with transfers outstanding", "i_quiet",
                lambda value, inside: Const(1), reads=True),
          induction=3, quick=True),
    Proof("windows_hold", "ControlPort",
          "the memory windows do not change while a job runs or the memory port is being closed",
          lambda: ControlPort(SMALL), _windows_hold,
          Fault("the end of a job unlocks them at once", "i_status.closing",
                lambda value, inside: Const(0), reads=True),
          induction=1, quick=True),
    Proof("counters", "Counters",
          "in every cycle of a job exactly one cause is counted",
          lambda: Counters(SMALL), _counters,
          Fault("a cycle with another cause counts for the last one, too", "step",
                lambda value, inside: inside("elaborate:running")),
          induction=2, quick=True),
)
