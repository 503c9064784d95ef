"""synth.reset_folding: ands before registers go into their resets; registers do what they did before."""

import random
from typing import Any

import pytest

from synth.reset_folding import LEAST_BITS, fold_resets
from tests.netlists import lut

DATA = range(2, 2 + LEAST_BITS)
CLOCK, ENABLE, RESET, CLEAR, OTHER = range(20, 25)
INPUTS = [*DATA, CLOCK, ENABLE, RESET, CLEAR, OTHER]
TAKEN, STORED = (range(start, start + LEAST_BITS) for start in (30, 50))
AND_NOT, AND, OR, XOR = 0x2222, 0x8888, 0xEEEE, 0x6666     # A & ~B, A & B, ...

Netlist = dict[str, Any]


def design(table: int = AND_NOT, *, bits: int = LEAST_BITS, controls: tuple[int, ...] = (CLEAR,),
           enable_mux: str = "CE", reset: Any = RESET, value: str = "RESET", mode: str | None = "LSR_OVER_CE",
           outputs: tuple[int, ...] = ()) -> Netlist:
    """Registers behind LUTs of two inputs, data and a control."""
    cells: Netlist = {}
    for bit in range(bits):
        cells[f"lut{bit}"] = lut(table, [DATA[bit], controls[bit % len(controls)], "0", "0"], TAKEN[bit])
        cells[f"register{bit}"] = {
            "type": "TRELLIS_FF", "attributes": {},
            "parameters": {"CEMUX": enable_mux, "CLKMUX": "CLK", "GSR": "DISABLED", "LSRMUX": "LSR",
                           "REGSET": value} | ({"SRMODE": mode} if mode else {}),
            "port_directions": {**dict.fromkeys(("CE", "CLK", "DI", "LSR"), "input"), "Q": "output"},
            "connections": {"CE": [ENABLE], "CLK": [CLOCK], "DI": [TAKEN[bit]], "LSR": [reset],
                            "Q": [STORED[bit]]}}
    ports = {"i": {"direction": "input", "bits": INPUTS},
             "o": {"direction": "output", "bits": [*STORED, *outputs]}}
    return {"modules": {"top": {"ports": ports, "netnames": {}, "cells": cells}}}


def outcomes(netlist: Netlist, bits: int = LEAST_BITS) -> list[list[str | int]]:
    """What the registers hold after a cycle, for random inputs."""
    cells, rng = netlist["modules"]["top"]["cells"], random.Random(1)
    drivers = {cell["connections"]["Z"][0]: cell for cell in cells.values() if cell["type"] == "LUT4"}
    found: list[list[str | int]] = []
    for _ in range(200):
        given = {bit: rng.randrange(2) for bit in INPUTS}

        def value(bit: Any, given: dict[int, int] = given) -> int:
            if isinstance(bit, str):
                return int(bit == "1")
            if bit in given:
                return given[bit]
            cell = drivers[bit]
            index = sum(value(cell["connections"][pin][0]) << place for place, pin in enumerate("ABCD"))
            return int(cell["parameters"]["INIT"], 2) >> index & 1

        row: list[str | int] = []
        for bit in range(bits):
            nets, parameters = cells[f"register{bit}"]["connections"], cells[f"register{bit}"]["parameters"]
            enable = value(nets["CE"][0])
            enabled = {"CE": enable, "INV": 1 - enable, "1 ": 1}[parameters["CEMUX"]]
            if value(nets["LSR"][0]):
                row.append({"SET": 1, "RESET": 0}[parameters["REGSET"]])
            else:
                row.append(value(nets["DI"][0]) if enabled else "holds")
        found.append(row)
    return found


@pytest.mark.parametrize("reset, mode", [(RESET, "LSR_OVER_CE"), ("0", None)], ids=["a reset", "no reset"])
@pytest.mark.parametrize("enable_mux", ["CE", "INV", "1 "])
@pytest.mark.parametrize("table, value", [(AND_NOT, "RESET"), (AND, "RESET"), (OR, "SET")])
def test_what_clears_or_sets_registers_joins_their_reset(table: int, value: str, enable_mux: str, reset: Any,
                                                         mode: str | None) -> None:
    netlist = design(table, value=value, enable_mux=enable_mux, reset=reset, mode=mode)
    before = outcomes(netlist)
    assert fold_resets(netlist) == LEAST_BITS - 1
    assert outcomes(netlist) == before


@pytest.mark.parametrize("changed", [
    {"table": OR}, {"table": XOR}, {"value": "SET"}, {"mode": "ASYNC"}, {"bits": LEAST_BITS - 1},
    {"controls": (CLEAR, OTHER)}, {"outputs": (TAKEN[0],)}],
    ids=["an or", "an exclusive or", "the other value", "an asynchronous reset", "too few bits",
         "two controls", "a LUT that others read"])
def test_other_registers_stay(changed: dict[str, Any]) -> None:
    netlist = design(**changed)
    assert fold_resets(netlist) == 0


def test_a_lut_that_is_to_be_kept_stays() -> None:
    netlist = design()
    netlist["modules"]["top"]["cells"]["lut3"]["attributes"]["keep"] = "1"
    assert fold_resets(netlist) == 0
