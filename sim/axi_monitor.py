"""Watches the array's two buses and says which rules of AXI were broken; hardware, for every simulator."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.axi import AxiLite, AxiMemory
from hdl.config import AXI_PAGE_BYTES, MAX_BURST_BEATS, Config, log2_exact, width_of
from hdl.registers import REGISTER_SPACE_BITS

__all__ = ["RULES", "AxiMonitor", "watch"]

RULES = (
    "ar: valid fell or its payload changed before ready",
    "aw: valid fell or its payload changed before ready",
    "w: valid fell or its payload changed before ready",
    "ar: a burst crosses a 4 KiB page",
    "aw: a burst crosses a 4 KiB page",
    "ar: an address is not a multiple of the port's bytes",
    "aw: an address is not a multiple of the port's bytes",
    "ar: a burst is longer than the array promises",
    "aw: a burst is longer than the array promises",
    "w: data comes before its address is offered",
    "w: last is not on the burst's last beat",
    "r or b is not taken at once",
    "irq rose while the memory was at work on a read or a write",
    "axil b: an answer without address and data, or a second one",
    "axil r: an answer without an address, or a second one",
    "axil b: valid fell or its payload changed before ready",
    "axil r: valid fell or its payload changed before ready",
)
"""Meaning of the bits of `violation`."""

OPEN_BURSTS = 256
"""More than the array ever has outstanding in either direction."""


STANDSTILL_CYCLES = 100
"""A memory that moves nothing for so long has stopped."""


class AxiMonitor(wiring.Component):
    """Watches a memory port and a control port; drives nothing but its verdict.

    Throughput: every cycle.
    Latency: a rule broken in a cycle shows in the next.
    Backpressure: none.

    Parameters
    ----------
    config : Config

    Members
    -------
    memory, control : the signals of both buses, all as inputs
    irq : the array's interrupt
    violation : a bit for each of RULES, set until reset
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "memory": In(_inputs(AxiMemory(config.port_bytes))),
            "control": In(_inputs(AxiLite(REGISTER_SPACE_BITS))),
            "irq": In(1),
            "violation": Out(len(RULES)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self._broken = {rule: Signal(name=f"broken{number}") for number, rule in enumerate(RULES)}
        for number, broken in enumerate(self._broken.values()):
            m.d.sync += self.violation[number].eq(self.violation[number] | broken)
        for channel in ("ar", "aw", "w"):
            self._holds(m, channel, getattr(self.memory, channel))
        for channel in ("b", "r"):
            self._holds(m, f"axil {channel}", getattr(self.control, channel))
        for channel in ("ar", "aw"):
            self._burst(m, channel, getattr(self.memory, channel).payload)
        self._write_data(m)
        self._outstanding(m)
        self._answers(m)
        return m

    def _report(self, m: Module, rule: str, condition: Any) -> None:
        with m.If(condition):
            m.d.comb += self._broken[rule].eq(1)

    def _holds(self, m: Module, name: str, channel: Any) -> None:
        payload, stalled = Value.cast(channel.payload), Signal()
        before = Signal(len(payload))
        m.d.sync += [stalled.eq(channel.valid & ~channel.ready), before.eq(payload)]
        self._report(m, f"{name}: valid fell or its payload changed before ready",
                     stalled & (~channel.valid | (payload != before)))

    def _burst(self, m: Module, name: str, burst: Any) -> None:
        valid = getattr(self.memory, name).valid
        byte_bits, page_bits = log2_exact(self._config.port_bytes), log2_exact(AXI_PAGE_BYTES)
        first_beat = burst.address[byte_bits:page_bits]
        self._report(m, f"{name}: a burst crosses a 4 KiB page",
                     valid & (first_beat + burst.length >= AXI_PAGE_BYTES // self._config.port_bytes))
        self._report(m, f"{name}: an address is not a multiple of the port's bytes",
                     valid & burst.address[:byte_bits].any())
        self._report(m, f"{name}: a burst is longer than the array promises",
                     valid & (burst.length >= MAX_BURST_BEATS))

    def _write_data(self, m: Module) -> None:
        """Beats of data against the lengths of the addresses offered so far, taken or not."""
        aw, w = self.memory.aw, self.memory.w
        m.submodules.lengths = lengths = Memory(shape=8, depth=OPEN_BURSTS, init=[])
        write, read = lengths.write_port(), lengths.read_port(domain="comb")
        offered, seen = Signal(), Signal()
        tail, head = Signal(range(OPEN_BURSTS)), Signal(range(OPEN_BURSTS))
        beat, length, known = Signal(8), Signal(8), Signal()
        m.d.comb += [
            offered.eq(aw.valid & ~seen),
            write.en.eq(offered), write.addr.eq(tail), write.data.eq(aw.payload.length), read.addr.eq(head),
            known.eq((head != tail) | offered),
            length.eq(Mux(head != tail, read.data, aw.payload.length)),
        ]
        m.d.sync += [seen.eq(aw.valid & ~aw.ready), tail.eq(tail + offered)]
        self._report(m, "w: data comes before its address is offered", w.valid & ~known)
        self._report(m, "w: last is not on the burst's last beat",
                     w.valid & known & (w.payload.last != (beat == length)))
        with m.If(w.valid & w.ready):
            m.d.sync += beat.eq(beat + 1)
            with m.If(beat == length):
                m.d.sync += [beat.eq(0), head.eq(head + 1)]

    def _outstanding(self, m: Module) -> None:
        memory = self.memory
        reads, writes = Signal(width_of(OPEN_BURSTS)), Signal(width_of(OPEN_BURSTS))
        m.d.sync += [
            reads.eq(reads + (memory.ar.valid & memory.ar.ready)
                     - (memory.r.valid & memory.r.ready & memory.r.payload.last)),
            writes.eq(writes + (memory.aw.valid & memory.aw.ready) - (memory.b.valid & memory.b.ready)),
        ]
        self._report(m, "r or b is not taken at once",
                     (memory.r.valid & ~memory.r.ready) | (memory.b.valid & ~memory.b.ready))
        # A memory that has stopped cannot be waited for: then the job ends all the same.
        before, stood_still = Signal(), Signal(range(STANDSTILL_CYCLES + 1))
        m.d.sync += before.eq(self.irq)
        moves = Cat(channel.valid & channel.ready
                    for channel in (memory.ar, memory.r, memory.aw, memory.w, memory.b)).any()
        with m.If(moves):
            m.d.sync += stood_still.eq(0)
        with m.Elif(stood_still != STANDSTILL_CYCLES):
            m.d.sync += stood_still.eq(stood_still + 1)
        self._report(m, "irq rose while the memory was at work on a read or a write",
                     self.irq & ~before & (stood_still != STANDSTILL_CYCLES)
                     & ((reads != 0) | (writes != 0) | memory.ar.valid | memory.aw.valid))

    def _answers(self, m: Module) -> None:
        """At most one access of each kind is under way at the control port."""
        control = self.control
        address, word, asked = Signal(2), Signal(2), Signal(2)
        answered, told = control.b.valid & control.b.ready, control.r.valid & control.r.ready
        m.d.sync += [
            address.eq(address + (control.aw.valid & control.aw.ready) - answered),
            word.eq(word + (control.w.valid & control.w.ready) - answered),
            asked.eq(asked + (control.ar.valid & control.ar.ready) - told),
        ]
        self._report(m, "axil b: an answer without address and data, or a second one",
                     control.b.valid & ((address == 0) | (word == 0)))
        self._report(m, "axil r: an answer without an address, or a second one",
                     control.r.valid & (asked == 0))


def _inputs(signature: wiring.Signature) -> wiring.Signature:
    """The same members, every one an input of who listens."""
    return wiring.Signature({
        channel: Out(wiring.Signature({"valid": Out(1), "ready": Out(1),
                                       "payload": Out(member.signature.members["payload"].shape)}))
        for channel, member in signature.members.items()})


def watch(m: Module, monitor: AxiMonitor, memory: Any, control: Any, irq: Any) -> None:
    """Give the monitor the signals of both buses."""
    for bus, seen in ((memory, monitor.memory), (control, monitor.control)):
        for channel in seen.signature.members:
            source, sink = getattr(bus, channel), getattr(seen, channel)
            m.d.comb += [sink.valid.eq(source.valid), sink.ready.eq(source.ready),
                         sink.payload.eq(source.payload)]
    m.d.comb += monitor.irq.eq(irq)
