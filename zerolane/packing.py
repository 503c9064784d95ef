"""What of a resident operand fits into packed tiles, and how it is cut where all of it does not."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hdl.config import Config

from .cost import Resident, by_owner

__all__ = ["Packing"]


@dataclass(frozen=True)
class Packing:
    """One way to lay B out packed: P_k, the words of a slice, half or all of the tile memory."""

    config: Config
    resident: Resident
    pk_log2: int
    slice_words: int
    whole: bool

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64] | None:
        """Store words of each row in each slice of all column blocks, see `Resident.packed_words`."""
        config = self.config
        return self.resident.packed_words(config.lanes, self.slice_words, config.pes >> self.pk_log2)

    @property
    def most_rows(self) -> int:
        """Rows of B that the PEs can tell apart."""
        return self._share(self.config.index_rows) << self.pk_log2

    def cuts(self) -> tuple[int, ...] | None:
        """Bounds of as few parts of K as fit, of all column blocks alike; None where single rows do not."""
        if not self._counts_hold():
            return None
        inner, owners = self.resident.inner, 1 << self.pk_log2
        cuts, groups = [0], 1              # rows of B, one of each owner: of the part before
        while cuts[-1] < inner:
            start = cuts[-1]
            low, high, most = 0, 2 * groups, -(-(inner - start) // owners)
            while high < most and self._fits_groups(start, high):
                low, high = high, 2 * high
            high = min(high, most)
            while low < high:
                middle = (low + high + 1) // 2
                if self._fits_groups(start, middle):
                    low = middle
                else:
                    high = middle - 1
            if not low:
                return None
            groups = low
            cuts.append(min(start + low * owners, inner))
        return tuple(cuts) if len(cuts) > 1 else (0, 0)

    def ranges(self) -> tuple[tuple[int, int], ...] | None:
        """The rows of B that each column block has entries in, where they fit; none where that is all of B,
        and None where they do not fit."""
        if not self._counts_hold():
            return None
        inner, config, slices = self.resident.inner, self.config, self.config.pes >> self.pk_log2
        block_columns = self.slice_words * slices * config.lanes
        if self.resident.columns <= block_columns or not self.resident.operand.sparse:
            return () if self._fits(0, inner, slice(None)) else None
        ranges = self.resident.k_ranges(block_columns)
        fits = (self._fits(start, stop, slice(block * slices, (block + 1) * slices))
                for block, (start, stop) in enumerate(ranges))
        return ranges if all(fits) else None

    def _counts_hold(self) -> bool:
        """A row's count of slots can be written down."""
        return self.lengths is not None and int(self.lengths.max(initial=0)) < 2 * self.config.acc_words

    def _share(self, size: int) -> int:
        """What a tile may take of something that both halves of the tile memory share."""
        return size if self.whole else size // 2

    def _fits_groups(self, start: int, groups: int) -> bool:
        return self._fits(start, min(start + (groups << self.pk_log2), self.resident.inner), slice(None))

    def _fits(self, start: int, stop: int, slices: slice) -> bool:
        """Whether these slices of these rows of B have room: in every PE's index and table, and every lane's
        store."""
        assert self.lengths is not None
        config = self.config
        if stop - start > self.most_rows:
            return False
        filled = by_owner(self.lengths[start:stop, slices] > 0, self.pk_log2)
        if filled.max(initial=0) > self._share(config.table_rows):
            return False
        slots = self.resident.packed_slots(config.lanes, self.slice_words, config.pes >> self.pk_log2,
                                           self.pk_log2, start, stop)
        return bool(slots[slices].max(initial=0) <= self._share(config.store_depth))
