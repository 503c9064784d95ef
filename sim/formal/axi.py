"""Proofs of the blocks at the memory port and the control port."""

from amaranth.hdl import Const, Mux, Signal
from amaranth.lib import data

from hdl.axi import AxiAddress
from hdl.config import MAX_BURST_BEATS
from hdl.control import ControlPort
from hdl.layouts import ReadBeat
from hdl.read_port import ReadPort
from hdl.registers import REGISTERS, register

from .bench import Bench, Proof
from .checks import Marked, flat, moves, prompt, stable, steady
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS"]

READERS = 3
OUTSTANDING_BITS = 8
BEAT_BYTES = SMALL.port_bytes


def in_one_block(address, beats_less_one):
    """The burst is beat-aligned and does not cross a multiple of `burst_bytes`, hence no 4 KiB page."""
    first = (address // BEAT_BYTES)[:4]
    return (address % BEAT_BYTES == 0) & (first + beats_less_one < MAX_BURST_BEATS)


def _read_port(b: Bench) -> None:
    port, m = b.dut, b.m
    steady(b, *port.i_request, port.r)
    stable(b, port.ar)
    for request in port.i_request:
        b.assume(in_one_block(request.p.address, request.p.beats))
    b.check(~port.ar.valid | in_one_block(port.ar.p.address, port.ar.p.length))

    # ---- requests: each once, under its reader's number, in turns ----
    number = b.constant(range(READERS), "number")
    b.assume(number < READERS)
    taken, wanted, waits, waited = Signal(), Signal(), Signal(), Signal(range(READERS + 1))
    expected = Signal.like(port.ar.p)
    for reader, request in enumerate(port.i_request):
        with m.If(number == reader):
            m.d.comb += [
                taken.eq(moves(request)), wanted.eq(request.valid), expected.id.eq(reader),
                expected.address.eq(request.p.address), expected.length.eq(request.p.beats),
            ]
    others = Signal()
    m.d.comb += [
        others.eq(sum(moves(request) for request in port.i_request) > taken),
        waits.eq(wanted & ~taken),
    ]
    b.check(sum(moves(request) for request in port.i_request) <= 1)
    marked = Marked(b, taken, expected, moves(port.ar) & (port.ar.p.id == number), port.ar.p, 2)
    b.check(~port.ar.valid | (port.ar.p.id < READERS))
    queued, behind = b.inside("head/o_waits"), data.View(AxiAddress(), b.inside("head/waiting"))
    offered, second = port.ar.valid & (port.ar.p.id == number), queued & (behind.id == number)
    b.invariant(~queued | (port.ar.valid & (behind.id < READERS)
                           & in_one_block(behind.address, behind.length)))
    b.invariant(marked.inside == offered + second)
    b.invariant(~marked.present | (marked.value == Mux(offered & (marked.ahead == 0), flat(port.ar.p),
                                                       flat(behind))))
    # No reader is passed over more often than there are others.
    m.d.sync += waited.eq(Mux(waits, waited + others, 0))
    b.check(waited < READERS)
    b.cover(waited == READERS - 1)

    # ---- answers ----
    asked, came = Signal(OUTSTANDING_BITS), Signal()
    m.d.comb += came.eq(moves(port.r))
    m.d.sync += asked.eq(asked + Mux(moves(port.ar), port.ar.p.length + 1, 0) - came)
    # The memory answers what was asked; the readers ask for no more than they have room for.
    b.assume(~port.r.valid | (asked != 0))
    b.assume(~port.r.valid | (port.r.p.id < READERS))
    room = READERS * SMALL.read_buffer_beats
    b.assume(~port.ar.valid | (asked + port.ar.p.length + 1 <= room))
    b.invariant(asked <= room)
    b.check(port.r.ready)
    beat = Signal(ReadBeat(SMALL))
    m.d.comb += [beat.data.eq(port.r.p.data), beat.error.eq(port.r.p.response[1])]
    past_beat, past_id = b.past(beat, "past_beat"), b.past(port.r.p.id, "past_id")
    past_came = b.past(came, "past_came")
    for reader, output in enumerate(port.o_beat):
        b.check(output.valid == (past_came & (past_id == reader)))
        b.check(~output.valid | (output.p == past_beat))
    b.check(port.o_error.valid == (past_came & past_beat.error))
    b.check(~port.o_error.valid | (port.o_error.reader == past_id))
    b.check(port.o_beats == past_came)
    _in_turn(b, number, waited)


def _in_turn(b: Bench, number, waited) -> None:
    """Invariant: behind the reader whose turn was last, fewer come before it than may pass it over still."""
    preferred, granted = b.inside("preferred"), b.inside("granted")   # the former: all above that one
    before = Const(0)
    legal = Const(0)
    mine, others = Const(0), Const(0)    # whose turn it is
    for last in range(READERS):
        is_last = preferred == sum(1 << reader for reader in range(last + 1, READERS))
        legal |= is_last & ((granted == 0) | (granted == 1 << last))
        mine |= granted[last] & (number == last)
        others |= granted[last] & (number != last)
        for reader in range(READERS):
            before = Mux(is_last & (number == reader), (reader - last - 1) % READERS, before)
    b.invariant(legal)
    for reader in range(READERS):
        b.invariant(~granted[reader] | (b.inside("number") == reader))
    b.invariant(Mux(mine, waited, waited + others + before) < READERS)


def _response(b: Bench, address, name: str) -> Signal:
    """What a read of that address is answered with: an error where no register is."""
    response = Signal(2, name=name, init=2)
    for entry in REGISTERS:
        with b.m.If(address[2:] == entry.address >> 2):
            b.m.d.comb += response.eq(0)
    return response


def _control_port(b: Bench) -> None:
    port, m = b.dut, b.m
    bus = port.bus
    steady(b, bus.aw, bus.w, bus.ar)
    stable(b, bus.b, bus.r, port.o_counter)
    # ---- one answer for each address with its data, one for each read ----
    addresses, words, reads = Signal(3), Signal(3), Signal(3)
    m.d.sync += [
        addresses.eq(addresses + moves(bus.aw) - moves(bus.b)),
        words.eq(words + moves(bus.w) - moves(bus.b)),
    ]
    b.check((addresses <= 2) & (words <= 2))
    b.check(~bus.b.valid | ((addresses != 0) & (words != 0)))
    prompt(b, (addresses != 0) & (words != 0), bus.b, 1)
    response = _response(b, bus.ar.p.address, "response")
    answers = Marked(b, moves(bus.ar), response, moves(bus.r), bus.r.p.response, 2)
    m.d.comb += reads.eq(answers.inside)
    waits = port.o_counter.valid & ~port.o_counter.ready    # for a counter's value
    prompt(b, Mux(waits, 0, reads), bus.r, 1)
    b.cover(moves(port.o_counter) & b.past(waits, "waited"))
    b.cover(moves(bus.r) & (bus.r.p.response == 2))

    # ---- the registers that only writes change: what was written under its strobes, and nothing else ----
    held_address, held_word, held_strobe = Signal(8), Signal(32), Signal(4)
    with m.If(moves(bus.aw)):
        m.d.sync += held_address.eq(bus.aw.p.address)
    with m.If(moves(bus.w)):
        m.d.sync += [held_word.eq(bus.w.p.data), held_strobe.eq(bus.w.p.strobe)]
    offered_before = b.past(bus.b.valid, "offered_before")
    pair = b.past((addresses > bus.b.valid) & (words > bus.b.valid), "pair")
    written, strobes = Signal(), b.past(held_strobe, "strobes")
    address, word = b.past(held_address, "address"), b.past(held_word, "word")
    m.d.comb += written.eq(pair & ~offered_before)   # a write has happened: its answer has just come up
    for name, value in (("DESCRIPTOR", port.o_descriptor), ("COUNT", port.o_count)):
        before = b.past(value, f"{name}_before")
        wanted = Signal.like(value, name=f"{name}_wanted")
        hits = written & (address[2:] == register(name).address >> 2)
        for bit in range(len(value)):
            m.d.comb += wanted[bit].eq(Mux(hits & strobes[bit // 8], word[bit], before[bit]))
        b.check(value == wanted)
        b.cover(hits & (value != before))
    b.check(~b.past(port.o_start, "started") | (
        written & (address[2:] == register("DOORBELL").address >> 2) & strobes.any()))
    # ---- the doorbell ----
    b.check(~port.o_start | ~port.i_status.busy)
    b.cover(port.o_start)
    have_address, have_word = b.inside("_writes:have_address"), b.inside("have_word")
    b.invariant(addresses == have_address + bus.b.valid)
    b.invariant(words == have_word + bus.b.valid)
    b.invariant(~have_address | (held_address == b.inside("_writes:address")))
    b.invariant(~have_word | ((held_word == b.inside("word")) & (held_strobe == b.inside("strobe"))))
    at_doorbell = held_address[2:] == register("DOORBELL").address >> 2
    b.invariant(b.inside("rings") == (have_address & at_doorbell))
    b.invariant(b.inside("has_bytes") == (have_word & held_strobe.any()))
    have_read = b.inside("_reads:have_address")
    b.invariant(reads == have_read + bus.r.valid)
    at_output = bus.r.valid & (answers.ahead == 0)
    waiting = _response(b, b.inside("_reads:address"), "waiting")
    b.invariant(~answers.present | (answers.value == Mux(at_output, bus.r.p.response, waiting)))


PROOFS = (
    Proof("read_port", "ReadPort",
          "every request goes out once, under its reader's number, and none is passed over; answers go to "
          "whom they belong; `ar` is stable and crosses no 4 KiB page",
          lambda: ReadPort(SMALL, READERS), _read_port,
          Fault("a burst is lost that would have to wait behind another one", "head/o_waits",
                lambda value, inside: Const(0)),
          quick=True),
    Proof("control_port", "ControlPort",
          "every write and every read is answered once, in order, within two cycles, that of a counter "
          "within two of its value; answers are stable; "
          "a register keeps what was written under its strobes; the doorbell rings for a write to it "
          "only, and not while busy",
          lambda: ControlPort(SMALL), _control_port,
          Fault("a second write happens before the first one's answer is taken", "_writes:happens",
                lambda value, inside: inside("_writes:have_address") & inside("have_word")),
          induction=2, quick=True),
)
