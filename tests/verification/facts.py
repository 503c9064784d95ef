"""What the registers of an array can never be: bounds, constants and implications, proven by induction.

Every candidate holds at the start. Those are dropped that a counterexample breaks, a cycle in which all hold
at the beginning and one does not at the end, until there is none: what is left holds for ever. Only the
registers of a few modules are looked at together; all others, and all inputs, may have any value in every
cycle.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from .gates import TRUE, Graph, Reasoner
from .netlist import Copy, Netlist

__all__ = ["Condition", "Conditions", "find_bounds", "find_implications", "find_starts"]

_NARROW_BITS = 3
_COUNTER_BITS = 7
_MOST_PAIRED = 80
_SIZES = ("n_count", "count")
"""Registers of jobs whose upper bits the configuration's limits keep at 0."""

Still = Collection[int]
"""Nodes of variables."""

_RUNS, _CYCLES, _PATTERNS = 2, 40, 256
_FULL = (1 << _PATTERNS) - 1


@dataclass(frozen=True)
class Condition:
    """A register has, or has not, a value.

    Attributes
    ----------
    text : which
    now, after : literals of it at the beginning and at the end of a cycle
    """

    text: str
    now: int
    after: int

    def inverted(self) -> "Condition":
        return Condition(f"not ({self.text})", self.now ^ 1, self.after ^ 1)


class Conditions:
    """Conditions on the registers of the array itself, made when they are asked for.

    Parameters
    ----------
    plain : values of the array's bits
    """

    def __init__(self, netlist: Netlist, graph: Graph, plain: Copy):
        self._netlist, self._graph, self._plain = netlist, graph, plain
        self._known: dict[str, list[Condition]] = {}
        self._started: dict[tuple[Any, Any], Condition] = {}

    def started(self, name: str) -> Condition | None:
        """The block that a register is in, or the next one around it that has a start, was started since its
        reset: a register that is in the proof only."""
        while name:
            name = name.rpartition(".")[0]
            if name in self._netlist.starts:
                start, reset = pair = self._netlist.starts[name]
                if pair not in self._started:
                    now, graph = self._graph.variable(), self._graph
                    after = graph.and_(self._plain[reset] ^ 1, graph.or_(now, self._plain[start]))
                    self._started[pair] = Condition(f"{name} was started", now, after)
                return self._started[pair]
        return None

    def with_start_of(self, name: str) -> list[str]:
        """Registers of the smallest block around all that are started with this register's block."""
        wanted = self.started(name)
        blocks = [block for block in self._netlist.starts if self.started(f"{block}.") is wanted]
        parts = zip(*(block.split(".") for block in blocks), strict=False)
        shared = takewhile(lambda places: len(set(places)) == 1, parts)
        prefix = "".join(f"{places[0]}." for places in shared)
        return [word for word in self._netlist.words if word.startswith(prefix)]

    def _pair(self, name: str) -> tuple[list[int], list[int]]:
        bits = self._netlist.words[name]
        return [self._plain[bit] for bit in bits], [self._plain[self._netlist.registers[bit]] for bit in bits]

    def values(self, name: str) -> list[Condition]:
        """A narrow register's values, else 0; each bit; and the contrary of each."""
        if name not in self._known:
            now, after = self._pair(name)
            found = []
            for value in range(1 << len(now)) if 1 < len(now) <= _NARROW_BITS else (0,):
                wanted = [value >> place & 1 for place in range(len(now))]
                found.append(Condition(f"{name} == {value}", self._graph.same(now, wanted),
                                       self._graph.same(after, wanted)))
            if len(now) > 1:
                found += [Condition(f"{name}[{place}]", *pair)
                          for place, pair in enumerate(zip(now, after, strict=True))]
            self._known[name] = [side for one in found for side in (one, one.inverted())]
        return self._known[name]

    def bounds(self, name: str) -> list[Condition]:
        """A counter is at most a number; bits of wider registers are constant."""
        now, after = self._pair(name)
        initial = [self._netlist.initial.get(bit, 0) for bit in self._netlist.words[name]]
        found = []
        if 1 < len(now) <= _COUNTER_BITS:
            start = sum(bit << place for place, bit in enumerate(initial))
            found = [Condition(f"{name} <= {most}", self._at_most(now, most), self._at_most(after, most))
                     for most in range(start, (1 << len(now)) - 1)]
        for place, (first, last, value) in enumerate(zip(now, after, initial, strict=True)):
            found.append(Condition(f"{name}[{place}] == {value}", first ^ value ^ 1, last ^ value ^ 1))
        return found

    def fresh(self, name: str, started: Condition) -> list[Condition]:
        """Before the start a register is as the reset has left it."""
        now, after = self._pair(name)
        initial = [self._netlist.initial.get(bit, 0) for bit in self._netlist.words[name]]
        return [Condition(f"{name}[{place}] == {value} or {started.text}",
                          self._graph.or_(started.now, first ^ value ^ 1),
                          self._graph.or_(started.after, last ^ value ^ 1))
                for place, (first, last, value) in enumerate(zip(now, after, initial, strict=True))]

    def _at_most(self, word: list[int], most: int) -> int:
        result = TRUE
        for place, literal in enumerate(word):
            result = (self._graph.or_(literal ^ 1, result) if most >> place & 1
                      else self._graph.and_(literal ^ 1, result))
        return result


def _implications(conditions: list[Condition], graph: Graph, alive: list[list[int]]) -> list[Condition]:
    """Of all pairs, `one implies another` where no simulated state said otherwise."""
    found = []
    for left, one in enumerate(conditions):
        for right, other in enumerate(conditions):
            if left == right or other.now == one.now ^ 1:
                continue
            if any(a & (b ^ _FULL) for a, b in zip(alive[left], alive[right], strict=True)):
                continue
            found.append(Condition(f"{one.text} implies {other.text}", graph.or_(one.now ^ 1, other.now),
                                   graph.or_(one.after ^ 1, other.after)))
    return found


def _simulate(netlist: Netlist, graph: Graph, plain: Copy, words: list[str], literals: list[int],
              still: Still
              ) -> list[list[int]]:
    """Values of the literals in states that the words' registers reach while all else is drawn by chance."""
    rng = random.Random(1)
    bits = [bit for name in words for bit in netlist.words[name]]
    order = graph.cone([*literals, *(plain[netlist.registers[bit]] for bit in bits)])
    seen: list[list[int]] = [[] for _ in literals]
    for _ in range(_RUNS):
        state = {plain[bit] >> 1: _FULL * netlist.initial.get(bit, 0) for bit in bits}
        often = {node: rng.choice((1, 1, 2, 3, 5, -2, -3, -5)) for node in order
                 if graph.inputs[node] is None and node not in state}
        for _ in range(_CYCLES):
            values = {0: 0, **state, **dict.fromkeys(still, 0)}
            for node in order:
                inputs = graph.inputs[node]
                if node in values:
                    continue
                if inputs is None:
                    drawn = _FULL
                    for _ in range(abs(often[node])):
                        drawn &= rng.getrandbits(_PATTERNS)
                    values[node] = drawn if often[node] > 0 else drawn ^ _FULL
                else:
                    left, right = inputs
                    values[node] = ((values[left >> 1] ^ (_FULL * (left & 1)))
                                    & (values[right >> 1] ^ (_FULL * (right & 1))))
            for place, literal in enumerate(literals):
                seen[place].append(values[literal >> 1] ^ (_FULL * (literal & 1)))
            state = {plain[bit] >> 1: values[source >> 1] ^ (_FULL * (source & 1))
                     for bit in bits for source in (plain[netlist.registers[bit]],)}
    return seen


def find_bounds(netlist: Netlist, graph: Graph, plain: Copy, reasoner: Reasoner, conditions: Conditions,
                words: list[str], still: Still = frozenset()) -> list[Condition]:
    """What the registers called `words` never exceed, and their constant bits. Bits that are `still` are
    kept at 0 while candidates are looked for; that proves nothing and costs nothing."""
    found = [bound for name in words for bound in conditions.bounds(name)]
    seen = _simulate(netlist, graph, plain, words, [one.now for one in found], still)
    kept = [one for one, values in zip(found, seen, strict=True) if all(value == _FULL for value in values)]
    return _keep(reasoner, kept)


def find_implications(netlist: Netlist, graph: Graph, plain: Copy, reasoner: Reasoner, conditions: Conditions,
                      words: list[str], still: Still = frozenset()) -> list[Condition]:
    """What one of the narrow registers among `words` says of another, and of the bits of sizes."""
    paired: list[Condition] = []
    for name in sorted(words, key=lambda name: len(netlist.words[name])):
        if len(netlist.words[name]) <= _NARROW_BITS and len(paired) < _MOST_PAIRED:
            paired += conditions.values(name)
    seen = _simulate(netlist, graph, plain, words, [one.now for one in paired], still)
    found = _implications(paired, graph, seen)
    if still:
        zeros = [zero for name in words if name.rpartition(".")[2] in _SIZES
                 for zero in conditions.bounds(name)]
        found += [Condition(f"{one.text} implies {zero.text}", graph.or_(one.now ^ 1, zero.now),
                            graph.or_(one.after ^ 1, zero.after))
                  for one in paired if "state" in one.text or "valid" in one.text for zero in zeros]
    return _keep(reasoner, found)


def find_starts(netlist: Netlist, graph: Graph, plain: Copy, reasoner: Reasoner, conditions: Conditions,
                words: list[str], still: Still = frozenset()) -> list[Condition]:
    """What is as the reset has left it until the block around `words` is started."""
    started = conditions.started(words[0]) if words else None
    if started is None:
        return []
    return _keep(reasoner, [one for name in conditions.with_start_of(words[0])
                            for one in conditions.fresh(name, started)])


def _keep(reasoner: Reasoner, kept: list[Condition]) -> list[Condition]:
    """Those that hold together for ever; the reasoner is told of them."""
    while True:
        broken = reasoner.counterexample([one.now for one in kept], [one.after ^ 1 for one in kept])
        if broken is None:
            break
        good, after = broken.good, broken.values([one.after for one in kept])
        kept = [one for one, value in zip(kept, after, strict=True) if value == good]
    reasoner.tell([one.now for one in kept])
    return kept
