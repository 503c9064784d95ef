"""Proofs that a mutant cannot be told from the array, by Yosys.

Two kinds, tried in this order:

unobservable
    In the whole array, flattened, optimised and cut into bits, nothing depends on the mutant's switch. What
    the configuration makes constant, and bits that nobody reads, end here.
inductive
    The mutant's module, or a module around it, and the same with the mutant in it, as a miter. All registers
    and outputs are equal at the end of a cycle if all registers and inputs are at its beginning, for any
    input: `equiv_induct`, which takes some cycles at once.
"""

import re
from pathlib import Path

from .mutants import Mutant
from .system import ARRAY
from .yosys import run_yosys

__all__ = ["holders", "prove_inductive", "prove_unobservable"]

_INDUCTION_CYCLES = 4
_PROOF_SECONDS = 120


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


def holders(module: str, verilog: str) -> list[str]:
    """The module and those around it, from the inside out, without the array itself: that is too large."""
    inside: dict[str, str] = {}
    current = ""
    for line in verilog.split("\n"):
        if line.startswith("module "):
            current = _name(line.split()[1])
        elif (match := re.match(r"  \\?(\S+)\s+\\?\S+\s+\($", line)) and match[1] != "module":
            inside.setdefault(match[1], current)
    chain = [module]
    while (around := inside.get(chain[-1])) not in (None, ARRAY, f"{ARRAY}.core"):
        assert around is not None
        chain.append(around)
    return chain


def _name(text: str) -> str:
    return text.partition("(")[0].lstrip("\\")


def prove_inductive(mutant: Mutant, read: str, directory: Path) -> str:
    """The proof's kind with the module in which the mutant makes no difference, or ""."""
    for module in holders(mutant.module, (directory / "array.v").read_text()):
        if _equal(mutant, module, read, directory):
            return f"inductive in {module.removeprefix(ARRAY).lstrip('._')}"
    return ""


def _equal(mutant: Mutant, module: str, read: str, directory: Path) -> bool:
    # Only registers and ports keep their names: what lies between them may differ.
    prepare = (f"hierarchy -top {module}\nflatten\nmemory_map\nopt -fast\nopt_clean\n"
               "select -set registers t:$*dff* %co1:+[Q] w:* %i\n"
               "rename -hide w:* @registers %d\nopt_clean\n")
    # Read once: names of cells count on from what was read before.
    script = (f"{read}design -save array\n{prepare}rename {module} gold\ndesign -stash gold\n"
              f"design -load array\n{mutant.command}\n{prepare}rename {module} gate\ndesign -stash gate\n"
              "design -copy-from gold -as gold gold\ndesign -copy-from gate -as gate gate\n"
              "equiv_make gold gate equiv\nhierarchy -top equiv\nopt_clean\nequiv_simple -undef\n"
              f"equiv_induct -undef -seq {_INDUCTION_CYCLES}\nequiv_status -assert\n")
    output = run_yosys(script, directory, f"equal{mutant.number}", check=False, seconds=_PROOF_SECONDS)
    return "Equivalence successfully proven" in output
