"""Begins and ends jobs, whatever happens in between: the one block that a fault in the array cannot stop."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .registers import ErrorCode
from .status import JobStatus, Report

__all__ = ["Supervisor"]

WATCHDOG_BITS = 32


class Supervisor(wiring.Component):
    """Keeps a job's status, and stops a job that may not go on.

    A job that ends by itself costs nothing here. A fault, an abort, a soft reset or a watchdog that has
    seen nothing move for `i_watchdog` cycles closes the memory port; when all transfers are complete the
    array is reset, and the job is over. Should nothing move for as many cycles before they are, the job is
    over all the same; then the array stays closed until they are complete, and a job started meanwhile waits
    for that, watched by the watchdog as any other.

    Throughput: one job at a time.
    Latency: none from `i_start` to `o_start` and from `i_finished` to `o_finished` of a good job; a stop
        closes the port one cycle after its cause, a report of the array one later, and is over three cycles
        after the last transfer.
    Backpressure: none.
    Order: the first cause in time counts; of one cycle: soft reset, abort, the array's report, watchdog.

    Parameters
    ----------
    late_reset : the array hears of `o_reset` a cycle later

    Members
    -------
    i_start : pulse, a job begins; not while busy
    i_abort, i_reset : pulses; an abort without a job does nothing
    i_watchdog : cycles without movement that a job may take; 0: any number
    i_report : Report of the array
    i_finished : pulse, the job's end
    i_completed : pulse, all of a descriptor's results are in memory
    i_overflow : an addition wrapped
    i_moves : something moves: memory port or lanes
    i_quiet : nothing is outstanding at the memory port
    o_start : pulse, to the array
    o_close : closes the memory port
    o_reset : resets the array
    o_finished : pulse, the job is over; not after a soft reset
    o_cleared : pulse, a soft reset is over
    o_status : JobStatus; `busy` from the cycle after `i_start` to that of `o_finished`; what it says of the
        job before is gone a cycle later, and nothing may be complete in that one
    """

    def __init__(self, *, late_reset: bool = False):
        self._late_reset = late_reset
        super().__init__({
            "i_start": In(1),
            "i_abort": In(1),
            "i_reset": In(1),
            "i_watchdog": In(WATCHDOG_BITS),
            "i_report": In(Report()),
            "i_finished": In(1),
            "i_completed": In(1),
            "i_overflow": In(1),
            "i_moves": In(1),
            "i_quiet": In(1),
            "o_start": Out(1),
            "o_close": Out(1),
            "o_reset": Out(1),
            "o_finished": Out(1),
            "o_cleared": Out(1),
            "o_status": Out(JobStatus()),
        })

    def elaborate(self, platform):
        m = Module()
        status = self.o_status
        self._expired = Signal()
        self._abort, self._forget = Signal(), Signal()  # asked for; the latter leaves no trace of the job
        self._stopped, self._ended = Signal(), Signal()
        self._watches, self._reported = Signal(), Signal()  # a job may be stopped; the array has a report
        self._report = Signal(Report())   # of the cycle before: many causes are behind it
        self._busy = Signal()
        over = Signal()        # the stopped job has ended for the host; its transfers have not
        waits = Signal()       # a job was started meanwhile
        self._watchdog(m)
        # No job is started in the midst of a soft reset.
        m.d.comb += [status.closing.eq(self.o_close), status.busy.eq(self._busy | self._forget)]
        # An abort or the watchdog name the first descriptor that is not complete: one that ends with them
        # does not count. A report has looked at what is complete already; what ends behind a failed write is
        # the descriptor that it names.
        counts = Signal()
        m.d.comb += counts.eq(self.i_completed & (~self._stopped | (
            self._report.valid & ~self._abort & (self._report.error.code != ErrorCode.WRITE_BUS))))
        with m.If(status.busy & ~self.o_close):
            m.d.sync += status.overflow.eq(status.overflow | self.i_overflow)
            # It comes late: an enable, not an operand.
            with m.If(counts):
                m.d.sync += status.completed.eq(status.completed + 1)
        with m.If(~status.busy):
            m.d.sync += self._abort.eq(0)

        # With the state RESET, and only then; a register, as it goes everywhere.
        m.d.sync += self.o_reset.eq(0)
        with m.FSM():
            with m.State("OPEN"):
                m.d.comb += [self._watches.eq(1), self._reported.eq(self._report.valid),
                             self.o_start.eq(self.i_start)]
                m.d.sync += over.eq(0)
                with m.If(self._stopped):
                    m.next = "CLOSING"
                with m.Elif(status.busy & self.i_finished & ~self.i_report.valid):
                    self._end(m)
            with m.State("CLOSING"):
                m.d.comb += self.o_close.eq(1)
                with m.If(self.i_quiet):
                    m.d.sync += self.o_reset.eq(1)
                    m.next = "RESET"
                with m.Elif(self._expired):
                    self._end(m)
                    m.d.sync += over.eq(1)
                    m.next = "STUCK"
            with m.State("STUCK"):
                m.d.comb += [self.o_close.eq(1), self._watches.eq(1)]
                m.d.sync += waits.eq((waits | self.i_start) & ~self._stopped)
                with m.If(self._stopped):
                    # What is seen of it in the next cycle is its end.
                    m.next = "LATE"
                with m.Elif(self.i_quiet):
                    m.d.sync += self.o_reset.eq(1)
                    m.next = "RESET"
            with m.State("LATE"):
                m.d.comb += self.o_close.eq(1)
                self._end(m)
                m.next = "STUCK"
            with m.State("RESET"):
                m.d.comb += self.o_close.eq(1)
                m.d.sync += waits.eq(waits | self.i_start)
                with m.If(~over):
                    self._end(m)
                m.next = "RESETTING" if self._late_reset else "SETTLE"
            if self._late_reset:
                with m.State("RESETTING"):
                    m.d.comb += self.o_close.eq(1)
                    m.d.sync += waits.eq(waits | self.i_start)
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                # What is looked at before a start is in registers, which the reset has cleared.
                m.d.comb += self.o_close.eq(1)
                m.d.sync += waits.eq(0)
                with m.If(waits | self.i_start):
                    m.next = "BEGIN"
                with m.Else():
                    m.next = "OPEN"
            with m.State("BEGIN"):
                m.d.comb += self.o_start.eq(1)
                m.next = "OPEN"

        with m.If(self.i_abort & status.busy):
            m.d.sync += self._abort.eq(1)
        with m.If(self.i_reset):
            m.d.sync += self._forget.eq(1)
        with m.If(self.i_start):
            m.d.sync += self._busy.eq(1)
        self._causes(m)
        return m

    def _watchdog(self, m: Module) -> None:
        """Counts cycles of a job in which nothing moves.

        That it begins again comes late, and goes into single bits: the counter does so a cycle later, with
        one less.
        """
        left, last = Signal(WATCHDOG_BITS), Signal()   # `last`: this cycle is the last one
        again, begun_again = Signal(), Signal()
        few, low = Signal(), self.i_watchdog[:2]       # fewer than 4: `low`
        m.d.comb += [
            self._expired.eq(self.o_status.busy & last & ~self.i_moves),
            few.eq(~self.i_watchdog[2:].any()),
            again.eq(~self.o_status.busy | self.i_moves | self._stopped | (few & (low == 0))),
        ]
        m.d.sync += [
            begun_again.eq(again),
            left.eq(Mux(begun_again, self.i_watchdog, left) - 1),
        ]
        with m.If(again):
            m.d.sync += last.eq(few & (low == 1))
        with m.Elif(begun_again):
            # Or 1, by now: the counter is past it.
            m.d.sync += last.eq(few & ((low == 1) | (low == 2)))
        with m.Else():
            m.d.sync += last.eq(left == 2)

    def _causes(self, m: Module) -> None:
        """What stops a job, and what is written down of it."""
        status, report, error = self.o_status, self._report, self.o_status.error
        m.d.sync += [report.eq(self.i_report), report.valid.eq(self.i_report.valid & ~self.o_close)]
        told = Signal()   # the cause is what the array reports
        begins = Signal() # a job, a cycle ago: what is written down is wide
        m.d.comb += [
            told.eq(self._reported & ~self._abort),
            self._stopped.eq(self._watches & (self._forget | (
                status.busy & (self._abort | self._reported | self._expired)))),
        ]
        m.d.sync += begins.eq(self.i_start | (self._ended & self._forget))
        with m.If(begins):
            m.d.sync += [status.completed.eq(0), status.overflow.eq(0), error.eq(0)]
        with m.If(self._stopped):
            m.d.sync += error.eq(report.error)
        with m.If(self._stopped & ~told):
            m.d.sync += [
                error.code.eq(Mux(self._abort, ErrorCode.ABORTED, ErrorCode.TIMEOUT)), error.detail.eq(0),
                error.descriptor.eq(status.completed), error.address.eq(0),
            ]

    def _end(self, m: Module) -> None:
        """The job is over."""
        m.d.comb += [self._ended.eq(1), self.o_finished.eq(~self._forget & self.o_status.busy),
                     self.o_cleared.eq(self._forget)]
        m.d.sync += [self._busy.eq(0), self._forget.eq(0)]
