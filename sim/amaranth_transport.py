"""The simulated system inside this Python process, on Amaranth's own simulator."""

from typing import Any

from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from hdl.config import Config

from .harness_top import Design, HarnessTop, default_design, depth_for
from .host_transport import HostTransport

__all__ = ["AmaranthTransport"]


class AmaranthTransport(HostTransport):
    """A few thousand cycles a second, and nothing but Python needed; parameters as HostTransport."""

    simulator = "amaranth"

    def __init__(self, config: Config, memory_bytes: int, settings: dict[str, int],
                 design: Design = default_design):
        super().__init__(config, memory_bytes)
        self.harness = HarnessTop(config, depth_for(config, memory_bytes), external=False, design=design)
        self._domain = ClockDomain("sync")
        system = Module()
        system.domains += self._domain
        system.submodules.harness = self.harness
        self._simulator: Simulator | None = Simulator(system)

        # The clock is a plain signal set from here: time stands still between commands, as in bench.v.
        async def lend_context(ctx: Any) -> None:
            self._ctx = ctx

        self._simulator.add_testbench(lend_context)
        self._simulator.advance()
        self._set(settings)
        self._start = 0
        self._ctx.set(self._domain.rst, 1)
        self._cycle()
        self._cycle()
        self._ctx.set(self._domain.rst, 0)

    def close(self) -> None:
        self._simulator = None

    def _cycle(self) -> None:
        self._ctx.set(self._domain.clk, 1)
        self._ctx.set(self._domain.clk, 0)

    def _check_open(self) -> None:
        if self._simulator is None:
            raise self._closed_error()

    def _run(self, kind: int, address: int, data: int) -> dict[str, int]:
        self._check_open()
        ctx, harness = self._ctx, self.harness
        self._start ^= 1
        with self._whole():
            for signal, value in ((harness.kind.as_value(), kind), (harness.address, address),
                                  (harness.data, data), (harness.start, self._start)):
                ctx.set(signal, value)
            self._cycle()
            while not ctx.get(harness.done):
                self._cycle()
            return {name: int(ctx.get(getattr(harness, name)))
                    for name in ("result", "response", "timed_out", "cycles", "violation")}

    def _set(self, values: dict[str, int]) -> None:
        self._check_open()
        with self._whole():
            for name, value in values.items():
                self._ctx.set(getattr(self.harness, name), value)

    def _write_words(self, first: int, data: bytes) -> None:
        self._check_open()
        size, rows = self._word_bytes, self.harness.memory_model.storage.memory.data
        with self._whole():
            for number in range(len(data) // size):
                word = int.from_bytes(data[number * size:(number + 1) * size], "little")
                self._ctx.set(rows[first + number], word)

    def _read_words(self, first: int, count: int) -> bytes:
        self._check_open()
        rows = self.harness.memory_model.storage.memory.data
        return b"".join(int(self._ctx.get(rows[number])).to_bytes(self._word_bytes, "little")
                        for number in range(first, first + count))
