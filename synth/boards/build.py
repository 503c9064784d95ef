"""A bitstream for a board."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hdl.config import Config
from sim.cache import cache_directory

from ..designs import design_hash
from ..kept import kept_folder, made_on, source_hash
from ..place_runs import REPORT
from ..placing import PINS, PLACE_LOG, failure_in, place_and_pack, place_command, placed_key
from ..progress import Progress
from ..readings import cells_by_type, is_short, read_timing, read_use, used_of, why_not
from ..scripts import STAT_JSON
from ..targets import Target
from ..tools import tool_versions
from ..yosys_runs import mapped_by_older, run_synthesis, synthesis_key, write_design
from .boards import USUAL_KIB, Board, Pins
from .clocks import ClockGenerator, clock_generator
from .serial_transport import DEFAULT_BAUD
from .top import BoardTop

__all__ = ["DEFAULT_MEMORY_BYTES", "build_board", "system_design", "system_source_hash"]

DEFAULT_MEMORY_BYTES = 1024 * USUAL_KIB
_MadeOf = tuple[Config, int, int, ClockGenerator, int | None]
"""What a `BoardTop` is made of."""
_NO_HARDWARE = ("__init__.py", "boards.py", "build.py", "serial_transport.py")
"""Of this folder: what is only about builds, or the host."""


def system_source_hash() -> str:
    """Of everything that a board's system is made from, the array too."""
    here = sorted(path for path in Path(__file__).parent.glob("*.py") if path.name not in _NO_HARDWARE)
    return source_hash(*here)


def build_board(board: Board, config: Config, progress: Progress, *, clock_mhz: float | None = None,
                memory_bytes: int = DEFAULT_MEMORY_BYTES, seed: int = 1) -> dict[str, Any]:
    """Synthesize, place, route and pack a board's system, with the board's usual clock unless one is given.

    Returns board, preset, config (its fields), target, part, speed, clock_mhz, memory_bytes, baud, seed,
    fits, fmax_mhz, luts, registers, dsps, brams, versions, older_mapper (the netlist is of ABC's older
    mapper), design_hash (`system_design`), date (of the build, not of this call), short (the part has too
    little), reason, log, bitstream, which is None where the design does not fit. Raises TargetError for a
    clock that cannot be made and a memory that the part cannot hold, ToolMissing, ToolFailed.
    """
    board.check_memory(config, memory_bytes)
    target, pins = board.target, board.pins()
    generator = _generator(board, pins, clock_mhz)
    made_of = (config, memory_bytes, DEFAULT_BAUD, generator, pins.led_lit)
    design = _design(target, made_of, progress.stage)
    constraints = _constraints(target, pins)
    command = place_command(target, board.speed, generator.output_hz / 1e6, seed)
    key = placed_key(synthesis_key(target, design), target, command, constraints)
    folder = cache_directory() / "boards" / f"{board.name}-{config.name}-{key}"

    def make() -> None:
        progress.note(f"logs: {folder}")
        progress.stage("netlist in RTLIL")
        write_design(folder, BoardTop(*made_of), target)
        (folder / PINS).write_text(constraints)
        progress.stage("synthesis")
        run_synthesis(folder, target, progress)
        progress.stage("place and route")
        place_and_pack(command, target, folder, progress)

    if kept_folder(folder, make, progress.stage):
        progress.note(f"the build of {made_on(folder)} is taken: nothing that it depends on has changed")
    failure = failure_in(folder)
    fits = failure is None
    report = (folder / REPORT).read_text() if fits else None
    cells = cells_by_type((folder / STAT_JSON).read_text())
    use = read_use(report, (folder / PLACE_LOG).read_text())
    used = used_of(target, use, cells)
    timing = read_timing(report) if report is not None else None
    return {
        "board": board.name, "preset": config.name, "config": asdict(config), "target": target.name,
        "part": target.part, "speed": board.speed, "clock_mhz": generator.output_hz / 1e6,
        "memory_bytes": memory_bytes, "baud": DEFAULT_BAUD, "seed": seed, "fits": fits,
        "fmax_mhz": timing and timing.shown_mhz, "luts": used.luts, "registers": used.registers,
        "dsps": used.dsps, "brams": used.brams, "versions": tool_versions(target.family),
        "older_mapper": mapped_by_older(folder),
        "design_hash": design, "date": made_on(folder), "short": is_short(use),
        "reason": None if failure is None else why_not(target, use, failure), "log": str(folder),
        "bitstream": str(folder / f"bitstream{target.suffix}") if fits else None,
    }


def system_design(board: Board, config: Config, *, clock_mhz: float | None = None,
                  memory_bytes: int = DEFAULT_MEMORY_BYTES) -> str:
    """The `synth.designs.design_hash` of a board's system."""
    target, pins = board.target, board.pins()
    generator = _generator(board, pins, clock_mhz)
    return _design(target, (config, memory_bytes, DEFAULT_BAUD, generator, pins.led_lit))


def _design(target: Target, made_of: _MadeOf, tell: Callable[[str], None] = lambda stage: None) -> str:
    return design_hash(lambda: BoardTop(*made_of), target.family, system_source_hash(), *made_of, tell=tell)


def _generator(board: Board, pins: Pins, clock_mhz: float | None) -> ClockGenerator:
    wanted_mhz = board.usual_mhz if clock_mhz is None else clock_mhz
    return clock_generator(board.target.family, pins.clock_hz, round(wanted_mhz * 1e6), DEFAULT_BAUD)


def _constraints(target: Target, pins: Pins) -> str:
    """In the place-and-route tool's own words."""
    ports = [("clock", pins.clock), ("rx", pins.rx), ("tx", pins.tx)]
    if pins.led is not None:
        ports.append(("led", pins.led))
    if target.family == "ice40":
        return "".join(f"set_io {port} {pin}\n" for port, pin in ports)
    if target.family == "gowin":
        return "".join(f'IO_LOC "{port}" {pin};\nIO_PORT "{port}" IO_TYPE={pins.io_type};\n'
                       for port, pin in ports)
    lines = [f'FREQUENCY PORT "clock" {pins.clock_hz / 1e6:g} MHZ;']
    for port, pin in ports:
        lines += [f'LOCATE COMP "{port}" SITE "{pin}";', f'IOBUF PORT "{port}" IO_TYPE={pins.io_type};']
    return "\n".join(lines) + "\n"
