"""What a result in CSR must look like in memory, in plain Python: jobs, their chain words, their arrays."""

import random
from dataclasses import dataclass, field

from hdl.config import Config
from sim.models.collector import scale_int8, wrap

__all__ = ["CsrJob", "write_blocks"]


def _little(values: list[int], size: int) -> bytes:
    return b"".join((value % (1 << 8 * size)).to_bytes(size, "little") for value in values)


@dataclass
class CsrJob:
    """A collector job with random sums whose result is CSR; `job` is its payload.

    `density` is the chance that a word of a row comes at all, and that a lane of it is there; `skipping`:
    words without any lane do not come unless they end a row. `dense_row` has everything. `capacity` None:
    enough.
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
    seed: int = 0
    chains: list[list[dict]] = field(init=False)

    def __post_init__(self) -> None:
        self.rng = rng = random.Random(f"csr {self.seed}")
        config = self.config
        self.words = -(-self.n_count // config.lanes)
        self.places = {name: 64 * rng.randrange(1, 1 << 10) + (1 << 20) * number + rng.randrange(16)
                       for number, name in enumerate(("values", "indices", "pointers"))}
        self.scales = [(rng.randrange(1 << 15, 1 << 16), rng.randrange(8, 25))
                       for _ in range(self.rows if self.row_scale else 1)]
        self.chains = [[] for _ in range(config.chains)]
        self.entries: list[tuple[int, int]] = []    # column, value
        self.pointers = [0]
        for row in range(self.rows):
            self._row(row)
        self.needed = len(self.entries)
        self.kept = min(self.needed, self.needed if self.capacity is None else self.capacity)
        multiplier, shift = self.scales[0]
        self.job = {
            "rows": self.rows, "n_count": self.n_count, "out_csr": 1, "out_int8": self.out_int8,
            "relu": self.relu, "row_scale": self.row_scale,
            "scale": {"multiplier": multiplier, "shift": shift},
            "c_address": self.places["values"], "params_address": 0x2004,
            "csr": {"indices": self.places["indices"], "pointers": self.places["pointers"],
                    "capacity": self.needed if self.capacity is None else self.capacity,
                    "index32": self.index32, "drop_zeros": self.drop_zeros},
        }

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
                    self.entries.append((word * lanes + lane, wrap(value)))
        self.pointers.append(len(self.entries))
        # A row may end in an empty word; one without a word must.
        if not words or rng.random() < 0.3:
            words.append((0 if not words else words[-1][0] + 1, [False] * lanes, [0] * lanes))
        self.chains[row % self.config.chains] += [
            {"word": word % (1 << self.config.word_bits), "valid": sum(bit << lane for lane, bit in
                                                                       enumerate(valid)),
             "data": data, "last": number == len(words) - 1}
            for number, (word, valid, data) in enumerate(words)]

    def parameter_bytes(self) -> bytes:
        return _little([multiplier | shift << 16 for multiplier, shift in self.scales], 4)

    def image(self) -> dict[int, int]:
        """Every byte that is written, by address."""
        kept = self.entries[:self.kept]
        arrays = {"values": _little([value for _, value in kept], 1 if self.out_int8 else 4),
                  "indices": _little([column for column, _ in kept], 4 if self.index32 else 2),
                  "pointers": _little(self.pointers, 4)}
        return {self.places[name] + offset: byte
                for name, content in arrays.items() for offset, byte in enumerate(content)}


def write_blocks(jobs: list[dict], chunks: list[dict]) -> dict[int, int]:
    """The bytes that write jobs put into memory with their chunks; AssertionError where the two do not agree,
    or a byte is written twice."""
    memory: dict[int, int] = {}
    rest = iter(chunks)
    for job in jobs:
        assert job["rows"] == 1 and job["row_bytes"] > 0
        content = b""
        while len(content) < job["row_bytes"]:
            chunk = next(rest)
            content += chunk["data"].to_bytes(64, "little")[:chunk["count"]]
            assert chunk["row_last"] == (len(content) == job["row_bytes"])
            assert chunk["last"] == (chunk["row_last"] and not job["more"])
        assert len(content) == job["row_bytes"]
        for offset, byte in enumerate(content):
            assert job["address"] + offset not in memory
            memory[job["address"] + offset] = byte
    assert next(rest, None) is None
    return memory
