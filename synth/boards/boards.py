"""The boards that a system is built for; pins are those of amaranth-boards."""

import difflib
import importlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sim.transport import ToolMissing

from ..targets import TARGETS, Target, TargetError

__all__ = ["BOARDS", "Board", "Pins", "board_by_name"]


@dataclass(frozen=True)
class Pins:
    """Of one board, by the names of its package; `clock_hz` is what its oscillator gives."""

    clock: str
    clock_hz: int
    rx: str
    tx: str
    io_type: str


@dataclass(frozen=True)
class Board:
    """One board with an ECP5 and a serial line to the host.

    Parameters
    ----------
    name : what `--board` takes
    title : as its maker calls it
    target : Target with the same die
    speed : grade of its part
    die, package : options of nextpnr
    platform : module and class in amaranth_boards
    """

    name: str
    title: str
    target: Target
    speed: str
    die: str
    package: str
    platform: tuple[str, str]

    def pins(self) -> Pins:
        """ToolMissing where amaranth-boards is not installed."""
        module, kind = self.platform
        try:
            made: Any = getattr(importlib.import_module(f"amaranth_boards.{module}"), kind)()
        except ImportError:
            raise ToolMissing("boards need amaranth-boards: pip install 'zerolane[board]'") from None
        clock = made.lookup(made.default_clk, 0)
        uart = {part.name: part.ios[0].names[0] for part in made.lookup("uart", 0).ios
                if hasattr(part, "ios") and part.name in ("rx", "tx")}
        return Pins(clock.ios[0].names[0], round(made.default_clk_frequency), uart["rx"], uart["tx"],
                    clock.attrs["IO_TYPE"])


BOARDS = MappingProxyType({board.name: board for board in (
    Board("ulx3s", "ULX3S-85F", TARGETS["ecp5-85k"], "6", "--85k", "CABGA381",
          ("ulx3s", "ULX3S_85F_Platform")),
    Board("ecpix5", "ECPIX-5 85F", TARGETS["ecp5-85k"], "8", "--um5g-85k", "CABGA554",
          ("ecpix5", "ECPIX585Platform")),
)})


def board_by_name(name: str) -> Board:
    """The board of that name; TargetError names the nearest one otherwise."""
    if name not in BOARDS:
        near = difflib.get_close_matches(name, BOARDS, n=1, cutoff=0.4)
        raise TargetError(f"unknown board {name!r}; " + (f"did you mean {near[0]!r}?" if near else
                                                          f"it must be one of {', '.join(BOARDS)}"))
    return BOARDS[name]
