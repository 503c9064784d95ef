"""hdl.ones: chunks of ones, as a reader would bring them."""

import pytest

from hdl.emit import emit_verilog
from hdl.ones import Ones
from tests.harness import run_block


def expected(count: int, size: int) -> list[dict]:
    chunks = []
    for first in range(0, count, size):
        length = min(size, count - first)
        last = int(first + length == count)
        chunks.append({"data": int.from_bytes(b"\x01" * length, "little"), "count": length, "row_last": last,
                       "last": last})
    return chunks


@pytest.mark.parametrize("size", [2, 8])
@pytest.mark.parametrize("seed", range(3))
def test_every_count_makes_full_chunks_and_a_last_one(size: int, seed: int) -> None:
    counts = [1, size - 1 or 1, size, size + 1, 5 * size + 3, 1]
    dut = Ones(size)

    async def start(ctx) -> None:
        for count in counts:
            ctx.set(dut.i_start, 1)
            ctx.set(dut.i_count, count)
            await ctx.tick()
            ctx.set(dut.i_start, 0)
            while ctx.get(dut.o.valid):
                await ctx.tick()

    chunks = [chunk for count in counts for chunk in expected(count, size)]
    found = run_block(dut, {}, {"o": len(chunks)}, seed=seed, stall=(0, 0.3, 0.7)[seed], processes=[start])
    assert found["o"] == chunks


def test_it_converts_to_verilog() -> None:
    assert "module" in emit_verilog(Ones(8), "ones")
