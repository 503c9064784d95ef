"""Cells of Yosys's JSON netlists, for tests of what changes such netlists."""

from typing import Any

__all__ = ["lut"]


def lut(table: int, inputs: list[Any], output: int) -> dict[str, Any]:
    """An ECP5 LUT of four inputs, nets by their numbers or constants."""
    pins = dict(zip("ABCD", ([bit] for bit in inputs), strict=True))
    return {"type": "LUT4", "parameters": {"INIT": format(table, "016b")}, "attributes": {},
            "port_directions": {**dict.fromkeys("ABCD", "input"), "Z": "output"},
            "connections": {**pins, "Z": [output]}}
