"""The inside of an `OnChipMemory` whose words lie behind one port."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value

from hdl.config import log2_exact

from .single_port import WORD_BYTES, SinglePort

__all__ = ["one_port_memory"]

_WORD_LOG2 = log2_exact(WORD_BYTES)
_OKAY, _DECERR = 0, 3


class _Burst:
    """The burst of one direction that runs: the word of its next beat, and whether there is none such."""

    def __init__(self, m: Module, name: str, address_bits: int):
        self._m = m
        self.word, self.missing = Signal(address_bits, name=f"{name}_word"), Signal(name=f"{name}_missing")
        self.active = Signal(name=f"{name}_active")

    def begin(self, address: Value) -> None:
        self._m.d.sync += [self.active.eq(1), self.word.eq(address >> _WORD_LOG2),
                           self.missing.eq(_beyond(address, self.word))]

    def step(self, last: Value) -> None:
        self._m.d.sync += [self.word.eq(self.word + 1), self.active.eq(~last),
                           self.missing.eq(self.missing | self.word.all())]


def _beyond(address: Value, word: Signal) -> Value:
    """An address is past the end of a memory whose words have such a number."""
    return address[_WORD_LOG2 + len(word):].any()


def one_port_memory(memory: Any, memory_bytes: int) -> Module:
    """Writes go first, and none while a beat that was read is not taken: it would be lost.

    Small parts have little logic, too: what is read of a word that does not exist is nothing in particular,
    and the host gets its word from the storage itself, which is sure to show it in the next cycle only.
    """
    m = Module()
    m.submodules.storage = storage = SinglePort(memory_bytes // WORD_BYTES)
    port, host, answer = memory.memory, memory.i_host, memory.o_host
    request = host.payload
    reading, writing = (_Burst(m, name, len(storage.i_address)) for name in ("read", "write"))
    waits, host_waited, taken, comes = Signal(), Signal(), Signal(), Signal()
    burst_writes, writes, burst_reads = Signal(), Signal(), Signal()
    m.d.comb += [
        waits.eq(port.r.valid & ~port.r.ready),
        burst_writes.eq(port.w.valid & port.w.ready),
        writes.eq(burst_writes | (taken & request.write)),
        burst_reads.eq(reading.active & ~waits & ~writes),
    ]

    # ---- the storage ----
    exists = Signal()
    m.d.comb += [
        exists.eq(~_beyond(request.address, writing.word)),
        storage.i_data.eq(Mux(writing.active, port.w.payload.data, request.data)),
        storage.i_read.eq(burst_reads | taken),
        storage.i_address.eq(reading.word),
    ]
    with m.If(burst_writes):
        m.d.comb += [storage.i_address.eq(writing.word),
                     storage.i_write.eq(Mux(writing.missing, 0, port.w.payload.strobe))]
    with m.Elif(taken):
        m.d.comb += [storage.i_address.eq(request.address >> _WORD_LOG2),
                     storage.i_write.eq((request.write & exists).replicate(WORD_BYTES))]

    # ---- reads ----
    left, last, read_missing = Signal(8), Signal(), Signal()
    m.d.comb += [
        # While the last beat of a burst waits, its id stays on the channel. The next burst is taken in the
        # cycle in which it leaves, so that the port would never be free for a host that waits.
        port.ar.ready.eq(~reading.active & ~host_waited & ~waits),
        last.eq(left == 0),
        port.r.payload.data.eq(storage.o_data),
        port.r.payload.response.eq(Mux(read_missing, _DECERR, _OKAY)),
    ]
    m.d.sync += host_waited.eq(host.valid & ~host.ready & ~request.write)
    with m.If(port.r.ready):
        m.d.sync += port.r.valid.eq(0)
    with m.If(burst_reads):
        m.d.sync += [port.r.valid.eq(1), port.r.payload.last.eq(last), left.eq(left - 1),
                     read_missing.eq(reading.missing)]
        reading.step(last)
    with m.If(port.ar.valid & port.ar.ready):
        reading.begin(port.ar.payload.address)
        m.d.sync += [left.eq(port.ar.payload.length), port.r.payload.id.eq(port.ar.payload.id)]

    # ---- writes ----
    failed = Signal()
    m.d.comb += [
        port.aw.ready.eq(~writing.active & ~port.b.valid),
        port.w.ready.eq(writing.active & ~waits),
    ]
    with m.If(port.b.ready):
        m.d.sync += port.b.valid.eq(0)
    with m.If(port.aw.valid & port.aw.ready):
        writing.begin(port.aw.payload.address)
        m.d.sync += port.b.payload.id.eq(port.aw.payload.id)
    with m.If(burst_writes):
        writing.step(port.w.payload.last)
        # Past the end there is no way back: the last beat tells of all.
        m.d.sync += [port.b.valid.eq(port.w.payload.last), failed.eq(writing.missing)]
    m.d.comb += port.b.payload.response.eq(Mux(failed, _DECERR, _OKAY))

    # ---- the host's words ----
    kept_exists = Signal()
    m.d.comb += [
        taken.eq(host.valid & ~comes & Mux(request.write, ~writing.active & ~waits,
                                           ~reading.active & ~port.r.valid & ~burst_writes)),
        host.ready.eq(taken),
        answer.valid.eq(comes), answer.payload.data.eq(storage.o_data),
        answer.payload.exists.eq(kept_exists),
    ]
    m.d.sync += [comes.eq(taken), kept_exists.eq(exists)]
    return m
