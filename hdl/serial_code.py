"""What the sequencer of a serial array understands: the one contract between it and its program."""

from dataclasses import dataclass, field
from enum import IntEnum

__all__ = [
    "CODE_BITS",
    "LOG_WORDS",
    "LOOKS",
    "VECTOR_WORDS",
    "WORDS",
    "Assembler",
    "CodeError",
    "Event",
    "Op",
    "Program",
    "Register",
    "Request",
    "Source",
    "Stream",
]

CODE_BITS = 16
PLACE_BITS = 10
WORDS = 1 << PLACE_BITS
"""Words of a program."""

MEMORY_WORDS = 256
CONSTANTS = 128
"""Words of the sequencer's memory, and which of them is the first constant: nothing is written from there
on."""

VECTOR_WORDS = 16
"""Request r is served from word r * VECTOR_WORDS of the program on."""

OP_SHIFT = 11
INDIRECT = 1 << 8
"""Added to a memory address: that of the log of what the fault is about."""

SLOT_BITS = 2
OUTSTANDING = 1 << SLOT_BITS
"""Bursts of a stream, at most."""

LOG_BASE = 32
LOG_WORDS = 32
"""Of the sequencer's memory, behind the descriptor: the addresses of each stream's last bursts, that of burst
b of stream s in word 8 · (b mod OUTSTANDING) + s."""


class Op(IntEnum):
    """An instruction's upper bits; below them is an address, a place in the program or a number.

    LOAD to MULTIPLY change the accumulator, with a word of the memory, those with _FROM with a Source.
    MULTIPLY is for an accumulator of zero. SUBTRACT, ADD and MULTIPLY leave a carry: an unsigned difference
    below zero, a sum or product that does not fit.
    """

    LOAD = 0
    ADD = 1
    SUBTRACT = 2
    AND = 3
    MULTIPLY = 4         # with what FACTOR was given
    LOAD_FROM = 8
    ADD_FROM = 9
    SUBTRACT_FROM = 10
    AND_FROM = 11
    JUMP = 16
    JUMP_ZERO = 17       # the accumulator is zero
    JUMP_NONZERO = 18
    JUMP_CARRY = 19
    CALL = 20            # remembers one place
    RETURN = 21
    JUMP_SPLIT = 22      # the last burst is shorter than its LIMIT
    SERVE = 23           # waits for a request, and goes to what serves it
    STORE = 24
    SET = 25             # a Register
    READ = 26            # asks for a burst for a Stream, from the accumulator's address on
    WRITE = 27           # announces a burst
    LIMIT = 28           # so many bytes, a multiple of 4 and not 0, is a burst to have at most
    WANT = 29            # a Stream wants bursts, if the accumulator is not zero
    EVENT = 30
    FACTOR = 31


LOOKS = 1 << 3
"""Added to READ's stream: the burst waits until there is room. SERVE has seen to that, and another wait for
it could be one for ever: what is in the queues may be waiting for another stream."""


class Stream(IntEnum):
    """Streams of words from and to memory, and the ids of bursts that are read."""

    RESULTS = 0
    VALUES = 1      # also descriptors and B
    INDICES = 2
    POINTERS = 3
    EARLIER = 4     # sums
    PARAMETERS = 5


class Request(IntEnum):
    """What SERVE waits for, the first one first; a stream that has room and wants a burst has its number."""

    RESULT = 0      # a row of sums waits to be written
    END = 6         # the rows, or the rows of B, are done
    START = 7       # a job


class Source(IntEnum):
    """What comes from outside the sequencer."""

    VALUES = 0      # the next word of that stream, which is waited for and taken
    DESCRIPTOR = 1
    COUNT = 2
    READ_BASE = 3
    READ_LAST = 4
    WRITE_BASE = 5
    WRITE_LAST = 6
    NEWS = 7        # NEWS_*, and bytes of the last burst


class Register(IntEnum):
    """What SET sets outside the sequencer; of the accumulator as many bits as there are."""

    MODE = 0            # the descriptor's first word
    COLUMN_START = 1
    COLUMNS = 2
    K_COUNT = 3
    N_COUNT = 4
    ENTRY = 5           # number of the next entry of A
    VALUE_OFFSET = 6    # byte of the first beat of values
    VALUE_STEP = 7      # by which that moves from row to row
    INDEX_OFFSET = 8    # byte of the first beat of indices
    WRITE_OFFSET = 9    # byte of the first beat of a row that is written
    SCALE = 10
    ROWS = 11           # less one
    RUNS_ON = 12        # the lowest bit: rows of values follow each other without a gap
    WHY = 13            # ErrorCode, and from bit 8 on `detail`


class Event(IntEnum):
    """What EVENT makes happen, in its cycle."""

    LOAD = 0        # rows of B come
    RUN = 1         # rows of A come
    ROW = 2         # a row of results is about to be written
    COMPLETED = 3   # a descriptor
    FINISHED = 4    # the job
    REPORT = 5      # the accumulator is the error's address
    CLEAR = 6       # queues are emptied
    TAKEN = 7       # the job is


NEWS_LAST_BITS = 7   # bytes of the last burst, below that
NEWS_TAKEN_BITS = 10 # instead where a pointer or an index is wrong: bytes of words before it, modulo 1024
NEWS_NUMBER = 8      # of the stream that another fault is about, 3 bits; above it which of its bursts
NEWS_READ_ERROR, NEWS_WRITE_ERROR, NEWS_BLOCKED, NEWS_POINTER, NEWS_INDEX = (
    1 << bit for bit in range(16, 21))


class CodeError(ValueError):
    """A program that the sequencer would not run as it is meant."""


@dataclass(frozen=True)
class Program:
    """Words of a program, those of the memory that never change, from CONSTANTS on, and the places that the
    sequencer must know."""

    words: list[int]
    constants: list[int]
    first: int
    trap: int


@dataclass
class Assembler:
    """Collects instructions; names stand for places of the program and for words of the memory.

    An instruction that reads a word of the memory may not follow the one that stores it: CodeError.
    """

    _code: list[tuple[Op, "int | str"]] = field(default_factory=list)
    _labels: dict[str, int] = field(default_factory=dict)
    _variables: dict[str, int] = field(default_factory=dict)
    _constants: dict[int, int] = field(default_factory=dict)
    _next_variable: int = LOG_BASE + LOG_WORDS

    def at(self, place: int) -> None:
        """What follows is there."""
        if place < len(self._code):
            raise CodeError(f"word {place} of the program is taken: {len(self._code)} words are before it")
        while len(self._code) < place:
            self._code.append((Op.JUMP, "nowhere"))

    def label(self, name: str) -> None:
        if name in self._labels:
            raise CodeError(f"the place {name!r} is there twice")
        self._labels[name] = len(self._code)

    def is_labelled(self) -> bool:
        """The place of the next instruction has a name: it may be jumped to."""
        return len(self._code) in self._labels.values()

    def stores_last(self, address: int) -> bool:
        """The instruction before the next one stores that word: it cannot be read yet."""
        return bool(self._code) and self._code[-1] == (Op.STORE, address)

    def do(self, op: Op, argument: "int | str" = 0) -> None:
        value = argument if isinstance(argument, str) else int(argument)
        if op <= Op.MULTIPLY and isinstance(value, int) and self.stores_last(value):
            raise CodeError(f"{op.name} of the word that the instruction before it stores, in place "
                            f"{len(self._code)}")
        self._code.append((op, value))

    def variable(self, name: str) -> int:
        """Address of the memory's word of that name."""
        if name not in self._variables:
            self._variables[name] = self._next_variable
            self._next_variable += 1
        return self._variables[name]

    def constant(self, value: int) -> int:
        """Address of a word that holds `value`."""
        value &= (1 << 32) - 1
        return self._constants.setdefault(value, CONSTANTS + len(self._constants))

    def program(self, first: str, trap: str) -> Program:
        """CodeError if it is too long, or has a name for no place."""
        if len(self._code) > WORDS:
            raise CodeError(f"the program has {len(self._code)} words; {WORDS} are the most")
        if self._next_variable > CONSTANTS or len(self._constants) > MEMORY_WORDS - CONSTANTS:
            raise CodeError(f"the program has {self._next_variable} words of variables, {CONSTANTS} are the "
                            f"most, and {len(self._constants)} constants, of {MEMORY_WORDS - CONSTANTS}")
        places = self._labels | {"nowhere": self._labels[trap]}
        words = []
        for number, (op, argument) in enumerate(self._code):
            if isinstance(argument, str) and argument not in places:
                raise CodeError(f"word {number} of the program: there is no place {argument!r}")
            value = places[argument] if isinstance(argument, str) else argument
            words.append(op << OP_SHIFT | value)
        return Program(words, list(self._constants), places[first], places[trap])
