"""Mutants of the array's Verilog, all in one netlist: an input chooses which one is alive."""

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

from hdl.config import Config
from hdl.emit import emit_verilog
from hdl.top import Top

from .system import ARRAY, MUTANT_BITS
from .yosys import run_yosys

__all__ = ["Mutant", "block_of", "make_mutants", "read_array"]

_LEFT_OUT = re.compile(r"-port \\?(CLK|RD_CLK|WR_CLK|RD_SRST|RD_ARST) ")
"""Clocks, and resets of read ports, which these memories do not have: Yosys prints no Verilog with them."""

_SPARE = 2  # candidates listed for each mutant


@dataclass(frozen=True)
class Mutant:
    """One change of the netlist.

    Attributes
    ----------
    number : what the input `mutant` must be, from 1 on
    block : modules that are alike have one name: numbers are left out of it
    module : where it is
    command : of Yosys, without -ctrl
    place : the wire and line of the Verilog
    """

    number: int
    block: str
    module: str
    command: str
    place: str

    def apply(self, control: str = f"mutant {MUTANT_BITS}", value: int | None = None) -> str:
        """The command that puts it into the netlist, alive when the control input has `value`."""
        return f"{self.command} -ctrl {control} {self.number if value is None else value}"


def block_of(module: str) -> str:
    """Name of a module's block: `zerolane_array_pe.accumulator3` is in `pe.accumulator`."""
    name = module.removeprefix(ARRAY).lstrip("._")
    return re.sub(r"_?\d+", "", name) or "top"


def read_array(config: Config, directory: Path) -> str:
    """Write the array's Verilog to `array.v`; the script that reads it."""
    (directory / "array.v").write_text(emit_verilog(Top(config), ARRAY))
    return f"read_verilog -noassert array.v\nhierarchy -top {ARRAY}\nproc\nmemory_collect\n"


def _blocks(directory: Path, read: str) -> dict[str, dict[str, int]]:
    """Blocks to their modules and the cells of each."""
    text = run_yosys(read + "tee -q -o cells.json stat -json\n", directory, "cells")
    assert text is not None
    modules = json.loads((directory / "cells.json").read_text())["modules"]
    blocks: dict[str, dict[str, int]] = defaultdict(dict)
    for name, numbers in modules.items():
        plain = name.lstrip("\\")
        if cells := numbers["num_cells"]:
            blocks[block_of(plain)][plain] = cells
    return dict(blocks)


def _shares(blocks: dict[str, dict[str, int]], count: int, least: int) -> dict[str, int]:
    """Mutants of each block: `least` for all, and more for larger ones, by the root of their size.

    Modules that are alike count once.
    """
    sizes = {block: max(modules.values()) for block, modules in blocks.items()}
    rest = max(0, count - least * len(blocks))
    total = sum(sqrt(size) for size in sizes.values())
    exact = {block: rest * sqrt(size) / total for block, size in sizes.items()}
    shares = {block: least + int(part) for block, part in exact.items()}
    left = max(count, least * len(blocks)) - sum(shares.values())
    for block in sorted(exact, key=lambda name: exact[name] % 1, reverse=True)[:left]:
        shares[block] += 1
    return shares


def make_mutants(config: Config, count: int, seed: int, directory: Path, least: int = 1) -> list[Mutant]:
    """`count` mutants of all blocks, by seed, and `mutated.v`, the netlist with them all.

    There are more where `least` in each block makes more. Small blocks may have fewer places than that.
    """
    read = read_array(config, directory)
    blocks = _blocks(directory, read)
    shares = _shares(blocks, count, least)
    listing = [read]
    names = sorted(blocks)
    for number, block in enumerate(names):
        selection = " ".join(f"\\{module}" for module in sorted(blocks[block]))
        listing.append(f"select {selection}\nmutate -list {_SPARE * shares[block]} -seed {seed + number} "
                       f"-o block{number}.txt\nselect -clear\n")
    run_yosys("".join(listing), directory, "list")
    mutants: list[Mutant] = []
    for number, block in enumerate(names):
        lines = (directory / f"block{number}.txt").read_text().splitlines()
        kept = [line for line in lines if line.startswith("mutate") and not _LEFT_OUT.search(line)]
        for line in kept[:shares[block]]:
            mutants.append(_mutant(len(mutants) + 1, block, line))
    commands = "\n".join(mutant.apply() for mutant in mutants)
    run_yosys(f"{read}{commands}\nwrite_verilog -noattr mutated.v\n", directory, "mutate")
    return mutants


def _mutant(number: int, block: str, line: str) -> Mutant:
    options = dict(re.findall(r"-(\w+) (\S+)", line))
    names = [name for name in ("mode", "module", "cell", "port", "portbit", "ctrlbit") if name in options]
    command = "mutate " + " ".join(f"-{name} {options[name]}" for name in names)
    wire = f"{options['wire']}[{options['wirebit']}]" if "wire" in options else options["cell"]
    place = f"{options['mode']} {options['cell']} {options['port']}[{options['portbit']}], {wire}"
    return Mutant(number, block, options["module"].lstrip("\\"), command, place)
