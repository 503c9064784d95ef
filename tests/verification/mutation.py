"""A mutation campaign: mutants made, proven equivalent or played, and counted."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hdl.config import Config

from .campaign import VerilogDesign, record, replay
from .corpus import JOBS, Session
from .mutants import Mutant, make_mutants, read_array
from .proofs import prove_related, prove_unobservable
from .relation import SECONDS

__all__ = ["Outcome", "campaign", "kill_rate", "table"]


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant.

    Attributes
    ----------
    killed_by : job of the corpus in which it differed, and what differed; or ""
    proof : kind of proof that it is equivalent; or ""
    """

    config: str
    mutant: Mutant
    killed_by: str
    proof: str

    @property
    def survives(self) -> bool:
        return not self.killed_by and not self.proof

    def as_record(self) -> dict[str, Any]:
        return asdict(self)


def campaign(config: Config, count: int, seed: int, directory: Path, *, random_jobs: int, processes: int,
             report: Callable[[str], None], least: int = 1,
             jobs: tuple[Callable[[Session], None], ...] = JOBS,
             proof_seconds: float = SECONDS) -> list[Outcome]:
    """Make mutants, at least so many in each block, play the corpus on them, try to prove those that live,
    for `proof_seconds` of computing each kind of proof."""
    directory.mkdir(parents=True, exist_ok=True)
    mutants = make_mutants(config, count, seed, directory, least)
    report(f"{len(mutants)} mutants made")
    design = VerilogDesign(directory / "mutated.v", mutants=True)
    recording = directory / "recording.jsonl"
    cycles = record(config, design, recording, random_jobs=random_jobs, report=report, jobs=jobs)
    report(f"corpus recorded, {cycles:,} cycles")
    # Before they are played: what no job can show would be played to the corpus's end.
    read = read_array(config, directory)
    proofs = prove_unobservable(mutants, read, directory)
    report(f"{len(proofs)} of them are unobservable in this configuration")
    played = [mutant.number for mutant in mutants if mutant.number not in proofs]
    verdicts = replay(config, design, recording, played, directory, processes=processes)
    killed = {verdict.mutant: f"{verdict.label}: {verdict.verdict}" for verdict in verdicts if verdict.killed}
    report(f"{len(killed)} of the other {len(played)} killed")
    # Once more, without the others' switches, which count as signals of their own.
    living = [mutant for mutant in mutants if mutant.number not in killed]
    proofs |= prove_unobservable(living, read, directory)
    living = [mutant for mutant in mutants if mutant.number not in killed | proofs]
    proofs |= prove_related(living, read, directory, most_columns=config.max_block_columns,
                            seconds=proof_seconds, processes=processes, report=report)
    return [Outcome(config.name, mutant, killed.get(mutant.number, ""), proofs.get(mutant.number, ""))
            for mutant in mutants]


def kill_rate(outcomes: list[Outcome]) -> float:
    """Killed mutants among those that are not proven equivalent."""
    killed = sum(bool(outcome.killed_by) for outcome in outcomes)
    surviving = sum(outcome.survives for outcome in outcomes)
    return killed / (killed + surviving) if killed + surviving else 1.0


def table(outcomes: list[Outcome]) -> str:
    """Markdown: a line for each block and configuration, and one for all."""
    groups: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.config, outcome.mutant.block].append(outcome)
    lines = ["| configuration | block | mutants | killed | proven equivalent | surviving |",
             "|---|---|---|---|---|---|"]
    for (config, block), members in [*sorted(groups.items()), (("all", ""), outcomes)]:
        numbers = (len(members), sum(bool(outcome.killed_by) for outcome in members),
                   sum(bool(outcome.proof) for outcome in members),
                   sum(outcome.survives for outcome in members))
        lines.append(f"| {config} | {block} | " + " | ".join(map(str, numbers)) + " |")
    return "\n".join(lines)
