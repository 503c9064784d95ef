"""The words in which the program of a serial array is written."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .descriptor import DESCRIPTOR_FIELDS, field_number
from .descriptor_check import NOT_A_FIELD
from .registers import ErrorCode
from .serial_code import Assembler, Event, Op, Register, Source

__all__ = ["ALIGNED", "FIELDS", "ProgramWriter", "code_of", "field_mask"]

FIELDS = {field.name: field for field in DESCRIPTOR_FIELDS}
ALIGNED = -4
"""A mask for addresses: of the beat."""


class ProgramWriter:
    """Instructions by what they are about: a number is a constant, a descriptor's field its word, any other
    name a variable."""

    def __init__(self) -> None:
        self.code = Assembler()
        self._refusals: dict[int, str] = {}
        self._names = 0

    def _place(self, what: int | str) -> int:
        if isinstance(what, int):
            return self.code.constant(what)
        return FIELDS[what].word if what in FIELDS else self.code.variable(what)

    def load(self, what: int | str | Source) -> None:
        self._alu(Op.LOAD, Op.LOAD_FROM, what)

    def add(self, what: int | str | Source) -> None:
        self._alu(Op.ADD, Op.ADD_FROM, what)

    def subtract(self, what: int | str | Source) -> None:
        self._alu(Op.SUBTRACT, Op.SUBTRACT_FROM, what)

    def keep(self, mask: int) -> None:
        """Those bits of the accumulator."""
        self.code.do(Op.AND, self.code.constant(mask))

    def _alu(self, inside: Op, outside: Op, what: int | str | Source) -> None:
        if isinstance(what, Source):
            self.code.do(outside, what)
            return
        place = self._place(what)
        if self.code.stores_last(place):
            if inside is Op.LOAD and not self.code.is_labelled():
                return      # the accumulator holds it
            self.keep(-1)
        self.code.do(inside, place)

    def store(self, name: str) -> None:
        self.code.do(Op.STORE, self._place(name))

    def copy(self, what: int | str | Source, *names: str) -> None:
        self.load(what)
        for name in names:
            self.store(name)

    def set(self, register: Register, what: int | str | Source | None = None) -> None:
        if what is not None:
            self.load(what)
        self.code.do(Op.SET, register)

    def event(self, event: Event) -> None:
        self.code.do(Op.EVENT, event)

    def go(self, op: Op, place: str) -> None:
        self.code.do(op, place)

    def label(self, name: str) -> None:
        self.code.label(name)

    def new_label(self) -> str:
        self._names += 1
        return f"place {self._names}"

    def serve(self) -> None:
        self.code.do(Op.SERVE)

    def flags(self, *names: str) -> None:
        """The accumulator is those bits of the descriptor's first word."""
        self.load("opcode")
        self.keep(field_mask(*names))

    @contextmanager
    def where(self, *names: str) -> Iterator[None]:
        """What is written inside is skipped where none of those bits is set."""
        over = self.new_label()
        self.flags(*names)
        self.go(Op.JUMP_ZERO, over)
        yield
        self.label(over)

    def refuse_within_beat(self, name: str) -> None:
        """That field must be the address of a beat, or so many whole ones."""
        self.load(name)
        self.keep(~ALIGNED)
        self.refuse(Op.JUMP_NONZERO, name)

    def refuse(self, op: Op, name: str, code: ErrorCode = ErrorCode.FIELD) -> None:
        """If the jump is taken, the job ends, and that field is to blame."""
        detail = NOT_A_FIELD if name == "registers" else field_number(name)
        why = code | detail << 8
        self.go(op, self._refusals.setdefault(why, f"refuse {why}"))

    def refusals(self) -> None:
        for why, name in self._refusals.items():
            self.label(name)
            self.load(why)
            self.go(Op.JUMP, "refuse")


def code_of(member: Any) -> int:
    return member.value


def field_mask(*names: str) -> int:
    fields = [FIELDS[name] for name in names]
    return sum(((1 << field.bits) - 1) << field.offset for field in fields)
