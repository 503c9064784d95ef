"""What a plan costs in cycles on a serial array: all its steps one after the other, so they are added up."""

from dataclasses import dataclass

from .cost import Resident, Streamed, ceil_div
from .plan import Plan, Tile

__all__ = ["SerialCost"]

# In cycles, as the sequencer's program and the rows' states have them.
DESCRIPTOR = 800       # its words, its checks, the first rows and the last ones
ROW_FETCH = 2          # a row's end, and whether another one comes
ROW = 10               # what the sequencer has to do for a row of sums, beside a cycle a word
BURSTS = 19            # and where a row is more than one burst
ROW_OF_BYTES = 25      # for a row of bytes, which may begin anywhere, beside a cycle each
BURST = 12             # and for a burst that it asks for
EARLIER_ROW = 15       # for a row of earlier sums that is read apart from the others
TILE_ROW = 15          # and for a row of B, at the least, where rows lie apart
TILE_ROW_OF_BEATS = 8  # the same where each begins with a beat
SCALED_VALUE = 24      # a sum to int8: a bit a cycle; with a multiplier a value a cycle
_BURST_BYTES = 64


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
        rows = self.streamed.rows
        terms = dict.fromkeys(("fetch", "rows", "output", "exposed loading", "fixed"), 0.0)
        for number, tile in enumerate(tiles):
            step = number % steps
            last, earlier = step == steps - 1, bool(step or self.column_bias)
            lanes = plan.config.lanes
            raw = 1 if plan.group_log2 else lanes
            words = tile.n_count if last else raw
            moved = lanes if earlier else words
            tokens, bursts = self._fetch(tile)
            # The lanes and the sequencer work side by side, and a row waits for the later of them.
            works = tokens + rows * (ROW_FETCH + moved + self.row_parameters / 4)
            if earlier:
                bursts += rows * ceil_div(4 * raw, _BURST_BYTES)
            served = bursts * BURST + rows * self._row(words, last)
            if self.column_bias and not step:
                served += rows * EARLIER_ROW
            terms["fetch"] += tokens
            terms["rows"] += max(works, served) - tokens
            if last and self.out_int8:
                scaled = rows * tile.n_count * (1 if plan.config.scaler_block else SCALED_VALUE)
                terms["output"] += max(0.0, scaled - max(works, served))
            terms["exposed loading"] += tile.k_count * (0.25 if plan.group_log2 else
                                                        self._tile_row(tile.n_count))
        terms["fixed"] = float(len(tiles) * DESCRIPTOR)
        return sum(terms.values()), terms

    def _row(self, columns: int, last: bool) -> int:
        """Cycles of the sequencer for a row of the result: one leaves before the next one is announced."""
        if last and self.out_int8:
            return ROW_OF_BYTES + columns
        return ROW + columns + (BURSTS if 4 * columns > _BURST_BYTES else 0)

    def _fetch(self, tile: Tile) -> tuple[float, float]:
        """Cycles for entries, and bursts. CSR: one a cycle, zero or not, in the tile or not; of a dense row
        zeros cost no cycle but where a beat has nothing else."""
        streamed = self.streamed
        if streamed.sparse:
            return streamed.entries, streamed.bytes_of(tile.k_count) / _BURST_BYTES
        values = streamed.rows * tile.k_count
        share = streamed.nonzeros / max(1, streamed.rows * streamed.inner)
        runs_on = tile.k_count == streamed.inner
        bursts = values / _BURST_BYTES if runs_on else streamed.rows * (1 + tile.k_count // _BURST_BYTES)
        return values / 4 * max(1.0, 4 * share), bursts

    def _tile_row(self, columns: int) -> float:
        """Cycles for a row of B: of its bytes, or of four at a time, and of what the sequencer does."""
        stride = self.resident.columns
        works = columns if columns % 4 or stride % 4 else columns // 4
        if columns == stride:
            return works
        return max(works, TILE_ROW if stride % 4 else TILE_ROW_OF_BEATS)
