"""The processing element: connects its queue, tile memory, lanes, accumulators and row queue."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from .accumulator import WRITE_LATENCY_CYCLES, Accumulator, BankAccess
from .config import VALUE_BITS, Config
from .lane import Multiplier, OperandSelect
from .lane_store import LaneStore
from .layouts import ChainWord, Fault, PeBeat, PeJob, PeTileBeat, TileBeat
from .pe_front import PeFront
from .registers import ErrorCode
from .row_queue import SETTLING_CYCLES, RowQueue
from .walker import MacWord, Walker

__all__ = ["ProcessingElement"]

STORE_CYCLES = 2
"""From a store address to the store's output register."""

# A row closes the cycle after its last word is issued, in which `o_word` shows it.
assert SETTLING_CYCLES == STORE_CYCLES + WRITE_LATENCY_CYCLES


class ProcessingElement(wiring.Component):
    """Multiplies its own tokens with rows of its part of the tile, adds up rows of C and hands them on.

    Throughput: one store word of every lane a cycle; a beat costs max(1, own tokens) cycles where a row
        has one word; rows without own tokens close four a cycle and leave one a cycle and chain.
    Latency: 11 cycles from a beat to the first word of a row that it closes, 7 to an empty row.
    Backpressure: `o_room` keeps four beats of room; a full row queue stops the walk, nothing behind it.
    Overflow: sums wrap; `o_overflow`. A packed row that does not fit is cut; `o_fault`.
    Order: rows leave in the order in which they arrive, row r of a job on chain r mod chains.

    Parameters
    ----------
    config : Config
    number : the PE's number, slice * P_k + owner

    Members
    -------
    i_number : the PE's number, constant; by a port, so that all PEs are one module
    i_job : PeJob, constant while one of its tokens or words is in the PE
    i : stream of PeBeat, always taken
    o_room : beats may come, as many as are on their way until the bus sees that it fell
    i_tile : stream of PeTileBeat, always taken
    i_tile_data : data of the tile beat that came a cycle ago
    o : for each chain, stream of ChainWord
    o_active : a word is at work in the lanes
    o_blocked : tokens or closes wait for room in the row queue
    o_fault : PACKED_OVERFLOW
    o_overflow : a sum wrapped
    """

    def __init__(self, config: Config, number: int):
        if not 0 <= number < config.pes:
            raise ValueError(f"number = {number}; it must be 0..{config.pes - 1}")
        self._config = config
        super().__init__({
            "i_number": In(config.pe_bits, init=number),
            "i_job": In(PeJob(config)),
            "i": In(stream.Signature(PeBeat(config), always_ready=True)),
            "o_room": Out(1),
            "i_tile": In(stream.Signature(PeTileBeat(config), always_ready=True)),
            "i_tile_data": In(TileBeat(config)["data"].shape),
            "o": Out(stream.Signature(ChainWord(config))).array(config.chains),
            "o_active": Out(1),
            "o_blocked": Out(1),
            "o_fault": Out(Fault()),
            "o_overflow": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.front = front = PeFront(config)
        m.submodules.walker = self._walker = walker = Walker(config)
        m.submodules.store = self._store = store = LaneStore(config)
        m.submodules.row_queue = self._row_queue = row_queue = RowQueue(config)
        m.d.comb += store.i_number.eq(self.i_number)
        self._place(m)

        # ---- tokens ----
        m.d.comb += [
            front.i.valid.eq(self.i.valid),
            front.i.p.eq(self.i.p),
            front.i_group_log2.eq(self.i_job.group_log2),
            walker.i_packed.eq(self.i_job.packed),
            walker.i_half.eq(self.i_job.half),
            walker.i_own_words.eq(self._own_words),
            walker.i_group_log2.eq(self.i_job.group_log2),
            self.o_blocked.eq(walker.o_blocked),
            self.o_active.eq(walker.o_word.valid),
        ]
        m.d.sync += self.o_room.eq(front.o_room & row_queue.o_swept)
        connect(m, front.o, walker.i)

        # ---- tile ----
        m.d.comb += [
            store.i.valid.eq(self.i_tile.valid),
            store.i.p.eq(self.i_tile.p),
            store.i_data.eq(self.i_tile_data),
            store.i_owner.eq(self._owner),
            store.i_slice.eq(self._slice),
            self.o_fault.valid.eq(store.o_overflow),
            self.o_fault.code.eq(ErrorCode.PACKED_OVERFLOW),
        ]
        if config.compressed_b:
            m.d.comb += [
                store.i_row_enable.eq(walker.o_row_enable),
                store.i_row.eq(walker.o_row),
                walker.i_table.eq(store.o_table),
            ]

        self._lanes(m)

        # ---- rows ----
        m.d.comb += [
            row_queue.i_packed.eq(self.i_job.packed),
            row_queue.i_own_words.eq(self._own_words),
            row_queue.i_first_word.eq(self._first_word),
            row_queue.i_touched.eq(walker.o_touched),
            row_queue.i_empties.eq(walker.o_empties),
            row_queue.i_last.eq(walker.o_last),
            walker.i_open.eq(row_queue.o_open),
            walker.i_next.eq(row_queue.o_next),
            walker.i_room.eq(row_queue.o_room),
            walker.i_run_room.eq(row_queue.o_run_room),
        ]
        return m

    def _place(self, m: Module) -> None:
        """This PE's owner number, slice and words; the job is set some cycles before its first beat."""
        config, job, number = self._config, self.i_job, self.i_number
        self._owner, self._slice = Signal(config.pe_bits), Signal(config.pe_bits)
        self._first_word = Signal(job.total_words.shape())
        self._own_words = Signal(config.slice_words_bits)
        left = Signal(signed(len(self._first_word) + 1))    # words of the row from the slice's first on
        all_of, none_of = Signal(), Signal()
        # A sum of shifted constants: synthesis would spend a multiplier on it.
        first_word = sum(Mux(self._slice[bit], job.slice_words << bit, 0) for bit in range(config.pe_bits))
        m.d.sync += [
            self._owner.eq(number & ((1 << job.pk_log2) - 1)),
            self._slice.eq(number >> job.pk_log2),
            self._first_word.eq(first_word),
            left.eq(job.total_words - self._first_word),
            self._own_words.eq(Mux(none_of, 0, Mux(all_of, job.slice_words, left))),
        ]
        slice_bits = len(job.slice_words)
        m.d.comb += [
            none_of.eq(left < 0),
            all_of.eq(left[slice_bits:-1].any() | (left[:slice_bits] > job.slice_words)),
        ]
        if config.words_per_beat == 2:
            m.d.sync += self._store.i_swapped.eq(
                ~job.packed & (self._slice[0] ^ (self._owner >> job.group_log2)[0]))

    def _lanes(self, m: Module) -> None:
        """Store word, operand and product, sum; operand and product are registers of the multiplier."""
        config, walker, store = self._config, self._walker, self._store
        m.submodules.operands = operands = OperandSelect(config)
        following = self._later(m, walker.o_word, MacWord(config), STORE_CYCLES - 1)
        word = self._later(m, following, MacWord(config), 1)
        self._repeat(m, following, word)
        from_part = Signal(config.lane_bits)    # upper bits of a lane's number, which tell the parts apart
        m.d.comb += [
            store.i_enable.eq(walker.o_word.valid),
            store.i_address.eq(walker.o_word.address),
            store.i_low.eq(Mux(walker.o_word.upper, 0, walker.o_word.part)),
            store.i_high.eq(Mux(walker.o_word.upper | self.i_job.packed, walker.o_word.part, 0)),
            operands.i.eq(store.o_words),
            operands.i_packed.eq(self.i_job.packed),
            operands.i_mask.eq(from_part),
        ]
        m.d.sync += from_part.eq(~((config.lanes >> self.i_job.group_log2) - 1))
        sums, overflows = [], []
        for lane in range(config.lanes):
            m.submodules[f"multiplier{lane}"] = multiplier = Multiplier()
            m.submodules[f"accumulator{lane}"] = accumulator = Accumulator(config)
            add = Signal(BankAccess(config), name=f"add{lane}")
            m.d.comb += [
                multiplier.i_operand.eq(operands.o[lane]),
                multiplier.i_value.eq(word.value),
                add.valid.eq(word.lanes[lane]),
                add.bank.eq(word.bank),
                add.word.eq(self._acc_word(word, store.o_words[lane])),
                accumulator.i_add.eq(add),
                accumulator.i_keeps.eq(self._keeps),
                accumulator.i_product.eq(multiplier.o),
                accumulator.i_drain.eq(self._row_queue.o_drain),
            ]
            sums.append(accumulator.o)
            overflows.append(accumulator.o_overflow)
        m.d.sync += self.o_overflow.eq(Cat(overflows).any())
        self._drain(m, word, sums)

    def _repeat(self, m: Module, following, word) -> None:
        """A sum stays in the adders where the words before and behind it are of the same place and lanes."""
        self._keeps, same, same_before = Signal(), Signal(), Signal()
        compared = ("valid", "lanes", "bank", "word")
        m.d.sync += [
            same.eq(word.valid & ~self.i_job.packed
                    & (Cat(following[name] for name in compared) == Cat(word[name] for name in compared))),
            same_before.eq(same),
        ]
        m.d.comb += self._keeps.eq(same & same_before)

    def _acc_word(self, word, store_word):
        """Where a lane's product belongs: dense words are counted, a packed slot says it."""
        config = self._config
        if not config.compressed_b:
            return word.word
        return word.word | Mux(self.i_job.packed, store_word[VALUE_BITS:VALUE_BITS + config.acc_word_bits], 0)

    def _drain(self, m: Module, word, sums) -> None:
        """Drained sums are offered to the chain of their row."""
        row_queue = self._row_queue
        reads = Signal()
        m.d.sync += [reads.eq(word.valid), row_queue.i_adding.bank.eq(word.bank)]
        m.d.comb += row_queue.i_adding.valid.eq(reads & ~self._keeps)
        for item, output in zip(row_queue.o, self.o, strict=True):
            valid = Cat(total.valid for total in sums) & item.p.touched.replicate(len(sums))
            offered, taken = item.valid, output.ready
            if self._config.csr_out:
                # A word without any sum stays here, unless it ends the row.
                goes = valid.any() | item.p.last
                offered, taken = item.valid & goes, output.ready | ~goes
            m.d.comb += [
                output.valid.eq(offered),
                item.ready.eq(taken),
                output.p.word.eq(item.p.word),
                output.p.last.eq(item.p.last),
                output.p.valid.eq(valid),
                *(target.eq(total.data) for target, total in zip(output.p.data, sums, strict=True)),
            ]

    def _later(self, m: Module, source, shape, cycles: int):
        for _ in range(cycles):
            stage = Signal(shape)
            m.d.sync += stage.eq(source)
            source = stage
        return source
