"""A lane that skips zeros against a plain one."""

from amaranth.hdl import Array, Cat, Const, Mux, Signal, signed

from hdl.config import ACC_BITS, VALUE_BITS
from hdl.pe import ProcessingElement

from .bench import Bench, Proof
from .checks import moves, steady
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS"]

ROWS = 2              # rows of B
WORDS = 2             # words a lane, that is columns, of each
OPERAND_BITS = 2      # of 8: products are the multiplier's business
ROOM = 4


def _rows_of_b(b: Bench):
    """Any B: B[k][lane][word]."""
    return [[[_small(b, f"b_{k}_{lane}_{word}") for word in range(WORDS)] for lane in range(SMALL.lanes)]
            for k in range(ROWS)]


def _small(b: Bench, name: str) -> Signal:
    value = Signal(signed(VALUE_BITS), name=name)
    b.m.d.comb += value.eq(b.constant(signed(OPERAND_BITS), f"{name}_bits"))
    return value


def _nonzeros(row, lane: int, own_words) -> list:
    return [(value != 0) & (word < own_words) for word, value in enumerate(row[lane])]


def _fills(row, own_words):
    """The row has an entry in some lane."""
    return Cat(nonzero for lane in range(SMALL.lanes) for nonzero in _nonzeros(row, lane, own_words)).any()


def _count(bits):
    return sum(bits, Const(0))


def _table(b: Bench, rows, own_words) -> None:
    """In place of the table: where the rows with entries lie."""
    m, inside = b.m, b.inside
    table, entry = inside.cut("store/o_table"), Signal(1)
    with m.If(inside("walker").o_row_enable):
        m.d.sync += entry.eq(inside("walker").o_row)
    # The second entry is the second row's, the first one that of the first row that has one.
    with m.If((entry == 0) & _fills(rows[0], own_words)):
        _entry(b, table, [Const(0)] * SMALL.lanes, rows[0], own_words, "first")
    with m.Else():
        starts = [_count(_nonzeros(rows[0], lane, own_words)) for lane in range(SMALL.lanes)]
        _entry(b, table, starts, rows[1], own_words, "second")


def _entry(b: Bench, table, starts, row, own_words, name: str) -> None:
    counts = [Signal(2, name=f"{name}_count_{lane}") for lane in range(SMALL.lanes)]
    b.m.d.comb += [
        *(count.eq(_count(_nonzeros(row, lane, own_words))) for lane, count in enumerate(counts)),
        *(start.eq(value) for start, value in zip(table.starts, starts, strict=True)),
        *(entry.eq(count) for entry, count in zip(table.counts, counts, strict=True)),
        table.words.eq(Mux(counts[0] > counts[1], counts[0], counts[1])),
    ]


def _slots(b: Bench, rows, lane: int, own_words) -> list[Signal]:
    """A lane's slots: the nonzeros of all rows one behind the other, and rubbish behind them."""
    entries = [(nonzero, Cat(value[:VALUE_BITS], Const(word, SMALL.half_word_bits)))
               for row in rows
               for word, (nonzero, value) in enumerate(zip(_nonzeros(row, lane, own_words), row[lane],
                                                           strict=True))]
    slots = []
    for place in range(len(entries)):
        slot = Signal(2 * SMALL.half_word_bits, name=f"slot_{lane}_{place}")
        b.m.d.comb += slot.eq(b.constant(len(slot), f"rubbish_{lane}_{place}"))
        for number, (nonzero, content) in enumerate(entries):
            before = _count(other for other, _ in entries[:number])
            with b.m.If(nonzero & (before == place)):
                b.m.d.comb += slot.eq(content)
        slots.append(slot)
    return slots


def _store(b: Bench, rows, own_words, packed) -> None:
    """In place of the lane store: B as it lies there, dense or packed, with rubbish behind a lane's slots."""
    m, inside = b.m, b.inside
    words, walker = inside.cut("store/o_words"), inside("walker")
    _table(b, rows, own_words)
    # Halves that were not asked for read as zero.
    low, high = (b.past(b.past(inside(f"store/{name}"), f"{name}_1"), f"{name}_2")
                 for name in ("i_low", "i_high"))
    for lane in range(SMALL.lanes):
        address = Signal(SMALL.store_address_bits, name=f"address{lane}")
        with m.If(walker.o_word.valid):
            m.d.sync += address.eq(walker.o_word.address[lane])
        late = b.past(address, f"late_address{lane}")
        # Dense: two values a word, rows of `own_words`; packed: a nonzero and its column.
        flat = [Mux(own_words == 1, rows[min(x, ROWS - 1)][lane][0], rows[x // WORDS][lane][x % WORDS])
                for x in range(ROWS * WORDS)]
        dense = Array(Cat(flat[2 * x][:8], flat[2 * x + 1][:8]) for x in range(ROWS))
        slots = Array(_slots(b, rows, lane, own_words))
        word, half = Signal(2 * SMALL.half_word_bits, name=f"word{lane}"), SMALL.half_word_bits
        m.d.comb += [
            word.eq(Mux(packed, slots[late[:2]], dense[late[:1]])),
            words[lane].eq(Cat(Mux(low[lane], word[:half], 0), Mux(high[lane], word[half:], 0))),
        ]


def _skipping(b: Bench) -> None:
    """Tokens come to a PE's walker; what is drained is what a plain lane would have added up."""
    b.no_reset()
    m, inside = b.m, b.inside
    job = Signal.like(b.dut.i_job)
    packed, own_words = b.constant(1, "packed"), b.constant(2, "own_words")
    b.assume((own_words == 1) | (own_words == WORDS))
    # The place of the PE in the array does not matter here: one slice, the PE's columns are the row's.
    m.d.comb += [inside.cut("_own_words").eq(own_words), inside.cut("_first_word").eq(0)]
    m.d.comb += job.packed.eq(packed)
    b.drive(b.dut.i_job, job)
    rows = _rows_of_b(b)
    _store(b, rows, own_words, packed)

    # ---- ops in place of the index's: a token of a packed row without entries comes as none ----
    op = inside("index").o
    valid, payload = inside.cut("index/o.valid"), inside.cut("index/o.p")
    m.d.comb += [valid.eq(b.free(1, "op_valid")), payload.eq(b.free(len(payload.as_value()), "op"))]
    steady(b, op)
    row_queue = inside("row_queue")
    b.assume(~op.valid | ((op.p.part == 0) & (op.p.position == 0) & row_queue.o_swept))
    b.assume(~op.valid | ((op.p.before <= 2) & (op.p.after <= 2)))
    value, k = Signal(signed(VALUE_BITS)), b.free(1, "k")
    fills = Array(_fills(row, own_words) for row in rows)
    is_token, row_fills = b.free(1, "is_token"), Signal()
    m.d.comb += [value.eq(op.p.value), row_fills.eq(fills[k])]
    b.assume(~op.valid | (op.p.token == (is_token & (~packed | row_fills))))
    table_row, dense_word = k & fills[0], Mux(own_words == 2, k << 1, k)
    b.assume(~(op.valid & op.p.token) | (op.p.address == Mux(packed, table_row, dense_word)))
    b.assume((value >= -(1 << OPERAND_BITS - 1)) & (value < 1 << OPERAND_BITS - 1))

    # ---- the plain lane: for one column of one lane, every product, zeros too ----
    lane, word = 0, b.constant(1, "word")
    b.assume(word < own_words)
    factor = Array(Array(values for values in row[lane])[word] for row in rows)[k]
    total, met, touched = Signal(signed(ACC_BITS)), Signal(), Signal()
    start, product, after_token = Signal(signed(ACC_BITS)), Signal(signed(16)), Signal(signed(ACC_BITS))
    closes_before = touched & (op.p.before != 0)
    m.d.comb += [
        product.eq(Mux(is_token, value * factor, 0)),
        start.eq(Mux(op.p.before != 0, 0, total)),
        after_token.eq(start + product),
    ]
    # A token whose row of B is all zeros in this slice does not touch the row of C: it stays empty.
    touches = is_token & (~packed | row_fills)
    started = Mux(op.p.before != 0, 0, touched) | touches
    nonzero = Mux(op.p.before != 0, 0, met) | (is_token & (factor != 0))
    closes_after = started & (op.p.after != 0)
    with m.If(moves(op)):
        m.d.sync += [total.eq(Mux(op.p.after != 0, 0, after_token)),
                     met.eq(Mux(op.p.after != 0, 0, nonzero)), touched.eq(started & (op.p.after == 0))]

    # ---- one finished row, whichever ----
    # The sums that are shown belong to the chain with a word, from the cycle after the drain on; looked at
    # before the chains' register slices, which say of themselves that they keep what passes.
    shown = [inside(f"slice{chain}/i") for chain in range(SMALL.chains)]
    present_out = Cat(output.valid & output.p.valid[lane] for output in shown).any()
    data_out = shown[0].p.data[lane]
    drains = b.past(row_queue.o_drain.valid & row_queue.o_swept, "drains")
    leaves = drains & (inside("row_queue/word_index") == word)
    inside_, ahead, present, once = Signal(4), Signal(4), Signal(), Signal()
    wanted, wanted_met = Signal(signed(ACC_BITS)), Signal()
    picks = b.free(2, "picks")
    first = moves(op) & closes_before
    second = moves(op) & closes_after
    m.d.sync += inside_.eq(inside_ + first + second - leaves)
    with m.If(first & picks[0] & ~once):
        m.d.sync += [present.eq(1), once.eq(1), ahead.eq(inside_ - leaves), wanted.eq(total),
                     wanted_met.eq(met)]
    with m.Elif(second & picks[1] & ~once):
        m.d.sync += [present.eq(1), once.eq(1), ahead.eq(inside_ - leaves + first), wanted.eq(after_token),
                     wanted_met.eq(nonzero)]
    with m.Elif(leaves & present):
        m.d.sync += [present.eq(ahead != 0), ahead.eq(ahead - 1)]
    turn = leaves & present & (ahead == 0)
    b.check(~leaves | (inside_ != 0))
    b.check(~turn | (Mux(present_out, data_out, 0) == wanted))
    # A lane that skips holds a word only where a nonzero met it; a plain one holds each word of the row.
    b.check(~turn | (present_out == Mux(packed, wanted_met, 1)))
    b.cover(turn & packed & (own_words == 2) & ~wanted_met)
    b.cover(turn & packed & (wanted == 2))
    b.cover(turn & packed & wanted_met & ~fills[0])
    b.cover(turn & ~packed & (wanted == 2))


PROOFS = (
    Proof("skipping", "ProcessingElement",
          "a lane whose rows of B are packed drains the same sums as a plain one that multiplies zeros too; "
          "it holds a word exactly where a nonzero met it",
          lambda: ProcessingElement(SMALL, 0), _skipping,
          Fault("a lane adds what lies behind its last slot", "walker/o_word.lanes",
                lambda value, inside: Const((1 << SMALL.lanes) - 1), only=1),
          induction=None, depth=14, cover=14),
)
