"""What a command line's options say of the array that a kernel runs on: a simulator, or a board."""

from pathlib import Path
from typing import Any

import typer

from hdl.config import Config
from sim.transport import SIMULATORS
from zerolane.array_registers import describe_array, preset_of, read_array
from zerolane.cli_shared import configuration, errors
from zerolane.device import Device, DeviceError

__all__ = ["board_line", "open_board", "open_simulated"]


def _tell(text: str) -> None:
    errors.print(f"zerolane: {text}", markup=False, style="dim")


def open_simulated(config: Config, simulator: str, *, trace: bool = False) -> Device:
    """A device on `--simulator`, which starts with the first job; BadParameter."""
    if simulator not in ("auto", *SIMULATORS):
        raise typer.BadParameter(f"--simulator {simulator}; it must be auto, {', '.join(SIMULATORS)}")
    return Device(config=config, simulator=simulator, progress=_tell, trace=trace)


def open_board(board: str, simulator: str, preset: str | None, config: Path | None) -> Device:
    """A device on what `--device` names. Where neither `--preset` nor `--config` is given, the board's
    registers say which preset it has.

    Raises BadParameter, ConfigError, DeviceError for a board of no preset or of another configuration, and
    the transport's errors.
    """
    kind, _, port = board.partition(":")
    if kind != "serial" or not port:
        raise typer.BadParameter(f"--device {board}; it must be serial:PORT, as serial:/dev/ttyUSB0")
    if simulator != "auto":
        raise typer.BadParameter("--device and --simulator exclude each other")
    asked = None if preset is None and config is None else configuration(preset, config)
    from synth.boards.serial_transport import SerialTransport

    transport = SerialTransport(port, report=_tell)
    try:
        if asked is None:
            found = read_array(transport)
            asked = preset_of(found)
            if asked is None:
                raise DeviceError(f"the board on {port} has {describe_array(found)}: no preset; name its "
                                  "configuration's file with --config")
            _tell(f"the board on {port} has preset {asked.name}")
        return Device(config=asked, simulator=transport, progress=_tell)
    except BaseException:
        transport.close()
        raise


def board_line(record: dict[str, Any]) -> str:
    """What a job's record says of the board that it ran on, in words."""
    board = record["board"]
    repeated = board["repeated"]
    return (f"board on {board['port']}, {1000 * board['array_seconds']:.4g} ms at "
            f"{board['clock_hz'] / 1e6:g} MHz, {repeated} command{'s' * (repeated != 1)} repeated")
