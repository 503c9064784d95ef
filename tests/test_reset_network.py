"""synth.reset_network: what most registers have as their reset comes by the part's own network."""

from typing import Any

import pytest

from synth.reset_network import LEAST_REGISTERS, spread_resets

RESET, OTHER = 5, 6


def netlist(many: int, few: int = 10) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for number in range(many + few):
        reset = RESET if number < many else OTHER
        cells[f"register{number}"] = {
            "type": "TRELLIS_FF", "parameters": {}, "attributes": {},
            "port_directions": {"LSR": "input", "DI": "input", "Q": "output"},
            "connections": {"LSR": [reset], "DI": ["0"], "Q": [10 + number]}}
    cells["without"] = {"type": "TRELLIS_FF", "parameters": {}, "attributes": {},
                        "port_directions": {"Q": "output"}, "connections": {"Q": [9]}}
    cells["reader"] = {"type": "LUT4", "parameters": {}, "attributes": {},
                       "port_directions": {"A": "input", "Z": "output"},
                       "connections": {"A": [RESET], "Z": [7]}}
    names = {"highest": {"bits": [50_000], "attributes": {}, "hide_name": 0}}
    ports = {"reset": {"direction": "input", "bits": [RESET]}}
    return {"modules": {"top": {"cells": cells, "netnames": names, "ports": ports}}}


def resets(design: dict[str, Any]) -> list[Any]:
    return [cell["connections"]["LSR"] for name, cell in design["modules"]["top"]["cells"].items()
            if name.startswith("register")]


def test_registers_with_the_commonest_reset_hear_it_from_the_network() -> None:
    design = netlist(LEAST_REGISTERS)
    assert spread_resets(design, "top") == LEAST_REGISTERS
    cells = design["modules"]["top"]["cells"]
    [buffer] = [cell for cell in cells.values() if cell["type"] == "DCCA"]
    assert buffer["connections"] == {"CLKI": [RESET], "CE": ["1"], "CLKO": [50_001]}
    assert resets(design) == [[50_001]] * LEAST_REGISTERS + [[OTHER]] * 10
    assert cells["reader"]["connections"]["A"] == [RESET]   # the network does not reach a LUT


@pytest.mark.parametrize("many", [0, 1, LEAST_REGISTERS - 1])
def test_a_reset_of_few_registers_takes_wires(many: int) -> None:
    design = netlist(many)
    before = str(design)
    assert spread_resets(design, "top") == 0
    assert str(design) == before
