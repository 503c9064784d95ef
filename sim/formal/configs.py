"""The small arrays that proofs are made for."""

from dataclasses import replace

from hdl.config import Config

__all__ = ["FILTERED", "PAIRS", "SMALL", "WIDER"]

SMALL = Config(name="proof", pes=2, lanes=2, port_bytes=4, tile_bytes=256, beat_tokens=2, acc_words=2,
               chains=2, queue_beats=4, row_queue_rows=2, read_buffer_beats=32, index_rows=32,
               table_rows=4, scale_multipliers=0)
"""Two of everything, where the generator allows it."""

WIDER = replace(SMALL, lanes=4)
"""Four lanes: a word may hold four rows, two or one."""

PAIRS = replace(SMALL, lanes=4, port_bytes=8, csr_out=True)
"""Results in CSR, two entries a beat."""

FILTERED = replace(SMALL, row_filter=True)
"""Tokens only go to PEs that have something of their row of B."""
