"""The command processor: descriptors in, jobs for every unit out, in order and overlapped."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .axi import ID_BITS
from .config import ADDRESS_BITS, Config, log2_exact
from .control import JobStatus
from .descriptor_check import NOT_A_FIELD, DescriptorCheck
from .descriptor_reader import COUNT_BITS, DescriptorReader
from .layouts import (
    BFormat,
    CollectorJob,
    Fault,
    FetchJob,
    PeJob,
    ReadBeat,
    ReadRequest,
    RouterJob,
    TileJob,
)
from .registers import ErrorCode

__all__ = ["FAULT_SOURCES", "CommandProcessor", "ReadError"]

FAULT_SOURCES = 3
"""A fetch, tile loader, PEs."""

TILE_SETTLE_CYCLES = 3
"""From a tile's last beat at the loader until every PE has stored it, less the cycle that opening takes."""

PE_SETTLE_CYCLES = 2
"""From a new PeJob until every PE has taken it over, less the cycle that opening takes."""

_FIRST_TILE_READER = 4


def ReadError() -> data.StructLayout:
    """One cycle of `valid`: a read of that stream was answered with an error."""
    return data.StructLayout({"valid": 1, "reader": ID_BITS})


class CommandProcessor(wiring.Component):
    """Runs a job: reads its descriptors, checks them, and hands their parts to the units.

    At most two descriptors are at work. The *owner* has the array: its tokens may pass the bus. The *head*
    is the one on offer at the descriptor reader: its four jobs are offered at once, so that its tile loads
    and its A is fetched while the owner computes. The head becomes the owner when the array has drained, and
    makes room for the next descriptor when all its jobs are taken. A tile job waits while the owner may
    still need the memory it would overwrite, and while the owner splits the array in another way (the PEs
    know only one P_k at a time).

    An error is recorded (the first one only) and nothing new is started; what was started runs to its end.

    Throughput: a descriptor every 128 / W + 4 cycles, if the units are as fast.
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
    i_start, i_descriptor, i_count : one cycle of `i_start` begins a job; not while busy
    o_status : JobStatus; `busy` from the cycle after `i_start` to that of `o_finished`
    o_finished : one cycle, the job ended
    o_request, i_beat : read stream of the descriptors
    o_fetch_job, o_router_job, o_tile_job, o_collector_job : job streams
    o_pe_job : PeJob of the owner; changes only while the array is drained
    o_open : the owner's tokens may pass; low for some cycles between two descriptors
    i_last : the owner's last beat passed the token bus
    i_tile_done : the last beat of a tile job is out
    i_drained : the collector took the owner's last chain word
    i_collector_idle, i_writer_idle : nothing to do, every response is in
    i_read_error : ReadError of any stream; that of the descriptors is known from `i_beat`
    i_write_error : a write was answered with an error
    i_faults : Fault of A fetch, tile loader, PEs
    o_tokens_due : a started descriptor's last beat has not passed the token bus
    o_draining : all that passed is on its way to memory
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_start": In(1),
            "i_descriptor": In(ADDRESS_BITS),
            "i_count": In(COUNT_BITS),
            "o_status": Out(JobStatus()),
            "o_finished": Out(1),
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
            "i_read_error": In(ReadError()),
            "i_write_error": In(1),
            "i_faults": In(Fault()).array(FAULT_SOURCES),
            "o_tokens_due": Out(1),
            "o_draining": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = self._reader = reader = DescriptorReader(self._config)
        m.submodules.check = self._check = check = DescriptorCheck(self._config)
        connect(m, reader.o_request, flipped(self.o_request))
        connect(m, flipped(self.i_beat), reader.i_beat)
        self._head = reader.o.payload.descriptor
        # ---- the head ----
        self._started = Signal()         # its jobs are offered
        self._number = Signal(COUNT_BITS)
        self._tile_free = Signal()       # its tile may be loaded
        self._tile_waits = Signal()      # its tile job is not offered yet
        self._tile_here = Signal()       # its tile is loaded, though it does not own the array
        self._tile_loading = Signal()    # its tile is being loaded, though it does not own the array
        self._promoted = Signal()        # it owns the array
        self._tile_present = Signal()    # some tile was loaded for a descriptor before
        # ---- the owner ----
        self._owned = Signal()           # there is one and it has not drained
        self._owner_whole = Signal()
        self._owner_tile = Signal()      # its tile is loaded
        self._owner_passed = Signal()    # its last beat passed the token bus
        self._promote, self._release, self._begin = Signal(), Signal(), Signal()
        self._stop = Signal()
        m.d.comb += [
            check.i.eq(self._head),
            check.i_tile_present.eq(self._tile_present),
            self._stop.eq(self.o_status.error.code != ErrorCode.NONE),
            reader.i_stop.eq(self._stop),
            reader.i_address.eq(self.i_descriptor),
            reader.i_count.eq(self.i_count),
        ]
        self._stage_head(m)
        self._jobs(m)
        self._stage_tile(m)
        self._stage_owner(m)
        self._record_errors(m)
        self._finish(m)
        return m

    def _stage_head(self, m: Module) -> None:
        """Check the descriptor on offer, offer its jobs, let it go when all are taken."""
        reader, all_taken = self._reader, Signal()
        checked = Signal()  # the check's answer is about the descriptor on offer
        self._offers = Cat(self.o_fetch_job.valid, self.o_router_job.valid, self.o_collector_job.valid)
        m.d.comb += [
            all_taken.eq(~(self._offers.any() | self._tile_waits | self.o_tile_job.valid)),
            self._release.eq(self._started & self._promoted & all_taken),
        ]
        for job in (self.o_fetch_job, self.o_router_job, self.o_collector_job):
            with m.If(job.ready):
                m.d.sync += job.valid.eq(0)
        m.d.sync += checked.eq(reader.o.valid & ~reader.o.ready)
        with m.If(self._started):
            m.d.comb += reader.o.ready.eq(self._release)
            with m.If(self._release):
                m.d.sync += [self._started.eq(0), self._promoted.eq(0), self._tile_here.eq(0),
                             self._number.eq(self._number + 1)]
        with m.Elif(checked & ~self._stop & ~self._refused()):
            m.d.comb += self._begin.eq(1)
            m.d.sync += [
                self._started.eq(1),
                self.o_fetch_job.valid.eq(1),
                self.o_router_job.valid.eq(1),
                self.o_collector_job.valid.eq(1),
                self._tile_waits.eq(~self._head.reuse_tile & ~self._tile_free),
                self.o_tile_job.valid.eq(~self._head.reuse_tile & self._tile_free),
                self._tile_here.eq(self._head.reuse_tile),
                self._tile_present.eq(1),
            ]
        with m.Elif(checked):
            m.d.comb += reader.o.ready.eq(1)
        self._checked = checked

    def _refused(self):
        return self._reader.o.payload.error | self._check.o.valid

    def _jobs(self, m: Module) -> None:
        """Payloads: the head's fields under the names that the units use."""
        head, packed = self._head, Signal()
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
        matrix = ("format", "pointers", "indices", "values", "stride", "nnz", "first", "columns")
        m.d.comb += [
            *(self.o_fetch_job.payload[name].eq(head[f"a_{name}"]) for name in matrix),
            *(self.o_tile_job.payload[name].eq(head[f"b_{name}"]) for name in matrix),
            self.o_fetch_job.payload.start.eq(head.k_start),
            self.o_fetch_job.payload.count.eq(head.k_count),
            self.o_router_job.payload.packed.eq(packed),
        ]
        pe_names = ("pk_log2", "slice_words", "half", "group_log2")
        with m.If(self._promote):
            m.d.sync += [
                *(self.o_pe_job[name].eq(head[name]) for name in pe_names),
                self.o_pe_job.total_words.eq(self._check.o_total_words),
                self.o_pe_job.packed.eq(packed),
                self._owner_whole.eq(head.whole),
            ]

    def _stage_tile(self, m: Module) -> None:
        """Offer the head's tile job when the memory is free; remember whose tile was loaded."""
        head, job = self._head, self.o_tile_job
        apart, taken, mine = Signal(), Signal(), Signal()
        m.d.comb += [
            apart.eq(~self._owner_whole & ~head.whole & (self.o_pe_job.half != head.half)
                     & (self.o_pe_job.pk_log2 == head.pk_log2)),
            # Without an owner the head is about to become it.
            self._tile_free.eq(self._promoted | ~self._owned | apart),
            taken.eq(job.valid & job.ready),
            mine.eq(self.i_tile_done & self._tile_loading),
        ]
        with m.If(self._tile_waits & self._tile_free):
            m.d.sync += [self._tile_waits.eq(0), job.valid.eq(1)]
        with m.If(taken):
            m.d.sync += [job.valid.eq(0), self._tile_loading.eq(~self._promoted)]
        with m.If(mine):
            m.d.sync += [self._tile_here.eq(1), self._tile_loading.eq(0)]
        with m.Elif(self.i_tile_done):
            m.d.sync += self._owner_tile.eq(1)
        with m.If(self._promote):
            # From here on its tile is the owner's.
            m.d.sync += [self._owner_tile.eq(self._tile_here | mine), self._tile_loading.eq(0)]

    def _stage_owner(self, m: Module) -> None:
        """Hand the array over when it has drained, and open the token bus when all is in place."""
        tile_settles, pe_settled = Signal(range(TILE_SETTLE_CYCLES + 1)), Signal(PE_SETTLE_CYCLES)
        opened, may_open = Signal(), Signal()
        m.d.comb += [
            self._promote.eq(self._started & ~self._promoted & ~self._owned),
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

    def _record_errors(self, m: Module) -> None:
        """The first error, with the number of the descriptor that the unit works on."""
        error, status = self.o_status.error, self.o_status
        before = Signal(COUNT_BITS)  # the descriptor ahead of the head
        reader, code = self.i_read_error.reader, Signal(8)
        tile_readers = 4 if self._config.compressed_b else 1
        refused = Signal()

        def at_work(job_is_with_unit):
            return Mux(self._started & job_is_with_unit, self._number, before)

        fetch, tile, collector = Signal(COUNT_BITS), Signal(COUNT_BITS), Signal(COUNT_BITS)
        m.d.comb += [
            before.eq(self._number - 1),
            fetch.eq(at_work(~self.o_fetch_job.valid)),
            tile.eq(at_work(~self._tile_waits & ~self.o_tile_job.valid)),
            collector.eq(at_work(~self.o_collector_job.valid)),
            refused.eq(self._checked & ~self._started & self._refused()),
        ]
        sources = [  # (condition, code, detail, descriptor), the first one counts
            (self.i_read_error.valid & (reader != 0) & (reader < _FIRST_TILE_READER),
             ErrorCode.READ_BUS, reader, fetch),
            (self.i_read_error.valid & (reader >= _FIRST_TILE_READER)
             & (reader < _FIRST_TILE_READER + tile_readers), ErrorCode.READ_BUS, reader, tile),
            (self.i_read_error.valid & (reader != 0), ErrorCode.READ_BUS, reader, collector),
            (self.i_write_error, ErrorCode.WRITE_BUS, 0, status.completed),
            *((fault.valid, fault.code, 0, number)
              for fault, number in zip(self.i_faults, (fetch, tile, tile), strict=True)),
            (refused & self._reader.o.payload.error, ErrorCode.READ_BUS, 0, self._number),
            (refused, self._check.o.code, self._check.o.detail, self._number),
        ]
        with m.If(status.busy & ~self._stop):
            for condition, code, detail, number in reversed(sources):
                with m.If(condition):
                    m.d.sync += [error.code.eq(code), error.detail.eq(detail), error.descriptor.eq(number)]

    def _finish(self, m: Module) -> None:
        """Begin and end of a job, and how many descriptors are complete."""
        status, idle, bad = self.o_status, Signal(), Signal()
        with_collector = self._started & ~self.o_collector_job.valid
        m.d.comb += [
            bad.eq((self.i_count == 0) | self.i_descriptor[:log2_exact(self._config.port_bytes)].any()),
            self._reader.i_start.eq(self.i_start & ~bad),
            idle.eq(self.i_collector_idle & self.i_writer_idle),
            self.o_finished.eq(status.busy & self._reader.o_idle & ~self._owned & idle),
            self.o_tokens_due.eq((self._owned & ~self._owner_passed) | (self._started & ~self._promoted)),
            self.o_draining.eq(self._owned | ~idle),
        ]
        with m.If(status.busy & self.i_writer_idle):
            # An idle collector has nothing but drained descriptors behind it; one at work has them all but
            # the last one that it took.
            with m.If(self.i_collector_idle):
                m.d.sync += status.completed.eq(self._number + self._promoted - self._owned)
            with m.Else():
                m.d.sync += status.completed.eq(self._number + with_collector - 1)
        with m.If(self.o_finished):
            m.d.sync += status.busy.eq(0)
            with m.If(self._stop):
                # Nobody knows what is in the tile memory now.
                m.d.sync += self._tile_present.eq(0)
        with m.If(self.i_start):
            m.d.sync += [status.busy.eq(1), status.completed.eq(0), status.error.eq(0), self._number.eq(0)]
            with m.If(bad):
                m.d.sync += [status.error.code.eq(ErrorCode.FIELD), status.error.detail.eq(NOT_A_FIELD)]
