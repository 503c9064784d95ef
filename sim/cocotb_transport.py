"""The simulated system on Verilator or Icarus: a subprocess that serves commands of the host."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hdl.config import Config

from .harness_top import Design, default_design, depth_for, harness_verilog
from .host_transport import HostTransport
from .runner import Model, build_model, start_command, tail
from .storage import DUMP_FILE, LOAD_FILE
from .transport import SimulatorDied

__all__ = ["CocotbTransport", "build_system"]

_HERE = Path(__file__).parent
_SOURCES = (_HERE / "bench.v", _HERE / "storage.v", _HERE / "bench.vlt")
_TOPLEVEL = "zerolane_bench"
_SERVER = "sim.benches.server_bench"
_MIN_BUILD_BYTES = {"verilator": 16 << 20, "icarus": 64 << 10}
"""Storage is never built smaller: one model then serves many memory sizes."""
_END_SECONDS = 3.0


def build_system(simulator: str, config: Config, memory_bytes: int, design: Design = default_design, *,
                 extra_options: Sequence[str] = (),
                 report: Callable[[str], None] | None = None) -> Model:
    """The model of bench.v around an array; parameters as CocotbTransport, and options of Verilator."""
    depth_words = depth_for(config, max(memory_bytes, _MIN_BUILD_BYTES[simulator]))
    return build_model(simulator, (*_SOURCES, *getattr(design, "sources", ())), _TOPLEVEL, report=report,
                       generated={"harness.v": harness_verilog(config, depth_words, design)},
                       extra_options=extra_options)


class CocotbTransport(HostTransport):
    """A simulator process, spoken to over a socket pair; memory contents move by files.

    Parameters
    ----------
    simulator : "verilator" or "icarus"
    config, memory_bytes : as HostTransport
    settings : inputs of MemoryModel
    design : makes the array; its `sources`, if any, are Verilog files that it needs
    report : is told before something takes long

    Raises ToolMissing, BuildFailed, SimulatorDied.
    """

    def __init__(self, simulator: str, config: Config, memory_bytes: int, settings: dict[str, int],
                 design: Design = default_design, report: Callable[[str], None] | None = None):
        super().__init__(config, memory_bytes)
        self.simulator = simulator
        model = build_system(simulator, config, memory_bytes, design, report=report)
        self.directory = Path(tempfile.mkdtemp(prefix="zerolane-"))
        self._log = self.directory / "simulator.log"
        ours, theirs = socket.socketpair()
        their_lifeline, lifeline = os.pipe()
        self._lines = ours.makefile("rwb")
        try:
            self.process = self._start(model, theirs.fileno(), their_lifeline)
        except BaseException:
            os.close(lifeline)
            shutil.rmtree(self.directory, ignore_errors=True)
            raise
        finally:
            theirs.close()
            os.close(their_lifeline)
        self._finalizer = weakref.finalize(self, _end, self.process, ours, self._lines, lifeline,
                                           self.directory)
        self._set(settings)

    def _start(self, model: Model, their_end: int, their_lifeline: int) -> subprocess.Popen:
        command, environment = start_command(model, _SERVER, self.directory, extra_env={
            "ZEROLANE_SOCKET": str(their_end), "ZEROLANE_LIFELINE": str(their_lifeline)})
        with open(self._log, "w") as log:
            # A session of its own: Ctrl-C reaches the host alone, which then ends the simulator.
            return subprocess.Popen(command, cwd=self.directory, env=environment, stdout=log,
                                    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                    pass_fds=[their_end, their_lifeline], start_new_session=True)

    def close(self) -> None:
        self._finalizer()

    def _request(self, **request: object) -> dict[str, int]:
        if not self._finalizer.alive:
            raise self._closed_error()
        with self._whole():
            try:
                self._lines.write(json.dumps(request).encode() + b"\n")
                self._lines.flush()
                line = self._lines.readline()
            except ConnectionError:
                line = b""
            if not line:
                raise self._died()
            return json.loads(line)

    def _end_now(self) -> None:
        self.process.kill()
        self.close()

    def _died(self) -> SimulatorDied:
        try:
            code = self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            how = "stopped answering"
        else:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return SimulatorDied(f"the {self.simulator} simulator {how}; the end of its log:\n{tail(self._log)}")

    def _run(self, kind: int, address: int, data: int) -> dict[str, int]:
        return self._request(op="run", kind=kind, address=address, data=data)

    def _set(self, values: dict[str, int]) -> None:
        self._request(op="settings", values=values)

    def _write_words(self, first: int, data: bytes) -> None:
        # Highest byte first, as a hexadecimal number is written; words of the file are then in reverse.
        text = data[::-1].hex("\n", self._word_bytes).split("\n")
        text.reverse()
        (self.directory / LOAD_FILE).write_text(f"@{first:x}\n" + "\n".join(text) + "\n")
        self._request(op="load")

    def _read_words(self, first: int, count: int) -> bytes:
        self._request(op="dump", first=first, last=first + count - 1)
        text = (self.directory / DUMP_FILE).read_text()
        # Icarus begins with a comment.
        lines = [line for line in text.split("\n") if line and line[0] not in "/@"]
        lines.reverse()
        return bytes.fromhex("".join(lines))[::-1]


def _end(process: subprocess.Popen, ours: socket.socket, lines: Any, lifeline: int,
         directory: Path) -> None:
    """End the simulator, whatever state it is in, and leave nothing behind."""
    for closable in (lines, ours):
        with contextlib.suppress(OSError):
            closable.close()
    try:
        process.wait(_END_SECONDS if process.poll() is None else 0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    os.close(lifeline)
    shutil.rmtree(directory, ignore_errors=True)
