"""hdl.shared_buffer: each stream gets its own beats, in order, when it is ready."""

import random
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from hdl.shared_buffer import BUFFER_STREAMS, SharedBuffer

CONFIG = PRESETS["small"]


def run_buffer(seed: int, share: float, patience: float, cycles: int = 1400) -> tuple[list, list, list]:
    """What was put into each stream and taken from each, and the cycles of the latter.

    `share` of the beats go to stream 0; a consumer gets ready with the probability `patience`.
    """
    dut, rng = SharedBuffer(CONFIG), random.Random(seed)
    put: list[list[int]] = [[] for _ in range(BUFFER_STREAMS)]
    taken: list[list[int]] = [[] for _ in range(BUFFER_STREAMS)]
    times: list[list[int]] = [[] for _ in range(BUFFER_STREAMS)]
    freed = [0] * BUFFER_STREAMS

    async def drive(ctx: Any) -> None:
        waits = [False] * BUFFER_STREAMS   # was ready in vain, and has to stay so
        ready = [False] * BUFFER_STREAMS
        for cycle in range(cycles):
            chosen = int(rng.random() >= share)
            for number, (source, sink) in enumerate(zip(dut.i, dut.o, strict=True)):
                room = len(put[number]) - freed[number] < CONFIG.read_buffer_beats
                puts = number == chosen and room and cycle < cycles - 1000
                ctx.set(source.valid, puts)
                if puts:
                    put[number].append(rng.getrandbits(64))
                    ctx.set(source.payload, put[number][-1])
                ready[number] = waits[number] or rng.random() < patience
                ctx.set(sink.ready, ready[number])
            sampled = await ctx.tick().sample(*(part for sink, free in zip(dut.o, dut.o_freed, strict=True)
                                                for part in (sink.valid, sink.payload, free)))
            for number in range(BUFFER_STREAMS):
                valid, beat, free = sampled[2 + 3 * number:5 + 3 * number]
                freed[number] += free
                waits[number] = ready[number] and not valid
                if valid:
                    assert ready[number], "a beat for one that was not ready"
                    taken[number].append(beat)
                    times[number].append(cycle)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert freed == [len(beats) for beats in taken]
    return put, taken, times


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("patience", [0.1, 0.6, 1.0])
def test_each_stream_gets_its_own_beats_in_order(share: float, patience: float):
    put, taken, _ = run_buffer(7, share, patience)
    assert taken == put and sum(map(len, put)) > 20


def test_both_streams_have_a_beat_in_two_cycles_each():
    _, _, times = run_buffer(3, 0.5, 1.0)
    assert all(len(of) > 190 for of in times) and max(of[-1] for of in times) < 450


def test_it_converts_to_verilog():
    assert "module buffer" in emit_verilog(SharedBuffer(CONFIG), "buffer")
