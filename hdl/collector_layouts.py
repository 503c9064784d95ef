"""What the collector's blocks hand each other."""

from typing import Any

from amaranth.hdl import signed
from amaranth.lib import data

from .config import ACC_BITS, WHOLE_INDEX_BITS, Config, width_of
from .layouts import ScaleWord

__all__ = ["ChainedWord", "CollectorPlan", "DenseWord", "EntryTag", "JoinedWord", "LaneWord", "PairBeat",
           "ParameterRecord", "PointerBeat", "RowCount", "RowNumber", "SparseTag", "record_bytes"]


def record_bytes(config: Config) -> int:
    """Bytes a chunk of parameter records holds: a whole record of two elements where the port allows."""
    return min(8, config.port_bytes)


def CollectorPlan(config: Config) -> data.StructLayout:
    """A job as the blocks of the collector need it; constant while the job runs.

    "Group" is what one chain row carries: a row of C, or the rows that share a word (N < V).
    """
    return data.StructLayout({
        "last_word": config.word_bits,               # words of a group - 1
        "groups": 32,                                # of the job; they come on the chains in turn
        "group_log2": width_of(config.lane_bits + 1),
        "accumulate": 1,
        "relu": 1,
        "row_bias": 1,
        "row_scale": 1,
        "scale": ScaleWord(),
        "int8": 1,
        "run": 1,        # rows of a word and words of the job follow each other in memory without a gap
        "separate": 1,   # each row of a word goes to an address of its own
        "word_bytes": width_of(4 * config.lanes + 1),  # bytes of a whole word as it is written
        "tail_bytes": width_of(4 * config.lanes + 1),  # bytes of the short word, or (separate) of one row
        "tail_rows": width_of(config.lanes + 1),       # rows in the job's last group
        "row_elements": width_of(config.lanes // 2 + 1),  # lanes of a row in a group
        "by_element": 1,  # separate, and a row's lanes are less than the port
        "wide": 1,        # separate, and they are twice the port
        # Lanes of a row's last word; earlier numbers of rows come.
        **({"csr": 1, "last_lanes": config.lanes, "row_numbers": 1} if config.csr_out else {}),
        **({"elementwise": 1} if config.elementwise else {}),   # words come from the merger
    })


def LaneWord(config: Config) -> data.ArrayLayout:
    """One sum for each lane."""
    return data.ArrayLayout(signed(ACC_BITS), config.lanes)


def DenseWord(config: Config) -> data.StructLayout:
    """A word of a group with nothing absent; words 0, 1, ..., last_word of each group come in order.

    After int8 scaling `data` holds V bytes in its lowest bits.
    """
    return data.StructLayout({
        "data": LaneWord(config),
        "group_last": 1,   # the group's last word
        "job_last": 1,     # the job's last word
    })


def ChainedWord(config: Config) -> data.StructLayout:
    """A DenseWord as it comes from the chains; with `lean_drain` data of lanes that are not in `lanes` counts
    as zeros."""
    word = DenseWord(config)
    fields = {name: field.shape for name, field in word}
    return data.StructLayout(fields | ({"lanes": config.lanes} if config.lean_drain else {}))


def ParameterRecord(config: Config) -> data.StructLayout:
    """Bias and scale of one row; a field that the job has not is not meaningful."""
    return data.StructLayout({
        "bias": signed(ACC_BITS),
        "scale": ScaleWord(),
        "row": config.lane_bits,  # number in its group
        "last": 1,                # of its group
    })


def JoinedWord(config: Config) -> data.StructLayout:
    """Sums of one row, of words that follow each other; read by lanes they are in the order of columns."""
    return data.StructLayout({
        "valid": config.lanes,
        "words": data.ArrayLayout(config.word_bits, config.lanes),   # of each lane's sum
        "data": LaneWord(config),
        "last": 1,                  # ends the row; without any lane only then
    })


def SparseTag(config: Config) -> data.StructLayout:
    """What a word of a CSR result is beside its sums."""
    return data.StructLayout({
        "valid": config.lanes,      # lanes that hold an entry; none only in a row's last word
        "words": data.ArrayLayout(config.word_bits, config.lanes),
        "row_last": 1,
        "job_last": 1,
    })


def EntryTag(config: Config) -> data.StructLayout:
    """The same as the packer needs it: of elementwise results with the columns of the first lanes, which
    count in place of the words' numbers."""
    fields: dict[str, Any] = {name: field.shape for name, field in SparseTag(config)}
    if config.elementwise:
        fields["columns"] = data.ArrayLayout(WHOLE_INDEX_BITS, config.merge_lanes)
    return data.StructLayout(fields)


def RowNumber() -> data.StructLayout:
    """What is known of a row of a CSR result before its entries come: 0, or what `cin_address` has of it."""
    return data.StructLayout({"number": 32, "left": 32})   # and entries that there is room for from there on


def RowCount() -> data.StructLayout:
    """Entries of a row of a CSR result, those without room included, and its RowNumber."""
    return data.StructLayout({"count": 32, "number": 32, "job_last": 1})


def PairBeat(config: Config) -> data.StructLayout:
    """Entries of a CSR result in order; all beats of a run of entries but its last are full."""
    return data.StructLayout({
        "columns": data.ArrayLayout(config.entry_column_bits, config.pair_lanes),
        "values": data.ArrayLayout(ACC_BITS, config.pair_lanes),   # int8 is extended by its sign
        "count": width_of(config.pair_lanes + 1),
        "opens": 1,       # a run begins: its first entry is the `position`-th of the result
        "position": 32,
    })


def PointerBeat(config: Config) -> data.StructLayout:
    """Row pointers, or numbers of rows, in order; all beats of a job but its last are full."""
    return data.StructLayout({
        "pointers": data.ArrayLayout(32, config.pair_lanes),
        "count": width_of(config.pair_lanes + 1),
    })
