"""sim.axi_monitor: every rule is seen when it is broken, and traffic that keeps them all is let pass."""

import functools
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from sim.axi_monitor import RULES, STANDSTILL_CYCLES, AxiMonitor

Cycle = dict[str, int]
"""Member to value in a cycle; what is not named is 0."""

AR = {"memory.ar.valid": 1, "memory.ar.payload.address": 0x100, "memory.ar.payload.length": 1}
AW = {"memory.aw.valid": 1, "memory.aw.payload.address": 0x200, "memory.aw.payload.length": 1}
W = {"memory.w.valid": 1, "memory.w.payload.data": 7, "memory.w.payload.strobe": 15}
R = {"memory.r.valid": 1, "memory.r.ready": 1}
B = {"memory.b.valid": 1, "memory.b.ready": 1}
LAST = {"memory.w.payload.last": 1}
AXIL_B, AXIL_R = {"control.b.valid": 1}, {"control.r.valid": 1}
AXIL_ASKED = {"control.aw.valid": 1, "control.aw.ready": 1, "control.w.valid": 1, "control.w.ready": 1,
              "control.ar.valid": 1, "control.ar.ready": 1}


def taken(channel: dict[str, int]) -> dict[str, int]:
    return channel | {next(iter(channel)).replace("valid", "ready"): 1}


def watched(*cycles: Cycle) -> list[str]:
    """The rules that these cycles break."""
    dut = AxiMonitor(PRESETS["tiny"])
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    broken: list[str] = []

    async def drive(ctx: Any) -> None:
        names = {name for cycle in cycles for name in cycle}
        for cycle in (*cycles, {}):
            for name in names:
                ctx.set(functools.reduce(getattr, name.split("."), dut), cycle.get(name, 0))
            await ctx.tick()
        found = ctx.get(dut.violation)
        broken.extend(rule for bit, rule in enumerate(RULES) if found >> bit & 1)

    simulator.add_testbench(drive)
    simulator.run()
    return broken


BROKEN: dict[str, tuple[Cycle, ...]] = {
    "ar: valid fell or its payload changed before ready": (AR, AR | {"memory.ar.payload.length": 2}),
    "aw: valid fell or its payload changed before ready": (AW, taken(AW | {"memory.aw.payload.id": 1})),
    "w: valid fell or its payload changed before ready": (taken(AW), W, {}),
    "ar: a burst crosses a 4 KiB page": (taken(AR | {"memory.ar.payload.address": 0xFFC}),),
    "aw: a burst crosses a 4 KiB page": (taken(AW | {"memory.aw.payload.address": 0xFFC}),),
    "ar: an address is not a multiple of the port's bytes": (taken(AR | {"memory.ar.payload.address": 2}),),
    "aw: an address is not a multiple of the port's bytes": (taken(AW | {"memory.aw.payload.address": 2}),),
    "ar: a burst is longer than the array promises": (taken(AR | {"memory.ar.payload.length": 16}),),
    "aw: a burst is longer than the array promises": (taken(AW | {"memory.aw.payload.length": 16}),),
    "w: data comes before its address is offered": (W,),
    "w: last is not on the burst's last beat": (taken(AW), taken(W | LAST)),
    "r or b is not taken at once": ({"memory.r.valid": 1},),
    "irq rose while the memory was at work on a read or a write": (taken(AR), {"irq": 1}),
    "axil b: an answer without address and data, or a second one": (taken(AXIL_B),),
    "axil r: an answer without an address, or a second one": (taken(AXIL_R),),
    "axil b: valid fell or its payload changed before ready": (
        AXIL_ASKED, AXIL_B | AXIL_R, taken(AXIL_B | {"control.b.payload.response": 2}) | taken(AXIL_R)),
    "axil r: valid fell or its payload changed before ready": (
        AXIL_ASKED, AXIL_B | AXIL_R, taken(AXIL_B) | taken(AXIL_R | {"control.r.payload.data": 2})),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_rule_is_named(rule: str) -> None:
    assert rule in watched(*BROKEN[rule])


def test_traffic_that_keeps_the_rules_passes() -> None:
    assert watched(AR, taken(AR), R, R | {"memory.r.payload.last": 1}, AW | W, taken(AW) | taken(W), W | LAST,
                   taken(W | LAST), B, AXIL_ASKED, AXIL_B, taken(AXIL_B) | taken(AXIL_R), {"irq": 1}) == []


def test_a_memory_that_stands_still_is_not_waited_for() -> None:
    assert watched(taken(AR), *[{}] * (STANDSTILL_CYCLES + 2), {"irq": 1}) == []
