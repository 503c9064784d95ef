"""Streams of a block under cocotb: who drives them, who takes them, and what both check.

Everything is read right after a rising edge (the values before it) and driven at falling edges.
"""

import random
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

import cocotb
from amaranth.hdl import Const, Shape, Value
from amaranth.lib import wiring
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge
from cocotb.utils import get_sim_time

from sim.models.payload import from_bits, to_bits

__all__ = ["CLOCK_NS", "Block", "Sink", "Source"]

CLOCK_NS = 10


class Block:
    """A block's pins, by the paths of its members: "i_job", "o_request.0", "o_status".

    Parameters
    ----------
    pins : cocotb's handle of the module
    component : the component that the Verilog was made of, for its layouts
    seed : of all gaps and stalls
    gap, stall : chance that a source offers nothing, that a sink takes nothing, in a cycle
    """

    def __init__(self, pins: Any, component: wiring.Component, seed: Any = 0, *, gap: float = 0.0,
                 stall: float = 0.0):
        self.pins, self.component, self.seed, self.gap, self.stall = pins, component, seed, gap, stall
        self.sources: dict[str, Source] = {}
        self.sinks: dict[str, Sink] = {}

    # ---- pins ----

    def member(self, path: str) -> Any:
        """The component's member."""
        found: Any = self.component
        for part in path.split("."):
            found = found[int(part)] if part.isdigit() else getattr(found, part)
        return found

    def pin(self, path: str) -> Any:
        return getattr(self.pins, path.replace(".", "__"))

    def shape(self, path: str) -> Any:
        value = self.member(path)
        return value.shape() if hasattr(value, "shape") else Value.cast(value).shape()

    def set(self, path: str, item: Any) -> None:
        self.pin(path).value = to_bits(self.shape(path), item)

    def get(self, path: str) -> Any:
        """What is on the pins now; ValueError where a bit is unknown."""
        return from_bits(self.shape(path), int(self.pin(path).value))

    # ---- time ----

    async def start(self) -> None:
        """Start the clock and reset, with every input at its initial value; ends at a falling edge."""
        for path, member, value in self.component.signature.flatten(self.component):
            value = Value.cast(value)
            if member.flow == wiring.In and not isinstance(value, Const):
                self.pin(".".join(map(str, path))).value = value.init
        self.pins.rst.value = 1
        Clock(self.pins.clk, CLOCK_NS, unit="ns").start()
        await self.cycles(2)
        self.pins.rst.value = 0

    @property
    def cycle(self) -> int:
        return int(get_sim_time("ns")) // CLOCK_NS

    async def sample(self) -> None:
        """To the moment at which outputs are read."""
        await RisingEdge(self.pins.clk)

    async def cycles(self, count: int = 1) -> None:
        """To the falling edge at which inputs may be driven."""
        for _ in range(count):
            await FallingEdge(self.pins.clk)

    async def until(self, condition: Callable[[], Any], what: str, timeout_cycles: int = 3000) -> None:
        """To the first falling edge at which it holds; AssertionError if that is not soon."""
        end = self.cycle + timeout_cycles
        while not condition():
            assert self.cycle < end, f"not after {timeout_cycles} cycles: {what}"
            await self.cycles()

    # ---- agents ----

    def run(self, agent: Coroutine) -> None:
        """Let an agent of a bench's own run beside it; what it raises fails the test."""
        cocotb.start_soon(agent)

    def source(self, path: str, items: Iterable[Any] = (), *, gap: float | None = None) -> "Source":
        self.sources[path] = source = Source(self, path, items, self.gap if gap is None else gap)
        return source

    def sink(self, path: str, *, stall: float | None = None) -> "Sink":
        self.sinks[path] = sink = Sink(self, path, self.stall if stall is None else stall)
        return sink

    def pulses(self, path: str) -> list[tuple[int, Any]]:
        """A list that grows by (cycle, value) whenever a plain output (its field `valid`) is not zero."""
        seen: list[tuple[int, Any]] = []

        async def watch() -> None:
            while True:
                await self.sample()
                value = self.get(path)
                if value["valid"] if isinstance(value, Mapping) else value:
                    seen.append((self.cycle, value))
        self.run(watch())
        return seen

    async def finish(self, expect: Mapping[str, int] | None = None, *, timeout_cycles: int = 3000,
                     settle_cycles: int = 40) -> None:
        """Until all sources are empty and so many elements came out; any more of them are a failure."""
        expect = expect or {}
        end = self.cycle + timeout_cycles
        while (any(len(self.sinks[path].items) < count for path, count in expect.items())
               or not all(source.done for source in self.sources.values())):
            assert self.cycle < end, f"no end after {timeout_cycles} cycles: {self._state(expect)}"
            await self.cycles()
        await self.cycles(settle_cycles)
        for path, count in expect.items():
            found = len(self.sinks[path].items)
            assert found == count, f"{path}: {found} elements, expected {count}"

    def _state(self, expect: Mapping[str, int]) -> str:
        outputs = [f"{path} {len(self.sinks[path].items)} of {count}" for path, count in expect.items()]
        inputs = [f"{path} {source.taken} taken" for path, source in self.sources.items()]
        return ", ".join(inputs + outputs)


class Source:
    """Offers elements to an input stream; what is offered stays until it is taken.

    Between elements the payload is noise, which no block may look at.

    Attributes
    ----------
    taken : elements that the block took
    done : none is left
    """

    def __init__(self, block: Block, path: str, items: Iterable[Any], gap: float):
        self._block, self._path, self._gap = block, path, gap
        self._shape = block.shape(f"{path}.payload")
        self._rng = random.Random(f"{block.seed} source {path}")
        self._left = list(items)
        self.taken, self._offering = 0, False
        block.run(self._drive())

    @property
    def done(self) -> bool:
        return not self._left and not self._offering

    def put(self, item: Any) -> None:
        """One more element."""
        self._left.append(item)

    async def _drive(self) -> None:
        block, path = self._block, self._path
        valid, payload = block.pin(f"{path}.valid"), block.pin(f"{path}.payload")
        always_taken = isinstance(block.member(f"{path}.ready"), Const)
        ready = None if always_taken else block.pin(f"{path}.ready")
        width = Shape.cast(self._shape).width
        while True:
            if not self._left or self._rng.random() < self._gap:
                valid.value, payload.value = 0, self._rng.getrandbits(width)
                await block.cycles()
                continue
            self._offering = True
            valid.value, payload.value = 1, to_bits(self._shape, self._left.pop(0))
            taken = False
            while not taken:
                await block.sample()
                taken = always_taken or bool(int(ready.value))
                self.taken += taken
                await block.cycles()
            self._offering = False
            valid.value = 0


class Sink:
    """Takes the elements of an output stream.

    AssertionError when `valid` falls or the payload changes while the stream is stalled.

    Attributes
    ----------
    items : what came, in order
    cycles : when each came
    allowance : elements that it takes in all; None: no limit
    """

    def __init__(self, block: Block, path: str, stall: float):
        self._block, self._path, self._stall = block, path, stall
        self._shape = block.shape(f"{path}.payload")
        self._rng = random.Random(f"{block.seed} sink {path}")
        self.items: list[Any] = []
        self.cycles: list[int] = []
        self.allowance: int | None = None
        block.run(self._take())

    async def _take(self) -> None:
        block, path = self._block, self._path
        valid, payload = block.pin(f"{path}.valid"), block.pin(f"{path}.payload")
        always_ready = isinstance(block.member(f"{path}.ready"), Const)
        ready = None if always_ready else block.pin(f"{path}.ready")
        held: int | None = None
        while True:
            may = self.allowance is None or len(self.items) < self.allowance
            takes = always_ready or (may and self._rng.random() >= self._stall)
            if ready is not None:
                ready.value = int(takes)
            await block.sample()
            offered = bool(int(valid.value))
            bits = int(payload.value) if offered else None
            assert held is None or bits == held, f"{path}: element {len(self.items)} changed while stalled"
            if offered and takes:
                self.items.append(from_bits(self._shape, bits or 0))
                self.cycles.append(block.cycle)
            held = bits if not takes else None
            await block.cycles()
