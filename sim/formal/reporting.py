"""Proof of whose fault the report says it is."""

from amaranth.hdl import Const, Mux, Signal

from hdl.fault_report import FaultReport
from hdl.status import AT_WORK_BITS

from .bench import Bench, Proof
from .configs import PAIRS
from .inside import Fault

__all__ = ["PROOFS"]


def _fault_report(b: Bench) -> None:
    """Follows the tile loader's number, with and without other causes."""
    report, m = b.dut, b.m
    error, named = report.o.error, report.o.valid
    head = report.i_number[:AT_WORK_BITS]
    b.check(~named | report.i_running)

    # ---- whose number ----
    before = Signal.like(report.i_number)
    m.d.comb += before.eq(report.i_number - error.descriptor)
    first = report.i_bad_registers | report.i_list_outside | b.past(
        report.i_read_error.valid & (report.i_read_error.reader != 0), "read_error")
    written = ~first & report.i_write_error
    b.check(~named | Mux(written, error.descriptor == report.i_completed, before < 1 << AT_WORK_BITS))

    # ---- the tile loader's, if it is the first cause ----
    tile, of_fetch, of_tile = Signal(AT_WORK_BITS), report.i_faults[0], report.i_faults[1]
    with m.If(report.i_tile_taken):
        m.d.sync += tile.eq(head)
    loads = report.i_running & ~first & ~written & ~of_fetch.valid & of_tile.valid
    b.check(~loads | (named & (error.code == of_tile.code) & (error.address == report.i_fault_addresses[1])
                      & (error.descriptor[:AT_WORK_BITS] == tile)))
    b.invariant(b.inside("#tile") == tile)
    b.cover(loads & (tile == 3) & (head == 0))
    b.cover(loads & report.i_refused & (report.i_number == 1 << AT_WORK_BITS))


PROOFS = (
    Proof("fault_report", "FaultReport",
          "a fault's descriptor is the head or one of the three before it, after a write error the first "
          "that is not complete; the tile loader's is that of the job it took last; nothing is reported when "
          "no job runs",
          lambda: FaultReport(PAIRS), _fault_report,
          Fault("which tile is loaded is not noted", "#tile", lambda value, inside: Const(0)), quick=True),
)
