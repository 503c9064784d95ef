"""A bitstream for a board."""

import datetime
from pathlib import Path
from typing import Any

from hdl.config import Config
from sim.cache import cache_directory

from ..flow import Progress, cache_key, kept_folder, run_synthesis, source_hash, write_design
from ..placing import PINS, ROUTING, failure_in, place_and_pack, place_command
from ..readings import cells_by_type, is_short, read_timing, read_use, used_of, why_not
from ..scripts import STAT_JSON
from ..targets import Target
from ..tools import tool_versions
from .boards import Board, Pins
from .clocks import clock_generator
from .serial_transport import DEFAULT_BAUD
from .top import BoardTop

__all__ = ["DEFAULT_CLOCK_MHZ", "DEFAULT_MEMORY_BYTES", "build_board"]

DEFAULT_CLOCK_MHZ = 40.0
DEFAULT_MEMORY_BYTES = 64 * 1024


def build_board(board: Board, config: Config, progress: Progress, *, clock_mhz: float = DEFAULT_CLOCK_MHZ,
                memory_bytes: int = DEFAULT_MEMORY_BYTES, seed: int = 1) -> dict[str, Any]:
    """Synthesize, place, route and pack a board's system.

    Returns board, preset, clock_mhz, fmax_mhz, fits, luts, registers, dsps, brams, versions, date, short (the
    part has too little), reason, log, bitstream, which is None where the design does not fit. Raises
    TargetError for a clock that cannot be made and a memory that the part cannot hold, ToolMissing,
    ToolFailed.
    """
    board.check_memory(memory_bytes)
    pins, target = board.pins(), board.target
    generator = clock_generator(target.family, pins.clock_hz, round(clock_mhz * 1e6), DEFAULT_BAUD)
    versions = tool_versions(target.family)
    here = "".join(path.read_text() for path in sorted(Path(__file__).parent.glob("*.py")))
    command = place_command(target, board.speed, generator.output_hz / 1e6, seed)
    key = cache_key(board.name, target, config, pins, generator, memory_bytes, command, ROUTING,
                    versions, source_hash(), here)
    folder = cache_directory() / "boards" / f"{board.name}-{config.name}-{key}"

    def make() -> None:
        progress.stage("hardware")
        write_design(folder, BoardTop(config, memory_bytes, DEFAULT_BAUD, generator), target)
        (folder / PINS).write_text(_constraints(target, pins))
        progress.stage("synthesis")
        run_synthesis(folder, target, progress)
        progress.stage("place and route")
        place_and_pack(command, target, folder, progress)

    kept_folder(folder, make)
    failure = failure_in(folder)
    fits = failure is None
    report = (folder / "report.json").read_text() if fits else None
    cells = cells_by_type((folder / STAT_JSON).read_text())
    use = read_use(report, (folder / "place.log").read_text())
    used = used_of(target, use, cells)
    timing = read_timing(report) if report is not None else None
    return {
        "board": board.name, "preset": config.name, "clock_mhz": generator.output_hz / 1e6,
        "memory_bytes": memory_bytes, "baud": DEFAULT_BAUD, "seed": seed, "fits": fits,
        "fmax_mhz": timing and timing.shown_mhz, "luts": used.luts, "registers": used.registers,
        "dsps": used.dsps, "brams": used.brams, "versions": versions,
        "date": datetime.date.today().isoformat(), "short": is_short(use),
        "reason": None if failure is None else why_not(target, use, failure), "log": str(folder),
        "bitstream": str(folder / f"bitstream{target.suffix}") if fits else None,
    }


def _constraints(target: Target, pins: Pins) -> str:
    """In the place-and-route tool's own words."""
    ports = (("clock", pins.clock), ("rx", pins.rx), ("tx", pins.tx))
    if target.family == "ice40":
        return "".join(f"set_io {port} {pin}\n" for port, pin in ports)
    if target.family == "gowin":
        return "".join(f'IO_LOC "{port}" {pin};\nIO_PORT "{port}" IO_TYPE={pins.io_type};\n'
                       for port, pin in ports)
    lines = [f'FREQUENCY PORT "clock" {pins.clock_hz / 1e6:g} MHZ;']
    for port, pin in ports:
        lines += [f'LOCATE COMP "{port}" SITE "{pin}";', f'IOBUF PORT "{port}" IO_TYPE={pins.io_type};']
    return "\n".join(lines) + "\n"
