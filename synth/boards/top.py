"""The top of a board with an ECP5: clock generator, reset, system."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In, Out

from hdl.config import Config

from ..targets import TargetError
from .system import BoardSystem

__all__ = ["BoardTop", "PllSettings", "pll_settings"]

_VCO_HZ = (400_000_000, 800_000_000)
_PHASE_DETECTOR_HZ = (10_000_000, 400_000_000)
_MOST = 128


@dataclass(frozen=True)
class PllSettings:
    """Dividers of an EHXPLLL whose first output is fed back."""

    input_divider: int
    feedback_divider: int
    output_divider: int
    output_hz: int


def pll_settings(input_hz: int, wanted_hz: int) -> PllSettings:
    """The nearest frequency that is not above the wanted one; TargetError where there is none within 10 %.

    Ranges are those of Lattice's ECP5 data sheet, FPGA-DS-02012.
    """
    best = None
    for input_divider in range(1, _MOST + 1):
        if not _PHASE_DETECTOR_HZ[0] <= input_hz / input_divider <= _PHASE_DETECTOR_HZ[1]:
            continue
        feedback = wanted_hz * input_divider // input_hz
        if not 1 <= feedback <= _MOST:
            continue
        output_hz = input_hz * feedback // input_divider
        output_divider = max(1, min(_MOST, _VCO_HZ[1] // output_hz))
        if output_hz * output_divider < _VCO_HZ[0]:
            continue
        if best is None or output_hz > best.output_hz:
            best = PllSettings(input_divider, feedback, output_divider, output_hz)
    if best is None or best.output_hz < 0.9 * wanted_hz:
        raise TargetError(f"{wanted_hz / 1e6:g} MHz cannot be made of the board's {input_hz / 1e6:g} MHz")
    return best


class BoardTop(wiring.Component):
    """A `BoardSystem` on an ECP5's clock generator, in reset until that is locked.

    Throughput, Latency, Backpressure, Order: those of `BoardSystem`.

    Parameters
    ----------
    config, memory_bytes, baud : see `BoardSystem`
    pll : PllSettings

    Members
    -------
    clock : the oscillator
    rx, tx : the serial line, seen from the board
    """

    def __init__(self, config: Config, memory_bytes: int, baud: int, pll: PllSettings):
        self._pll = pll
        self._system = BoardSystem(config, memory_bytes, pll.output_hz, baud)
        super().__init__({"clock": In(1), "rx": In(1), "tx": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pll, locked = self._pll, Signal()
        m.domains += ClockDomain("sync")
        m.submodules.pll = Instance(
            "EHXPLLL",
            p_PLLRST_ENA="DISABLED", p_INTFB_WAKE="DISABLED", p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED", p_OUTDIVIDER_MUXA="DIVA", p_OUTDIVIDER_MUXB="DIVB",
            p_OUTDIVIDER_MUXC="DIVC", p_OUTDIVIDER_MUXD="DIVD", p_FEEDBK_PATH="CLKOP",
            p_CLKI_DIV=pll.input_divider, p_CLKFB_DIV=pll.feedback_divider,
            p_CLKOP_ENABLE="ENABLED", p_CLKOP_DIV=pll.output_divider,
            p_CLKOP_CPHASE=pll.output_divider // 2, p_CLKOP_FPHASE=0,
            a_ICP_CURRENT="12", a_LPF_RESISTOR="8", a_MFG_ENABLE_FILTEROPAMP="1", a_MFG_GMCREF_SEL="2",
            i_RST=0, i_STDBY=0, i_PHASESEL0=0, i_PHASESEL1=0, i_PHASEDIR=1, i_PHASESTEP=1, i_PHASELOADREG=1,
            i_PLLWAKESYNC=0, i_ENCLKOP=0,
            i_CLKI=self.clock, i_CLKFB=ClockSignal(), o_CLKOP=ClockSignal(), o_LOCK=locked,
        )
        m.submodules.reset = ResetSynchronizer(~locked)
        m.submodules.system = system = self._system
        m.d.comb += [system.rx.eq(self.rx), self.tx.eq(system.tx)]
        return m


