"""Jobs written down: everything a host asked of a simulated system, and every answer it got.

A recording is a list of steps, each a list that JSON can hold:

    ["label", name]                          the job that begins here
    ["set", {pin: value}]                    pins of zerolane_bench or, by their path, of what is below
    ["load", text]                           words of memory, as memory_load.hex has them
    ["dump", first, last, digest]            words of memory and what they were
    ["run", kind, address, data, answer]     a HostCommand with everything the harness said after it
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hdl.config import Config
from sim.cocotb_transport import CocotbTransport
from sim.harness_top import Design
from sim.storage import DUMP_FILE, LOAD_FILE

from .system import KNOBS, KNOBS_PATH

__all__ = ["OUT_OF_TIME", "Recorder", "digest", "read_recording", "write_recording"]

OUT_OF_TIME = "out of time"
"""Verdict on a mutant of which the recording could not be played to its end."""

Step = list[Any]


def digest(dump: Path) -> str:
    """Of the words in a dump file, whatever comments a simulator adds."""
    lines = [line for line in dump.read_text().split("\n") if line and line[0] not in "/@"]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def write_recording(steps: list[Step], path: Path, memory_words: int) -> None:
    """Without what a replay need not repeat: dumps of less than all of memory (a later one shows more)."""
    kept: list[Step] = []
    for step in steps:
        match step:
            case ["dump", first, last, _] if last - first + 1 < memory_words:
                continue
            case ["load", text] if kept and kept[-1][0] == "load":
                kept[-1] = ["load", kept[-1][1] + text]
            case _:
                kept.append(step)
    path.write_text("".join(json.dumps(step) + "\n" for step in kept))


def read_recording(path: Path) -> list[Step]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class Recorder(CocotbTransport):
    """A transport to a VerilogArray that writes down what passes.

    Attributes
    ----------
    steps : so far
    """

    def __init__(self, config: Config, memory_bytes: int, settings: dict[str, int], design: Design,
                 report: Callable[[str], None] | None = None):
        self.steps: list[Step] = []
        super().__init__("verilator", config, memory_bytes, settings, design, report)

    def label(self, name: str) -> None:
        self.steps.append(["label", name])

    def set_memory(self, **values: int) -> None:
        """Inputs of the memory model, from the next cycle on."""
        self._request(op="settings", values=values)

    def set_knobs(self, **values: int) -> None:
        """How the host's accesses look; see knobs.v."""
        unknown = values.keys() - KNOBS.keys()
        if unknown:
            raise KeyError(f"knobs {sorted(unknown)}; there are {', '.join(KNOBS)}")
        self._request(op="settings", values={f"{KNOBS_PATH}.{name}": value for name, value in values.items()})

    def _request(self, **request: Any) -> dict[str, int]:
        answer = super()._request(**request)
        match request:
            case {"op": "settings", "values": values}:
                self.steps.append(["set", dict(values)])
            case {"op": "load"}:
                self.steps.append(["load", (self.directory / LOAD_FILE).read_text()])
            case {"op": "dump", "first": first, "last": last}:
                self.steps.append(["dump", first, last, digest(self.directory / DUMP_FILE)])
            case {"op": "run", "kind": kind, "address": address, "data": data}:
                self.steps.append(["run", kind, address, data, answer])
        return answer
