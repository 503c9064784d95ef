"""Every contract between two blocks of the array, one function or enum each.

The hardware, the runtime and the tests import these; nothing else states a width or a field twice.
All functions take the frozen `hdl.config.Config`.
"""

from dataclasses import replace
from typing import Any

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum

from .config import ACC_BITS, ADDRESS_BITS, VALUE_BITS, WHOLE_INDEX_BITS, Config, width_of
from .status import AT_WORK_BITS

__all__ = [
    "INDEX_BYTES",
    "POINTER_BYTES",
    "ROW_ENDS",
    "SCALE_LEFT_BITS",
    "SCALE_RIGHT_BITS",
    "SUM_BYTES",
    "AFormat",
    "BFormat",
    "ChainWord",
    "Chunk",
    "CsrFull",
    "CsrMode",
    "CsrPlace",
    "FetchFormat",
    "MergeJob",
    "MergedWord",
    "Operation",
    "PeBeat",
    "PeJob",
    "PeTileBeat",
    "RawBeat",
    "ReadBeat",
    "ReadRequest",
    "ScaleWord",
    "SegmentJob",
    "TileBeat",
    "TileBeatKind",
    "TileRawBeat",
    "Token",
    "TokenBeat",
    "WriteChunk",
    "WriteJob",
    "tile_value_bits",
]

ROW_ENDS = 2
"""Row ends in one beat of the token bus."""

POINTER_BYTES, INDEX_BYTES, SUM_BYTES = 4, 2, ACC_BITS // 8
"""Addresses of row pointers, of column indices (of either width), and of sums and parameters are multiples of
these, strides of sums too; a descriptor that breaks this is refused."""


# ---- memory side -----------------------------------------------------------------------------------


def SegmentJob() -> data.StructLayout:
    """A two-dimensional piece of memory: `rows` segments of `row_bytes`, `stride` bytes apart.

    `stride == row_bytes` makes it one contiguous run, whose beats are shared by neighbouring rows.
    Any byte address. No data moves when `rows` or `row_bytes` is 0.
    """
    return data.StructLayout({
        "address": ADDRESS_BITS,
        "row_bytes": 32,
        "rows": 32,
        "stride": 32,
    })


def WriteJob(config: Config) -> data.StructLayout:
    """A SegmentJob of the writer: `rows` and `row_bytes` must not be 0. `scattered`: segments of any length,
    each where its first chunk says, up to the chunk with `last`; the other fields say nothing then."""
    return data.StructLayout({"address": ADDRESS_BITS, "row_bytes": 32, "rows": 32, "stride": 32}
                             | ({"scattered": 1} if config.csr_out else {}))


def WriteChunk(config: Config) -> data.StructLayout:
    """A Chunk of the port for the writer; `at` is the address of its first byte, where it is the first of a
    segment of a scattered job."""
    chunk = Chunk(config.port_bytes)
    return data.StructLayout({name: field.shape for name, field in chunk}
                             | ({"at": ADDRESS_BITS} if config.csr_out else {}))


def Chunk(chunk_bytes: int) -> data.StructLayout:
    """Up to `chunk_bytes` consecutive bytes of one segment, lowest address in the lowest bits.

    `count` is 1..chunk_bytes; bytes from `count` on are zero. Every chunk but a segment's last is full.
    """
    return data.StructLayout({
        "data": 8 * chunk_bytes,
        "count": width_of(chunk_bytes + 1),
        "row_last": 1,  # the segment's last chunk
        "last": 1,      # the job's last chunk
    })


def ReadRequest(config: Config) -> data.StructLayout:
    """One burst: beat-aligned address and beats - 1; never crosses a multiple of `config.burst_bytes`."""
    return data.StructLayout({"address": ADDRESS_BITS, "beats": 4})


def ReadBeat(config: Config) -> data.StructLayout:
    """One beat of an answer; `error` where the bus said SLVERR or DECERR."""
    return data.StructLayout({"data": 8 * config.port_bytes, "error": 1})


# ---- tokens ----------------------------------------------------------------------------------------


class Operation(enum.Enum, shape=2):
    """What an elementwise job makes of A[i, j] and B[i, j], of which nothing or a nonzero is there."""

    ADD = 0        # A + B
    SUBTRACT = 1   # B - A
    MULTIPLY = 2   # A · B
    MASK = 3       # B where there is an A


class CsrMode(enum.Enum, shape=2):
    """What a job with a result in CSR writes. n is a row's entries in the job's block of columns, e the row's
    number among those at `cin_address` (0 without `accumulate`)."""

    WHOLE = 0     # entries one behind the other, and row pointers
    COUNT = 1     # e + n for each row
    POINTERS = 2  # row pointers for rows of e + n entries
    PLACE = 3     # each row's entries from the e-th place on, and e + n for each row


class FetchFormat(enum.Enum, shape=2):
    """How the matrix that a fetch unit reads lies in memory."""

    DENSE = 0   # rows of int8, zeros dropped
    CSR16 = 1   # unsigned 16-bit column indices
    CSR32 = 2   # int32 column indices


class BFormat(enum.Enum, shape=2):
    """How B lies in memory and in the tile."""

    DENSE = 0         # rows of int8, stored as they are
    DENSE_PACKED = 1  # rows of int8, zeros dropped, packed
    CSR16_PACKED = 2
    CSR32_PACKED = 3


class AFormat(enum.Enum, shape=2):
    """How A lies in memory; the same codes as FetchFormat."""

    DENSE = 0
    CSR16 = 1
    CSR32 = 2


def _Ends(config: Config) -> data.ArrayLayout:
    """Row ends in order: row end e comes before the token at index `position` (T: after all)."""
    return data.ArrayLayout(
        data.StructLayout({"valid": 1, "position": width_of(config.beat_tokens + 1)}), ROW_ENDS)


def _chunk_end(config: Config) -> dict[str, int]:
    """SDDMM: the beat is the last one of T consecutive entries; entry e is the token at index e mod T. Such a
    beat is sent, even if it carries nothing else."""
    return {"chunk_end": 1} if config.sddmm else {}


def RawBeat(config: Config, value_bits: int = VALUE_BITS) -> data.StructLayout:
    """What a fetch unit makes: up to T nonzeros of consecutive rows and up to two row ends.

    Row ends are valid from the first on and their positions do not decrease. A token at or after the
    last row end's position belongs to the row that is still open.
    """
    return data.StructLayout({
        "tokens": data.ArrayLayout(data.StructLayout({
            "index": config.fetch_index_bits,  # column minus the job's first column
            "value": signed(value_bits),       # not zero where its mask bit is set
        }), config.beat_tokens),
        "mask": config.beat_tokens,
        "ends": _Ends(config),
        "last": 1,                             # nothing of this job follows
    } | _chunk_end(config))


def TileRawBeat(config: Config) -> data.StructLayout:
    """The same of the tile loader's fetch unit, whose values may be int32 where there is a merger."""
    return RawBeat(replace(config, beat_tokens=config.tile_beat_tokens), tile_value_bits(config))


def tile_value_bits(config: Config) -> int:
    """Bits of a value as the tile loader's fetch unit gives it."""
    return ACC_BITS if config.elementwise else VALUE_BITS


def Token(config: Config) -> data.StructLayout:
    """A nonzero A[i, k] on its way to the PE that owns k."""
    return data.StructLayout({
        "owner": config.pe_bits,               # k's owner among P_k
        "address": config.row_address_bits,    # dense: first word of B's row k, relative to the tile;
                                               # packed: row of the table, relative to the tile
        "part": config.lane_bits,              # N < V: which group of lanes holds row k, k mod G
        "value": signed(VALUE_BITS),
    })


def TokenBeat(config: Config) -> data.StructLayout:
    """A beat of the token bus; mask, ends and last as in `RawBeat`."""
    return data.StructLayout({
        "tokens": data.ArrayLayout(Token(config), config.beat_tokens),
        "mask": config.beat_tokens,
        "ends": _Ends(config),
        "last": 1,
    } | _chunk_end(config))


def BusBeat(config: Config) -> data.StructLayout:
    """A beat as it comes to the token bus; with `row_filter` for each token the PEs that it may be for."""
    members = {name: field.shape for name, field in TokenBeat(config)}
    if config.row_filter:
        members["pes"] = data.ArrayLayout(config.pes, config.beat_tokens)
    return data.StructLayout(members)


def PeBeat(config: Config) -> data.StructLayout:
    """A beat as one PE hears it: `mask` has only the tokens that the PE owns."""
    token = Token(config)
    return data.StructLayout({
        "tokens": data.ArrayLayout(
            data.StructLayout({name: token[name].shape for name in ("address", "part", "value")}),
            config.beat_tokens),
        "mask": config.beat_tokens,
        "ends": _Ends(config),
        "last": 1,
    } | _chunk_end(config))


# ---- tile ------------------------------------------------------------------------------------------


class TileBeatKind(enum.Enum, shape=3):
    """What a beat of the tile bus does."""

    START = 0    # a packed tile begins: every PE sets its packing pointer to the start of the half
    WORDS = 1    # dense: words of one row of B
    PARTS = 2    # dense, N <= V: rows of N' bytes, at most one for each PE
    SLOTS = 3    # packed: at most one nonzero a lane, all of one row; it may end with them
    ROW_END = 4  # packed: the row ends, every PE that owns it closes it in its table
    ROWS = 5     # SDDMM: words of one row of X, for the row buffers of every owner


def TileBeat(config: Config) -> data.StructLayout:
    """A beat of the tile bus, heard by every PE; there is no backpressure, a store takes every beat.

    kind     fields that count
    START    half, whole
    WORDS    half, owner; for each word x: enable[x], slice[x], address[x]; lanes of word x are bytes
             x·V..x·V+V-1 of data. Both words for one slice: address[0] even, address[1] = address[0] + 1.
             Words for two slices: both addresses even or both odd. A single word may be either, at any
             address.
    PARTS    half, part_log2, fold, first, rows, above, address[0]. Data is W / N' rows of N' = 1 << part_log2
             bytes; those from k's low bits = `first` on, `rows` of them, are there, and all have the same
             upper bits of k. PE p (P_k = P here) owns the row with the low bits p xor fold; `above` holds
             the bits of k above these. Row k lies at the bytes (k mod W/N')·N'.. and goes to the lanes below
             them, those of part k mod G, of word address[0].
    SLOTS    owner, slot_valid, slot_slice: for each lane a nonzero of one row of B and the slice it belongs
             to, its value in byte `lane` of data, its accumulator word in byte V + `lane`; row_end, and then
             address[0] as of ROW_END.
    ROW_END  owner, address[0]: the row's place in the table, relative to the tile.
    ROWS     as WORDS, but for half, owner, which do not count; addresses go on from row to row of X.

    Addresses are relative to the tile: the PE adds the half's base.
    """
    return data.StructLayout({
        "kind": TileBeatKind,
        "half": 1,                             # which half of the tile memory; 0 for a whole tile
        "owner": config.pe_bits,
        "enable": config.words_per_beat,
        "slice": data.ArrayLayout(unsigned(config.pe_bits), config.words_per_beat),
        "address": data.ArrayLayout(unsigned(config.row_address_bits), config.words_per_beat),
        "part_log2": width_of(config.lane_bits + 1),
        "fold": config.pe_bits,
        "first": config.pe_bits,
        "above": config.above_bits,
        "rows": width_of(config.port_bytes + 1),
        "data": 8 * (max(config.port_bytes, 2 * config.lanes) if config.compressed_b else config.port_bytes),
    } | ({
        "whole": 1,                            # the tile takes both halves
        "slot_valid": config.lanes,
        "slot_slice": data.ArrayLayout(unsigned(config.pe_bits), config.lanes),
        "row_end": 1,
    } if config.compressed_b else {}))


def PeTileBeat(config: Config) -> data.StructLayout:
    """A tile beat as PEs hear it; the data comes one cycle later, its words in the order of a store's halves.

    With two words a beat, the half of a store word in which a PE keeps a dense word is not the lowest bit of
    its address: it is that bit, exclusive or the lowest bit of the PE's slice, exclusive or bit `group_log2`
    of its owner number. So all PEs that a beat is for want its words in the same order; `swap` says that it
    is not the order in which they came.
    """
    beat = TileBeat(config)
    return data.StructLayout({name: beat[name].shape for name, _ in beat if name != "data"} | {"swap": 1})


# ---- array -----------------------------------------------------------------------------------------


def PeJob(config: Config) -> data.StructLayout:
    """What a PE must know of the running job; constant while one of its tokens is in the array."""
    return data.StructLayout({
        "pk_log2": width_of(config.pe_bits + 1),   # P_k = 1 << pk_log2; PE = slice·P_k + owner
        "slice_words": config.slice_words_bits,    # words of one row of C in a full slice of a dense tile
        "total_words": width_of(config.pes * config.acc_words + 1),  # words of a whole row (or group)
        "packed": 1,
        "half": 1,
        "group_log2": width_of(config.lane_bits + 1),  # rows of C in one word: 1 << group_log2 (N < V), or 0
    } | ({"counts": 1} if config.counts_rows else {}  # of a row of C only the number of its sums is wanted
    ) | ({
        "sddmm": 1,
        "begins": 1,                               # the cycle in which the job's first values are there
    } if config.sddmm else {}))


def ChainWord(config: Config) -> data.StructLayout:
    """V sums of one row of C (or of one group of rows, N < V).

    Words of a row come in increasing order of `word`; absent words are zeros that nobody wrote.
    A row without any word is a single chain word with `valid` = 0 and `last` set. Data of absent lanes,
    and the index of a last word without any lane, mean nothing and may change while the word is offered.
    """
    return data.StructLayout({
        "word": config.word_bits,              # global in the row
        "valid": config.lanes,                 # absent is not zero
        "data": data.ArrayLayout(signed(ACC_BITS), config.lanes),
        "last": 1,                             # ends the row; valid may be 0
    })


def MergedWord(config: Config) -> data.StructLayout:
    """Entries of one row of an elementwise result, in order; lanes between them may be absent."""
    return data.StructLayout({
        "valid": config.merge_lanes,
        "columns": data.ArrayLayout(WHOLE_INDEX_BITS, config.merge_lanes),
        "values": data.ArrayLayout(signed(ACC_BITS), config.merge_lanes),
        "row_last": 1,                         # ends the row
        "job_last": 1,
    })


SCALE_LEFT_BITS = 17
SCALE_RIGHT_BITS = 25
"""Constants of `ScaleWord`'s arithmetic."""


def ScaleWord() -> data.StructLayout:
    """A scale as the hardware applies it, packed in 32 bits; it stands for multiplier / 2**(shift + 8):

        y = saturate18(round_shift(x << 17, shift)); z = saturate8(round_shift(y * multiplier, 25))
        round_shift(x, s) = (x + (1 << s >> 1)) >> s       (arithmetic; halves round up)
    """
    return data.StructLayout({
        "multiplier": unsigned(16),
        "shift": unsigned(5),
        "reserved": unsigned(11),
    })


# ---- jobs: what the command processor tells each unit, one stream element a descriptor ---------------


def Fault() -> data.StructLayout:
    """One cycle of `valid` reports a fault by its `hdl.registers.ErrorCode`; the job runs to its end."""
    return data.StructLayout({"valid": 1, "code": 8})


def FetchJob(config: Config) -> data.StructLayout:
    """A matrix to be streamed as tokens: `rows` rows, columns start..start+count-1, others dropped."""
    return data.StructLayout({
        "format": FetchFormat,
        "rows": 32,
        "start": 32,      # first column; subtracted from every index
        "count": WHOLE_INDEX_BITS if config.elementwise else width_of(config.tile_bytes + 1),   # columns
        "pointers": 32,   # CSR: address of the second row pointer (the end of row 0), a multiple of 4
        "indices": 32,    # CSR: address of the first column index, a multiple of 2
        "values": 32,     # any byte: address of the first value; dense: of row 0, column `start`
        "stride": 32,     # dense: bytes from row to row
        "nnz": 32,        # CSR: entries
        "first": 32,      # CSR: the row pointer of row 0
        "columns": 32,    # CSR: an index at or past this is a fault
        "number": AT_WORK_BITS,  # of the descriptor; named with a fault
        **({"wide_values": 1} if config.elementwise else {}),   # CSR: values are int32; of units that can
    } | ({
        "sddmm": 1,       # the beats say where chunks end
        "pattern": 1,     # CSR: every value is 1, none is read
    } if config.sddmm else {}))


def RouterJob(config: Config) -> data.StructLayout:
    """How tokens of a job find their PE and their row of B."""
    return data.StructLayout({
        "pk_log2": width_of(config.pe_bits + 1),
        "slice_words": config.slice_words_bits,
        "packed": 1,
        "group_log2": width_of(config.lane_bits + 1),
        **_merge_fields(config),
    })


def MergeJob() -> data.StructLayout:
    """What the merger makes of two matrices."""
    return data.StructLayout({"operation": Operation})


def _merge_fields(config: Config) -> dict[str, Any]:
    """Of a job that may be an elementwise one: whether it is, and which."""
    return {"elementwise": 1, "merge": MergeJob()} if config.elementwise else {}


def TileJob(config: Config) -> data.StructLayout:
    """A tile of B to be loaded: k_count rows, n_count columns from n_start on.

    Elementwise: a matrix to be streamed to the merger instead, `merge_rows` rows and `merge_count` columns.
    """
    return data.StructLayout({
        "format": BFormat,
        "k_count": 32 if config.sddmm else width_of(config.tile_bytes + 1),
        "n_start": 32,
        "n_count": width_of(config.max_block_columns + 1),
        "pointers": 32,
        "indices": 32,
        "values": 32,
        "stride": 32,
        "nnz": 32,
        "first": 32,
        "columns": 32,
        "pk_log2": width_of(config.pe_bits + 1),
        "slice_words": config.slice_words_bits,
        "group_log2": width_of(config.lane_bits + 1),
        "half": 1,
        "whole": 1,
        **({"elementwise": 1, "merge_rows": 32, "merge_count": WHOLE_INDEX_BITS, "wide_values": 1}
           if config.elementwise else {}),
    } | ({"rows": 1} if config.sddmm else {}))      # rows of X for the row buffers, k_count of them


def CollectorJob(config: Config) -> data.StructLayout:
    """What becomes of the sums of a job, and where they go."""
    return data.StructLayout({
        "rows": 32,
        "n_count": width_of(config.max_block_columns + 1),
        "group_log2": width_of(config.lane_bits + 1),
        "accumulate": 1,
        "out_int8": 1,
        "out_raw": 1,
        "relu": 1,
        "row_bias": 1,
        "row_scale": 1,
        "scale": ScaleWord(),
        "c_address": 32,
        "c_stride": 32,
        "cin_address": 32,
        "cin_stride": 32,
        "params_address": 32,
        **({"out_csr": 1, "csr": CsrPlace()} if config.csr_out else {}),
        **({"elementwise": 1} if config.elementwise else {}),
    })


def CsrPlace() -> data.StructLayout:
    """Where a result in CSR goes, and how; its values go to `c_address`, any byte of it."""
    return data.StructLayout({
        "indices": ADDRESS_BITS,
        "pointers": ADDRESS_BITS,   # rows + 1 of them, the first is 0
        "capacity": 32,             # entries that there is room for
        "first_column": WHOLE_INDEX_BITS,   # of this block of columns
        "mode": CsrMode,
        "index32": 1,               # column indices of 32 bits, else of 16
        "drop_zeros": 1,            # entries that are zero are left out; else every sum that is there is kept
        "counted": 1,               # the PEs count a row's entries; its one word is their number
    })


def CsrFull() -> data.StructLayout:
    """One cycle of `valid`: a result had more entries than there was room for; so many are needed."""
    return data.StructLayout({"valid": 1, "needed": 32})
