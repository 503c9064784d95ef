"""synth.tile_rules: what nextpnr refuses."""

from typing import Any

import pytest

from synth.placement import Placement
from synth.tile_rules import all_allowed
from tests.placements import cell, design, lut, register


@pytest.mark.parametrize("beside", [
    {"other": register("X1/Y1/SLICEA.FF1", 30, 31, enable=2)},
    {"other": register("X1/Y1/SLICED.FF1", 30, 31, reset=3)},
    {"port": cell("TRELLIS_RAMW", "X1/Y1/SLICEC.RAMW", {}, {}), "other": lut("X1/Y1/SLICEC.K1", [9], 31)},
    {"other": lut("X1/Y1/SLICEA.K0", [9], 31, F1=32, M=33)},
    {"other": lut("X1/Y1/SLICEB.K1", [9], 31, F1=32, M=33)},
    {"other": lut("X1/Y1/SLICEB.K0", [9], 31, FXA=32, FXB=33, M=34)},
    {"other": cell("TRELLIS_COMB", "X1/Y1/SLICEC.K0", {"A": 9}, {"F": 31}, MODE="DPRAM")},
    {"other": cell("TRELLIS_COMB", "X1/Y1/SLICEB.K0", {"A": 9}, {"F": 31}, MODE="CCU2"),
     "more": lut("X1/Y1/SLICEB.K1", [9], 32)},
], ids=["two enables in a slice", "two resets in a tile", "a LUT on a write port", "two that want M",
        "a multiplexer in the second half", "a wide one in the first", "a RAM in the third slice",
        "half a carry cell"])
def test_what_nextpnr_refuses_is_not_allowed(beside: dict[str, Any]) -> None:
    alone = Placement(design({"register": register("X1/Y1/SLICEA.FF0", 20, 21)}), "top")
    assert all_allowed(alone.cells, alone.grid)
    both = Placement(design({"register": register("X1/Y1/SLICEA.FF0", 20, 21), **beside}), "top")
    assert not all_allowed(both.cells, both.grid)
