"""A behavioural memory behind one read stream, or one write port, as testbench processes."""

import random
from collections.abc import Callable
from typing import Any

from hdl.config import Config

__all__ = ["answer_reads", "segment_bytes"]


def segment_bytes(memory: bytes, job: dict[str, int]) -> list[bytes]:
    """The rows of a segment job as a plain list of byte strings."""
    if not job["row_bytes"]:
        return []
    return [memory[start:start + job["row_bytes"]]
            for start in (job["address"] + row * job["stride"] for row in range(job["rows"]))]


def answer_reads(dut: Any, config: Config, memory: bytes, *, seed: int, latency: int = 8, gap: float = 0.0,
                 stall: float = 0.0, log: list[dict[str, int]] | None = None) -> Callable:
    """A process that takes `o_request` and gives `i_beat`, `latency` cycles later at the earliest.

    Asserts the rules of bursts. `log` receives every burst with the cycle in which it was taken.
    """
    rng = random.Random(f"{seed} memory")
    size = config.port_bytes

    async def process(ctx: Any) -> None:
        due: list[tuple[int, int]] = []  # (cycle, byte address of a beat)
        ready, cycle = False, 0
        while True:
            _, _, valid, request = await ctx.tick().sample(dut.o_request.valid, dut.o_request.payload)
            cycle += 1
            if valid and ready:
                address, beats = request.address, request.beats + 1
                assert address % size == 0, f"request at {address:#x} is not aligned to a beat"
                assert address // config.burst_bytes == (address + beats * size - 1) // config.burst_bytes, \
                    f"burst of {beats} beats at {address:#x} crosses a multiple of burst_bytes"
                due += [(cycle + latency, address + number * size) for number in range(beats)]
                if log is not None:
                    log.append({"cycle": cycle, "address": address, "beats": beats})
            ready = rng.random() >= stall
            ctx.set(dut.o_request.ready, int(ready))
            if due and due[0][0] <= cycle and rng.random() >= gap:
                _, address = due.pop(0)
                ctx.set(dut.i_beat.payload.data, int.from_bytes(memory[address:address + size], "little"))
                ctx.set(dut.i_beat.valid, 1)
            else:
                ctx.set(dut.i_beat.valid, 0)
    return process
