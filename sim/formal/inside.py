"""The inside of an elaborated block: its signals and memories by name, and copies of it with a defect."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from amaranth.hdl import Fragment, MemoryInstance, Signal, Value, ValueCastable
from amaranth.hdl._ast import Assign, Slice, Switch
from amaranth.hdl._xfrm import StatementTransformer, ValueTransformer
from amaranth.lib import data, wiring

__all__ = ["Fault", "Inside"]


@dataclass(frozen=True)
class Fault:
    """A defect that is built into a copy of a block's netlist.

    Parameters
    ----------
    about : what is wrong, for tables
    signal : name of the signal whose drivers change, as `Inside` takes it
    change : from a driver's value and the block's inside to the value that drives instead; None removes
        the assignment
    only : number of the one assignment that changes, in the order of the text; all where None
    reads : the signal keeps its drivers; wherever the block reads it, it reads the changed value
    """

    about: str
    signal: str
    change: Callable[[Value, "Inside"], Value | None]
    only: int | None = None
    reads: bool = False


class _Substitution(ValueTransformer, StatementTransformer):
    """Puts another value wherever a signal is read."""

    def __init__(self, signal: Value, value: Value):
        self._signal, self._value = signal, value
        self.count = 0

    def on_Signal(self, value):
        if value is not self._signal:
            return value
        self.count += 1
        return self._value

    def on_Slice(self, value):
        wanted = self._signal
        if isinstance(wanted, Slice) and value.value is wanted.value:
            if (value.start, value.stop) == (wanted.start, wanted.stop):
                self.count += 1
                return self._value
        return super().on_Slice(value)

    def on_Assign(self, stmt):
        return Assign(stmt.lhs, self.on_value(stmt.rhs))

    def on_tree(self, fragment: Fragment) -> None:
        for domain, statements in list(fragment.statements.items()):
            fragment.statements[domain] = self.on_statements(statements)
        for child, _, _ in fragment.subfragments:
            self.on_tree(child)


class Inside:
    """An elaborated component, opened.

    Proofs name signals as the block's text names them: a local variable of `elaborate` or of another method
    (`level`, `_pad:valid` where two methods use one name), an attribute of the block (`_bank`), a member
    (`o`). `local_row@1` is the second one of a method that is called several times. Signals made in a loop
    have only their own names: `#valid_0`. A name that is not there any more is an error that says so.

    Attributes
    ----------
    fragment : the netlist
    """

    def __init__(self, component: wiring.Component):
        self._names: dict[int, dict[str, list]] = {}
        before = sys.getprofile()
        sys.setprofile(self._collect)
        try:
            self.fragment = Fragment.get(component, None)
        finally:
            sys.setprofile(before)

    def _collect(self, frame: FrameType, event: str, _argument) -> None:
        """Remember the signals that a method of a component has made, when it returns."""
        owner = frame.f_locals.get("self") if event == "return" else None
        if isinstance(owner, wiring.Component):
            names = self._names.setdefault(id(owner), {})
            for name, value in frame.f_locals.items():
                is_signal = isinstance(value, Signal | data.View) or hasattr(value, "signature")
                if is_signal and value is not owner:
                    for key in (name, f"{frame.f_code.co_name}:{name}"):
                        if not any(value is other for other in names.setdefault(key, [])):
                            names[key].append(value)

    def __call__(self, path: str):
        """The signal (or view) of that name, `submodule/name.field`; KeyError lists what there is."""
        fragment, name = self._find(path)
        if name.startswith("#"):
            return _driven(fragment, name[1:])
        component = fragment.origins[0]
        name, *fields = name.split(".")
        name, _, number = name.partition("@")
        names = self._names.get(id(component), {})
        found = [getattr(component, name)] if hasattr(component, name) else names.get(name, [])
        if number:
            found = found[int(number):int(number) + 1]
        if len(found) != 1:
            there_are = sorted({*names, *component.signature.members})
            raise KeyError(f"{len(found)} signals are called {path!r}; there are {', '.join(there_are)}")
        for field in fields:
            found = [getattr(found[0], field)]
        return found[0]

    def state(self, name: str, path: str = "") -> Value:
        """1 while the block's state machine is in the state of that name."""
        fragment, _ = self._find(f"{path}/" if path else "")
        machine = fragment.generated["fsm"]
        return machine.state == machine.encoding[name]

    def word(self, path: str, address: Value) -> Signal:
        """What the memory at that path holds at `address` now: a further read port, for the proof only."""
        memory, _ = self._find(f"{path}/")
        if not isinstance(memory, MemoryInstance):
            raise KeyError(f"{path!r} is not a memory")
        shape = memory._data.shape
        data = Signal(shape)
        at = Signal(range(memory._data.depth))
        self.fragment.add_statements("comb", at.eq(address))
        memory.read_port(domain="comb", addr=at, data=data, en=1, transparent_for=())
        return data

    def paths(self, kind: type) -> list[str]:
        """Where components of just that class are inside, `submodule/submodule`."""
        found = []

        def visit(fragment: Fragment, path: str) -> None:
            for child, name, _ in fragment.subfragments:
                if child.origins and type(child.origins[0]) is kind:
                    found.append(f"{path}{name}")
                visit(child, f"{path}{name}/")

        visit(self.fragment, "")
        return found

    def places(self, path: str) -> tuple[Value, Value]:
        """Addresses of the first read and the first write port of the memory at that path."""
        memory, _ = self._find(f"{path}/")
        return memory._read_ports[0]._addr, memory._write_ports[0]._addr

    def cut(self, path: str):
        """Take a signal's drivers away, so that the proof can drive it; returns the signal."""
        self.break_it(Fault("cut", path, lambda value, inside: None))
        return self(path)

    def break_it(self, fault: Fault) -> None:
        """Build the fault in. ValueError if nothing drives its signal."""
        fragment, _ = self._find(fault.signal)
        target = self(fault.signal)
        target = target.as_value() if isinstance(target, ValueCastable) else Value.cast(target)
        if fault.reads:
            value = fault.change(target, self)
            assert value is not None
            substitution = _Substitution(target, value)
            substitution.on_tree(self.fragment)
            if not substitution.count:
                raise ValueError(f"the fault {fault.about!r} changes nothing: nobody reads {fault.signal}")
            return
        count = 0

        def changed(statements) -> list:
            nonlocal count
            result = []
            for statement in statements:
                if isinstance(statement, Switch):
                    cases = [(patterns, changed(body), where) for patterns, body, where in statement.cases]
                    statement = Switch(statement.test, cases, src_loc=statement.src_loc)
                elif isinstance(statement, Assign) and _drives(statement.lhs, target):
                    if fault.only in (None, count):
                        value = fault.change(statement.rhs, self)
                        statement = None if value is None else Assign(statement.lhs, value)
                    count += 1
                if statement is not None:
                    result.append(statement)
            return result

        for domain, statements in list(fragment.statements.items()):
            fragment.statements[domain] = type(statements)(changed(statements))
        if count == 0 or (fault.only is not None and fault.only >= count):
            raise ValueError(f"the fault {fault.about!r} changes nothing: {fault.signal} has {count} drivers")

    def _find(self, path: str) -> tuple[Fragment, str]:
        *parents, name = path.split("/")
        fragment = self.fragment
        for parent in parents:
            fragment = fragment.find_subfragment(parent)
        return fragment, name


def _driven(fragment: Fragment, name: str) -> Signal:
    """The one signal of that name that the fragment itself drives."""
    driven = {id(signal): signal for statements in fragment.statements.values() for statement in statements
              for signal in statement._lhs_signals()}
    found = [signal for signal in driven.values() if signal.name == name]
    if len(found) != 1:
        raise KeyError(f"{len(found)} driven signals are called {name!r}; there are "
                       f"{', '.join(sorted({signal.name for signal in driven.values()}))}")
    return found[0]


def _drives(left: Value, target: Value) -> bool:
    """An assignment to `left` drives the target as a whole, or a part of it."""
    while isinstance(left, Slice):
        if isinstance(target, Slice) and left.value is target.value:
            return target.start <= left.start and left.stop <= target.stop
        left = left.value
    return left is target
