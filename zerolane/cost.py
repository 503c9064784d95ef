"""What a plan costs in cycles: for each tile the slowest of lanes, fetch, drain and port, then their overlap.

The counts are exact where that is cheap (tokens of each owner, packed words of each row); what finite token
queues add is estimated from samples of A (`queues`). `COSTS` are the array's fixed costs.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hdl.config import Config
from hdl.descriptor import DESCRIPTOR_BYTES

from .operands import INDEX16_COLUMNS, Operand
from .queues import TokenStream, csr_beats

__all__ = ["COSTS", "Costs", "Resident", "Streamed", "TileCost", "beats_cycles", "by_owner",
           "ceil_div", "filter_cycles", "owners", "schedule_cycles"]

_MEETING = {2: 1.5, 4: 2.1, 8: 2.6, 16: 3.1, 32: 3.5}
"""T: tokens in the fullest of T banks, of T tokens at random, on average."""

_DENSE_KEYS = 1 << 24
_LARGEST_TABLE = 1 << 25
_DENSE_SAMPLE = 1 << 20  # values of a dense matrix, from its first row on, whose order is looked at


@dataclass(frozen=True)
class Costs:
    """Fixed costs in cycles, at a memory latency of 32."""

    start: int = 130       # doorbell to first token and last sum to done
    hand_over: int = 50    # from the last token of one descriptor to the first of the next
    exposed_load: int = 40  # a tile that cannot load while another computes starts its reads anew
    round_trip: int = 45   # from a read request to its beat, queues included
    settling: int = 7      # from a row's last token in a PE until the row can leave
    lean_chain: int = 3    # of a word in a drain chain's stage, with `lean_drain`


COSTS = Costs()


def ceil_div(value: int, divisor: int) -> int:
    """How many of `divisor` it takes for `value`."""
    return -(-value // divisor)


def beats_cycles(config: Config, beats: float) -> float:
    """Cycles one read stream needs for so many beats: no faster than its buffer over a round trip."""
    return beats * max(1.0, COSTS.round_trip / config.read_buffer_beats)


def filter_cycles(config: Config, tokens: float) -> float:
    """Cycles the row filter needs for so many tokens: those of a beat that meet in a bank go one by one."""
    return tokens * _MEETING[config.beat_tokens] / config.beat_tokens


@dataclass(frozen=True, eq=False)
class Streamed:
    """The operand whose nonzeros become tokens."""

    rows: int
    inner: int
    counts: npt.NDArray[np.int64]  # nonzeros of each column k
    operand: Operand
    transposed: bool

    @classmethod
    def of(cls, operand: Operand, *, transposed: bool) -> "Streamed":
        rows, inner = operand.shape[::-1] if transposed else operand.shape
        return cls(rows, inner, operand.row_nonzeros if transposed else operand.column_nonzeros,
                   operand, transposed)

    @property
    def entries(self) -> int:
        return self.operand.entries

    @property
    def sparse(self) -> bool:
        return self.operand.sparse

    def stretch(self, config: Config, pk_log2: int, words: npt.NDArray[np.int64]) -> float:
        """`TokenStream.stretch` of this operand; `words` as there."""
        return self._stream(config.beat_tokens).stretch(
            config, owners(self.inner, pk_log2), 1 << pk_log2, words)

    def _stream(self, beat_tokens: int) -> TokenStream:
        cache = self.__dict__.setdefault("_streams", {})
        if beat_tokens not in cache:
            stored = (self.operand.transposed if self.transposed else self.operand).stored
            cache[beat_tokens] = (
                TokenStream.of_csr(stored.indptr, stored.indices, stored.data != 0, beat_tokens)
                if self.sparse else
                TokenStream.of_dense(stored[:max(1, _DENSE_SAMPLE // max(1, self.inner))], beat_tokens))
        return cache[beat_tokens]

    @property
    def nonzeros(self) -> int:
        return int(self.counts.sum())

    def row_ranges(self, k_ranges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        """Of each range of columns k, the first row of CSR with an entry there and the one after the last;
        (0, 1) if none."""
        pointers, columns = self.operand.stored.indptr, self.operand.stored.indices
        ranges = []
        for start, stop in k_ranges:
            here = np.flatnonzero((columns >= start) & (columns < stop))
            if len(here):
                first, last = np.searchsorted(pointers, pointers[0] + here[[0, -1]], "right") - 1
                ranges.append((int(first), int(last) + 1))
            else:
                ranges.append((0, 1))
        return tuple(ranges)

    def bytes_of(self, k_count: int, rows: tuple[int, int] | None = None) -> int:
        """Bytes read for a tile of `k_count` columns: CSR rows as a whole, a dense matrix's own columns."""
        if not self.sparse:
            return self.rows * k_count
        count, entries = self._part(rows)
        return 4 * count + entries * ((2 if self.inner <= INDEX16_COLUMNS else 4) + 1)

    def _part(self, rows: tuple[int, int] | None) -> tuple[int, int]:
        """How many of CSR, and their entries."""
        if rows is None:
            return self.rows, self.entries
        first, stop = (int(self.operand.stored.indptr[row]) for row in rows)
        return rows[1] - rows[0], stop - first

    def fetch_cycles(self, config: Config, k_count: int, rows: tuple[int, int] | None = None) -> float:
        """Cycles the A fetch needs at T values and two row ends a cycle."""
        tokens = config.beat_tokens
        if not self.sparse:
            return max(self.rows * max(1, -(-k_count // tokens)),
                       beats_cycles(config, self.rows * k_count / config.port_bytes))
        wide = 1 if self.inner <= INDEX16_COLUMNS or 4 * tokens <= config.port_bytes else 2
        count, entries = self._part(rows)
        return max(wide * entries / tokens, count / 2)


@dataclass(frozen=True, eq=False)
class Resident:
    """The operand that rests in the tile memory, as the sum of `layers`."""

    operand: Operand
    transposed: bool
    layers: tuple[Operand, ...]

    @property
    def inner(self) -> int:
        return self.operand.shape[1 if self.transposed else 0]

    @property
    def columns(self) -> int:
        return self.operand.shape[0 if self.transposed else 1]

    @cached_property
    def _positions(self) -> tuple[npt.NDArray, npt.NDArray]:
        """Row k and column n of every nonzero, of all layers."""
        found: list[tuple[npt.NDArray, ...]] = []
        for layer in self.layers:
            matrix = layer.stored
            if layer.sparse:
                keep = matrix.data != 0
                lines = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
                found.append((lines[keep], matrix.indices[keep].astype(np.int64)))
            else:
                found.append(np.nonzero(matrix))
        rows, columns = (np.concatenate(part) for part in zip(*found, strict=True))
        return (columns, rows) if self.transposed else (rows, columns)

    def packed_words(self, lanes: int, slice_words: int, slices: int) -> npt.NDArray[np.int64] | None:
        """Store words of each row k in each slice of each column block: what its fullest lane needs.

        Shape (inner, blocks * slices); of several layers, an upper bound. None where the table itself is too
        large.
        """
        cache = self.__dict__.setdefault("_packed", {})
        key = lanes, slice_words, slices
        if key not in cache:
            cache[key] = self._count_packed(*key)
        return cache[key]

    def packed_slots(self, lanes: int, slice_words: int, slices: int, pk_log2: int, start: int,
                     stop: int) -> npt.NDArray[np.int64]:
        """Slots that rows k from `start` to `stop` take in the fullest lane of any owner, in each slice of
        each column block: (blocks * slices,).
        """
        k, n, begins = self._by_row
        entries = slice(begins[start], begins[stop])
        k, n = k[entries] - start, n[entries]
        count, owned = self._slice_count(lanes, slice_words, slices), 1 << pk_log2
        place = (self._slices(n, lanes, slice_words, slices) * owned + self._owners(pk_log2)[k]) * lanes
        slots = np.bincount(place + n % lanes, minlength=count * owned * lanes)
        return slots.reshape(count, -1).max(axis=1)

    @cached_property
    def _by_row(self) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
        """Row k and column n of every nonzero in the order of k, and where each row begins."""
        k, n = self._positions
        order = np.argsort(k, kind="stable")
        return k[order], n[order], np.searchsorted(k[order], np.arange(self.inner + 1))

    def _owners(self, pk_log2: int) -> npt.NDArray[np.int64]:
        cache = self.__dict__.setdefault("_owner", {})
        if pk_log2 not in cache:
            cache[pk_log2] = owners(self.inner, pk_log2)
        return cache[pk_log2]

    def k_ranges(self, block_columns: int) -> tuple[tuple[int, int], ...]:
        """Of each column block, the first row k with a nonzero and the one after the last; (0, 1) if none."""
        blocks = max(1, -(-self.columns // block_columns))
        k, n = self._positions
        first, last = np.full(blocks, self.inner), np.zeros(blocks, np.int64)
        np.minimum.at(first, n // block_columns, k)
        np.maximum.at(last, n // block_columns, k)
        return tuple((int(start) if start <= stop else 0, int(stop) + 1)
                     for start, stop in zip(first, last, strict=True))

    def _slices(self, n: npt.NDArray, lanes: int, slice_words: int, slices: int) -> npt.NDArray[np.int64]:
        """The slice of each column n: in a block neighbouring words belong to neighbouring slices."""
        word = n // lanes
        return word // (slice_words * slices) * slices + word % slices

    def _slice_count(self, lanes: int, slice_words: int, slices: int) -> int:
        """Slices of all column blocks."""
        return max(1, -(-self.columns // (lanes * slice_words * slices))) * slices

    def packer_cycles(self, config: Config, block_columns: int) -> npt.NDArray[np.int64]:
        """Cycles in which the packer deals each row k of each column block to lanes, (inner, blocks).

        It takes beats of T values one after the other, each in as many cycles as its fullest lane has values;
        a row's end costs one where the block has none of the beat's.
        """
        cache = self.__dict__.setdefault("_packer", {})
        if block_columns not in cache:
            blocks = max(1, -(-self.columns // block_columns))
            k, n, _ = self._by_row
            beats = self._beats(k, n, config.tile_beat_tokens)
            new = (np.diff(k, prepend=-1) != 0) | (np.diff(beats, prepend=-1) != 0)
            group = (np.cumsum(new) - 1) * blocks + n // block_columns
            keys, counts = np.unique(group * config.lanes + n % config.lanes, return_counts=True)
            first = np.flatnonzero(np.diff(keys // config.lanes, prepend=-1))
            group = keys[first] // config.lanes
            cycles = np.zeros((self.inner, blocks), np.int64)
            ends = np.ones((self.inner, blocks), np.int64)
            if len(first):
                row = k[new][group // blocks]
                np.add.at(cycles, (row, group % blocks), np.maximum.reduceat(counts, first))
                last = np.append(np.diff(k[new]) != 0, True)[group // blocks]     # the row's last beat
                ends[row[last], (group % blocks)[last]] = 0
            cache[block_columns] = cycles + ends
        return cache[block_columns]

    def _beats(self, k: npt.NDArray, n: npt.NDArray, beat_tokens: int) -> npt.NDArray[np.int64]:
        """The beat in which the tile loader reads each nonzero; `k` is in order."""
        if not self.operand.sparse:
            return n // beat_tokens
        return csr_beats(np.bincount(k, minlength=self.inner), beat_tokens)

    def _count_packed(self, lanes: int, slice_words: int, slices: int) -> npt.NDArray[np.int64] | None:
        count = self._slice_count(lanes, slice_words, slices)
        if self.inner * count > _LARGEST_TABLE:
            return None
        k, n = self._positions
        key = (k * count + self._slices(n, lanes, slice_words, slices)) * lanes + n % lanes
        if self.inner * count * lanes <= max(_DENSE_KEYS, 4 * len(key)):
            per_lane = np.bincount(key, minlength=self.inner * count * lanes)
            return per_lane.reshape(self.inner, count, lanes).max(axis=2, initial=0)
        keys, counts = np.unique(key, return_counts=True)
        words = np.zeros(self.inner * count, np.int64)
        np.maximum.at(words, keys // lanes, counts)
        return words.reshape(self.inner, count)


def by_owner(values: npt.NDArray, pk_log2: int) -> npt.NDArray:
    """Sums of `values` (first axis: tile-local k) over the rows that each of 1 << pk_log2 owners has."""
    count = 1 << pk_log2
    if count == 1:
        return values.sum(axis=0, keepdims=True)
    local_rows = -(-len(values) // count)
    padding = [(0, local_rows * count - len(values))] + [(0, 0)] * (values.ndim - 1)
    groups = np.pad(values, padding).reshape(local_rows, count, *values.shape[1:])
    return groups[np.arange(local_rows)[:, None], _rows_by_owner(local_rows, pk_log2)].sum(axis=0)


def owners(rows: int, pk_log2: int) -> npt.NDArray[np.int64]:
    """The owner of each tile-local row, (rows,): xor with a row's fold is its own inverse."""
    return _rows_by_owner(-(-rows // (1 << pk_log2)), pk_log2).ravel()[:rows]


def _rows_by_owner(local_rows: int, pk_log2: int) -> npt.NDArray[np.int64]:
    """For each local row and owner, which of the group's 1 << pk_log2 rows it owns."""
    count = 1 << pk_log2
    local = np.arange(local_rows)
    folded = np.zeros(local_rows, np.int64)
    while pk_log2 and local.any():
        folded ^= local & (count - 1)
        local = local >> pk_log2
    return np.arange(count)[None, :] ^ folded[:, None]


@dataclass(frozen=True)
class TileCost:
    """Cycles of one descriptor, each part as if it were alone."""

    lanes: float        # the busiest PE's words
    fetch: float
    drain: float
    port: float         # all bytes but the tile's
    load: float         # of the tile
    load_port: float

    @property
    def compute(self) -> float:
        return max(self.lanes, self.fetch, self.drain, self.port)


def schedule_cycles(tiles: list[TileCost], *, whole: bool, config: Config) -> tuple[float, dict[str, float]]:
    """Cycles from doorbell to done, and the sums of each part to explain them.

    With half tiles the next tile loads while one computes, and both share the port.
    """
    lanes, fetch, drain, port, load, load_port = np.array(
        [(tile.lanes, tile.fetch, tile.drain, tile.port, tile.load, tile.load_port) for tile in tiles]).T
    compute = np.max([lanes, fetch, drain, port], axis=0)
    beats = DESCRIPTOR_BYTES / config.port_bytes
    fixed = COSTS.start + (len(tiles) - 1) * COSTS.hand_over + beats
    if whole:
        exposed = load.sum() + (len(tiles) - 1) * COSTS.exposed_load
        total = exposed + compute.sum()
    else:
        exposed = load[0]
        following = np.append(load[1:], 0.0)
        following_port = np.append(load_port[1:], 0.0)
        total = exposed + np.max([compute, following, port + following_port], axis=0).sum()
    terms = {"lanes": lanes.sum(), "fetch": fetch.sum(), "drain": drain.sum(),
             "port": port.sum() + load_port.sum(), "tile loading": load.sum(), "exposed loading": exposed,
             "fixed": fixed}
    return float(total + fixed), {name: float(value) for name, value in terms.items()}
