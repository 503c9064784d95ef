"""A count that goes up and down, where it comes late whether it does."""

from amaranth.hdl import Module, Mux, Signal, Value

__all__ = ["count_both_ways"]


def count_both_ways(m: Module, count: Signal, more: Value, fewer: Value) -> None:
    """One more, or one fewer, in the next cycle; both at once leave it. `fewer` may come late: it enables the
    register, and is no operand of its sum.
    """
    with m.If(more != fewer):
        m.d.sync += count.eq(count + Mux(more, 1, -1))
