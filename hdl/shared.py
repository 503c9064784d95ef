"""Equal blocks as one Verilog module with many instances.

Amaranth prints every instance as a module of its own. A text with sixteen PEs is many times as long as it
need be, for its reader and for a simulator that compiles it.
"""

from typing import Any

from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    Const,
    DomainRenamer,
    Instance,
    Module,
    ResetInserter,
    ResetSignal,
    Signal,
    Value,
    ValueCastable,
)
from amaranth.lib import wiring
from amaranth.lib.wiring import In

__all__ = ["ModuleLibrary", "add_resettable", "add_shared", "flat_ports"]


def flat_ports(component: wiring.Component) -> list[tuple[str, bool, Value]]:
    """(name, is an input, value) of each member; constant members have no port."""
    ports = []
    for path, member, value in component.signature.flatten(component):
        if isinstance(value, ValueCastable):
            value = value.as_value()
        if not isinstance(value, Const):
            ports.append(("__".join(str(part) for part in path), member.flow == In, Value.cast(value)))
    return ports


class ModuleLibrary:
    """The platform of a Verilog print: remembers one component for each kind that was asked for.

    Attributes
    ----------
    name : of the top module; kinds' modules are called `<name>_<kind>`
    family : of the parts that the print is for ("ecp5", "ice40", "gowin"), None for any
    kinds : kind to a component that stands for all of that kind
    """

    def __init__(self, name: str, family: str | None = None):
        self.name = name
        self.family = family
        self.kinds: dict[str, wiring.Component] = {}

    def instance(self, component: wiring.Component, kind: str) -> Instance:
        """An instance of the kind's module, wired to this component's members."""
        self.kinds.setdefault(kind, component)
        # Amaranth warns of components that nobody elaborates; this one's members are used all the same.
        component._MustUse__used = True
        ports: dict[str, Any] = {f"{'i' if is_input else 'o'}_{name}": value
                                 for name, is_input, value in flat_ports(component)}
        return Instance(f"{self.name}_{kind}", i_clk=ClockSignal(), i_rst=ResetSignal(), **ports)


def add_shared(m: Module, name: str, component: wiring.Component, kind: str, platform: Any) -> None:
    """Add a submodule of which others are equal but for their name.

    Everything with one `kind` must be built alike; what differs between instances comes in by ports.
    Simulation in Amaranth elaborates each as usual.
    """
    if isinstance(platform, ModuleLibrary):
        m.submodules[name] = platform.instance(component, kind)
    else:
        m.submodules[name] = component


def add_resettable(m: Module, parts: dict[str, Any], reset: Value, platform: Any, *,
                   late: bool = False) -> None:
    """Add submodules whose registers `reset` sets back as the domain's own reset does, a cycle later if it is
    `late`; memories keep theirs.

    In a Verilog print shared blocks have a reset port, so there the parts get a domain of their own on the
    same clock. In Amaranth's simulator a clock that is passed on comes too late for its neighbours.
    """
    if late:
        # It goes to all of a large array.
        on_its_way = Signal()
        m.d.sync += on_its_way.eq(reset)
        reset = on_its_way
    if isinstance(platform, ModuleLibrary):
        m.domains += ClockDomain("resettable", local=True)
        m.d.comb += [ClockSignal("resettable").eq(ClockSignal()),
                     ResetSignal("resettable").eq(ResetSignal() | reset)]
    for name, part in parts.items():
        if isinstance(platform, ModuleLibrary):
            m.submodules[name] = DomainRenamer("resettable")(part)
        else:
            m.submodules[name] = ResetInserter(reset)(part)
