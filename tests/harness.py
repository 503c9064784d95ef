"""One block under test as a function of data: streams in, streams out, gaps and stalls by seed.

`run_block` feeds lists into input streams, collects output streams, and returns what came out. It goes on
for `settle_cycles` after the expected number of elements so that an extra output is seen.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from amaranth.hdl import Const
from amaranth.sim import Simulator

from sim.models.payload import as_python

__all__ = ["as_python", "run_block"]


def run_block(dut: Any, feeds: Mapping[str, Sequence[Any]], expect: Mapping[str, int], *, seed: int = 0,
              gap: float = 0.0, stall: float = 0.0, settle_cycles: int = 50, timeout_cycles: int = 20_000,
              signals: Mapping[str, Any] | None = None,
              processes: Sequence[Callable] = ()) -> dict[str, list[Any]]:
    """Simulate `dut` and return every element of each output stream named in `expect`.

    Parameters
    ----------
    feeds : name of an input stream (or the stream itself under any name: see `_stream`) to payloads
    expect : name of an output stream to the number of elements to wait for
    gap, stall : chance that an input offers nothing, that an output takes nothing, in a cycle
    signals : name of a plain input member to its constant value
    processes : further testbenches, each an async function of the simulation context

    Raises TimeoutError when the expected elements do not come within `timeout_cycles`. A payload that is
    offered stays offered until it is taken, and outputs are checked to hold while stalled.
    """
    results: dict[str, list[Any]] = {name: [] for name in expect}
    finished: set[str] = set()
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    def _stream(name: str) -> Any:
        found = dut
        for part in name.split("."):
            found = found[int(part)] if part.isdigit() else getattr(found, part)
        return found

    def feeder(name: str, items: Sequence[Any]) -> Callable:
        rng = random.Random(f"{seed} feed {name}")

        async def process(ctx: Any) -> None:
            stream = _stream(name)
            for item in items:
                while rng.random() < gap:
                    await ctx.tick()
                ctx.set(stream.payload, item)
                ctx.set(stream.valid, 1)
                await ctx.tick().until(stream.ready)
                ctx.set(stream.valid, 0)
            finished.add(name)
        return process

    def taker(name: str) -> Callable:
        rng = random.Random(f"{seed} take {name}")

        async def process(ctx: Any) -> None:
            stream = _stream(name)
            free_running = isinstance(stream.ready, Const)
            held = None
            while True:
                ready = free_running or rng.random() >= stall
                if not free_running:
                    ctx.set(stream.ready, int(ready))
                _, _, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
                item = as_python(payload)
                if held is not None:
                    assert valid, f"{name}: valid fell before ready in element {len(results[name])}"
                    assert item == held, f"{name}: payload changed while stalled, {held} to {item}"
                if valid and ready:
                    results[name].append(item)
                held = item if valid and not ready else None
        return process

    async def supervise(ctx: Any) -> None:
        for name, value in (signals or {}).items():
            ctx.set(getattr(dut, name), value)
        cycles = 0
        while any(len(results[name]) < count for name, count in expect.items()) or len(finished) < len(feeds):
            await ctx.tick()
            cycles += 1
            if cycles > timeout_cycles:
                counts = {name: f"{len(results[name])} of {count}" for name, count in expect.items()}
                raise TimeoutError(f"after {cycles} cycles: outputs {counts}, inputs done {sorted(finished)}")
        await ctx.tick().repeat(settle_cycles)

    for name, items in feeds.items():
        simulator.add_testbench(feeder(name, items), background=True)
    for name in expect:
        simulator.add_testbench(taker(name), background=True)
    for process in processes:
        simulator.add_testbench(process, background=True)
    simulator.add_testbench(supervise)
    simulator.run()
    for name, count in expect.items():
        assert len(results[name]) == count, f"{name}: {len(results[name])} elements, expected {count}"
    return results
