"""What the collector must write, in plain Python: jobs, their chain words, and the bytes of C."""

import random
from dataclasses import dataclass, field

from hdl.config import Config
from hdl.layouts import SCALE_LEFT_BITS, SCALE_RIGHT_BITS

EARLIER_ADDRESS, PARAMETER_ADDRESS = 0x4000, 0x2004


def wrap(value: int) -> int:
    """int32 two's complement."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def scale_int8(x: int, multiplier: int, shift: int) -> int:
    """The arithmetic of `layouts.ScaleWord`."""
    def round_shift(value: int, shift: int) -> int:
        return (value + (1 << shift >> 1)) >> shift

    def saturate(value: int, bits: int) -> int:
        return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, value))

    y = saturate(round_shift(x << SCALE_LEFT_BITS, shift), 18)
    return saturate(round_shift(y * multiplier, SCALE_RIGHT_BITS), 8)


def _bytes(values: list[int]) -> bytes:
    return b"".join((value % (1 << 32)).to_bytes(4, "little") for value in values)


@dataclass
class Job:
    """One collector job with random sums; `job` is its payload, the rest what goes in and comes out.

    `density` is the chance that a word of a group comes at all, and that a lane of it is there.
    """

    config: Config
    rows: int
    n_count: int
    group_log2: int = 0
    accumulate: bool = False
    out_int8: bool = False
    out_raw: bool = False
    relu: bool = False
    row_bias: bool = False
    row_scale: bool = False
    gap_bytes: int = 0
    repeat_earlier: bool = False
    density: float = 0.8
    large: bool = False
    seed: int = 0
    chains: list[list[dict]] = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"job {self.seed}")
        lanes = self.config.lanes
        self.int8 = self.out_int8 and not self.out_raw
        self.element = 1 if self.int8 else 4
        self.group = 1 << self.group_log2
        self.row_lanes = lanes >> self.group_log2
        self.groups = -(-self.rows // self.group)
        self.words = 1 if self.group_log2 else -(-self.n_count // lanes)
        self.row_bytes = 4 * lanes * self.words if self.out_raw else self.n_count * self.element
        self.stride = self.row_bytes + self.gap_bytes
        self.run = (self.group_log2 and not self.out_raw and self.n_count == self.row_lanes
                    and not self.gap_bytes)
        self.address = 0x100 + self.rng.randrange(16)
        self.scales = [self._scale() for _ in range(self.rows if self.row_scale else 1)]
        self.biases = [self._int32() if self.row_bias else 0 for _ in range(self.rows)]
        count = 1 if self.repeat_earlier else self.groups
        self.earlier = [[self._int32() for _ in range(lanes * self.words)] for _ in range(count)]
        self._make_sums()

    def _int32(self) -> int:
        bits = self.rng.choice([32] if self.large else [4, 9, 16, 24, 32])
        return self.rng.randrange(-(1 << (bits - 1)), 1 << (bits - 1))

    def _scale(self) -> tuple[int, int]:
        return self.rng.randrange(1 << self.rng.choice([12, 16])), self.rng.randrange(32)

    def _padding(self, group: int, lane: int) -> bool:
        row = group * self.group + (lane // self.row_lanes if self.group_log2 else 0)
        column = lane % self.row_lanes if self.group_log2 else lane
        return row >= self.rows or column >= self.n_count

    def _make_sums(self) -> None:
        rng, lanes = self.rng, self.config.lanes
        self.chains = [[] for _ in range(self.config.chains)]
        self.sums = []
        for group in range(self.groups):
            sums, words = [0] * (lanes * self.words), []
            for word in range(self.words):
                if rng.random() >= self.density:
                    continue
                valid, data = 0, []
                for lane in range(lanes):
                    data.append(self._int32())
                    if self._padding(group, word * lanes + lane) and self.out_raw:
                        continue
                    if rng.random() < self.density:
                        valid |= 1 << lane
                        sums[word * lanes + lane] = data[-1]
                words.append({"word": word, "valid": valid, "data": data, "last": 0})
            if not words or rng.random() < (1 - self.density) / 2:
                words.append({"word": rng.randrange(self.words), "valid": 0, "data": [7] * lanes, "last": 0})
            words[-1]["last"] = 1
            self.chains[group % self.config.chains] += words
            self.sums.append(sums)

    @property
    def job(self) -> dict:
        multiplier, shift = self.scales[0]
        scale = {"multiplier": multiplier, "shift": shift, "reserved": 0}
        if self.row_scale:
            scale = {name: 0 for name in scale}
        return {
            "rows": self.rows, "n_count": self.n_count, "group_log2": self.group_log2,
            "accumulate": int(self.accumulate), "out_int8": int(self.out_int8),
            "out_raw": int(self.out_raw), "relu": int(self.relu), "row_bias": int(self.row_bias),
            "row_scale": int(self.row_scale), "scale": scale, "c_address": self.address,
            "c_stride": self.stride, "cin_address": EARLIER_ADDRESS,
            "cin_stride": 0 if self.repeat_earlier else 4 * self.config.lanes * self.words,
            "params_address": PARAMETER_ADDRESS,
        }

    def parameter_bytes(self) -> bytes:
        records = b""
        for row in range(self.rows):
            if self.row_bias:
                records += _bytes([self.biases[row]])
            if self.row_scale:
                multiplier, shift = self.scales[row]
                records += _bytes([multiplier | shift << 16])
        return records

    def earlier_bytes(self) -> bytes:
        """As they lie in memory."""
        return b"".join(_bytes(sums) for sums in self.earlier)

    def earlier_stream(self) -> bytes:
        """As they are read."""
        return self.earlier_bytes() * (self.groups if self.repeat_earlier else 1) if self.accumulate else b""

    def _finished(self, group: int, lane: int) -> int:
        row = group * self.group + (lane // self.row_lanes if self.group_log2 else 0)
        value = self.sums[group][lane]
        if self.accumulate:
            value += self.earlier[0 if self.repeat_earlier else group][lane]
        value = wrap(value + (self.biases[row] if row < self.rows else 0))
        if self.relu:
            value = max(0, value)
        if self.int8:
            value = scale_int8(value, *self.scales[row if self.row_scale else 0])
        return value

    def image(self) -> dict[int, int]:
        """Address to byte, everything that is written."""
        written = {}
        if self.out_raw:
            for group in range(self.groups):
                row = _bytes([self._finished(group, lane) for lane in range(self.config.lanes * self.words)])
                written |= {self.address + group * self.stride + at: byte for at, byte in enumerate(row)}
            return written
        for row in range(self.rows):
            first = row % self.group * self.row_lanes if self.group_log2 else 0
            for column in range(self.n_count):
                value = self._finished(row // self.group, first + column)
                for byte in range(self.element):
                    at = self.address + row * self.stride + column * self.element + byte
                    written[at] = value >> (8 * byte) & 255
        return written

    def chunk_count(self) -> int:
        """Chunks that may be spent on the job."""
        lanes = self.config.lanes
        port = min(self.config.port_bytes, lanes * self.element)  # int8: a chunk a word
        if self.group_log2 and not self.out_raw:
            if not self.run:
                return self.rows * -(-self.row_bytes // port)
            sizes = [min(self.group, self.rows - group * self.group) * self.row_bytes
                     for group in range(self.groups)]
            return sum(-(-size // port) for size in sizes)
        whole = lanes * self.element
        if self.int8:
            return self.groups * -(-self.row_bytes // port)
        return self.groups * ((self.words - 1) * (whole // port)
                              + -(-(self.row_bytes - (self.words - 1) * whole) // port))


def random_job(config: Config, seed: object, **fixed: object) -> Job:
    """A job of every kind that the configuration can do."""
    rng = random.Random(f"flags {seed}")
    group_log2 = rng.randrange(config.lane_bits + 1)
    most = config.lanes >> group_log2 if group_log2 else 4 * config.lanes
    values = {
        "rows": rng.randrange(1, 14), "n_count": rng.choice([rng.randrange(1, most + 1), most]),
        "group_log2": group_log2, "gap_bytes": rng.choice([0, 0, 5, 64]),
        "density": rng.choice([0.2, 0.8, 1.0]), "repeat_earlier": rng.random() < 0.3,
        "out_int8": config.scale_multipliers > 0 and rng.random() < 0.5, "out_raw": rng.random() < 0.2,
        **{name: rng.random() < 0.5 for name in ("accumulate", "relu", "row_bias", "row_scale")},
    }
    return Job(config, **(values | fixed), seed=seed)


def chunks(content: bytes, size: int) -> list[dict]:
    """One contiguous segment as a reader hands it on."""
    parts = [content[at:at + size] for at in range(0, len(content), size)]
    return [{"data": int.from_bytes(part, "little"), "count": len(part), "row_last": int(last),
             "last": int(last)} for part, last in zip(parts, [False] * (len(parts) - 1) + [True], strict=True)
            ] if parts else []


def write(job: dict, stream: list[dict]) -> dict[int, int]:
    """Applies one write job's chunks, which are removed from `stream`; address to byte."""
    written = {}
    for row in range(job["rows"]):
        at = 0
        while at < job["row_bytes"]:
            chunk = stream.pop(0)
            assert chunk["count"] >= 1
            for byte in range(chunk["count"]):
                written[job["address"] + row * job["stride"] + at + byte] = chunk["data"] >> (8 * byte) & 255
            at += chunk["count"]
            assert chunk["row_last"] == (at == job["row_bytes"]), f"row {row}: row_last after {at} bytes"
            assert chunk["last"] == (at == job["row_bytes"] and row == job["rows"] - 1)
        assert at == job["row_bytes"], f"row {row}: a chunk crosses its end"
    return written
