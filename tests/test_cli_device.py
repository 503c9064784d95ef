"""zerolane.cli_device: a board on the command line, by the model of the device in its place."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from hdl.config import PRESETS, Config
from tests.device_model import DeviceModel
from tests.test_cli import zerolane

CLOCK_HZ = 40_000_000


class BoardModel(DeviceModel):
    """In a serial transport's place; sends two commands again."""

    simulator = "board"
    has: Config = PRESETS["tiny"]
    open_ports: set[str] = set()

    def __init__(self, port: str, *, report: Callable[[str], None]):
        super().__init__(self.has)
        self._port = port
        self.open_ports.add(port)
        for attempt in (2, 3):
            report(f"no good answer from {port}, command INFO again: try {attempt} of 5")

    def record(self) -> dict[str, Any]:
        return {"port": self._port, "clock_hz": CLOCK_HZ, "repeated": 2}

    def close(self) -> None:
        self.open_ports.discard(self._port)


@pytest.fixture(autouse=True)
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("synth.boards.serial_transport.SerialTransport", BoardModel)
    monkeypatch.chdir(tmp_path)
    sp.save_npz("a.npz", sp.csr_array(np.eye(3, dtype=np.int8)))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    return zerolane(monkeypatch, "run", "spmv", "a.npz", "--device", "serial:P", *arguments)


def test_repeated_commands_are_shown_and_port_clock_and_time_told(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    assert run(monkeypatch, "--json", "r.json") == 0
    shown = capsys.readouterr()
    assert "zerolane: no good answer from P, command INFO again: try 3 of 5\n" in shown.err
    record = json.loads(Path("r.json").read_text())
    assert record["board"] == {"port": "P", "clock_hz": CLOCK_HZ, "repeated": 2,
                               "array_seconds": record["cycles"] / CLOCK_HZ}
    # Joined: a narrow terminal has it in two lines.
    assert "(board on P, 0.025 ms at 40 MHz, 2 commands repeated, " in " ".join(shown.out.split())


def test_a_simulator_s_record_has_no_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zerolane.device.open_simulator",
                        lambda name, config, *, memory_bytes, **settings: DeviceModel(config, memory_bytes))
    assert zerolane(monkeypatch, "run", "spmv", "a.npz", "--json", "r.json") == 0
    assert "board" not in json.loads(Path("r.json").read_text())


@pytest.mark.parametrize("preset", PRESETS)
def test_a_board_tells_its_preset_where_none_is_named(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, preset: str) -> None:
    monkeypatch.setattr(BoardModel, "has", PRESETS[preset])
    assert run(monkeypatch, "--json", "r.json") == 0
    assert f"zerolane: the board on P has preset {preset}\n" in capsys.readouterr().err
    assert json.loads(Path("r.json").read_text())["preset"] == preset


def test_a_board_of_no_preset_is_described_and_asks_for_its_file(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    four = replace(PRESETS["tiny"], name="four", lanes=2, tile_bytes=2048, scale_multipliers=0)
    monkeypatch.setattr(BoardModel, "has", four)
    assert run(monkeypatch) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("zerolane: the board on P has 2 PEs x 2 lanes, a port of 4 bytes, 2,048 bytes of "
                            "tile memory, ")
    assert error.endswith(": no preset; name its configuration's file with --config")
    assert not BoardModel.open_ports


def test_a_board_of_another_preset_than_was_named_is_told_in_words(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    assert run(monkeypatch, "--preset", "base") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "than 'base': it has 2 PEs x 4 lanes, a port of 4 bytes" in error
    assert ": preset 'tiny'; CONFIG0 reads 0x2040402, an array of configuration 'base' has 0x8100808" in error
    assert not BoardModel.open_ports


@pytest.mark.parametrize("arguments, reason", [
    (["--device", "usb"], "--device usb; it must be serial:PORT"),
    (["--device", "serial:"], "--device serial:; it must be serial:PORT"),
    (["--device", "serial:P", "--simulator", "icarus"], "--device and --simulator exclude each other"),
    (["--device", "serial:P", "--preset", "tiny", "--config", "c.toml"], "--preset and --config exclude"),
])
def test_options_that_name_no_board_are_refused(monkeypatch: pytest.MonkeyPatch, arguments: list[str],
                                                capsys: pytest.CaptureFixture, reason: str) -> None:
    assert zerolane(monkeypatch, "run", "spmv", "a.npz", *arguments) == 2
    assert reason in capsys.readouterr().err
