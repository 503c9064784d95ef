"""synth.boards: pins, clock generator and command line, without building."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.config import Config
from hdl.emit import emit_rtlil
from synth import flow, placing
from synth.boards import build, top
from synth.boards.boards import BOARDS, board_by_name
from synth.boards.build import DEFAULT_MEMORY_BYTES, build_board
from synth.boards.clocks import clock_generator
from synth.boards.protocol import crc
from synth.boards.serial_transport import DEFAULT_BAUD
from synth.boards.top import BoardTop
from synth.boards.uart import UartReceiver, UartTransmitter
from synth.flow import Progress
from synth.kept import source_hash
from synth.targets import TargetError
from tests.reduced import REDUCED
from tests.test_cli import zerolane


class Echo(wiring.Component):
    """In a board system's place: says what it hears."""

    def __init__(self, config: Config, memory_bytes: int, clock_hz: int, baud: int):
        self._bit_cycles = round(clock_hz / baud)
        super().__init__({"rx": In(1), "tx": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self._bit_cycles)
        m.submodules.transmitter = transmitter = UartTransmitter(self._bit_cycles)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx),
                     transmitter.i.payload.eq(receiver.o.payload), transmitter.i.valid.eq(receiver.o.valid)]
        return m


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_every_board_has_pins_and_a_clock_that_is_not_above_the_wanted_one(board) -> None:
    pins = board.pins()
    assert len({pins.clock, pins.rx, pins.tx}) == 3
    low, high = {"ecp5": (400, 800), "ice40": (533, 1066), "gowin": (500, 1250)}[board.target.family]
    for wanted_hz in (25_000_000, 40_000_000, 50_000_000, 100_000_000):
        generator = clock_generator(board.target.family, pins.clock_hz, wanted_hz, DEFAULT_BAUD)
        assert 0.9 * wanted_hz <= generator.output_hz <= wanted_hz
        assert low <= generator.vco_hz / 1e6 <= high


@pytest.mark.parametrize("family", ["ecp5", "ice40", "gowin"])
def test_a_clock_s_dividers_make_what_it_says(family: str) -> None:
    one: Any = clock_generator(family, 25_000_000, 50_000_000, DEFAULT_BAUD)
    divided = one.input_hz * one.feedback_divider // one.input_divider
    assert divided >> getattr(one, "output_log2", 0) == one.output_hz


@pytest.mark.parametrize("family, cell", [("ecp5", "EHXPLLL"), ("ice40", "SB_PLL40_PAD"), ("gowin", "rPLL")])
def test_a_board_s_top_has_three_pins_and_a_clock_generator(family: str, cell: str,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "BoardSystem", Echo)
    generator = clock_generator(family, 25_000_000, 50_000_000, DEFAULT_BAUD)
    text = emit_rtlil(BoardTop(REDUCED, DEFAULT_MEMORY_BYTES, 1_000_000, generator), "top", family)[0]
    module = text[text.index("attribute \\top 1"):]
    module = module[:module.index("\nend\n")]
    assert {line.split()[-1] for line in module.splitlines() if " input " in line or " output " in line} == {
        "\\clock", "\\rx", "\\tx"}
    assert f"cell \\{cell}" in text


def test_the_crc_is_the_one_of_the_books() -> None:
    assert crc(b"123456789") == 0x29B1  # CRC-16/CCITT-FALSE


def test_an_unknown_board_is_answered_with_the_nearest() -> None:
    with pytest.raises(TargetError, match="did you mean 'ulx3s'"):
        board_by_name("ulx3")


@pytest.mark.parametrize("board", BOARDS)
def test_clock_generator_pins_and_packing_work_on_every_board(board: str, monkeypatch: pytest.MonkeyPatch,
                                                              tmp_path: Path) -> None:
    # A cache of its own: the key of a build does not know of the exchange.
    monkeypatch.setenv("ZEROLANE_CACHE", str(tmp_path))
    monkeypatch.setattr(top, "BoardSystem", Echo)
    record = build_board(BOARDS[board], REDUCED, Progress(), clock_mhz=25, memory_bytes=8192)
    assert record["fits"] and record["fmax_mhz"] > record["clock_mhz"] >= 24
    assert record["config"] == asdict(REDUCED) and record["source_hash"] == build.system_source_hash()
    assert (record["part"], record["speed"]) == (BOARDS[board].target.part, BOARDS[board].speed)
    assert Path(record["bitstream"]).stat().st_size > 10_000


def test_another_script_block_or_packer_is_another_build_of_a_board(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked(Exception):
        """For a folder; nothing is built."""

    def asked(folder: Path, *others: object) -> None:
        raise Asked(folder.name)

    def name(config: Config = REDUCED, **options: Any) -> str:
        with pytest.raises(Asked) as found:
            build_board(BOARDS["ulx3s"], config, Progress(), **options)
        return str(found.value)

    monkeypatch.setattr(build, "kept_folder", asked)
    names = [name(), name(memory_bytes=8192), name(seed=2), name(replace(REDUCED, queue_beats=8))]
    for module, what, other in ((flow, "mapping_script", lambda *arguments: "other"),
                                (flow, "finishing_script", lambda *arguments: "other"),
                                (flow, "_APART", ()), (placing, "_ROUTING", ()),
                                (placing, "pack_command", lambda target: ("ecppack", [])),
                                (build, "system_source_hash", lambda: "other"),
                                (build, "_constraints", lambda *arguments: "other")):
        with monkeypatch.context() as patch:
            patch.setattr(module, what, other)
            names.append(name())
    assert len(set(names)) == len(names)


def test_the_files_of_boards_are_part_of_their_hardware() -> None:
    assert build.system_source_hash() != source_hash()


@pytest.mark.parametrize("arguments, reason", [
    (["build", "--board", "ulx4s", "-o", "x.bit"], "did you mean 'ulx3s'"),
    (["build", "--board", "ulx3s", "-o", "x.bin"], "must end in .bit"),
    (["build", "--board", "tangnano20k", "-o", "x.bit"], "must end in .fs"),
    (["build", "--board", "ulx3s", "-o", "x.bit", "--freq", "5"], "--freq 5"),
    (["build", "--board", "ulx3s", "-o", "x.bit", "--freq", "12.5"], "--freq 12.5; the board's 25 MHz make"),
    (["build", "--board", "ulx3s", "-o", "x.bit", "--memory-kib", "48"], "--memory-kib 48"),
    (["build", "--board", "ulx3s", "-o", "x.bit", "--memory-kib", "512"], "--memory-kib 512"),
])
def test_wrong_usage_of_build_is_exit_status_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
                                               arguments: list[str], reason: str) -> None:
    assert zerolane(monkeypatch, *arguments) == 2
    assert reason in capsys.readouterr().err
