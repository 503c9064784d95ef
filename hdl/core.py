"""The array: fetch, router, tile loader, PEs, drain chains and collector, connected."""

from typing import Any, NamedTuple

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .chain import ChainStage, MergingStage
from .collector import Collector
from .config import ADDRESS_BITS, MAX_BURST_BEATS, Config
from .fetch import Fetch
from .job_switch import JobSwitch
from .layouts import (
    CollectorJob,
    CsrFull,
    Fault,
    FetchJob,
    PeJob,
    ReadBeat,
    ReadRequest,
    RouterJob,
    TileJob,
    WriteChunk,
    WriteJob,
)
from .lean_chain import LeanChainStage
from .merger import Merger
from .pe import ProcessingElement
from .registers import ErrorCode
from .router import Router
from .row_filter import RowFilter
from .shared import add_shared
from .status import AT_WORK_BITS
from .tile_bus import TileBus
from .tile_loader import TileLoader
from .token_bus import TokenBus

__all__ = ["A_READERS", "COLLECTOR_READERS", "Core", "read_bursts"]

A_READERS = 3          # row pointers, column indices, values
COLLECTOR_READERS = 2  # earlier sums, parameter records


class _Merged(NamedTuple):
    """Of elementwise jobs: last word leaves, a word is there, B's fetch waits for memory, a sum wrapped; one
    has the array."""

    last: Any = 0
    offered: Any = 0
    waiting: Any = 0
    overflow: Any = Const(0)
    merges: Any = Const(0)


def read_bursts(config: Config) -> tuple[int, ...]:
    """For each read stream of a core, the most bursts that it has outstanding."""
    # A stream of one piece asks for full bursts but for the first and the last; of short rows for beats.
    pieces = 1 << (config.read_buffer_beats // MAX_BURST_BEATS + 1).bit_length()
    rows = config.read_buffer_beats
    fetch = (pieces, pieces, rows)
    return (*fetch, rows, *((pieces, pieces) if config.compressed_b else ()), rows, pieces)


class Core(wiring.Component):
    """Everything between job streams on one side and read, write streams on the other; connections only.

    Throughput, Latency: those of its parts.
    Backpressure: on every stream; tile beats are always taken.
    Order: rows of C leave in the order in which rows of A arrive.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_fetch_job, i_router_job, i_tile_job, i_collector_job : job streams, one element a descriptor each
    i_pe_job : PeJob of the descriptor that has the array
    i_open : opens the token bus for it
    i_settled : everything written so far has arrived in memory
    o_last, o_tile_done, o_drained : one-cycle events, see TokenBus, TileLoader, Collector
    o_collector_idle : the collector has no job
    o_request, i_beat : read streams: A_READERS, then the tile loader's, then COLLECTOR_READERS
    o_write_job, o_write : to the segment writer
    o_fault : A fetch, tile loader, PEs
    o_fault_address : of what A fetch and tile loader say
    o_fetch_numbers, o_fetch_fault_number : descriptors that the A fetch's readers work on, and of its fault
    o_overflow : an int32 addition wrapped around
    o_active, o_blocked : one bit a PE
    o_moves : a PE was active in the cycle before, with `far_registers` in the one before that
    o_token_waits : a beat waits at the token bus
    o_fetch_waiting : the A fetch waits for memory
    o_rows_done : one-cycle event, see TileLoader (only with `sddmm`)
    o_full : CsrFull, of the collector (only with `csr_out`)
    i_merges : the descriptor that has the array is an elementwise one
    o_merging, o_merge_blocked : a word of an elementwise result leaves, or waits for the collector (this and
        what follows: only with `elementwise`)
    o_merge_fault, o_merge_fault_operand : as of Merger
    """

    def __init__(self, config: Config):
        self._config = config
        readers = len(read_bursts(config))
        super().__init__({
            "i_fetch_job": In(stream.Signature(FetchJob(config))),
            "i_router_job": In(stream.Signature(RouterJob(config))),
            "i_tile_job": In(stream.Signature(TileJob(config))),
            "i_collector_job": In(stream.Signature(CollectorJob(config))),
            "i_pe_job": In(PeJob(config)),
            "i_open": In(1),
            "i_settled": In(1),
            "o_last": Out(1),
            "o_tile_done": Out(1),
            "o_drained": Out(1),
            "o_collector_idle": Out(1),
            "o_request": Out(stream.Signature(ReadRequest(config))).array(readers),
            "i_beat": In(stream.Signature(ReadBeat(config), always_ready=True)).array(readers),
            "o_write_job": Out(stream.Signature(WriteJob(config))),
            "o_write": Out(stream.Signature(WriteChunk(config))),
            "o_fault": Out(Fault()).array(3),
            "o_fault_address": Out(ADDRESS_BITS).array(2),
            "o_fetch_numbers": Out(AT_WORK_BITS).array(A_READERS),
            "o_fetch_fault_number": Out(AT_WORK_BITS),
            "o_overflow": Out(1),
            "o_active": Out(config.pes),
            "o_blocked": Out(config.pes),
            "o_moves": Out(1),
            "o_token_waits": Out(1),
            "o_fetch_waiting": Out(1),
        } | ({"o_full": Out(CsrFull())} if config.csr_out else {})
          | ({"o_rows_done": Out(1)} if config.sddmm else {})
          | ({"i_merges": In(1), "o_merging": Out(1), "o_merge_blocked": Out(1),
              "o_merge_fault": Out(Fault()), "o_merge_fault_operand": Out(8)} if config.elementwise else {}))

    def elaborate(self, platform):
        config = self._config
        m = Module()
        fetch = Fetch(config)
        add_shared(m, "fetch", fetch, "fetch", platform)
        m.submodules.router = router = Router(config)
        m.submodules.token_bus = token_bus = TokenBus(config)
        m.submodules.tile_loader = loader = TileLoader(config)
        m.submodules.tile_bus = tile_bus = TileBus(config)
        m.submodules.collector = collector = Collector(config)
        elements = [ProcessingElement(config, number) for number in range(config.pes)]
        for number, element in enumerate(elements):
            add_shared(m, f"pe{number}", element, "pe", platform)
            m.d.comb += element.i_number.eq(number)

        # ---- jobs ----
        connect(m, flipped(self.i_fetch_job), fetch.i_job)
        connect(m, flipped(self.i_tile_job), loader.i_job)
        connect(m, flipped(self.i_collector_job), collector.i_job)

        # ---- tokens: fetch, router, bus, PEs ----
        merged = _Merged()
        if config.elementwise:
            merged = self._merge(m, fetch, router, loader, collector)
        else:
            connect(m, flipped(self.i_router_job), router.i_job)
            connect(m, fetch.o, router.i)
        waiting = router.o.valid
        if config.row_filter:
            waiting = self._filter(m, router, token_bus, loader, elements)
        else:
            connect(m, router.o, token_bus.i)
        m.d.comb += [
            token_bus.i_pk_log2.eq(self.i_pe_job.pk_log2),
            token_bus.i_open.eq(self.i_open & ~merged.merges),
            token_bus.i_room.eq(Cat(element.o_room for element in elements)),
            self.o_last.eq(token_bus.o_last | merged.last),
            self.o_token_waits.eq(waiting | merged.offered),
            self.o_fetch_waiting.eq(fetch.o_waiting | merged.waiting
                                    | (loader.o_rows_waiting if config.sddmm else 0)),
        ]
        for number, element in enumerate(elements):
            connect(m, token_bus.o[number], element.i)
            m.d.comb += element.i_job.eq(self.i_pe_job)

        # ---- tiles: every PE hears every beat ----
        connect(m, loader.o, tile_bus.i)
        if config.sddmm:
            row_room = Signal()
            m.d.sync += row_room.eq(Cat(element.o_row_room for element in elements).all())
            m.d.comb += [loader.i_row_room.eq(row_room), self.o_rows_done.eq(loader.o_rows_done)]
        for number, element in enumerate(elements):
            connect(m, tile_bus.o[number], element.i_tile)
            m.d.comb += element.i_tile_data.eq(tile_bus.o_data[number])
        m.d.comb += self.o_tile_done.eq(loader.o_done)

        # ---- sums: down the chains, from the last PE to the collector ----
        overflows = [element.o_overflow for element in elements]
        for chain in range(config.chains):
            upstream = elements[-1].o[chain]
            for number in reversed(range(config.pes - 1)):
                stage, kind = self._chain_stage(number)
                add_shared(m, f"chain{chain}_stage{number}", stage, kind, platform)
                connect(m, elements[number].o[chain], stage.i_own)
                connect(m, upstream, stage.i_up)
                upstream = stage.o
                overflows.append(stage.o_overflow)
            connect(m, upstream, collector.i[chain])
        m.d.sync += self.o_overflow.eq(Cat(*overflows, collector.o_overflow, merged.overflow).any())
        connect(m, collector.o_write_job, flipped(self.o_write_job))
        connect(m, collector.o, flipped(self.o_write))
        m.d.comb += [collector.i_settled.eq(self.i_settled), self.o_drained.eq(collector.o_drained),
                     self.o_collector_idle.eq(collector.o_idle)]
        if config.csr_out:
            m.d.comb += self.o_full.eq(collector.o_full)

        # ---- memory, events ----
        requests = [*fetch.o_request, *loader.o_request, *collector.o_request]
        beats = [*fetch.i_beat, *loader.i_beat, *collector.i_beat]
        for number, (request, beat) in enumerate(zip(requests, beats, strict=True)):
            connect(m, request, flipped(self.o_request[number]))
            connect(m, flipped(self.i_beat[number]), beat)
        self._report(m, fetch, loader, elements)
        return m

    def _chain_stage(self, number: int) -> tuple[MergingStage, str]:
        """And its kind."""
        config = self._config
        if config.lean_drain:
            # First the stage behind which there is a PE; last the collector is next, whose ready comes late.
            is_first, is_last = number == config.pes - 2, number == 0
            kind = "lean_chain" + "_first" * is_first + "_last" * is_last
            return LeanChainStage(config, up_is_stage=not is_first, ready_is_late=is_last), kind
        cuts = config.cuts_chain(number)
        return ChainStage(config, cuts=cuts), "chain_stage_cut" if cuts else "chain_stage"

    def _filter(self, m: Module, router, token_bus, loader, elements) -> Any:
        """Tokens on their way to the bus learn which PEs they are for; returns: a beat waits for the bus."""
        m.submodules.row_filter = row_filter = RowFilter(self._config)
        connect(m, router.o, row_filter.i)
        connect(m, row_filter.o, token_bus.i)
        connect(m, loader.o_row, row_filter.i_row)
        m.d.comb += [
            row_filter.i_job.eq(self.i_pe_job),
            row_filter.i_open.eq(token_bus.i_open),
            row_filter.i_filled.eq(Cat(element.o_filled for element in elements)),
        ]
        return router.o.valid | row_filter.o.valid

    def _merge(self, m: Module, fetch, router, loader, collector) -> "_Merged":
        """Elementwise jobs: A and B past router, PEs and chains to the collector, when it is their turn."""
        m.submodules.switch = switch = JobSwitch(self._config)
        m.submodules.merger = merger = Merger(self._config)
        connect(m, flipped(self.i_router_job), switch.i_job)
        connect(m, fetch.o, switch.i)
        connect(m, switch.o_router_job, router.i_job)
        connect(m, switch.o_router, router.i)
        connect(m, switch.o_merge_job, merger.i_job)
        connect(m, switch.o_merge, merger.i_a)
        connect(m, loader.o_merge, merger.i_b)
        moves, opened, sink = Signal(), Signal(), collector.i_merged
        m.d.comb += [
            sink.p.eq(merger.o.p),
            opened.eq(self.i_open & self.i_merges),
            sink.valid.eq(merger.o.valid & opened),
            merger.o.ready.eq(sink.ready & opened),
            moves.eq(sink.valid & sink.ready),
            self.o_merging.eq(moves),
            self.o_merge_blocked.eq(sink.valid & ~sink.ready),
            self.o_merge_fault.eq(merger.o_fault),
            self.o_merge_fault_operand.eq(merger.o_fault_operand),
        ]
        return _Merged(moves & sink.p.job_last, merger.o.valid, loader.o_merge_waiting,
                       merger.o_overflow, self.i_merges)

    def _report(self, m: Module, fetch, loader, elements) -> None:
        overflow = Cat(element.o_fault.valid for element in elements).any()
        m.d.comb += [
            *(number.eq(of) for number, of in zip(self.o_fetch_numbers, fetch.o_numbers, strict=True)),
            self.o_fetch_fault_number.eq(fetch.o_fault_number),
            self.o_fault[0].eq(fetch.o_fault),
            self.o_fault[1].eq(loader.o_fault),
            self.o_fault_address[0].eq(fetch.o_fault_address),
            self.o_fault_address[1].eq(loader.o_fault_address),
            self.o_fault[2].valid.eq(overflow),
            # The only fault a PE can find.
            self.o_fault[2].code.eq(ErrorCode.PACKED_OVERFLOW),
            self.o_active.eq(Cat(element.o_active for element in elements)),
            self.o_blocked.eq(Cat(element.o_blocked for element in elements)),
        ]
        active = self.o_active
        if self._config.far_registers:
            active = Signal.like(self.o_active, name="was_active")
            m.d.sync += active.eq(self.o_active)
        m.d.sync += self.o_moves.eq(active.any())

