"""A board's memory, on the chip: an AXI4 slave for the array, with a way in for the host."""

from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.axi import AxiMemory
from hdl.config import ADDRESS_BITS, Config, log2_exact

from .one_port_memory import one_port_memory

__all__ = ["HostAccess", "HostAnswer", "OnChipMemory"]

_OKAY, _DECERR = 0, 3
_HOST_BYTES = 4


def HostAccess() -> data.StructLayout:
    """Read or write of one 32-bit word at a byte address that is a multiple of 4."""
    return data.StructLayout({"write": 1, "address": ADDRESS_BITS, "data": 32})


def HostAnswer() -> data.StructLayout:
    """What was read (of a write: nothing in particular), and whether there is such a word."""
    return data.StructLayout({"data": 32, "exists": 1})


class OnChipMemory(wiring.Component):
    """Block RAM behind the array's memory port; for a serial array storage with one port (`SinglePort`), as
    small parts' memories have.

    Throughput: one beat read and one written a cycle within a burst, with one port one of both; one burst
        each way at a time, two cycles between bursts. A host's word in a few cycles, and a burst of its
        direction waits for it.
    Latency: two cycles from AR to the first beat, one from the last W to B.
    Backpressure: on all channels. The host's words wait for the end of the burst that runs, and bursts for
        one of these words: while both always have more, they take turns. With one port writes go first: a
        beat or a host's word is read in a cycle in which nothing is written. Only while a beat that was read
        is not taken, nothing is written.
    Order: bursts of a direction are answered in their order.

    Parameters
    ----------
    config : Config, for port_bytes and serial
    memory_bytes : a power of two; words at or past it are answered with DECERR

    Members
    -------
    memory : AXI4 slave, INCR bursts of whole beats
    i_host : stream of HostAccess
    o_host : stream of HostAnswer
    """

    def __init__(self, config: Config, memory_bytes: int):
        self._serial, self._memory_bytes = config.serial, memory_bytes
        self._beat_bytes = config.port_bytes
        self._beat_bits = log2_exact(config.port_bytes)
        self._depth_bits = log2_exact(memory_bytes) - self._beat_bits
        super().__init__({
            "memory": In(AxiMemory(config.port_bytes)),
            "i_host": In(stream.Signature(HostAccess())),
            "o_host": Out(stream.Signature(HostAnswer(), always_ready=True)),
        })

    def elaborate(self, platform: Any) -> Module:
        if self._serial:
            return one_port_memory(self, self._memory_bytes)
        m = Module()
        storage = Memory(shape=8 * self._beat_bytes, depth=1 << self._depth_bits, init=[])
        m.submodules.storage = storage
        self._write_port = storage.write_port(granularity=8)
        self._read_port = storage.read_port()
        read_free, write_free = self._read(m), self._write(m)
        self._host(m, read_free, write_free)
        return m

    def _place(self, m: Module, name: str, address: Any) -> tuple[Signal, Signal]:
        """Beat number and whether there is such a beat."""
        beat, exists = Signal(self._depth_bits, name=f"{name}_beat"), Signal(name=f"{name}_exists")
        m.d.comb += [beat.eq(address >> self._beat_bits),
                     exists.eq((address >> (self._beat_bits + self._depth_bits)) == 0)]
        return beat, exists

    def _read(self, m: Module) -> Signal:
        ar, r = self.memory.ar, self.memory.r
        address, left, active, last = Signal(ADDRESS_BITS), Signal(8), Signal(), Signal()
        issue, free, host_next = Signal(), Signal(name="read_free"), Signal()
        beat, exists = self._place(m, "read", address)
        failed = Signal()
        m.d.comb += [
            # While the last beat of a burst waits, its id stays on the channel. The next burst is taken in
            # the cycle in which it leaves, so that the port would never be free for a host that waits.
            ar.ready.eq(~active & ~host_next & (~r.valid | r.ready)),
            last.eq(left == 0),
            issue.eq(active & (~r.valid | r.ready)),
            free.eq(~active & ~r.valid),
            r.payload.data.eq(Mux(failed, 0, self._read_port.data)),
            r.payload.response.eq(Mux(failed, _DECERR, _OKAY)),
            self._read_port.addr.eq(beat),
            self._read_port.en.eq(issue),
        ]
        m.d.sync += host_next.eq(self.i_host.valid & ~self.i_host.ready & ~self.i_host.payload.write)
        with m.If(r.ready):
            m.d.sync += r.valid.eq(0)
        with m.If(issue):
            m.d.sync += [r.valid.eq(1), r.payload.last.eq(last), failed.eq(~exists), active.eq(~last),
                         left.eq(left - 1), address.eq(address + self._beat_bytes)]
        with m.If(ar.valid & ar.ready):
            m.d.sync += [active.eq(1), address.eq(ar.payload.address), left.eq(ar.payload.length),
                         r.payload.id.eq(ar.payload.id)]
        return free

    def _write(self, m: Module) -> Signal:
        aw, w, b, port = self.memory.aw, self.memory.w, self.memory.b, self._write_port
        address, active, failed = Signal(ADDRESS_BITS), Signal(), Signal(name="write_failed")
        free, moves = Signal(name="write_free"), Signal(name="write_moves")
        beat, exists = self._place(m, "write", address)
        m.d.comb += [
            aw.ready.eq(~active & ~b.valid),
            w.ready.eq(active),
            moves.eq(w.valid & w.ready),
            free.eq(~active),
            port.addr.eq(beat),
            port.data.eq(w.payload.data),
            port.en.eq(Mux(moves & exists, w.payload.strobe, 0)),
        ]
        with m.If(b.ready):
            m.d.sync += b.valid.eq(0)
        with m.If(aw.valid & aw.ready):
            m.d.sync += [active.eq(1), address.eq(aw.payload.address), failed.eq(0),
                         b.payload.id.eq(aw.payload.id)]
        with m.If(moves):
            m.d.sync += [address.eq(address + self._beat_bytes), failed.eq(failed | ~exists)]
            with m.If(w.payload.last):
                m.d.sync += [active.eq(0), b.valid.eq(1),
                             b.payload.response.eq(Mux(failed | ~exists, _DECERR, _OKAY))]
        return free

    def _host(self, m: Module, read_free: Signal, write_free: Signal) -> None:
        """Between bursts the ports are the host's."""
        request = self.i_host.payload
        beat, exists = self._place(m, "host", request.address)
        parts = self._beat_bytes // _HOST_BYTES
        part = Signal(range(max(2, parts)), name="host_part")
        taken, kept_part, kept_exists = Signal(), Signal.like(part), Signal()
        comes = Signal()     # the memory's word, behind which a register stands: there is time
        m.d.comb += [
            part.eq((request.address >> 2) & (parts - 1)),
            taken.eq(self.i_host.valid & ~comes & ~self.o_host.valid
                     & Mux(request.write, write_free, read_free)),
            self.i_host.ready.eq(taken),
        ]
        m.d.sync += [
            comes.eq(taken), kept_part.eq(part), kept_exists.eq(exists),
            self.o_host.valid.eq(comes),
            self.o_host.payload.data.eq(Array(self._read_port.data.word_select(index, 32)
                                              for index in range(parts))[kept_part]),
            self.o_host.payload.exists.eq(kept_exists),
        ]
        with m.If(taken):
            with m.If(request.write):
                m.d.comb += [
                    self._write_port.addr.eq(beat),
                    self._write_port.data.eq(request.data.replicate(parts)),
                    self._write_port.en.eq(Mux(exists, 0b1111 << (part << 2), 0)),
                ]
            with m.Else():
                m.d.comb += [self._read_port.addr.eq(beat), self._read_port.en.eq(1)]
