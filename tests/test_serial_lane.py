"""hdl.serial_lane: products and sums, and the same out of iCE40's multiplier block."""

import os
import random
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from amaranth._toolchain.yosys import find_yosys
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.emit import emit_rtlil, emit_verilog
from hdl.serial_lane import SerialLane
from synth.cell_models import cell_models
from tests.simulators import need

CONFIG = PRESETS["micro"]
ROWS = CONFIG.lane_values
MOST, LEAST = (1 << 31) - 1, -(1 << 31)
EDGES = (-128, -127, -1, 0, 1, 127)


def wrap(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


@dataclass(frozen=True)
class Do:
    """What happens in a cycle: a value is stored at a row or the row is read; the value that was read in the
    cycle before, or another lane's, is multiplied by `token`, or the sum becomes `move`."""

    address: int = 0
    store: int | None = None
    token: int | None = None
    move: int | None = None
    other: int | None = None


def run(steps: list[Do]) -> tuple[list[int], list[int]]:
    """The sum and the overflow after each cycle."""
    dut, sums, overflows = SerialLane(CONFIG), [], []
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def bench(ctx: Any) -> None:
        for step in steps:
            ctx.set(dut.i_write, step.store is not None)
            ctx.set(dut.i_address, step.address)
            ctx.set(dut.i_value, step.store or 0)
            ctx.set(dut.i_step, step.token is not None)
            ctx.set(dut.i_token, 99 if step.token is None else step.token)
            ctx.set(dut.i_move, step.move is not None)
            ctx.set(dut.i_sum, 12345 if step.move is None else step.move)
            ctx.set(dut.i_factor, ctx.get(dut.o_value) if step.other is None else step.other)
            await ctx.tick()
            sums.append(ctx.get(dut.o_sum))
            overflows.append(ctx.get(dut.o_overflow))

    simulator.add_testbench(bench)
    simulator.run()
    return sums, overflows


def expected(steps: list[Do]) -> tuple[list[int], list[int]]:
    memory, read, total = [0] * ROWS, 0, 0
    sums, overflows = [], []
    for step in steps:
        factor = read if step.other is None else step.other
        exact = total + (0 if step.token is None else factor * step.token)
        overflows.append(int(wrap(exact) != exact))
        total = wrap(exact) if step.move is None else step.move
        sums.append(total)
        if step.store is None:
            read = memory[step.address]
        else:
            memory[step.address] = step.store
    return sums, overflows


def draw(count: int, seed: int) -> list[Do]:
    """Cycles of all kinds, with sums that often wrap."""
    rng = random.Random(seed)
    rows = [0, 1, 2, ROWS // 2, ROWS - 1]
    steps = [Do(address, store=rng.choice(EDGES)) for address in rows] + [Do(1), Do(move=5)]
    reads = True
    for _ in range(count):
        kind = rng.random()
        address = rng.choice(rows)
        if kind < 0.15:
            steps.append(Do(address, store=rng.choice([*EDGES, rng.randint(-128, 127)])))
            reads = False
        elif kind < 0.7 and reads:
            steps.append(Do(address, token=rng.choice([*EDGES, rng.randint(-128, 127)]),
                            other=rng.choice([None, None, *EDGES])))
        elif kind < 0.8:
            steps.append(Do(address, move=rng.choice([0, MOST, LEAST, MOST - 100, LEAST + 100,
                                                      rng.randint(LEAST, MOST), 0xFFFF, -0x10000])))
            reads = True
        else:
            steps.append(Do(address))
            reads = True
    return steps


@pytest.mark.parametrize("seed", range(3))
def test_products_are_added_and_sums_move(seed: int) -> None:
    steps = draw(1500, seed)
    sums, overflows = expected(steps)
    assert 10 < sum(overflows) < len(steps) // 2
    assert run(steps) == (sums, overflows)


def test_extreme_values_multiply_exactly() -> None:
    steps = [Do(row, store=value) for row, value in enumerate(EDGES)]
    for row, _ in enumerate(EDGES):
        for token in EDGES:
            steps += [Do(row, move=0), Do(token=token)]
    products = [value * token for value in EDGES for token in EDGES]
    assert run(steps)[0][len(EDGES) + 1::2] == products


def test_a_product_is_made_in_each_cycle_and_there_in_the_next() -> None:
    steps = [Do(row, store=row + 1) for row in range(4)]
    steps += [Do(0, move=0), Do(1, token=10), Do(2, token=100), Do(3, token=-1), Do(token=2), Do()]
    assert run(steps)[0][4:] == [0, 10, 210, 207, 215, 215]


def test_a_value_of_another_lane_is_multiplied_in_place_of_its_own() -> None:
    steps = [Do(3, store=7), Do(3, move=1), Do(3, token=2, other=-100), Do(3, token=2),
             Do(token=-5, other=127)]
    assert run(steps)[0][1:] == [1, -199, -185, -820]


def test_what_was_read_can_be_given_to_another_lane() -> None:
    dut, values = SerialLane(CONFIG), []
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def bench(ctx: Any) -> None:
        for row in range(3):
            ctx.set(dut.i_address, row)
            ctx.set(dut.i_value, -row - 1)
            ctx.set(dut.i_write, 1)
            await ctx.tick()
        ctx.set(dut.i_write, 0)
        for row in (1, 0, 2):
            ctx.set(dut.i_address, row)
            await ctx.tick()
            values.append(ctx.get(dut.o_value))

    simulator.add_testbench(bench)
    simulator.run()
    assert values == [-2, -1, -3]


def test_a_sum_that_is_not_told_to_change_stays() -> None:
    steps = [Do(0, store=7), Do(0, move=-9)] + [Do(0)] * 10
    assert run(steps)[0][1:] == [-9] * 11


@pytest.mark.parametrize("value, token, before, wraps", [
    (1, 1, MOST, True), (1, 1, MOST - 1, False), (-1, 1, LEAST, True), (-1, 1, LEAST + 1, False),
    (-128, -128, MOST - (1 << 14), False), (-128, -128, MOST - (1 << 14) + 1, True),
    (1, 0, MOST, False), (-1, 0, LEAST, False), (0, -1, MOST, False), (0, -1, LEAST, False)])
def test_an_addition_that_wraps_is_told_once(value: int, token: int, before: int, wraps: bool) -> None:
    steps = [Do(5, store=value), Do(5, move=before), Do(5, token=token), Do(), Do()]
    sums, overflows = run(steps)
    assert overflows == [0, 0, wraps, 0, 0] and sums[-1] == wrap(before + value * token)


def test_a_sum_that_moves_does_not_wrap() -> None:
    assert not any(run([Do(move=MOST), Do(move=LEAST), Do(move=-1), Do(move=MOST)])[1])


def test_it_converts_to_verilog() -> None:
    text = emit_verilog(SerialLane(CONFIG), "block")
    assert "module block" in text and "SB_MAC16" not in text


# ---- iCE40 -----------------------------------------------------------------------------------------------


def test_on_ice40_multiplier_and_sum_are_one_block() -> None:
    text = "\n".join(emit_rtlil(SerialLane(CONFIG), "lane", "ice40"))
    assert text.count("cell \\SB_MAC16") == 1 and "cell $mul" not in text
    found = {name: int(bits, 2) for name, bits in re.findall(r"parameter \\(\w+) \d+'([01]+)", text)
             if name not in ("WIDTH",)}
    assert {name: value for name, value in found.items() if name.isupper() and name in _BLOCK} == {
        "A_SIGNED": 1, "B_SIGNED": 1, "TOPADDSUB_LOWERINPUT": 2, "BOTADDSUB_LOWERINPUT": 2,
        "TOPADDSUB_CARRYSELECT": 2, "TOPOUTPUT_SELECT": 1, "BOTOUTPUT_SELECT": 1}


_BLOCK = ("A_SIGNED", "B_SIGNED", "MODE_8x8", "A_REG", "B_REG", "C_REG", "D_REG", "NEG_TRIGGER",
          "TOP_8x8_MULT_REG", "BOT_8x8_MULT_REG", "PIPELINE_16x16_MULT_REG1", "PIPELINE_16x16_MULT_REG2",
          *(f"{half}{name}" for half in ("TOP", "BOT") for name in (
              "OUTPUT_SELECT", "ADDSUB_LOWERINPUT", "ADDSUB_UPPERINPUT", "ADDSUB_CARRYSELECT")))


def ice40_verilog(name: str) -> str:
    """What `emit_verilog` would print of a lane for such a part."""
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    text, = emit_rtlil(SerialLane(CONFIG), name, "ice40")
    script = [f"read_rtlil <<rtlil\n{text}\nrtlil", "proc", "memory_collect", "write_verilog -noattr", ""]
    return find_yosys(lambda version: True).run(["-q", "-"], "\n".join(script), ignore_warnings=True)


_BENCH = """
module bench;
  reg clk = 0, rst = 0, write, step, move;
  reg [{address_msb}:0] address;
  reg signed [7:0] value, token, other;
  reg others;
  wire signed [7:0] values [0:1];
  reg [31:0] sum;
  wire [31:0] sums [0:1];
  wire [1:0] overflows;
  block portable(.clk(clk), .rst(rst), .i_write(write), .i_address(address), .i_value(value),
                 .i_token(token), .i_step(step), .i_move(move), .i_sum(sum), .o_sum(sums[0]),
                 .o_overflow(overflows[0]), .o_value(values[0]), .i_factor(others ? other : values[0]));
  block_ice40 ice40(.clk(clk), .rst(rst), .i_write(write), .i_address(address), .i_value(value),
                    .i_token(token), .i_step(step), .i_move(move), .i_sum(sum), .o_sum(sums[1]),
                    .o_overflow(overflows[1]), .o_value(values[1]), .i_factor(others ? other : values[1]));
  reg [95:0] stimuli [0:{last}];
  integer number;
  initial begin
    $readmemh("stimuli.hex", stimuli);
    for (number = 0; number <= {last}; number = number + 1) begin
      {{write, step, move, others, address, value, token, other, sum}} = stimuli[number];
      #1 clk = 1;
      #1 $display("%h %h %b", sums[0], sums[1], overflows);
      clk = 0;
    end
  end
endmodule
"""


@pytest.mark.icarus
def test_the_block_of_ice40_gives_the_same_sums_and_overflows(tmp_path: Path) -> None:
    need("icarus")
    steps = [Do(move=3), *draw(3000, 7)]
    bits = (ROWS - 1).bit_length()
    lines, junk = [], random.Random(8)
    for step in steps:
        word, token, total = 0, step.token, step.move
        if token is None:
            token = junk.getrandbits(8)
        if total is None:
            total = junk.getrandbits(32)
        for value, width in ((step.store is not None, 1), (step.token is not None, 1),
                             (step.move is not None, 1), (step.other is not None, 1), (step.address, bits),
                             (step.store or 0, 8), (token, 8), (step.other or 0, 8), (total, 32)):
            word = word << width | value & (1 << width) - 1
        lines.append(f"{word:x}")
    (tmp_path / "stimuli.hex").write_text("\n".join([*lines, ""]))
    bench = _BENCH.format(address_msb=bits - 1, last=len(steps) - 1)
    (tmp_path / "bench.v").write_text("\n".join([
        emit_verilog(SerialLane(CONFIG), "block"), ice40_verilog("block_ice40"), cell_models("ice40")[1],
        bench]))
    subprocess.run(["iverilog", "-g2012", "-DNO_ICE40_DEFAULT_ASSIGNMENTS", "-o", "bench.vvp", "-s", "bench",
                    "bench.v"], cwd=tmp_path,
                   check=True)
    said = subprocess.run(["vvp", "-n", "bench.vvp"], cwd=tmp_path, check=True, capture_output=True,
                          text=True)
    found = [line.split() for line in said.stdout.splitlines()]
    sums, overflows = expected(steps)
    wanted = [[f"{total & 0xFFFFFFFF:08x}"] * 2 + [f"{wraps}{wraps}"]
              for total, wraps in zip(sums, overflows, strict=True)]
    assert found == wanted
