"""synth.boards.clocks: what a part's clock generator makes of its parameters, by its maker's formulas."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
from amaranth.hdl import ClockDomain, ClockSignal, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.emit import emit_rtlil
from synth.boards.boards import BOARDS, USUAL_MHZ, Board
from synth.boards.clocks import ClockGenerator, clock_generator
from synth.boards.serial_transport import DEFAULT_BAUD

ASKED_MHZ = USUAL_MHZ, 25, 50, 63, 67, 75, 90, 97, 100
"""Each of which, or what is near enough, every board can make."""


class Holder(wiring.Component):
    """A clock generator between pins."""

    def __init__(self, generator: ClockGenerator):
        self._generator = generator
        super().__init__({"clock": In(1), "made": Out(1), "good": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains += ClockDomain("sync")
        m.d.comb += [self.good.eq(self._generator.add(m, self.clock)), self.made.eq(ClockSignal())]
        return m


@dataclass(frozen=True)
class Cell:
    """As Yosys is given it."""

    kind: str
    parameters: dict[str, str]
    pins: dict[str, str]

    def number(self, name: str) -> int:
        return int(self.parameters[name])


def only_cell(generator: ClockGenerator, family: str) -> Cell:
    text = emit_rtlil(Holder(generator), "top", family)[0]
    (kind, body), = re.findall(r"^  cell \\(\S+) \S+\n(.*?)^  end$", text, re.MULTILINE | re.DOTALL)
    return Cell(kind, {name: value.strip('"') for name, value in re.findall(r"parameter \\(\S+) (.+)", body)},
                dict(re.findall(r"connect \\(\S+) \\?(\S+)", body)))


def ecp5_hz(cell: Cell, input_hz: int) -> tuple[Fraction, Fraction, Fraction]:
    """Compared, oscillator's and output frequency of Lattice's FPGA-TN-02200, the first output fed back."""
    assert (cell.kind, cell.parameters["FEEDBK_PATH"]) == ("EHXPLLL", "CLKOP")
    assert (cell.pins["CLKI"], cell.pins["CLKOP"], cell.pins["CLKFB"]) == ("clock", "made", "made")
    compared = Fraction(input_hz, cell.number("CLKI_DIV"))
    # Both dividers are between the oscillator and the comparison, and the output is before the second.
    inside = compared * cell.number("CLKFB_DIV") * cell.number("CLKOP_DIV")
    return compared, inside, inside / cell.number("CLKOP_DIV")


def ice40_hz(cell: Cell, input_hz: int) -> tuple[Fraction, Fraction, Fraction]:
    """The same of FPGA-TN-02052, the oscillator fed back."""
    assert (cell.kind, cell.parameters["FEEDBACK_PATH"]) == ("SB_PLL40_PAD", "SIMPLE")
    assert (cell.pins["PACKAGEPIN"], cell.pins["PLLOUTGLOBAL"]) == ("clock", "made")
    compared = Fraction(input_hz, cell.number("DIVR") + 1)
    inside = compared * (cell.number("DIVF") + 1)
    return compared, inside, inside / 2 ** cell.number("DIVQ")


def gowin_hz(cell: Cell, input_hz: int) -> tuple[Fraction, Fraction, Fraction]:
    """The same of UG286, fed back inside."""
    assert (cell.kind, cell.parameters["CLKFB_SEL"]) == ("rPLL", "internal")
    assert float(cell.parameters["FCLKIN"]) == input_hz / 1e6
    assert (cell.pins["CLKIN"], cell.pins["CLKOUT"]) == ("clock", "made")
    assert {cell.parameters[f"DYN_{which}_SEL"] for which in ("IDIV", "FBDIV", "ODIV")} == {"false"}
    compared = Fraction(input_hz, cell.number("IDIV_SEL") + 1)
    output = compared * (cell.number("FBDIV_SEL") + 1)
    return compared, output * cell.number("ODIV_SEL"), output


FORMULAS: dict[str, Any] = {"ecp5": ecp5_hz, "ice40": ice40_hz, "gowin": gowin_hz}
COMPARED_MHZ = {"ecp5": (10, 400), "ice40": (10, 133), "gowin": (3, 500)}
INSIDE_MHZ = {"ecp5": (400, 800), "ice40": (533, 1066), "gowin": (500, 1250)}
OUTPUT_MHZ = {"ecp5": (3.125, 400), "ice40": (16, 275), "gowin": (3.90625, 625)}
"""Of the data sheets that the generators name."""


def made(board: Board, asked_mhz: float) -> tuple[ClockGenerator, Cell, int]:
    input_hz, family = board.pins().clock_hz, board.target.family
    generator = clock_generator(family, input_hz, round(asked_mhz * 1e6), DEFAULT_BAUD)
    return generator, only_cell(generator, family), input_hz


@pytest.mark.parametrize("asked_mhz", ASKED_MHZ)
@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_part_makes_the_clock_that_the_generator_says(board: Board, asked_mhz: float) -> None:
    generator, cell, input_hz = made(board, asked_mhz)
    _, inside, output = FORMULAS[board.target.family](cell, input_hz)
    assert int(output) == generator.output_hz
    assert abs(inside - generator.vco_hz) < 128  # of an output that is rounded to 1 Hz and multiplied


@pytest.mark.parametrize("asked_mhz", ASKED_MHZ)
@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_part_s_frequencies_are_within_its_data_sheet_s_limits(board: Board, asked_mhz: float) -> None:
    _, cell, input_hz = made(board, asked_mhz)
    frequencies = FORMULAS[board.target.family](cell, input_hz)
    for hz, limits in zip(frequencies, (COMPARED_MHZ, INSIDE_MHZ, OUTPUT_MHZ), strict=True):
        low, high = limits[board.target.family]
        assert low <= hz / 1e6 <= high


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_board_s_usual_clock_is_what_its_part_makes(board: Board) -> None:
    generator, cell, input_hz = made(board, board.usual_mhz)
    _, _, output = FORMULAS[board.target.family](cell, input_hz)
    assert int(output) == generator.output_hz


@pytest.mark.parametrize("family", FORMULAS)
def test_the_clock_is_good_while_the_part_says_that_it_is_locked(family: str) -> None:
    cell = only_cell(clock_generator(family, 25_000_000, 50_000_000, DEFAULT_BAUD), family)
    assert cell.pins["LOCK"] == "good"


@pytest.mark.parametrize("family, pins", [
    ("ecp5", {"RST": "1'0", "STDBY": "1'0"}), ("ice40", {"RESETB": "1'1", "BYPASS": "1'0"}),
    ("gowin", {"RESET": "1'0", "RESET_P": "1'0"}),
])
def test_a_part_s_clock_generator_is_neither_held_in_reset_nor_passed_by(family: str,
                                                                          pins: dict[str, str]) -> None:
    cell = only_cell(clock_generator(family, 25_000_000, 50_000_000, DEFAULT_BAUD), family)
    assert pins.items() <= cell.pins.items()


@pytest.mark.parametrize("compared_mhz, filter_range", [
    (16, 1), (17, 2), (25, 2), (26, 3), (43, 3), (44, 4), (65, 4), (66, 5), (100, 5), (101, 6)])
def test_an_ice40_s_filter_is_the_one_for_the_frequency_that_it_compares(compared_mhz: int,
                                                                         filter_range: int) -> None:
    # What is asked for is what there is, so that nothing is divided before it is compared.
    generator = clock_generator("ice40", compared_mhz * 10**6, compared_mhz * 10**6, DEFAULT_BAUD)
    cell = only_cell(generator, "ice40")
    assert (cell.number("DIVR"), cell.number("FILTER_RANGE")) == (0, filter_range)
