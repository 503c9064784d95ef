"""What a PE hears and what it must answer: loader, router and PE in plain Python."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hdl.config import Config
from hdl.layouts import TileBeatKind
from hdl.owner import owner_value

__all__ = ["Job", "Row", "expected_rows", "meaning", "own_beats", "random_job", "slot_fields", "take_rows",
           "tile_beats", "token_beats"]

Row = list[tuple[int, int, tuple[int, ...]]]
"""Words of a row of one PE: index, valid, data (0 where not valid); an empty row has none."""


@dataclass
class Job:
    """A product of one tile.

    a: rows of (k, value); b: rows of (column, value), where dense with every column; n_count: columns of the
    block; slice_words: words of a full slice; half, whole: where the tile lies; load: send the tile's beats;
    counts: of a row only the number of its sums is wanted.
    """

    a: Sequence[Sequence[tuple[int, int]]]
    b: Sequence[Sequence[tuple[int, int]]]
    n_count: int
    pk_log2: int = 0
    slice_words: int = 1
    packed: bool = False
    half: int = 0
    group_log2: int = 0
    whole: bool = False
    load: bool = True
    counts: bool = False

    def total_words(self, config: Config) -> int:
        return -(-self.n_count // config.lanes)

    def pe_job(self, config: Config) -> dict[str, int]:
        return {"pk_log2": self.pk_log2, "slice_words": self.slice_words,
                "total_words": self.total_words(config), "packed": int(self.packed), "half": self.half,
                "group_log2": self.group_log2} | ({"counts": self.counts} if config.counts_rows else {})


def _pack_bytes(values: Sequence[int]) -> int:
    return int.from_bytes(bytes(value & 255 for value in values), "little")


def tile_beats(config: Config, job: Job, rng: random.Random) -> list[dict[str, Any]]:
    """Beats of the tile bus for all PEs, as a loader would send them."""
    if job.packed:
        return _packed_beats(config, job, rng)
    if job.group_log2:
        return _part_beats(config, job, rng)
    return _word_beats(config, job)


def _word_beats(config: Config, job: Job) -> list[dict[str, Any]]:
    lanes, beats = config.lanes, []
    for k, row in enumerate(job.b):
        values = [0] * (job.total_words(config) * lanes)
        for column, value in row:
            values[column] = value
        words = []
        for word in range(job.total_words(config)):
            slice_number, index = divmod(word, job.slice_words)
            words.append((slice_number, (k >> job.pk_log2) * job.slice_words + index,
                          values[word * lanes:(word + 1) * lanes]))
        while words:
            beat = {"kind": TileBeatKind.WORDS, "half": job.half, "owner": owner_value(k, job.pk_log2),
                    "enable": 1, "slice": [words[0][0]], "address": [words[0][1]]}
            content = words.pop(0)[2]
            if config.words_per_beat == 2:
                beat["slice"].append(0)
                beat["address"].append(0)
                fits = words and (words[0][0] != beat["slice"][0] or beat["address"][0] % 2 == 0)
                if fits:
                    beat["enable"], beat["slice"][1], beat["address"][1] = 3, words[0][0], words[0][1]
                    content = content + words.pop(0)[2]
                elif k % 2:  # the second word alone
                    beat["enable"] = 2
                    beat["slice"].reverse()
                    beat["address"].reverse()
                    content = [99] * lanes + content
            beats.append(beat | {"data": _pack_bytes(content)})
    return beats


def _part_beats(config: Config, job: Job, rng: random.Random) -> list[dict[str, Any]]:
    assert 1 << job.pk_log2 == config.pes
    part_log2 = config.lane_bits - job.group_log2
    width, beats, k = 1 << part_log2, [], 0
    while k < len(job.b):
        local = k >> job.pk_log2
        in_beat = config.port_bytes // width
        most = min(in_beat - k % in_beat, config.pes - k % config.pes, len(job.b) - k)
        rows = rng.randint(1, most)
        content = [77] * config.port_bytes
        for row in range(k, k + rows):
            place = row % in_beat * width
            content[place:place + width] = [0] * width
            for column, value in job.b[row]:
                content[place + column] = value
        beats.append({
            "kind": TileBeatKind.PARTS, "half": job.half, "part_log2": part_log2,
            "fold": owner_value(local, job.pk_log2), "first": k % config.pes, "rows": rows,
            "address": [local >> job.group_log2] + [0] * (config.words_per_beat - 1),
            "above": k >> config.pe_bits & (1 << config.above_bits) - 1, "data": _pack_bytes(content),
        })
        k += rows
    return beats


def slot_fields(config: Config, slots: Mapping[int, tuple[int, int, int]]) -> dict[str, Any]:
    """Fields of a SLOTS beat for lane to (value, accumulator word, slice)."""
    content, slices = [0] * (2 * config.lanes), [0] * config.lanes
    for lane, (value, word, slice_number) in slots.items():
        content[lane], content[config.lanes + lane], slices[lane] = value, word, slice_number
    return {"slot_valid": sum(1 << lane for lane in slots), "slot_slice": slices,
            "data": _pack_bytes(content)}


def _packed_beats(config: Config, job: Job, rng: random.Random) -> list[dict[str, Any]]:
    beats: list[dict[str, Any]] = [{"kind": TileBeatKind.START, "half": job.half, "whole": job.whole}]
    slices = config.pes >> job.pk_log2
    for k, row in enumerate(job.b):
        place = {"owner": owner_value(k, job.pk_log2),
                 "address": [k >> job.pk_log2] + [0] * (config.words_per_beat - 1)}
        pending: list[list[tuple[int, int, int]]] = [[] for _ in range(config.lanes)]
        for column, value in row:
            word, lane = divmod(column, config.lanes)
            pending[lane].append((value, word // slices, word % slices))
        while any(pending):
            slots = {lane: queue.pop(0) for lane, queue in enumerate(pending) if queue and rng.random() < 0.7}
            if slots:
                beats.append({"kind": TileBeatKind.SLOTS, **place, **slot_fields(config, slots)})
        if beats[-1]["kind"] is TileBeatKind.SLOTS and row and rng.random() < 0.7:
            beats[-1]["row_end"] = 1
        else:
            beats.append({"kind": TileBeatKind.ROW_END, **place})
    return beats


def token_beats(config: Config, job: Job, rng: random.Random, fill: float = 0.8) -> list[dict[str, Any]]:
    """Beats of the token bus: random cuts, masked places, up to two row ends a beat; padded to groups."""
    groups = 1 << job.group_log2
    items: list[tuple[int, int] | None] = []
    for row in job.a:
        items += [*row, None]
    items += [None] * (-len(job.a) % groups)
    beats = []
    while items:
        tokens = [{"owner": rng.randrange(config.pes), "address": 0, "part": 0, "value": 1}
                  for _ in range(config.beat_tokens)]
        mask, ends, place = 0, [], 0
        while items:
            if items[0] is None:
                if len(ends) == 2:
                    break
                ends.append({"valid": 1, "position": place})
                items.pop(0)
                continue
            while place < config.beat_tokens and rng.random() > fill:
                place += 1
            if place >= config.beat_tokens or rng.random() < 0.05 * (fill < 1):
                break
            k, value = items.pop(0)
            local = k >> job.pk_log2
            address = local if job.packed else (local >> job.group_log2) * job.slice_words
            tokens[place] = {"owner": owner_value(k, job.pk_log2), "value": value,
                             "address": address, "part": k % groups}
            mask |= 1 << place
            place += 1
        ends += [{"valid": 0, "position": 0}] * (2 - len(ends))
        beats.append({"tokens": tokens, "mask": mask, "ends": ends, "last": int(not items)})
    return beats


def own_beats(beats: Sequence[dict[str, Any]], owner: int) -> list[dict[str, Any]]:
    """Beats of the token bus as a PE hears them that is this owner."""
    heard = []
    for beat in beats:
        own = sum((token["owner"] == owner) << place for place, token in enumerate(beat["tokens"]))
        tokens = [{name: token[name] for name in ("address", "part", "value")} for token in beat["tokens"]]
        heard.append(beat | {"tokens": tokens, "mask": beat["mask"] & own})
    return heard


def expected_rows(config: Config, number: int, job: Job) -> list[Row]:
    """The rows (groups) that PE `number` must hand on for this job."""
    lanes, groups = config.lanes, 1 << job.group_log2
    width = lanes // groups
    owner, slice_number = number & ((1 << job.pk_log2) - 1), number >> job.pk_log2
    total_words = job.total_words(config)
    if job.packed:
        own_words = range(slice_number, total_words, config.pes >> job.pk_log2)
    else:
        first = slice_number * job.slice_words
        own_words = range(first, max(first, min(first + job.slice_words, total_words)))
    rows: list[Row] = []
    for start in range(0, len(job.a), groups):
        sums: dict[tuple[int, int], int] = {}
        touched = False
        for position, row in enumerate(job.a[start:start + groups]):
            for k, value in row:
                if owner_value(k, job.pk_log2) != owner:
                    continue
                own = [(column, weight) for column, weight in job.b[k] if column // lanes in own_words]
                if not job.packed:
                    touched |= len(own_words) > 0
                    present = {column: weight for column, weight in own}
                    if groups > 1:
                        own = [(position * width + column, present.get(column, 0)) for column in range(width)]
                    else:
                        own = [(column, present.get(column, 0)) for word in own_words
                               for column in range(word * lanes, (word + 1) * lanes)]
                touched |= bool(own)
                for column, weight in own:
                    place = divmod(column, lanes)
                    sums[place] = sums.get(place, 0) + value * weight
        if job.counts:
            rows.append([(0, 1, (len(sums), *[0] * (lanes - 1)))] if sums else [])
            continue
        words = []
        for word in own_words if touched else ():
            valid = sum(((word, lane) in sums) << lane for lane in range(lanes))
            if config.csr_out and not valid:
                continue      # only words that got a sum leave
            words.append((word, valid, tuple(sums.get((word, lane), 0) for lane in range(lanes))))
        rows.append(words)
    return rows


def meaning(word: dict[str, Any]) -> dict[str, Any]:
    """A chain word without what means nothing: data of absent lanes, the index of a word without any."""
    data = [value if word["valid"] >> lane & 1 else 0 for lane, value in enumerate(word["data"])]
    return {**word, "data": data, "word": word["word"] if word["valid"] or not word["last"] else 0}


def take_rows(config: Config, chains: Sequence[list[dict[str, Any]]], rows: int) -> list[Row]:
    """The rows of a job out of its chain words, which are removed; rows alternate from chain 0 on."""
    result: list[Row] = []
    for index in range(rows):
        row: Row = []
        while True:
            word = chains[index % config.chains].pop(0)
            row.append((word["word"], word["valid"], tuple(meaning(word)["data"])))
            if word["last"]:
                break
        result.append([] if len(row) == 1 and not row[0][1] else row)
    assert not any(chains), "more words than rows"
    return result


def random_job(config: Config, rng: random.Random, *, rows: int = 25, **fields) -> Job:
    """A job with short and long rows and runs of empty ones."""
    n_count, packed = fields["n_count"], fields.get("packed", False)
    fields.setdefault("half", rng.randint(0, 1))
    k_count = 12 << fields["pk_log2"]
    zeros = rng.choice((0.1, 0.5, 0.9)) if packed else 0
    b = [[(column, rng.randint(-128, 127)) for column in range(n_count) if rng.random() >= zeros]
         for _ in range(k_count)]
    if packed:
        b[1] = []
        b[2] = b[2] + b[2][:1]
    a = []
    while len(a) < rows:
        if rng.random() < 0.15:
            a += [[] for _ in range(rng.randint(1, 9))]
        length = rng.choice((1, 1, 2, 3, 9, 20))
        a.append([(rng.randrange(k_count), rng.randint(-128, 127)) for _ in range(length)])
    return Job(a=a, b=b, **fields)
