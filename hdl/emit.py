"""Verilog from a component, with port names made of its members' paths."""

import os
import re

from amaranth.back import verilog
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

from .shared import ModuleLibrary, flat_ports

__all__ = ["emit_verilog"]


def emit_verilog(component: wiring.Component, name: str) -> str:
    """One self-contained Verilog text whose top module is `name`.

    Amaranth's own Yosys prints it, so that the text does not depend on what else is installed. Members that
    are constant (`ready` of a stream that is always taken) have no port. Blocks that were added with
    `hdl.shared.add_shared` are printed once, after the module that uses them.
    """
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    library = ModuleLibrary(name)
    texts = [_print(component, name, library)]
    printed = 0
    while printed < len(library.kinds):
        kind, shared = list(library.kinds.items())[printed]
        texts.append(_print(shared, f"{name}_{kind}", library))
        printed += 1
    return "\n".join(texts)


def _print(component: wiring.Component, name: str, library: ModuleLibrary) -> str:
    ports = {port: (value, PortDirection.Input if is_input else PortDirection.Output)
             for port, is_input, value in flat_ports(component)}
    text = verilog.convert(component, name=name, platform=library, ports=ports, emit_src=False,
                           strip_internal_attrs=True)
    return _INITIAL.sub(_as_loop, text)


_INITIAL = re.compile(r"^( *)initial begin\n((?: *[^\n]+\[\d+\] = \d+'h0+;\n)+) *end\n", re.MULTILINE)
_FIRST = re.compile(r" *(?P<memory>[^\n]+)\[0\] = (?P<zero>\d+'h0+);\n")


def _as_loop(block: re.Match) -> str:
    """A memory's zeros as a loop: written out, they are most of the text, and of a simulator's build."""
    indent, body = block.groups()
    first = _FIRST.match(body)
    words = body.count("\n")
    if first is None or words < 2:
        return block[0]
    memory, zero = first["memory"], first["zero"]
    label = "clear_" + re.sub(r"\W", "", memory)
    return (f"{indent}initial begin : {label}\n{indent}  integer word;\n"
            f"{indent}  for (word = 0; word < {words}; word = word + 1) {memory}[word] = {zero};\n"
            f"{indent}end\n")
