"""Proofs of the last gate before the memory."""

from dataclasses import replace

from amaranth.hdl import Signal

from hdl.config import log2_exact
from hdl.guard import MAX_WRITE_BURSTS, MemoryGuard
from hdl.registers import WINDOW_BYTES
from hdl.top import Top

from .bench import Bench, Proof
from .checks import moves, stable, steady
from .configs import SMALL
from .inside import Fault

__all__ = ["PROOFS", "allowed"]

COUNT_BITS = 10

EIGHT_BLOCKS = replace(SMALL, lanes=16, port_bytes=32)
"""A piece of `burst_bytes` is eight blocks of a window; in SMALL it is one."""


def allowed(address, window, config=SMALL):
    """An AxiAddress: every byte of the burst lies in the window, and in one piece of the burst's size."""
    first = address.address
    aligned = first & ~(config.port_bytes - 1)
    end = aligned + (address.length + 1) * config.port_bytes   # one more bit: nothing wraps around
    piece = log2_exact(config.burst_bytes)
    return ((first >= window.base * WINDOW_BYTES) & (end <= (window.last + 1) * WINDOW_BYTES)
            & ((end - 1)[piece:] == first[piece:]))


def _windows(b: Bench) -> None:
    """Nothing is assumed: of the array, of the memory, of the windows."""
    guard, config = b.dut, b.dut._config
    ar, aw = guard.memory.ar, guard.memory.aw
    for outer, inner, window in ((ar, guard.port.ar, guard.i_windows.read),
                                 (aw, guard.port.aw, guard.i_windows.write)):
        b.check(~outer.valid | allowed(outer.p, window, config))
        # Nothing else is kept back that is taken.
        b.check(~(moves(inner) & allowed(inner.p, window, config)) | outer.valid)
    most = (8 * config.port_bytes - 1) // WINDOW_BYTES   # blocks that such a burst is in, less one
    for channel, window in ((ar, guard.i_windows.read), (aw, guard.i_windows.write)):
        b.cover(moves(channel) & (window.base != 0) & (window.last == window.base + most)
                & (channel.p.length == 7))


def _behind_addresses(b: Bench) -> None:
    """Whatever the array does but take an address back: data goes out only for a burst whose address is out
    or on offer. They come out of a HeadQueue, which keeps what it offers; `windows_hold` says the rest."""
    guard, m = b.dut, b.m
    steady(b, guard.port.aw)
    b.drive(guard.i_windows, b.constant(guard.i_windows.shape(), "windows"))
    aw, w = guard.memory.aw, guard.memory.w
    announced, sent = Signal(COUNT_BITS), Signal(COUNT_BITS)
    answered = Signal(COUNT_BITS)
    m.d.sync += [announced.eq(announced + moves(aw)), sent.eq(sent + (moves(w) & w.p.last)),
                 answered.eq(answered + moves(guard.memory.b))]
    # The memory answers what it was sent.
    b.assume(~guard.memory.b.valid | ((announced != answered) & (sent != answered)))
    ahead = (announced - sent)[:COUNT_BITS]
    # -1: the data of the burst on offer has gone out, its address has not.
    late = (sent - announced)[:COUNT_BITS] == 1
    b.check(~w.valid | (~late & ((ahead != 0) | aw.valid)))
    b.cover(late & moves(aw))
    before = b.inside("announced_before")
    b.invariant(b.inside("lead") + before == (ahead + 1)[:COUNT_BITS])
    b.invariant(~(before & b.inside("offered@1")))
    writes = (announced - answered)[:COUNT_BITS]
    b.invariant(writes == b.inside("writes") + before)
    b.invariant((writes < MAX_WRITE_BURSTS) | ((writes == MAX_WRITE_BURSTS) & ~b.inside("offered@1")))
    b.invariant(late | (ahead <= writes))


def _protocol(b: Bench) -> None:
    """An array that keeps the rules, windows that stay: then the memory sees the rules kept, in whatever
    cycle the port is held or closed, and quiet means quiet."""
    guard, m = b.dut, b.m
    port, memory = guard.port, guard.memory
    steady(b, port.ar, port.aw, port.w, memory.r, memory.b)
    stable(b, memory.ar, memory.aw, memory.w)
    windows = b.constant(guard.i_windows.shape(), "windows")
    b.drive(guard.i_windows, windows)
    asked, come = Signal(COUNT_BITS), Signal(COUNT_BITS)
    announced, sent, answered = Signal(COUNT_BITS), Signal(COUNT_BITS), Signal(COUNT_BITS)
    m.d.sync += [
        asked.eq(asked + moves(memory.ar)), come.eq(come + (moves(memory.r) & memory.r.p.last)),
        announced.eq(announced + moves(memory.aw)), sent.eq(sent + (moves(memory.w) & memory.w.p.last)),
        answered.eq(answered + moves(memory.b)),
    ]
    b.assume(~memory.r.valid | (asked != come))
    b.assume(~memory.b.valid | ((announced != answered) & (sent != answered)))
    # What passes is what was offered, and is taken on both sides at once.
    for inner, outer in ((port.w, memory.w), (memory.r, port.r), (memory.b, port.b)):
        b.check(moves(inner) == moves(outer))
        b.check(~outer.valid | (inner.valid & (outer.p == inner.p)))
    # Of addresses one may be dropped, that is outside; it is told, and none is taken behind it.
    for number, (channel, name) in enumerate((("ar", "read"), ("aw", "write"))):
        inner, outer = getattr(port, channel), getattr(memory, channel)
        outside, blocked = ~allowed(inner.p, windows[name]), guard.o_blocked[name]
        b.check(moves(inner) == (moves(outer) | (moves(inner) & outside)))
        b.check(~outer.valid | (inner.valid & (outer.p == inner.p)))
        b.check(~(blocked & (inner.ready | outer.valid)))
        b.check(~b.past(moves(inner) & outside, f"dropped_{name}") | blocked)
        b.invariant(~(blocked & b.inside(f"offered@{number}")))
    quiet = ((asked == come) & (announced == answered) & (sent == announced)
             & ~memory.ar.valid & ~memory.aw.valid)
    b.check(~guard.i_close | (guard.o_quiet == b.past(quiet & guard.i_close, "quiet_before")))
    was_quiet = b.past(guard.o_quiet & guard.i_close, "was_quiet")
    b.check(~(was_quiet & guard.i_close) | (
        guard.o_quiet & ~memory.ar.valid & ~memory.aw.valid & ~memory.w.valid))
    # Under `i_close` nothing new comes on offer.
    for number, channel in enumerate((memory.ar, memory.aw)):
        held = b.past(channel.valid & ~channel.ready, f"offered{number}")
        b.check(~(channel.valid & (guard.i_close | guard.i_hold)) | held)
    b.cover(guard.i_close & guard.o_quiet & b.past(b.past(moves(memory.b), "answer"), "answered"))
    reads, writes = (asked - come)[:COUNT_BITS], (announced - answered)[:COUNT_BITS]
    late = (sent - announced)[:COUNT_BITS] == 1
    ahead = (announced - sent)[:COUNT_BITS]
    asked_before, announced_before = b.inside("asked_before"), b.inside("announced_before")
    for count, name, before, most, number in (
            (reads, "reads", asked_before, 16 * SMALL.read_buffer_beats, 0),
            (writes, "writes", announced_before, MAX_WRITE_BURSTS, 1)):
        b.invariant(count == b.inside(name) + before)
        b.invariant(~(before & b.inside(f"offered@{number}")))
        b.invariant((count < most) | ((count == most) & ~b.inside(f"offered@{number}")))
    b.invariant(b.inside("lead") + announced_before == (ahead + 1)[:COUNT_BITS])
    b.invariant(late | (ahead <= writes))
    # What made it quiet a cycle ago has stayed.
    outstanding = (reads != 0) | (writes != 0) | (ahead != 0)
    b.invariant(~guard.o_quiet | ~(outstanding | b.inside("offered@0") | b.inside("offered@1")))
    # Data ahead of its address: the address is on offer, and stays so.
    b.invariant(~late | memory.aw.valid)
    for number, (channel, name) in enumerate(((memory.ar, "ar"), (memory.aw, "aw"))):
        b.invariant(b.inside(f"offered@{number}") == b.past(channel.valid & ~channel.ready, f"kept_{name}"))


def _array(b: Bench) -> None:
    """The pins of a whole array: whatever its blocks are doing, whatever the host and the memory do."""
    memory, windows = b.dut.memory, b.inside("control_port/o_windows")
    for channel, window in ((memory.ar, windows.read), (memory.aw, windows.write)):
        b.check(~channel.valid | allowed(channel.p, window))
    # The first read of a job, a descriptor's, within a window of one page.
    b.cover(memory.ar.valid)


PROOFS = (
    Proof("guard_windows", "MemoryGuard",
          "no address goes out unless every byte of its burst lies in the window and in one aligned piece "
          "of `burst_bytes`; nothing assumed of array, memory, windows or reset",
          lambda: MemoryGuard(SMALL), _windows,
          Fault("the end of a burst is not looked at", "inside@0",
                lambda value, inside: inside("first@0") >= inside("i_windows").read.base),
          depth=4, quick=True),
    Proof("guard_windows_blocks", "MemoryGuard",
          "the same where a burst may be in several blocks of the windows",
          lambda: MemoryGuard(EIGHT_BLOCKS), _windows,
          Fault("the end of a burst is not looked at", "inside@0",
                lambda value, inside: inside("first@0") >= inside("i_windows").read.base),
          depth=4, quick=True),
    Proof("guard_data", "MemoryGuard",
          "data goes out only for a burst whose address is out or on offer, whatever the array does but take "
          "an address back",
          lambda: MemoryGuard(SMALL), _behind_addresses,
          Fault("data may pass without an address", "w_open", lambda value, inside: inside("lead") != 0),
          quick=True),
    Proof("guard_protocol", "MemoryGuard",
          "`ar`, `aw`, `w` are stable whenever the port is held or closed; all passes unchanged, but for an "
          "address outside, which is told and is the last of its channel; quiet means nothing offered or "
          "outstanding, and stays so under `i_close`",
          lambda: MemoryGuard(SMALL), _protocol,
          Fault("an offer is taken back when the port closes", "opened@0",
                lambda value, inside: value & ~inside("i_close")), quick=True),
    Proof("array_windows", "Top",
          "no address leaves the array's pins unless every byte of its burst lies in the window that the "
          "registers name; nothing is assumed of descriptors, memory, host or reset",
          lambda: Top(SMALL), _array,
          Fault("another address goes out than was looked at", "guard/memory.ar.p",
                lambda value, inside: ~value),
          depth=8, cover=8),
)
