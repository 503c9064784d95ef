"""synth.boards: pins, clock generator and command line, without building."""

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Const, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hdl.config import Config
from hdl.emit import emit_rtlil
from synth import placing, yosys_runs
from synth.boards import build, top
from synth.boards.boards import BOARDS, board_by_name
from synth.boards.build import DEFAULT_MEMORY_BYTES, build_board
from synth.boards.clocks import clock_generator
from synth.boards.protocol import crc
from synth.boards.serial_transport import DEFAULT_BAUD
from synth.boards.top import BoardTop
from synth.boards.uart import UartReceiver, UartTransmitter
from synth.kept import source_hash
from synth.place_runs import PLACE_LOG
from synth.progress import Progress
from synth.targets import TargetError
from tests.reduced import REDUCED
from tests.test_cli import zerolane

ID_CODES = {"LFE5U-12F": 0x2111_1043, "LFE5U-25F": 0x4111_1043, "LFE5U-45F": 0x4111_2043,
            "LFE5U-85F": 0x4111_3043, "LFE5UM5G-85F": 0x8111_3043}
"""Of Lattice's technical note FPGA-TN-02039."""


class Echo(wiring.Component):
    """In a board system's place: says what it hears."""

    def __init__(self, config: Config, memory_bytes: int, clock_hz: int, baud: int):
        self._bit_cycles = round(clock_hz / baud)
        super().__init__({"rx": In(1), "tx": Out(1), "irq": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self._bit_cycles)
        m.submodules.transmitter = transmitter = UartTransmitter(self._bit_cycles)
        m.d.comb += [self.irq.eq(1), receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx),
                     transmitter.i.payload.eq(receiver.o.payload), transmitter.i.valid.eq(receiver.o.valid)]
        return m


class Unclocked:
    """In a clock generator's place."""

    output_hz = vco_hz = 40_000_000

    def add(self, m: Module, clock: Value) -> Value:
        return Const(1)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_every_board_has_pins_and_a_clock_that_is_not_above_the_wanted_one(board) -> None:
    pins = board.pins()
    assert len({pins.clock, pins.rx, pins.tx, pins.led}) == 4 and pins.led_lit in (0, 1)
    low, high = {"ecp5": (400, 800), "ice40": (533, 1066), "gowin": (500, 1250)}[board.target.family]
    for wanted_hz in (25_000_000, 40_000_000, 50_000_000, 100_000_000):
        generator = clock_generator(board.target.family, pins.clock_hz, wanted_hz, DEFAULT_BAUD)
        assert 0.9 * wanted_hz <= generator.output_hz <= wanted_hz
        assert low <= generator.vco_hz / 1e6 <= high


@pytest.mark.parametrize("family, cell", [("ecp5", "EHXPLLL"), ("ice40", "SB_PLL40_PAD"), ("gowin", "rPLL")])
@pytest.mark.parametrize("led_lit, led", [(None, set()), (0, {"\\led"}), (1, {"\\led"})])
def test_a_board_s_top_has_a_clock_generator_and_pins_for_clock_line_and_led(
        family: str, cell: str, led_lit: int | None, led: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "BoardSystem", Echo)
    generator = clock_generator(family, 25_000_000, 50_000_000, DEFAULT_BAUD)
    board = BoardTop(REDUCED, DEFAULT_MEMORY_BYTES, 1_000_000, generator, led_lit)
    text = emit_rtlil(board, "top", family)[0]
    module = text[text.index("attribute \\top 1"):]
    module = module[:module.index("\nend\n")]
    assert {line.split()[-1] for line in module.splitlines() if " input " in line or " output " in line} == {
        "\\clock", "\\rx", "\\tx"} | led
    assert f"cell \\{cell}" in text


@pytest.mark.parametrize("led_lit", [0, 1])
def test_the_led_shines_while_the_interrupt_is_high(led_lit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "BoardSystem", Echo)
    board = BoardTop(REDUCED, DEFAULT_MEMORY_BYTES, 1_000_000, Unclocked(), led_lit)

    async def bench(ctx: Any) -> None:
        await ctx.delay(1e-6)
        assert ctx.get(board.led) == led_lit

    simulator = Simulator(board)
    simulator.add_testbench(bench)
    simulator.run()


def test_the_crc_is_the_one_of_the_books() -> None:
    assert crc(b"123456789") == 0x29B1  # CRC-16/CCITT-FALSE


def test_an_unknown_board_is_answered_with_the_nearest() -> None:
    with pytest.raises(TargetError, match=r"did you mean 'ulx3s' \(ULX3S-85F\)\?"):
        board_by_name("ulx4s")


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_s_name_in_capitals_is_answered_with_that_board(name: str) -> None:
    with pytest.raises(TargetError) as caught:
        board_by_name(name.upper())
    assert str(caught.value) == (f"unknown board {name.upper()!r}; did you mean {name!r} "
                                 f"({BOARDS[name].title})?")


def test_what_is_like_no_board_is_answered_with_all_of_them() -> None:
    with pytest.raises(TargetError, match=f"it must be one of {', '.join(BOARDS)}"):
        board_by_name("zzzz")


@pytest.mark.parametrize("name, part", [
    ("ulx3s", "LFE5U-85F CABGA381"), ("ulx3s-85f", "LFE5U-85F CABGA381"), ("ulx3s-12f", "LFE5U-12F CABGA381"),
    ("ulx3s-25f", "LFE5U-25F CABGA381"), ("ulx3s-45f", "LFE5U-45F CABGA381"),
    ("ecpix5", "LFE5UM5G-85F CABGA554"), ("orangecrab-25f", "LFE5U-25F CSFBGA285"),
    ("orangecrab-85f", "LFE5U-85F CSFBGA285"),
])
def test_a_board_has_the_part_that_its_name_says(name: str, part: str) -> None:
    assert board_by_name(name).target.part == part


@pytest.mark.parametrize("board", BOARDS)
def test_clock_generator_pins_and_packing_work_on_every_board(board: str, monkeypatch: pytest.MonkeyPatch,
                                                              tmp_path: Path) -> None:
    # A cache of its own: the key of a build does not know of the exchange.
    monkeypatch.setenv("ZEROLANE_CACHE", str(tmp_path))
    monkeypatch.setattr(top, "BoardSystem", Echo)
    record = build_board(BOARDS[board], REDUCED, Progress(), clock_mhz=25, memory_bytes=8192)
    assert record["fits"] and record["fmax_mhz"] > record["clock_mhz"] >= 24
    assert record["config"] == asdict(REDUCED)
    assert record["design_hash"] == build.system_design(BOARDS[board], REDUCED, clock_mhz=25,
                                                        memory_bytes=8192)
    assert (record["part"], record["speed"]) == (BOARDS[board].target.part, BOARDS[board].speed)
    assert Path(record["bitstream"]).stat().st_size > 10_000
    if BOARDS[board].target.family == "ecp5":
        # The command that has the part compare its own ID with the bitstream's, and that ID.
        _, found, rest = Path(record["bitstream"]).read_bytes().partition(b"\xE2\0\0\0")
        assert found and int.from_bytes(rest[:4]) == ID_CODES[BOARDS[board].target.part.split()[0]]
        # nextpnr works out for itself what the part makes of the oscillator's frequency in PINS. Its report
        # has not that, but the frequency of the command, which is ours.
        log = Path(record["log"], PLACE_LOG).read_text()
        derived, = re.findall(r"Derived frequency constraint of (\S+) MHz for net", log)
        assert float(derived) == pytest.approx(record["clock_mhz"], abs=0.051)
        assert "out of legal range" not in log


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
    for module, what, other in ((yosys_runs, "mapping_script", lambda *arguments: "other"),
                                (yosys_runs, "finishing_script", lambda *arguments: "other"),
                                (yosys_runs, "_STEPS", ()), (placing, "_STEPS", ()),
                                (placing, "pack_command", lambda target: ("ecppack", [])),
                                (build, "_design", lambda *arguments: "other"),
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
