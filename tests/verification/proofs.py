"""Proofs that a mutant cannot be told from the array.

Two kinds, tried in this order:

unobservable
    In the whole array, flattened, optimised and cut into bits by Yosys, nothing depends on the mutant's
    switch. What the configuration makes constant, and bits that nobody reads, end here.
related
    A relation between the registers of the array and of the mutant holds for ever and makes their pins equal;
    see `relation.py`. A payload whose valid is low, and states that are never reached, end here.
"""

from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

from .mutants import Mutant
from .netlist import export
from .relation import SECONDS, Relations
from .system import ARRAY
from .yosys import run_yosys

__all__ = ["prove_related", "prove_unobservable"]


def prove_unobservable(mutants: list[Mutant], read: str, directory: Path) -> dict[int, str]:
    """Numbers of those mutants whose switch nothing depends on, with the proof's kind.

    Every mutant has a switch of its own, and may be alive together with any others: what does not depend on
    the switch then does not with the others off.
    """
    if not mutants:
        return {}
    apply = "\n".join(mutant.apply(f"switch{mutant.number} 1", 1) for mutant in mutants)
    ask = "\n".join(f"tee -q -o uses{mutant.number}.txt select -list w:switch{mutant.number} %co1 c:* %i"
                    for mutant in mutants)
    run_yosys(f"{read}{apply}\nflatten\nopt -full\nsimplemap\nsplitcells\nopt -fast\nopt_clean -purge\n"
              f"cd {ARRAY}\n{ask}\n", directory, "unobservable")
    return {mutant.number: "unobservable" for mutant in mutants
            if not (directory / f"uses{mutant.number}.txt").read_text().strip()}


def prove_related(mutants: list[Mutant], read: str, directory: Path, *, most_columns: int | None = None,
                  seconds: float = SECONDS, processes: int = 1,
                  report: Callable[[str], None] = lambda text: None) -> dict[int, str]:
    """Numbers of those mutants for which a relation was found, with the proof's kind.

    With `most_columns` a second search assumes that no job on offer has more columns. `seconds` of computing
    are spent on each kind of proof of a mutant.
    """
    if not mutants:
        return {}
    relations = Relations(export(mutants, read, directory), seconds)
    found: dict[int, str] = {}
    for limited in (False, True)[:1 + (most_columns is not None)]:
        if limited and most_columns is not None:
            relations.assume_limits(most_columns)
        wanted = [mutant.number for mutant in mutants if mutant.number not in found]
        # Forks: what one of them learns of the array the others do not know.
        with get_context("fork").Pool(processes, _share, (relations,)) as pool:
            for number, proof in pool.imap_unordered(_prove, wanted):
                if proof:
                    found[number] = proof + " within limits" * limited
                report(f"mutant {number} is {found.get(number, 'not related')}")
    return found


_shared: list[Relations] = []
"""What a fork's proofs are made with."""


def _share(relations: Relations) -> None:
    _shared[:] = [relations]


def _prove(number: int) -> tuple[int, str]:
    return number, _shared[0].prove(number)
