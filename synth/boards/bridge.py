"""The host's way into a board: commands as bytes, to the array's registers and the board's memory."""

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.axi import AxiLite
from hdl.registers import REGISTER_SPACE_BITS

from .halved_words import HalvedWords
from .memory import HostAccess, HostAnswer
from .protocol import (
    CRC_START,
    IRQ_BIT,
    MAX_WORDS,
    PROTOCOL_VERSION,
    SYNC_ANSWER,
    SYNC_COMMAND,
    Info,
    Operation,
    Status,
)

__all__ = ["Bridge"]

_HEAD_BYTES = 7      # sequence number, operation, words, address
_CRC_POLYNOMIAL = 0x1021
_WRITES = (Operation.WRITE_REGISTER, Operation.WRITE_MEMORY)
_MEMORY = (Operation.READ_MEMORY, Operation.WRITE_MEMORY)


def _crc_step(state: Any, byte: Any) -> Any:
    """CRC after one more byte."""
    for bit in reversed(range(8)):
        feedback = state[15] ^ byte[bit]
        state = Cat(Const(0, 1), state[:15]) ^ Mux(feedback, _CRC_POLYNOMIAL, 0)
    return state


class Bridge(wiring.Component):
    """Does one command at a time and answers it; see synth.boards.protocol.

    Throughput: that of the line.
    Latency: some cycles a word between a command's end and its answer.
    Backpressure: bytes that come while a command is done or answered are lost.
    Order: commands in their order. A damaged command is dropped, after `gap_cycles` one that stops coming.

    Parameters
    ----------
    clock_hz, memory_bytes : what INFO tells
    gap_cycles : between two bytes of a command, at most
    halved : keep a command's words in halves, with which one block RAM of an iCE40 does

    Members
    -------
    i : stream of bytes, always taken
    o : stream of bytes
    control : AXI4-Lite master, to the array's registers
    o_host, i_host : to and from `OnChipMemory`
    i_irq : the array's interrupt
    """

    def __init__(self, clock_hz: int, memory_bytes: int, gap_cycles: int, *, halved: bool = False):
        self._gap_cycles, self._halved = gap_cycles, halved
        self._info = (PROTOCOL_VERSION, clock_hz, memory_bytes)
        super().__init__({
            "i": In(stream.Signature(8, always_ready=True)),
            "o": Out(stream.Signature(8)),
            "control": Out(AxiLite(REGISTER_SPACE_BITS)),
            "o_host": Out(stream.Signature(HostAccess())),
            "i_host": In(stream.Signature(HostAnswer(), always_ready=True)),
            "i_irq": In(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self._store: Any
        self._load: Any
        if self._halved:
            m.submodules.buffer = halves = HalvedWords(MAX_WORDS)
            self._store, self._load = halves.store, halves.load
        else:
            m.submodules.buffer = buffer = Memory(shape=32, depth=MAX_WORDS, init=[])
            self._store, self._load = buffer.write_port(), buffer.read_port()
        self._head = Signal(8 * _HEAD_BYTES)
        self._sequence, self._operation = self._head[0:8], self._head[8:16]
        self._words, self._address = self._head[16:24], self._head[24:56]
        self._crc, self._count, self._word = Signal(16), Signal(8), Signal(range(MAX_WORDS + 1))
        self._shift, self._status = Signal(32), Signal(Status)
        self._last_sequence, self._last_known = Signal(8), Signal()
        self._held_irq = Signal()
        self._cycles = Signal(64)
        m.d.sync += self._cycles.eq(self._cycles + 1)
        self._writes, self._in_memory = Signal(), Signal()
        m.d.comb += [
            self._writes.eq(Cat(self._operation == operation for operation in _WRITES).any()),
            self._in_memory.eq(Cat(self._operation == operation for operation in _MEMORY).any()),
            # A word is looked at two cycles or more after its number changed, where it is halved three.
            self._load.addr.eq(self._word), self._load.en.eq(1),
            self._store.addr.eq(self._word),
        ]
        self._prepare(m)
        with m.FSM():
            self._receive(m)
            self._execute(m)
            self._answer(m)
        return m

    def _prepare(self, m: Module) -> None:
        """What holds in every state."""
        control = self.control
        # ---- command ----
        gap = Signal(range(self._gap_cycles + 1))
        self._late, self._received = Signal(), Signal(32)
        m.d.sync += gap.eq(gap + 1)
        with m.If(self.i.valid):
            m.d.sync += gap.eq(0)
        m.d.comb += [self._late.eq(gap == self._gap_cycles),
                     self._received.eq(Cat(self._shift[8:], self.i.payload))]

        # ---- doing ----
        place = Signal(32)
        self._again = Signal()
        m.d.comb += [
            place.eq(self._address + (self._word << 2)),
            self._again.eq(self._writes & self._last_known & (self._sequence == self._last_sequence)),
            control.aw.p.address.eq(place), control.ar.p.address.eq(place),
            control.w.p.data.eq(self._load.data), control.w.p.strobe.eq(0b1111),
            self.o_host.p.write.eq(self._writes), self.o_host.p.address.eq(place),
            self.o_host.p.data.eq(self._load.data),
        ]
        for channel in (control.aw, control.w, control.ar):
            with m.If(channel.valid & channel.ready):
                m.d.sync += channel.valid.eq(0)

        # ---- answer ----
        status, self._left, self._fields = Signal(IRQ_BIT), Signal(8), Signal(24)
        m.d.comb += [status.eq(self._status),
                     self._fields.eq(Cat(self._sequence, status, self._held_irq, self._left))]

    # ---- command ---------------------------------------------------------------------------------

    def _receive(self, m: Module) -> None:
        byte, valid, late, received = self.i.payload, self.i.valid, self._late, self._received
        with m.State("SYNC"):
            m.d.sync += [self._crc.eq(CRC_START), self._count.eq(0), self._word.eq(0)]
            with m.If(valid & (byte == SYNC_COMMAND)):
                m.next = "HEAD"
        with m.State("HEAD"):
            with m.If(valid):
                m.d.sync += [self._head.eq(Cat(self._head[8:], byte)), self._count.eq(self._count + 1),
                             self._crc.eq(_crc_step(self._crc, byte))]
                with m.If(self._count == _HEAD_BYTES - 1):
                    m.d.sync += self._count.eq(0)
                    m.next = "CHECK"
            with m.Elif(late):
                m.next = "SYNC"
        with m.State("CHECK"):
            with m.If(self._words > MAX_WORDS):
                m.next = "SYNC"
            with m.Elif(self._writes & (self._words != 0)):
                m.next = "DATA"
            with m.Else():
                m.next = "CRC"
        with m.State("DATA"):
            m.d.comb += self._store.data.eq(received)
            with m.If(valid):
                m.d.sync += [self._shift.eq(received), self._count.eq(self._count + 1),
                             self._crc.eq(_crc_step(self._crc, byte))]
                with m.If(self._count[:2] == 3):
                    m.d.comb += self._store.en.eq(1)
                    m.d.sync += [self._word.eq(self._word + 1), self._count.eq(0)]
                    with m.If(self._word == self._words - 1):
                        m.next = "CRC"
            with m.Elif(late):
                m.next = "SYNC"
        with m.State("CRC"):
            with m.If(valid):
                m.d.sync += [self._shift.eq(received), self._count.eq(self._count + 1)]
                with m.If(self._count == 1):
                    m.next = "SYNC"
                    with m.If(Cat(byte, self._shift[24:]) == self._crc):
                        m.next = "BEGIN"
            with m.Elif(late):
                m.next = "SYNC"

    # ---- doing -----------------------------------------------------------------------------------

    def _execute(self, m: Module) -> None:
        control, word = self.control, self._word

        def done(value: Any, failed: Any) -> None:
            """One word: keep what was read and go on with the next."""
            m.d.comb += [self._store.data.eq(value), self._store.en.eq(~self._writes)]
            m.d.sync += word.eq(word + 1)
            with m.If(failed):
                m.d.sync += self._status.eq(Status.BUS_ERROR)
            m.next = "NEXT"

        with m.State("BEGIN"):
            m.d.sync += [word.eq(0), self._last_sequence.eq(self._sequence), self._last_known.eq(1)]
            with m.If(self._again):
                m.next = "ANSWER"
            with m.Else():
                m.d.sync += self._status.eq(Status.UNKNOWN)
                m.next = "ANSWER"
                for operation in Operation:
                    with m.If(self._operation == operation):
                        m.d.sync += self._status.eq(Status.OK)
                        m.next = "NEXT"
        with m.State("NEXT"):
            m.next = "WORD"
            with m.If(word == self._words):
                m.next = "ANSWER"
        with m.State("WORD"):
            for operation in Operation:
                with m.If(self._operation == operation):
                    m.next = "MEMORY" if operation in _MEMORY else operation.name
                    if operation == Operation.READ_REGISTER:
                        m.d.sync += control.ar.valid.eq(1)
                    if operation == Operation.WRITE_REGISTER:
                        m.d.sync += [control.aw.valid.eq(1), control.w.valid.eq(1)]
        with m.State("INFO"):
            high = Signal(32)    # of the same cycle as the low word, which is read before it
            info = Array([*(Const(value, 32) for value in self._info), self._cycles[:32], high])
            with m.If(word == Info.CYCLES_LOW):
                m.d.sync += high.eq(self._cycles[32:])
            done(info[word], Const(0))
        with m.State("READ_REGISTER"):
            m.d.comb += control.r.ready.eq(1)
            with m.If(control.r.valid):
                done(control.r.p.data, control.r.p.response != 0)
        with m.State("WRITE_REGISTER"):
            m.d.comb += control.b.ready.eq(1)
            with m.If(control.b.valid):
                done(Const(0, 32), control.b.p.response != 0)
        with m.State("MEMORY"):
            m.d.comb += self.o_host.valid.eq(1)
            with m.If(self.o_host.ready):
                m.next = "MEMORY_ANSWER"
        with m.State("MEMORY_ANSWER"):
            with m.If(self.i_host.valid):
                done(self.i_host.p.data, ~self.i_host.p.exists)

    # ---- answer ----------------------------------------------------------------------------------

    def _answer(self, m: Module) -> None:
        left, byte = self._left, self.o.payload
        read_words = Mux(self._writes | (self._status == Status.UNKNOWN), 0, self._words)

        def send(value: Any, covered: bool = True) -> Any:
            m.d.comb += [byte.eq(value), self.o.valid.eq(1)]
            if covered:
                with m.If(self.o.ready):
                    m.d.sync += self._crc.eq(_crc_step(self._crc, value))
            return self.o.ready

        with m.State("ANSWER"):
            m.d.sync += [self._crc.eq(CRC_START), self._count.eq(0), self._word.eq(0), left.eq(read_words),
                         self._held_irq.eq(self.i_irq)]
            with m.If(send(Const(SYNC_ANSWER, 8), covered=False)):
                m.next = "ANSWER_HEAD"
        with m.State("ANSWER_HEAD"):
            with m.If(send(self._fields.word_select(self._count[:2], 8))):
                m.d.sync += self._count.eq(self._count + 1)
                with m.If(self._count == 2):
                    m.d.sync += self._count.eq(0)
                    m.next = "ANSWER_CRC"
                    with m.If(left != 0):
                        m.next = "ANSWER_LOAD"
        with m.State("ANSWER_LOAD"):
            m.next = "ANSWER_LOAD_HALF" if self._halved else "ANSWER_DATA"
        if self._halved:
            with m.State("ANSWER_LOAD_HALF"):
                m.next = "ANSWER_DATA"
        with m.State("ANSWER_DATA"):
            with m.If(send(self._load.data.word_select(self._count[:2], 8))):
                m.d.sync += self._count.eq(self._count + 1)
                with m.If(self._count[:2] == 3):
                    m.d.sync += [self._count.eq(0), left.eq(left - 1), self._word.eq(self._word + 1)]
                    m.next = "ANSWER_LOAD"
                    with m.If(left == 1):
                        m.next = "ANSWER_CRC"
        with m.State("ANSWER_CRC"):
            with m.If(send(self._crc.word_select(~self._count[0], 8), covered=False)):
                m.d.sync += self._count.eq(self._count + 1)
                with m.If(self._count == 1):
                    m.next = "SYNC"
