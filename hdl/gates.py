"""A gate that stays where it is: synthesis would make it a part of others, as far as levels allow."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Const, Instance, Module, Signal, Value

__all__ = ["fixed_gate", "gate_table"]

LUT_INPUTS = 4


def gate_table(function: Callable[..., Any], inputs: int) -> int:
    """Contents of a LUT4 for a function of up to four bits, which uses `&`, `|`, `^` and `~` only."""
    return sum((function(*(index >> place & 1 for place in range(inputs))) & 1) << index
               for index in range(1 << LUT_INPUTS))


def fixed_gate(m: Module, platform: Any, name: str, function: Callable[..., Any], *inputs: Any) -> Signal:
    """The function of up to four bits; on ECP5 in a LUT of its own, so that what comes late passes one level
    here, and no more is put together with what is behind it than fits a LUT."""
    output = Signal(name=name)
    if getattr(platform, "family", None) == "ecp5":
        values = [*inputs, *(Const(0, 1) for _ in range(LUT_INPUTS - len(inputs)))]
        m.submodules[f"gate_{name}"] = Instance(
            "LUT4", p_INIT=Const(gate_table(function, len(inputs)), 16),
            **{f"i_{port}": value for port, value in zip("ABCD", values, strict=True)}, o_Z=output)
    else:
        m.d.comb += output.eq(function(*(Value.cast(value)[0] for value in inputs)))
    return output
