"""What happens to a finished sum before it is written: earlier sums, bias, ReLU, scale."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .adders import MaskedAdder
from .collector_layouts import ChainedWord, CollectorPlan, DenseWord, LaneWord, ParameterRecord
from .config import ACC_BITS, VALUE_BITS, Config
from .layouts import ScaleWord
from .overflow import sum_wraps
from .queue import Queue
from .register_slice import RegisterSlice
from .scaler import Scaler

__all__ = ["Finisher"]

QUEUE_WORDS = 16
"""Words between bias and output where the scaler has a multiplier for each lane, and never stalls; more than
the pipeline there is long."""


class Finisher(wiring.Component):
    """Applies a job's arithmetic to dense words.

    Throughput: one word a cycle; int32 without `csr_out`: a word in two cycles, as a whole word is two chunks
        at least; int8 with one multiplier: a word in V cycles, with `lean_drain` in 7 at least. Groups with
        parameters also take as many cycles as they have records.
    Latency: 4 cycles, with `csr_out` one more; with int8 9 (V + 8 with one multiplier).
    Backpressure: with V multipliers no stage of the scaler stalls: a word goes on when the queue behind it
        has room for it and for everything before it. Otherwise, and without int8, every stage can wait;
        with `lean_drain` none of the scaler's: a word's last lane waits before it.
        `i.ready` is a register: where there are neither V multipliers nor `csr_out` it falls for a cycle
        after each word, else in the cycle after a word had to wait.
    Overflow: earlier sums and bias wrap in int32, `o_overflow` says so; scaling saturates.
    Order: kept.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_plan : CollectorPlan, constant while the job runs
    i_start : 1, pulse before the job's first word; the plan is valid with it
    i : stream of ChainedWord
    i_earlier : stream of LaneWord, one for each word of `i`; only taken where the plan accumulates, and
        zero where it does not
    i_parameters : stream of ParameterRecord, the records of each group; only where the plan has any
    o : stream of DenseWord
    o_overflow : earlier sums or a bias, added two cycles before, made a sum wrap
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_plan": In(CollectorPlan(config)),
            "i_start": In(1),
            "i": In(stream.Signature(ChainedWord(config))),
            "i_earlier": In(stream.Signature(LaneWord(config))),
            "i_parameters": In(stream.Signature(ParameterRecord(config))),
            "o": Out(stream.Signature(DenseWord(config))),
            "o_overflow": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config, lanes = self._config, self._config.lanes
        parallel = config.scale_multipliers == lanes
        self._wraps = []
        int8 = self.i_plan.int8

        dense, summed, biased = (Signal(shape(config), name=name) for name, shape in (
            ("dense", ChainedWord), ("summed", DenseWord), ("biased", DenseWord)))
        scales = Signal(data.ArrayLayout(ScaleWord(), lanes))
        dense_valid, summed_valid, biased_valid = Signal(), Signal(), Signal()
        dense_moves, summed_moves, room = Signal(), Signal(), Signal()
        biased_leaves = Signal()   # or is not there

        # ---- 1: the word from the chains -----------------------------------------------------------
        # The chains, which hang on this ready, do not wait for what is decided behind the word. Where words
        # leave every other cycle at best, they may come so, too.
        if config.words_spaced:
            m.d.comb += self.i.ready.eq(~dense_valid)
            with m.If(dense_moves):
                m.d.sync += dense_valid.eq(0)
            with m.If(self.i.ready):
                m.d.sync += [dense_valid.eq(self.i.valid), dense.eq(self.i.p)]
        else:
            m.submodules.first = first = RegisterSlice(ChainedWord(config))
            connect(m, flipped(self.i), first.i)
            m.d.comb += [dense_valid.eq(first.o.valid), dense.eq(first.o.p), first.o.ready.eq(dense_moves)]

        # ---- 2: earlier sums -----------------------------------------------------------------------
        # With `lean_drain` words come every third cycle: what hangs on no other stage is soon enough.
        free = ~summed_valid if config.lean_drain else ~summed_valid | summed_moves
        m.d.comb += [
            dense_moves.eq(dense_valid & free & (self.i_earlier.valid | ~self.i_plan.accumulate)),
            self.i_earlier.ready.eq(dense_moves & self.i_plan.accumulate),
        ]
        sums = [self._sum(m, lane, dense, self.i_earlier.p[lane], dense_moves) for lane in range(lanes)]
        with m.If(dense_moves):
            # Which lanes count, the highest field, stays behind.
            m.d.sync += [summed_valid.eq(1), summed.eq(dense.as_value()[:len(summed.as_value())]),
                         *(target.eq(total) for target, total in zip(summed.data, sums, strict=True))]
        with m.Elif(summed_moves):
            m.d.sync += summed_valid.eq(0)

        # ---- 3: bias; where rows share a word, row by row ------------------------------------------
        record, applies, complete = self._record(m, summed.group_last)
        m.d.comb += [
            applies.eq(summed_valid & room & biased_leaves & record.there),
            summed_moves.eq(applies & complete),
        ]
        with m.If(biased_leaves):
            m.d.sync += biased_valid.eq(summed_moves)
        # Where only the word that is there can be in the way, what cannot go on yet is added again: the
        # enables of so many registers do not hang on whether it goes.
        loads = record.there & biased_leaves if parallel else applies
        with m.If(loads):
            m.d.sync += [biased.group_last.eq(summed.group_last), biased.job_last.eq(summed.job_last)]
        self._bias(m, record, loads, applies, summed, biased, scales)
        m.d.sync += self.o_overflow.eq(Cat(self._wraps).any())

        # ---- 4: ReLU; int8: scale ------------------------------------------------------------------
        output = self._output(m, parallel)
        plain_leaves = self._clear_negative(m, biased, biased_valid, output)
        if parallel:
            m.d.comb += biased_leaves.eq(int8 | plain_leaves)
            self._count_room(m, room, summed_moves)
            self._scale_parallel(m, biased, scales, biased_valid, output)
        else:
            m.d.comb += room.eq(1)
            self._scale_serial(m, biased, scales, biased_valid, plain_leaves, biased_leaves, output)
        return m

    def _output(self, m: Module, parallel: bool) -> Any:
        """Where words go: with results in CSR, which have words of few entries, into a queue that takes one a
        cycle; others are taken as they are, bytes from a queue of their own."""
        if not self._config.csr_out:
            return self.o
        # One stage that may wait is enough room where every stage can.
        m.submodules.queue = queue = Queue(DenseWord(self._config), QUEUE_WORDS if parallel else 2)
        connect(m, queue.o, flipped(self.o))
        return queue.i

    def _clear_negative(self, m: Module, biased, biased_valid: Signal, output) -> Value:
        """The sums themselves, on their way out; returns: what is there goes on, or there is nothing.

        Negative ones are cleared by the registers' reset. Without a queue the way out is not asked: a word
        goes on when the register is empty, every other cycle.
        """
        plan = self.i_plan
        plain = Signal(DenseWord(self._config))
        valid = Signal(name="plain_valid")
        moves = ~valid | output.ready if self._config.csr_out else ~valid
        with m.If(output.ready):
            m.d.sync += valid.eq(0)
        with m.If(moves & ~plan.int8):
            m.d.sync += [valid.eq(biased_valid), plain.eq(biased)]
            for value, total in zip(plain.data, biased.data, strict=True):
                with m.If(plan.relu & (total < 0)):
                    m.d.sync += value.eq(0)
        m.d.comb += [output.valid.eq(valid), output.p.eq(plain)]
        return moves | ~biased_valid

    def _sum(self, m: Module, lane: int, word, other, counts: Signal) -> Signal:
        """The sum of a word's lane, where it counts, and another int32."""
        one, total = word.data[lane], Signal(signed(ACC_BITS))
        if self._config.lean_drain:
            # The adder masks what does not count: a reset of so many registers would come late.
            m.submodules[f"earlier_adder{lane}"] = adder = MaskedAdder(ACC_BITS)
            there = word.lanes[lane]
            m.d.comb += [adder.i_a.eq(one), adder.i_use_a.eq(there), adder.i_b.eq(other), adder.i_use_b.eq(1),
                         total.eq(adder.o)]
            counts = counts & there
        else:
            m.d.comb += total.eq(one + other)
        self._watch(m, one, other, total, counts)
        return total

    def _watch(self, m: Module, one, other, total, counts) -> None:
        """Remembers in `_wraps` should a sum wrap while it `counts`."""
        wraps = Signal()
        m.d.sync += wraps.eq(counts & sum_wraps(one, other, total))
        self._wraps.append(wraps)

    def _record(self, m: Module, group_last: Signal) -> tuple[data.View, Signal, Signal]:
        """What stage 3 applies next; a signal to be driven when it does; that it is a word's last."""
        taken, plan = self.i_parameters, self.i_plan
        held, full, needed = Signal(ParameterRecord(self._config)), Signal(), Signal()
        applies, complete, leaves = Signal(), Signal(), Signal()
        record = Signal(data.StructLayout({
            "there": 1, "biased": 1, "bias": signed(ACC_BITS), "scale": ScaleWord(),
            "row": self._config.lane_bits}))
        m.d.comb += [
            needed.eq(plan.row_bias | plan.row_scale),
            record.there.eq(full | ~needed),
            record.biased.eq(plan.row_bias),
            record.bias.eq(held.bias),
            record.scale.eq(Mux(plan.row_scale, held.scale, plan.scale)),
            record.row.eq(Mux(needed, held.row, 0)),
            complete.eq(held.last | ~needed),
            # All words of a row have its record.
            leaves.eq(applies & (~held.last | group_last)),
            taken.ready.eq(~full | leaves),
        ]
        with m.If(taken.ready):
            m.d.sync += [full.eq(taken.valid), held.eq(taken.p)]
        with m.If(self.i_start):
            m.d.sync += full.eq(0)
        return record, applies, complete

    def _bias(self, m: Module, record, loads, applies, summed, biased, scales) -> None:
        """Adds a record's bias to the lanes of its row."""
        config, lanes, lane_bits = self._config, self._config.lanes, self._config.lane_bits
        row_shift = Signal(range(lane_bits + 1))
        m.d.comb += row_shift.eq(lane_bits - self.i_plan.group_log2)
        for lane in range(lanes):
            row, added = Signal(lane_bits, name=f"row{lane}"), Signal(name=f"added{lane}")
            m.submodules[f"adder{lane}"] = adder = MaskedAdder(ACC_BITS)
            m.d.comb += row.eq(Const(lane, lane_bits) >> row_shift)
            if config.lean_drain:
                reached = self._foretell(m, lane, row, added)
            else:
                m.d.comb += added.eq(record.biased & (row == record.row))
                reached = row >= record.row
            m.d.comb += [
                adder.i_a.eq(summed.data[lane]), adder.i_use_a.eq(1),
                adder.i_b.eq(record.bias), adder.i_use_b.eq(added),
            ]
            self._watch(m, summed.data[lane], record.bias, adder.o, applies & added)
            # Lanes after the record's row go without a bias, unless another record comes.
            with m.If(loads & reached):
                m.d.sync += [biased.data[lane].eq(adder.o), scales[lane].eq(record.scale)]

    def _foretell(self, m: Module, lane: int, row: Signal, added: Signal) -> Value:
        """What a record is to a lane, in registers, as it comes: the adder is long enough. Without records
        every lane is reached."""
        taken, reached = self.i_parameters, Signal(name=f"reached{lane}")
        with m.If(taken.ready):
            m.d.sync += [added.eq(self.i_plan.row_bias & (row == taken.p.row)),
                         reached.eq(~taken.valid | (row >= taken.p.row))]
        return reached

    def _count_room(self, m, room, moves):
        """Words on their way from stage 3 on, those in the queue included, are no more than it holds."""
        underway, taken, counts = Signal(range(QUEUE_WORDS + 1)), Signal(), Signal()
        m.d.comb += [
            # Sums have the queue to themselves, too, or none.
            counts.eq(1 if self._config.csr_out else self.i_plan.int8),
            taken.eq(self.o.valid & self.o.ready & counts),
        ]
        # One place is for a word that moves in the cycle of the count.
        m.d.sync += [underway.eq(underway + (moves & counts) - taken), room.eq(underway <= QUEUE_WORDS - 2)]

    def _put(self, m, output, scaled) -> None:
        """Bytes in place of the sums."""
        with m.If(self.i_plan.int8):
            m.d.comb += [
                output.valid.eq(scaled.valid),
                output.p.data.as_value()[:len(scaled.p.bytes)].eq(scaled.p.bytes),
                output.p.group_last.eq(scaled.p.group_last),
                output.p.job_last.eq(scaled.p.job_last),
                scaled.ready.eq(output.ready),
            ]

    def _scale_parallel(self, m, biased, scales, valid, output):
        m.submodules.scaler = scaler = Scaler(self._config.lanes, tag_bits=2)
        m.d.comb += [
            scaler.i_advance.eq(1),
            scaler.i_relu.eq(self.i_plan.relu),
            scaler.i_valid.eq(valid & self.i_plan.int8),
            scaler.i_tag.eq(Cat(biased.group_last, biased.job_last)),
        ]
        for lane in range(self._config.lanes):
            m.d.comb += [scaler.i[lane].value.eq(biased.data[lane]), scaler.i[lane].scale.eq(scales[lane])]
        scaled = stream.Signature(_ByteWord(self._config)).create(path=("scaled",))
        m.d.comb += [scaled.valid.eq(scaler.o_valid), scaled.p.eq(Cat(scaler.o, scaler.o_tag))]
        if self._config.csr_out:
            self._put(m, output, scaled)
        else:
            m.submodules.queue = queue = Queue(_ByteWord(self._config), QUEUE_WORDS)
            m.d.comb += [queue.i.valid.eq(scaled.valid), queue.i.p.eq(scaled.p)]
            self._put(m, output, queue.o)

    def _scale_serial(self, m, biased, scales, valid, plain_leaves, leaves, output):
        """One lane a cycle: stage 3's word moves down a lane at a time, bytes gather in a shift register. A
        whole word waits beside it: as the next one takes V cycles, nobody asks whether it leaves.

        With `lean_drain` a word's last lane waits until the word before it has left: behind it nothing has to
        wait, and what waits is known from registers."""
        lanes, lean = self._config.lanes, self._config.lean_drain
        if not self._config.scale_multipliers:
            m.d.comb += leaves.eq(plain_leaves)
            return
        m.submodules.scaler = scaler = Scaler(1, tag_bits=3)
        advance, feeding, lane = Signal(), Signal(), Signal(range(lanes))
        gathered = stream.Signature(_ByteWord(self._config)).create(path=("gathered",))
        gathering, completes = Signal(VALUE_BITS * (lanes - 1)), Signal()
        at_last = lane == lanes - 1
        underway = Signal()     # a word, all of it
        feeds, moves_on = valid & self.i_plan.int8, advance
        if lean:
            feeds, moves_on = feeds & ~(at_last & underway), ~underway
        m.d.comb += [
            completes.eq(scaler.o_valid & scaler.o_tag[2]),
            advance.eq(1 if lean else ~(completes & gathered.valid)),
            feeding.eq(feeds),
            scaler.i_advance.eq(advance),
            scaler.i_relu.eq(self.i_plan.relu),
            scaler.i_valid.eq(feeding),
            scaler.i[0].value.eq(biased.data[0]),
            scaler.i[0].scale.eq(scales[0]),
            scaler.i_tag.eq(Cat(biased.group_last, biased.job_last, at_last)),
            leaves.eq(Mux(self.i_plan.int8, ~valid | (moves_on & at_last), plain_leaves)),
        ]
        if lean:
            with m.If(feeding & at_last):
                m.d.sync += underway.eq(1)
            with m.Elif(gathered.valid & gathered.ready):
                m.d.sync += underway.eq(0)
        with m.If(feeding & advance):
            m.d.sync += lane.eq(lane + 1)
            with m.If(lane != lanes - 1):
                for number in range(lanes - 1):
                    m.d.sync += [
                        biased.data[number].eq(biased.data[number + 1]),
                        scales[number].eq(scales[number + 1]),
                    ]
        with m.If(scaler.o_valid & advance):
            m.d.sync += gathering.eq(Cat(gathering, scaler.o)[VALUE_BITS:])
        with m.If(gathered.valid):
            m.d.sync += gathered.valid.eq(~gathered.ready)
        with m.Elif(completes):
            m.d.sync += [gathered.valid.eq(1), gathered.p.bytes.eq(Cat(gathering, scaler.o)),
                         gathered.p.group_last.eq(scaler.o_tag[0]), gathered.p.job_last.eq(scaler.o_tag[1])]
        self._put(m, output, gathered)


def _ByteWord(config: Config) -> data.StructLayout:
    """A word after int8 scaling."""
    return data.StructLayout({"bytes": VALUE_BITS * config.lanes, "group_last": 1, "job_last": 1})
