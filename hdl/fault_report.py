"""Why a job may not go on, and which of its descriptors is to blame."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .axi import ID_BITS
from .config import ADDRESS_BITS, Config
from .descriptor_check import NOT_A_FIELD, Refusal
from .fetch import FETCH_READERS
from .guard import Blocked
from .layouts import CsrFull, Fault
from .read_port import ReadError
from .registers import ErrorCode
from .selectors import one_of
from .status import AT_WORK_BITS, COUNT_BITS, JobError, Report

__all__ = ["FaultReport", "fault_members"]

FAULT_SOURCES = 3
"""A fetch, tile loader, PEs."""

_FIRST_TILE_READER = 4


def fault_members(config: Config) -> dict[str, Any]:
    """What units and ports tell of faults: members of FaultReport, and of the command processor."""
    return {
        "i_completed": In(COUNT_BITS),
        "i_read_error": In(ReadError()),
        "i_read_address": In(ADDRESS_BITS),
        "i_write_error": In(1),
        "i_write_address": In(ADDRESS_BITS),
        "i_blocked": In(Blocked()),
        "i_faults": In(Fault()).array(FAULT_SOURCES),
        "i_fault_addresses": In(ADDRESS_BITS).array(2),
        "i_fetch_numbers": In(AT_WORK_BITS).array(FETCH_READERS),
        "i_fetch_fault_number": In(AT_WORK_BITS),
    } | ({"i_full": In(CsrFull())} if config.csr_out else {}) | (
        {"i_merge_fault": In(Fault()), "i_merge_fault_operand": In(8)} if config.elementwise else {})


class FaultReport(wiring.Component):
    """Names the first cause for which the job may not go on, and the descriptor that its unit works on.

    Throughput: a cause a cycle; of several the first in the order of `_sources`.
    Latency: none from most units, one cycle from the PEs and from what the memory port tells, which come from
        afar: no job ends in the cycle behind such a fault.
    Backpressure: none.
    Order: a fault of a list of descriptors is told with the refusal of the one that it is in.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_running : nothing is reported of what comes while this is low
    i_number : of the descriptor on offer, the head
    i_descriptor : address of the first descriptor
    i_bad_registers, i_list_outside : the registers that a job begins with say what cannot be
    i_refused : the head is refused: it could not be read (`i_unread`), for a field (`i_check`), or else for a
        place (`i_extents`)
    i_unread, i_check, i_extents : as it is refused
    i_tile_taken, i_collector_taken, i_merge_taken : the unit takes the head's job
    i_tile_done : the last beat of a tile job is out
    i_tile_settles : PEs may still store it
    i_completed and what follows : of `fault_members`, see CommandProcessor
    o : Report
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_running": In(1),
            "i_number": In(COUNT_BITS),
            "i_descriptor": In(ADDRESS_BITS),
            "i_bad_registers": In(1),
            "i_list_outside": In(1),
            "i_refused": In(1),
            "i_unread": In(1),
            "i_check": In(Refusal()),
            "i_extents": In(JobError()),
            "i_tile_taken": In(1),
            "i_collector_taken": In(1),
            "i_merge_taken": In(1),
            "i_tile_done": In(1),
            "i_tile_settles": In(1),
            "o": Out(Report()),
        } | fault_members(config))

    def elaborate(self, platform):
        m = Module()
        self._head = self.i_number[:AT_WORK_BITS]
        self._of_units(m)
        self._of_port(m)
        sources = self._sources()
        error, above = self.o.error, self.i_number[AT_WORK_BITS:]
        conditions, first, at_work = Signal(len(sources)), Signal(len(sources)), Signal(AT_WORK_BITS)
        before_head = Signal()
        m.d.comb += [
            conditions.eq(Cat(source[0] for source in sources)),
            self.o.valid.eq(self.i_running & conditions.any()),
            first.eq(Cat(bit & ~conditions[:number].any() for number, bit in enumerate(conditions))),
            error.code.eq(one_of(first, [source[1] for source in sources])),
            error.detail.eq(one_of(first, [source[2] for source in sources])),
            at_work.eq(one_of(first, [source[3] for source in sources])),
            # The last number up to the head's that ends so; of each source it is known before the choice.
            before_head.eq(one_of(first, [source[3] > self._head for source in sources])),
            error.descriptor.eq(Cat(at_work, Mux(before_head, above - 1, above))),
            error.address.eq(one_of(first, [source[4] for source in sources])),
        ]
        # The first descriptor whose results are not complete, which may have left all else.
        write_error = [source[0] is self.i_write_error for source in sources].index(True)
        with m.If(first[write_error]):
            m.d.comb += error.descriptor.eq(self.i_completed)
        return m

    def _of_units(self, m: Module) -> None:
        """Numbers of the descriptors that the units work on."""
        stored = Signal(AT_WORK_BITS)
        self._tile, self._collector, self._merged, self._of_pe = (
            Signal(AT_WORK_BITS, name=name) for name in ("tile", "collector", "merged", "of_pe"))
        for taken, number in ((self.i_tile_taken, self._tile), (self.i_collector_taken, self._collector),
                              (self.i_merge_taken, self._merged)):
            with m.If(taken):
                m.d.sync += number.eq(self._head)
        with m.If(self.i_tile_done):
            m.d.sync += stored.eq(self._tile)
        # Any of the PEs, from afar. They still store a tile when the loader already has the next one.
        self._pe_fault = Signal(Fault())
        m.d.sync += [self._pe_fault.eq(self.i_faults[2]),
                     self._of_pe.eq(Mux(self.i_tile_settles, stored, self._tile))]

    def _of_port(self, m: Module) -> None:
        """What the memory port tells comes from afar, too, and whose reader it is takes its time. What is
        blocked waits."""
        asked, of_asked = Signal(ID_BITS), Signal(AT_WORK_BITS)
        m.d.comb += [
            asked.eq(Mux(self.i_read_error.valid, self.i_read_error.reader, self.i_blocked.id)),
            of_asked.eq(self._collector),
        ]
        with m.Switch(asked):
            with m.Case(0):
                m.d.comb += of_asked.eq(self._head)
            for number, of_fetch in enumerate(self.i_fetch_numbers):
                with m.Case(1 + number):
                    m.d.comb += of_asked.eq(of_fetch)
            with m.Case(*range(_FIRST_TILE_READER, _FIRST_TILE_READER + self._config.tile_readers)):
                m.d.comb += of_asked.eq(self._tile)
        self._reader, self._of_reader = Signal(ID_BITS, name="reader"), Signal(AT_WORK_BITS, name="of_reader")
        self._read_error, self._blocked_read, self._blocked_write = (
            Signal(name=name) for name in ("read_error", "blocked_read", "blocked_write"))
        self._at_port = at_port = Signal(ADDRESS_BITS)
        list_error = Signal()
        m.d.sync += [
            self._read_error.eq(self.i_read_error.valid & (asked != 0)),
            list_error.eq(self.i_read_error.valid & (asked == 0)),
            self._blocked_read.eq(self.i_blocked.read & ~self.i_read_error.valid),
            self._blocked_write.eq(self.i_blocked.write & ~self.i_read_error.valid),
            self._reader.eq(asked), self._of_reader.eq(of_asked),
            at_port.eq(Mux(self.i_read_error.valid, self.i_read_address, self.i_blocked.address)),
        ]
        # Which descriptor has the fault is known when it has come to its end.
        list_fault, self._list_address = Signal(), Signal(ADDRESS_BITS, name="list_address")
        with m.If(list_error & ~list_fault):
            m.d.sync += [list_fault.eq(1), self._list_address.eq(at_port)]

    def _sources(self) -> list[tuple[Any, ...]]:
        """Condition, code, detail, descriptor at work, address."""
        head, tile, collector, at_port = self._head, self._tile, self._collector, self._at_port
        refused, check, extents = self.i_refused, self.i_check, self.i_extents
        return [
            (self.i_bad_registers, ErrorCode.FIELD, NOT_A_FIELD, head, 0),
            (self.i_list_outside, ErrorCode.OUTSIDE, NOT_A_FIELD, head, self.i_descriptor),
            (self._read_error, ErrorCode.READ_BUS, self._reader, self._of_reader, at_port),
            (self.i_write_error, ErrorCode.WRITE_BUS, 0, head, self.i_write_address),
            *((fault.valid, fault.code, 0, number, address) for fault, number, address in zip(
                self.i_faults[:2], (self.i_fetch_fault_number, tile), self.i_fault_addresses, strict=True)),
            (self._pe_fault.valid, self._pe_fault.code, 0, self._of_pe, 0),
            *([(self.i_merge_fault.valid, self.i_merge_fault.code, self.i_merge_fault_operand, self._merged,
                0)] if self._config.elementwise else []),
            *([(self.i_full.valid, ErrorCode.OUTPUT_FULL, 0, collector, self.i_full.needed)]
              if self._config.csr_out else []),
            (self._blocked_read, ErrorCode.BLOCKED, self._reader, self._of_reader, at_port),
            (self._blocked_write, ErrorCode.BLOCKED, NOT_A_FIELD, collector, at_port),
            (refused & self.i_unread, ErrorCode.READ_BUS, 0, head, self._list_address),
            (refused & check.valid, check.code, check.detail, head, 0),
            (refused, extents.code, extents.detail, head, extents.address),
        ]
