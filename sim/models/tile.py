"""What beats of the tile bus leave in the PEs' tile memories, and what they ought to leave there."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hdl.config import Config
from hdl.layouts import TileBeatKind
from hdl.owner import owner_value

__all__ = ["Slots", "TileModel", "expected_dense", "expected_packed"]

Slots = list[list[tuple[int, int]]]
"""One row of B in one PE: per lane its (word, value), in order."""


def _signed(byte: int) -> int:
    return byte - 256 if byte & 128 else byte


class TileModel:
    """The tile memories of all PEs, as one job's beats fill them; beats are dicts as the harness gives them.

    Parameters
    ----------
    config : Config
    job : the fields of the TileJob (pk_log2, group_log2 and half are used)

    Attributes
    ----------
    dense : per PE, dense word address (relative to the tile) -> V values; None in lanes that nobody wrote
    packed : per PE, local row -> per lane the list of (word, value)
    started : a START beat came

    AssertionError where a beat breaks a rule of the tile bus.
    """

    def __init__(self, config: Config, job: Mapping[str, Any]):
        self._config, self._job = config, job
        self.dense: list[dict[int, list[int | None]]] = [{} for _ in range(config.pes)]
        self.packed: list[dict[int, Slots]] = [{} for _ in range(config.pes)]
        self.started = False
        self._open = [self._no_slots() for _ in range(config.pes)]

    def _no_slots(self) -> Slots:
        return [[] for _ in range(self._config.lanes)]

    def take_all(self, beats: Iterable[Mapping[str, Any]]) -> "TileModel":
        for beat in beats:
            self.take(beat)
        return self

    def take(self, beat: Mapping[str, Any]) -> None:
        kind = TileBeatKind(beat["kind"])
        if kind in (TileBeatKind.START, TileBeatKind.WORDS, TileBeatKind.PARTS):
            assert beat["half"] == self._job["half"], beat
        getattr(self, f"_{kind.name.lower()}")(beat)

    def _pe(self, slice_number: int, owner: int) -> int:
        pk_log2 = self._job["pk_log2"]
        assert owner < 1 << pk_log2
        assert slice_number < self._config.pes >> pk_log2, f"slice {slice_number} does not exist"
        return (slice_number << pk_log2) + owner

    def _write(self, pe: int, address: int, lane: int, values: Sequence[int]) -> None:
        assert address < self._config.lane_values, f"address {address} is past the tile memory"
        word = self.dense[pe].setdefault(address, [None] * self._config.lanes)
        for offset, value in enumerate(values):
            assert word[lane + offset] is None, f"PE {pe}, word {address}, lane {lane + offset} written twice"
            word[lane + offset] = value

    def _bytes(self, beat: Mapping[str, Any]) -> list[int]:
        return [_signed(byte) for byte in beat["data"].to_bytes(2 * self._config.port_bytes, "little")]

    def _words(self, beat: Mapping[str, Any]) -> None:
        lanes, values = self._config.lanes, self._bytes(beat)
        words = [x for x in range(self._config.words_per_beat) if beat["enable"] >> x & 1]
        assert words, "a WORDS beat without a word"
        if len(words) == 2 and beat["slice"][0] == beat["slice"][1]:
            assert beat["address"][0] % 2 == 0 and beat["address"][1] == beat["address"][0] + 1, beat
        elif len(words) == 2:
            assert beat["address"][0] % 2 == beat["address"][1] % 2, beat
        for x in words:
            self._write(self._pe(beat["slice"][x], beat["owner"]), beat["address"][x], 0,
                        values[x * lanes:(x + 1) * lanes])

    def _parts(self, beat: Mapping[str, Any]) -> None:
        width, values = 1 << beat["part_log2"], self._bytes(beat)
        assert 1 <= beat["rows"] <= self._config.port_bytes // width
        assert beat["first"] + beat["rows"] <= self._config.pes, "rows with different local row numbers"
        for pe in range(self._config.pes):
            low = pe ^ beat["fold"]
            if 0 <= low - beat["first"] < beat["rows"]:
                place = (beat["above"] << self._config.pe_bits | low) * width % self._config.port_bytes
                self._write(pe, beat["address"][0], place % self._config.lanes, values[place:place + width])

    def _start(self, beat: Mapping[str, Any]) -> None:
        assert not self.started, "a second START"
        self.started = True

    def _slots(self, beat: Mapping[str, Any]) -> None:
        assert self.started, "SLOTS before START"
        assert beat["slot_valid"], "SLOTS without a nonzero"
        content = self._bytes(beat)
        for lane in range(self._config.lanes):
            if beat["slot_valid"] >> lane & 1:
                pe = self._pe(beat["slot_slice"][lane], beat["owner"])
                value, word = content[lane], content[self._config.lanes + lane]
                assert value, "a zero is stored"
                self._open[pe][lane].append((word, value))
        if beat["row_end"]:
            self._row_end(beat)

    def _row_end(self, beat: Mapping[str, Any]) -> None:
        assert self.started, "ROW_END before START"
        for slice_number in range(self._config.pes >> self._job["pk_log2"]):
            pe, address = self._pe(slice_number, beat["owner"]), beat["address"][0]
            assert address == len(self.packed[pe]), f"PE {pe} closes row {address} out of order"
            self.packed[pe][address] = self._open[pe]
            self._open[pe] = self._no_slots()

    def assert_closed(self) -> None:
        """Every nonzero belongs to a closed row."""
        assert all(not lane for pe in self._open for lane in pe), "nonzeros after the last row end"


def expected_dense(config: Config, job: Mapping[str, Any],
                   rows: Sequence[Sequence[int]]) -> list[dict[int, list[int | None]]]:
    """What `TileModel.dense` must be: every value in its place, zeros past a row's end within its word."""
    lanes, pk_log2, slice_words = config.lanes, job["pk_log2"], job["slice_words"]
    groups = 1 << job["group_log2"]
    memories: list[dict[int, list[int | None]]] = [{} for _ in range(config.pes)]
    for k, row in enumerate(rows):
        owner, local = owner_value(k, pk_log2), k >> pk_log2
        if groups > 1:
            width = lanes // groups
            word = memories[owner].setdefault(local // groups, [None] * lanes)
            part = k % groups * width
            word[part:part + width] = list(row) + [0] * (width - len(row))
            continue
        for index in range(-(-len(row) // lanes)):
            values = list(row[index * lanes:(index + 1) * lanes])
            pe = (index // slice_words << pk_log2) + owner
            memories[pe][local * slice_words + index % slice_words] = values + [0] * (lanes - len(values))
    return memories


def expected_packed(config: Config, job: Mapping[str, Any],
                    rows: Sequence[Sequence[tuple[int, int]]]) -> list[dict[int, Slots]]:
    """What `TileModel.packed` must be for rows of (column within the block, value), in that order."""
    pk_log2, slices = job["pk_log2"], config.pes >> job["pk_log2"]
    memories: list[dict[int, Slots]] = [{} for _ in range(config.pes)]
    for k, row in enumerate(rows):
        owner, local = owner_value(k, pk_log2), k >> pk_log2
        for slice_number in range(slices):
            memories[(slice_number << pk_log2) + owner][local] = [[] for _ in range(config.lanes)]
        for column, value in row:
            word, lane = divmod(column, config.lanes)
            memories[(word % slices << pk_log2) + owner][local][lane].append((word // slices, value))
    return memories
