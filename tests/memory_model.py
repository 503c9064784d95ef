"""A behavioural memory behind one read stream, or one write port, as testbench processes."""

import random
from collections.abc import Callable
from typing import Any

from hdl.config import Config

__all__ = ["answer_reads", "take_writes"]


def answer_reads(dut: Any, config: Config, memory: bytes, *, seed: int, latency: int = 8, gap: float = 0.0,
                 stall: float = 0.0, log: list[dict[str, int]] | None = None,
                 bus: set[int] | None = None) -> Callable:
    """A process that takes `o_request` and gives `i_beat`, `latency` cycles later at the earliest.

    Asserts the rules of bursts. `log` receives every burst with the cycle in which it was taken. Streams that
    share a `bus` have beats in different cycles, those in it.
    """
    rng = random.Random(f"{seed} memory")
    size = config.port_bytes
    bus = set() if bus is None else bus

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
            if due and due[0][0] <= cycle and rng.random() >= gap and cycle not in bus:
                _, address = due.pop(0)
                bus.add(cycle)
                ctx.set(dut.i_beat.payload.data, int.from_bytes(memory[address:address + size], "little"))
                ctx.set(dut.i_beat.valid, 1)
            else:
                ctx.set(dut.i_beat.valid, 0)
    return process


def take_writes(dut: Any, config: Config, memory: bytearray, *, seed: int, latency: int = 4,
                stall: float = 0.0, errors: float = 0.0, log: list[dict[str, int]] | None = None) -> Callable:
    """A process behind `aw`, `w`, `b`: stores what comes into `memory`, answers `latency` cycles later.

    Asserts the rules of bursts and that no data comes before its address. `log` receives every burst, with
    the cycles of its first and last beat and its response.
    """
    rng = random.Random(f"{seed} memory")
    size = config.port_bytes

    def described(address: Any) -> dict[str, int]:
        start, beats = address.address, address.length + 1
        assert start % size == 0, f"burst at {start:#x} is not aligned to a beat"
        assert start // config.burst_bytes == (start + beats * size - 1) // config.burst_bytes, \
            f"burst of {beats} beats at {start:#x} crosses a multiple of burst_bytes"
        return {"address": start, "beats": beats}

    def store(beat: Any, start: int) -> None:
        for number in range(size):
            if beat.strobe >> number & 1:
                memory[start + number] = beat.data >> 8 * number & 0xFF

    async def process(ctx: Any) -> None:
        bursts: list[dict[str, int]] = []   # addresses offered or taken, data not complete
        due: list[tuple[int, int]] = []     # (cycle, response)
        address_ready = data_ready = known = False
        cycle = taken = 0
        while True:
            _, _, address_valid, address, data_valid, beat = await ctx.tick().sample(
                dut.aw.valid, dut.aw.payload, dut.w.valid, dut.w.payload)
            cycle += 1
            if address_valid and not known:
                bursts.append(described(address))
            known = bool(address_valid and not address_ready)
            if data_valid:
                assert bursts, "data before its address"
            if data_valid and data_ready:
                burst = bursts[0]
                store(beat, burst["address"] + taken * size)
                burst.setdefault("first_cycle", cycle)
                taken += 1
                assert beat.last == (taken == burst["beats"]), f"last at beat {taken} of {burst['beats']}"
                if beat.last:
                    response = 2 if rng.random() < errors else 0
                    due.append((cycle + latency, response))
                    burst = bursts.pop(0)
                    if log is not None:
                        log.append({**burst, "last_cycle": cycle, "response": response})
                    taken = 0
            address_ready, data_ready = rng.random() >= stall, rng.random() >= stall
            ctx.set(dut.aw.ready, int(address_ready))
            ctx.set(dut.w.ready, int(data_ready))
            answer = bool(due) and due[0][0] <= cycle
            ctx.set(dut.b.valid, int(answer))
            if answer:
                ctx.set(dut.b.payload, {"id": 0, "response": due.pop(0)[1]})
    return process
