"""What the transports to simulated systems share: commands of the host port and whole-word memory access."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from hdl.config import Config

from .host_port import ACCESS_TIMEOUT_CYCLES, HostCommand
from .memory import VIOLATIONS
from .memory_faults import MemoryFaults
from .transport import (
    DEFAULT_TIMEOUT_CYCLES,
    BusError,
    ProtocolError,
    Transport,
    TransportError,
    TransportTimeout,
)

__all__ = ["HostTransport"]

_MAX_COMMAND_CYCLES = 1 << 31


class HostTransport(Transport):
    """A transport to `HarnessTop`.

    Parameters
    ----------
    config : Config
    memory_bytes : a multiple of port_bytes
    """

    def __init__(self, config: Config, memory_bytes: int):
        super().__init__(memory_bytes)
        self._word_bytes = config.port_bytes

    # ---- what an implementation adds ----

    @abstractmethod
    def _run(self, kind: int, address: int, data: int) -> dict[str, int]:
        """Run one HostCommand; result, response, timed_out, cycles and violation after it."""

    @abstractmethod
    def _set(self, values: dict[str, int]) -> None:
        """Set inputs of MemoryModel, by name."""

    @abstractmethod
    def _write_words(self, first: int, data: bytes) -> None:
        """Put whole words, little endian, at word `first`; `data` is not empty."""

    @abstractmethod
    def _read_words(self, first: int, count: int) -> bytes:
        """`count` words, at least one, from word `first`."""

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """What is broken off within leaves the simulator somewhere in a command, from where nothing leads on:
        it is closed, and `broken` says why."""
        try:
            yield
        except TransportError:
            raise
        except BaseException as error:
            self.broken = (f"the {self.simulator} simulator was closed, as a command to it was broken off "
                           f"({type(error).__name__})")
            self._end_now()
            raise

    def _end_now(self) -> None:
        """Close without waiting for the command that runs."""
        self.close()

    def _closed_error(self) -> TransportError:
        return TransportError(self.broken or f"the {self.simulator} transport is closed")

    # ---- faults ----

    def inject(self, faults: MemoryFaults | None) -> None:
        """Let the memory go wrong from now on, counting from here; None: no more."""
        self._set({"fault_armed": 0, "fault_frozen": 0})
        self.run_cycles(1)
        if faults is not None:
            self._set(faults.settings(self._word_bytes))

    # ---- memory ----

    def write_memory(self, address: int, data: Any) -> None:
        if isinstance(data, np.ndarray):
            data = np.ascontiguousarray(data).tobytes()
        else:
            data = bytes(data)
        self._check_range(address, len(data))
        if not data:
            return
        size = self._word_bytes
        before, after = address % size, -(address + len(data)) % size
        first = address // size
        if before:
            data = self._read_words(first, 1)[:before] + data
        if after:
            data += self._read_words(first + len(data) // size, 1)[-after:]
        self._write_words(first, data)

    def read_memory(self, address: int, length: int) -> bytes:
        self._check_range(address, length)
        if not length:
            return b""
        size = self._word_bytes
        first, last = address // size, (address + length - 1) // size
        return self._read_words(first, last - first + 1)[address % size:][:length]

    # ---- registers, interrupt, time ----

    def _command(self, kind: Any, address: int = 0, data: int = 0) -> dict[str, int]:
        with self._timed():
            answer = self._run(kind.value, address, data)
        self.stats.cycles = answer["cycles"]
        if answer["violation"]:
            broken = "; ".join(text for bit, text in enumerate(VIOLATIONS) if answer["violation"] >> bit & 1)
            raise ProtocolError(f"the array broke a rule of the memory bus: {broken}")
        return answer

    def _access(self, kind: Any, address: int, data: int = 0) -> int:
        what = f"register {address:#x}, {kind.name.lower()}"
        answer = self._command(kind, address, data)
        if answer["timed_out"]:
            raise TransportTimeout(f"{what}: no answer in {ACCESS_TIMEOUT_CYCLES} cycles")
        if answer["response"]:
            raise BusError(f"{what}: answered with error {answer['response']}")
        return answer["result"]

    def write_register(self, address: int, value: int) -> None:
        if not 0 <= value < 1 << 32:
            raise ValueError(f"register {address:#x}, value = {value}; it must fit in 32 bits, unsigned")
        self._access(HostCommand.WRITE, address, value)

    def read_register(self, address: int) -> int:
        return self._access(HostCommand.READ, address)

    def wait_interrupt(self, timeout_cycles: int = DEFAULT_TIMEOUT_CYCLES) -> None:
        self._check_cycles("timeout_cycles", timeout_cycles)
        if self._command(HostCommand.WAIT, data=timeout_cycles)["timed_out"]:
            raise TransportTimeout(f"no interrupt in {timeout_cycles} cycles")

    def run_cycles(self, cycles: int) -> None:
        self._check_cycles("cycles", cycles)
        self._command(HostCommand.RUN, data=cycles)

    def _check_cycles(self, name: str, value: int) -> None:
        if not 0 <= value < _MAX_COMMAND_CYCLES:
            raise ValueError(f"{name} = {value}; it must be 0 to {_MAX_COMMAND_CYCLES - 1}")
