"""A small array that makes CSR results, and how these are compared."""

from typing import Any

import numpy as np

from hdl.config import Config

__all__ = ["CSR_CONFIG", "assert_same_csr"]

CSR_CONFIG = Config(name="csr_small", pes=2, lanes=4, port_bytes=8, tile_bytes=2048, beat_tokens=4,
                    acc_words=4, chains=2, queue_beats=4, row_queue_rows=4, read_buffer_beats=32,
                    scale_multipliers=1, index_rows=128, table_rows=64, row_filter=True, csr_out=True,
                    merge_lanes=2)


def assert_same_csr(found: Any, expected: Any) -> None:
    """Arrays and their types, not only the matrix that they mean."""
    for name in ("indptr", "indices", "data"):
        one, other = getattr(found, name), getattr(expected, name)
        np.testing.assert_array_equal(one, other, err_msg=name)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    assert found.indptr.dtype == found.indices.dtype == np.int32
