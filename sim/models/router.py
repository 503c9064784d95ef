"""What the router must make of beats, in plain Python."""

import random

from hdl.config import Config
from hdl.owner import owner_value

__all__ = ["expected", "facts", "random_beats", "random_job"]


def random_job(config: Config, rng: random.Random, grouped: bool) -> tuple[dict, int]:
    """A RouterJob, and how many columns (rows of B) its tokens may name."""
    group_log2 = rng.randrange(config.lane_bits + 1) if grouped else 0
    pk_log2 = config.pe_bits if group_log2 else rng.randrange(config.pe_bits + 1)
    packed = int(not group_log2 and config.compressed_b and rng.random() < 0.4)
    slice_words = 1 if group_log2 else rng.randrange(1, config.acc_words + 1)
    local_rows = min(config.index_rows if packed else config.lane_values // slice_words, 1 << 9)
    job = {"pk_log2": pk_log2, "slice_words": slice_words, "packed": packed, "group_log2": group_log2}
    return job, local_rows << pk_log2


def random_beats(config: Config, rows: int, columns: int, rng: random.Random) -> list[dict]:
    """Legal raw beats of `rows` rows, last set on the beat with the last row end."""
    beats, left = [], rows
    while left:
        ends = min(left, rng.randrange(3))
        positions = sorted(rng.randrange(config.beat_tokens + 1) for _ in range(ends))
        positions += [0] * (2 - ends)
        left -= ends
        beats.append({
            "tokens": [{"index": rng.randrange(columns), "value": rng.randrange(-128, 128) or 1}
                       for _ in range(config.beat_tokens)],
            "mask": rng.randrange(1 << config.beat_tokens) if left or ends else 0,
            "ends": [{"valid": int(number < ends), "position": positions[number]} for number in range(2)],
            "last": int(left == 0),
        })
    return beats


def expected(config: Config, job: dict, beats: list[dict]) -> list[dict]:
    """What the router must make of one job's beats, as flat facts."""
    group = 1 << job["group_log2"]
    out = []
    for beat in beats:
        tokens = []
        for number, token in enumerate(beat["tokens"]):
            if not beat["mask"] >> number & 1:
                tokens.append(None)
                continue
            local = token["index"] >> job["pk_log2"]
            row = local >> job["group_log2"]
            tokens.append((owner_value(token["index"], job["pk_log2"]),
                           row if job["packed"] else row * job["slice_words"], token["index"] % group,
                           token["value"]))
        out.append({"tokens": tokens, "ends": facts_of_ends(beat), "last": beat["last"]})
    ends = sum(len(beat["ends"]) for beat in out)
    pads = -ends % group
    if pads:
        out[-1]["last"] = 0
        none = [None] * config.beat_tokens
        out += [{"tokens": none, "ends": [0] * min(2, pads - at), "last": int(at + 2 >= pads)}
                for at in range(0, pads, 2)]
    return out


def facts_of_ends(beat: dict) -> list[int]:
    return [end["position"] for end in beat["ends"] if end["valid"]]


def facts(beat: dict) -> dict:
    tokens = [(token["owner"], token["address"], token["part"], token["value"])
              if beat["mask"] >> number & 1 else None for number, token in enumerate(beat["tokens"])]
    return {"tokens": tokens, "ends": facts_of_ends(beat), "last": beat["last"]}
