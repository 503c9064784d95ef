"""The array with a probe: what each part does in every cycle, written to a file by the simulator."""

from pathlib import Path
from typing import Any

from amaranth.hdl import Cat, ClockSignal, Instance, Module

from hdl.config import Config
from hdl.core import A_READERS, COLLECTOR_READERS
from hdl.top import Top

__all__ = ["TRACE_FILE", "TracedTop", "traced_activities"]

TRACE_FILE = "trace.txt"


def traced_activities(config: Config) -> list[tuple[str, str]]:
    """Track and activity of each bit of the trace, lowest first."""
    elements = [f"PE {number}" for number in range(config.pes)]
    return [
        *((element, "multiply") for element in elements),
        *((element, "wait for room for a row") for element in elements),
        ("A fetch", "data arrives"), ("A fetch", "wait for memory"), ("token bus", "wait for the tile"),
        ("tile loader", "data arrives"),
        ("collector", "write a chunk"), ("collector", "earlier sums and parameters arrive"),
        ("memory port", "read beat"), ("memory port", "write beat"),
    ]


class TracedTop(Top):
    """`hdl.top.Top` with `trace.v` beside it; for Verilator and Icarus. Takes the same cycles.

    Throughput, Latency, Backpressure, Order: those of Top.

    Parameters
    ----------
    config : Config
    """

    sources = (Path(__file__).parent / "trace.v",)
    """Verilog that a model of it needs besides its own."""

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        core, counters, read_port = m.submodules.core, m.submodules.counters, m.submodules.read_port
        arrived = Cat(beat.valid for beat in core.i_beat)
        activity = Cat(
            core.o_active, core.o_blocked,
            arrived[:A_READERS].any(), core.o_fetch_waiting, core.o_token_waits & ~core.i_open,
            arrived[A_READERS:-COLLECTOR_READERS].any(),
            core.o_write.valid & core.o_write.ready, arrived[-COLLECTOR_READERS:].any(),
            read_port.o_beats, counters.i_write_beat)
        assert len(activity) == len(traced_activities(self._config))
        m.submodules.trace = Instance(
            "zerolane_trace", p_BITS=len(activity), i_clk=ClockSignal(), i_running=counters.i_running,
            i_activity=activity)
        return m
