"""Proofs of the blocks between A fetch and PEs."""

from amaranth.hdl import Array, Cat, Const, Mux, Signal
from amaranth.lib import data

from hdl.beat_cutter import BeatCutter
from hdl.layouts import ROW_ENDS, PeBeat, RawBeat, TokenBeat
from hdl.owner import owner
from hdl.pe_front import PeFront
from hdl.router import Router
from hdl.row_cutter import RowCutter
from hdl.token_bus import ROOM_MARGIN_BEATS, TokenBus

from .bench import Bench, Proof
from .checks import Marked, moves, prompt, stable, steady
from .configs import FILTERED, SMALL, WIDER
from .inside import Fault

__all__ = ["PROOFS"]


def _token_bus(b: Bench) -> None:
    bus, config = b.dut, b.dut._config
    steady(b, bus.i)
    m, inside = b.m, b.inside
    pk_log2 = b.constant(bus.i_pk_log2.shape(), "pk_log2")
    b.assume(pk_log2 <= config.pe_bits)
    b.drive(bus.i_pk_log2, pk_log2)
    job_set = Signal()              # a cycle after reset P_k has been taken over
    m.d.sync += job_set.eq(1)
    b.assume(job_set | ~bus.i_open)
    # One element a PE: the beat with the tokens that it owns, and that it has something of.
    number = b.constant(config.pe_bits, "number")
    heard = Signal(PeBeat(config))
    expected = Signal(PeBeat(config))
    low_mask = (1 << pk_log2) - 1

    def own(beat):
        owned = Cat(token.owner == (number & low_mask) for token in beat.tokens)
        if config.row_filter:
            owned &= Cat(pes.bit_select(number, 1) for pes in beat.pes)
        tokens = [Cat(token[name] for name in ("address", "part", "value")) for token in beat.tokens]
        return Cat(*tokens, beat.mask & owned, beat.ends, beat.last)

    m.d.comb += [expected.eq(own(bus.i.p)), heard.eq(Array(port.p.as_value() for port in bus.o)[number])]
    first = bus.o[0]
    marked = Marked(b, moves(bus.i), expected, first.valid, heard, 2)
    taken, beat = inside("valid"), inside("beat")
    b.invariant(marked.inside == taken + first.valid)
    b.invariant(~(marked.present & (marked.ahead == first.valid)) | (marked.value == own(beat)))
    b.invariant(~(marked.present & first.valid & (marked.ahead == 0)) | (marked.value == heard.as_value()))
    b.invariant(~marked.present | (marked.ahead < marked.inside))
    b.invariant(~job_set | (inside("low_mask") == low_mask[:config.pe_bits]))
    b.invariant(job_set | (marked.inside == 0))
    for port in bus.o:
        b.check(port.valid == first.valid)
        b.invariant(port.valid == first.valid)
    # A beat passes only with room, while the bus is open, and not behind the job's last one.
    room = b.past(bus.i_room.all(), "room")
    b.check(~moves(bus.i) | (room & bus.i_open))
    closed = Signal()
    with b.m.If(~bus.i_open):
        b.m.d.sync += closed.eq(0)
    with b.m.Elif(moves(bus.i) & bus.i.p.last):
        b.m.d.sync += closed.eq(1)
    b.check(~(closed & moves(bus.i)))
    b.check(bus.o_last == (moves(bus.i) & bus.i.p.last))
    b.check(closed | ~(room & bus.i_open) | bus.i.ready)
    b.invariant(closed == b.inside("closed"))
    b.cover(closed & bus.i.valid & ~bus.i.ready)


def _beat_cutter(b: Bench) -> None:
    """The element is a cut that makes a beat; chunks go with their last cut, or are dropped."""
    cutter = b.dut
    steady(b, cutter.i, cutter.i_cut)
    cut, chunk = cutter.i_cut.p, cutter.i.p
    expected = Signal(RawBeat(SMALL))
    b.m.d.comb += [
        expected.tokens.eq(chunk.tokens),
        expected.mask.eq(Mux(cut.alone, 0, chunk.mask & cut.keep)),
        expected.ends.eq(cut.ends),
        expected.last.eq(cut.final),
    ]
    makes = moves(cutter.i_cut) & (expected.mask.any() | cut.ends[0].valid)
    marked = Marked(b, makes, expected, moves(cutter.o), cutter.o.p, 1)
    b.invariant(marked.inside == cutter.o.valid)
    b.invariant(~marked.present | (marked.value == cutter.o.p.as_value()))
    stable(b, cutter.o)
    prompt(b, marked.inside, cutter.o, 0)

    dropping = Signal()
    ends_job = moves(cutter.i_cut) & cut.final & ~cut.alone
    with b.m.If(ends_job):
        b.m.d.sync += dropping.eq(~chunk.last)
    with b.m.Elif(cutter.i.valid & chunk.last & dropping):
        b.m.d.sync += dropping.eq(0)
    b.assume(~ends_job | cut.done)
    # A cut is taken together with the chunk it cuts, and not of a job that has ended.
    b.check(~moves(cutter.i_cut) | (~dropping & (cut.alone | cutter.i.valid)))
    # A chunk is taken with its last cut, or after the job's last row end.
    b.check(moves(cutter.i) == (cutter.i.valid & (dropping | (moves(cutter.i_cut) & cut.done & ~cut.alone))))
    b.check(cutter.o_idle == ((marked.inside == 0) & ~dropping))
    b.invariant(dropping == b.inside("dropping"))
    b.cover(dropping & moves(cutter.i))


def _router(b: Bench) -> None:
    """Beats of a job come out as a plain formula places them; then the row ends that fill its last group."""
    router, config = b.dut, WIDER
    steady(b, router.i, router.i_job)
    stable(b, router.o)
    m, offered = b.m, router.i_job.p
    b.assume(offered.pk_log2 <= config.pe_bits)
    b.assume(offered.group_log2 <= config.lane_bits)
    _orderly(b, router.i.p)

    # ---- the job, and what the next beat does to its groups ----
    job, running = Signal.like(offered), Signal()
    phase = Signal(config.lane_bits)      # rows that ended in the open group
    owed = Signal(config.lane_bits + 1)   # row ends that pads will bring
    after, in_group = Signal(config.lane_bits), Signal(config.lane_bits)
    m.d.comb += [
        in_group.eq((1 << job.group_log2) - 1),
        after.eq((phase + sum(end.valid for end in router.i.p.ends)) & in_group),
    ]
    with m.If(moves(router.i)):
        m.d.sync += phase.eq(Mux(router.i.p.last, 0, after))
        with m.If(router.i.p.last & (after != 0)):
            m.d.sync += owed.eq(in_group - after + 1)
    with m.If(moves(router.o) & router.o.p.last):
        m.d.sync += running.eq(0)
    with m.If(moves(router.i_job)):
        m.d.sync += [job.eq(offered), running.eq(1)]
        with m.If(offered.packed):
            m.d.sync += job.slice_words.eq(1)
    b.check(~moves(router.i_job) | ~running)
    b.check(~router.i.ready | running)
    b.check(~router.o.valid | running)

    # ---- beats ----
    expected = Signal(TokenBeat(config))
    m.d.comb += [expected.mask.eq(router.i.p.mask), expected.ends.eq(router.i.p.ends),
                 expected.last.eq(router.i.p.last & (after == 0))]
    for token, raw in zip(expected.tokens, router.i.p.tokens, strict=True):
        local = Signal.like(raw.index)
        m.d.comb += [
            token.value.eq(raw.value),
            token.owner.eq(owner(raw.index, job.pk_log2, config.pe_bits)),
            local.eq(raw.index >> job.pk_log2),
            token.part.eq(raw.index & in_group),
            token.address.eq((local >> job.group_log2) * job.slice_words),
        ]
    pad = Signal()
    marked = Marked(b, moves(router.i), expected, moves(router.o) & ~pad, router.o.p, 3)
    # What is left when all beats have gone is a pad.
    m.d.comb += pad.eq(marked.inside == 0)
    with m.If(moves(router.o) & pad):
        m.d.sync += owed.eq(Mux(owed > ROW_ENDS, owed - ROW_ENDS, 0))
    output = router.o.p
    b.check(~(router.o.valid & pad) | (
        (owed != 0) & (output.mask == 0) & (output.last == (owed <= ROW_ENDS))
        & output.ends[0].valid & (output.ends[1].valid == (owed > 1))
        & (output.ends[0].position == 0) & (output.ends[1].position == 0)))
    b.check(~(router.o.valid & ~pad) | ~output.last | (owed == 0))
    b.cover(moves(router.o) & pad & ~output.last)
    _router_inside(b, marked, job, running, phase, owed, in_group)


def _router_inside(b: Bench, marked: Marked, job, running, phase, owed, in_group) -> None:
    """Invariants: what lies in the three stages."""
    inside, m, config = b.inside, b.m, WIDER
    complete, padding, missing = inside("complete"), inside("padding"), inside("missing")
    stages = [(inside(f"{name}_valid"), inside(f"_place:{name}"))
              for name in ("output", "second", "first")]          # the oldest beat first
    older: list[Signal] = []
    ends, last = [], Const(0)
    for valid, beat in stages:
        count = Signal(2)
        m.d.comb += count.eq(sum(stage for stage, _ in stages[:len(older)]))
        is_pad = valid & (count >= marked.inside)
        ends.append(Mux(is_pad, beat.ends[0].valid + beat.ends[1].valid, 0))
        b.invariant(~is_pad | ((beat.mask == 0) & beat.ends[0].valid & (beat.last | beat.ends[1].valid)
                               & (beat.ends[0].position == 0) & (beat.ends[1].position == 0)))
        b.invariant(~(valid & beat.last) | is_pad | (owed == 0))
        # Nothing of the job comes behind its last beat.
        b.invariant(~(valid & last))
        last = last | (valid & beat.last)
        older.append(count)
    b.invariant(inside("active") == running)
    b.invariant(~running | (inside("job") == job))
    b.invariant(inside("phase") == phase)
    b.invariant(phase == (phase & in_group))
    b.invariant(running | (phase == 0))
    b.invariant(running | ((owed == 0) & ~padding & (marked.inside == 0)))
    b.invariant(~any_of(valid for valid, _ in stages) | running)
    b.invariant((complete & running) == last)
    b.invariant(~padding | (~last & (missing != 0) & (phase == 0)))
    b.invariant(~last | (phase == 0))
    b.invariant((owed == 0) | padding | last)
    b.invariant(owed <= in_group)
    b.invariant(marked.inside <= sum(valid for valid, _ in stages))
    b.invariant((job.group_log2 <= config.lane_bits) & (job.pk_log2 <= config.pe_bits))
    b.invariant(sum(ends) + Mux(padding, missing, 0) == owed)
    b.invariant(padding | (owed != 0) | (sum(valid for valid, _ in stages) == marked.inside))
    for (valid, beat), count in zip(stages, older, strict=True):
        here = marked.present & valid & (marked.ahead == count)
        value = data.View(TokenBeat(config), marked.value)
        b.invariant(~here | ((beat.mask == value.mask) & (beat.ends == value.ends)
                             & (beat.last == value.last)))
        for number, (token, wanted) in enumerate(zip(beat.tokens, value.tokens, strict=True)):
            local, row = inside(f"local_row@{number}"), inside(f"#word_row{number}")
            address = row * job.slice_words
            same = (token.value == wanted.value) & (token.owner == wanted.owner)
            if beat is stages[0][1]:
                same = (token.as_value() == wanted.as_value())
            else:
                if beat is stages[2][1]:
                    address = (local >> job.group_log2) * job.slice_words
                same &= (token.part == wanted.part) & (address[:len(wanted.address)] == wanted.address)
            b.invariant(~here | same)


def any_of(values):
    return Cat(values).any()


def _orderly(b: Bench, beat) -> None:
    """Assumption: a second row end only behind a first one."""
    b.assume(beat.ends[0].valid | ~beat.ends[1].valid)


def _row_cutter(b: Bench) -> None:
    """Follows one row end: its place, its chunk; and keeps books of the places that cuts have sent."""
    cutter = b.dut
    steady(b, cutter.i)
    stable(b, cutter.o)
    m, pair, cut, tokens = b.m, cutter.i.p, cutter.o.p, SMALL.beat_tokens
    chunk_bits, room = 4, 12
    for end in pair.ends:
        b.assume((end.gap < 4) & (end.position <= tokens))
    first, second = pair.ends
    # A job's row ends: one at least, in order, the last one final; its first end brings its first chunk.
    open_job = Signal()      # a row end of the job came, and not the final one
    position = Signal.like(first.position)
    last_position = Signal.like(first.position)
    m.d.comb += last_position.eq(Mux(second.valid, second.position, first.position))
    with m.If(moves(cutter.i)):
        m.d.sync += [open_job.eq(~(first.final | (second.valid & second.final))), position.eq(last_position)]
    b.assume(first.valid & ~pair.alone & ~(first.final & second.valid))
    b.assume(open_job | (first.gap != 0))
    b.assume(~open_job | (first.gap != 0) | (first.position >= position))
    b.assume(~second.valid | (second.gap != 0) | (second.position >= first.position))

    # ---- row ends ----
    entered, left = Signal(2), Signal(2)
    inside, present, once = Signal(range(room + 3)), Signal(), Signal()
    ahead, value, chunks = Signal(range(room + 3)), Signal(tokens + 1), Signal(chunk_bits)
    expected = Signal.like(value)
    came, done = Signal(chunk_bits), Signal(chunk_bits)   # chunks begun by row ends; chunks cut to their end
    picks = b.free(2, "picks")
    picked_second = Signal()
    marks = Signal()
    m.d.comb += [
        entered.eq(Mux(moves(cutter.i), 1 + second.valid, 0)),
        left.eq(Mux(moves(cutter.o), cut.ends[0].valid + cut.ends[1].valid, 0)),
        picked_second.eq(picks[1] & second.valid),
        marks.eq(moves(cutter.i) & picks[0] & ~once),
    ]
    chosen = Signal.like(first)
    m.d.comb += chosen.eq(Mux(picked_second, second.as_value(), first.as_value()))
    m.d.comb += expected.eq(Cat(chosen.position, chosen.final))
    m.d.sync += inside.eq(inside + entered - left)
    with m.If(moves(cutter.i)):
        m.d.sync += came.eq(came + first.gap + Mux(second.valid, second.gap, 0))
    with m.If(moves(cutter.o) & cut.done):
        m.d.sync += done.eq(done + 1)
    with m.If(marks):
        m.d.sync += [present.eq(1), once.eq(1), value.eq(expected), ahead.eq(inside - left + picked_second),
                     chunks.eq(came + first.gap + Mux(picked_second, second.gap, 0))]
    with m.Elif(present):
        m.d.sync += [present.eq(ahead >= left), ahead.eq(ahead - left)]
    b.check((inside <= room) & (left <= inside))
    turn = [moves(cutter.o) & present & (ahead == number) & (left > number) for number in range(ROW_ENDS)]
    for number in range(ROW_ENDS):
        final = cut.final & (number == left - 1)
        b.check(~turn[number] | (value == Cat(cut.ends[number].position, final)))
        # Its chunk is the one at work.
        b.check(~turn[number] | (chunks == (done + 1)[:chunk_bits]))
        b.cover(turn[number])

    # ---- places ----
    sent, fresh = Signal(tokens), Signal(tokens)
    last_end = Mux(cut.ends[1].valid, cut.ends[1].position, cut.ends[0].position)
    up_to = Signal(tokens)
    m.d.comb += [
        up_to.eq(Mux(cut.done & ~cut.final, -1, Cat(place < last_end for place in range(tokens)))),
        fresh.eq(up_to & ~sent),
    ]
    with m.If(moves(cutter.o)):
        m.d.sync += sent.eq(Mux(cut.done, 0, sent | up_to))
    b.check(~cutter.o.valid | (cut.keep == fresh))
    b.check(~(cutter.o.valid & cut.final) | cut.done)
    b.check(~cutter.o_idle | (inside == 0))


ROOM_CYCLES = 4
"""From a PE's word that there is room to a beat that comes for it: a register in the PE, three in the bus."""


def _front_room(b: Bench) -> None:
    """Every beat that the bus may send finds a place in the PE's queue."""
    front = b.dut
    room = front.o_room
    for stage in range(ROOM_CYCLES):
        room = b.past(room, f"room{stage}")
    b.assume(~front.i.valid | room)
    waiting, taken = b.inside("_waiting"), b.inside("_taken")
    held = waiting - taken + b.inside("_valid")
    b.check(~b.inside("puts") | (held < SMALL.queue_beats))
    b.invariant((held <= SMALL.queue_beats) & (~taken | (b.inside("_valid") & (waiting != 0))))
    b.cover(held == SMALL.queue_beats)


PROOFS = (
    Proof("token_bus", "TokenBus",
          "every beat reaches every PE once, in order; none without room, while closed, or behind a job's "
          "last",
          lambda: TokenBus(SMALL), _token_bus,
          Fault("the bus does not close behind a job's last beat", "closed",
                lambda value, inside: Const(0), only=1), quick=True),
    Proof("token_bus_filtered", "TokenBus",
          "the same; of a beat each PE hears the tokens that it owns and has something of",
          lambda: TokenBus(FILTERED), _token_bus,
          Fault("PE 0 hears the first token of every beat", "#own0", lambda value, inside: value | 1),
          quick=True),
    Proof("front_room", "PeFront",
          "a beat that the token bus sends for the room it was told of always finds a place",
          lambda: PeFront(SMALL), _front_room,
          Fault("the beat at the input is not counted", "o_room",
                lambda value, inside: inside("_waiting") + inside("_valid")
                <= SMALL.queue_beats - ROOM_MARGIN_BEATS + inside("_taken")),
          induction=5, depth=10, quick=True),
    Proof("router", "Router",
          "every beat leaves once, in order, with owners and addresses as the formula gives them; then "
          "the missing row ends; the output is stable",
          lambda: Router(WIDER), _router,
          Fault("a pad does not count", "missing", lambda value, inside: inside("missing"), only=0),
          depth=8),
    Proof("row_cutter", "RowCutter",
          "every row end leaves once, in order, at its position, in its chunk; every place of a chunk "
          "goes with one cut; the output is stable",
          lambda: RowCutter(SMALL), _row_cutter,
          Fault("a chunk's last cut does not forget its places", "sent",
                lambda value, inside: inside("up_to")),
          induction=None, depth=7),
    Proof("beat_cutter", "BeatCutter",
          "every cut makes its beat once, in order; a chunk is taken with its last cut or dropped; idle "
          "means nothing held; the output is stable",
          lambda: BeatCutter(SMALL), _beat_cutter,
          Fault("a cut is taken while the output is stalled", "advance", lambda value, inside: Const(1)),
          quick=True),
)
