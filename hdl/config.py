"""The one configuration object of an array; every width in the design derives from it, here, once."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from types import MappingProxyType

__all__ = [
    "NAME_WANTED", "POWERS_OF_TWO", "PRESETS", "RULES", "Config", "ConfigError", "Rule", "log2_exact",
    "width_of",
]

VALUE_BITS = 8
ACC_BITS = 32
ADDRESS_BITS = 32
WHOLE_INDEX_BITS = 32
AXI_PAGE_BYTES = 4096
MAX_BURST_BEATS = 16
FAR_APART_LANES = 32
"""From so many lanes on."""
SERIAL_LANES = 8
"""Of a serial array at the least."""
SERIAL_PORT_BYTES = 4
SERIAL_ROWS = 2048
"""Rows of B that a serial array has addresses for, both halves."""

# A name is a part of files' names, and stands in comments of what is generated.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
NAME_WANTED = "1 to 64 letters, digits, '_', '-' and '.'"

POWERS_OF_TWO = MappingProxyType({
    "pes": (1, 64), "lanes": (2, 32), "port_bytes": (4, 64), "tile_bytes": (256, 1 << 22),
    "beat_tokens": (2, 32), "acc_words": (1, 256), "chains": (1, 2), "chain_cut_stages": (1, 64),
    "bus_listeners": (1, 64), "queue_beats": (4, 256), "row_queue_rows": (2, 256),
    "read_buffer_beats": (2 * MAX_BURST_BEATS, 512), "table_rows": (4, 4096),
    "index_rows": (32, 32768),
})
"""Fields that hold a power of two: the least and the greatest."""


class ConfigError(ValueError):
    """A configuration field holds a value the hardware cannot be built with; the message names both. `field`
    is its name, None where it is not about one field."""

    def __init__(self, message: str, field: str | None = None):
        super().__init__(message)
        self.field = field


def log2_exact(value: int) -> int:
    """The exponent of a power of two; ValueError for any other number."""
    if value < 1 or value & (value - 1):
        raise ValueError(f"{value} is not a power of two")
    return value.bit_length() - 1


def width_of(values: int) -> int:
    """Bits that tell `values` different values apart, at least one (Amaranth has zero-width signals,
    Verilog has not)."""
    return max(1, (values - 1).bit_length())


@dataclass(frozen=True)
class Config:
    """What an array is made of.

    Parameters
    ----------
    name : str
        Shown in reports and in the generated Verilog.
    pes, lanes : int
        P processing elements of V multiply-accumulate lanes each; powers of two. P is 1 with `serial` only.
    port_bytes : int
        W, the memory port's bytes a beat; V or 2·V, with `serial` 4.
    tile_bytes : int
        S, tile memory for values over all lanes, both halves.
    beat_tokens : int
        T, tokens a beat of the token bus; at most W/2, so that T 16-bit column indices fill one chunk.
    acc_words : int
        Words of each of a lane's two accumulator banks: columns of one PE's slice divided by V, at most.
        Rows with fewer words leave room for more rows to wait.
        A bank of 16 words, with `lean_drain` 8, fills the memory of an FPGA's distributed RAM and needs no
        multiplexer.
    chains : int
        Drain chains, 1 or 2; rows (in vector mode, groups of rows) alternate between them.
    chain_cut_stages : int
        Every so many stages of a drain chain one ends the path of ready, which passes the others; the one
        next to the collector does, but where the collector's ready is a register.
    lean_drain : bool
        A third less of registers and a sixth of LUTs, for ports that take four beats and more for V sums of
        int32: both banks are one memory, from which a word leaves when nothing is added, and a stage of the
        drain chain passes a word every third cycle. Needs one chain; not with `csr_out` or `sddmm`.
        `chain_cut_stages` is unused: every stage ends the path of ready.
    far_registers : bool
        Registers more, for the clock of an array that fills a large part: between the choice of a lane's
        operand and its multiplier, V bytes a PE and a cycle more until a row leaves; between each buffer of
        what is read and who takes it; and for what decides on words far away in collector and writer. Not
        with `sddmm`.
    bus_listeners : int
        PEs that hear one copy of what the token bus and the tile bus bring: a copy is a register of a whole
        beat, near to those that listen.
    queue_beats : int
        Depth of each PE's token queue.
    row_queue_rows : int
        Finished rows with a token of their own that a PE can keep in its accumulators.
    read_buffer_beats : int
        Beats of room that each read stream may have outstanding; hides the memory's latency.
    compressed_b : bool
        Build the packed tile: zeros of B cost no cycle.
    scale_multipliers : int
        Multipliers the collector scales with: 0 (no int8 output), 1 (one value after the other), or V.
    index_rows : int
        Rows of B that a PE can tell apart in a packed tile, both halves; at least table_rows. K is at most
        that times P_k. Unused without `compressed_b`.
    table_rows : int
        Rows of B with entries that a PE can hold packed, both halves. Where it is index_rows, every row has a
        place, and no index is built. Unused without `compressed_b`.
    row_filter : bool
        Look up before a token goes to the PEs which of them have an entry of its row of B, so that no other
        one spends a cycle on it: T banks of index_rows / T places of a bit a PE. Needs `compressed_b`.
    block_queues : bool
        Keep wide queues of 16 to 32 entries in block RAM, too, where a part has some left; without
        `compressed_b` also those of 8 and more in the A fetch and the writer. Otherwise they are in
        distributed RAM.
    address_multipliers : bool
        Work out where rows of the tile begin with multipliers, one for each of T tokens, and with two where
        arrays end, where a part has some left; otherwise by adders.
    csr_out : bool
        Build the collector's way to results in CSR.
    sddmm : bool
        Build what samples a product of two dense matrices: a buffer of rows of the streamed one, and a sum
        over the lanes, in every PE.
    merge_lanes : int
        Entries of two sparse matrices, together, that are merged in a cycle, for elementwise operations; 0:
        not built. Needs `csr_out`, `compressed_b` and a port of 8 bytes.
    serial : bool
        For the smallest parts: one PE, and a sequencer that takes one row and one token at a time, in place
        of units that work side by side. Dense tiles and dense results only. What is said of queues, buses and
        chains is unused.
    scaler_block : bool
        With `serial`, scale with a multiplier, a value a cycle; otherwise with an adder, a bit of a value a
        cycle, for parts that have no multiplier left. Unused without `scale_multipliers`.
    """

    name: str = "base"
    pes: int = 8
    lanes: int = 8
    port_bytes: int = 16
    tile_bytes: int = 128 * 1024
    beat_tokens: int = 8
    acc_words: int = 16
    chains: int = 2
    chain_cut_stages: int = 2
    lean_drain: bool = False
    far_registers: bool = False
    bus_listeners: int = 4
    queue_beats: int = 16
    row_queue_rows: int = 16
    read_buffer_beats: int = 64
    compressed_b: bool = True
    scale_multipliers: int = 8
    index_rows: int = 8192
    table_rows: int = 512
    row_filter: bool = False
    block_queues: bool = False
    address_multipliers: bool = False
    csr_out: bool = False
    sddmm: bool = False
    merge_lanes: int = 0
    serial: bool = False
    scaler_block: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not field.type and field.type.__class__ is type:
                self._refuse(field.name, f"a value of type {field.type.__name__}")
        if not _NAME.fullmatch(self.name):
            self._refuse("name", NAME_WANTED)
        for name, (low, high) in POWERS_OF_TWO.items():
            value = getattr(self, name)
            if not low <= value <= high or value & (value - 1):
                self._refuse(name, f"a power of two from {low} to {high}")
        for rule in RULES:
            if not rule.holds(self):
                here = f", {rule.here(self)}" if rule.here else ""
                self._refuse(rule.field, rule.wanted + here)

    def _refuse(self, name: str, wanted: str) -> None:
        raise ConfigError(
            f"configuration {self.name!r}: {name} = {getattr(self, name)!r}; it must be {wanted}", name)

    # ---- tile memory -------------------------------------------------------------------------------

    @cached_property
    def lane_values(self) -> int:
        """Dense values a lane's store holds, both halves."""
        return self.tile_bytes // (self.pes * self.lanes)

    @cached_property
    def store_depth(self) -> int:
        """Words of a lane's store; a word holds two dense values or one packed slot."""
        return self.lane_values // 2

    @cached_property
    def row_words(self) -> int:
        """Words of the buffer in which a PE keeps its slice of rows of X for SDDMM: two rows of any length at
        least, beside what is on its way."""
        return max(64, 4 * self.acc_words)

    @cached_property
    def product_bits(self) -> int:
        """What is added to a sum: a lane's product, or (SDDMM) all lanes' times a value."""
        return 2 * VALUE_BITS + (self.lane_bits + VALUE_BITS if self.sddmm else 0)

    @cached_property
    def tile_beat_tokens(self) -> int:
        """Tokens a beat within the loader of packed tiles: half of T, as some of a row's T values meet in one
        lane and go one after the other anyway."""
        return max(2, self.beat_tokens // 2)

    @cached_property
    def slot_bits(self) -> int:
        """A packed slot: value and accumulator word."""
        return VALUE_BITS + self.acc_word_bits

    @cached_property
    def half_word_bits(self) -> int:
        """Bits of one half of a store word: a dense value, or a slot's value or its accumulator word."""
        return VALUE_BITS

    @cached_property
    def words_per_beat(self) -> int:
        """Tile words (V values) in one beat of the memory port: 1 or 2. A serial array, where a word takes
        several beats, has 1."""
        return max(1, self.port_bytes // self.lanes)

    @cached_property
    def count_bits(self) -> int:
        """A lane's number of packed slots in one row of B: up to 2·acc_words - 1 (duplicates may exceed
        the columns)."""
        return width_of(2 * self.acc_words)

    @cached_property
    def pair_lanes(self) -> int:
        """Entries (column index and value) of a CSR result that are made in a cycle: values for one beat."""
        return max(1, self.port_bytes // (ACC_BITS // 8))

    @cached_property
    def elementwise(self) -> bool:
        """Elementwise operations are built."""
        return self.merge_lanes > 0

    @cached_property
    def counts_rows(self) -> bool:
        """PEs can count the sums of a row of a CSR result themselves."""
        return self.csr_out and self.compressed_b

    @cached_property
    def entry_column_bits(self) -> int:
        """Index of a column of a CSR result, of the whole matrix."""
        return WHOLE_INDEX_BITS

    @cached_property
    def fetch_block_queues(self) -> bool:
        """Queues of the A fetch and the writer are in block RAM as well, in what packed tiles leave of it."""
        return self.block_queues and not self.compressed_b

    @cached_property
    def tile_readers(self) -> int:
        """Read streams of the tile loader: values; for packed tiles row pointers and column indices, too."""
        return 3 if self.compressed_b else 1

    # ---- widths ------------------------------------------------------------------------------------

    @cached_property
    def pe_bits(self) -> int:
        return log2_exact(self.pes)

    @cached_property
    def above_bits(self) -> int:
        """Bits of a row number above the owner's that tell where in a beat of narrow rows of B it lies."""
        return max(1, log2_exact(self.port_bytes) - self.pe_bits)

    def cuts_chain(self, stage: int) -> bool:
        """Stage `stage` of a drain chain, counted from the collector, ends the path of ready."""
        return (stage + self.words_spaced) % self.chain_cut_stages == 0

    @cached_property
    def words_spaced(self) -> bool:
        """Words leave the finisher every other cycle at best, and may come so: it has a register for one."""
        return not self.csr_out and self.scale_multipliers != self.lanes

    @cached_property
    def far_apart(self) -> bool:
        """Blocks of the array lie so far from each other that paths of ready end between them."""
        return self.total_lanes >= FAR_APART_LANES

    @cached_property
    def listener_groups(self) -> tuple[range, ...]:
        """Numbers of the PEs that hear one copy of what a bus brings, copy by copy."""
        size = min(self.bus_listeners, self.pes)
        return tuple(range(first, first + size) for first in range(0, self.pes, size))

    @cached_property
    def lane_bits(self) -> int:
        return log2_exact(self.lanes)

    @cached_property
    def tile_address_bits(self) -> int:
        """Address of one dense word (one value in every lane) of a PE's tile memory."""
        return width_of(self.lane_values)

    @cached_property
    def store_address_bits(self) -> int:
        return width_of(self.store_depth)

    @cached_property
    def table_address_bits(self) -> int:
        return width_of(self.table_rows)

    @cached_property
    def index_address_bits(self) -> int:
        return width_of(self.index_rows)

    @cached_property
    def row_address_bits(self) -> int:
        """What a token's `address` must hold: a dense word's address or a packed tile's row."""
        return max(self.tile_address_bits, self.index_address_bits if self.compressed_b else 1)

    @cached_property
    def indexed(self) -> bool:
        """An index finds the rows of a packed tile that have a place in the table."""
        return self.compressed_b and self.index_rows > self.table_rows

    @cached_property
    def store_addresses(self) -> int:
        """Addresses that a PE's lanes read at in a cycle: packed rows begin elsewhere in each lane."""
        return self.lanes if self.compressed_b else 1

    @cached_property
    def acc_word_bits(self) -> int:
        return width_of(self.acc_words)

    @cached_property
    def slice_words_bits(self) -> int:
        """Counts 0..acc_words."""
        return width_of(self.acc_words + 1)

    @cached_property
    def word_bits(self) -> int:
        """Index of a V-wide word in a whole row of C's column block."""
        return width_of(self.pes * self.acc_words)

    @cached_property
    def index_bits(self) -> int:
        """A row or column index within a tile, after its start was subtracted."""
        return max(width_of(self.tile_bytes), width_of(self.pes * self.acc_words * self.lanes))

    @cached_property
    def fetch_index_bits(self) -> int:
        """A column index as a fetch unit gives it: within a tile, or, elementwise, of a whole matrix."""
        return WHOLE_INDEX_BITS if self.elementwise else self.index_bits

    @cached_property
    def max_block_columns(self) -> int:
        """Columns of C that one pass can make, with P_n = P."""
        return self.pes * self.acc_words * self.lanes

    @cached_property
    def total_lanes(self) -> int:
        return self.pes * self.lanes

    @cached_property
    def burst_bytes(self) -> int:
        """Bursts are aligned to this, so that none crosses a 4 KiB page."""
        return MAX_BURST_BEATS * self.port_bytes


@dataclass(frozen=True)
class Rule:
    """What a field must be beside those around it.

    Parameters
    ----------
    field : the one that is refused
    holds : of a configuration whose fields have the right types and ranges
    wanted : what the field must be, of any configuration
    here : what that comes to in this one; None where `wanted` says all
    """

    field: str
    holds: Callable[[Config], bool]
    wanted: str
    here: Callable[[Config], str] | None = None


RULES = (
    Rule("pes", lambda config: config.pes == 1 if config.serial else config.pes >= 2,
         "at least 2, with serial 1"),
    Rule("lanes", lambda config: not config.serial or config.lanes >= SERIAL_LANES,
         f"with serial at least {SERIAL_LANES}"),
    Rule("port_bytes", lambda config: not config.serial or config.port_bytes == SERIAL_PORT_BYTES,
         f"with serial {SERIAL_PORT_BYTES}"),
    Rule("port_bytes", lambda config: config.serial or config.port_bytes in (config.lanes, 2 * config.lanes),
         "lanes or twice lanes without serial", lambda config: f"{config.lanes} or {2 * config.lanes}"),
    Rule("acc_words", lambda config: config.acc_words == 1 if config.serial else config.acc_words >= 2,
         "at least 2, with serial 1"),
    Rule("tile_bytes", lambda config: not config.serial or config.lane_values <= SERIAL_ROWS,
         f"with serial at most {SERIAL_ROWS} · lanes", lambda config: f"{SERIAL_ROWS * config.lanes}"),
    Rule("compressed_b", lambda config: not (config.serial and config.compressed_b), "false with serial"),
    Rule("scale_multipliers", lambda config: not config.serial or config.scale_multipliers in (0, 1),
         "0 or 1 with serial"),
    Rule("scaler_block", lambda config: config.serial or not config.scaler_block, "false without serial"),
    Rule("csr_out", lambda config: not (config.serial and config.csr_out), "false with serial"),
    Rule("lean_drain", lambda config: not config.lean_drain or not (
        config.serial or config.csr_out or config.sddmm or config.chains > 1),
         "false with serial, csr_out, sddmm or two chains"),
    Rule("far_registers", lambda config: not config.far_registers or not (
        config.serial or config.sddmm), "false with serial or sddmm"),
    Rule("sddmm", lambda config: not (config.serial and config.sddmm), "false with serial"),
    Rule("beat_tokens", lambda config: 2 * config.beat_tokens <= config.port_bytes,
         "at most half of port_bytes", lambda config: f"{config.port_bytes // 2}"),
    Rule("index_rows", lambda config: config.index_rows >= config.table_rows,
         "at least table_rows", lambda config: f"{config.table_rows}"),
    Rule("row_filter", lambda config: not config.row_filter or (
        config.compressed_b and config.index_rows >= 4 * config.beat_tokens),
         "false unless compressed_b is set, and with less index_rows than four for each of beat_tokens",
         lambda config: f"{4 * config.beat_tokens}"),
    Rule("scale_multipliers", lambda config: config.scale_multipliers in (0, 1, config.lanes),
         "0, 1 or lanes", lambda config: f"{config.lanes}"),
    Rule("merge_lanes", lambda config: config.merge_lanes in (0, *(
        lanes for lanes in (2, 4, 8, 16) if lanes <= config.lanes)),
         "0, or a power of two from 2 to 16 and at most lanes", lambda config: f"{config.lanes}"),
    Rule("merge_lanes", lambda config: not config.merge_lanes or (
        config.csr_out and config.compressed_b and config.port_bytes >= 8),
         "0 unless csr_out and compressed_b are set, and for a port of 4 bytes"),
    # Two rows of a full slice in every lane.
    Rule("tile_bytes", lambda config: config.lane_values >= 2 * config.acc_words,
         "at least 2 · acc_words · pes · lanes",
         lambda config: f"{2 * config.acc_words * config.total_lanes}"),
    # There addresses tell rows apart.
    Rule("tile_bytes", lambda config: not config.sddmm or config.lane_values >= 8 * config.row_words,
         "with sddmm at least 8 · pes · lanes times 4 · acc_words or 64, the larger",
         lambda config: f"{8 * config.row_words * config.total_lanes}"),
)
"""They are looked at in this order, after the fields' types and POWERS_OF_TWO."""


PRESETS = MappingProxyType({
    config.name: config for config in (
        Config(name="micro", pes=1, lanes=8, port_bytes=4, tile_bytes=4 * 1024, beat_tokens=2, acc_words=1,
               chains=1, chain_cut_stages=1, queue_beats=8, read_buffer_beats=32, compressed_b=False,
               scale_multipliers=1, serial=True),
        Config(name="mini", pes=1, lanes=16, port_bytes=4, tile_bytes=32 * 1024, beat_tokens=2, acc_words=1,
               chains=1, chain_cut_stages=1, queue_beats=8, read_buffer_beats=32, compressed_b=False,
               scale_multipliers=1, serial=True, scaler_block=True),
        Config(name="tiny", pes=2, lanes=4, port_bytes=4, tile_bytes=4 * 1024, beat_tokens=2, acc_words=16,
               chains=1, chain_cut_stages=1, queue_beats=8, read_buffer_beats=32, compressed_b=False,
               scale_multipliers=1),
        Config(name="small", pes=4, lanes=4, port_bytes=8, tile_bytes=32 * 1024, beat_tokens=4, chains=1,
               chain_cut_stages=1, scale_multipliers=4, index_rows=512, block_queues=True,
               address_multipliers=True),
        # As many lanes as `base` and `large`, in as many LUTs as their parts have.
        Config(name="lean64", port_bytes=8, beat_tokens=4, acc_words=8, chains=1, lean_drain=True,
               far_registers=True, compressed_b=False, scale_multipliers=1, address_multipliers=True),
        Config(name="lean128", pes=16, port_bytes=8, tile_bytes=256 * 1024, beat_tokens=4, acc_words=8,
               chains=1, lean_drain=True, far_registers=True, compressed_b=False, scale_multipliers=1,
               address_multipliers=True),
        Config(name="base", csr_out=True, sddmm=True, merge_lanes=4),
        Config(name="large", pes=16, tile_bytes=256 * 1024, csr_out=True, sddmm=True, merge_lanes=8,
               index_rows=32768, table_rows=2048, row_filter=True, acc_words=32),
    )
})
