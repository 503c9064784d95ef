"""Verilog for simulators: combinational logic as assignments, none as `always @*`."""

import os
from typing import Any

from amaranth._toolchain.yosys import find_yosys
from amaranth.back import rtlil
from amaranth.hdl import Const, Value, ValueCastable
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

__all__ = ["emit_plain_verilog"]

_MIN_YOSYS = (0, 40)


def emit_plain_verilog(component: Any, name: str) -> str:
    """One Verilog text whose top module is `name`; ports as `hdl.emit.emit_verilog` names them.

    Blocks of `always @*` are trouble in simulators. Icarus runs one only when an input changes: what hangs
    on registers that keep their initial value stays unknown, and spreads. And a block as a whole seems to
    depend on everything it reads: loops that no bit goes through make Icarus glitch without end and cost
    Verilator more than half of its speed.
    """
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    ports = {}
    for path, member, value in component.signature.flatten(component):
        if isinstance(value, ValueCastable):
            value = value.as_value()
        if not isinstance(value, Const):
            direction = PortDirection.Input if member.flow == wiring.In else PortDirection.Output
            ports["__".join(str(part) for part in path)] = (Value.cast(value), direction)
    text = rtlil.convert(component, name=name, ports=ports, emit_src=False)
    script = f"read_rtlil <<rtlil\n{text}\nrtlil\nproc\nmemory_collect\nwrite_verilog -noattr\n"
    yosys = find_yosys(lambda version: version >= _MIN_YOSYS)
    return yosys.run(["-q", "-"], script, ignore_warnings=True)
