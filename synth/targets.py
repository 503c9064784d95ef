"""The parts that the flow knows, what they hold and how the tools are told of them."""

from dataclasses import dataclass
from types import MappingProxyType

from .suggestions import hint

__all__ = ["TARGETS", "Resources", "Target", "TargetError", "target_by_name"]


class TargetError(ValueError):
    """No such target, or no such speed grade of it; the message names what there is."""


@dataclass(frozen=True)
class Resources:
    """What a part holds, or a design uses: cells of one LUT4, registers, multipliers of 16 or more bits,
    block RAMs."""

    luts: int
    registers: int
    dsps: int
    brams: int


@dataclass(frozen=True)
class Target:
    """One part in one package.

    Parameters
    ----------
    name : what `--target` takes
    part : the maker's name
    family : "ecp5", "ice40" or "gowin"
    speeds : speed grades by the maker's names, the slowest first
    speed : the one that is meant where none is said
    holds : Resources; registers and LUTs as the place-and-route tool counts them
    place_options : of nextpnr, without speed grade
    synth_options : of Yosys's synth command
    freq_mhz : what place and route works towards where nothing is asked
    pins : for clk, rst, i and o of `Fence`, as many as the tool does not choose itself; clk has one from
        which the clock's wires can be reached
    """

    name: str
    part: str
    family: str
    speeds: tuple[str, ...]
    speed: str
    holds: Resources
    place_options: tuple[str, ...]
    synth_options: tuple[str, ...] = ()
    freq_mhz: float = 0.0
    pins: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """Of a bitstream's file."""
        return {"ecp5": ".bit", "ice40": ".bin", "gowin": ".fs"}[self.family]

    def speed_options(self, speed: str) -> tuple[str, ...]:
        """What tells nextpnr the speed grade; TargetError for one that this part is not made in."""
        if speed not in self.speeds:
            raise TargetError(f"target {self.name}, speed grade {speed}; it must be one of "
                              f"{', '.join(self.speeds)}")
        return ("--speed", speed) if self.family == "ecp5" else ()


def _ecp5(size: str, luts: int, dsps: int, brams: int) -> Target:
    return Target(f"ecp5-{size}", f"LFE5U-{size[:-1].upper()}F CABGA381", "ecp5", ("6", "7", "8"), "6",
                  Resources(luts, luts, dsps, brams), (f"--{size}", "--package", "CABGA381"),
                  freq_mhz=100, pins=("G2",))


def _ice40(name: str, part: str, package: str, cells: int, dsps: int, brams: int, device: str) -> Target:
    grade = part[5:7].lower()
    return Target(name, f"{part} {package.upper()}", "ice40", (grade,), grade,
                  Resources(cells, cells, dsps, brams), (f"--{part[5:].lower()}", "--package", package),
                  ("-device", device, *(("-dsp",) if dsps else ())), freq_mhz=24 if device == "u" else 48)


def _gowin(name: str, device: str, family: str, luts: int, registers: int, dsps: int, brams: int,
           synth_family: str, pins: str) -> Target:
    grade = "C" + device.rpartition("C")[2]
    return Target(name, device, "gowin", (grade,), grade, Resources(luts, registers, dsps, brams),
                  ("--device", device, "--vopt", f"family={family}"), ("-family", synth_family),
                  freq_mhz=80 if synth_family == "gw2a" else 40, pins=tuple(pins.split()))


TARGETS = MappingProxyType({
    target.name: target for target in (
        # The 12F is sold with half the logic of the 25F; it is the same die, and the tools use all of it.
        _ecp5("12k", 24288, 28, 56),
        _ecp5("25k", 24288, 28, 56),
        _ecp5("45k", 43848, 72, 108),
        _ecp5("85k", 83640, 156, 208),
        _ice40("ice40-up5k", "iCE40UP5K", "sg48", 5280, 8, 30, "u"),
        _ice40("ice40-hx8k", "iCE40HX8K", "ct256", 7680, 0, 32, "hx"),
        _gowin("gw1nr-9", "GW1NR-LV9QN88PC6/I5", "GW1N-9C", 8640, 6480, 20, 26, "gw1n", "52 3 10 11"),
        _gowin("gw2a-18", "GW2A-LV18PG256C8/I7", "GW2A-18", 20736, 15552, 48, 46, "gw2a",
               "H11 T10 D11 L16"),
        _gowin("gw2ar-18", "GW2AR-LV18QN88C8/I7", "GW2A-18C", 20736, 15552, 48, 46, "gw2a",
               "4 88 15 16"),
    )
})


def target_by_name(name: str) -> Target:
    """The target of that name; TargetError names the nearest one otherwise."""
    if name not in TARGETS:
        raise TargetError(f"unknown target {name!r}; {hint(name, TARGETS)}")
    return TARGETS[name]
