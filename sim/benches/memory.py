"""A memory under cocotb: behind one of a block's read streams, or behind a write port."""

import random
from typing import Any

from hdl.config import Config
from sim.benches.streams import Block

__all__ = ["answer_reads", "check_burst", "take_writes"]


def check_burst(config: Config, address: int, beats: int) -> None:
    """AssertionError where a burst breaks the array's rules of bursts."""
    size = config.port_bytes
    assert address % size == 0, f"burst at {address:#x} is not aligned to a beat"
    assert address // config.burst_bytes == (address + beats * size - 1) // config.burst_bytes, \
        f"burst of {beats} beats at {address:#x} crosses a multiple of burst_bytes"


async def answer_reads(block: Block, config: Config, memory: bytes, *, request: str = "o_request",
                       beat: str = "i_beat", latency: int = 8, bus: set[int] | None = None) -> None:
    """Take requests and answer each after `latency` cycles, with the block's gaps and stalls.

    Streams that share a `bus` have beats in different cycles, those in it.
    """
    rng, size = random.Random(f"{block.seed} memory {beat}"), config.port_bytes
    due: list[tuple[int, int]] = []  # (cycle, byte address of a beat)
    bus = set() if bus is None else bus
    while True:
        ready = rng.random() >= block.stall
        block.set(f"{request}.ready", int(ready))
        answers = (bool(due) and due[0][0] <= block.cycle and rng.random() >= block.gap
                   and block.cycle not in bus)
        block.set(f"{beat}.valid", int(answers))
        if answers:
            bus.add(block.cycle)
            _, address = due.pop(0)
            data = int.from_bytes(memory[address:address + size], "little")
            block.set(f"{beat}.payload", {"data": data, "error": 0})
        await block.sample()
        if ready and block.get(f"{request}.valid"):
            asked = block.get(f"{request}.payload")
            check_burst(config, asked["address"], asked["beats"] + 1)
            due += [(block.cycle + latency, asked["address"] + number * size)
                    for number in range(asked["beats"] + 1)]
        await block.cycles()


async def take_writes(block: Block, config: Config, memory: bytearray, *, latency: int = 4,
                      errors: float = 0.0, log: list[dict[str, Any]]) -> None:
    """Behind `aw`, `w` and `b`: store what comes; `log` receives every burst with its response."""
    rng, size = random.Random(f"{block.seed} memory"), config.port_bytes
    addresses, beats = block.sink("aw"), block.sink("w")
    responses = block.source("b")
    due: list[tuple[int, int]] = []  # (cycle, response)
    burst: dict[str, Any] = {}
    taken = addressed = 0
    while True:
        # One read of the memory's own: what its sinks took by the rising edge before.
        while addressed < len(addresses.items) and taken < len(beats.items):
            if not burst:
                asked = addresses.items[addressed]
                burst = {"address": asked["address"], "beats": asked["length"] + 1, "done": 0}
                check_burst(config, burst["address"], burst["beats"])
            start = burst["address"] + burst["done"] * size
            item = beats.items[taken]
            for number in range(size):
                if item["strobe"] >> number & 1:
                    memory[start + number] = item["data"] >> 8 * number & 0xFF
            taken += 1
            burst["done"] += 1
            assert item["last"] == (burst["done"] == burst["beats"]), f"wrong last in {burst}"
            if item["last"]:
                response = 2 if rng.random() < errors else 0
                due.append((block.cycle + latency, response))
                log.append({**burst, "response": response})
                addressed, burst = addressed + 1, {}
        if due and due[0][0] <= block.cycle:
            responses.put({"id": 0, "response": due.pop(0)[1]})
        await block.cycles()
