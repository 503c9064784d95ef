"""Around a block under proof: free inputs, assumptions, properties, invariants, covers."""

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, ClockDomain, Cover, Module, Signal, Value, ValueCastable
from amaranth.hdl._ast import AnyConst, AnySeq
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

from hdl.shared import flat_ports

from .inside import Fault, Inside

__all__ = ["Bench", "Proof"]


class Bench:
    """One block with everything that a proof says about it.

    Every input that the proof does not drive is free in every cycle, the reset too: it resets the block and
    the proof's own registers in the same cycle.

    Attributes
    ----------
    m : Module for the proof's own logic
    dut : the block
    inside : its signals
    """

    def __init__(self, dut: wiring.Component, fault: Fault | None, *, helped: bool):
        self.m = Module()
        self.m.domains.sync = self._domain = ClockDomain("sync")
        self.dut, self.inside = dut, Inside(dut)
        self._helped = helped
        if fault is not None:
            self.inside.break_it(fault)
        self.m.submodules.dut = self.inside.fragment
        self._driven: list[Signal] = []
        self._resets = True
        self.covers = 0

    # ---- free values ----

    def drive(self, port, value) -> None:
        """Drive an input of the block."""
        self.m.d.comb += port.eq(value)
        self._driven.append(_signal(port))

    def free(self, shape, name: str):
        """A signal that may have any value in any cycle."""
        signal = Signal(shape, name=name)
        self.m.d.comb += signal.eq(AnySeq(len(_signal(signal))))
        return signal

    def constant(self, shape, name: str):
        """A signal that may have any value, the same in all cycles."""
        signal = Signal(shape, name=name)
        self.m.d.comb += signal.eq(AnyConst(len(_signal(signal))))
        return signal

    def no_reset(self) -> None:
        """Assume that there is no reset; for bounded proofs, whose cycles count from one."""
        self._resets = False

    # ---- statements ----

    def assume(self, condition) -> None:
        """What the block may rely on."""
        self.m.d.comb += Assume(condition, src_loc_at=1)

    def check(self, condition) -> None:
        """The property: what the block promises."""
        self.m.d.comb += Assert(condition, src_loc_at=1)

    def invariant(self, condition) -> None:
        """What helps the induction; proven too, but left out where a seeded fault must be found."""
        if self._helped:
            self.m.d.comb += Assert(condition, src_loc_at=1)

    def cover(self, condition) -> None:
        """A situation that the assumptions must allow."""
        self.covers += 1
        self.m.d.comb += Cover(condition, src_loc_at=1)

    def past(self, value, name: str):
        """The value in the cycle before; 0 in the first one and after a reset."""
        signal = Signal.like(value, name=name)
        self.m.d.sync += signal.eq(value)
        return signal

    def text(self) -> str:
        """RTLIL of a top module without outputs."""
        for _, is_input, value in flat_ports(self.dut):
            if is_input and not any(value is driven for driven in self._driven):
                self.m.d.comb += value.eq(AnySeq(len(value)))
        if self._resets:
            self.m.d.comb += self._domain.rst.eq(AnySeq(1))
        return rtlil.convert(self.m, name="top", ports={"clk": (self._domain.clk, PortDirection.Input)},
                             platform=None)


def _signal(value) -> Signal:
    if isinstance(value, ValueCastable):
        value = value.as_value()
    return Value.cast(value)


@dataclass(frozen=True)
class Proof:
    """One property of one block, and the fault that shows that it says something.

    Parameters
    ----------
    name : of the proof, `block_property`
    block : class name of the block
    claim : the property in words
    make : the block
    state : writes the proof around it
    fault : breaks the block so that the property, without the invariants, fails within `depth`
    induction : unbounded, by induction over so many cycles; None: bounded
    depth : cycles from reset in which the fault is found and, without induction, the property checked
    cover : cycles from reset in which all covers are reached
    quick : belongs to the test command; the others to its slow tier
    solver : "z3", or "bitwuzla", which is the faster one where words are wide
    """

    name: str
    block: str
    claim: str
    make: Callable[[], wiring.Component]
    state: Callable[[Bench], None]
    fault: Fault
    induction: int | None = 1
    depth: int = 8
    cover: int = 10
    quick: bool = False
    solver: str = "z3"

    def bench(self, *, broken: bool) -> Bench:
        bench = Bench(self.make(), self.fault if broken else None, helped=not broken)
        self.state(bench)
        return bench
