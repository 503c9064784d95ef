"""Verilog from a component, with port names made of its members' paths."""

import os

from amaranth.back import verilog
from amaranth.hdl import Const, Elaboratable, Value, ValueCastable
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

__all__ = ["emit_verilog"]


def emit_verilog(component: wiring.Component | Elaboratable, name: str) -> str:
    """One self-contained Verilog text whose top module is `name`.

    Amaranth's own Yosys prints it, so that the text does not depend on what else is installed. Members that
    are constant (`ready` of a stream that is always taken) have no port.
    """
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    ports = {}
    for path, member, value in component.signature.flatten(component):
        if isinstance(value, ValueCastable):
            value = value.as_value()
        if isinstance(value, Const):
            continue
        direction = PortDirection.Input if member.flow == wiring.In else PortDirection.Output
        ports["__".join(str(part) for part in path)] = (Value.cast(value), direction)
    return verilog.convert(component, name=name, ports=ports, emit_src=False, strip_internal_attrs=True)
