"""Makes a collector's job into the plan its blocks follow and the jobs of its readers and writer."""

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .collector_layouts import CollectorPlan
from .config import ADDRESS_BITS, Config, log2_exact
from .layouts import CollectorJob, CsrPlace, SegmentJob, WriteJob

__all__ = ["CollectorControl"]


class CollectorControl(wiring.Component):
    """Takes a job, works out its plan, starts the blocks, and waits until the job's last chunk left.

    Throughput: one job at a time.
    Latency: 4 cycles from a taken job to `o_start` and the offered jobs; where rows share a word up to
        log2(V) + 2 more.
    Backpressure: no job is taken before the last one's end; each offered job waits for its taker.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_job : stream of CollectorJob
    i_settled : everything written so far has arrived in memory
    i_finished : 1, pulse: the job's last chunk was taken
    i_drained : 1, level: the chains gave the job's last word
    o_drained : 1, pulse: the same, once a job
    o_start : 1, pulse: `o_plan` is valid from now on
    o_plan : CollectorPlan
    o_write_job : stream of WriteJob; none for a result in CSR
    o_earlier_job, o_parameter_job : streams of SegmentJob, only where the job reads earlier sums or
        parameters
    o_place, o_address : CsrPlace and the values' address of a result in CSR (only with `csr_out`)
    o_idle : 1, no job
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_job": In(stream.Signature(CollectorJob(config))),
            "i_settled": In(1, init=1),
            "i_finished": In(1),
            "i_drained": In(1),
            "o_start": Out(1),
            "o_plan": Out(CollectorPlan(config)),
            "o_write_job": Out(stream.Signature(WriteJob(config))),
            "o_earlier_job": Out(stream.Signature(SegmentJob())),
            "o_parameter_job": Out(stream.Signature(SegmentJob())),
            "o_drained": Out(1),
            "o_idle": Out(1),
        } | ({"o_place": Out(CsrPlace()), "o_address": Out(ADDRESS_BITS)} if config.csr_out else {}))

    def elaborate(self, platform):
        m = Module()
        self._job = job = Signal(CollectorJob(self._config))
        self._sizes, self._counted = Signal(), Signal()   # the first step; groups are counted
        offers = (self.o_write_job, self.o_earlier_job, self.o_parameter_job)
        waiting = Signal()  # for the chains' last words
        m.d.comb += self.o_drained.eq(waiting & self.i_drained)
        with m.If(self.o_drained):
            m.d.sync += waiting.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                # Earlier sums may be what the job before has written: read them when they are there.
                m.d.comb += [
                    self.i_job.ready.eq(~self.i_job.p.accumulate | self.i_settled),
                    self.o_idle.eq(1),
                ]
                m.d.sync += job.eq(self.i_job.p)
                with m.If(self.i_job.valid & self.i_job.ready):
                    m.next = "SIZES"
            with m.State("SIZES"):
                m.d.comb += self._sizes.eq(1)
                m.next = "COUNTS"
            with m.State("COUNTS"):
                with m.If(self._counted):
                    m.next = "GROUPS"
            with m.State("GROUPS"):
                m.d.sync += [
                    self.o_write_job.valid.eq(~job.out_csr if self._config.csr_out else 1),
                    self.o_earlier_job.valid.eq(job.accumulate),
                    self.o_parameter_job.valid.eq(job.row_bias | job.row_scale),
                ]
                m.next = "START"
            with m.State("START"):
                m.d.comb += self.o_start.eq(1)
                m.d.sync += waiting.eq(1)
                m.next = "RUN"
            with m.State("RUN"):
                with m.If(self.i_finished):
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                # An empty chain word that ends the last group may come after the last sum.
                with m.If(self.i_drained & ~self.o_write_job.valid):
                    m.next = "IDLE"
        for offer in offers:
            with m.If(offer.valid & offer.ready):
                m.d.sync += offer.valid.eq(0)
        self._plan(m, job)
        if self._config.csr_out:
            m.d.comb += [self.o_place.eq(job.csr), self.o_address.eq(job.c_address)]
        return m

    def _plan(self, m, job):
        """Three registered steps; they run all the time, the states only wait for them."""
        config, plan = self._config, self.o_plan
        lane_bits, port_log2 = config.lane_bits, log2_exact(config.port_bytes)

        # ---- step 1: sizes -------------------------------------------------------------------------
        int8, grouped, element_log2 = Signal(), Signal(), Signal(range(3))
        row_log2, row_bytes_log2 = Signal(range(lane_bits + 1)), Signal(range(lane_bits + 3))
        m.d.comb += [
            # Numbers of entries are not scaled.
            int8.eq(job.out_int8 & ~job.out_raw & ~(job.csr.counted if config.csr_out else Const(0))),
            element_log2.eq(Mux(int8, 0, 2)),
            grouped.eq(job.group_log2 != 0),
            row_log2.eq(lane_bits - job.group_log2),          # lanes of a row in a group, N'
            row_bytes_log2.eq(row_log2 + element_log2),
        ]
        columns_bits = len(job.n_count)
        columns_before = Signal(columns_bits)                 # columns - 1
        row_bytes = Signal(columns_bits + 2)
        m.d.sync += [
            columns_before.eq(job.n_count - 1),
            row_bytes.eq(job.n_count << element_log2),
        ]

        # ---- step 2: counts ------------------------------------------------------------------------
        run, separate = Signal(), Signal()
        tail_lanes = Signal(range(config.lanes + 1))
        m.d.sync += [
            plan.last_word.eq(Mux(grouped, 0, columns_before >> lane_bits)),
            run.eq(grouped & ~job.out_raw & (job.n_count == (1 << row_log2)) & (job.c_stride == row_bytes)),
            plan.tail_rows.eq(((job.rows[:lane_bits] - 1) & ((1 << job.group_log2) - 1)[:lane_bits]) + 1),
            tail_lanes.eq(columns_before[:lane_bits] + 1),
        ]
        m.d.comb += separate.eq(grouped & ~job.out_raw & ~run)
        run_bytes = self._count_groups(m, row_bytes_log2)

        # ---- step 3: bytes of a word ---------------------------------------------------------------
        groups, word_bytes = plan.groups, Signal(len(plan.last_word) + lane_bits + 3)
        m.d.sync += [
            word_bytes.eq((plan.last_word + 1) << (lane_bits + 2)),
            plan.run.eq(run),
            plan.separate.eq(separate),
            plan.int8.eq(int8),
            plan.word_bytes.eq(config.lanes << element_log2),
            plan.row_elements.eq(1 << row_log2),
            plan.by_element.eq(separate & (row_bytes_log2 < port_log2)),
            plan.wide.eq(separate & (row_bytes_log2 > port_log2)),
            *(plan[name].eq(job[name]) for name in (
                "group_log2", "accumulate", "relu", "row_bias", "row_scale", "scale")),
        ]
        if config.csr_out:
            m.d.sync += [plan.csr.eq(job.out_csr), plan.last_lanes.eq((1 << tail_lanes) - 1),
                         plan.accumulate.eq(job.accumulate & ~job.out_csr),
                         plan.row_numbers.eq(job.accumulate & job.out_csr)]
        if config.elementwise:
            m.d.sync += plan.elementwise.eq(job.elementwise)
        with m.If(job.out_raw):
            m.d.sync += plan.tail_bytes.eq(4 * config.lanes)
        with m.Elif(run):
            m.d.sync += plan.tail_bytes.eq(plan.tail_rows << row_bytes_log2)
        with m.Elif(separate):
            m.d.sync += plan.tail_bytes.eq(row_bytes)
        with m.Else():
            m.d.sync += plan.tail_bytes.eq(tail_lanes << element_log2)

        # ---- the jobs of others --------------------------------------------------------------------
        write, earlier, parameters = self.o_write_job.p, self.o_earlier_job.p, self.o_parameter_job.p
        m.d.comb += [
            write.address.eq(job.c_address),
            write.rows.eq(Mux(job.out_raw, groups, Mux(plan.run, 1, job.rows))),
            write.row_bytes.eq(Mux(job.out_raw, word_bytes, Mux(plan.run, run_bytes, row_bytes))),
            write.stride.eq(job.c_stride),
            earlier.address.eq(job.cin_address),
            earlier.rows.eq(groups),
            earlier.row_bytes.eq(word_bytes),
            earlier.stride.eq(job.cin_stride),
            parameters.address.eq(job.params_address),
            parameters.rows.eq(1),
            parameters.row_bytes.eq(job.rows << Mux(job.row_bias & job.row_scale, 3, 2)),
            parameters.stride.eq(parameters.row_bytes),
        ]
        if config.csr_out:
            with m.If(job.out_csr):
                m.d.comb += [earlier.rows.eq(1), earlier.row_bytes.eq(job.rows << 2),
                             earlier.stride.eq(earlier.row_bytes)]

    def _count_groups(self, m: Module, row_bytes_log2: Value) -> Signal:
        """Halves rows to groups, and doubles them to bytes of all of them, a bit a cycle: shifters of 32 bits
        are large. Returns the bytes; they are only wanted of rows that share words."""
        job, groups, run_bytes = self._job, self.o_plan.groups, Signal(32)
        halvings, doublings = Signal.like(job.group_log2), Signal.like(row_bytes_log2)
        m.d.comb += self._counted.eq((halvings == 0) & ((doublings == 0) | (job.group_log2 == 0)))
        with m.If(self._sizes):
            m.d.sync += [groups.eq(job.rows), halvings.eq(job.group_log2),
                         run_bytes.eq(job.rows), doublings.eq(row_bytes_log2)]
        with m.Else():
            with m.If(halvings != 0):
                m.d.sync += [groups.eq((groups + 1) >> 1), halvings.eq(halvings - 1)]
            with m.If(doublings != 0):
                m.d.sync += [run_bytes.eq(run_bytes << 1), doublings.eq(doublings - 1)]
        return run_bytes
