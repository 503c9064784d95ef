"""hdl.token_bus: all PEs or none, and the gate between jobs."""

import random
from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from hdl.token_bus import TokenBus


def run_bus(last_after: list[int], open_from: list[int], rooms: list[list[int]], cycles: int):
    """Offers beats for ever; returns per cycle (sent to every PE, beats seen by PE 0)."""
    config = PRESETS["tiny"]
    dut = TokenBus(config)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    seen: list[list[int]] = [[] for _ in range(config.pes)]
    taken_cycles: list[int] = []

    async def bench(ctx):
        number = 0
        ctx.set(dut.i.valid, 1)
        for cycle in range(cycles):
            ctx.set(dut.i.payload.mask, number % 4)
            ctx.set(dut.i.payload.last, int(number in last_after))
            ctx.set(dut.i_open, int(cycle in open_from))
            ctx.set(dut.i_room, sum(room << pe for pe, room in enumerate(rooms[cycle])))
            taken = ctx.get(dut.i.ready)
            for pe in range(config.pes):
                if ctx.get(dut.o[pe].valid):
                    seen[pe].append(ctx.get(dut.o[pe].payload.mask))
            if taken:
                number += 1
                taken_cycles.append(cycle)
            await ctx.tick()

    simulator.add_testbench(bench)
    simulator.run()
    return seen, taken_cycles


@pytest.mark.parametrize("seed", range(3))
def test_every_pe_hears_the_same_beats_and_only_when_all_had_room(seed: int) -> None:
    rng = random.Random(seed)
    rooms = [[int(rng.random() < 0.7) for _ in range(2)] for _ in range(200)]
    seen, taken = run_bus([], list(range(200)), rooms, 200)
    assert seen[0] == seen[1] and len(seen[0]) > 50
    assert all(all(rooms[cycle - 1]) for cycle in taken)
    assert taken == [cycle for cycle in range(1, 200) if all(rooms[cycle - 1])]


def test_nothing_passes_after_a_last_beat_until_the_gate_was_closed() -> None:
    always = [[1, 1]] * 60
    opened = [cycle for cycle in range(60) if cycle != 30]
    _, taken = run_bus([4], opened, always, 60)
    assert taken == [1, 2, 3, 4, 5, *range(31, 60)]


@pytest.mark.parametrize("pk_log2", range(4))
def test_a_pe_hears_all_tokens_and_a_mask_of_its_own(pk_log2: int) -> None:
    config, rng = PRESETS["base"], random.Random(pk_log2)
    dut = TokenBus(config)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def bench(ctx):
        ctx.set(dut.i_pk_log2, pk_log2)
        ctx.set(dut.i_open, 1)
        ctx.set(dut.i_room, -1)
        await ctx.tick().repeat(2)
        ctx.set(dut.i.valid, 1)
        for _ in range(30):
            owners = [rng.randrange(1 << pk_log2) for _ in range(config.beat_tokens)]
            mask = rng.randrange(1 << config.beat_tokens)
            ctx.set(dut.i.payload, {"mask": mask, "tokens": [
                {"owner": owner, "value": place, "address": 9 * place, "part": 7 - place}
                for place, owner in enumerate(owners)]})
            await ctx.tick().repeat(2)
            for number, port in enumerate(dut.o):
                own = sum((owner == number % (1 << pk_log2)) << place for place, owner in enumerate(owners))
                assert ctx.get(port.valid) and ctx.get(port.p.mask) == mask & own
                for place, token in enumerate(port.p.tokens):
                    assert (ctx.get(token.value), ctx.get(token.address), ctx.get(token.part)) == (
                        place, 9 * place, 7 - place)

    simulator.add_testbench(bench)
    simulator.run()


def test_a_pe_whose_bit_is_not_set_does_not_hear_the_token() -> None:
    config, rng = replace(PRESETS["base"], row_filter=True), random.Random(9)
    dut = TokenBus(config)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def bench(ctx):
        ctx.set(dut.i_pk_log2, 1)
        ctx.set(dut.i_open, 1)
        ctx.set(dut.i_room, -1)
        await ctx.tick().repeat(2)
        ctx.set(dut.i.valid, 1)
        for _ in range(30):
            owners, pes = ([rng.randrange(top) for _ in range(config.beat_tokens)] for top in (2, 256))
            ctx.set(dut.i.payload, {"mask": -1, "tokens": [{"owner": owner} for owner in owners], "pes": pes})
            await ctx.tick().repeat(2)
            for number, port in enumerate(dut.o):
                heard = [owner == number % 2 and bool(bits >> number & 1)
                         for owner, bits in zip(owners, pes, strict=True)]
                assert ctx.get(port.p.mask) == sum(bit << place for place, bit in enumerate(heard))

    simulator.add_testbench(bench)
    simulator.run()


def test_it_converts_to_verilog() -> None:
    assert "module" in emit_verilog(TokenBus(PRESETS["base"]), "block")
