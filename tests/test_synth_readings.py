"""synth.readings: what is taken from short recorded pieces of the tools' reports."""

import json

import pytest

from synth.area import Owners
from synth.readings import (
    Path,
    Timing,
    cells_by_type,
    read_timing,
    read_use,
    registers_of,
    used_of,
    why_not,
)
from synth.report import critical_path
from synth.targets import TARGETS

STAT = """{
   "creator": "Yosys 0.70", "design": {"num_cells": 9944, "num_cells_by_type": {
     "$scopeinfo": 25, "CCU2C": 334, "DP16KD": 10, "LUT4": 3976, "TRELLIS_FF": 4960}}
}
"""
CLOCK = "$glbnet$clk$TRELLIS_IO_IN"


def step(kind: str, delay: float, origin: str, end: str, net: str | None = None) -> dict:
    entry = {"type": kind, "delay": delay, "from": {"cell": origin, "loc": [9, 5], "port": "Q"},
             "to": {"cell": end, "loc": [10, 6], "port": "D"}}
    return entry if net is None else entry | {"net": net, "sources": []}


REPORT = json.dumps({
    "fmax": {CLOCK: {"achieved": 62.66, "constraint": 100}},
    "utilization": {"TRELLIS_COMB": {"available": 43848, "used": 7769},
                    "MULT18X18D": {"available": 72, "used": 8}, "DP16KD": {"available": 108, "used": 10}},
    "critical_paths": [
        {"from": "<async>", "to": f"posedge {CLOCK}", "path": [step("routing", 99.0, "a", "b")]},
        {"from": f"posedge {CLOCK}", "to": f"posedge {CLOCK}", "path": [
            step("clk-to-q", 0.5, "pe.queue.level_FF", "pe.queue.level_FF"),
            step("routing", 1.7, "pe.queue.level_FF", "pe.queue.level_LUT4_A", "pe.queue.level[2]"),
            step("logic", 0.25, "pe.queue.level_LUT4_A", "pe.queue.level_LUT4_A"),
            step("routing", 2.0, "pe.queue.level_LUT4_A", "pe.walker.x_LUT4_B", "pe.queue.y"),
            step("logic", 0.25, "pe.walker.x_LUT4_B", "pe.walker.x_LUT4_B"),
            step("setup", 0.1, "pe.walker.x_LUT4_B", "pe.walker.x_FF"),
        ]}],
})
LOG = """Info: Packing ...
Info: Device utilisation:
Info: \t          TRELLIS_IO:       4/    197     2%
Info: \t        TRELLIS_COMB:   43905/  24288   180%
Info: \t          MULT18X18D:      20/     28    71%
ERROR: Unable to place cell 'x', no BELs remaining to implement cell type 'TRELLIS_COMB'
"""
FULL = TARGETS["ecp5-25k"]


def test_cells_are_counted_without_what_is_no_cell() -> None:
    assert list(cells_by_type(STAT).items()) == [
        ("TRELLIS_FF", 4960), ("LUT4", 3976), ("CCU2C", 334), ("DP16KD", 10)]


@pytest.mark.parametrize("cells, count", [
    ({"TRELLIS_FF": 5, "LUT4": 3}, 5),
    ({"SB_DFFE": 2, "SB_DFFESR": 3, "SB_DFF": 1, "SB_LUT4": 9}, 6),
    ({"DFFR": 127, "DFF": 72, "DFFRE": 1, "ALU": 4}, 200),
])
def test_registers_are_counted_in_every_family(cells: dict[str, int], count: int) -> None:
    assert registers_of(cells) == count


def test_use_comes_from_the_report() -> None:
    use = read_use(REPORT, "")
    assert use["TRELLIS_COMB"] == (7769, 43848)
    used = used_of(FULL, use, cells_by_type(STAT))
    assert (used.luts, used.registers, used.dsps, used.brams) == (7769, 4960, 8, 10)


def test_a_gowin_s_luts_hold_carries_and_memories_too_and_these_take_registers() -> None:
    use = {"LUT4": (300, 20736), "ALU": (34, 15552), "RAM16SDP4": (2, 648), "MULT9X9": (5, 96),
           "MULT18X18": (1, 48), "DFF": (212, 15552)}
    used = used_of(TARGETS["gw2a-18"], use, {"DFFRE": 200})
    assert (used.luts, used.dsps) == (300 + 34 + 8, 4)
    assert used.registers == 212 and TARGETS["gw2a-18"].holds.registers == 15552


def test_a_part_that_is_too_small_says_what_is_short_by_how_much() -> None:
    use = read_use(None, LOG)
    assert why_not(FULL, use, "nextpnr failed") == (
        "LFE5U-25F CABGA381 is too small: TRELLIS_COMB 43,905 of 24,288 (19,617 too many, 181%)")


def test_where_nothing_is_short_the_tool_is_quoted() -> None:
    assert why_not(FULL, {"TRELLIS_COMB": (5, 10)}, "nextpnr failed: no route") == "nextpnr failed: no route"


def test_the_slowest_path_is_between_registers_and_told_by_block() -> None:
    timing = read_timing(REPORT)
    assert timing is not None and timing.fmax_mhz == 62.66
    assert [sum(step.delay_ns for step in timing.path.steps if step.kind == "routing" or not routed)
            for routed in (False, True)] == pytest.approx([4.8, 3.7])
    owners = Owners({"": "top", "pe": "top.pe", "pe.queue": "top.pe.queue", "pe.walker": "top.pe.walker"})
    assert critical_path(timing.path, owners) == [
        {"block": "pe.queue", "logic_ns": 0.75, "routing_ns": 1.7, "levels": 1,
         "signal": "pe.queue.level_FF"},
        {"block": "pe.walker", "logic_ns": 0.35, "routing_ns": 2.0, "levels": 1, "signal": "pe.queue.y"},
    ]


def test_a_design_without_a_clock_has_no_timing() -> None:
    assert read_timing(json.dumps({"fmax": {}, "critical_paths": [], "utilization": {}})) is None


@pytest.mark.parametrize("fmax_mhz, shown", [(37.4951, 37.49), (37.5, 37.5), (82.64, 82.64), (77.1099, 77.1)])
def test_a_clock_is_rounded_down(fmax_mhz: float, shown: float) -> None:
    assert Timing(fmax_mhz, Path(())).shown_mhz == shown
