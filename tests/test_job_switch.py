"""The switch hands beats to the unit whose job it is."""

import random

import pytest

from hdl.config import PRESETS
from hdl.job_switch import JobSwitch
from hdl.layouts import Operation
from tests.harness import run_block

CONFIG = PRESETS["base"]


def beat(number: int, last: bool) -> dict:
    return {"tokens": [{"index": number, "value": 1}] * CONFIG.beat_tokens, "mask": 1,
            "ends": [{"valid": 0, "position": 0}] * 2, "last": int(last)}


@pytest.mark.parametrize("seed", range(3))
def test_each_unit_gets_its_jobs_and_their_beats(seed: int) -> None:
    rng = random.Random(f"switch {seed}")
    jobs, beats = [], []
    sent: dict[str, list[int]] = {"o_router": [], "o_merge": []}
    for job in range(8):
        merges, length = rng.random() < 0.5, rng.randrange(1, 6)
        jobs.append({"elementwise": int(merges), "pk_log2": job % 4,
                     "merge": {"operation": rng.choice(list(Operation))}})
        for place in range(length):
            sent["o_merge" if merges else "o_router"].append(len(beats))
            beats.append(beat(len(beats), place == length - 1))
    expect = {name: len(numbers) for name, numbers in sent.items()}
    expect |= {"o_merge_job": sum(job["elementwise"] for job in jobs),
               "o_router_job": sum(not job["elementwise"] for job in jobs)}
    found = run_block(JobSwitch(CONFIG), {"i_job": jobs, "i": beats}, expect, seed=seed, gap=0.3 * (seed > 0),
                      stall=0.3 * (seed > 1))
    for name, numbers in sent.items():
        assert [item["tokens"][0]["index"] for item in found[name]] == numbers
    assert [job["pk_log2"] for job in found["o_router_job"]] == [
        job["pk_log2"] for job in jobs if not job["elementwise"]]
    assert [job["operation"] for job in found["o_merge_job"]] == [
        job["merge"]["operation"] for job in jobs if job["elementwise"]]
