"""The control port: AXI4-Lite in front of the registers of hdl/registers.py."""

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .axi import AxiLite
from .config import ADDRESS_BITS, Config
from .counter_memory import COUNTER_BITS, COUNTER_NUMBER_BITS
from .counters import counter_names
from .guard import BLOCK_BITS, EVERYWHERE, Windows
from .registers import (
    REGISTER_SPACE_BITS,
    REGISTERS,
    Access,
    config_values,
    register,
)
from .status import COUNT_BITS, JobStatus

__all__ = ["ControlPort"]

OKAY, SLVERR = 0, 2


class ControlPort(wiring.Component):
    """Registers for a host: where the descriptors are, doorbell, status, interrupt, counters.

    AW and W come in any order and are kept apart, one each, until both are there. Strobes are respected; a
    write without strobes changes nothing and rings no doorbell. Writes to read-only registers are answered
    with OKAY and change nothing, DOORBELL reads as 0, bits that no field names read as 0, the lowest two
    address bits are ignored. An address without a register is answered with SLVERR (and reads as 0).
    DESCRIPTOR and COUNT are looked at by the doorbell only; CONTROL and WATCHDOG work at once. COUNT has 16
    bits. While a job runs, or transfers of a stopped one are not complete, the windows are locked: a write to
    them is answered with SLVERR and changes nothing.

    Throughput: a read every other cycle, a write every other cycle, reads and writes at the same time.
    Latency: an answer two cycles after its address (and data), a counter's when its value comes; `o_start`
        one cycle after address and data.
    Backpressure: one read and one write at a time, until their answers are taken.
    Order: reads do not wait for writes.

    Parameters
    ----------
    config : Config

    Members
    -------
    bus : AXI4-Lite, this end is the slave
    o_start : one cycle: a job begins; never while `i_status.busy`
    o_descriptor : address of the first descriptor, bytes
    o_count : descriptors
    o_abort, o_reset : one cycle each, a 1 was written to CONTROL
    o_watchdog : the WATCHDOG register
    o_windows : Windows
    i_status : JobStatus; `busy` from the cycle after `o_start` on
    i_finished : one cycle, the job ended; `busy` is low in the next cycle
    i_cleared : one cycle, a soft reset is over
    o_counter : stream of a counter's number, one that is to be read
    i_counter : its value, in the cycle in which the number is taken
    o_irq : level, a job ended and nobody has cleared IRQ.done, and interrupts are enabled
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "bus": In(AxiLite(REGISTER_SPACE_BITS)),
            "o_start": Out(1),
            "o_descriptor": Out(ADDRESS_BITS),
            "o_count": Out(COUNT_BITS),
            "o_abort": Out(1),
            "o_reset": Out(1),
            "o_watchdog": Out(32, init=register("WATCHDOG").reset),
            "o_windows": Out(Windows(), init=EVERYWHERE),
            "i_status": In(JobStatus()),
            "i_finished": In(1),
            "i_cleared": In(1),
            "o_counter": Out(stream.Signature(COUNTER_NUMBER_BITS)),
            "i_counter": In(COUNTER_BITS),
            "o_irq": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        self._irq_enable, self._irq_done, self._done = Signal(), Signal(), Signal()
        m.d.comb += self.o_irq.eq(self._irq_enable & self._irq_done)
        self._writes(m)
        with m.If(self.i_finished):
            m.d.sync += [self._done.eq(1), self._irq_done.eq(1)]
        with m.Elif(self.o_start | self.i_cleared):
            m.d.sync += self._done.eq(0)
        self._reads(m)
        return m

    def _writes(self, m: Module) -> None:
        """Address and data wait for each other; then the write happens and its answer is offered."""
        aw, w, b = self.bus.aw, self.bus.w, self.bus.b
        address, have_address = Signal(REGISTER_SPACE_BITS), Signal()
        word, strobe, have_word = Signal(32), Signal(4), Signal()
        happens, mask = Signal(), Signal(32)
        # The address is there, and the doorbell's; the word is, and not all of it left out.
        rings, has_bytes = Signal(), Signal()
        m.d.comb += [
            aw.ready.eq(~have_address),
            w.ready.eq(~have_word),
            happens.eq(have_address & have_word & ~b.valid),
            mask.eq(Cat(bit.replicate(8) for bit in strobe)),
            # A job begins in this cycle, in many places: what can be known before is.
            self.o_start.eq(rings & has_bytes & ~b.valid & ~self.i_status.busy),
        ]
        with m.If(aw.valid & aw.ready):
            m.d.sync += [address.eq(aw.payload.address), have_address.eq(1),
                         rings.eq(aw.payload.address[2:] == register("DOORBELL").address >> 2)]
        with m.If(w.valid & w.ready):
            m.d.sync += [word.eq(w.payload.data), strobe.eq(w.payload.strobe), have_word.eq(1),
                         has_bytes.eq(w.payload.strobe.any())]
        with m.If(b.valid & b.ready):
            m.d.sync += b.valid.eq(0)
        with m.If(happens):
            m.d.sync += [have_address.eq(0), have_word.eq(0), rings.eq(0), has_bytes.eq(0), b.valid.eq(1),
                         b.payload.response.eq(SLVERR)]
            with m.Switch(address[2:]):
                for entry in REGISTERS:
                    with m.Case(entry.address >> 2):
                        if entry.name in self._locked():
                            with m.If(~self.i_status.busy & ~self.i_status.closing):
                                m.d.sync += b.payload.response.eq(OKAY)
                                self._write(m, entry.name, word, mask)
                        else:
                            m.d.sync += b.payload.response.eq(OKAY)
                            self._write(m, entry.name, word, mask)

    def _write(self, m: Module, name: str, word: Signal, mask: Signal) -> None:
        """What a write to the register of that name does; `mask` has ones where strobes are set."""
        targets = {"CONTROL": self._irq_enable, "DESCRIPTOR": self.o_descriptor, "COUNT": self.o_count,
                   "WATCHDOG": self.o_watchdog}
        if name in targets:
            self._replace(m, targets[name], word, mask)
        if name in self._locked():
            self._replace(m, self._locked()[name], word, mask, 32 - BLOCK_BITS)
        elif name == "CONTROL":
            m.d.comb += [getattr(self, f"o_{part.name}").eq((word & mask)[part.offset])
                         for part in register(name).fields if part.name != "irq_enable"]
        elif name == "IRQ":
            m.d.sync += self._irq_done.eq(self._irq_done & ~(word & mask)[0])

    def _replace(self, m: Module, target: Value, word: Value, mask: Value, offset: int = 0) -> None:
        """Changes those bytes of `target`, from bit `offset` of the register on, that have strobes."""
        for byte in range(0, len(word), 8):
            low, high = max(byte, offset), min(byte + 8, offset + len(target))
            if low < high:
                with m.If(mask[byte]):
                    m.d.sync += target[low - offset:high - offset].eq(word[low:high])

    def _locked(self) -> dict:
        """Registers that no job may see changing."""
        return {"READ_BASE": self.o_windows.read.base, "READ_LAST": self.o_windows.read.last,
                "WRITE_BASE": self.o_windows.write.base, "WRITE_LAST": self.o_windows.write.last}

    def _reads(self, m: Module) -> None:
        ar, r = self.bus.ar, self.bus.r
        address, have_address = Signal(REGISTER_SPACE_BITS), Signal()
        happens, counter = Signal(), Signal()
        counters = [register(name.upper()).address >> 2 for name in counter_names()]
        with m.Switch(address[2:]):
            with m.Case(*counters):
                m.d.comb += counter.eq(1)
        m.d.comb += [
            ar.ready.eq(~have_address),
            self.o_counter.valid.eq(have_address & ~r.valid & counter),
            self.o_counter.p.eq(address[2:]),
            happens.eq(have_address & ~r.valid & (~counter | self.o_counter.ready)),
        ]
        with m.If(ar.valid & ar.ready):
            m.d.sync += [address.eq(ar.payload.address), have_address.eq(1)]
        with m.If(r.valid & r.ready):
            m.d.sync += r.valid.eq(0)
        with m.If(happens):
            m.d.sync += [have_address.eq(0), r.valid.eq(1), r.payload.eq(0), r.payload.response.eq(SLVERR)]
            values = self._values()
            with m.Switch(address[2:]):
                with m.Case(*counters):
                    m.d.sync += [r.payload.response.eq(OKAY), r.payload.data.eq(self.i_counter)]
                for entry in REGISTERS:
                    if entry.address >> 2 in counters:
                        continue
                    with m.Case(entry.address >> 2):
                        m.d.sync += r.payload.response.eq(OKAY)
                        if entry.access is not Access.WO:
                            m.d.sync += r.payload.data.eq(values[entry.name])

    def _values(self) -> dict:
        """What every readable register reads."""
        status = self.i_status
        fields = {
            "CONTROL": {"irq_enable": self._irq_enable},
            "STATUS": {"busy": status.busy, "done": self._done,
                       "error": self._done & (status.error.code != 0),
                       "overflow": status.overflow, "closing": status.closing},
            "IRQ": {"done": self._irq_done},
            "ERROR": {name: status.error[name] for name in ("code", "detail", "descriptor")},
        }
        values = {name: Const(value, 32) for name, value in config_values(self._config).items()}
        for name, parts in fields.items():
            value = Const(0, 32)
            for field in register(name).fields:
                if field.name in parts:
                    value = value | (parts[field.name] << field.offset)
            values[name] = value
        values |= {"DESCRIPTOR": self.o_descriptor, "COUNT": self.o_count, "COMPLETED": status.completed,
                   "ERROR_ADDRESS": status.error.address, "WATCHDOG": self.o_watchdog}
        for name, block in self._locked().items():
            fill = name.endswith("LAST")
            values[name] = Cat(Const(0, 32 - BLOCK_BITS) if not fill else Const(-1, 32 - BLOCK_BITS), block)
        return values
