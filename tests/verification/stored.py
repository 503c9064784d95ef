"""What words of memories may differ in, between an array and its mutant.

A bit of a memory's words may differ in those words of the array itself in which none of some other bits has
a certain value: the payload of an entry, where a bit beside it says that it does not count. Both bits are
always written together, so that what a write keeps is kept for ever.
"""

from dataclasses import dataclass, field
from typing import Any

from .gates import Graph
from .netlist import Copy, Gate, Netlist

__all__ = ["Beside", "StoredBits"]

Place = tuple[str, int]
"""A memory and a bit of its words."""


@dataclass(frozen=True)
class Beside:
    """A bit of the same word has a value."""

    place: int
    value: int


@dataclass
class StoredBits:
    """Bits that may differ, and while what beside them they are equal all the same.

    Attributes
    ----------
    different : place to what must hold for equality; with nothing left it may always differ
    """

    netlist: Netlist
    graph: Graph
    plain: Copy
    different: dict[Place, list[Beside]] = field(default_factory=dict)

    def near(self, place: Place) -> list[Beside]:
        """All bits that are written whenever this one is."""
        name, bit = place
        ports = self.netlist.writes[name]
        return [Beside(other, value) for other in range(len(ports[0].enable)) if other != bit
                if all(port.enable[other] == port.enable[bit] for port in ports) for value in (0, 1)]

    def written(self, values: Copy) -> dict[Place, int]:
        """Places in which a word is written that differs, and the literal of: now one is."""
        found: dict[Place, int] = {}
        for name, ports in self.netlist.writes.items():
            for bit in range(len(ports[0].enable) if ports else 0):
                literal = self._written((name, bit), values, None)
                if literal:
                    found[name, bit] = literal
        return found

    def breaks(self, place: Place, values: Copy, beside: Beside) -> int:
        """Such a word is written, with that beside it."""
        return self._written(place, values, beside)

    def _written(self, place: Place, values: Copy, beside: Beside | None) -> int:
        name, bit = place
        graph, plain = self.graph, self.plain
        return graph.any([
            graph.and_(graph.and_(plain[port.enable[bit]], graph.xor(plain[port.data[bit]],
                                                                     values[port.data[bit]])),
                       1 if beside is None else plain[port.data[beside.place]] ^ beside.value ^ 1)
            for port in self.netlist.writes[name] if port.data[bit] in values])

    def is_different(self, gate: Gate, bit: int) -> bool:
        return (gate.memory, bit) in self.different

    def read(self) -> list[Any]:
        """Outputs of read ports that may differ although their addresses are equal."""
        names = {name for name, _ in self.different}
        return [gate.outputs[bit] for gate in self.netlist.order if gate.memory in names
                for bit in range(len(gate.outputs)) if self.is_different(gate, bit)]

    def assumed(self, values: Copy, readers: list[Gate]) -> list[int]:
        """Words that are read at equal addresses are equal where they must be."""
        graph, plain, found = self.graph, self.plain, []
        for gate in readers:
            same = graph.same([plain[bit] for bit in gate.inputs],
                              [values.get(bit, plain[bit]) for bit in gate.inputs])
            for bit, output in enumerate(gate.outputs):
                if self.is_different(gate, bit):
                    held = graph.any([plain[gate.outputs[one.place]] ^ one.value ^ 1
                                      for one in self.different[gate.memory, bit]])
                    found.append(graph.or_(graph.and_(same, held) ^ 1,
                                           graph.xor(plain[output], values[output]) ^ 1))
        return found
