"""One sum over all lanes' products, times a value: what SDDMM adds up in place of the lanes' products."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import VALUE_BITS, Config
from .lane import PRODUCT_BITS

__all__ = ["DotProduct", "dot_cycles"]

_TERMS = 4   # that are added in one cycle


def dot_cycles(config: Config) -> int:
    """Cycles from products to the sum: so many for the lanes, and two for the value."""
    cycles, terms = 2, config.lanes
    while terms > 1:
        cycles, terms = cycles + 1, -(-terms // _TERMS)
    return cycles


class DotProduct(wiring.Component):
    """Adds the products of V lanes and multiplies the sum by a value, exactly.

    Throughput: one sum a cycle.
    Latency: `dot_cycles`.
    Backpressure: none.
    Order: kept.

    The value is multiplied bit by bit, so that no multiplier of a lane is spent on it.

    Parameters
    ----------
    config : Config

    Members
    -------
    i : V products, signed
    i_value : signed, with the products
    o : signed, `config.product_bits`
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i": In(data.ArrayLayout(signed(PRODUCT_BITS), config.lanes)),
            "i_value": In(signed(VALUE_BITS)),
            "o": Out(signed(config.product_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        terms, value = list(self.i), self.i_value
        bits = PRODUCT_BITS

        # ---- the sum, four terms a cycle ----
        while len(terms) > 1:
            groups = [terms[first:first + _TERMS] for first in range(0, len(terms), _TERMS)]
            bits += (min(len(terms), _TERMS) - 1).bit_length()
            terms = [Signal(signed(bits), name=f"sum{bits}_{index}")
                     for index in range(len(groups))]
            later = Signal(signed(VALUE_BITS), name=f"value{bits}")
            m.d.sync += [later.eq(value), *(term.eq(sum(group[1:], group[0]))
                                            for term, group in zip(terms, groups, strict=True))]
            value = later
        total, = terms

        # ---- times the value: two bits of it a term, then all of them ----
        parts = []
        for low in range(0, VALUE_BITS, 2):
            first = Mux(value[low], total, 0)
            second = Mux(value[low + 1], total, 0) << 1
            part = Signal(signed(bits + 2), name=f"part{low}")
            # The value's highest bit counts negative.
            m.d.sync += part.eq(first - second if low + 2 == VALUE_BITS else first + second)
            parts.append(part << low)
        m.d.sync += self.o.eq((parts[0] + parts[1]) + (parts[2] + parts[3]))
        return m
