"""synth.carry_choices: what chooses behind a carry chain goes into it; registers get what they got before."""

import random
from typing import Any

import pytest

from synth.carry_choices import fold_choices as fold_design
from synth.carry_folding import fold_carries
from synth.carry_tables import carry_half
from tests.netlists import lut

BITS = 4
NUMBER, OTHER, LOADED = (range(start, start + BITS) for start in (2, 6, 10))
LOAD, CLEAR, ODD = 14, 15, 16
INPUTS = range(2, 17)
SUMS, CHOSEN, CARRIES, ENDS = (range(start, start + BITS) for start in (20, 30, 40, 50))

ADD, INCREMENT, SUBTRACT = 0x96AA, 0xAAAA, 0x69AA
"""A + (B ^ C), A + carry where B is 0, its complement; D a constant 1. A first half adds what B is."""
LOADS = 0xCACA                       # C ? B : A
CLEARS = 0x2222                      # A & ~B
CLEARS_OR_LOADS = 0x00CA             # D ? 0 : C ? B : A

Netlist = dict[str, Any]


def fold_choices(module: Netlist) -> int:
    return fold_design({"modules": {"top": module}})


def register(data: int, output: int) -> Netlist:
    return {"type": "TRELLIS_FF", "parameters": {}, "attributes": {},
            "port_directions": {"DI": "input", "Q": "output"}, "connections": {"DI": [data], "Q": [output]}}


def carry_cell(number: int, table: int, pins: list[list[Any]], carry: Any) -> Netlist:
    outputs = {"S0": [SUMS[2 * number]], "S1": [SUMS[2 * number + 1]], "COUT": [CARRIES[number]]}
    inputs = {f"{pin}{half}": [bit] for half in range(2) for pin, bit in zip("ABCD", pins[half], strict=True)}
    return {"type": "CCU2C", "attributes": {},
            "parameters": {"INIT0": format(table, "016b"), "INIT1": format(table, "016b"),
                           "INJECT1_0": "NO", "INJECT1_1": "NO"},
            "port_directions": dict.fromkeys([*inputs, "CIN"], "input") | dict.fromkeys(outputs, "output"),
            "connections": {**inputs, "CIN": [carry], **outputs}}


def chain(choice: int, others: list[list[Any]], *, second: str | None = "0", table: int = ADD,
          carry: str = "0", outputs: tuple[int, ...] = ()) -> Netlist:
    """A number, plus another or a constant; what chooses behind each bit of the sum; registers."""
    pins = [[NUMBER[bit], OTHER[bit] if second is None else second, "0", "1"] for bit in range(BITS)]
    cells = {f"carry{number}": carry_cell(number, table, pins[2 * number:2 * number + 2],
                                          carry if number == 0 else CARRIES[number - 1])
             for number in range(BITS // 2)}
    for bit in range(BITS):
        cells[f"lut{bit}"] = lut(choice, [SUMS[bit], *others[bit]], CHOSEN[bit])
        cells[f"register{bit}"] = register(CHOSEN[bit], ENDS[bit])
    return {"ports": {"i": {"direction": "input", "bits": list(INPUTS)},
                      "o": {"direction": "output", "bits": [*ENDS, *outputs]}}, "cells": cells}


def outcomes(module: Netlist, rng: random.Random) -> list[list[int]]:
    """What the registers would take, for random inputs, the same for the same `rng`."""
    cells = module["cells"]
    drivers = {bit: (cell, pin) for cell in cells.values() for pin, bits in cell["connections"].items()
               if cell["port_directions"][pin] == "output" for bit in bits}
    found = []
    for _ in range(40):
        given = {bit: rng.randrange(2) for bit in INPUTS}

        def value(bit: Any, given: dict[int, int] = given) -> int:
            if isinstance(bit, str):
                return int(bit == "1")
            if bit in given:
                return given[bit]
            cell, pin = drivers[bit]
            if cell["type"] == "LUT4":
                return int(cell["parameters"]["INIT"], 2) >> index(cell, "") & 1
            return halves(cell)[pin]

        def index(cell: Netlist, suffix: str) -> int:
            return sum(value(cell["connections"][f"{pin}{suffix}"][0]) << place
                       for place, pin in enumerate("ABCD"))

        def halves(cell: Netlist) -> dict[str, int]:
            # An open carry in may be anything.
            carry = value(cell["connections"].get("CIN", [LOAD])[0])
            made = {}
            for half in "01":
                table = int(cell["parameters"][f"INIT{half}"], 2)
                made[f"S{half}"], carry = carry_half(table, index(cell, half), carry)
            return made | {"COUT": carry}

        found.append([value(cells[f"register{bit}"]["connections"]["DI"][0]) for bit in range(BITS)])
    return found


def check(module: Netlist, seed: int, gone: int) -> None:
    """Folded as it should be, alone and with what is before the chain, it computes the same."""
    before = outcomes(module, random.Random(seed))
    assert fold_choices(module) == gone
    assert outcomes(module, random.Random(seed)) == before
    fold_carries({"modules": {"top": module}})
    assert outcomes(module, random.Random(seed)) == before


@pytest.mark.parametrize("table, second, carry", [(ADD, "1", "0"), (ADD, "0", "1"), (SUBTRACT, "0", "1"),
                                                  (SUBTRACT, "1", "0"), (ADD, None, "0"), (ADD, None, "1")])
@pytest.mark.parametrize("choice, others", [
    (LOADS, [[LOADED[bit], LOAD, "0"] for bit in range(BITS)]),
    (CLEARS, [[CLEAR, "0", "0"]] * BITS)], ids=["is loaded", "is cleared"])
def test_a_choice_behind_a_counter_or_a_sum_is_folded(choice: int, others: list[list[Any]], table: int,
                                                      second: str | None, carry: str) -> None:
    check(chain(choice, others, table=table, second=second, carry=carry), 1, BITS)


def test_a_counter_that_is_cleared_or_loaded_is_folded() -> None:
    check(chain(CLEARS_OR_LOADS, [[LOADED[bit], LOAD, CLEAR] for bit in range(BITS)], carry="1"), 2, BITS)


def test_bits_that_are_loaded_with_a_constant_are_folded_beside_others() -> None:
    others = [[LOADED[bit] if bit % 2 else "1", LOAD, "0"] for bit in range(BITS)]
    check(chain(LOADS, others, carry="1"), 3, BITS)


def test_a_chain_with_too_many_inputs_stays() -> None:
    others = [[LOADED[bit], LOAD, CLEAR] for bit in range(BITS)]
    check(chain(CLEARS_OR_LOADS, others, second=None), 4, 0)


def test_bits_that_are_not_chosen_at_the_same_time_stay() -> None:
    others = [[LOADED[bit], LOAD if bit else ODD, "0"] for bit in range(BITS)]
    check(chain(LOADS, others, carry="1"), 5, 0)


@pytest.mark.parametrize("read", [SUMS[1], CHOSEN[1], CARRIES[0], CARRIES[1]],
                         ids=["a sum", "what is chosen", "a carry within", "the last carry"])
def test_a_chain_that_something_else_reads_stays(read: int) -> None:
    others = [[LOADED[bit], LOAD, "0"] for bit in range(BITS)]
    assert fold_choices(chain(LOADS, others, carry="1", outputs=(read,))) == 0


def test_a_choice_that_is_to_be_kept_stays() -> None:
    module = chain(LOADS, [[LOADED[bit], LOAD, "0"] for bit in range(BITS)], carry="1")
    module["cells"]["lut2"]["attributes"]["keep"] = "1"
    assert fold_choices(module) == 0


def test_a_carry_in_that_is_a_signal_stays() -> None:
    others = [[LOADED[bit], LOAD, "0"] for bit in range(BITS)]
    module = chain(LOADS, others)
    module["cells"]["carry0"]["connections"]["CIN"] = [ODD]
    assert fold_choices(module) == 0


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_folded_computes_the_same(seed: int) -> None:
    rng = random.Random(seed)
    folded = 0
    for _ in range(30):
        choice = rng.choice([LOADS, CLEARS, CLEARS_OR_LOADS, rng.randrange(1 << 16)])
        controls = [rng.choice([LOAD, CLEAR, "0", "1"]) for _ in range(2)]
        others = [[rng.choice([*LOADED, "0", "1"]), *controls] for _ in range(BITS)]
        module = chain(choice, others, table=rng.choice([ADD, SUBTRACT, INCREMENT, rng.randrange(1 << 16)]),
                       second=rng.choice(["0", "1", None]), carry=rng.choice("01"))
        before = outcomes(module, random.Random(seed))
        folded += fold_choices(module)
        assert outcomes(module, random.Random(seed)) == before
        fold_carries({"modules": {"top": module}})
        assert outcomes(module, random.Random(seed)) == before
    assert folded
