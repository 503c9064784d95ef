"""The simulated system: array, memory and host port, and its Verilog."""

import hashlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

import hdl
from hdl.config import Config
from hdl.emit import emit_verilog

from .cache import cache_directory, write_atomically
from .host_port import HostCommand, HostPort
from .memory import VIOLATIONS, MemoryModel
from .memory_faults import FAULT_SETTINGS

__all__ = ["Design", "HarnessTop", "default_design", "depth_for", "harness_verilog"]

Design = Callable[[Config], Any]
"""Makes a component with the members `control`, `memory` and `irq` of hdl.top.Top."""

MIN_DEPTH_WORDS = 64


def default_design(config: Config) -> Any:
    """The array itself."""
    from hdl.top import Top

    return Top(config)


def depth_for(config: Config, memory_bytes: int) -> int:
    """Words of the smallest storage, a power of two deep, that holds `memory_bytes`."""
    words = -(-memory_bytes // config.port_bytes)
    return max(MIN_DEPTH_WORDS, 1 << (words - 1).bit_length())


class HarnessTop(wiring.Component):
    """An array with a memory and a host port; connections only.

    Throughput, Latency, Backpressure, Order: those of its parts.

    Parameters
    ----------
    config : Config
    depth_words : int, storage behind the memory
    external : bool, storage as Verilog (for Verilator and Icarus) or as an Amaranth memory
    design : makes the array

    Members
    -------
    start to cycles : see HostPort
    latency_cycles to violation : see MemoryModel
    """

    def __init__(self, config: Config, depth_words: int, *, external: bool, design: Design = default_design):
        self.array = design(config)
        self.memory_model = MemoryModel(config, depth_words, external=external)
        self.host = HostPort()
        super().__init__({
            "start": In(1), "kind": In(HostCommand), "address": In(32), "data": In(32),
            "done": Out(1), "result": Out(32), "response": Out(2), "timed_out": Out(1), "cycles": Out(48),
            "latency_cycles": In(16), "gap_threshold": In(12), "seed": In(32), "limit_words": In(32),
            "load": In(1), "dump": In(1), "dump_first": In(32), "dump_last": In(32),
            **{name: In(bits) for name, bits in FAULT_SETTINGS.items()},
            "violation": Out(len(VIOLATIONS)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.array = array = self.array
        m.submodules.memory_model = memory = self.memory_model
        m.submodules.host = host = self.host
        connect(m, array.memory, memory.memory)
        connect(m, host.control, array.control)
        m.d.comb += host.irq.eq(array.irq)
        for part, names in (
            (host, ("start", "kind", "address", "data")),
            (memory, ("latency_cycles", "gap_threshold", "seed", "limit_words",
                      "load", "dump", "dump_first", "dump_last", *FAULT_SETTINGS)),
        ):
            m.d.comb += [getattr(part, name).eq(getattr(self, name)) for name in names]
        m.d.comb += [getattr(self, name).eq(getattr(host, name))
                     for name in ("done", "result", "response", "timed_out", "cycles")]
        m.d.comb += self.violation.eq(memory.violation)
        return m


def harness_verilog(config: Config, depth_words: int, design: Design = default_design) -> str:
    """Verilog of the whole system, module `zerolane_harness`; storage.v and bench.v go beside it.

    The array's own is kept in the cache directory, under a hash of the sources it is made from.
    """
    def make() -> str:
        harness = HarnessTop(config, depth_words, external=True, design=design)
        return emit_verilog(harness, "zerolane_harness")

    if design is not default_design:
        return make()
    path = cache_directory() / "verilog" / f"{_source_hash(config, depth_words)}.v"
    if not path.exists():
        write_atomically(path, make())
    return path.read_text()


def _source_hash(config: Config, depth_words: int) -> str:
    digest = hashlib.sha256(f"{config!r} {depth_words} {metadata.version('amaranth')}".encode())
    for folder in (Path(hdl.__file__).parent, Path(__file__).parent):
        for source in sorted(folder.glob("*.py")):
            digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:24]
