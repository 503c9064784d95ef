"""hdl.dot: the sum of products times a value, against Python's integers."""

import random
from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.dot import DotProduct, dot_cycles
from hdl.emit import emit_verilog

SIZES = {lanes: replace(PRESETS["base"], name=f"lanes{lanes}", lanes=lanes, port_bytes=2 * lanes,
                        beat_tokens=2, scale_multipliers=1, sddmm=True, merge_lanes=0)
         for lanes in (2, 4, 8, 32)}


def run(lanes: int, products: list[list[int]], values: list[int]) -> list[int]:
    """The sum that comes `dot_cycles` after each row of products."""
    config = SIZES[lanes]
    dut, found = DotProduct(config), []
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def bench(ctx) -> None:
        for cycle in range(len(products) + dot_cycles(config)):
            if cycle >= dot_cycles(config):
                found.append(ctx.get(dut.o))
            if cycle < len(products):
                for term, product in zip(dut.i, products[cycle], strict=True):
                    ctx.set(term, product)
                ctx.set(dut.i_value, values[cycle])
            await ctx.tick()

    simulator.add_testbench(bench)
    simulator.run()
    return found


@pytest.mark.parametrize("lanes", list(SIZES))
@pytest.mark.parametrize("seed", range(2))
def test_each_sum_is_exact(lanes: int, seed: int) -> None:
    rng = random.Random(seed)
    edges = (-128 * 127, 128 * 128, 0, -1, 1)
    products = [[rng.choice((*edges, rng.randint(-16256, 16384))) for _ in range(lanes)] for _ in range(60)]
    values = [rng.choice((-128, 127, 0, 1, -1, rng.randint(-128, 127))) for _ in products]
    # The largest and the smallest there are.
    products += [[128 * 128] * lanes, [128 * 128] * lanes, [-128 * 127] * lanes, [-128 * 127] * lanes]
    values += [-128, 127, -128, 127]
    assert run(lanes, products, values) == [sum(terms) * value
                                            for terms, value in zip(products, values, strict=True)]


def test_it_converts_to_verilog() -> None:
    assert "module" in emit_verilog(DotProduct(SIZES[8]), "dot")
