"""What passes between the parts of the merger."""

from amaranth.hdl import signed
from amaranth.lib import data

from .config import ACC_BITS, WHOLE_INDEX_BITS, Config, log2_exact
from .layouts import tile_value_bits

__all__ = ["END_COLUMN", "CombinedWord", "Element", "SortedWord", "row_bits"]

END_COLUMN = (1 << WHOLE_INDEX_BITS) - 1
"""The column of a row's end: past every entry's."""


def row_bits(config: Config) -> int:
    """Bits of a row number that are compared: rows at work at one time are `merge_lanes` apart at most."""
    return log2_exact(config.merge_lanes) + 2


def Element(config: Config, value_bits: int) -> data.StructLayout:
    """An entry of a matrix or the end of a row of it, of a sequence in which keys rise.

    Keys are compared by the sign of their difference: row numbers go around.
    """
    return data.StructLayout({
        "column": WHOLE_INDEX_BITS,       # END_COLUMN where a row ends
        "row": row_bits(config),          # the lowest bits of its number; with `column` the key
        "value": signed(value_bits),      # not zero; of an end without meaning
        "end": 1,                         # ends its row
        "last": 1,                        # and is the last of the matrix
        "pad": 1,                         # stands for nothing: pushes out what came before
    })


def SortedWord(config: Config) -> data.StructLayout:
    """The next elements of both matrices, sorted by key; of two equal ones the first is A's."""
    return data.StructLayout({
        "elements": data.ArrayLayout(Element(config, tile_value_bits(config)), config.merge_lanes),
        "of_b": config.merge_lanes,
    })


def CombinedWord(config: Config) -> data.StructLayout:
    """Entries and row ends of the result, in order, with gaps."""
    return data.StructLayout({
        "entry": config.merge_lanes,
        "end": config.merge_lanes,
        "columns": data.ArrayLayout(WHOLE_INDEX_BITS, config.merge_lanes),
        "values": data.ArrayLayout(signed(ACC_BITS), config.merge_lanes),
        "last": 1,                        # its last row end is the result's last
    })
