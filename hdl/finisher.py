"""What happens to a finished sum before it is written: earlier sums, bias, ReLU, scale."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .collector_layouts import CollectorPlan, DenseWord, LaneWord, ParameterRecord
from .config import ACC_BITS, Config
from .layouts import ScaleWord
from .overflow import sum_wraps
from .scaler import Scaler

__all__ = ["Finisher"]


class Finisher(wiring.Component):
    """Applies a job's arithmetic to the dense words of one chain.

    Throughput: one word a cycle; int8 with one multiplier: a word in V cycles. Groups with parameters
        also take as many cycles as they have records.
    Latency: 2 cycles, with int8 8 more (V + 9 in all with one multiplier).
    Backpressure: one enable for all stages behind the first; it follows `o.ready` in the same cycle.
    Overflow: earlier sums and bias wrap in int32, `o_overflow` says so; scaling saturates.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_plan : CollectorPlan, constant while the job runs
    i_start : 1, pulse before the job's first word; the plan is valid with it
    i : stream of DenseWord
    i_earlier : stream of LaneWord, one for each word of `i`; only taken where the plan accumulates, and
        zero where it does not
    i_parameters : stream of ParameterRecord, the records of each group; only where the plan has any
    o : stream of DenseWord
    o_overflow : earlier sums or a bias, added in the cycle before, made a sum wrap
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_plan": In(CollectorPlan(config)),
            "i_start": In(1),
            "i": In(stream.Signature(DenseWord(config))),
            "i_earlier": In(stream.Signature(LaneWord(config))),
            "i_parameters": In(stream.Signature(ParameterRecord(config))),
            "o": Out(stream.Signature(DenseWord(config))),
            "o_overflow": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = self._config.lanes
        self._wraps = []
        self._bank_taken, self._bank_ready = Signal(), Signal()
        self._bank = Signal(data.ArrayLayout(
            data.StructLayout({"bias": 32, "scale": ScaleWord()}), lanes))
        self._parameter_bank(m)

        summed_valid, biased_valid = Signal(), Signal()
        summed = Signal(DenseWord(self._config), reset_less=True)
        biased = Signal(DenseWord(self._config), reset_less=True)
        scales = Signal(data.ArrayLayout(ScaleWord(), lanes), reset_less=True)
        summed_moves, biased_ready = Signal(), Signal()

        # ---- 1: earlier sums -----------------------------------------------------------------------
        earlier_there, summed_ready, summed_put = Signal(), Signal(), Signal()
        m.d.comb += [
            earlier_there.eq(self.i_earlier.valid | ~self.i_plan.accumulate),
            summed_ready.eq(~summed_valid | summed_moves),
            self.i.ready.eq(summed_ready & earlier_there),
            self.i_earlier.ready.eq(summed_ready & self.i.valid & self.i_plan.accumulate),
            summed_put.eq(self.i.valid & self.i.ready),
        ]
        with m.If(summed_ready):
            m.d.sync += summed_valid.eq(summed_put)
        with m.If(summed_put):
            m.d.sync += [summed.group_last.eq(self.i.p.group_last), summed.job_last.eq(self.i.p.job_last)]
            for value, new, earlier in zip(summed.data, self.i.p.data, self.i_earlier.p, strict=True):
                m.d.sync += value.eq(self._sum(m, new, earlier, summed_put))

        # ---- 2: bias -------------------------------------------------------------------------------
        m.d.comb += [
            summed_moves.eq(summed_valid & biased_ready & self._bank_ready),
            self._bank_taken.eq(summed_moves & summed.group_last),
        ]
        with m.If(biased_ready):
            m.d.sync += biased_valid.eq(summed_moves)
        with m.If(summed_moves):
            m.d.sync += [biased.group_last.eq(summed.group_last), biased.job_last.eq(summed.job_last)]
            for lane in range(lanes):
                m.d.sync += [
                    biased.data[lane].eq(
                        self._sum(m, summed.data[lane], self._bank[lane].bias.as_signed(), summed_moves)),
                    scales[lane].eq(self._bank[lane].scale),
                ]

        m.d.sync += self.o_overflow.eq(Cat(self._wraps).any())

        # ---- ReLU, on the way to the next register -------------------------------------------------
        rectified = Signal(LaneWord(self._config))
        for value, sum_ in zip(rectified, biased.data, strict=True):
            m.d.comb += value.eq(Mux(self.i_plan.relu & (sum_ < 0), 0, sum_))

        # ---- int32: done; int8: scale --------------------------------------------------------------
        plain = Signal(DenseWord(self._config))
        m.d.comb += [plain.eq(biased), plain.data.eq(rectified)]
        if not self._config.scale_multipliers:
            m.d.comb += [
                self.o.valid.eq(biased_valid),
                self.o.p.eq(plain),
                biased_ready.eq(~biased_valid | self.o.ready),
            ]
        elif self._config.scale_multipliers == lanes:
            self._scale_parallel(m, biased_valid, biased_ready, plain, scales)
        else:
            self._scale_serial(m, biased_valid, biased_ready, plain, scales, biased)
        return m

    def _sum(self, m: Module, one, other, counts: Signal) -> Signal:
        """The sum of two int32, remembered in `_wraps` should it wrap while it `counts`."""
        total, wraps = Signal(signed(ACC_BITS)), Signal()
        m.d.comb += [total.eq(one + other), wraps.eq(counts & sum_wraps(one, other, total))]
        self._wraps.append(wraps)
        return total

    def _parameter_bank(self, m):
        """Bias and scale of each lane for the next group that comes to stage 2."""
        record, plan = self.i_parameters.p, self.i_plan
        full, needed = Signal(), Signal()
        lane_bits = self._config.lane_bits
        m.d.comb += [
            needed.eq(plan.row_bias | plan.row_scale),
            self._bank_ready.eq(full | ~needed),
            self.i_parameters.ready.eq(~full | self._bank_taken),
        ]
        put = Signal()
        m.d.comb += put.eq(self.i_parameters.valid & self.i_parameters.ready)
        with m.If(self._bank_taken):
            m.d.sync += full.eq(0)
            # The last group may have fewer rows: no bias of an older group shows where none is.
            m.d.sync += [lane.bias.eq(0) for lane in self._bank]
        with m.If(put):
            m.d.sync += full.eq(record.last)
        row_shift = Signal(range(lane_bits + 1))
        m.d.comb += row_shift.eq(lane_bits - plan.group_log2)
        for number, lane in enumerate(self._bank):
            with m.If(put & ((Const(number, lane_bits) >> row_shift) == record.row)):
                with m.If(plan.row_bias):
                    m.d.sync += lane.bias.eq(record.bias)
                with m.If(plan.row_scale):
                    m.d.sync += lane.scale.eq(record.scale)
        with m.If(self.i_start):
            m.d.sync += full.eq(0)
            for lane in self._bank:
                m.d.sync += [lane.bias.eq(0), lane.scale.eq(plan.scale)]

    def _emit_scaled(self, m, plain, scaled, scaled_valid, biased_valid, group_last, job_last):
        """`o`: the sums themselves, or bytes from the scaler."""
        m.d.comb += [self.o.p.eq(plain), self.o.valid.eq(biased_valid)]
        with m.If(self.i_plan.int8):
            m.d.comb += [
                self.o.valid.eq(scaled_valid),
                self.o.p.data.as_value()[:len(scaled)].eq(scaled),
                self.o.p.group_last.eq(group_last),
                self.o.p.job_last.eq(job_last),
            ]

    def _scale_parallel(self, m, biased_valid, biased_ready, plain, scales):
        m.submodules.scaler = scaler = Scaler(self._config.lanes, tag_bits=2)
        advance = Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            biased_ready.eq(advance),
            scaler.i_advance.eq(advance),
            scaler.i_valid.eq(biased_valid & self.i_plan.int8),
            scaler.i_tag.eq(plain.group_last | (plain.job_last << 1)),
        ]
        for lane in range(self._config.lanes):
            m.d.comb += [scaler.i[lane].value.eq(plain.data[lane]), scaler.i[lane].scale.eq(scales[lane])]
        self._emit_scaled(m, plain, scaler.o.as_value(), scaler.o_valid, biased_valid, scaler.o_tag[0],
                          scaler.o_tag[1])

    def _scale_serial(self, m, biased_valid, biased_ready, plain, scales, biased):
        """One lane a cycle: stage 2's word moves down a lane at a time, bytes gather in a shift register."""
        lanes = self._config.lanes
        m.submodules.scaler = scaler = Scaler(1, tag_bits=3)
        advance, feeding, lane, whole = Signal(), Signal(), Signal(range(lanes)), Signal()
        gathered, ends = Signal(8 * lanes, reset_less=True), Signal(2, reset_less=True)
        m.d.comb += [
            advance.eq(~whole | self.o.ready),
            feeding.eq(biased_valid & self.i_plan.int8),
            scaler.i_advance.eq(advance),
            scaler.i_valid.eq(feeding),
            scaler.i[0].value.eq(plain.data[0]),
            scaler.i[0].scale.eq(scales[0]),
            scaler.i_tag.eq(plain.group_last | (plain.job_last << 1) | ((lane == lanes - 1) << 2)),
            biased_ready.eq(~biased_valid | Mux(self.i_plan.int8, advance & (lane == lanes - 1),
                                                self.o.ready)),
        ]
        with m.If(feeding & advance):
            m.d.sync += lane.eq(lane + 1)
            with m.If(lane != lanes - 1):
                for number in range(lanes - 1):
                    m.d.sync += [
                        biased.data[number].eq(biased.data[number + 1]),
                        scales[number].eq(scales[number + 1]),
                    ]
        with m.If(advance):
            m.d.sync += whole.eq(scaler.o_valid & scaler.o_tag[2])
            with m.If(scaler.o_valid):
                m.d.sync += [
                    gathered.eq(gathered[8:] | (scaler.o.as_value() << (8 * (lanes - 1)))),
                    ends.eq(scaler.o_tag[:2]),
                ]
        self._emit_scaled(m, plain, gathered, whole, biased_valid, ends[0], ends[1])
