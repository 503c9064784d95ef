"""hdl.router: owners, addresses and padding against plain Python."""

import random

import pytest

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from hdl.router import Router
from sim.models.router import expected, facts, random_beats, random_job
from tests.harness import run_block


@pytest.mark.parametrize("preset", ["tiny", "small", "base"])
@pytest.mark.parametrize("seed", range(4))
def test_tokens_find_owner_and_address_in_jobs_of_every_kind(preset: str, seed: int) -> None:
    config, rng = PRESETS[preset], random.Random(seed)
    jobs, beats, wanted = [], [], []
    for number in range(4):
        job, columns = random_job(config, rng, grouped=bool(number % 2))
        work = random_beats(config, rng.randrange(1, 40), columns, rng)
        jobs.append(job)
        beats += work
        wanted += expected(config, job, work)
    result = run_block(Router(config), {"i_job": jobs, "i": beats}, {"o": len(wanted)}, gap=0.2, stall=0.3,
                       seed=seed)
    assert [facts(beat) for beat in result["o"]] == wanted


def test_it_converts_to_verilog() -> None:
    for preset in ("tiny", "large"):
        assert "module" in emit_verilog(Router(PRESETS[preset]), "block")
