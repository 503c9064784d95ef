"""The one interface by which a host reaches an array, and the simulators behind it."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hdl.config import Config

__all__ = [
    "SIMULATORS", "BusError", "PortError", "ProtocolError", "SimulationStats", "SimulatorDied", "ToolMissing",
    "Transport", "TransportError", "TransportTimeout", "fastest_simulator", "open_simulator",
]

SIMULATORS = ("verilator", "icarus", "amaranth")
DEFAULT_TIMEOUT_CYCLES = 100_000_000

_log = logging.getLogger(__name__)


class TransportError(RuntimeError):
    """The host could not do what it was asked with the array; the message says what and why."""


class TransportTimeout(TransportError):
    """The array did not answer or interrupt in the cycles it was given."""


class BusError(TransportError):
    """A register access was answered with an error, or an address lies outside the memory."""


class ProtocolError(TransportError):
    """The array broke a rule of the memory bus."""


class SimulatorDied(TransportError):
    """The simulator ended on its own; the message carries the end of its log."""


class PortError(TransportError):
    """The port that a device is said to be on does not open."""


class ToolMissing(TransportError):
    """A simulator or a compiler is not installed; the message names the package."""


@dataclass
class SimulationStats:
    """How much was simulated."""

    cycles: int = 0            # since reset
    wall_seconds: float = 0.0  # spent in register accesses and waiting, not in moving memory contents

    @property
    def cycles_per_second(self) -> float:
        return self.cycles / self.wall_seconds if self.wall_seconds else 0.0


class Transport(ABC):
    """Memory, registers and the interrupt of one array. A context manager; `close` may be called twice.

    Time passes in the array only during register accesses, `wait_interrupt` and `run_cycles`. The same
    calls take the same cycles on every simulator.
    """

    simulator: str
    """Name of what runs the array."""
    broken: str | None = None
    """Why nothing can be done with it any more but to close it, in words; None while that is not so."""

    def __init__(self, memory_bytes: int):
        self._memory_bytes = memory_bytes
        self.stats = SimulationStats()

    @property
    def memory_bytes(self) -> int:
        """Size of the memory, which begins at address 0."""
        return self._memory_bytes

    def record(self) -> dict[str, Any]:
        """What a job's record is to say of the way to the array, fit for JSON: nothing of a simulator."""
        return {}

    @abstractmethod
    def write_memory(self, address: int, data: Any) -> None:
        """Put bytes, or an array's bytes in C order, at any address. BusError outside the memory."""

    @abstractmethod
    def read_memory(self, address: int, length: int) -> bytes:
        """`length` bytes from any address. BusError outside the memory."""

    @abstractmethod
    def write_register(self, address: int, value: int) -> None:
        """Write a 32-bit register. BusError when refused, TransportTimeout when not answered."""

    @abstractmethod
    def read_register(self, address: int) -> int:
        """Read a 32-bit register. BusError when refused, TransportTimeout when not answered."""

    @abstractmethod
    def wait_interrupt(self, timeout_cycles: int = DEFAULT_TIMEOUT_CYCLES) -> None:
        """Return as soon as the interrupt is high; TransportTimeout when it stays low too long."""

    @abstractmethod
    def run_cycles(self, cycles: int) -> None:
        """Let time pass."""

    @abstractmethod
    def close(self) -> None:
        """End the simulator and remove its files."""

    def __enter__(self) -> "Transport":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # ---- for the implementations ----

    def _check_range(self, address: int, length: int) -> None:
        if address < 0 or length < 0 or address + length > self._memory_bytes:
            raise BusError(f"{length} bytes at address {address:#x} are outside the memory of "
                           f"{self._memory_bytes:#x} bytes")

    @contextmanager
    def _timed(self) -> Iterator[None]:
        before = time.perf_counter()
        try:
            yield
        finally:
            self.stats.wall_seconds += time.perf_counter() - before


def open_simulator(name: str, config: Config, *, memory_bytes: int, latency_cycles: int = 32,
                   gaps: float = 0.0, seed: int = 0, design: Callable[[Config], Any] | None = None,
                   report: Callable[[str], None] | None = None) -> Transport:
    """Simulate an array of this configuration with a memory, out of reset.

    Parameters
    ----------
    name : "verilator", "icarus", "amaranth", or "auto": Verilator where it and a C++ compiler are installed,
        Amaranth's own simulator elsewhere
    memory_bytes : size of the memory, up to 2 GiB
    latency_cycles : of the memory, 2 to 65535
    gaps : chance that a channel of the memory is closed in a cycle, 0 to 0.95
    seed : of these gaps
    design : makes another component with the members of hdl.top.Top in its place
    report : is told in words what takes long and what was chosen; otherwise the log is

    Raises ValueError for a parameter out of range, ToolMissing when the simulator is not installed.
    """
    from .harness_top import default_design
    from .memory import MIN_LATENCY_CYCLES, gap_threshold

    report = report or _log.info
    if not 1 <= memory_bytes <= 1 << 31:
        raise ValueError(f"memory_bytes = {memory_bytes}; it must be 1 to {1 << 31}")
    if not MIN_LATENCY_CYCLES <= latency_cycles < 1 << 16:
        raise ValueError(f"latency_cycles = {latency_cycles}; it must be {MIN_LATENCY_CYCLES} to 65535")
    # Whole words, so that the memory ends where the model's bounds check does.
    memory_bytes = -(-memory_bytes // config.port_bytes) * config.port_bytes
    settings = {
        "latency_cycles": latency_cycles,
        "gap_threshold": gap_threshold(gaps),
        "seed": seed & 0xFFFF_FFFF,
        "limit_words": memory_bytes // config.port_bytes,
    }
    if name == "auto":
        name = fastest_simulator(report)
    if name == "amaranth":
        from .amaranth_transport import AmaranthTransport

        return AmaranthTransport(config, memory_bytes, settings, design or default_design)
    if name in ("verilator", "icarus"):
        from .cocotb_transport import CocotbTransport

        return CocotbTransport(name, config, memory_bytes, settings, design or default_design, report)
    raise ValueError(f"simulator {name!r}; it must be auto, {', '.join(SIMULATORS)}")


def fastest_simulator(report: Callable[[str], None] = lambda text: None) -> str:
    """What `auto` is here; `report` is told why, if it is a slow one."""
    from .tools import check_tools

    try:
        check_tools("verilator")
    except ToolMissing as error:
        report(f"Using Amaranth's own simulator, some hundred times slower than Verilator: {error}")
        return "amaranth"
    return "verilator"
