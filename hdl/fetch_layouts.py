"""What passes between the parts of a fetch unit."""

from amaranth.hdl import signed
from amaranth.lib import data

from .config import VALUE_BITS, Config, log2_exact, width_of
from .layouts import ROW_ENDS, FetchJob, RawBeat

__all__ = ["Cut", "Ends", "RowEndPair", "RowJob", "TokenChunk", "TokenJob", "gap_bits", "position_bits"]


def gap_bits(config: Config) -> int:
    """Bits of a number of token chunks."""
    return 33 - log2_exact(config.beat_tokens)


def position_bits(config: Config) -> int:
    """Bits of a position between the tokens of a chunk, 0..T."""
    return width_of(config.beat_tokens + 1)


def TokenJob(config: Config) -> data.StructLayout:
    """How values find their column; of `hdl.layouts.FetchJob`. Dense: only that counts."""
    return data.StructLayout({
        "dense": 1,
        "wide": 1,      # int32 indices
        "start": 32,
        "count": FetchJob(config)["count"].shape,
        "columns": 32,
        **({"wide_values": 1} if config.elementwise else {}),
    } | ({"sddmm": 1} if config.sddmm else {}))


def TokenChunk(config: Config, value_bits: int = VALUE_BITS) -> data.StructLayout:
    """T consecutive entries of the matrix, in the order of memory; those masked out are no tokens."""
    return data.StructLayout({
        "tokens": data.ArrayLayout(
            data.StructLayout({"index": config.fetch_index_bits, "value": signed(value_bits)}),
            config.beat_tokens),
        "mask": config.beat_tokens,
        "last": 1,      # the job's last chunk
    } | ({"sddmm": 1} if config.sddmm else {}))     # its end is told


def RowJob(config: Config) -> data.StructLayout:
    """Where rows end; of `hdl.layouts.FetchJob`."""
    return data.StructLayout({
        "dense": 1,
        "alone": 1,                      # there is no token chunk
        "rows": 32,
        "first": 32,
        "nnz": 32,                       # dense: of one row, rounded up to whole token chunks
    })


def RowEndPair(config: Config) -> data.StructLayout:
    """The next one or two row ends.

    `gap` is the number of token chunks that begin after the row end before (before the first: from the
    job's start on) up to the one that holds this row end. An end between two chunks belongs to the former, at
    position T; one before all entries to the first chunk, at position 0.
    """
    return data.StructLayout({
        "ends": data.ArrayLayout(data.StructLayout({
            "valid": 1,
            "gap": gap_bits(config),
            "position": position_bits(config),
            "final": 1,                  # the job's last row end
        }), ROW_ENDS),
        "alone": 1,                      # there is no token chunk: `gap` means nothing
    })


def Ends(config: Config) -> data.Layout:
    """The row ends of a beat, as in `hdl.layouts.RawBeat`."""
    return RawBeat(config)["ends"].shape


def Cut(config: Config) -> data.StructLayout:
    """One beat's share of a token chunk, made from row ends alone."""
    return data.StructLayout({
        "keep": config.beat_tokens,      # places of the chunk that belong to this beat
        "ends": Ends(config),
        "done": 1,                       # nothing of the chunk is left
        "final": 1,                      # holds the job's last row end; what tokens follow belong to no row
        "alone": 1,                      # there is no token chunk
    })
