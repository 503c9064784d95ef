"""The boards that a system is built for; pins are those of amaranth-boards."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from amaranth.build import ResourceError

from hdl.config import Config
from sim.transport import ToolMissing

from ..suggestions import near_names
from ..targets import TARGETS, Target, TargetError

__all__ = ["BOARDS", "USUAL_KIB", "USUAL_MHZ", "USUAL_PRESET", "Board", "Pins", "board_by_name"]

USUAL_KIB = 64
"""Of an array's memory, where the part has so much."""
USUAL_MHZ = 40.0
USUAL_PRESET = "tiny"
"""Of most boards."""

_BLOCK_BYTES = {"ecp5": 2048, "ice40": 512, "gowin": 2048}
"""Of data in one block RAM. A memory that is written byte by byte leaves the ninth bits unused."""
_SPRAM_KIB = {"ice40-up5k": 128}
"""Of the parts with memory of one port beside their block RAM, which a serial array's system uses (see
`synth.boards.single_port`)."""


@dataclass(frozen=True)
class Pins:
    """Of one board, by the names of its package; `clock_hz` is what its oscillator gives; `io_type` of all,
    "" where the tools need not know; `led` shines at the level `led_lit`, both None where there is none."""

    clock: str
    clock_hz: int
    rx: str
    tx: str
    io_type: str
    led: str | None = None
    led_lit: int | None = None


@dataclass(frozen=True)
class Board:
    """One board with a serial line to the host.

    Parameters
    ----------
    name : what `--board` takes
    title : as its maker calls it
    target : Target, of its part in its package
    speed : grade of its part
    platform : module and class in amaranth_boards that know the pins
    own : of Pins, what that does not know, or all
    usual_preset, usual_mhz, usual_memory_kib : what is built unless something else is asked for, its clock,
        and its memory where the part has as much
    """

    name: str
    title: str
    target: Target
    speed: str
    platform: tuple[str, str] | None = None
    own: Mapping[str, Any] | None = None
    usual_preset: str = USUAL_PRESET
    usual_mhz: float = USUAL_MHZ
    usual_memory_kib: int = USUAL_KIB

    def held_kib(self, config: Config) -> int:
        """Of what an array's memory is made of, whole KiB: the part's block RAM, or its SPRAM."""
        if self._has_spram(config):
            return _SPRAM_KIB[self.target.name]
        return self.target.holds.brams * _BLOCK_BYTES[self.target.family] // 1024

    def most_kib(self, config: Config) -> int:
        """That an array's memory can have, which has a power of two of them."""
        return 1 << (self.held_kib(config).bit_length() - 1)

    def usual_kib(self, config: Config) -> int:
        """That it has unless another size is asked for."""
        return min(self.usual_memory_kib, self.most_kib(config))

    def check_memory(self, config: Config, memory_bytes: int) -> None:
        """TargetError for what is no power of two of whole KiB, or more than the part holds."""
        most_kib = self.most_kib(config)
        if memory_bytes not in [1024 << log2 for log2 in range(most_kib.bit_length())]:
            # Whole numbers stay whole: a float does not hold all that may be asked for.
            kib = memory_bytes / 1024 if memory_bytes % 1024 else memory_bytes // 1024
            kind, more = ("SPRAM", "") if self._has_spram(config) else (
                "block RAM", ", and the array needs some")
            raise TargetError(f"--memory-kib {kib}; it must be a power of two from 1 to {most_kib}: the "
                              f"{kind} of {self.title} holds {self.held_kib(config)} KiB{more}")

    def _has_spram(self, config: Config) -> bool:
        """For this array's memory."""
        return config.serial and self.target.name in _SPRAM_KIB

    def pins(self) -> Pins:
        """ToolMissing where amaranth-boards is not installed."""
        own = dict(self.own or {})
        return Pins(**((self._known("rx" not in own) if self.platform else {}) | own))

    def _known(self, with_line: bool) -> dict[str, Any]:
        assert self.platform is not None
        module, kind = self.platform
        try:
            made: Any = getattr(importlib.import_module(f"amaranth_boards.{module}"), kind)()
        except ImportError:
            raise ToolMissing("boards need amaranth-boards: pip install 'zerolane[board]'") from None
        clock = made.lookup(made.default_clk, 0)
        uart = {part.name: part.ios[0].names[0] for part in made.lookup("uart", 0).ios
                if hasattr(part, "ios") and part.name in ("rx", "tx")} if with_line else {}
        return {"clock": clock.ios[0].names[0], "clock_hz": round(made.default_clk_frequency),
                "io_type": clock.attrs.get("IO_TYPE", ""), **uart, **_led(made)}


def _led(platform: Any) -> dict[str, Any]:
    """The first one of a board in amaranth_boards, of a coloured one the green part."""
    for name in ("led", "rgb_led"):
        try:
            resource = platform.lookup(name, 0)
        except ResourceError:
            continue
        green = [part.ios[0] for part in resource.ios if getattr(part, "name", "") == "g"]
        pins = green[0] if green else resource.ios[0]
        return {"led": pins.names[0], "led_lit": int(not pins.invert)}
    return {}


def _ecp5(size: str, die: str, package: str) -> Target:
    target = TARGETS[f"ecp5-{size}"]
    return replace(target, part=f"LFE5{die.upper()}-{size[:-1]}F {package}",
                   place_options=(f"--{'um5g-' if die == 'um5g' else ''}{size}", "--package", package))


# The first two pins of its edge, which a serial adapter is put to: the board's own USB is the FPGA's.
_ORANGECRAB = MappingProxyType({"rx": "N17", "tx": "M18"})
BOARDS = MappingProxyType({board.name: board for board in (
    *(Board(name, f"ULX3S-{size.upper()}", _ecp5(f"{size[:-1]}k", "u", "CABGA381"), "6",
            ("ulx3s", f"ULX3S_{size.upper()}_Platform"))
      for name, size in (("ulx3s", "85f"), ("ulx3s-12f", "12f"), ("ulx3s-25f", "25f"), ("ulx3s-45f", "45f"))),
    Board("ecpix5", "ECPIX-5 85F", _ecp5("85k", "um5g", "CABGA554"), "8", ("ecpix5", "ECPIX585Platform")),
    Board("orangecrab-25f", "OrangeCrab r0.2 25F", _ecp5("25k", "u", "CSFBGA285"), "8",
          ("orangecrab_r0_2", "OrangeCrabR0_2_25FPlatform"), _ORANGECRAB),
    Board("orangecrab-85f", "OrangeCrab r0.2 85F", _ecp5("85k", "u", "CSFBGA285"), "8",
          ("orangecrab_r0_2", "OrangeCrabR0_2_85FPlatform"), _ORANGECRAB),
    Board("icebreaker", "iCEBreaker", TARGETS["ice40-up5k"], TARGETS["ice40-up5k"].speed,
          ("icebreaker", "ICEBreakerPlatform"), usual_preset="micro", usual_mhz=18.0),
    # Not in amaranth-boards: the oscillator, the serial line of the chip on its USB, the first LED.
    Board("tangnano20k", "Tang Nano 20K", TARGETS["gw2ar-18"], TARGETS["gw2ar-18"].speed,
          own=MappingProxyType({"clock": "4", "clock_hz": 27_000_000, "rx": "70", "tx": "69",
                                "io_type": "LVCMOS33", "led": "15", "led_lit": 0}),
          usual_preset="mini", usual_memory_kib=32),
)})
_OTHER_NAMES = MappingProxyType({"ulx3s-85f": "ulx3s"})


def board_by_name(name: str) -> Board:
    """The board of that name; TargetError names the near ones otherwise, and their titles: what differs in
    few letters may have another part."""
    known = _OTHER_NAMES.get(name, name)
    if known not in BOARDS:
        near = [f"{other!r} ({BOARDS[_OTHER_NAMES.get(other, other)].title})"
                for other in near_names(name.lower(), BOARDS) or near_names(name.lower(), _OTHER_NAMES)]
        raise TargetError(f"unknown board {name!r}; " + (f"did you mean {' or '.join(near)}?" if near else
                                                         f"it must be one of {', '.join(BOARDS)}"))
    return BOARDS[known]
