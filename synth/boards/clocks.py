"""Clock generators of the families: from an oscillator's frequency to the nearest one that is not above what
is wanted."""

from dataclasses import dataclass
from typing import Any, Protocol

from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal, Value

from ..targets import TargetError
from .uart import MAX_BAUD_ERROR, baud_error

__all__ = ["OFFERED_MHZ", "ClockGenerator", "clock_generator"]

_LEAST_OF_WANTED = 0.9
OFFERED_MHZ = 10, 400
"""What may be asked for, from and to."""


class ClockGenerator(Protocol):
    """What makes a board's clock.

    Attributes
    ----------
    output_hz : int, what is made
    vco_hz : int, of the oscillator inside
    """

    @property
    def output_hz(self) -> int: ...

    @property
    def vco_hz(self) -> int: ...

    def add(self, m: Module, clock: Value) -> Value:
        """Drive the domain `sync` from the pin `clock`; the return value is 1 when the clock is good."""


@dataclass(frozen=True)
class _FedBack:
    """Whose output, divided, is held to the input's phase."""

    input_hz: int
    input_divider: int
    feedback_divider: int
    output_divider: int

    @property
    def output_hz(self) -> int:
        return self.input_hz * self.feedback_divider // self.input_divider

    @property
    def vco_hz(self) -> int:
        return self.output_hz * self.output_divider


@dataclass(frozen=True)
class _Ecp5(_FedBack):
    """EHXPLLL whose first output is fed back. Ranges: Lattice's data sheet FPGA-DS-02012."""

    @classmethod
    def choices(cls, input_hz: int) -> list["_Ecp5"]:
        found = []
        for divider in range(1, 129):
            if input_hz / divider >= 10e6:
                for feedback in range(1, 129):
                    output = max(1, min(128, 800_000_000 * divider // (input_hz * feedback)))
                    found.append(cls(input_hz, divider, feedback, output))
        return [one for one in found if 400e6 <= one.vco_hz <= 800e6 and one.output_hz <= 400e6]

    def add(self, m: Module, clock: Value) -> Value:
        locked = Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            p_PLLRST_ENA="DISABLED", p_INTFB_WAKE="DISABLED", p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED", p_OUTDIVIDER_MUXA="DIVA", p_OUTDIVIDER_MUXB="DIVB",
            p_OUTDIVIDER_MUXC="DIVC", p_OUTDIVIDER_MUXD="DIVD", p_FEEDBK_PATH="CLKOP",
            p_CLKI_DIV=self.input_divider, p_CLKFB_DIV=self.feedback_divider,
            p_CLKOP_ENABLE="ENABLED", p_CLKOP_DIV=self.output_divider,
            p_CLKOP_CPHASE=self.output_divider // 2, p_CLKOP_FPHASE=0,
            a_ICP_CURRENT="12", a_LPF_RESISTOR="8", a_MFG_ENABLE_FILTEROPAMP="1", a_MFG_GMCREF_SEL="2",
            i_RST=0, i_STDBY=0, i_PHASESEL0=0, i_PHASESEL1=0, i_PHASEDIR=1, i_PHASESTEP=1, i_PHASELOADREG=1,
            i_PLLWAKESYNC=0, i_ENCLKOP=0,
            i_CLKI=clock, i_CLKFB=ClockSignal(), o_CLKOP=ClockSignal(), o_LOCK=locked,
        )
        return locked


@dataclass(frozen=True)
class _Ice40:
    """SB_PLL40_PAD on its own pin. Ranges and filter: Lattice's technical note FPGA-TN-02052."""

    input_hz: int
    input_divider: int
    feedback_divider: int
    output_log2: int

    @property
    def vco_hz(self) -> int:
        return self.input_hz * self.feedback_divider // self.input_divider

    @property
    def output_hz(self) -> int:
        return self.vco_hz >> self.output_log2

    @classmethod
    def choices(cls, input_hz: int) -> list["_Ice40"]:
        found = []
        for divider in range(1, 17):
            if 10e6 <= input_hz / divider <= 133e6:
                found += [cls(input_hz, divider, feedback, log2)
                          for log2 in range(1, 7) for feedback in range(1, 129)]
        return [one for one in found if 533e6 <= one.vco_hz <= 1066e6 and 16e6 <= one.output_hz <= 275e6]

    def add(self, m: Module, clock: Value) -> Value:
        locked = Signal()
        compared_mhz = self.input_hz / self.input_divider / 1e6
        m.submodules.pll = Instance(
            "SB_PLL40_PAD",
            p_FEEDBACK_PATH="SIMPLE", p_DIVR=self.input_divider - 1, p_DIVF=self.feedback_divider - 1,
            p_DIVQ=self.output_log2,
            p_FILTER_RANGE=1 + sum(compared_mhz >= limit for limit in (17, 26, 44, 66, 101)),
            i_PACKAGEPIN=clock, i_RESETB=1, i_BYPASS=0, o_PLLOUTGLOBAL=ClockSignal(), o_LOCK=locked,
        )
        return locked


@dataclass(frozen=True)
class _Gowin(_FedBack):
    """rPLL of the GW2A family. Ranges: Gowin's data sheet DS102 and user guide UG286."""

    @classmethod
    def choices(cls, input_hz: int) -> list["_Gowin"]:
        found = []
        for divider in range(1, 65):
            if input_hz / divider >= 3e6:
                found += [cls(input_hz, divider, feedback, output)
                          for feedback in range(1, 65) for output in (2, 4, 8, *range(16, 129, 16))]
        return [one for one in found if 500e6 <= one.vco_hz <= 1250e6]

    def add(self, m: Module, clock: Value) -> Value:
        locked = Signal()
        m.submodules.pll = Instance(
            "rPLL",
            p_DEVICE="GW2A-18C", p_FCLKIN=f"{self.input_hz / 1e6:g}",
            p_IDIV_SEL=self.input_divider - 1, p_FBDIV_SEL=self.feedback_divider - 1,
            p_ODIV_SEL=self.output_divider,
            p_DYN_IDIV_SEL="false", p_DYN_FBDIV_SEL="false", p_DYN_ODIV_SEL="false", p_DYN_SDIV_SEL=2,
            p_PSDA_SEL="0000", p_DUTYDA_SEL="1000", p_DYN_DA_EN="false", p_CLKFB_SEL="internal",
            p_CLKOUT_BYPASS="false", p_CLKOUTP_BYPASS="false", p_CLKOUTD_BYPASS="false",
            p_CLKOUTD_SRC="CLKOUT", p_CLKOUTD3_SRC="CLKOUT",
            i_CLKIN=clock, i_CLKFB=0, i_RESET=0, i_RESET_P=0,
            i_FBDSEL=Const(0, 6), i_IDSEL=Const(0, 6), i_ODSEL=Const(0, 6), i_PSDA=Const(0, 4),
            i_DUTYDA=Const(0, 4), i_FDLY=Const(0, 4),
            o_CLKOUT=ClockSignal(), o_LOCK=locked,
        )
        return locked


_KINDS: dict[str, Any] = {"ecp5": _Ecp5, "ice40": _Ice40, "gowin": _Gowin}


def clock_generator(family: str, input_hz: int, wanted_hz: int, baud: int) -> ClockGenerator:
    """The nearest frequency that is not above the wanted one and gives a serial line its rate within
    MAX_BAUD_ERROR; TargetError, with the nearest ones that would do, where there is none within 10 %."""
    possible: list[ClockGenerator] = _KINDS[family].choices(input_hz)
    right = [one for one in possible if abs(baud_error(one.output_hz, baud)) <= MAX_BAUD_ERROR]
    best = _nearest_below(right, wanted_hz)
    if best is not None:
        return best
    wanted, given, off = f"{wanted_hz / 1e6:g}", f"{input_hz / 1e6:g}", _nearest_below(possible, wanted_hz)
    if off is None:
        least = f"{_LEAST_OF_WANTED * wanted_hz / 1e6:g} ({100 * (1 - _LEAST_OF_WANTED):g} % below)"
        reason = f"no clock from {least} to {wanted} MHz can be made of the board's {given} MHz"
    else:
        error = baud_error(off.output_hz, baud)
        reason = (f"the board's {given} MHz make {off.output_hz / 1e6:g} MHz of it, and these a serial line "
                  f"{100 * abs(error):.3g} % {'faster' if error > 0 else 'slower'} than {baud:,} baud, where "
                  f"{100 * MAX_BAUD_ERROR:g} % are allowed")
    raise TargetError(f"--freq {wanted}; {reason}{_offer([one.output_hz for one in right], wanted_hz)}")


def _nearest_below(choices: list[ClockGenerator], wanted_hz: int) -> ClockGenerator | None:
    """Of those that are not above, nor more than 10 % below."""
    near = [one for one in choices if _LEAST_OF_WANTED * wanted_hz <= one.output_hz <= wanted_hz]
    return max(near, key=lambda one: one.output_hz, default=None)


def _offer(frequencies: list[int], wanted_hz: int) -> str:
    """The nearest ones below and above that may be asked for, in words."""
    least, most = OFFERED_MHZ
    offered = [hz for hz in frequencies if least * 1e6 <= hz <= most * 1e6]
    near = [max((hz for hz in offered if hz < wanted_hz), default=None),
            min((hz for hz in offered if hz > wanted_hz), default=None)]
    # Up to the next kilohertz: who asks for what is written here gets it, as it is not above.
    words = [f"{-(-hz // 1000) / 1000:g}" for hz in near if hz is not None]
    return f"; it may be {' or '.join(words)} MHz" if words else ""
