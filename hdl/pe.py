"""The processing element: connects its queue, tile memory, lanes, accumulators and row queue."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .accumulator import PRODUCT_LAG_CYCLES, WRITE_LATENCY_CYCLES, Accumulator, BankAccess
from .attributes import KEPT_COPY
from .config import VALUE_BITS, Config
from .dot import DotProduct, dot_cycles
from .lane import Multiplier, OperandSelect
from .lane_store import LaneStore
from .layouts import ChainWord, Fault, PeBeat, PeJob, PeTileBeat, TileBeat
from .pe_front import PeFront, PeOp
from .register_slice import RegisterSlice
from .registers import ErrorCode
from .row_buffer import RowBuffer
from .row_index import RowIndex
from .row_queue import RowQueue, drain_cycles, settling_cycles
from .skid import Skid
from .touched_words import TouchedWords
from .walker import MacWord, Walker

__all__ = ["ProcessingElement"]

STORE_CYCLES = 2
"""From a store address to the store's output register."""


class ProcessingElement(wiring.Component):
    """Multiplies its own tokens with rows of its part of the tile, adds up rows of C and hands them on.

    Throughput: one store word of every lane a cycle; a beat costs max(1, own tokens) cycles where a row
        has one word; rows without own tokens close four a cycle and leave one a cycle and chain.
    Latency: 12 cycles from a beat to the first word of a row that it closes, 8 to an empty row; 3 more with
        an index, of a word 1 more with `far_registers`, 1 less with `lean_drain`.
    Backpressure: `o_room` keeps four beats of room; a full row queue stops the walk, nothing behind it. The
        chains' ready ends in the PE: a word more of each chain waits here (with `csr_out` and with
        `lean_drain` it passes; there it comes early).
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
    o_row_room : rows of X may come (only with `sddmm`), and as many beats as are on their way until the tile
        loader sees that it fell
    o_filled : a row of a packed tile has ended 2 cycles ago, and has an entry here (only with `row_filter`)
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
        } | ({"o_row_room": Out(1)} if config.sddmm else {})
          | ({"o_filled": Out(1)} if config.row_filter else {}))

    def elaborate(self, platform):
        m = Module()
        config = self._config
        self._sddmm = self.i_job.sddmm if config.sddmm else Const(0)
        self._packed = self.i_job.packed if config.compressed_b else Const(0)
        m.submodules.front = self._front = front = PeFront(config)
        m.submodules.walker = self._walker = walker = Walker(config)
        m.submodules.store = self._store = store = LaneStore(config)
        m.submodules.row_queue = self._row_queue = row_queue = RowQueue(config)
        m.d.comb += store.i_number.eq(self.i_number)
        self._place(m)
        if config.sddmm:
            self._rows_of_x(m)

        # ---- tokens ----
        m.d.comb += [
            front.i.valid.eq(self.i.valid),
            front.i.p.eq(self.i.p),
            front.i_group_log2.eq(self.i_job.group_log2),
            walker.i_packed.eq(self._packed),
            walker.i_half.eq(self.i_job.half),
            walker.i_own_words.eq(self._own_words),
            walker.i_group_log2.eq(self.i_job.group_log2),
            self.o_blocked.eq(walker.o_blocked),
            self.o_active.eq(walker.o_word.valid),
        ]
        if config.compressed_b and not config.indexed:
            # The half of the table, said before the queue: what comes out of its block RAM, late, is the
            # table's address as it is.
            half = (self._packed & self.i_job.half) << (config.table_address_bits - 1)
            m.d.comb += [queued.address.eq(token.address | half)
                         for queued, token in zip(front.i.p.tokens, self.i.p.tokens, strict=True)]
        m.d.sync += self.o_room.eq(front.o_room & row_queue.o_swept)
        if config.row_filter:
            m.d.comb += self.o_filled.eq(store.o_end.valid & store.o_end.p.filled)
        if config.indexed:
            m.submodules.index = index = RowIndex(config)
            m.d.comb += [index.i_packed.eq(self._packed), index.i_half.eq(self.i_job.half)]
            connect(m, store.o_end, index.i_end)
            connect(m, front.o, index.i)
            # Whether the walker goes on is known late, and the index, which is in its way to the front, may
            # be far away: it ends here.
            m.submodules.index_skid = skid = Skid(PeOp(config))
            connect(m, index.o, skid.i)
            connect(m, skid.o, walker.i)
        else:
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
            row_queue.i_packed.eq(self._packed),
            # What SDDMM sums up is one word of the result, whichever slice of X and B it comes from.
            row_queue.i_own_words.eq(Mux(self._sddmm, 1, self._own_words)),
            row_queue.i_first_word.eq(Mux(self._sddmm, 0, self._first_word)),
            row_queue.i_slices_log2.eq(self._slices_log2),
            row_queue.i_touched.eq(walker.o_touched),
            row_queue.i_empties.eq(walker.o_empties),
            row_queue.i_last.eq(walker.o_last),
            walker.i_open.eq(row_queue.o_open),
            walker.i_next.eq(row_queue.o_next),
            walker.i_room.eq(row_queue.o_room),
            walker.i_open_free.eq(row_queue.o_open_free),
            walker.i_next_free.eq(row_queue.o_next_free),
            walker.i_run_room.eq(row_queue.o_run_room),
        ]
        return m

    def _rows_of_x(self, m: Module) -> None:
        """SDDMM: the buffer of rows of X, and who looks at the kind of job."""
        config, walker, job = self._config, self._walker, self.i_job
        m.submodules.rows = self._rows = rows = RowBuffer(config)
        m.d.comb += [
            rows.i_begins.eq(job.begins),
            rows.i_slice.eq(self._slice),
            rows.i_slice_words.eq(job.slice_words),
            rows.i_own_words.eq(self._own_words),
            rows.i.valid.eq(self.i_tile.valid),
            rows.i.p.eq(self.i_tile.p),
            rows.i_data.eq(self.i_tile_data),
            rows.i_advance.eq(walker.o_advance),
            rows.i_index.eq(walker.o_index),
            walker.i_there.eq(rows.o_there),
            walker.i_far.eq(rows.o_far),
            self.o_row_room.eq(rows.o_room),
            *(block.i_sddmm.eq(job.sddmm) for block in (walker, self._front, self._row_queue)),
        ]

    def _place(self, m: Module) -> None:
        """This PE's owner number, slice and words; the job is set some cycles before its first beat."""
        config, job, number = self._config, self.i_job, self.i_number
        self._owner, self._slice = Signal(config.pe_bits), Signal(config.pe_bits)
        self._first_word = Signal(job.total_words.shape())
        self._own_words = Signal(config.slice_words_bits)
        left = Signal(signed(len(self._first_word) + 1))    # words of the row from the slice's first on
        all_of, none_of = Signal(), Signal()
        self._slices_log2 = Signal(range(config.pe_bits + 1))
        interleaved = Signal(config.slice_words_bits)       # words of a packed row
        # A sum of shifted constants: synthesis would spend a multiplier on it.
        first_word = sum(Mux(self._slice[bit], job.slice_words << bit, 0) for bit in range(config.pe_bits))
        m.d.sync += [
            self._owner.eq(number & ((1 << job.pk_log2) - 1)),
            self._slice.eq(number >> job.pk_log2),
            self._first_word.eq(Mux(self._packed, self._slice, first_word)),
            left.eq(job.total_words - self._first_word),
            self._own_words.eq(Mux(self._packed, interleaved,
                                   Mux(none_of, 0, Mux(all_of, job.slice_words, left)))),
            self._slices_log2.eq(config.pe_bits - job.pk_log2),
        ]
        slice_bits = len(job.slice_words)
        m.d.comb += [
            # Word w is one of slice w mod P_n.
            interleaved.eq((job.total_words >> self._slices_log2)
                           + ((job.total_words & ((config.pes - 1) >> job.pk_log2)) > self._slice)),
            none_of.eq(left < 0),
            all_of.eq(left[slice_bits:-1].any() | (left[:slice_bits] > job.slice_words)),
        ]
        if config.words_per_beat == 2:
            m.d.sync += self._store.i_swapped.eq(
                ~self._packed & (self._slice[0] ^ (self._owner >> job.group_log2)[0]))

    def _lanes(self, m: Module) -> None:
        """Store word, operand and product, sum; operand and product are registers of the multiplier."""
        config, walker, store = self._config, self._walker, self._store
        m.submodules.operands = operands = OperandSelect(config)
        late, drain_late = config.far_registers, drain_cycles(config)
        # A row closes the cycle after its last word is issued, in which `o_word` shows it.
        assert settling_cycles(config) + drain_late == STORE_CYCLES + late + WRITE_LATENCY_CYCLES
        words = [walker.o_word]                 # as they are issued, and in later cycles
        for _ in range(STORE_CYCLES + late):
            words.append(self._later(m, words[-1], MacWord(config), 1))
        following, word = words[-2:]
        factors = [word.value] * config.lanes
        adds = word
        # What is added is told to the row queue as much earlier as the lanes hear later of what that does: a
        # word, and the one behind it.
        behind, told = words[-2 - drain_late], words[-1 - drain_late]
        if config.sddmm:
            factors = self._factors(m, following)
            behind, told = self._add_later(m, following, word)
            adds = told
        self._repeat(m, behind, told, drain_late)
        from_part = Signal(config.lane_bits)    # upper bits of a lane's number, which tell the parts apart
        m.d.comb += [
            store.i_enable.eq(walker.o_word.valid),
            store.i_address.eq(walker.o_word.address),
            store.i_low.eq(Mux(walker.o_word.upper, 0, walker.o_word.part)),
            store.i_high.eq(Mux(walker.o_word.upper | self._packed, walker.o_word.part, 0)),
            operands.i.eq(store.o_words),
            operands.i_packed.eq(self._packed),
            operands.i_mask.eq(from_part),
        ]
        m.d.sync += from_part.eq(~((config.lanes >> self.i_job.group_log2) - 1))
        multipliers = [Multiplier() for _ in range(config.lanes)]
        products = [multiplier.o for multiplier in multipliers]
        if config.sddmm:
            products = self._sampled(m, products, word.value)
        drain = self._later(m, self._row_queue.o_drain, BankAccess(config), max(0, drain_late - 1))
        sums, overflows, accesses = [], [], []
        for lane, (multiplier, product) in enumerate(zip(multipliers, products, strict=True)):
            m.submodules[f"multiplier{lane}"] = multiplier
            m.submodules[f"accumulator{lane}"] = accumulator = Accumulator(config)
            add = Signal(BankAccess(config), name=f"add{lane}")
            m.d.comb += [
                multiplier.i_operand.eq(self._later(m, operands.o[lane], signed(VALUE_BITS), late)),
                multiplier.i_value.eq(factors[lane]),
                add.valid.eq(adds.lanes[lane]),
                add.bank.eq(adds.bank),
                add.word.eq(self._acc_word(m, adds, store.o_words[lane])),
                accumulator.i_add.eq(add),
                accumulator.i_keeps.eq(self._keeps),
                accumulator.i_product.eq(product),
                accumulator.i_drain.eq(self._drain_of(m, drain, lane)),
            ]
            sums.append(accumulator.o)
            accesses.append(add)
            overflows.append(accumulator.o_overflow)
        m.d.sync += self.o_overflow.eq(Cat(overflows).any())
        if config.csr_out:
            m.submodules.touched = touched = TouchedWords(config)
            m.d.comb += [
                *(mine.eq(access) for mine, access in zip(touched.i, accesses, strict=True)),
                touched.i_clear.eq(self._row_queue.o_clear_words),
                self._row_queue.i_touched_words.eq(touched.o),
            ]
        self._drain(m, told, sums)

    def _drain_of(self, m: Module, drain: data.View, lane: int) -> data.View:
        """What a lane hears of it; far away, from a register of its own."""
        if not drain_cycles(self._config):
            return drain
        mine = Signal(BankAccess(self._config), name=f"drain{lane}", attrs=KEPT_COPY)
        m.d.sync += mine.eq(drain)
        return mine

    def _factors(self, m: Module, following) -> list[Signal]:
        """What the lanes multiply by: the token's value, or each its value of the row of X."""
        factors = []
        for lane in range(self._config.lanes):
            factor = Signal(VALUE_BITS, name=f"factor{lane}")
            of_row = self._rows.o.word_select(lane, VALUE_BITS)
            m.d.sync += factor.eq(Mux(self._sddmm, of_row, following.value))
            factors.append(factor)
        return factors

    def _add_later(self, m: Module, following, word) -> tuple:
        """SDDMM's sums over the lanes come later than the lanes' products."""
        fields = ("valid", "lanes", "bank", "word")
        line = [following, word]
        for _ in range(dot_cycles(self._config)):
            stage = Signal(MacWord(self._config))
            m.d.sync += [stage[name].eq(line[-1][name]) for name in fields]
            line.append(stage)
        chosen = Signal(MacWord(self._config)), Signal(MacWord(self._config))
        for one, late, early in zip(chosen, line[-2:], line[:2], strict=True):
            m.d.comb += [one[name].eq(Mux(self._sddmm, late[name], early[name])) for name in fields]
        return chosen

    def _sampled(self, m: Module, products: list, value) -> list:
        """The lanes' own products, or in every lane the sum of all times the token's value."""
        m.submodules.dot = dot = DotProduct(self._config)
        m.d.comb += [dot.i_value.eq(self._later(m, value, VALUE_BITS, PRODUCT_LAG_CYCLES)),
                     *(term.eq(product) for term, product in zip(dot.i, products, strict=True))]
        return [Mux(self._sddmm, dot.o, product) for product in products]

    def _repeat(self, m: Module, following, word, later: int) -> None:
        """A sum stays in the adders where the words before and behind it are of the same place and lanes; the
        lanes hear of it `later`."""
        keeps, self._will_keep = Signal(), Signal()    # in this cycle, in the next
        same, will_be_same = Signal(), Signal()
        compared = ("valid", "lanes", "bank", "word")
        m.d.comb += [
            will_be_same.eq(word.valid & ~self._packed & (Cat(following[name] for name in compared)
                                                          == Cat(word[name] for name in compared))),
            self._will_keep.eq(will_be_same & same),
        ]
        m.d.sync += [same.eq(will_be_same), keeps.eq(self._will_keep)]
        self._keeps = self._later(m, keeps, 1, later)

    def _acc_word(self, m: Module, word, store_word):
        """Where a lane's product belongs: dense words are counted, a packed slot says it."""
        config = self._config
        if not config.compressed_b:
            return word.word
        of_slot = self._later(m, store_word[VALUE_BITS:VALUE_BITS + config.acc_word_bits],
                              config.acc_word_bits, config.far_registers)
        return word.word | Mux(self._packed, of_slot, 0)

    def _drain(self, m: Module, word, sums) -> None:
        """Drained sums are offered to the chain of their row."""
        row_queue = self._row_queue
        m.d.sync += [row_queue.i_adding.valid.eq(word.valid & ~self._will_keep),
                     row_queue.i_adding.bank.eq(word.bank)]
        for chain, (item, output) in enumerate(zip(row_queue.o, self.o, strict=True)):
            valid = Cat(total.valid for total in sums) & item.p.touched.replicate(len(sums))
            word = Signal.like(output.p)
            m.d.comb += [
                word.word.eq(item.p.word),
                word.last.eq(item.p.last),
                word.valid.eq(valid),
                *(target.eq(total.data) for target, total in zip(word.data, sums, strict=True)),
            ]
            if self._config.lean_drain:
                # Sums stay in the accumulators' registers until the chain has them.
                m.d.comb += [output.p.eq(word), output.valid.eq(item.valid), item.ready.eq(output.ready)]
                continue
            if not self._config.csr_out:
                # The chain's ready hangs on words of other PEs, and what it decides on this one's: both end
                # here.
                m.submodules[f"slice{chain}"] = place = RegisterSlice(ChainWord(self._config))
                m.d.comb += [place.i.p.eq(word), place.i.valid.eq(item.valid), item.ready.eq(place.i.ready)]
                connect(m, place.o, flipped(output))
                continue
            # A word without any sum stays here, unless it ends the row. A word that waits for those of other
            # PEs does so in a register of its chain: the next row's may go meanwhile, on the other one.
            goes, room = Signal(), Signal()
            counts = self._count_sums(m, item, valid, word) if self._config.counts_rows else Const(0)
            m.d.comb += [goes.eq((valid.any() & ~counts) | item.p.last),
                         room.eq(~output.valid | output.ready), item.ready.eq(room | ~goes)]
            with m.If(room):
                m.d.sync += [output.valid.eq(item.valid & goes), output.p.eq(word)]

    def _count_sums(self, m: Module, item, valid, word) -> Value:
        """Where a row's sums are only counted, its last word has their number in lane 0, and the others stay
        here; on the chain the numbers of all PEs add up."""
        counts, config = self.i_job.counts, self._config
        number, total = (Signal(range(config.acc_words * config.lanes + 1), name=name)
                         for name in ("number", "total"))
        m.d.comb += total.eq(number + sum(valid))
        with m.If(item.valid & item.ready):
            m.d.sync += number.eq(Mux(item.p.last, 0, total))
        with m.If(counts):
            m.d.comb += [word.word.eq(0), word.valid.eq(total != 0), word.data[0].eq(total)]
        return counts

    def _later(self, m: Module, source, shape, cycles: int):
        for _ in range(cycles):
            stage = Signal(shape)
            m.d.sync += stage.eq(source)
            source = stage
        return source
