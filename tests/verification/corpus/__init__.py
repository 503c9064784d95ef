"""The jobs that mutants and coverage are measured with: of every kind, right and wrong, on every memory.

Each job checks its result itself (against the golden model, or that the expected error is reported); what a
Recorder writes down meanwhile is what every mutant must do, to the cycle.
"""

from collections.abc import Callable, Iterator

import numpy as np

from .csr_blocks import blocks_of_columns, earlier_entries, held_entries
from .edges import (
    deep_tiles,
    leftovers,
    long_lists,
    long_tile_rows,
    odd_addresses,
    window_ends,
    wrapping_sums,
)
from .host import doorbells, registers
from .ignored import large_sizes, lone_bits, unused_arrays, unused_fields
from .malformed import bad_csr, bad_fields, bus_errors, late_faults, packed_overflow, pointer_bits
from .merge_lists import waiting_merges
from .merging import (
    backlogs,
    chains,
    far_columns,
    merge_errors,
    merge_faults,
    merge_room,
    merges,
    mixed_lists,
    tall_results,
)
from .packed_rows import full_tables, rows_without_entries
from .places import (
    alignments,
    counts,
    far_apart,
    far_blocks,
    long_rows,
    odd_sums,
    reuse,
    reuse_of_any_width,
    wide_indices,
)
from .products import (
    any_scales,
    cuts,
    drawn,
    extremes,
    finishes,
    formats,
    held_pads,
    plans,
    row_lengths,
    widest,
)
from .refusals import edges_of_arrays, refused_fields
from .sampling import sample_faults, sampled_lists, samples
from .session import ADDRESS_SPACE_BYTES, MEMORY_BYTES, STORAGE_BYTES, Session
from .sparse import csr_results
from .stops import broken_memory, endless, held_results, held_windows, stops, windows

__all__ = ["ADDRESS_SPACE_BYTES", "JOBS", "MEMORY_BYTES", "STORAGE_BYTES", "Session", "corpus", "finishes",
           "registers"]

RANDOM_JOBS = 40
_LATER_SEED = 13

_LATER: tuple[Callable[[Session], None], ...] = (
    held_pads, csr_results, window_ends, odd_addresses, long_lists, wrapping_sums, long_tile_rows, leftovers,
    deep_tiles, merges, far_columns, chains, mixed_lists, merge_room, merge_faults, merge_errors, samples,
    sampled_lists, sample_faults, refused_fields, edges_of_arrays, unused_fields, lone_bits,
    tall_results, backlogs, waiting_merges, blocks_of_columns, earlier_entries, rows_without_entries,
    full_tables, held_entries, unused_arrays, large_sizes, reuse_of_any_width,
    held_windows)
"""They come behind the products by chance, with random numbers of their own: so what they draw does not hang
on what comes before, and what comes before is as it was before there were any."""

JOBS: tuple[Callable[[Session], None], ...] = (
    finishes, registers, doorbells, row_lengths, cuts, reuse, wide_indices, extremes, any_scales, widest,
    alignments, far_apart, far_blocks, long_rows, odd_sums, counts, formats, plans, windows, bad_fields,
    stops, endless, bus_errors, bad_csr, pointer_bits, late_faults, held_results, broken_memory,
    packed_overflow, *_LATER)


def corpus(session: Session, random_jobs: int = RANDOM_JOBS,
           jobs: tuple[Callable[[Session], None], ...] = JOBS) -> Iterator[str]:
    """Run the jobs, one after the other; the name of each before it runs."""
    noise = session.rng.integers(0, 256, MEMORY_BYTES).astype(np.uint8)
    session.recorder.write_memory(0, noise)
    for job in (job for job in jobs if job not in _LATER):
        session.recorder.label(job.__name__)
        yield job.__name__
        job(session)
    for number in range(random_jobs):
        session.recorder.label(f"drawn {number}")
        yield f"drawn {number}"
        drawn(session)
    session.rng = np.random.default_rng(_LATER_SEED)
    for job in (job for job in jobs if job in _LATER):
        session.recorder.label(job.__name__)
        yield job.__name__
        job(session)
