"""hdl.burst_log: every beat finds the address of its burst, ids interleaved."""

import random
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.burst_log import BurstLog
from hdl.config import PRESETS
from hdl.emit import emit_verilog

BURSTS = (8, 4, 4, 16, 2, 8)


@pytest.mark.parametrize("preset", ["tiny", "base"])
@pytest.mark.parametrize("seed", range(4))
def test_every_beat_finds_its_burst(preset: str, seed: int) -> None:
    config, rng = PRESETS[preset], random.Random(seed)
    dut, found, wanted = BurstLog(config, BURSTS), [], []

    async def testbench(ctx: Any) -> None:
        open_bursts: list[list[list[int]]] = [[] for _ in BURSTS]   # of each id: address, beats left
        before = None
        for _ in range(1500):
            number = rng.randrange(len(BURSTS))
            asks = len(open_bursts[number]) < BURSTS[number] and rng.random() < 0.6
            address = rng.randrange(1 << 20) * config.port_bytes
            ctx.set(dut.i_asked, {"valid": int(asks), "id": number, "address": address})
            busy = [other for other, bursts in enumerate(open_bursts) if bursts and bursts[0][2] > 2]
            answered = rng.choice(busy) if busy and rng.random() < 0.8 else None
            if answered is not None:
                burst = open_bursts[answered][0]
                burst[1] -= 1
                ctx.set(dut.i_answer, {"valid": 1, "id": answered, "last": int(burst[1] == 0)})
                if burst[1] == 0:
                    open_bursts[answered].pop(0)
            else:
                ctx.set(dut.i_answer, {"valid": 0, "id": rng.randrange(len(BURSTS)), "last": 1})
            if before is not None:
                found.append(ctx.get(dut.o_address))
                wanted.append(before)
            before = burst[0] if answered is not None else None
            await ctx.tick()
            for queue in open_bursts:
                for entry in queue:
                    entry[2] += 1
            if asks:
                open_bursts[number].append([address, rng.randrange(1, 5), 0])

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert found == wanted and len(found) > 500


@pytest.mark.parametrize("bursts", [(8, 8), (8, 4, 64, 4, 4, 64, 64, 8)])
def test_it_converts_to_verilog(bursts: tuple[int, ...]) -> None:
    assert "module block" in emit_verilog(BurstLog(PRESETS["base"], bursts), "block")
