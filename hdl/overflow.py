"""Whether a sum in two's complement is the true one."""

from amaranth.hdl import Value

__all__ = ["sum_wraps"]


def sum_wraps(one: Value, other: Value, total: Value) -> Value:
    """1 where `total`, as wide as its terms, is not `one` + `other`: both terms have the other sign."""
    return (one[-1] == other[-1]) & (total[-1] != one[-1])
