"""Proofs of the collector's blocks."""

from amaranth.hdl import Array, Cat, Const, Mux, Signal

from hdl.dealer import EarlierSums
from hdl.densifier import Densifier
from hdl.sparse_rows import TAGS as SPARSE_TAGS
from hdl.sparse_rows import SparseRows
from hdl.word_joiner import WordJoiner

from .bench import Bench, Proof
from .checks import Marked, flat, levels, moves, stable, steady
from .configs import PAIRS, SMALL
from .inside import Fault

__all__ = ["PROOFS"]

GROUP_BITS = 3
"""Groups a job may have in these proofs: a counter that is compared needs no more."""

CHAIN = 1
"""The chain whose words join; of one group it has no row."""


def _plan(b: Bench):
    """Any plan, constant."""
    plan = b.constant(b.dut.i_plan.shape(), "plan")
    b.drive(b.dut.i_plan, plan)
    return plan


def _one_start(b: Bench) -> Signal:
    """`i_start` pulses once after a reset; its chunks and words come after it. The job has begun."""
    begun = Signal(name="begun")
    with b.m.If(b.dut.i_start):
        b.m.d.sync += begun.eq(1)
    b.assume(~(begun & b.dut.i_start))
    return begun


def _earlier_sums(b: Bench) -> None:
    """Two chunks make a word."""
    sums, m = b.dut, b.m
    begun = _one_start(b)
    b.assume(~sums.i.valid | begun)
    steady(b, sums.i)
    stable(b, sums.o)
    lower, second = Signal.like(sums.i.p.data), Signal()
    with m.If(moves(sums.i)):
        m.d.sync += [second.eq(~second), lower.eq(sums.i.p.data)]
    word = Cat(lower, sums.i.p.data)
    marked = Marked(b, moves(sums.i) & second, word, moves(sums.o), sums.o.p, 1)
    b.check(sums.o.valid == (marked.inside != 0))
    b.cover(moves(sums.o) & moves(sums.i))
    held, whole = b.inside("held"), b.inside("whole")
    b.invariant((held == second) & (marked.inside == whole))
    b.invariant(~marked.present | (flat(b.inside("word")) == marked.value))
    b.invariant(~second | (flat(b.inside("word"))[-len(lower):] == lower))
    b.invariant(~(whole & second))
    b.invariant(begun | ~(whole | second))


def _densifier(b: Bench) -> None:
    """Words 0..last_word of every group, each with what its chain's row holds there; chains in turn."""
    block, m, inside = b.dut, b.m, b.inside
    plan = _plan(b)
    begun = _one_start(b)
    steady(b, *block.i)
    output = block.o.p
    b.assume((plan.groups != 0) & (plan.groups < 1 << GROUP_BITS))
    made, position, ends = Signal(GROUP_BITS + 1), Signal.like(plan.last_word), Signal()
    m.d.comb += ends.eq(position == plan.last_word)
    with m.If(moves(block.o)):
        m.d.sync += position.eq(position + 1)
        with m.If(output.group_last):
            m.d.sync += [position.eq(0), made.eq(made + 1)]
    b.check(~block.o.valid | (made < plan.groups))
    b.check(~block.o.valid | (output.group_last == ends))
    b.check(~block.o.valid | (output.job_last == (ends & (made == (plan.groups - 1)[:GROUP_BITS + 1]))))
    ended, starting = inside("ended"), inside("starting")
    sums, drained = [], []
    for chain, source in enumerate(block.i):
        word, turn, flushing = source.p, made[0] == chain, inside("flushing")[chain]
        empty = word.valid == 0
        groups = (plan.groups + 1 - chain) >> 1
        # Rows come as the chain orders them: words rise and lie within the group, the last one may be empty.
        rows, rising, floor = Signal(GROUP_BITS + 1), Signal(), Signal.like(word.word)
        b.assume(~source.valid | (begun & (rows < groups)))
        b.assume(~source.valid | (word.last & empty) | ((word.word <= plan.last_word)
                                                        & (~rising | (word.word > floor))))
        with m.If(moves(source)):
            m.d.sync += [rising.eq(~word.last), floor.eq(word.word), rows.eq(rows + word.last)]
        # A word with sums is taken when the word of its place in its row's group is made of it, and otherwise
        # zeros are made.
        done = (made + 1 - chain) >> 1
        carries = Signal(name=f"carries_{chain}")
        m.d.comb += carries.eq(moves(source) & ~empty)
        b.check(~carries | (moves(block.o) & turn & (word.word == position) & (rows == done)))
        sums.append((carries, word))
        drained.append(rows == groups)
        # Groups and rows keep step, and something always goes on.
        b.check((done == rows) | (done == rows + 1) | (done + 1 == rows))
        b.check(~(source.valid & block.o.ready & turn) | moves(source) | moves(block.o) | starting)

        b.invariant(done + (ended & turn) == rows + flushing)
        b.invariant((rows <= groups) & (begun | ((rows == 0) & ~rising & ~flushing)))
        b.invariant(~rising | (floor <= plan.last_word))
        # While a row is being taken, its group is the one being made, and has passed all its words.
        b.invariant(~(rising & ~flushing) | (turn & (position > floor)))
        # Zeros were made only because a later word of the row is on offer.
        ahead = position > Mux(rising & ~flushing, floor + 1, 0)
        b.invariant(ended | flushing | ~turn | ~ahead
                    | (source.valid & (word.word >= position) & ~(word.last & empty)))
        b.invariant(~(turn & ended & (rising | flushing)))
        b.invariant(~(flushing & turn) | (position == 0))
        b.invariant(~flushing | (rising & (floor == plan.last_word)))
    for lane, value in enumerate(output.data):
        taken = Const(0, len(value))
        for carries, word in sums:
            taken = Mux(carries & word.valid[lane], word.data[lane], taken)
        b.check(~moves(block.o) | (value == taken.as_signed()))
    b.check(~begun | (block.o_drained == Cat(drained).all()))
    b.cover((made == 2) & (plan.last_word == 1) & block.o_drained)
    stalled = b.past(block.o.valid & ~block.o.ready, "stalled")
    b.check(~stalled | (block.o.valid & (flat(output) == b.past(flat(output), "offered"))))

    b.invariant(position == inside("position"))
    b.invariant(position <= plan.last_word)
    b.invariant(inside("turn") == Mux(made[0], 2, 1))
    b.invariant(~begun | ((inside("behind") + made + 2 - starting) == plan.groups))
    b.invariant(inside("active") == (begun & (made != plan.groups)))
    b.invariant(~starting | (begun & (made == 0)))
    b.invariant((made <= plan.groups) & (begun | ((made == 0) & ~ended)))


def _sparse_rows(b: Bench) -> None:
    """Words of the chains' rows in turn; their tags in a queue."""
    block, m, inside = b.dut, b.m, b.inside
    plan = _plan(b)
    begun = _one_start(b)
    steady(b, *block.i)
    stable(b, block.o, block.o_tag)
    b.assume((plan.groups != 0) & (plan.groups < 1 << GROUP_BITS))
    rows, output = Signal(GROUP_BITS + 1), block.o.p
    open_, final = begun & (rows != plan.groups), rows == (plan.groups - 1)[:len(rows)]
    tag = Signal.like(block.o_tag.p)
    room = inside("tags").level != SPARSE_TAGS
    b.check(~moves(block.o) | Cat(moves(source) for source in block.i).any())
    for chain, source in enumerate(block.i):
        word, turn, taken = source.p, rows[0] == chain, moves(source)
        b.assume(~source.valid | begun)
        b.check(~taken | (open_ & turn))
        b.check(~taken | moves(block.o))
        b.check(~(source.valid & open_ & turn & room & block.o.ready) | taken)
        b.check(~taken | ~moves(block.o) | ((output.group_last == word.last)
                                            & (output.job_last == (word.last & final))))
        for lane, value in enumerate(output.data):
            b.check(~taken | ~moves(block.o) | (value == Mux(word.valid[lane], word.data[lane], 0)))
        with m.If(turn):
            m.d.comb += [tag.valid.eq(word.valid), tag.words.eq(word.words), tag.row_last.eq(word.last),
                         tag.job_last.eq(word.last & final)]
        with m.If(taken & word.last):
            m.d.sync += rows.eq(rows + 1)
    marked = Marked(b, moves(block.o), tag, moves(block.o_tag), block.o_tag.p, SPARSE_TAGS)
    b.check(~begun | (block.o_drained == (rows == plan.groups)))
    b.cover((rows == 3) & block.o_drained & (marked.inside == 0))
    levels(b)
    read, _ = inside.places("tags/memory")
    place = Signal.like(read)
    m.d.comb += place.eq(read + marked.ahead)
    b.invariant(marked.inside == inside("tags").level)
    b.invariant(~marked.present | (inside.word("tags/memory", place) == marked.value))
    b.invariant((inside("active") == open_) & (begun | ((rows == 0) & (marked.inside == 0))))
    b.invariant(~begun | ((rows <= plan.groups) & (inside("rows_left") == plan.groups - rows)))
    b.invariant(~open_ | ((inside("turn") == Mux(rows[0], 2, 1)) & (inside("final") == final)))


def _word_joiner(b: Bench) -> None:
    """Follows one sum of a chain's words, whichever: it leaves in its lane with the next word that leaves."""
    block, m, inside = b.dut, b.m, b.inside
    plan = _plan(b)
    begun = _one_start(b)
    steady(b, block.i)
    stable(b, block.o)
    b.assume(plan.groups < 1 << GROUP_BITS)
    word, output, comes, goes = block.i.p, block.o.p, moves(block.i), moves(block.o)
    share = (plan.groups + PAIRS.chains - 1 - CHAIN) // PAIRS.chains     # rows of this chain
    sums = word.valid & Mux(word.word == plan.last_word, plan.last_lanes, -1)
    # Words of a row rise.
    rising, floor, rows = Signal(), Signal.like(word.word), Signal(GROUP_BITS + 1)
    b.assume(~block.i.valid | ~rising | (word.valid == 0) | (word.word > floor))
    inner, ended = Signal(range(PAIRS.lanes + 1)), Signal()      # sums inside, the end of their row
    with m.If(comes):
        m.d.sync += [rising.eq(~word.last), rows.eq(rows + word.last), ended.eq(word.last)]
        with m.If(word.valid != 0):
            m.d.sync += floor.eq(word.word)
    m.d.sync += inner.eq(Mux(goes, 0, inner) + Mux(comes, sum(sums), 0))
    lane, known, value = b.constant(range(PAIRS.lanes), "lane"), Signal(), Signal(PAIRS.word_bits + 32)
    with m.If(goes):
        m.d.sync += known.eq(0)
    with m.If(comes & sums.bit_select(lane, 1) & b.free(1, "choose")):
        m.d.sync += [known.eq(1), value.eq(Cat(word.word, Array(word.data)[lane]))]
    seen = Cat(Array(output.words)[lane], Array(output.data)[lane])
    b.check(~goes | ~known | (output.valid.bit_select(lane, 1) & (seen == value)))
    b.check(~(comes & sums.bit_select(lane, 1) & known) | goes)
    b.check(~goes | (sum(output.valid) == inner) & (output.last == ended) & ((output.valid != 0) | ended))
    b.check(~(comes & ended & inside("there")) | goes)
    for low in range(PAIRS.lanes):
        for high in range(low + 1, PAIRS.lanes):
            rises = ~(output.valid[low] & output.valid[high]) | (output.words[low] <= output.words[high])
            b.check(~goes | rises)
            b.invariant(~inside("there") | rises)
    b.check(~comes | (begun & (rows < share)))
    b.check(~(block.i.valid & block.o.ready & begun & (rows < share)) | comes)
    b.cover(goes & (inner == 3) & known & ~ended & (output.words[0] != output.words[3]))
    b.cover(goes & (inner == 0) & (rows == share))

    there, rows_left = inside("there"), inside("rows_left")
    b.invariant(begun | ~Cat(there, rows, rising, known, inner, ended).any())
    b.invariant(inner == Mux(there, sum(output.valid), 0))
    b.invariant(~there | (output.last == ended))
    b.invariant(~known | (there & output.valid.bit_select(lane, 1) & (seen == value)))
    for low in range(PAIRS.lanes):
        b.invariant(~there | ~output.valid[low] | (output.words[low] <= floor))
    b.invariant(~begun | (rising == ((rows != 0) & ~ended)) | (rows == 0))
    b.invariant(~there | (rising == ~output.last))
    b.invariant((rows <= share) & (inside("active") == (begun & (rows != share))))
    b.invariant(~begun | ((rows_left == share - rows) & (inside("final") == (rows_left == 1))))


PROOFS = (
    Proof("earlier_sums", "EarlierSums",
          "every word leaves once, in order; the output is stable",
          lambda: EarlierSums(SMALL), _earlier_sums,
          Fault("a chunk is taken while a whole word waits", "i.ready", lambda value, inside: Const(1)),
          quick=True),
    Proof("densifier", "Densifier",
          "groups come in turn from the chains; each has each of its words once, in order, made of its "
          "chain's word of that place or of zeros; every chain word is taken once; drained means all taken; "
          "the output is stable",
          lambda: Densifier(SMALL), _densifier,
          Fault("an empty last word is not dropped behind a full group", "flushing",
                lambda value, inside: Const(0), only=2), quick=True),
    Proof("sparse_rows", "SparseRows",
          "rows come in turn from the chains; every word leaves once, in order, and has a tag, in order; "
          "drained means all taken; the outputs are stable",
          lambda: SparseRows(PAIRS), _sparse_rows,
          Fault("the next row is taken from the same chain", "turn", lambda value, inside: inside("turn"),
                only=0),
          cover=12),
    Proof("word_joiner", "WordJoiner",
          "every sum of a row's words leaves once, in its lane, with its word, without those past the "
          "columns; lanes of a word that leaves are in the order of columns, all of one row; each row's last "
          "word ends it; no word is taken that is not of the job; the output is stable",
          lambda: WordJoiner(PAIRS, CHAIN), _word_joiner,
          Fault("a word joins though it has a lane that is taken", "joins",
                lambda value, inside: inside("there") & ~inside("held").last),
          cover=12),
)
