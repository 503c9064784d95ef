"""The command processor: descriptors in, jobs for every unit out, in order and overlapped."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .config import ADDRESS_BITS, Config, log2_exact
from .descriptor import DESCRIPTOR_BYTES, Opcode, is_elementwise, is_sddmm
from .descriptor_check import DescriptorCheck, TileShape, shape_of
from .descriptor_reader import DescriptorReader
from .extent_check import ExtentCheck
from .fault_report import FaultReport, fault_members
from .guard import BLOCK_BITS, EVERYWHERE, Windows
from .layouts import (
    SUM_BYTES,
    BFormat,
    CollectorJob,
    CsrMode,
    FetchJob,
    PeJob,
    ReadBeat,
    ReadRequest,
    RouterJob,
    TileJob,
)
from .status import COUNT_BITS, Report

__all__ = ["CommandProcessor"]

TILE_SETTLE_CYCLES = 3
"""From a tile's last beat at the loader until every PE has stored it, less the cycle that opening takes."""

PE_SETTLE_CYCLES = 2
"""From a new PeJob until every PE has taken it over, less the cycle that opening takes."""


class CommandProcessor(wiring.Component):
    """Runs a job: reads its descriptors, checks them, and hands their parts to the units.

    At most two descriptors are at work. The *owner* has the array: its tokens may pass the bus. The *head*
    is the one on offer at the descriptor reader: its four jobs are offered at once, so that its tile loads
    and its A is fetched while the owner computes. The head becomes the owner when the array has drained, and
    makes room for the next descriptor when all its jobs are taken. A tile job waits while the owner may
    still need the memory it would overwrite, and while the owner splits the array in another way (the PEs
    know only one P_k at a time).

    Nothing of a descriptor is offered before it is found to be right, with one exception: where nothing else
    is at work, its jobs are offered while its arrays' places are still being worked out, and `o_hold` keeps
    all reads and writes back until they are. A descriptor that is refused waits for the end of those before
    it, and is reported then. Other faults are reported at once. Whoever takes the report resets this block
    and the units; until then it goes on.

    Throughput: a descriptor every 128 / W + 12 cycles, if the units are as fast.
    Latency: `i_start` to first request 1 cycle; last beat of a descriptor to its jobs 3 cycles; idle writer
    and collector to `o_finished` 0 cycles.
    Backpressure: job streams hold what they offer; nothing is taken back.
    Order: each job stream offers one element a descriptor, in order of descriptors; `o_tile_job` skips
    those with `reuse_tile`.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_start, i_descriptor, i_count : one cycle of `i_start` begins a job; not before `o_finished` or a reset.
        The other two, and the windows, are as in the cycle before
    i_windows : Windows, where the descriptors and their arrays must lie
    o_finished : one cycle, the job ended well
    o_report : Report, the job may not go on
    o_hold : no address may be offered to the memory
    o_request, i_beat : read stream of the descriptors
    o_fetch_job, o_router_job, o_tile_job, o_collector_job : job streams
    o_pe_job : PeJob of the owner; changes only while the array is drained
    o_open : the owner's tokens may pass; low for some cycles between two descriptors
    i_last : the owner's last beat passed the token bus
    i_tile_done : the last beat of a tile job is out
    i_drained : the collector took the owner's last chain word
    i_collector_idle, i_writer_idle : nothing to do, every response is in
    i_completed : descriptors whose results have arrived in memory
    i_read_error, i_read_address : ReadError of any stream, with the address of its burst
    i_write_error, i_write_address : a write burst was answered with an error
    i_blocked : Blocked, of the memory guard
    i_faults : Fault of A fetch, tile loader, PEs
    i_fault_addresses : what the first two of these are about
    i_fetch_numbers, i_fetch_fault_number : lowest bits of the numbers of the descriptors that the A fetch's
        three readers work on, and of the one that its fault is about
    i_full : CsrFull, of the collector (only with `csr_out`)
    i_merge_fault, i_merge_fault_operand : as of Merger (this and what follows: only with `elementwise`)
    o_merges : the owner is an elementwise descriptor: what it opens is the merger's way to the collector
    i_rows_done : the last beat of rows of X is out (only with `sddmm`)
    o_tokens_due : a started descriptor's last beat has not passed the token bus
    o_draining : all that passed is on its way to memory
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_start": In(1),
            "i_descriptor": In(ADDRESS_BITS),
            "i_count": In(COUNT_BITS),
            "i_windows": In(Windows(), init=EVERYWHERE),
            "o_finished": Out(1),
            "o_report": Out(Report()),
            "o_hold": Out(1),
            "o_request": Out(stream.Signature(ReadRequest(config))),
            "i_beat": In(stream.Signature(ReadBeat(config), always_ready=True)),
            "o_fetch_job": Out(stream.Signature(FetchJob(config))),
            "o_router_job": Out(stream.Signature(RouterJob(config))),
            "o_tile_job": Out(stream.Signature(TileJob(config))),
            "o_collector_job": Out(stream.Signature(CollectorJob(config))),
            "o_pe_job": Out(PeJob(config)),
            "o_open": Out(1),
            "i_last": In(1),
            "i_tile_done": In(1),
            "i_drained": In(1),
            "i_collector_idle": In(1),
            "i_writer_idle": In(1),
            "o_tokens_due": Out(1),
            "o_draining": Out(1),
        } | fault_members(config)
          | ({"i_rows_done": In(1)} if config.sddmm else {})
          | ({"o_merges": Out(1)} if config.elementwise else {}))

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = self._reader = reader = DescriptorReader(self._config)
        m.submodules.check = self._check = check = DescriptorCheck(self._config)
        m.submodules.extents = self._extents = extents = ExtentCheck(self._config)
        connect(m, reader.o_request, flipped(self.o_request))
        connect(m, flipped(self.i_beat), reader.i_beat)
        self._head = reader.o.payload.descriptor
        self._elementwise = Signal()
        # ---- the job ----
        self._running = Signal()
        self._idle = Signal()            # collector and writer have nothing to do
        # ---- the head ----
        self._started = Signal()         # its jobs are offered
        self._refused = Signal()         # they are not going to be, or were and are not to be done
        self._number = Signal(COUNT_BITS)
        self._tile_free = Signal()       # its tile may be loaded
        self._tile_waits = Signal()      # its tile job is not offered yet
        self._tile_here = Signal()       # its tile is loaded, though it does not own the array
        self._tile_loading = Signal()    # its tile is being loaded, though it does not own the array
        self._promoted = Signal()        # it owns the array
        self._tile = Signal(TileShape(self._config))  # that was loaded for a descriptor before
        # ---- the owner ----
        self._owned = Signal()           # there is one and it has not drained
        self._owner_whole = Signal()
        self._owner_tile = Signal()      # its tile is loaded
        self._owner_passed = Signal()    # its last beat passed the token bus
        self._tile_settles = Signal(range(TILE_SETTLE_CYCLES + 1))
        self._promote, self._release, self._begin = Signal(), Signal(), Signal()
        # ---- SDDMM: rows of X go through the tile loader, behind the tile ----
        self._rows_due = Signal()        # the head's have yet to be taken
        self._offers_rows = Signal()     # they are what the tile job is about
        self._rows_loading = Signal()    # the owner's are on their way
        m.d.comb += [
            self._elementwise.eq(is_elementwise(self._head.opcode) if self._config.elementwise else 0),
            check.i.eq(self._head),
            check.i_tile.eq(self._tile),
            extents.i.eq(self._head),
            extents.i_placed.eq(reader.o_placed),
            extents.i_windows.eq(self.i_windows),
            reader.i_address.eq(self.i_descriptor),
            reader.i_count.eq(self.i_count),
            self._idle.eq(self.i_collector_idle & self.i_writer_idle),
        ]
        self._stage_head(m)
        self._jobs(m)
        self._stage_tile(m)
        self._stage_owner(m)
        self._begin_and_finish(m)
        self._report(m)
        return m

    def _stage_head(self, m: Module) -> None:
        """Check the descriptor on offer, offer its jobs, let it go when all are taken."""
        reader, extents, all_taken = self._reader, self._extents, Signal()
        checked = Signal()  # the fields' answer is about the descriptor on offer
        bad_fields, bad_extents, alone = Signal(), Signal(), Signal()
        self._offers = Cat(self.o_fetch_job.valid, self.o_router_job.valid, self.o_collector_job.valid)
        m.d.comb += [
            all_taken.eq(~(self._offers.any() | self._tile_waits | self.o_tile_job.valid | self._rows_due
                           | self.o_hold)),
            self._release.eq(self._started & self._promoted & all_taken),
            alone.eq(~self._owned & self._idle),
            bad_fields.eq(checked & (reader.o.payload.error | self._check.o.valid)),
            bad_extents.eq(checked & extents.o_done & extents.o.valid),
            self._begin.eq(~self._started & checked & ~bad_fields & ~bad_extents & (extents.o_done | alone)),
        ]
        for job in (self.o_fetch_job, self.o_router_job, self.o_collector_job):
            with m.If(job.ready):
                m.d.sync += job.valid.eq(0)
        m.d.sync += [
            checked.eq(reader.o.valid & ~reader.o.ready),
            # It waits there for its end: what is written down of it may come a cycle later.
            self._refused.eq(Mux(self._started, self.o_hold & bad_extents,
                                 (bad_fields | bad_extents) & alone)),
        ]
        with m.If(extents.o_done & ~extents.o.valid):
            m.d.sync += self.o_hold.eq(0)
        with m.If(self._started):
            m.d.comb += reader.o.ready.eq(self._release)
            with m.If(self._release):
                m.d.sync += [self._started.eq(0), self._promoted.eq(0), self._tile_here.eq(0),
                             self._number.eq(self._number + 1)]
        with m.Elif(self._begin):
            m.d.sync += [
                self._started.eq(1),
                self.o_hold.eq(~extents.o_done),
                self.o_fetch_job.valid.eq(1),
                self.o_router_job.valid.eq(1),
                self.o_collector_job.valid.eq(1),
                self._tile_waits.eq(~self._head.reuse_tile & ~self._tile_free),
                self.o_tile_job.valid.eq(~self._head.reuse_tile & self._tile_free),
                self._tile_here.eq(self._head.reuse_tile),
                self._tile.present.eq(~self._elementwise),
                *(self._tile[name].eq(value) for name, value in shape_of(self._head).items()),
            ]
            if self._config.sddmm:
                m.d.sync += self._rows_due.eq(is_sddmm(self._head.opcode))
        self._checked = checked

    def _sddmm_jobs(self, m: Module) -> None:
        """The result is a vector, an element for each entry of A; rows of X come behind the tile."""
        config, head, tile = self._config, self._head, self.o_tile_job.payload
        collector, fetch, sddmm = self.o_collector_job.payload, self.o_fetch_job.payload, Signal()
        m.d.comb += [
            sddmm.eq(is_sddmm(head.opcode)),
            fetch.sddmm.eq(sddmm),
            fetch.pattern.eq(head.opcode == Opcode.SDDMM_PATTERN),
        ]
        with m.If(sddmm):
            # A vector has no gaps, whatever the strides say.
            m.d.comb += [collector.rows.eq(head.a_nnz), collector.n_count.eq(1),
                         collector.group_log2.eq(config.lane_bits),
                         collector.c_stride.eq(Mux(head.out_raw, SUM_BYTES * config.lanes,
                                                   Mux(head.out_int8, 1, SUM_BYTES))),
                         collector.cin_stride.eq(SUM_BYTES * config.lanes)]
        with m.If(self._offers_rows):
            m.d.comb += [tile.rows.eq(1), tile.k_count.eq(head.rows), tile.values.eq(head.x_values),
                         tile.stride.eq(head.a_stride), tile.pk_log2.eq(0)]
        m.d.sync += self.o_pe_job.begins.eq(self._promote)
        with m.If(self._promote):
            m.d.sync += self.o_pe_job.sddmm.eq(sddmm)

    def _jobs(self, m: Module) -> None:
        """Payloads: the head's fields under the names that the units use."""
        head, packed, counts = self._head, Signal(), Signal()
        m.d.comb += packed.eq(head.b_format != BFormat.DENSE)
        same = {
            self.o_fetch_job: ("rows",),
            self.o_router_job: ("pk_log2", "slice_words", "group_log2"),
            self.o_tile_job: ("k_count", "n_start", "n_count", "pk_log2", "slice_words", "group_log2",
                              "half", "whole"),
            self.o_collector_job: ("rows", "n_count", "group_log2", "accumulate", "out_int8", "out_raw",
                                   "relu", "row_bias", "row_scale", "scale", "c_address", "c_stride",
                                   "cin_address", "cin_stride", "params_address"),
        }
        for job, names in same.items():
            m.d.comb += [job.payload[name].eq(head[name]) for name in names]
        if self._config.elementwise:
            self._elementwise_jobs(m)
        if self._config.csr_out:
            collector = self.o_collector_job.payload
            m.d.comb += [
                collector.out_csr.eq(head.out_csr),
                collector.csr.indices.eq(head.c_indices),
                collector.csr.pointers.eq(head.c_pointers),
                collector.csr.capacity.eq(head.c_capacity),
                collector.csr.first_column.eq(head.n_start),
                collector.csr.mode.eq(head.csr_mode),
                collector.csr.index32.eq(head.csr_index32),
                collector.csr.drop_zeros.eq(head.csr_drop_zeros),
                collector.csr.counted.eq(counts),
            ]
        if self._config.counts_rows:
            # Every column is one PE's, so that no two of them count the same entry.
            m.d.comb += counts.eq(packed & head.out_csr & (head.pk_log2 == 0) & ~head.csr_drop_zeros
                                  & ((head.csr_mode == CsrMode.COUNT) | (head.csr_mode == CsrMode.POINTERS)))
        matrix = ("format", "pointers", "indices", "values", "stride", "nnz", "first", "columns")
        m.d.comb += [
            *(self.o_fetch_job.payload[name].eq(head[f"a_{name}"]) for name in matrix),
            *(self.o_tile_job.payload[name].eq(head[f"b_{name}"]) for name in matrix),
            self.o_fetch_job.payload.number.eq(self._number),
            self.o_fetch_job.payload.start.eq(head.k_start),
            self.o_fetch_job.payload.count.eq(head.k_count),
            self.o_router_job.payload.packed.eq(packed),
        ]
        if self._config.sddmm:
            self._sddmm_jobs(m)
        pe_names = ("pk_log2", "slice_words", "half", "group_log2")
        with m.If(self._promote):
            m.d.sync += [
                *(self.o_pe_job[name].eq(head[name]) for name in pe_names),
                self.o_pe_job.total_words.eq(self._check.o_total_words),
                self.o_pe_job.packed.eq(packed),
                self._owner_whole.eq(head.whole),
            ]
            if self._config.counts_rows:
                m.d.sync += self.o_pe_job.counts.eq(counts)
            if self._config.elementwise:
                m.d.sync += self.o_merges.eq(self._elementwise)

    def _elementwise_jobs(self, m: Module) -> None:
        """What the units must know of an elementwise descriptor: that it is one, its operation, B's size."""
        head, tile = self._head, self.o_tile_job.payload
        m.d.comb += [
            *(job.payload.elementwise.eq(self._elementwise)
              for job in (self.o_router_job, self.o_tile_job, self.o_collector_job)),
            self.o_router_job.payload.merge.operation.eq(head.operation),
            tile.merge_rows.eq(head.rows),
            tile.merge_count.eq(head.n_count),
            tile.wide_values.eq(head.opcode == Opcode.ELEMENTWISE_WIDE),
        ]

    def _stage_tile(self, m: Module) -> None:
        """Offer the head's tile job when the memory is free; remember whose tile was loaded."""
        head, job = self._head, self.o_tile_job
        apart, taken, mine = Signal(), Signal(), Signal()
        m.d.comb += [
            apart.eq(~self._owner_whole & ~head.whole & (self.o_pe_job.half != head.half)
                     & (self.o_pe_job.pk_log2 == head.pk_log2)),
            # Without an owner the head is about to become it.
            # The matrix of an elementwise job goes past the tile memory.
            self._tile_free.eq(self._promoted | ~self._owned | apart | self._elementwise),
            taken.eq(job.valid & job.ready & ~self._offers_rows),
            mine.eq(self.i_tile_done & self._tile_loading),
        ]
        with m.If(self._tile_waits & self._tile_free):
            m.d.sync += [self._tile_waits.eq(0), job.valid.eq(1)]
        with m.If(job.valid & job.ready):
            m.d.sync += job.valid.eq(0)
        with m.If(taken):
            m.d.sync += self._tile_loading.eq(~self._promoted)
        if self._config.sddmm:
            # The PEs' buffers are for the owner's rows.
            with m.If(self._rows_due & self._promoted & ~job.valid & ~self._tile_waits):
                m.d.sync += [job.valid.eq(1), self._offers_rows.eq(1)]
            with m.If(self._offers_rows & job.valid & job.ready):
                m.d.sync += [job.valid.eq(0), self._offers_rows.eq(0), self._rows_due.eq(0),
                             self._rows_loading.eq(1)]
            with m.If(self.i_rows_done):
                m.d.sync += self._rows_loading.eq(0)
        with m.If(mine):
            m.d.sync += [self._tile_here.eq(1), self._tile_loading.eq(0)]
        with m.Elif(self.i_tile_done):
            m.d.sync += self._owner_tile.eq(1)
        with m.If(self._promote):
            # From here on its tile is the owner's.
            m.d.sync += [self._owner_tile.eq(self._tile_here | mine), self._tile_loading.eq(0)]

    def _stage_owner(self, m: Module) -> None:
        """Hand the array over when it has drained, and open the token bus when all is in place."""
        tile_settles, pe_settled = self._tile_settles, Signal(PE_SETTLE_CYCLES)
        opened, may_open = Signal(), Signal()
        m.d.comb += [
            self._promote.eq(self._started & ~self._promoted & ~self._owned & ~self._rows_loading),
            may_open.eq(self._owned & ~opened & self._owner_tile & (tile_settles == 0) & pe_settled[-1]
                        & ~(self._promoted & self.o_collector_job.valid)),
        ]
        m.d.sync += pe_settled.eq(Cat(1, pe_settled[:-1]))
        with m.If(self.i_tile_done):
            m.d.sync += tile_settles.eq(TILE_SETTLE_CYCLES)
        with m.Elif(tile_settles != 0):
            m.d.sync += tile_settles.eq(tile_settles - 1)
        with m.If(may_open):
            m.d.sync += [opened.eq(1), self.o_open.eq(1)]
        with m.If(self.i_last):
            m.d.sync += [self.o_open.eq(0), self._owner_passed.eq(1)]
        with m.If(self.i_drained):
            m.d.sync += self._owned.eq(0)
        with m.If(self._promote):
            m.d.sync += [self._promoted.eq(1), self._owned.eq(1), self._owner_passed.eq(0), opened.eq(0),
                         pe_settled.eq(0)]

    def _begin_and_finish(self, m: Module) -> None:
        """Begin of a job, if its descriptors can be read at all, and end."""
        list_bytes, last = Signal(COUNT_BITS + log2_exact(DESCRIPTOR_BYTES)), Signal(ADDRESS_BITS + 1)
        window, block = self.i_windows.read, ADDRESS_BITS - BLOCK_BITS
        self._bad_registers, self._list_outside = Signal(), Signal()
        bad, outside = Signal(), Signal()    # of the registers, before they are asked for
        m.d.sync += [
            bad.eq((self.i_count == 0) | self.i_descriptor[:log2_exact(self._config.port_bytes)].any()),
            # Differences below 0: carry chains are faster than comparisons in LUTs.
            outside.eq((self.i_descriptor[block:] - window.base)[-1] | (window.last - last[block:])[-1]),
        ]
        m.d.comb += [
            list_bytes.eq(self.i_count << log2_exact(DESCRIPTOR_BYTES)),
            last.eq(self.i_descriptor + list_bytes - 1),
            self._reader.i_start.eq(self.i_start & ~bad & ~outside),
            self.o_finished.eq(self._running & self._reader.o_idle & ~self._owned & ~self._rows_loading
                               & self._idle & ~self._bad_registers & ~self._list_outside),
            self.o_tokens_due.eq((self._owned & ~self._owner_passed) | (self._started & ~self._promoted)),
            self.o_draining.eq(self._owned | ~self._idle),
        ]
        with m.If(self.o_finished):
            m.d.sync += self._running.eq(0)
        with m.If(self.i_start):
            m.d.sync += self._running.eq(1)
        # Before the start, which comes late.
        with m.If(~self._running):
            m.d.sync += [self._bad_registers.eq(bad), self._list_outside.eq(outside)]
        with m.If(~self._running & ~self._started):
            m.d.sync += self._number.eq(0)

    def _report(self, m: Module) -> None:
        """What units tell of faults, and what this block finds wrong itself."""
        m.submodules.faults = faults = FaultReport(self._config)
        tile, collector, router = self.o_tile_job, self.o_collector_job, self.o_router_job
        m.d.comb += [
            faults.i_running.eq(self._running),
            faults.i_number.eq(self._number),
            faults.i_descriptor.eq(self.i_descriptor),
            faults.i_bad_registers.eq(self._bad_registers),
            faults.i_list_outside.eq(self._list_outside),
            faults.i_refused.eq(self._refused),
            faults.i_unread.eq(self._reader.o.payload.error),
            faults.i_check.eq(self._check.o),
            faults.i_extents.eq(self._extents.o.error),
            faults.i_tile_taken.eq(tile.valid & tile.ready),
            faults.i_collector_taken.eq(collector.valid & collector.ready),
            faults.i_merge_taken.eq(router.valid & router.ready & self._elementwise),
            faults.i_tile_done.eq(self.i_tile_done),
            faults.i_tile_settles.eq(self._tile_settles != 0),
            self.o_report.eq(faults.o),
        ]
        for name, member in fault_members(self._config).items():
            mine, its = getattr(self, name), getattr(faults, name)
            for sink, source in zip(its, mine, strict=True) if member.dimensions else ((its, mine),):
                m.d.comb += sink.eq(source)
