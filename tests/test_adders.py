"""hdl.adders: operands are chosen, in plain logic and by the tables of ECP5's carry cells."""

import random
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from amaranth.hdl import Fragment
from amaranth.sim import Simulator

from hdl.adders import (
    ChoiceSubtractor,
    LoadedCounter,
    MaskedAdder,
    loaded_count_table,
    masked_sum_table,
    subtract_choice_table,
)
from hdl.config import ACC_BITS
from hdl.emit import emit_verilog

Table = Callable[[int, int, int, int], int]


def carry_cells(table: Table, operands: tuple[int, int, int, int], carry: int, width: int) -> int:
    """The sum bits of CCU2C cells with `table` in both halves, as Lattice and Yosys describe the cell."""
    total = 0
    for bit in range(width):
        a, b, c, d = (operand >> bit & 1 for operand in operands)
        propagates = table(a, b, c, d)
        total |= (propagates ^ carry) << bit
        carry = carry if propagates else table(a, b, 0, 0)
    return total


@pytest.mark.parametrize("carry", range(2))
def test_a_carry_cell_sums_what_is_used_and_the_carry(carry: int) -> None:
    width = 3
    for a in range(8):
        for b in range(8):
            for use_a, use_b in ((1, 1), (1, 0), (0, 1)):
                operands = (a, b, -use_a & 7, -use_b & 7)
                total = a * use_a + b * use_b + carry
                assert carry_cells(masked_sum_table, operands, carry, width) == total % 8


@pytest.mark.parametrize("carry", range(2))
@pytest.mark.parametrize("loads", range(2))
def test_a_carry_cell_counts_on_from_the_number_that_is_chosen(loads: int, carry: int) -> None:
    for value in range(8):
        for new in range(8):
            total = (new if loads else value) + carry
            assert carry_cells(loaded_count_table, (value, new, -loads & 7, 7), carry, 3) == total % 8


@pytest.mark.parametrize("chosen", range(3))
def test_a_carry_cell_subtracts_from_what_is_chosen(chosen: int) -> None:
    for less in range(8):
        for number in range(8):
            choices = [7, 7, 7]
            choices[chosen] = number
            assert carry_cells(subtract_choice_table, (less, *choices), 1, 3) == (number - less) % 8


def outputs(dut, inputs: list[dict]) -> list[int]:
    found = []

    async def bench(ctx):
        for values in inputs:
            for name, value in values.items():
                ctx.set(getattr(dut, name), value)
            await ctx.delay(1e-9)
            found.append(ctx.get(dut.o))

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
    return found


def test_the_masked_adder_wraps() -> None:
    top = (1 << ACC_BITS - 1) - 1
    inputs = [{"i_a": top, "i_b": 1, "i_use_a": a, "i_use_b": b} for a, b in ((1, 1), (1, 0), (0, 1))]
    assert outputs(MaskedAdder(ACC_BITS), inputs) == [-top - 1, top, 1]


@pytest.mark.parametrize("seed", range(2))
def test_the_masked_adder_adds_its_carry_to_what_is_used(seed: int) -> None:
    rng, half = random.Random(seed), 1 << ACC_BITS - 1
    inputs, expected = [], []
    for number in range(24):
        use_a, use_b = ((1, 1), (1, 0), (0, 1))[number % 3]
        drawn = rng.randrange(-half, half), rng.randrange(-half, half)
        a, b = (drawn, (-1, -1), (half - 1, 0))[number // 8]
        carry = number // 3 % 2
        inputs.append({"i_a": a, "i_b": b, "i_use_a": use_a, "i_use_b": use_b, "i_carry": carry})
        expected.append((a * use_a + b * use_b + carry + half) % (2 * half) - half)
    assert outputs(MaskedAdder(ACC_BITS), inputs) == expected


def test_on_ecp5_the_carry_enters_the_first_cell() -> None:
    dut, platform = MaskedAdder(4), SimpleNamespace(family="ecp5")
    first = Fragment.get(dut, platform).find_subfragment("cell0")
    assert first.ports["CIN"][0] is dut.i_carry


@pytest.mark.parametrize("seed", range(2))
def test_the_counter_goes_on_from_the_number_that_is_chosen_and_wraps(seed: int) -> None:
    rng, width = random.Random(seed), 10
    inputs, expected = [], []
    for number in range(24):
        value, new = (rng.choice((rng.getrandbits(width), (1 << width) - 1)) for _ in range(2))
        loads, carry = number % 2, number // 2 % 2
        inputs.append({"i_value": value, "i_new": new, "i_loads": loads, "i_carry": carry})
        expected.append(((new if loads else value) + carry) % (1 << width))
    assert outputs(LoadedCounter(width), inputs) == expected


@pytest.mark.parametrize("seed", range(2))
def test_the_subtractor_takes_the_chosen_one(seed: int) -> None:
    rng, ones = random.Random(seed), (1 << ACC_BITS) - 1
    inputs, expected = [], []
    for _ in range(30):
        choices, less = [ones] * 3, rng.getrandbits(ACC_BITS)
        chosen = rng.randrange(3)
        choices[chosen] = rng.getrandbits(ACC_BITS)
        inputs.append({"i_choices": choices, "i_less": less})
        expected.append((choices[chosen] - less) % (ones + 1))
    assert outputs(ChoiceSubtractor(ACC_BITS), inputs) == expected


def test_they_convert_to_verilog() -> None:
    assert "module" in emit_verilog(MaskedAdder(ACC_BITS), "adder")
    assert "module" in emit_verilog(ChoiceSubtractor(ACC_BITS), "subtractor")
    assert "module" in emit_verilog(LoadedCounter(ACC_BITS), "counter")
