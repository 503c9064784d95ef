"""Whose a cell is: the blocks of the hardware in the names that synthesis leaves."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ["FENCE", "KINDS", "Cell", "Owners", "area_by_block", "instance_paths", "mark_source", "merged",
           "netlist_cells", "placed_cells"]

FENCE = "(fence)"
"""What is not of the design itself: see synth.fence."""

_MARK = "@"
_MODULE = re.compile(r"^module \\(\S+)$", re.MULTILINE)
_INSTANCE = re.compile(r"^  cell \\(\S+) \\(\S+)$", re.MULTILINE)
_COSTS = (
    # placed cells, and those of a netlist: CCU2C and the distributed RAMs take more than one LUT's place
    ("luts", 1, re.compile(r"TRELLIS_COMB|ICESTORM_LC|LUT[1-4]|ALU|SB_LUT4")),
    ("luts", 2, re.compile(r"CCU2C")),
    ("luts", 4, re.compile(r"RAM16SDP4")),
    ("luts", 6, re.compile(r"TRELLIS_DPR16X4")),
    ("registers", 1, re.compile(r"TRELLIS_FF|(SB_)?DFF[A-Z]*")),
    ("dsps", 1, re.compile(r"MULT18X18D?|ICESTORM_DSP|MULT9X9|SB_MAC16")),
    ("brams", 1, re.compile(r"DP16KD|ICESTORM_RAM|SB_RAM40_4K|(SDP|DP|SP)X?9?B")),
)
KINDS = ("luts", "registers", "dsps", "brams")


def mark_source(module: str) -> str:
    """The `src` attribute by which `Owners` knows cells of a module."""
    return _MARK + module


def instance_paths(texts: Iterable[str], top: str) -> dict[str, str]:
    """Every instance in RTLIL texts: path, without the top's name, to its module. The top's path is ""."""
    inside: dict[str, list[tuple[str, str]]] = {}
    for text in texts:
        starts = [*_MODULE.finditer(text)]
        for module, following in zip(starts, [*starts[1:], None], strict=True):
            body = text[module.end():following.start() if following else len(text)]
            inside[module[1]] = [(kind, name) for kind, name in _INSTANCE.findall(body)]
    paths: dict[str, str] = {}

    def walk(path: str, module: str) -> None:
        paths[path] = module
        for kind, name in inside[module]:
            if kind in inside:
                walk(f"{path}.{name}" if path else name, kind)

    walk("", top)
    return paths


@dataclass(frozen=True)
class Cell:
    """A cell of a placed design, or of a netlist, where it has no site."""

    name: str
    kind: str
    site: str
    source: str
    has_register: bool = False   # an iCE40 cell holds a LUT and a register


class Owners:
    """Finds a cell's block.

    Parameters
    ----------
    paths : of `instance_paths`
    """

    def __init__(self, paths: Mapping[str, str]):
        self._paths = paths
        self._by_module: dict[str, list[str]] = defaultdict(list)
        for path, module in paths.items():
            self._by_module[module].append(path)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._paths)

    def of(self, name: str, source: str = "") -> str:
        """Path of the instance that a cell belongs to; "" for what is outside of the design.

        Registers, memories and multipliers carry their module in `source`; a LUT's name is made of that of a
        signal beside it.
        """
        named = self._longest(name)
        for part in source.split("|"):
            candidates = self._by_module.get(part.removeprefix(_MARK), []) if part.startswith(_MARK) else []
            if len(candidates) == 1:
                return candidates[0]
            # Of the instances of one module, the one that has most of its path in common with the name.
            if candidates:
                return max(candidates, key=lambda path: _common(path, named))
        return named

    def _longest(self, name: str) -> str:
        parts = name.split(".")
        for count in range(len(parts) - 1, 0, -1):
            path = ".".join(parts[:count])
            if path in self._known:
                return path
        return ""


def _common(left: str, right: str) -> int:
    count = 0
    for one, other in zip(left.split("."), right.split("."), strict=False):
        if one != other:
            break
        count += 1
    return count


def placed_cells(design: Path, top: str) -> Iterator[Cell]:
    """Cells of nextpnr's `--write`."""
    for name, cell in json.loads(design.read_text())["modules"][top]["cells"].items():
        attributes = cell["attributes"]
        if "NEXTPNR_BEL" in attributes:
            yield Cell(name, cell["type"], attributes["NEXTPNR_BEL"], attributes.get("src", ""),
                       cell.get("parameters", {}).get("DFF_ENABLE") == "1")


def netlist_cells(design: Path, top: str) -> Iterator[Cell]:
    """Cells of Yosys's netlist, in JSON."""
    for name, cell in json.loads(design.read_text())["modules"][top]["cells"].items():
        yield Cell(name, cell["type"], "", cell["attributes"].get("src", ""))


def area_by_block(cells: Iterable[Cell], owners: Owners) -> dict[str, dict[str, int]]:
    """Path to {"luts", "registers", "dsps", "brams"}, each cell counted once, where it is.

    A netlist's LUTs are those of its LUTs, carries and distributed RAMs; what placing packs together or adds
    comes on top.
    """
    area: dict[str, Counter[str]] = defaultdict(Counter)
    for cell in cells:
        counts = area[owners.of(cell.name, cell.source) or FENCE]
        counts["registers"] += cell.has_register
        for kind, cost, pattern in _COSTS:
            if pattern.fullmatch(cell.kind):
                counts[kind] += cost
    return {path: {kind: counts[kind] for kind in KINDS} for path, counts in sorted(area.items())
            if counts.total()}


def merged(area: Mapping[str, Mapping[str, int]], depth: int) -> dict[str, dict[str, int]]:
    """The area of `depth` levels of blocks, what is deeper added to what it is in; equal blocks (pe0, pe1) as
    one entry with their number."""
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    members: dict[str, set[str]] = defaultdict(set)
    for path, counts in area.items():
        shown = path.split(".")[:depth]
        group = ".".join(re.sub(r"(?<=[a-z_])\d+$|(?<=[a-z])\d+(?=_)", "*", part) for part in shown)
        groups[group].update(counts)
        members[group].add(".".join(shown))
    return {f"{group} ({len(members[group])})" if len(members[group]) > 1 else group:
            {kind: counts[kind] for kind in KINDS} for group, counts in sorted(groups.items())}
