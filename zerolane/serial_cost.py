"""What a plan costs in cycles on a serial array: all its steps one after the other, so they are added up."""

from dataclasses import dataclass

from .cost import Resident, Streamed
from .plan import Plan, Tile

__all__ = ["SerialCost"]

# Fixed costs in cycles as the sequencer's program has them. They are from its design: measured figures are to
# take their places.
DESCRIPTOR = 300        # from one descriptor's doorbell or predecessor to its end, beside what follows
TILE_ROW = 25           # of B into the lanes' memories
TILE_ROW_OF_WORDS = 8   # the same where rows lie a word apart, and so at multiples of the port's bytes
ROW_FETCH = 8 + 3       # to begin a row of A and to end it
ROW = 25                # what the sequencer has to do for a row, whatever it holds
RAW_BEATS = 8           # a row of sums of all lanes, to memory or from it
SCALED_VALUE = 45       # a sum through the one multiplier to int8


@dataclass(frozen=True)
class SerialCost:
    """Of one orientation of a product.

    Parameters
    ----------
    streamed, resident : the operands
    out_int8 : results are scaled
    column_bias : sums begin with a bias, which is read as earlier sums are
    row_parameters : bytes of bias and scale of each row
    """

    streamed: Streamed
    resident: Resident
    out_int8: bool
    column_bias: bool
    row_parameters: int

    def cycles(self, plan: Plan) -> tuple[float, dict[str, float]]:
        """Cycles from doorbell to done, and the sums of each part to explain them."""
        tiles = plan.tiles()
        steps = (len(plan.k_cuts) - 1) * plan.layers
        rows, port_bytes = self.streamed.rows, plan.config.port_bytes
        terms = dict.fromkeys(("fetch", "rows", "earlier sums", "output", "exposed loading", "fixed"), 0.0)
        for number, tile in enumerate(tiles):
            step = number % steps
            terms["fetch"] += self._fetch(tile, port_bytes)
            terms["earlier sums"] += rows * RAW_BEATS * bool(step or self.column_bias)
            terms["output"] += rows * self._output(tile, step == steps - 1, port_bytes)
            terms["exposed loading"] += tile.k_count * self._tile_row(plan)
        terms["rows"] = float(len(tiles) * rows * ROW)
        terms["fixed"] = float(len(tiles) * DESCRIPTOR)
        return sum(terms.values()), terms

    def _fetch(self, tile: Tile, port_bytes: int) -> float:
        """A token a cycle, zeros of a dense row among them; CSR no faster than the port brings it."""
        streamed = self.streamed
        tokens = (max(streamed.entries, streamed.bytes_of(tile.k_count) / port_bytes) if streamed.sparse else
                  streamed.rows * tile.k_count)
        return tokens + streamed.rows * ROW_FETCH

    def _output(self, tile: Tile, last: bool, port_bytes: int) -> float:
        """Of a row: sums as they are, or results with what is read to make them."""
        if not last:
            return RAW_BEATS
        return self.row_parameters / port_bytes + tile.n_count * (SCALED_VALUE if self.out_int8 else 1)

    def _tile_row(self, plan: Plan) -> int:
        return TILE_ROW_OF_WORDS if self.resident.columns == plan.config.lanes else TILE_ROW
