"""synth.boards: what a part does not have is refused before anything is built."""

import re
from contextlib import suppress

import pytest

from hdl.config import PRESETS, Config
from synth.boards import build
from synth.boards.boards import BOARDS, Board
from synth.boards.build import DEFAULT_MEMORY_BYTES, build_board
from synth.boards.clocks import clock_generator
from synth.boards.serial_transport import DEFAULT_BAUD
from synth.boards.system import BoardSystem
from synth.boards.uart import MAX_BAUD_ERROR, baud_error
from synth.progress import Progress
from synth.targets import TargetError
from tests.reduced import REDUCED

MICRO = PRESETS["micro"]
TINY_BLOCK_RAMS = 11
"""Of a board's system but for its memory, of 2 KiB each; docs/results.md has 43 with a memory of 64 KiB."""


def made(name: str, wanted_mhz: float) -> float:
    """MHz of what a board's clock generator makes of a wish."""
    board = BOARDS[name]
    return clock_generator(board.target.family, board.pins().clock_hz, round(wanted_mhz * 1e6),
                           DEFAULT_BAUD).output_hz / 1e6


def refusal(name: str, wanted_mhz: float) -> str:
    with pytest.raises(TargetError) as caught:
        made(name, wanted_mhz)
    return str(caught.value)


# ---- clocks ----


@pytest.mark.parametrize("family", ["ecp5", "ice40", "gowin"])
def test_a_clock_that_cannot_be_made_is_refused(family: str) -> None:
    with pytest.raises(TargetError, match="to 900 MHz can be made of the board's 7 MHz"):
        clock_generator(family, 7_000_000, 900_000_000, DEFAULT_BAUD)


@pytest.mark.parametrize("board, wanted_mhz, words", [
    ("ulx3s", 10, ("9 (10 % below) to 10", 25, "25")),
    ("ulx3s", 45, ("40.5 (10 % below) to 45", 25, "37.5 or 50")),
    ("orangecrab-25f", 20, ("18 (10 % below) to 20", 48, "16 or 24")),
    # 9 MHz could be made, but not asked for.
    ("tangnano20k", 10.05, ("9.045 (10 % below) to 10.05", 27, "10.125")),
])
def test_a_refused_clock_names_the_option_the_rule_and_the_nearest_ones_that_can_be_made(
        board: str, wanted_mhz: float, words: tuple[str, int, str]) -> None:
    tried, given_mhz, offered = words
    assert refusal(board, wanted_mhz) == (
        f"--freq {wanted_mhz}; no clock from {tried} MHz can be made of the board's {given_mhz} MHz; it may "
        f"be {offered} MHz")


@pytest.mark.parametrize("board", BOARDS)
def test_a_clock_that_a_refusal_offers_is_made_when_it_is_asked_for(board: str) -> None:
    refusals = 0
    # Of these the Tang Nano makes all but the first.
    for wanted_mhz in (10.05, *range(10, 401, 3)):
        try:
            made(board, wanted_mhz)
        except TargetError as error:
            refusals += 1
            offered = [float(word) for word in re.findall(r"[\d.]+", str(error).partition("it may be")[2])]
            assert offered
            for mhz in offered:
                assert mhz - 0.001 < made(board, mhz) <= mhz
    assert refusals


@pytest.mark.parametrize("board, wanted_mhz, error", [
    ("ulx3s", 12.5, "12.5 MHz of it, and these a serial line 4.17 % faster than 1,000,000 baud"),
    ("tangnano20k", 13.5, "13.5 MHz of it, and these a serial line 3.57 % slower than 1,000,000 baud"),
])
def test_a_clock_that_puts_the_serial_line_off_its_rate_is_refused(board: str, wanted_mhz: float,
                                                                   error: str) -> None:
    assert error in refusal(board, wanted_mhz)


def test_the_next_clock_below_is_made_where_the_nearest_puts_the_serial_line_off_its_rate() -> None:
    # 16.5 MHz could be made: of 16 or 17 cycles a bit neither is near enough.
    assert made("icebreaker", 16.5) == 16.3125


@pytest.mark.parametrize("board", BOARDS)
def test_a_board_s_usual_clock_is_made_within_ten_percent(board: str) -> None:
    usual_mhz = BOARDS[board].usual_mhz
    assert usual_mhz == (18 if board == "icebreaker" else 40)
    assert 0.9 * usual_mhz <= made(board, usual_mhz) <= usual_mhz


@pytest.mark.parametrize("board, asked_mhz, wanted_hz", [
    ("icebreaker", None, 18_000_000), ("icebreaker", 24, 24_000_000), ("ulx3s", None, 40_000_000)])
def test_a_build_has_the_board_s_usual_clock_unless_another_is_asked_for(
        board: str, asked_mhz: float | None, wanted_hz: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(family: str, input_hz: int, hz: int, baud: int) -> None:
        raise TargetError(f"{hz} Hz")

    monkeypatch.setattr(build, "clock_generator", refused)
    with pytest.raises(TargetError, match=f"^{wanted_hz} Hz$"):
        build_board(BOARDS[board], MICRO, Progress(), clock_mhz=asked_mhz)
    with pytest.raises(TargetError, match=f"^{wanted_hz} Hz$"):
        build.system_design(BOARDS[board], MICRO, clock_mhz=asked_mhz)


def test_icebreaker_s_usual_clock_is_made_exactly_and_gives_the_line_its_exact_rate() -> None:
    usual_mhz = BOARDS["icebreaker"].usual_mhz
    assert made("icebreaker", usual_mhz) == usual_mhz
    assert baud_error(round(usual_mhz * 1e6), DEFAULT_BAUD) == 0


@pytest.mark.parametrize("board", BOARDS)
def test_every_clock_that_is_made_gives_the_serial_line_its_rate(board: str) -> None:
    clocks_mhz = []
    for tenths in range(100, 500, 3):
        with suppress(TargetError):
            clocks_mhz.append(made(board, tenths / 10))
    # The fewest are those of the ULX3S: its 25 MHz are divided by 2 at most before they are compared.
    assert len(clocks_mhz) >= 24
    for clock_mhz in clocks_mhz:
        assert abs(baud_error(round(clock_mhz * 1e6), DEFAULT_BAUD)) <= MAX_BAUD_ERROR


def test_a_system_whose_serial_line_would_be_off_its_rate_is_not_made() -> None:
    with pytest.raises(ValueError, match=r"clock_hz = 12500000; its line would be \+4.17 % off 1,000,000"):
        BoardSystem(REDUCED, DEFAULT_MEMORY_BYTES, 12_500_000, DEFAULT_BAUD)


@pytest.mark.parametrize("wanted_mhz", [12, 16, 310, 400])
def test_an_ice40_s_clock_outside_of_16_to_275_mhz_is_refused(wanted_mhz: int) -> None:
    assert f" to {wanted_mhz} MHz can be made of the board's 12 MHz" in refusal("icebreaker", wanted_mhz)


def test_an_ecp5_s_clock_above_400_mhz_is_refused() -> None:
    assert refusal("ulx3s", 450) == (
        "--freq 450; no clock from 405 (10 % below) to 450 MHz can be made of the board's 25 MHz; it may be "
        "400 MHz")


# ---- memory ----


def refused_memory(board: Board, memory_bytes: int, monkeypatch: pytest.MonkeyPatch,
                   config: Config = REDUCED) -> str:
    """What a build says of it, which makes no hardware."""
    monkeypatch.setattr(build, "BoardTop", None)
    with pytest.raises(TargetError) as caught:
        build_board(board, config, Progress(), memory_bytes=memory_bytes)
    return str(caught.value)


@pytest.mark.parametrize("kib", [512, 4_194_304, 8_388_608, 1 << 2000], ids=["512", "4G", "8G", "huge"])
def test_a_memory_beyond_the_part_s_block_ram_is_refused_with_the_most_that_there_is(
        kib: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused_memory(BOARDS["ulx3s"], kib * 1024, monkeypatch) == (
        f"--memory-kib {kib}; it must be a power of two from 1 to 256: the block RAM of ULX3S-85F holds "
        "416 KiB, and the array needs some")


@pytest.mark.parametrize("memory_bytes, kib", [(48 * 1024, "48"), (0, "0"), (-1024, "-1"), (512, "0.5")])
def test_a_memory_that_is_no_power_of_two_of_kib_is_refused_with_the_range(
        memory_bytes: int, kib: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused_memory(BOARDS["ulx3s"], memory_bytes, monkeypatch).startswith(
        f"--memory-kib {kib}; it must be a power of two from 1 to 256")


@pytest.mark.parametrize("name, most_kib", [
    ("ulx3s", 256), ("ulx3s-12f", 64), ("ulx3s-25f", 64), ("ulx3s-45f", 128), ("ecpix5", 256),
    ("orangecrab-25f", 64), ("orangecrab-85f", 256), ("icebreaker", 8), ("tangnano20k", 64),
])
def test_the_largest_memory_is_the_power_of_two_that_the_part_s_block_ram_holds(name: str,
                                                                                most_kib: int) -> None:
    check_most(BOARDS[name], REDUCED, most_kib)


@pytest.mark.parametrize("name", BOARDS)
def test_a_serial_array_s_memory_is_spram_where_the_part_has_it_and_limited_as_any_elsewhere(
        name: str) -> None:
    board = BOARDS[name]
    check_most(board, MICRO, 128 if name == "icebreaker" else board.most_kib(REDUCED))


def check_most(board: Board, config: Config, most_kib: int) -> None:
    assert board.most_kib(config) == most_kib
    board.check_memory(config, most_kib * 1024)
    with pytest.raises(TargetError, match=f"from 1 to {most_kib}: "):
        board.check_memory(config, 2 * most_kib * 1024)


def test_a_memory_beyond_the_part_s_spram_is_refused_by_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused_memory(BOARDS["icebreaker"], 256 * 1024, monkeypatch, MICRO) == (
        "--memory-kib 256; it must be a power of two from 1 to 128: the SPRAM of iCEBreaker holds 128 KiB")


def test_an_array_that_is_not_serial_does_not_get_the_part_s_spram(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused_memory(BOARDS["icebreaker"], 16 * 1024, monkeypatch) == (
        "--memory-kib 16; it must be a power of two from 1 to 8: the block RAM of iCEBreaker holds 15 KiB, "
        "and the array needs some")


@pytest.mark.parametrize("name", [name for name, board in BOARDS.items() if board.target.family == "ecp5"])
def test_the_usual_memory_leaves_the_block_rams_that_tiny_takes(name: str) -> None:
    board, tiny = BOARDS[name], PRESETS["tiny"]
    assert board.held_kib(tiny) - board.usual_kib(tiny) >= TINY_BLOCK_RAMS * 2


def test_the_usual_memory_of_a_serial_array_on_icebreaker_is_64_kib() -> None:
    assert BOARDS["icebreaker"].usual_kib(MICRO) == 64 and BOARDS["icebreaker"].usual_kib(REDUCED) == 8
