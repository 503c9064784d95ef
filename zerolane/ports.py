"""The ports of the generated Verilog's top module, for wrappers, scripts and the page of integration."""

from typing import Any

from amaranth.lib.wiring import In

from hdl.config import Config
from hdl.pins import FlatPins

__all__ = ["ports"]

_CLOCK_AND_RESET = {"clk": "clock", "rst": "reset"}
"""What Amaranth calls those of the domain that everything is in; they are no members."""

_OWNERS = {"m_axi_": "memory", "s_axil_": "control", "irq": "interrupt"}
"""What a name begins with, and what a port is a part of."""


def ports(config: Config) -> list[dict[str, Any]]:
    """Each port's `name`, `direction` ("input" or "output"), `bits`, and what it belongs to: `of` is "clock",
    "reset", "memory" (the AXI4 master), "control" (the AXI4-Lite slave) or "interrupt"."""
    found = [{"name": name, "direction": "input", "bits": 1, "of": of}
             for name, of in _CLOCK_AND_RESET.items()]
    for name, member in FlatPins(config).members.items():
        (of,) = (of for prefix, of in _OWNERS.items() if name.startswith(prefix))
        found.append({"name": name, "direction": "input" if member.flow == In else "output",
                      "bits": member.shape, "of": of})
    return found
