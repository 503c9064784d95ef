"""Verilog from a component, with port names made of its members' paths."""

import os
import re

from amaranth._toolchain.yosys import find_yosys
from amaranth.back import rtlil
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

from .shared import ModuleLibrary, flat_ports

__all__ = ["emit_rtlil", "emit_verilog"]

_MIN_YOSYS = (0, 40)
_PASSES = (
    "proc",
    "memory_collect",
    "write_verilog -noattr",
)


def emit_verilog(component: wiring.Component, name: str, *, branches: bool = False) -> str:
    """One self-contained Verilog text whose top module is `name`.

    Amaranth's own Yosys prints it, so that the text does not depend on what else is installed. Members that
    are constant (`ready` of a stream that is always taken) have no port. Blocks that were added with
    `hdl.shared.add_shared` are printed once, as modules of their own.

    Combinational logic is printed as assignments, none as `always @*`. Icarus runs such a block only when an
    input changes: what hangs on registers that keep their initial value stays unknown, and spreads. And a
    block as a whole seems to depend on everything it reads: loops that no bit goes through make Icarus glitch
    without end and cost Verilator more than half of its speed. With `branches` it is printed in that way all
    the same: then a simulator can tell which branches were taken.
    """
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    script = [f"read_rtlil <<rtlil\n{text}\nrtlil" for text in emit_rtlil(component, name)]
    yosys = find_yosys(lambda version: version >= _MIN_YOSYS)
    passes = _PASSES[1:] if branches else _PASSES
    printed = yosys.run(["-q", "-"], "\n".join([*script, *passes, ""]), ignore_warnings=True)
    return _INITIAL.sub(_as_loop, printed)


def emit_rtlil(component: wiring.Component, name: str, family: str | None = None) -> list[str]:
    """Yosys's own language: one text for the top module `name` and what is in it, one for each shared kind.

    `family` is what blocks see as `platform.family`: "ecp5", "ice40" or "gowin" where the text is for such a
    part, None where it is for no part in particular.
    """
    library = ModuleLibrary(name, family)
    texts = [_intermediate(component, name, library)]
    # Shared blocks may ask for further ones while they are elaborated.
    while len(texts) <= len(library.kinds):
        kind, shared = list(library.kinds.items())[len(texts) - 1]
        texts.append(_intermediate(shared, f"{name}_{kind}", library))
    return texts


def _intermediate(component: wiring.Component, name: str, library: ModuleLibrary) -> str:
    ports = {port: (value, PortDirection.Input if is_input else PortDirection.Output)
             for port, is_input, value in flat_ports(component)}
    text = rtlil.convert(component, name=name, platform=library, ports=ports, emit_src=False)
    return _IN_BRACKETS.sub(_by_points, text)


_IN_BRACKETS = re.compile(r"(?<=\s)\\[^\s\[]+\[[^\s]*")


def _by_points(name: re.Match) -> str:
    """An element of an array as `name.2`: what Amaranth calls `name[2]`, Yosys 0.70 takes for bit 2 of that
    where it gives logic to ABC, and makes one net of the two."""
    return re.sub(r"\[(\w+)\]", r".\1", name[0])


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
