"""What the corpus reaches: branches of the RTL, counted by Verilator, and functional coverage points."""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hdl.config import Config
from hdl.emit import emit_verilog
from hdl.top import Top

from .campaign import VerilogDesign, play_once, record
from .constants import Constants
from .mutants import block_of
from .points import POINT_PREFIX, point_verilog, points_in_hardware
from .system import ARRAY

__all__ = ["Branch", "Coverage", "branch_table", "measure"]

_OPTIONS = ("--coverage-line", "--coverage-user")
_RECORD = re.compile(r"^C '(.*)' (\d+)$")
_NO_BRANCH = re.compile(r"dump_module\$|if \(\d+'h[0-9a-f]+\)|casez \(\d+'h|= \d+'h[0-9a-f]+ \?")
"""A trick of Yosys's printer for Icarus, and conditions that are printed as constants."""


@dataclass(frozen=True)
class Branch:
    """A branch of the printed RTL: one side of an `if` or of a `? :`, or an item of a `case`.

    Attributes
    ----------
    line : of the printed Verilog
    kind : as Verilator names it: if, else, elsif, case, cond_then, cond_else
    text : the line, and the one below it
    """

    module: str
    line: int
    kind: str
    text: str

    @property
    def block(self) -> str:
        return block_of(self.module)


@dataclass
class Coverage:
    """Branches and points with how often each was taken; all of them, also those that never were."""

    branches: dict[Branch, int] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    meanings: dict[str, str] = field(default_factory=dict)

    def by_block(self) -> dict[str, tuple[int, int]]:
        """Block to branches taken and branches in all; modules that are alike count together."""
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for branch, count in self.branches.items():
            counts[branch.block][0] += count > 0
            counts[branch.block][1] += 1
        return {block: (taken, total) for block, (taken, total) in sorted(counts.items())}

    def missed(self) -> list[Branch]:
        return sorted((branch for branch, count in self.branches.items() if not count),
                      key=lambda branch: branch.line)


def measure(config: Config, directory: Path, *, random_jobs: int, report: Callable[[str], None]) -> Coverage:
    """Record the corpus on the array, and play it on a model that counts."""
    directory.mkdir(parents=True, exist_ok=True)
    coverage = Coverage()
    with points_in_hardware(coverage.meanings):
        text = emit_verilog(Top(config), ARRAY, branches=True)
    (directory / "branches.v").write_text(text)
    plain = directory / "array.v"
    plain.write_text(emit_verilog(Top(config), ARRAY))
    recording = directory / "recording.jsonl"
    record(config, VerilogDesign(plain, mutants=False), recording, random_jobs=random_jobs, report=report)
    report("playing the recording on the model that counts branches and points")
    points = directory / "points.v"
    points.write_text(point_verilog(coverage.meanings))
    counting = VerilogDesign(directory / "branches.v", mutants=False, more=(points,))
    play_once(config, counting, recording, directory, extra_options=_OPTIONS)
    _read_counts(directory / "play" / "coverage.dat", text, Constants(directory / "branches.v"), coverage)
    return coverage


def _read_counts(path: Path, text: str, constants: Constants, coverage: Coverage) -> None:
    """Conditions that the configuration makes constant are no branches."""
    lines = text.split("\n")
    modules, current = [], ""
    for line in lines:
        if line.startswith("module "):
            current = line.split()[1].lstrip("\\").partition("(")[0]
        modules.append(current)
    coverage.points = {name: 0 for name in coverage.meanings}
    for record_line in path.read_text(errors="replace").splitlines():
        match = _RECORD.match(record_line)
        if match is None:
            continue
        keys = dict(part.split("\x02", 1) for part in match[1].split("\x01") if "\x02" in part)
        count = int(match[2])
        if keys.get("page", "").startswith("v_user"):
            coverage.points[keys["page"].partition(POINT_PREFIX)[2]] += count
        elif Path(keys["f"]).name == "branches.v":
            number = int(keys["l"])
            source = lines[number - 1].strip()
            if _NO_BRANCH.search(source) or (keys.get("o") == "case" and _NO_BRANCH.search(
                    next(line for line in reversed(lines[:number - 1]) if "casez" in line))):
                continue
            if constants.is_constant(modules[number - 1], source):
                continue
            # What it does tells a branch better than a condition that has no name of its own.
            text = source if source.startswith("assign") else f"{source} {lines[number].strip()}"
            branch = Branch(modules[number - 1], number, keys.get("o", ""), text)
            coverage.branches[branch] = coverage.branches.get(branch, 0) + count


def branch_table(coverage: Coverage) -> str:
    """Markdown: branches of each block."""
    rows = [(block, *numbers) for block, numbers in coverage.by_block().items()]
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    lines = ["| block | branches taken | of |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {block} | {taken} | {total} |" for block, taken, total in rows)])
