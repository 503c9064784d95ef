"""The array on its flat pins against cocotbext-axi: every burst length, every pattern of pauses."""

import json
from collections import Counter
from pathlib import Path

import pytest

from hdl.config import MAX_BURST_BEATS, PRESETS, Config
from hdl.emit import emit_verilog
from sim.axi_monitor import RULES
from sim.benches.axi_bench import PATTERNS
from sim.monitored_pins import MonitoredPins
from sim.runner import run_bench
from tests.axi_jobs import MEMORY_BYTES, AxiJob, bursts_of_every_length, drawn_product, read_outside
from tests.simulators import need

pytestmark = pytest.mark.verilator


def jobs_for(config: Config) -> list[AxiJob]:
    jobs = [
        bursts_of_every_length(config),
        drawn_product(config, 1, "csr", "dense", (9, 40, 19), bias="row", relu=True),
        read_outside(config),
        drawn_product(config, 2, "odd", "csr", (7, 33, 12), bias="column", scale="row"),
        drawn_product(config, 3, "csr", "dense", (30, 25, 1)),
    ]
    if config.compressed_b:
        jobs.append(drawn_product(config, 4, "csr", "csr", (12, 60, 150), scale="one"))
    return jobs


def play(config: Config, directory: Path) -> list[dict[str, dict[str, int]]]:
    """Run all jobs under all patterns; for each pattern how many bursts of each length there were."""
    jobs = []
    for number, job in enumerate(jobs_for(config)):
        entry = {"name": job.name, "writes": job.writes, "reads": job.reads, "undefined": job.undefined}
        for kind in ("image", "expected"):
            path = directory / f"{kind}{number}"
            path.write_bytes(getattr(job, kind))
            entry[kind] = str(path)
        jobs.append(entry)
    bursts = directory / "bursts.jsonl"
    (directory / "jobs.json").write_text(json.dumps({
        "memory_bytes": MEMORY_BYTES, "rules": RULES, "bursts": str(bursts), "jobs": jobs}))
    ran = run_bench("sim.benches.axi_bench", emit_verilog(MonitoredPins(config), "zerolane"), "zerolane",
                    simulator="verilator", test_directory=directory,
                    extra_env={"ZEROLANE_JOBS": str(directory / "jobs.json")})
    assert len(ran) == len(PATTERNS)
    return [json.loads(line) for line in bursts.read_text().splitlines()]


@pytest.mark.parametrize("preset", ["tiny", pytest.param("small", marks=pytest.mark.slow)])
def test_results_are_right_and_no_rule_is_broken_under_every_pattern_with_bursts_of_every_length(
        preset: str, tmp_path: Path) -> None:
    need("verilator")
    seen = play(PRESETS[preset], tmp_path)
    assert len(seen) == len(PATTERNS)
    for channel in ("ar", "aw"):
        # In each pattern, not only in all of them together.
        for pattern in seen:
            lengths = Counter({int(length): count for length, count in pattern[channel].items()})
            assert set(lengths) == set(range(1, MAX_BURST_BEATS + 1)), channel
