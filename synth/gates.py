"""The array as the netlist that synthesis made of it, in place of the RTL, for the simulators."""

from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.axi import AxiLite, AxiMemory
from hdl.config import Config
from hdl.registers import REGISTER_SPACE_BITS
from hdl.shared import flat_ports

from .blocks import ARRAY
from .cell_models import cell_models
from .flow import Netlist, Request, flattened_gates, synthesize
from .progress import Progress
from .scripts import TOP
from .targets import Target

__all__ = ["GateDesign", "GateTop"]

_MODULE = f"{TOP}_{ARRAY}"


class GateTop(wiring.Component):
    """An instance of the netlist, with the members of `hdl.top.Top`.

    Throughput, Latency, Backpressure, Order: those of `Top`, cycle for cycle.

    Parameters
    ----------
    config : Config

    Members
    -------
    control, memory, irq : see `Top`
    """

    def __init__(self, config: Config):
        super().__init__({
            "control": In(AxiLite(REGISTER_SPACE_BITS)),
            "memory": Out(AxiMemory(config.port_bytes)),
            "irq": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        ports = {f"{'i' if is_input else 'o'}_{name}": value for name, is_input, value in flat_ports(self)}
        m.submodules.gates = Instance(_MODULE, i_clk=ClockSignal(), i_rst=ResetSignal(), **ports)
        return m


class GateDesign:
    """A `sim.harness_top.Design`: what `open_simulator(..., design=)` takes to simulate a netlist.

    Parameters
    ----------
    config, target : whose netlist
    progress : hears of the synthesis

    Attributes
    ----------
    netlist : Netlist
    sources : the netlist and the models of its cells, Verilog

    Raises ValueError for a family without models, ToolMissing, ToolFailed.
    """

    def __init__(self, config: Config, target: Target, progress: Progress | None = None):
        small, large = cell_models(target.family)
        self.netlist: Netlist = synthesize(Request(config, target, target.speed, target.freq_mhz),
                                           progress or Progress())
        self.sources = flattened_gates(self.netlist, _MODULE, small, large, progress or Progress())

    def __call__(self, config: Config) -> Any:
        return GateTop(config)


