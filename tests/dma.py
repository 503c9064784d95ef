"""A small design with the members of the array, for tests of what is around it: it copies memory."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.axi import AxiLite, AxiMemory
from hdl.config import Config, log2_exact
from hdl.queue import Queue
from hdl.registers import REGISTER_SPACE_BITS

__all__ = ["BEATS", "DESTINATION", "DOORBELL", "IRQ", "MUTE", "READ_ONLY", "SOURCE", "Dma"]

SOURCE, DESTINATION, BEATS, DOORBELL, IRQ, READ_ONLY, MUTE = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18
BUFFER_BEATS = 256
BURST_BEATS = 16


class Dma(wiring.Component):
    """Copies BEATS beats from SOURCE to DESTINATION, or only reads them; then raises the interrupt.

    A write to IRQ clears it. Reads of MUTE are never answered; addresses from 0x80 on answer SLVERR.
    """

    def __init__(self, config: Config, *, broken_last: bool = False):
        self._data_bytes, self._broken_last = config.port_bytes, broken_last
        super().__init__({
            "control": In(AxiLite(REGISTER_SPACE_BITS)),
            "memory": Out(AxiMemory(config.port_bytes)),
            "irq": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self._registers = {address: Signal(32, name=f"register_{address:x}")
                           for address in (SOURCE, DESTINATION, BEATS, READ_ONLY)}
        self._go = Signal()
        self._control(m)
        self._copy(m)
        return m

    def _control(self, m: Module) -> None:
        control = self.control
        both = Signal()
        m.d.comb += [both.eq(control.aw.valid & control.w.valid & ~control.b.valid),
                     control.aw.ready.eq(both), control.w.ready.eq(both)]
        with m.If(control.b.valid & control.b.ready):
            m.d.sync += control.b.valid.eq(0)
        with m.If(both):
            m.d.sync += [control.b.valid.eq(1), control.b.p.response.eq(control.aw.p.address[7] << 1)]
            with m.Switch(control.aw.p.address):
                for address, register in self._registers.items():
                    with m.Case(address):
                        m.d.sync += register.eq(control.w.p.data)
                with m.Case(DOORBELL):
                    m.d.comb += self._go.eq(1)
                with m.Case(IRQ):
                    m.d.sync += self.irq.eq(0)
        m.d.comb += control.ar.ready.eq(~control.r.valid)
        with m.If(control.r.valid & control.r.ready):
            m.d.sync += control.r.valid.eq(0)
        with m.If(control.ar.valid & control.ar.ready):
            m.d.sync += [control.r.valid.eq(control.ar.p.address != MUTE), control.r.p.data.eq(self.irq),
                         control.r.p.response.eq(control.ar.p.address[7] << 1)]
            with m.Switch(control.ar.p.address):
                for address, register in self._registers.items():
                    with m.Case(address):
                        m.d.sync += control.r.p.data.eq(register)

    def _copy(self, m: Module) -> None:
        memory = self.memory
        m.submodules.buffer = buffer = Queue(8 * self._data_bytes, BUFFER_BEATS)
        busy, reserved = Signal(), Signal(range(BUFFER_BEATS + 1))
        reads, writes, moves = Signal(32), Signal(32), Signal(32)  # beats to ask for, to announce, to move
        answers = Signal(32)
        read_only = self._registers[READ_ONLY][0]

        def bursts(channel: Any, left: Signal, allowed: Any) -> Signal:
            """Ask for what is left in aligned bursts; high while a burst is taken."""
            room, beats = Signal(5), Signal(5)
            byte_bits = log2_exact(self._data_bytes)
            taken = Signal()
            m.d.comb += [
                room.eq(BURST_BEATS - channel.p.address[byte_bits:byte_bits + log2_exact(BURST_BEATS)]),
                beats.eq(room),
                channel.p.length.eq(beats - 1),
                channel.valid.eq((left != 0) & allowed),
                taken.eq(channel.valid & channel.ready),
            ]
            with m.If(left < room):
                m.d.comb += beats.eq(left)
            with m.If(taken):
                m.d.sync += [left.eq(left - beats),
                             channel.p.address.eq(channel.p.address + (beats << byte_bits))]
            return taken

        asked = bursts(memory.ar, reads, reserved <= BUFFER_BEATS - BURST_BEATS)
        announced = bursts(memory.aw, writes, answers < 64)
        drained = Signal()
        m.d.comb += [
            buffer.i.valid.eq(memory.r.valid),
            buffer.i.p.eq(memory.r.p.data),
            memory.r.ready.eq(buffer.i.ready),
            memory.w.valid.eq(buffer.o.valid & ~read_only),
            memory.w.p.data.eq(buffer.o.p),
            memory.w.p.strobe.eq(~0),
            buffer.o.ready.eq(memory.w.ready | read_only),
            drained.eq(buffer.o.valid & buffer.o.ready),
            memory.b.ready.eq(1),
        ]
        # Bursts are aligned, so the last beat of one is seen from its address alone.
        address = Signal(32)
        byte_bits = log2_exact(self._data_bytes)
        m.d.comb += memory.w.p.last.eq((address[byte_bits:byte_bits + 4].all() | (moves == 1))
                                       & (not self._broken_last))
        m.d.sync += [
            reserved.eq(reserved + (asked.replicate(9) & (memory.ar.p.length + 1)) - drained),
            answers.eq(answers + announced - memory.b.valid),
        ]
        with m.If(drained):
            m.d.sync += [moves.eq(moves - 1), address.eq(address + self._data_bytes)]
        with m.If(busy & (moves == 0) & (writes == 0) & (answers == 0)):
            m.d.sync += [busy.eq(0), self.irq.eq(1)]
        with m.If(self._go):
            beats = self._registers[BEATS]
            m.d.sync += [busy.eq(1), reads.eq(beats), moves.eq(beats),
                         memory.ar.p.address.eq(self._registers[SOURCE]),
                         memory.aw.p.address.eq(self._registers[DESTINATION]),
                         address.eq(self._registers[DESTINATION])]
            with m.If(~read_only):
                m.d.sync += writes.eq(beats)
