"""synth.carry_folding: LUTs go into carry cells, ends are left open; sums and carries stay what they were."""

import random
from itertools import product
from typing import Any

import pytest

from synth.carry_folding import fold_carries, name_open_ends
from synth.carry_tables import carry_half
from tests.netlists import lut

INPUTS = range(2, 8)          # net numbers
CARRY, SUMS, LUT_OUTPUTS = 10, (11, 12), range(20, 28)


def carry_cell(tables: tuple[int, int], pins: list[list[Any]], inject: str = "NO",
               carry: Any = CARRY) -> dict[str, Any]:
    connections = {f"{pin}{half}": [bit] for half in range(2)
                   for pin, bit in zip("ABCD", pins[half], strict=True)}
    outputs = {"S0": [SUMS[0]], "S1": [SUMS[1]], "COUT": [13]}
    return {"type": "CCU2C", "attributes": {},
            "parameters": {"INIT0": format(tables[0], "016b"), "INIT1": format(tables[1], "016b"),
                           "INJECT1_0": inject, "INJECT1_1": inject},
            "port_directions": dict.fromkeys([*connections, "CIN"], "input")
                               | dict.fromkeys(outputs, "output"),
            "connections": {**connections, "CIN": [carry], **outputs}}


def design(cells: dict[str, Any], outputs: tuple[int, ...] = (*SUMS, 13)) -> dict[str, Any]:
    ports = {"i": {"direction": "input", "bits": [*INPUTS, CARRY]},
             "o": {"direction": "output", "bits": list(outputs)}}
    return {"modules": {"top": {"ports": ports, "cells": cells}}}


def outcomes(netlist: dict[str, Any]) -> list[tuple[int, ...]]:
    """Both sums and the carry out for all inputs."""
    cells = netlist["modules"]["top"]["cells"]
    carry, luts = cells["carry"], {cell["connections"]["Z"][0]: cell for cell in cells.values()
                                   if cell["type"] == "LUT4"}
    found = []
    for values in product((0, 1), repeat=len(INPUTS) + 1):
        given = dict(zip([*INPUTS, CARRY], values, strict=True))

        def value(bit: Any, given: dict[int, int] = given) -> int:
            if isinstance(bit, str):
                return int(bit == "1")
            return given[bit] if bit in given else read(luts[bit])

        def index(cell: dict[str, Any], suffix: str) -> int:
            return sum(value(cell["connections"][f"{pin}{suffix}"][0]) << place
                       for place, pin in enumerate("ABCD"))

        def read(cell: dict[str, Any]) -> int:
            return int(cell["parameters"]["INIT"], 2) >> index(cell, "") & 1

        # An open carry in may be anything.
        ripple, sums = value(carry["connections"].get("CIN", [CARRY])[0]), []
        for half in "01":
            total, ripple = carry_half(int(carry["parameters"][f"INIT{half}"], 2), index(carry, half), ripple)
            sums.append(total if f"S{half}" in carry["connections"] else value(SUMS[int(half)]))
        found.append((*sums, ripple))
    return found


ADD, SUBTRACT = 0x96AA, 0x69AA     # A + (B ^ C), and its complement, D a constant 1
MUX = 0xCACA                       # C ? B : A


def adder(first: list[Any], second: list[Any], *luts: dict[str, Any]) -> dict[str, Any]:
    cells = {f"lut{number}": cell for number, cell in enumerate(luts)}
    return design({**cells, "carry": carry_cell((ADD, ADD), [first, second])})


@pytest.mark.parametrize("table, inputs", [
    (0x5555, [2, "0", "0", "0"]), (0x8888, [2, 3, "0", "0"]), (0x6666, [2, 3, "0", "0"]),
    (MUX, [2, 3, 4, "0"])], ids=["an inverter", "an and", "an exclusive or", "a multiplexer"])
def test_a_lut_before_an_adder_is_folded(table: int, inputs: list[Any]) -> None:
    netlist = adder([5, 20, "0", "1"], [6, 7, "0", "1"], lut(table, inputs, 20))
    before = outcomes(netlist)
    assert fold_carries(netlist) == 1
    assert outcomes(netlist) == before


def test_luts_before_both_operands_of_a_counter_and_an_adder_are_folded() -> None:
    # A counter's second operand is a constant: any function of three inputs fits.
    netlist = adder([20, "0", "0", "1"], [21, 22, "0", "1"], lut(0x1234 & 0xFF | 0x3400, [2, 3, 4, "0"], 20),
                    lut(0x5555, [5, "0", "0", "0"], 21), lut(0x8888, [6, 7, "0", "0"], 22))
    before = outcomes(netlist)
    assert fold_carries(netlist) == 3
    assert outcomes(netlist) == before


def test_a_lut_that_others_read_stays_but_an_inverter_s_reader_takes_its_input() -> None:
    shared = design({"lut": lut(0x8888, [2, 3, "0", "0"], 20),
                     "inverter": lut(0x5555, [4, "0", "0", "0"], 21),
                     "carry": carry_cell((ADD, ADD), [[5, 20, "0", "1"], [6, 21, "0", "1"]])},
                    (*SUMS, 13, 20, 21))
    before = outcomes(shared)
    assert fold_carries(shared) == 0
    carry = shared["modules"]["top"]["cells"]["carry"]["connections"]
    assert [20] in carry.values() and [21] not in carry.values()
    assert outcomes(shared) == before


def test_a_cell_that_breaks_the_carry_and_a_lut_that_is_to_be_kept_are_left_alone() -> None:
    kept = lut(0x8888, [2, 3, "0", "0"], 20)
    kept["attributes"]["keep"] = "1"
    assert fold_carries(adder([5, 20, "0", "1"], [6, 7, "0", "1"], kept)) == 0
    broken = design({"lut": lut(0x8888, [2, 3, "0", "0"], 20),
                     "carry": carry_cell((ADD, ADD), [[5, 20, "0", "1"], [6, 7, "0", "1"]], "YES")})
    assert fold_carries(broken) == 0


@pytest.mark.parametrize("carry", ["0", "1"])
@pytest.mark.parametrize("table", [ADD, SUBTRACT])
def test_a_carry_in_that_is_a_constant_is_left_open(carry: str, table: int) -> None:
    netlist = design({"carry": carry_cell((table, table), [[2, 3, "0", "1"], [4, 5, "0", "1"]], carry=carry)})
    before = outcomes(netlist)
    assert fold_carries(netlist) == 0
    assert "CIN" not in netlist["modules"]["top"]["cells"]["carry"]["connections"]
    assert outcomes(netlist) == before


def test_a_carry_out_that_nobody_reads_is_left_open_and_named_for_the_placer() -> None:
    netlist = design({"carry": carry_cell((ADD, ADD), [[2, 3, "0", "1"], [4, 5, "0", "1"]], carry="0")}, SUMS)
    fold_carries(netlist)
    connections = netlist["modules"]["top"]["cells"]["carry"]["connections"]
    assert "COUT" not in connections
    name_open_ends(netlist)
    assert connections["COUT"] == connections["CIN"] == ["x"]


def test_a_first_half_of_three_inputs_keeps_its_carry_in() -> None:
    netlist = design({"carry": carry_cell((ADD, ADD), [[2, 3, 4, "1"], [5, 6, "0", "1"]], carry="1")})
    fold_carries(netlist)
    assert netlist["modules"]["top"]["cells"]["carry"]["connections"]["CIN"] == ["1"]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_folded_computes_the_same(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        luts = [lut(rng.choice([rng.randrange(1 << 16), MUX, 0x8888, 0x5555, 0xEEEE]),
                    [rng.choice([*INPUTS, "0", "1"]) for _ in range(4)], output) for output in (20, 21, 22)]
        tables = [rng.choice([ADD, SUBTRACT, rng.randrange(1 << 16)]) for _ in range(2)]
        pins = [[rng.choice([*INPUTS, 20, 21, 22, "0", "1"]) for _ in range(4)] for _ in range(2)]
        carry = carry_cell((tables[0], tables[1]), pins, carry=rng.choice([CARRY, *"01"]))
        netlist = design({**{f"lut{number}": cell for number, cell in enumerate(luts)}, "carry": carry})
        before, cells = outcomes(netlist), netlist["modules"]["top"]["cells"]
        count, folded = len(cells), fold_carries(netlist)
        assert len([name for name in cells if "$first" not in name]) >= count - folded
        assert outcomes(netlist) == before
