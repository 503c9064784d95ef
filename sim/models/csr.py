"""What a result in CSR must look like in memory, in plain Python: jobs, their chain words, their arrays."""

import random
from dataclasses import dataclass, field

from hdl.config import Config
from hdl.layouts import CsrMode
from sim.models.collector import scale_int8, wrap

__all__ = ["CsrJob", "write_segments"]


def _little(values: list[int], size: int) -> bytes:
    return b"".join((value % (1 << 8 * size)).to_bytes(size, "little") for value in values)


@dataclass
class CsrJob:
    """A collector job with random sums whose result is CSR; `job` is its payload.

    `density` is the chance that a word of a row comes at all, and that a lane of it is there; `skipping`:
    words without any lane do not come unless they end a row. `dense_row` has everything. `capacity` None:
    enough. `numbers`: of rows, from before; for PLACE by default such that rows do not meet. `blocks_before`
    tells the block's first column. `counted`: a row comes as one word with the number of its entries.
    """

    config: Config
    rows: int
    n_count: int
    out_int8: bool = False
    index32: bool = False
    drop_zeros: bool = False
    relu: bool = False
    row_scale: bool = False
    capacity: int | None = None
    density: float = 0.5
    skipping: bool = True
    dense_row: int | None = None
    mode: CsrMode = CsrMode.WHOLE
    numbers: list[int] | None = None
    blocks_before: int = 0
    counted: bool = False
    seed: int = 0
    chains: list[list[dict]] = field(init=False)

    def __post_init__(self) -> None:
        self.rng = rng = random.Random(f"csr {self.seed}")
        config = self.config
        self.words = -(-self.n_count // config.lanes)
        self.first_column = self.blocks_before * self.n_count
        self.places = {name: 64 * rng.randrange(1, 1 << 10) + (1 << 20) * number + rng.randrange(16)
                       for number, name in enumerate(("values", "indices", "pointers"))}
        self.scales = [(rng.randrange(1 << 15, 1 << 16), rng.randrange(8, 25))
                       for _ in range(self.rows if self.row_scale else 1)]
        self.chains = [[] for _ in range(config.chains)]
        self.entries: list[list[tuple[int, int]]] = []    # of each row: column, value
        for row in range(self.rows):
            self.entries.append([])
            self._row(row)
        self._count()
        multiplier, shift = self.scales[0]
        self.job = {
            "rows": self.rows, "n_count": self.n_count, "out_csr": 1, "out_int8": self.out_int8,
            "accumulate": self.numbers is not None, "cin_address": 0x9000,
            "relu": self.relu, "row_scale": self.row_scale,
            "scale": {"multiplier": multiplier, "shift": shift},
            "c_address": self.places["values"], "params_address": 0x2004,
            "csr": {"indices": self.places["indices"], "pointers": self.places["pointers"],
                    "capacity": self.capacity, "first_column": self.first_column, "mode": self.mode.value,
                    "index32": self.index32, "drop_zeros": self.drop_zeros, "counted": self.counted},
        }

    def _count(self) -> None:
        """Numbers that are written, where entries go, and how many are needed."""
        if self.mode is CsrMode.PLACE and self.numbers is None:
            # Some room before each row, for what other blocks have of it.
            ends, self.numbers = 0, []
            for row in self.entries:
                self.numbers.append(ends + self.rng.randrange(4))
                ends = self.numbers[-1] + len(row)
        before = self.numbers or [0] * self.rows
        sums = [number + len(row) for number, row in zip(before, self.entries, strict=True)]
        adds_up = self.mode in (CsrMode.WHOLE, CsrMode.POINTERS)
        self.written = [sum(sums[:row]) for row in range(self.rows + 1)] if adds_up else sums
        self.needed = max(self.written)
        if self.capacity is None:
            self.capacity = self.needed
        self.full = self.mode is not CsrMode.COUNT and self.needed > self.capacity
        starts = before if self.mode is CsrMode.PLACE else self.written
        self.placed = [(start + number, *entry) for start, row in zip(starts, self.entries, strict=False)
                       for number, entry in enumerate(row) if start + number < self.capacity]
        if self.mode in (CsrMode.COUNT, CsrMode.POINTERS):
            self.placed = []

    def _row(self, row: int) -> None:
        rng, lanes = self.rng, self.config.lanes
        density = 1.0 if row == self.dense_row else self.density
        words = []
        for word in range(self.words):
            comes = rng.random() < density
            # Sums past the last column are there where the tile is dense; they are no entries.
            valid = [comes and rng.random() < density for _ in range(lanes)]
            data = [rng.choice([0, rng.randrange(-1 << 31, 1 << 31), rng.randrange(-99, 99)])
                    for _ in range(lanes)]
            if any(valid) or (not self.skipping and rng.random() < 0.3):
                words.append((word, valid, data))
        multiplier, shift = self.scales[row if self.row_scale else 0]
        for word, valid, data in words:
            for lane in range(lanes):
                value = max(0, data[lane]) if self.relu else data[lane]
                if self.out_int8:
                    value = scale_int8(value, multiplier, shift)
                inside = word * lanes + lane < self.n_count
                if valid[lane] and inside and not (self.drop_zeros and value == 0):
                    self.entries[-1].append((self.first_column + word * lanes + lane, wrap(value)))
        if self.counted:
            number = len(self.entries[-1])
            rest = [rng.randrange(-99, 99) for _ in range(lanes - 1)]
            words = [(0, [number > 0] + [False] * (lanes - 1), [number, *rest])]
        # A row may end in an empty word; one without a word must.
        elif not words or rng.random() < 0.3:
            words.append((0 if not words else words[-1][0] + 1, [False] * lanes, [0] * lanes))
        self.chains[row % self.config.chains] += [
            {"word": word % (1 << self.config.word_bits), "valid": sum(bit << lane for lane, bit in
                                                                       enumerate(valid)),
             "data": data, "last": number == len(words) - 1}
            for number, (word, valid, data) in enumerate(words)]

    def parameter_bytes(self) -> bytes:
        return _little([multiplier | shift << 16 for multiplier, shift in self.scales], 4)

    def earlier_stream(self) -> bytes:
        return _little(self.numbers or [], 4)

    def image(self) -> dict[int, int]:
        """Every byte that is written, by address."""
        sizes = {"values": 1 if self.out_int8 else 4, "indices": 4 if self.index32 else 2, "pointers": 4}
        elements = [("pointers", *numbered) for numbered in enumerate(self.written)]
        for place, column, value in self.placed:
            elements += [("indices", place, column), ("values", place, value)]
        return {self.places[name] + place * sizes[name] + offset: byte
                for name, place, value in elements
                for offset, byte in enumerate(_little([value], sizes[name]))}


def write_segments(chunks: list[dict]) -> dict[int, int]:
    """The bytes that a scattered write job puts into memory with its chunks; AssertionError where a byte is
    written twice, or another chunk than the last one says that it is that."""
    memory: dict[int, int] = {}
    opens, at = True, 0
    for number, chunk in enumerate(chunks):
        at = chunk["at"] if opens else at
        for byte in chunk["data"].to_bytes(64, "little")[:chunk["count"]]:
            assert at not in memory
            memory[at] = byte
            at += 1
        opens = chunk["row_last"]
        assert chunk["last"] == (number == len(chunks) - 1)
    assert opens
    return memory
