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


def _store(b: Bench, rows, own_words, packed) -> None:
    """In place of the lane store: B as it lies there, dense or packed, with rubbish behind a lane's slots."""
    m, inside = b.m, b.inside
    words, table = inside.cut("store/o_words"), inside.cut("store/o_table")
    address, entry = Signal(SMALL.store_address_bits), Signal(1)
    walker = inside("walker")
    with m.If(walker.o_word.valid):
        m.d.sync += address.eq(walker.o_word.address)
    with m.If(walker.o_row_enable):
        m.d.sync += entry.eq(walker.o_row)
    late = b.past(address, "late_address")
    # Halves that were not asked for read as zero.
    low, high = (b.past(b.past(inside(f"store/{name}"), f"{name}_1"), f"{name}_2")
                 for name in ("i_low", "i_high"))
    starts, lengths = [0, WORDS], []
    for k, row in enumerate(rows):
        counts = [Signal(2, name=f"count_{k}_{lane}") for lane in range(SMALL.lanes)]
        for lane, values in enumerate(row):
            m.d.comb += counts[lane].eq(sum((value != 0) & (word < own_words)
                                            for word, value in enumerate(values)))
        lengths.append((starts[k], Mux(counts[0] > counts[1], counts[0], counts[1]), counts))
    for k, (start, length, counts) in enumerate(lengths):
        with m.If(entry == k):
            m.d.comb += [table.start.eq(start), table.words.eq(length), Cat(table.counts).eq(0)]
            m.d.comb += [table.counts[lane].eq(count) for lane, count in enumerate(counts)]
    for lane in range(SMALL.lanes):
        # Dense: two values a word, rows of `own_words`; packed: a nonzero and its column.
        flat = [Mux(own_words == 1, rows[min(x, ROWS - 1)][lane][0], rows[x // WORDS][lane][x % WORDS])
                for x in range(ROWS * WORDS)]
        dense = Array(Cat(flat[2 * x][:8], flat[2 * x + 1][:8]) for x in range(ROWS))
        slots = []
        for k, row in enumerate(rows):
            first, second = row[lane]
            rubbish = b.constant(2 * SMALL.half_word_bits, f"rubbish_{k}_{lane}")
            only_second = Mux((second != 0) & (own_words == 2), Cat(second[:8], 1), rubbish)
            slots += [Mux(first != 0, Cat(first[:8], 0), only_second),
                      Mux(first != 0, only_second, rubbish)]
        word, half = Signal(2 * SMALL.half_word_bits, name=f"word{lane}"), SMALL.half_word_bits
        m.d.comb += [
            word.eq(Mux(packed, Array(slots)[late[:2]], dense[late[:1]])),
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

    # ---- ops in place of the queue's front ----
    op = inside("front").o
    valid, payload = inside.cut("front/o.valid"), inside.cut("front/o.p")
    m.d.comb += [valid.eq(b.free(1, "op_valid")), payload.eq(b.free(len(payload.as_value()), "op"))]
    steady(b, op)
    row_queue = inside("row_queue")
    b.assume(~op.valid | ((op.p.part == 0) & (op.p.position == 0) & row_queue.o_swept))
    b.assume(~op.valid | ((op.p.before <= 2) & (op.p.after <= 2)))
    value, k = Signal(signed(VALUE_BITS)), Signal(1)
    m.d.comb += [value.eq(op.p.value), k.eq(Mux(packed, op.p.address, op.p.address >> (own_words == 2)))]
    b.assume(~op.valid | (op.p.address == Mux(packed, k, Mux(own_words == 2, k << 1, k))))
    b.assume((value >= -(1 << OPERAND_BITS - 1)) & (value < 1 << OPERAND_BITS - 1))

    # ---- the plain lane: for one column of one lane, every product, zeros too ----
    lane, word = 0, b.constant(1, "word")
    b.assume(word < own_words)
    factor = Array(Array(values for values in row[lane])[word] for row in rows)[k]
    total, met, touched = Signal(signed(ACC_BITS)), Signal(), Signal()
    start, product, after_token = Signal(signed(ACC_BITS)), Signal(signed(16)), Signal(signed(ACC_BITS))
    closes_before = touched & (op.p.before != 0)
    m.d.comb += [
        product.eq(Mux(op.p.token, value * factor, 0)),
        start.eq(Mux(op.p.before != 0, 0, total)),
        after_token.eq(start + product),
    ]
    # A token whose row of B is all zeros in this slice does not touch the row of C: it stays empty.
    fills = Array(Cat((values[0] != 0) | ((values[1] != 0) & (own_words == 2)) for values in row).any()
                  for row in rows)[k]
    touches = op.p.token & (~packed | fills)
    started = Mux(op.p.before != 0, 0, touched) | touches
    nonzero = Mux(op.p.before != 0, 0, met) | (op.p.token & (factor != 0))
    closes_after = started & (op.p.after != 0)
    with m.If(moves(op)):
        m.d.sync += [total.eq(Mux(op.p.after != 0, 0, after_token)),
                     met.eq(Mux(op.p.after != 0, 0, nonzero)), touched.eq(started & (op.p.after == 0))]

    # ---- one finished row, whichever ----
    # The sums that are shown belong to the chain with a word, from the cycle after the drain on.
    present_out = Cat(output.valid & output.p.valid[lane] for output in b.dut.o).any()
    data_out = b.dut.o[0].p.data[lane]
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
    b.cover(turn & ~packed & (wanted == 2))


PROOFS = (
    Proof("skipping", "ProcessingElement",
          "a lane whose row of B is packed drains the same sums as a plain one that multiplies zeros too; "
          "it holds a word exactly where a nonzero met it",
          lambda: ProcessingElement(SMALL, 0), _skipping,
          Fault("a lane adds what lies behind its last slot", "walker/o_word.lanes",
                lambda value, inside: Const((1 << SMALL.lanes) - 1), only=1),
          induction=None, depth=14, cover=14),
)
