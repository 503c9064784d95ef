"""Whether a packed tile has room in the PEs, in plain NumPy."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from hdl.config import Config
from hdl.owner import owner_value

__all__ = ["packed_misfit"]


def packed_misfit(config: Config, d: Mapping[str, int], k: npt.NDArray, n: npt.NDArray) -> str:
    """What a descriptor's tile is too large for, or "".

    Parameters
    ----------
    k, n : row and column within the tile of each entry that is not zero, duplicates included
    """
    share = 1 if d["whole"] else 2
    owners = np.array([owner_value(row, d["pk_log2"]) for row in range(d["k_count"])], np.int64)
    pe = (n // config.lanes % (config.pes >> d["pk_log2"]) << d["pk_log2"]) + owners[k]
    slots = np.zeros((config.pes, d["k_count"], config.lanes), np.int64)
    np.add.at(slots, (pe, k, n % config.lanes), 1)
    if slots.max(initial=0) >= 2 * config.acc_words:
        return "a row has more slots in a lane than can be counted"
    if slots.sum(axis=1).max(initial=0) > config.store_depth // share:
        return "a lane's store is too small"
    if slots.any(axis=2).sum(axis=1).max(initial=0) > config.table_rows // share:
        return "the table is too small"
    return ""
