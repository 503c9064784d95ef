"""What the section of docs/results.md about FPGAs is made from: which builds, their commands and records."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hdl.config import Config  # noqa: E402
from synth.boards.boards import board_by_name  # noqa: E402
from synth.boards.build import system_design  # noqa: E402
from synth.flow import Request, requested_design  # noqa: E402
from synth.targets import TARGETS  # noqa: E402
from zerolane.config_file import config_by_preset  # noqa: E402

Record = dict[str, Any]

SEEDS = 1
PICTURE = "fpga.png"
FOLDER = "docs/records"
"""Where the records that the page is made from are kept."""
_OF_A_MACHINE = ("log", "synthesis_log", "bitstream")
"""What a record says of files that are not kept."""

_USUAL = asdict(Config())

Changes = tuple[tuple[str, bool | int], ...]
"""Fields of the preset that a run sets to something else."""

DENSE_B: Changes = (("compressed_b", False),)
PACKED: Changes = (("compressed_b", True),)
FOUR_LANES: Changes = (("lanes", 2), ("tile_bytes", 2048), ("scale_multipliers", 0), ("block_queues", True))
EIGHT_LANES: Changes = (("lanes", 8), ("tile_bytes", 65536), ("scale_multipliers", 8))
PRODUCTS: Changes = (("csr_out", False), ("sddmm", False), ("merge_lanes", 0))


class Built:
    """A preset, maybe changed: what the rows of arrays and of whole systems have in common."""

    name: str
    preset: str
    changes: Changes
    note: str

    def asked(self) -> Record:
        """What a record has that is made today, of today's hardware."""
        raise NotImplementedError

    @property
    def configuration(self) -> str:
        """Name of a changed preset's file."""
        raise NotImplementedError

    @property
    def title(self) -> str:
        return f"`{self.preset}`" + (f", {self.note}" if self.note else "")

    @property
    def config(self) -> Config:
        """As `zerolane` reads it from preset or file."""
        preset = config_by_preset(self.preset)
        return replace(preset, name=self.configuration, **dict(self.changes)) if self.changes else preset

    def is_of_today(self, record: Record) -> bool:
        """Whether it would be made again as it is; one that says nothing of its hardware is of an earlier."""
        # Keys that a configuration has got since are the usual ones in it.
        of_then = record | {"config": _USUAL | record["config"]} if "config" in record else record
        return all(of_then.get(key) == value for key, value in self.asked().items())

    @property
    def file(self) -> str:
        """The configuration file of a changed preset."""
        lines = [f"{key} = {str(value).lower()}" for key, value in self.changes]
        return "\n".join([f'preset = "{self.preset}"', *lines, ""])

    def arguments(self, folder: Path | str) -> list[str]:
        """Of zerolane."""
        if self.changes:
            return ["--config", f"{folder}/{self.configuration}.toml"]
        return ["--preset", self.preset]


@dataclass(frozen=True)
class Run(Built):
    """One row: what is built, for which part, and the clock that place and route works towards, 0 where it is
    not placed; `note` is what the changes mean."""

    name: str
    preset: str
    target: str
    asked_mhz: int
    changes: Changes = ()
    note: str = ""
    picture: bool = False

    def asked(self) -> Record:
        target = TARGETS[self.target]
        request = Request(self.config, target, target.speed, self.asked_mhz or target.freq_mhz)
        return {"design_hash": requested_design(request), "config": asdict(request.config),
                "part": target.part, "speed": request.speed, "freq_mhz": request.freq_mhz}

    @property
    def configuration(self) -> str:
        return self.name

    def arguments(self, folder: Path | str) -> list[str]:
        place = ["--freq", str(self.asked_mhz), "--seeds", str(SEEDS)] if self.asked_mhz else ["--no-place"]
        return ["synth", "--target", self.target, *place, "--json", f"{folder}/{self.name}.json",
                *super().arguments(folder), *(["--picture", f"{folder}/{PICTURE}"] if self.picture else [])]


FOUR = Run("tiny-4-gw2ar", "tiny", "gw2ar-18", 40, FOUR_LANES,
           "four lanes, no int8 results, queues in block RAM")
SPARSE = Run("small-45k", "small", "ecp5-45k", 100)
DENSE = Run("small-dense-45k", "small", "ecp5-45k", 100, DENSE_B, "dense B only")
LEAN_SPARSE = Run("lean64-packed-85k", "lean64", "ecp5-85k", 100, PACKED, "with packed tiles")
LEAN_DENSE = Run("lean64-85k", "lean64", "ecp5-85k", 100)
# Placed, but never routed: that did not come to an end within an hour.
BASE_SPARSE = Run("base-products-cells", "base", "ecp5-85k", 0, PRODUCTS, "products into dense results only")
BASE_DENSE = Run("base-dense-cells", "base", "ecp5-85k", 0, (*PRODUCTS, *DENSE_B),
                 f"{BASE_SPARSE.note}, {DENSE.note}")
ESTIMATES = (BASE_SPARSE, BASE_DENSE)
PAIRS = ((SPARSE, DENSE), (LEAN_SPARSE, LEAN_DENSE), ESTIMATES)
"""What sparsity of B costs is the difference of the two."""

RUNS = (
    Run("micro-up5k", "micro", "ice40-up5k", 24),
    Run("micro-gw1nr9", "micro", "gw1nr-9", 40),
    Run("micro-12k", "micro", "ecp5-12k", 50),
    Run("mini-gw2a", "mini", "gw2a-18", 80),
    Run("mini-12k", "mini", "ecp5-12k", 50),
    Run("tiny-up5k", "tiny", "ice40-up5k", 24),
    Run("tiny-gw2ar", "tiny", "gw2ar-18", 80),
    FOUR,
    # To work towards more than can be reached costs time only.
    Run("tiny-25k", "tiny", "ecp5-25k", 80, picture=True),
    Run("small-gw2a", "small", "gw2a-18", 80),
    Run("small-25k", "small", "ecp5-25k", 60),
    Run("small-dense-25k", "small", "ecp5-25k", 75, DENSE_B, DENSE.note),
    SPARSE,
    DENSE,
    # The most lanes that the part holds, of the powers of two.
    Run("small-8-45k", "small", "ecp5-45k", 75, EIGHT_LANES, "eight lanes a PE"),
    Run("base-45k", "base", "ecp5-45k", 60),
    Run("lean64-45k", "lean64", "ecp5-45k", 100),
    LEAN_SPARSE,
    LEAN_DENSE,
    Run("lean128-85k", "lean128", "ecp5-85k", 100),
    Run("large-85k", "large", "ecp5-85k", 60),
)


@dataclass(frozen=True)
class System(Built):
    """One row of whole systems: a preset with its memory, clock generator and serial line, on a board."""

    board: str
    preset: str
    called: str = ""     # the configuration, where the preset is changed
    changes: Changes = ()
    note: str = ""
    memory_kib: int | None = None

    def asked(self) -> Record:
        board = board_by_name(self.board)
        memory_bytes = 1024 * (self.memory_kib or board.usual_kib(self.config))
        return {"design_hash": system_design(board, self.config, memory_bytes=memory_bytes),
                "config": asdict(self.config), "board": board.name, "part": board.target.part,
                "speed": board.speed, "memory_bytes": memory_bytes}

    @property
    def name(self) -> str:
        return f"{self.board}-{self.called or self.preset}"

    @property
    def configuration(self) -> str:
        return self.called

    def arguments(self, folder: Path | str) -> list[str]:
        path = f"{folder}/{self.name}"
        return ["build", "--board", self.board, "-o", path + board_by_name(self.board).target.suffix,
                "--json", f"{path}.json", *super().arguments(folder),
                *(["--memory-kib", str(self.memory_kib)] if self.memory_kib else [])]


SYSTEMS = (
    System("orangecrab-25f", "tiny"),
    System("orangecrab-85f", "tiny"),
    System("ulx3s", "tiny"),
    System("ulx3s-12f", "tiny"),
    System("ulx3s-25f", "tiny"),
    System("ulx3s-45f", "tiny"),
    System("ulx3s", "small"),
    System("ecpix5", "tiny"),
    System("tangnano20k", "mini"),
    System("tangnano20k", "tiny", "four", FOUR.changes, FOUR.note, 32),
    System("icebreaker", "micro"),
)


ALL: tuple[Run | System, ...] = (*RUNS, *ESTIMATES, *SYSTEMS)


def measure(folder: Path, only: Sequence[str] = ()) -> None:
    """Run what has no record of today's hardware and options; a design that does not fit has a record, too.

    Of all, or of those with the names `only`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for built in ALL:
        if only and built.name not in only:
            continue
        if _is_measured(folder, built):
            _keep(folder / f"{built.name}.json")  # a run that was interrupted has not done it
            continue
        if built.changes:
            (folder / f"{built.configuration}.toml").write_text(built.file)
        words = ["zerolane", *built.arguments(folder)]
        print(" ".join(words), flush=True)
        subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=False)
        if not _is_measured(folder, built):
            sys.exit(f"results.py: {' '.join(words)}: no record of this hardware was written")
        _keep(folder / f"{built.name}.json")


def _keep(file: Path) -> None:
    """Leave in a record what is of use elsewhere."""
    record = json.loads(file.read_text())
    for name in _OF_A_MACHINE:
        record.pop(name, None)
    file.write_text(json.dumps(record, indent=1) + "\n")


def _is_measured(folder: Path, built: Run | System) -> bool:
    record = folder / f"{built.name}.json"
    return record.exists() and built.is_of_today(json.loads(record.read_text()))


def load(folder: Path) -> dict[str, Record]:
    """By the runs' names, those that there are; also of earlier hardware."""
    return {built.name: json.loads((folder / f"{built.name}.json").read_text())
            for built in ALL if (folder / f"{built.name}.json").exists()}
