"""A board on a serial line, behind the interface that the simulators have."""

import errno
import os
import random
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from sim.transport import (
    DEFAULT_TIMEOUT_CYCLES,
    BusError,
    PortError,
    ToolMissing,
    Transport,
    TransportError,
    TransportTimeout,
)

from .protocol import (
    IRQ_BIT,
    MAX_WORDS,
    PROTOCOL_VERSION,
    SYNC_ANSWER,
    SYNC_COMMAND,
    Info,
    Operation,
    Status,
    crc,
)
from .system import GAP_SECONDS

__all__ = ["DEFAULT_BAUD", "SerialTransport"]

DEFAULT_BAUD = 1_000_000
_BITS_A_BYTE = 10
_FRAME_BYTES = 12 + 4 * MAX_WORDS
_ANSWER_SECONDS = 0.25   # beyond the time on the line: adapters hold bytes back for up to 16 ms
_TRIES = 5
_POLL_SECONDS = 0.01


class SerialTransport(Transport):
    """Speaks synth.boards.protocol; every command is answered, or repeated, or given up with an error.

    Parameters
    ----------
    port : of the operating system, as "/dev/ttyUSB0" or "COM3"; nobody else has it until `close`
    baud : of the line
    slowness : multiplies all times to wait, for a board that is simulated
    report : is told of commands that had to be repeated

    Attributes
    ----------
    repeated : commands that were sent again, of all since the port was opened
    clock_hz : of the board's array

    Raises ToolMissing (pyserial), TransportTimeout where no board answers or its cycles stand still,
    PortError where the port does not open, is in use or is no serial port, TransportError where the board
    speaks another version of the protocol or begins anew while it is waited for.
    """

    simulator = "board"

    def __init__(self, port: str, baud: int = DEFAULT_BAUD, *, slowness: float = 1.0,
                 report: Callable[[str], None] = lambda text: None):
        try:
            import serial
        except ImportError:
            raise ToolMissing("a serial line needs pyserial: pip install 'zerolane[board]'") from None
        self._port, self._slowness, self._report = port, slowness, report
        self._line_seconds = _FRAME_BYTES * _BITS_A_BYTE / baud
        self.repeated = 0
        try:
            # Of two hosts on one line each would take bytes of the other's answers.
            self._serial: Any = serial.Serial(port, baud, timeout=0, write_timeout=10 * slowness,
                                              exclusive=True)
        except (OSError, ValueError) as error:
            raise PortError(_why_closed(port, error)) from error
        self._sequence = random.randrange(256)
        self._irq = False
        self._wrong_words: int | None = None
        self._heard = 0
        try:
            # What is left in the board of an earlier host's command ends with the gap.
            time.sleep(1.5 * GAP_SECONDS * slowness)
            self._serial.reset_input_buffer()
            info = self._info()
        except BaseException:
            self._serial.close()
            raise
        self.clock_hz = info[Info.CLOCK_HZ]
        super().__init__(info[Info.MEMORY_BYTES])

    # ---- frames ----------------------------------------------------------------------------------

    def _command(self, operation: Operation, address: int, words: int,
                 data: Sequence[int] | bytes = b"") -> list[int]:
        """One command, repeated where no good answer comes; the words of its answer."""
        if self._serial is None:
            raise TransportError("the serial transport is closed")
        self._sequence = (self._sequence + 1) & 0xFF
        body = struct.pack("<BBBI", self._sequence, operation, words, address) + bytes(data)
        frame = bytes([SYNC_COMMAND]) + body + struct.pack(">H", crc(body))
        self._wrong_words, self._heard = None, 0
        for attempt in range(_TRIES):
            if attempt:
                self.repeated += 1
                self._report(f"no good answer from {self._port}, command {operation.name} again: "
                             f"try {attempt + 1} of {_TRIES}")
                # The board must have dropped the rest of a damaged command before it hears the next.
                time.sleep(2 * GAP_SECONDS * self._slowness)
            answer = self._exchange(frame, operation, words)
            if answer is not None:
                status, values = answer
                break
        else:
            raise TransportTimeout(self._why_unanswered(operation, words))
        self._irq = bool(status >> IRQ_BIT)
        outcome = _outcome(status)
        if outcome != Status.OK:
            name = Status(outcome).name if outcome in tuple(Status) else str(outcome)
            raise BusError(f"{operation.name} of {words} words at {address:#x}: the board answered {name}")
        return values

    def _why_unanswered(self, operation: Operation, words: int) -> str:
        if self._wrong_words is not None:
            return (f"the board on {self._port} gave no good answer to {operation.name} in {_TRIES} tries: "
                    f"{self._wrong_words} words in place of {_words_back(operation, words)}; does its "
                    "bitstream hold this protocol?")
        if self._heard:
            return (f"the board on {self._port} gave no good answer to {operation.name} in {_TRIES} tries, "
                    f"though {self._heard} bytes came; is it this board's port, and does its bitstream hold "
                    f"this protocol, at {self._serial.baudrate:,} baud?")
        return (f"the board on {self._port} gave no answer to {operation.name} in {_TRIES} tries; is it on, "
                "is it this board's port, does its bitstream hold this protocol?")

    @property
    def _answer_seconds(self) -> float:
        """In which an answer comes, if one does."""
        return (2 * self._line_seconds + _ANSWER_SECONDS) * self._slowness

    def _exchange(self, frame: bytes, operation: Operation, words: int) -> tuple[int, list[int]] | None:
        """Send once; status and words, or None without a good answer in time."""
        try:
            self._serial.write(frame)
            received = bytearray()
            end = time.monotonic() + self._answer_seconds
            while time.monotonic() < end:
                fresh = self._serial.read(4096)
                if not fresh:
                    time.sleep(0.0005)
                    continue
                received += fresh
                self._heard += len(fresh)
                answer = self._find_answer(received, operation, words)
                if answer is not None:
                    return answer
        except OSError as error:
            raise TransportError(f"serial port {self._port}: {error}") from error
        return None

    def _find_answer(self, received: bytearray, operation: Operation,
                     asked: int) -> tuple[int, list[int]] | None:
        """The answer to the command now on its way, wherever it begins in what came. One with another number
        of words than were asked for is as bad as a damaged one."""
        for start in range(len(received) - 5):
            if received[start] != SYNC_ANSWER or received[start + 1] != self._sequence:
                continue
            words = received[start + 3]
            end = start + 4 + 4 * words
            if words > MAX_WORDS or len(received) < end + 2:
                continue
            body = bytes(received[start + 1:end])
            if crc(body) != struct.unpack(">H", received[end:end + 2])[0]:
                continue
            status, values = body[1], list(struct.unpack(f"<{words}I", body[3:]))
            # What another version's INFO holds is that version's matter; its first word tells it.
            other = operation == Operation.INFO and values[:1] not in ([], [PROTOCOL_VERSION])
            if words == _words_back(operation, asked) or other or _outcome(status) != Status.OK:
                return status, values
            self._wrong_words = words
        return None

    def _info(self) -> list[int]:
        """The words of `Info`; TransportError for those of another version."""
        info = self._command(Operation.INFO, 0, len(Info))
        if info[Info.VERSION] != PROTOCOL_VERSION:
            raise TransportError(
                f"the board on {self._port} speaks version {info[Info.VERSION]} of the protocol, this host "
                f"version {PROTOCOL_VERSION}; build its bitstream anew")
        return info

    # ---- the interface -----------------------------------------------------------------------------

    def write_memory(self, address: int, data: Any) -> None:
        data = np.ascontiguousarray(data).tobytes() if isinstance(data, np.ndarray) else bytes(data)
        self._check_range(address, len(data))
        if not data:
            return
        before, after = address % 4, -(address + len(data)) % 4
        if before:
            data = self.read_memory(address - before, before) + data
        if after:
            data += self.read_memory(address - before + len(data), after)
        for start in range(0, len(data), 4 * MAX_WORDS):
            piece = data[start:start + 4 * MAX_WORDS]
            self._command(Operation.WRITE_MEMORY, address - before + start, len(piece) // 4, piece)

    def read_memory(self, address: int, length: int) -> bytes:
        self._check_range(address, length)
        first, end = address // 4 * 4, -(-(address + length) // 4) * 4
        found = bytearray()
        for start in range(first, end, 4 * MAX_WORDS):
            words = min(MAX_WORDS, (end - start) // 4)
            found += struct.pack(f"<{words}I", *self._command(Operation.READ_MEMORY, start, words))
        return bytes(found[address - first:][:length])

    def write_register(self, address: int, value: int) -> None:
        if not 0 <= value < 1 << 32:
            raise ValueError(f"register {address:#x}, value = {value}; it must fit in 32 bits, unsigned")
        with self._timed():
            self._command(Operation.WRITE_REGISTER, address, 1, struct.pack("<I", value))

    def read_register(self, address: int) -> int:
        with self._timed():
            return self._command(Operation.READ_REGISTER, address, 1)[0]

    def wait_interrupt(self, timeout_cycles: int = DEFAULT_TIMEOUT_CYCLES) -> None:
        with self._timed():
            for passed in self._passing():
                if self._irq:
                    return
                if passed > timeout_cycles:
                    raise TransportTimeout(
                        f"the board on {self._port} gave no interrupt in {timeout_cycles} cycles")

    def run_cycles(self, cycles: int) -> None:
        with self._timed():
            for passed in self._passing():
                if passed >= cycles:
                    return

    def _passing(self) -> Iterator[int]:
        """The cycles that have passed, again and again. A board whose cycles do not go on ends it: what waits
        for them would have no end."""
        start = last = self._now()
        moved = time.monotonic()
        while True:
            yield last - start
            time.sleep(_POLL_SECONDS)
            now, seconds = self._now(), time.monotonic() - moved
            if now < last:
                raise TransportError(f"the board on {self._port} began anew while it was waited for: its "
                                     f"cycles went from {last:,} to {now:,}; was it reset or loaded?")
            if now > last:
                last, moved = now, time.monotonic()
            elif seconds > self._answer_seconds:
                raise TransportTimeout(f"the board on {self._port} answers, but its cycles have stood still "
                                       f"at {last:,} for {seconds:.2g} s; load its bitstream anew")

    def _now(self) -> int:
        """The board's cycles since its reset; looks at the interrupt, too."""
        info = self._info()
        self.stats.cycles = info[Info.CYCLES_HIGH] << 32 | info[Info.CYCLES_LOW]
        return self.stats.cycles

    def record(self) -> dict[str, Any]:
        """Port, clock, and how many commands were repeated since it was opened."""
        return {"port": self._port, "clock_hz": self.clock_hz, "repeated": self.repeated}

    def close(self) -> None:
        if self._serial is not None:
            self._serial.close()
            self._serial = None


def _outcome(status: int) -> int:
    return status & ~(1 << IRQ_BIT)


def _words_back(operation: Operation, words: int) -> int:
    """Of the answer to a command that is done."""
    return 0 if operation in (Operation.WRITE_REGISTER, Operation.WRITE_MEMORY) else words


def _why_closed(port: str, error: OSError | ValueError) -> str:
    """Why a port does not open. pyserial's words have the port in them, and the system's words in those: the
    number alone says it once."""
    number = getattr(error, "errno", None)
    if number is None and isinstance(error, OSError) and error.__context__ is not None:
        number = next((value for value in error.__context__.args[:1] if isinstance(value, int)), None)
    if number in (errno.EAGAIN, errno.EBUSY):
        return f"serial port {port} is in use by another process"
    if number in (errno.ENOTTY, errno.EISDIR):
        return f"{port} is no serial port"
    return f"serial port {port} does not open: {error if number is None else os.strerror(number)}"
