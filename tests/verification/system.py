"""The array as Verilog of its own, in the simulated system, with an AXI monitor and knobs for a bench."""

from pathlib import Path
from typing import Any

from amaranth.hdl import Cat, ClockSignal, Instance, Module, Mux, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.axi import AxiLite, AxiMemory
from hdl.config import Config
from hdl.registers import REGISTER_SPACE_BITS
from hdl.shared import flat_ports
from sim.axi_monitor import RULES, AxiMonitor, watch

__all__ = ["ARRAY", "KNOBS", "KNOBS_PATH", "MUTANT_BITS", "VerilogArray"]

ARRAY = "zerolane_array"
"""Module that the array's Verilog must have."""

MUTANT_BITS = 16
KNOBS = {"mutant": MUTANT_BITS, "strobe": 4,
         "hold_aw": 4, "hold_w": 4, "hold_b": 4, "hold_ar": 4, "hold_r": 4}
KNOBS_PATH = "harness.array.knobs"
"""Of zerolane_knobs below zerolane_bench."""

_HERE = Path(__file__).parent


class VerilogArray(wiring.Component):
    """An array that is Verilog already, whose buses are watched; its host may be slow.

    Throughput, Latency, Backpressure, Order: those of the array.

    Parameters
    ----------
    config : Config
    mutants : bool, the Verilog has an input `mutant`

    Members
    -------
    control, memory, irq : as hdl.top.Top
    """

    def __init__(self, config: Config, *, mutants: bool):
        self._config, self._mutants = config, mutants
        super().__init__({
            "control": In(AxiLite(REGISTER_SPACE_BITS)), "memory": Out(AxiMemory(config.port_bytes)),
            "irq": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        knobs = {name: Signal(bits, name=name) for name, bits in KNOBS.items()}
        host = AxiLite(REGISTER_SPACE_BITS).create()
        self._slow_host(m, host, knobs)
        ports: dict[str, Any] = {}
        for name, is_input, value in flat_ports(self):
            ports[f"{'i' if is_input else 'o'}_{name}"] = value
        for channel in ("aw", "w", "ar", "b", "r"):
            stream = getattr(host, channel)
            forward, back = ("i", "o") if channel in ("aw", "w", "ar") else ("o", "i")
            ports |= {f"{forward}_control__{channel}__payload": stream.payload.as_value(),
                      f"{forward}_control__{channel}__valid": stream.valid,
                      f"{back}_control__{channel}__ready": stream.ready}
        if self._mutants:
            ports["i_mutant"] = knobs["mutant"]
        m.submodules.array = Instance(ARRAY, i_clk=ClockSignal(), i_rst=ResetSignal(), **ports)
        m.submodules.monitor = monitor = AxiMonitor(self._config)
        watch(m, monitor, self.memory, host, self.irq)
        m.submodules.knobs = Instance("zerolane_knobs", p_RULES=len(RULES), i_violation=monitor.violation,
                                      i_signature=self._signature(m),
                                      **{f"o_{name}": signal for name, signal in knobs.items()})
        return m

    def _signature(self, m: Module) -> Signal:
        """Everything that passed the memory port from the array, and when, in one word."""
        memory, signature = self.memory, Signal(32)
        w, mask = memory.w.payload, Cat(bit.replicate(8) for bit in memory.w.payload.strobe)
        passing: list[Any] = [(memory.ar, memory.ar.payload.as_value()),
                              (memory.aw, memory.aw.payload.as_value()),
                              (memory.w, Cat(w.data & mask, w.strobe, w.last))]
        mixed = signature.rotate_left(1)
        for number, (channel, payload) in enumerate(passing):
            taken = channel.valid & channel.ready
            mixed = mixed ^ (Mux(taken, 0x9E37_79B9, 0) << number)[:32]
            for start in range(0, len(payload), 32):
                part = Signal(32, name=f"part{number}_{start}")
                m.d.comb += part.eq(Mux(taken, payload[start:start + 32], 0))
                mixed = mixed ^ part.rotate_left((11 * number + 7 * start // 32) % 32)
        m.d.sync += signature.eq(mixed)
        return signature

    def _slow_host(self, m: Module, host: Any, knobs: dict[str, Signal]) -> None:
        """The host's channels, each held back for some cycles."""
        for channel in ("aw", "w", "ar", "b", "r"):
            source, sink = getattr(self.control, channel), getattr(host, channel)
            if channel in ("b", "r"):
                source, sink = sink, source
            waited, passes = Signal(4, name=f"{channel}_waited"), Signal(name=f"{channel}_passes")
            m.d.comb += [passes.eq(waited >= knobs[f"hold_{channel}"]), sink.payload.eq(source.payload),
                         source.ready.eq(sink.ready & passes), sink.valid.eq(source.valid & passes)]
            m.d.sync += waited.eq(waited + (source.valid & ~passes))
            with m.If(source.valid & source.ready):
                m.d.sync += waited.eq(0)
        m.d.comb += host.w.payload.strobe.eq(knobs["strobe"])


def array_sources() -> tuple[Path, ...]:
    """Verilog that belongs to VerilogArray, beside the array's own."""
    return (_HERE / "knobs.v", _HERE / "knobs.vlt")
