"""And-gates, and a solver that is asked about them."""

import random
import time
from collections.abc import Container

from pysat.solvers import Solver

__all__ = ["FALSE", "TRUE", "Graph", "Model", "NoVerdict", "Reasoner"]

FALSE, TRUE = 0, 1

_CONFLICTS = 3_000
"""A question that takes more is given up."""


_ALIKE = 256
_FULL = (1 << _ALIKE) - 1
_LOWER = (1 << _ALIKE // 2) - 1
"""Counterexamples that are made of one: half of them with an eighth of the free values changed, the others
with a thirty-second."""


class NoVerdict(RuntimeError):
    """A question was too hard, or there were too many."""


class Graph:
    """And-gates. A literal is twice a node's number, plus one where it is inverted; node 0 is false.

    Equal gates are made once, so that copies of a circuit share what is alike.

    Attributes
    ----------
    inputs : the two literals of each node, None for a variable
    """

    def __init__(self) -> None:
        self.inputs: list[tuple[int, int] | None] = [None]
        self._known: dict[tuple[int, int], int] = {}

    def variable(self) -> int:
        self.inputs.append(None)
        return 2 * len(self.inputs) - 2

    def and_(self, a: int, b: int) -> int:
        if a > b:
            a, b = b, a
        if a == FALSE or a ^ b == 1:
            return FALSE
        if a == TRUE or a == b:
            return b
        key = (a, b)
        literal = self._known.get(key)
        if literal is None:
            literal = self._known[key] = 2 * len(self.inputs)
            self.inputs.append(key)
        return literal

    def or_(self, a: int, b: int) -> int:
        return self.and_(a ^ 1, b ^ 1) ^ 1

    def xor(self, a: int, b: int) -> int:
        if a < 2 or b < 2 or a >> 1 == b >> 1:
            return a ^ b      # one of them is constant, or both are alike but for their lowest bit
        return self.or_(self.and_(a, b ^ 1), self.and_(a ^ 1, b))

    def mux(self, a: int, b: int, choose_b: int) -> int:
        if a == b:
            return a
        return self.or_(self.and_(a, choose_b ^ 1), self.and_(b, choose_b))

    def same(self, left: list[int], right: list[int]) -> int:
        """1 where two words are equal."""
        result = TRUE
        for a, b in zip(left, right, strict=True):
            result = self.and_(result, self.xor(a, b) ^ 1)
        return result

    def any(self, literals: list[int]) -> int:
        result = FALSE
        for literal in literals:
            result = self.or_(result, literal)
        return result

    def cone(self, literals: list[int], known: Container[int] = ()) -> list[int]:
        """Nodes that the literals depend on, each behind its inputs (they were made in that order); what is
        known already and what is below it are left out."""
        found: set[int] = set()
        waiting = [literal >> 1 for literal in literals]
        while waiting:
            node = waiting.pop()
            if node not in found and node not in known:
                found.add(node)
                waiting += (inner >> 1 for inner in self.inputs[node] or ())
        return sorted(found)


class Model:
    """A counterexample and many like it, made by changing some free values: a bit of every number for each.

    Attributes
    ----------
    good : those in which everything assumed is 1; the counterexample itself is the lowest bit
    """

    def __init__(self, graph: Graph, model: list[int], known: set[int], assumed: list[int]):
        self._graph = graph
        self._model, self._known = model, known
        self._values: dict[int, int] = {0: 0}
        self._random = random.Random(len(model))
        self.good = 1
        good = _FULL
        for value in self._all(assumed):
            good &= value
        self.good = good | 1

    def values(self, literals: list[int]) -> list[int]:
        """In which good ones each literal is 1."""
        return [value & self.good for value in self._all(literals)]

    def _all(self, literals: list[int]) -> list[int]:
        values, draw, inputs_of = self._values, self._random.getrandbits, self._graph.inputs
        for node in self._graph.cone(literals, values):
            inputs = inputs_of[node]
            if inputs is None:
                is_one = node in self._known and node < len(self._model) and self._model[node] > 0
                few = draw(_ALIKE) & draw(_ALIKE) & draw(_ALIKE)
                fewer = few & draw(_ALIKE) & draw(_ALIKE)
                values[node] = (_FULL * is_one) ^ (few & _LOWER | fewer & ~_LOWER) & ~1
            else:
                left, right = inputs
                values[node] = ((values[left >> 1] ^ (_FULL * (left & 1)))
                                & (values[right >> 1] ^ (_FULL * (right & 1))))
        return [values[literal >> 1] ^ (_FULL * (literal & 1)) for literal in literals]


class Reasoner:
    """A SAT solver that is told of gates as they are needed."""

    def __init__(self, graph: Graph):
        self._graph = graph
        self._solver = Solver("glucose4", incr=True)
        self._known: set[int] = set()
        self._end = float("inf")
        self._facts: list[int] = []
        self.calls, self.seconds = 0, 0.0

    def tell(self, facts: list[int]) -> None:
        """Literals that are always 1."""
        for literal in facts:
            self._solver.add_clause([self._encode(literal)])
        self._facts += facts

    def limit(self, seconds: float) -> None:
        """Give up after so many seconds of computing from now on."""
        self._end = time.process_time() + seconds

    def counterexample(self, assumed: list[int], wanted: list[int]) -> Model | None:
        """Values with which all of `assumed` and one of `wanted` are 1, many if possible; None if there are
        none; NoVerdict: not known."""
        wanted = [literal for literal in wanted if literal != FALSE]
        if not wanted:
            return None
        if time.process_time() > self._end:
            raise NoVerdict
        goal = self._encode(self._graph.variable())
        choices = [self._encode(literal) for literal in wanted]
        self._solver.add_clause([-goal, *choices])
        self._solver.set_phases(choices)
        self._solver.conf_budget(_CONFLICTS)
        begin = time.process_time()
        assumptions = [goal, *(self._encode(literal) for literal in assumed)]
        answer = self._solver.solve_limited(assumptions=assumptions)
        self.calls += 1
        self.seconds += time.process_time() - begin
        model = self._solver.get_model() if answer else None
        self._solver.add_clause([-goal])
        if answer is None:
            raise NoVerdict
        if model is None:
            return None
        return Model(self._graph, model, self._known, [*self._facts, *assumed])

    def _encode(self, literal: int) -> int:
        """The solver's literal; it is told of the gates below that it does not know."""
        waiting = [literal >> 1]
        while waiting:
            node = waiting.pop()
            if node in self._known:
                continue
            self._known.add(node)
            inputs = self._graph.inputs[node]
            if node == 0:
                self._solver.add_clause([-1])
            elif inputs is not None:
                left, right = (_name(inner) for inner in inputs)
                self._solver.add_clause([-(node + 1), left])
                self._solver.add_clause([-(node + 1), right])
                self._solver.add_clause([node + 1, -left, -right])
                waiting += (inner >> 1 for inner in inputs)
        return _name(literal)


def _name(literal: int) -> int:
    number = (literal >> 1) + 1
    return -number if literal & 1 else number
