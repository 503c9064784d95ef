"""A mutated array recorded and replayed: what becomes of each mutant."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hdl.config import PRESETS, Config
from sim.cocotb_transport import build_system
from sim.memory import gap_threshold
from sim.runner import run_model
from zerolane.device import Device

from .corpus import ADDRESS_SPACE_BYTES, JOBS, MEMORY_BYTES, STORAGE_BYTES, Session, corpus
from .recording import OUT_OF_TIME, Recorder, write_recording
from .system import VerilogArray, array_sources

__all__ = ["CONFIGS", "Verdict", "VerilogDesign", "play_once", "record", "replay"]

_BENCH = "tests.verification.replay_bench"


@dataclass(frozen=True)
class Measured:
    """A configuration that mutants and coverage are measured on.

    Attributes
    ----------
    share : of the mutants, relative to the others
    least : mutants of each block
    """

    config: Config
    share: int
    least: int


CONFIGS = {
    # Every block is in it, and queues are so small that they fill.
    "mutation": Measured(Config(
        name="mutation", pes=4, lanes=4, port_bytes=8, tile_bytes=8 * 1024, beat_tokens=4, acc_words=8,
        chains=2, queue_beats=4, row_queue_rows=4, read_buffer_beats=32, compressed_b=True,
        scale_multipliers=4, index_rows=128, table_rows=64, row_filter=True, csr_out=True, sddmm=True,
        merge_lanes=2), share=4, least=3),
    # The serial scaler, one chain, no packed tile.
    "tiny": Measured(PRESETS["tiny"], share=1, least=1),
}
_SEED = 12


@dataclass(frozen=True)
class VerilogDesign:
    """Makes the array of an emitted Verilog file, see sim.harness_top.Design."""

    verilog: Path
    mutants: bool
    more: tuple[Path, ...] = ()

    def __call__(self, config: Config) -> Any:
        return VerilogArray(config, mutants=self.mutants)

    @property
    def sources(self) -> tuple[Path, ...]:
        return (*array_sources(), self.verilog, *self.more)


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant.

    Attributes
    ----------
    verdict : "same": it did everything as recorded; OUT_OF_TIME: and was not at the end yet; else what
        differed first, or "simulator ended"
    label, step : job and step of the recording in which it differed
    """

    mutant: int
    verdict: str
    label: str
    step: int

    @property
    def killed(self) -> bool:
        return self.verdict not in ("same", OUT_OF_TIME)


def record(config: Config, design: VerilogDesign, recording: Path, *, random_jobs: int,
           report: Callable[[str], None], jobs: tuple[Callable[[Session], None], ...] = JOBS) -> int:
    """Run the corpus on the array itself and write down what happens; simulated cycles."""
    settings = {"latency_cycles": 8, "gap_threshold": gap_threshold(0), "seed": _SEED,
                "limit_words": ADDRESS_SPACE_BYTES // config.port_bytes}
    with Recorder(config, STORAGE_BYTES, settings, design, report) as recorder:
        session = Session(config, recorder, Device(config, recorder), np.random.default_rng(_SEED))
        for name in corpus(session, random_jobs, jobs):
            if "drawn" not in name:
                report(f"recording {name}, {recorder.stats.cycles:,} cycles so far")
        write_recording(recorder.steps, recording, MEMORY_BYTES // config.port_bytes)
        return recorder.stats.cycles


def play_once(config: Config, design: VerilogDesign, recording: Path, directory: Path, *,
              extra_options: tuple[str, ...] = ()) -> None:
    """Play the recording on an array, in one process that ends as a simulation does; AssertionError if it
    differs from what was recorded."""
    verdicts = directory / "verdicts.jsonl"
    shutil.rmtree(directory / "play", ignore_errors=True)
    job = directory / "replay.json"
    job.write_text(json.dumps({"recording": str(recording.resolve()), "mutants": [0], "fork": False,
                               "processes": 1, "verdicts": str(verdicts.resolve())}))
    model = build_system("verilator", config, STORAGE_BYTES, design, extra_options=extra_options)
    run_model(_BENCH, model, test_directory=directory / "play", timeout_seconds=3600,
              extra_env={"ZEROLANE_REPLAY": str(job.resolve())})
    verdict = Verdict(**json.loads(verdicts.read_text()))
    assert not verdict.killed, f"the array does not repeat what was recorded: {verdict}"


def replay(config: Config, design: VerilogDesign, recording: Path, mutants: list[int], directory: Path, *,
           processes: int = 1) -> list[Verdict]:
    """Play the recording on each of the mutants; 0 is the array itself."""
    verdicts = directory / "verdicts.jsonl"
    verdicts.unlink(missing_ok=True)
    shutil.rmtree(directory / "play", ignore_errors=True)
    job = directory / "replay.json"
    job.write_text(json.dumps({"recording": str(recording.resolve()), "mutants": mutants, "fork": True,
                               "processes": processes, "verdicts": str(verdicts.resolve())}))
    model = build_system("verilator", config, STORAGE_BYTES, design)
    run_model(_BENCH, model, test_directory=directory / "play", timeout_seconds=3 * 3600,
              extra_env={"ZEROLANE_REPLAY": str(job.resolve())})
    found: dict[int, Verdict] = {}
    if verdicts.exists():
        for line in verdicts.read_text().splitlines():
            verdict = Verdict(**json.loads(line))
            found[verdict.mutant] = verdict
    # A fork that left no verdict was ended by its simulator: a loop that does not settle.
    return [found.get(mutant, Verdict(mutant, "simulator ended", "", 0)) for mutant in mutants]
