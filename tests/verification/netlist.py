"""A flattened array, cut into gates: what proofs about its registers are made on.

Yosys flattens the array's Verilog, cuts it into gates and prints it as JSON.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .mutants import Mutant
from .system import ARRAY
from .yosys import run_yosys

__all__ = ["Copy", "Gate", "Netlist", "Port", "export"]

Copy = dict[Any, int]
"""Bits of a netlist and the literals that stand for them."""

_FLATTEN = """flatten
memory_unpack
memory_nordff
memory_collect
opt_clean
opt -full
techmap
simplemap
opt -fast
dfflegalize -cell $_DFF_P_ 01
simplemap
opt_clean
"""

def export(mutants: list[Mutant], read: str, directory: Path, name: str = "netlist",
           top: str = ARRAY) -> "Netlist":
    """The array with all these mutants in it, each with a switch `switch<number>` of its own."""
    apply = "\n".join(mutant.apply(f"switch{mutant.number} 1", 1) for mutant in mutants)
    run_yosys(f"{read}{apply}\n{_FLATTEN}write_json {name}.json\n", directory, name)
    path = directory / f"{name}.json"
    netlist = Netlist(json.loads(path.read_text())["modules"][top])
    path.unlink()
    return netlist


@dataclass(frozen=True)
class Port:
    """A write port of a memory: bits of its enable, address and data."""

    enable: tuple[Any, ...]
    address: tuple[Any, ...]
    data: tuple[Any, ...]


@dataclass(frozen=True)
class Gate:
    """A gate, or a read port of a memory ("read") and which one."""

    kind: str
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    memory: str = ""


@dataclass
class Netlist:
    """Gates, registers and memories of a flattened array.

    A bit is a number, or "0", "1", "x" for a constant.

    Attributes
    ----------
    ports : name to direction and bits
    registers : output bit to input bit
    initial : output bit to the value it begins with
    names : output bit to the register's name and the bit's place in it
    words : register's name to its bits, lowest first
    writes : write ports of each memory
    order : gates and read ports of memories, each behind all that it depends on
    readers : bit to places in `order` that read it
    offers : of job streams: name of a block's input `...i_job__valid` or `...i_job__payload.n_count` to bits
    starts : of blocks that an `i_start` begins the work of: block's name to bits of that and of its reset
    """

    module: Any
    ports: dict[str, tuple[str, list[Any]]] = field(default_factory=dict)
    registers: dict[Any, Any] = field(default_factory=dict)
    initial: dict[Any, int] = field(default_factory=dict)
    names: dict[Any, tuple[str, int]] = field(default_factory=dict)
    words: dict[str, list[Any]] = field(default_factory=dict)
    writes: dict[str, list[Port]] = field(default_factory=dict)
    order: list[Gate] = field(default_factory=list)
    readers: dict[Any, list[int]] = field(default_factory=dict)
    offers: dict[str, list[Any]] = field(default_factory=dict)
    starts: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        module, self.module = self.module, None
        self.ports = {name: (port["direction"], port["bits"]) for name, port in module["ports"].items()}
        gates: list[Gate] = []
        for name, cell in module["cells"].items():
            self._add(name, cell, gates)
        self._sort(gates)
        self._name(module["netnames"])

    def _add(self, name: str, cell: Any, gates: list[Gate]) -> None:
        kind, pins = cell["type"], cell["connections"]
        if kind == "$_DFF_P_":
            self.registers[pins["Q"][0]] = pins["D"][0]
        elif kind == "$mem_v2":
            size = {key: int(cell["parameters"][key], 2)
                    for key in ("RD_PORTS", "WR_PORTS", "ABITS", "WIDTH")}
            width, address = size["WIDTH"], size["ABITS"]
            if int(cell["parameters"]["RD_CLK_ENABLE"], 2):
                raise ValueError(f"memory {name} has a read port with a register")
            for port in range(size["RD_PORTS"]):
                gates.append(Gate("read", tuple(pins["RD_ADDR"][port * address:(port + 1) * address]),
                                   tuple(pins["RD_DATA"][port * width:(port + 1) * width]), name))
            self.writes[name] = [
                Port(*(tuple(pins[f"WR_{pin}"][port * bits:(port + 1) * bits])
                       for pin, bits in (("EN", width), ("ADDR", address), ("DATA", width))))
                for port in range(size["WR_PORTS"])]
        elif kind.startswith("$_"):
            names = [pin for pin in ("A", "B", "S") if pin in pins]
            gates.append(Gate(kind, tuple(pins[pin][0] for pin in names), (pins["Y"][0],)))
        elif kind != "$scopeinfo":
            raise ValueError(f"cell {name} is a {kind}, which proofs do not know")

    def _sort(self, gates: list[Gate]) -> None:
        waiting: dict[Any, list[int]] = {}
        missing = [0] * len(gates)
        driven = {bit for gate in gates for bit in gate.outputs}
        for number, gate in enumerate(gates):
            for bit in set(gate.inputs):
                if bit in driven:
                    missing[number] += 1
                    waiting.setdefault(bit, []).append(number)
        ready = [number for number, count in enumerate(missing) if not count]
        while ready:
            gate = gates[ready.pop()]
            for bit in gate.inputs:
                self.readers.setdefault(bit, []).append(len(self.order))
            self.order.append(gate)
            for bit in gate.outputs:
                for number in waiting.get(bit, ()):
                    missing[number] -= 1
                    if not missing[number]:
                        ready.append(number)
        if len(self.order) < len(gates):
            raise ValueError(f"{len(gates) - len(self.order)} gates are in combinational loops")

    def _name(self, names: Any) -> None:
        """Registers by the shortest public name, which is that of where they are."""
        nets = sorted(names.items(), key=lambda item: (item[1]["hide_name"], -item[0].count("."),
                                                       len(item[1]["bits"]), item[0]))
        for name, net in nets:
            bits = net["bits"]
            if name.endswith(("i_job__valid", "i_job__payload.n_count")):
                self.offers[name] = bits
            block = name.removesuffix(".i_start")
            if block != name and f"{block}.resettable_rst" in names:
                self.starts[block] = bits[0], names[f"{block}.resettable_rst"]["bits"][0]
            initial = net["attributes"].get("init")
            if initial is not None:
                for bit, value in zip(bits, reversed(initial), strict=False):
                    if value in "01":
                        self.initial[bit] = int(value)
            fresh = [bit for bit in bits if bit in self.registers and bit not in self.names]
            if fresh:
                self.words[name] = fresh
                for place, bit in enumerate(fresh):
                    self.names[bit] = (name, place)
