"""What a descriptor with a result in CSR writes, by NumPy, in each of its modes."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from hdl.layouts import CsrMode

__all__ = ["csr_writes"]

_LARGEST = (1 << 32) - 1


def csr_writes(d: Mapping[str, int], result: npt.NDArray, entries: npt.NDArray[np.bool_],
               numbers: npt.NDArray | None) -> tuple[int | None, list[tuple[int, bytes]]]:
    """Entries that there is no room for, or None; and what is written, as (address, bytes).

    Parameters
    ----------
    result : (rows, columns) of the block, int32 or int8; `entries`: where it has one
    numbers : uint32 (rows,) from before, where the job reads any
    """
    mode = CsrMode(d["csr_mode"])
    counts = entries.sum(axis=1).astype(np.int64)
    before = np.zeros(len(counts), np.int64) if numbers is None else numbers.astype(np.int64)
    sums = np.minimum(before + counts, _LARGEST)
    if mode in (CsrMode.WHOLE, CsrMode.POINTERS):
        written = np.minimum(np.concatenate([[0], np.cumsum(sums)]), _LARGEST)
        starts = written[:-1]
    else:
        written, starts = sums, before
    writes = [(d["c_pointers"], written.astype("<u4").tobytes())]
    if mode in (CsrMode.WHOLE, CsrMode.PLACE):
        kinds = {"c_indices": "<i4" if d["csr_index32"] else "<u2",
                 "c_address": "i1" if d["out_int8"] else "<i4"}
        for row, start in enumerate(starts.tolist()):
            columns = np.flatnonzero(entries[row])[:max(0, d["c_capacity"] - start)]
            arrays = {"c_indices": columns + d["n_start"], "c_address": result[row, columns]}
            for name, kind in kinds.items():
                content = arrays[name].astype(kind)
                writes.append((d[name] + start * content.itemsize, content.tobytes()))
    past = written[written > d["c_capacity"]]
    needed = int(past[-1]) if len(past) and mode is not CsrMode.COUNT else None
    return needed, writes
