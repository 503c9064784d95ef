"""Proofs that a mutant's array and the array itself do the same at their pins, for ever.

A relation between the registers of both is sought that holds at the start, is kept by every cycle, for any
inputs, and makes the pins equal. It begins with "all registers are equal", and is weakened by
counterexamples, each a cycle that begins within the relation and does not end in it:

- A bit of a register in which both then differ is equal from then on only *while something holds*: while a
  register near to it has a certain value (a valid bit, a level that is not 0, a state). All
  such conditions are tried; counterexamples take away those that do not keep it equal.
- So a payload may differ as long as its valid is low, wherever it goes, if all who read it look at valid.
- A bit of a memory's words likewise, while a bit beside it in the word has a value (`stored.py`).
- A register may differ until its block is started: whether it was, since its reset, is a register that only
  the proof has.
- Facts about the array itself (`facts.py`), proven before, exclude states that it never gets into.

A second search may assume that jobs on offer are within the configuration's limits, which is proven apart.

At the array's pins a stream's payload counts only while its valid is high, and a byte that is written only
with its strobe: that is what AXI says. Nothing is assumed of the inputs, and what is proven holds for the
whole array: no neighbour's behaviour is taken on trust. Memories must be written at the same places; what
they read at unlike addresses may be anything.

The method is van Eijk's ("Sequential equivalence checking without state space traversal", DATE 1998), with
conditions added to it.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .facts import Condition, Conditions, find_bounds, find_implications, find_starts
from .gates import FALSE, TRUE, Graph, NoVerdict, Reasoner
from .netlist import Copy, Netlist
from .stored import Beside, StoredBits

__all__ = ["SECONDS", "Relations"]

Find = Callable[..., list[Condition]]
"""Proves facts about some registers, and tells the reasoner of them."""

_MOST_DIFFERENT = 2000
"""Bits of registers; with more the mutant is everywhere."""

_MOST_WORDS = 120
"""Registers that facts and conditions are made of, around one that differs."""

_MOST_MODULES = 2
"""Modules that facts are looked for in, for one mutant."""

SECONDS = 20
"""Of computing, for facts and then for a relation."""


_KINDS: tuple[tuple[str, Find | None], ...] = (
    ("related", None), ("related, with starts", find_starts), ("related, with bounds", find_bounds),
    ("related, with implications", find_implications))


@dataclass(frozen=True)
class _Claim:
    """Something that a cycle must keep.

    Attributes
    ----------
    broken : literal of: it does not
    where : bit of a register, or of a memory's words
    condition : while which it is equal; None: always
    """

    broken: int
    where: Any
    condition: Condition | Beside | None = None


class Relations:
    """Searches relations between an array with all switches off and with one of them on.

    One object serves many mutants: what does not depend on them is built and learnt once.

    Parameters
    ----------
    netlist : with a switch input for each mutant
    seconds : of computing, for each kind of proof of a mutant
    """

    def __init__(self, netlist: Netlist, seconds: float = SECONDS):
        self._netlist, self._graph, self._seconds = netlist, Graph(), seconds
        self._reasoner = Reasoner(self._graph)
        self._plain: Copy = {"0": FALSE, "1": TRUE, "x": FALSE}
        for name, (direction, bits) in netlist.ports.items():
            if direction == "input":
                for bit in bits:
                    self._plain[bit] = FALSE if name.startswith("switch") else self._graph.variable()
        for bit in netlist.registers:
            self._plain[bit] = self._graph.variable()
        for number in range(len(netlist.order)):
            self._run(number, self._plain, is_plain=True)
        self._conditions = Conditions(netlist, self._graph, self._plain)
        self._others: dict[int, int] = {}
        self._still: set[int] = set()
        self._learnt: set[tuple[Find, str]] = set()
        self._word_of = {self._plain[bit] >> 1: name for name, bits in netlist.words.items() for bit in bits}

    def assume_limits(self, most_columns: int) -> None:
        """From now on a job on offer is within the configuration's limits; the proof `command_jobs` of
        sim/formal says so. Bits of sizes that are beyond them are 0 where a job is taken."""
        graph, offers = self._graph, self._netlist.offers
        for name, bits in offers.items():
            valid = offers.get(name.replace("__payload.n_count", "__valid"))
            if valid is not None and name.endswith("n_count"):
                beyond = [self._plain[bit] for bit in bits[most_columns.bit_length():]]
                self._reasoner.tell([graph.or_(self._plain[valid[0]] ^ 1, literal ^ 1) for literal in beyond])
                self._still |= {literal >> 1 for literal in beyond if literal > TRUE}
        self._learnt.clear()

    # ---- the two copies ----

    def _run(self, number: int, values: Copy, *, is_plain: bool = False,
             stored: StoredBits | None = None) -> None:
        """Values of a gate's outputs."""
        graph, gate, plain = self._graph, self._netlist.order[number], self._plain
        inputs = [values[bit] if bit in values else plain[bit] for bit in gate.inputs]
        match gate.kind:
            case "$_NOT_":
                values[gate.outputs[0]] = inputs[0] ^ 1
            case "$_AND_":
                values[gate.outputs[0]] = graph.and_(*inputs)
            case "$_OR_":
                values[gate.outputs[0]] = graph.or_(*inputs)
            case "$_XOR_":
                values[gate.outputs[0]] = graph.xor(*inputs)
            case "$_NAND_":
                values[gate.outputs[0]] = graph.and_(*inputs) ^ 1
            case "$_NOR_":
                values[gate.outputs[0]] = graph.or_(*inputs) ^ 1
            case "$_XNOR_":
                values[gate.outputs[0]] = graph.xor(*inputs) ^ 1
            case "$_MUX_":
                values[gate.outputs[0]] = graph.mux(*inputs)
            case "read" if is_plain:
                for bit in gate.outputs:
                    values[bit] = graph.variable()
            case "read":
                # Both memories hold the same, but for some bits: equal addresses read equal words.
                same = graph.same(inputs, [plain[bit] for bit in gate.inputs])
                for place, bit in enumerate(gate.outputs):
                    if stored is not None and stored.is_different(gate, place):
                        values[bit] = self._other(plain[bit])
                    else:
                        values[bit] = (plain[bit] if same == TRUE
                                       else graph.mux(self._other(plain[bit]), plain[bit], same))
            case kind:
                raise ValueError(f"a gate {kind}, which proofs do not know")

    def _other(self, literal: int) -> int:
        """A variable that stands for this one in the mutant."""
        if literal not in self._others:
            self._others[literal] = self._graph.variable()
        return self._others[literal]

    def _mutated(self, switch: Any, different: Iterable[Any], stored: StoredBits) -> Copy:
        """Bits of the mutant that may not be the array's own."""
        values: Copy = {switch: TRUE}
        for bit in (*different, *stored.read()):
            values[bit] = self._other(self._plain[bit])
        readers, order = self._netlist.readers, self._netlist.order
        waiting = [number for bit in values for number in readers.get(bit, ())]
        cone: set[int] = set()
        while waiting:
            number = waiting.pop()
            if number not in cone:
                cone.add(number)
                waiting += (reader for bit in order[number].outputs for reader in readers.get(bit, ()))
        for number in sorted(cone):
            self._run(number, values, stored=stored)
        return values

    # ---- what is near ----

    def _around(self, name: str) -> list[str]:
        """Registers in the module of this one and in those around it, as long as they are few."""
        parts = name.split(".")
        best: list[str] = []
        for length in range(len(parts) - 1, min(1, len(parts) - 1) - 1, -1):
            prefix = "".join(f"{part}." for part in parts[:length])
            words = [word for word in self._netlist.words if word.startswith(prefix)]
            if len(words) > _MOST_WORDS:
                # Of a large module those that are its own.
                return best or sorted(words, key=lambda word: word.count("."))[:_MOST_WORDS]
            best = words
        return best

    def _near(self, name: str) -> list[Condition]:
        """Of narrow registers and of the other bits of its own; and that its block was started."""
        found = [condition for word in self._around(name)
                 if len(self._netlist.words[word]) <= 8 or word == name
                 for condition in self._conditions.values(word)]
        started = self._conditions.started(name)
        return found if started is None else [*found, started]

    def _learn(self, names: list[str], find: Find) -> None:
        """Facts about registers, and about their neighbours."""
        for name in names:
            module = find, name.rpartition(".")[0]
            if module not in self._learnt:
                self._learnt.add(module)
                with suppress(NoVerdict):
                    find(self._netlist, self._graph, self._plain, self._reasoner, self._conditions,
                         self._around(name), self._still)

    # ---- the search ----

    def _seen(self, values: Copy) -> list[int]:
        """Literals that are 1 where pins or what memories are told differ."""
        graph, netlist, plain = self._graph, self._netlist, self._plain
        bad = []
        for name, (direction, bits) in netlist.ports.items():
            if direction == "output":
                valid = netlist.ports.get(name.replace("__payload", "__valid"), ("input", []))
                counts = plain[valid[1][0]] if name.endswith("__payload") and valid[0] == "output" else TRUE
                strobed = len(bits) // 9 if name.endswith("memory__w__payload") else 0    # bytes of data
                bad += [graph.and_(graph.and_(counts, graph.xor(plain[bit], values[bit])),
                                   plain[bits[8 * strobed + place // 8]] if place < 8 * strobed else TRUE)
                        for place, bit in enumerate(bits) if bit in values]
        for ports in netlist.writes.values():
            for port in ports:
                bad += [graph.xor(plain[bit], values[bit]) for bit in port.enable if bit in values]
                enabled = graph.any([plain[bit] for bit in dict.fromkeys(port.enable)])
                bad += [graph.and_(enabled, graph.xor(plain[bit], values[bit]))
                        for bit in port.address if bit in values]
        return [literal for literal in bad if literal != FALSE]

    def _unlike(self, values: Copy) -> Copy:
        """Registers that get another value, and the literal of: now they do."""
        found = {}
        for bit, source in self._netlist.registers.items():
            if source in values:
                literal = self._graph.xor(self._plain[source], values[source])
                if literal != FALSE:
                    found[bit] = literal
        return found

    def prove(self, number: int) -> str:
        """The kind of proof for the mutant of that number; "" where no relation was found."""
        (switch,) = self._netlist.ports[f"switch{number}"][1]
        names = self._touched(self._mutated(switch, (), self._stored()))
        for kind, find in _KINDS:
            self._reasoner.limit(self._seconds)
            if find is not None:
                self._learn(names, find)
            different: dict[Any, list[Condition]] = {}
            stored = self._stored()
            with suppress(NoVerdict):
                while len(different) + len(stored.different) <= _MOST_DIFFERENT:
                    step = self._weaken(different, stored, self._mutated(switch, different, stored))
                    if step:
                        return kind
                    if step is not None:
                        break
        return ""

    def _stored(self) -> StoredBits:
        return StoredBits(self._netlist, self._graph, self._plain)

    def _touched(self, values: Copy) -> list[str]:
        """A register in each of the modules that the mutant changes first."""
        names = [self._netlist.names[bit][0] for bit in self._unlike(values)]
        if not names:
            cone = self._graph.cone([*self._seen(values), *self._stored().written(values).values()])
            names = sorted({self._word_of[node] for node in cone if node in self._word_of},
                           key=lambda name: (-name.count("."), name))
        return list({name.rpartition(".")[0]: name for name in names}.values())[:_MOST_MODULES]

    def _weaken(self, different: dict[Any, list[Condition]], stored: StoredBits, values: Copy) -> bool | None:
        """By counterexamples: False where the pins differ, True where there is none, None: go on."""
        graph = self._graph
        seen, unlike, written = self._seen(values), self._unlike(values), stored.written(values)
        readers = [gate for gate in self._netlist.order
                   if any(stored.is_different(gate, place) for place in range(len(gate.outputs)))]
        while True:
            claims: list[_Claim] = []
            for bit, literal in unlike.items():
                if bit not in different:
                    claims.append(_Claim(literal, bit))
                claims += [_Claim(graph.and_(literal, one.after), bit, one) for one in different.get(bit, ())]
            for place, literal in written.items():
                if place not in stored.different:
                    claims.append(_Claim(literal, place))
                claims += [_Claim(stored.breaks(place, values, one), place, one)
                           for one in stored.different.get(place, ())]
            assumed = [graph.or_(graph.any([condition.now for condition in conditions]) ^ 1,
                                 graph.xor(self._plain[bit], self._other(self._plain[bit])) ^ 1)
                       for bit, conditions in different.items()]
            broken = self._reasoner.counterexample([*assumed, *stored.assumed(values, readers)],
                                                   [*seen, *(claim.broken for claim in claims)])
            if broken is None:
                return True
            if any(broken.values(seen)):
                return False
            fresh = False
            for claim, value in zip(claims, broken.values([claim.broken for claim in claims]), strict=True):
                where: Any = claim.where
                if value and isinstance(claim.condition, Condition):
                    different[where].remove(claim.condition)
                elif value and claim.condition is not None:
                    stored.different[where].remove(claim.condition)
                elif value and where in written:
                    fresh = True
                    sides = stored.near(where)
                    breaks = broken.values([stored.breaks(where, values, one) for one in sides])
                    stored.different[where] = [one for one, bad in zip(sides, breaks, strict=True) if not bad]
                elif value:
                    fresh = True
                    near = self._near(self._netlist.names[where][0])
                    later = broken.values([one.after for one in near])
                    different[where] = [one for one, after in zip(near, later, strict=True)
                                        if not value & after]
            if fresh:
                return None
