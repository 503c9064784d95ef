"""Verilog for somebody's own chip, with ports and register map as JSON, a C header, and lint waivers."""

from pathlib import Path

from hdl.config import Config
from hdl.emit import emit_verilog
from hdl.lint import waiver_file
from hdl.pins import FlatTop
from zerolane.outputs import write_files
from zerolane.register_map import c_header, json_map

__all__ = ["generate", "output_files"]


def output_files(output: Path) -> list[Path]:
    """What `generate` writes for the Verilog file `output`: that, its .json, .h and .vlt."""
    return [output, *(output.with_suffix(suffix) for suffix in (".json", ".h", ".vlt"))]


def generate(config: Config, output: Path) -> list[Path]:
    """Write `output` (Verilog, top module `zerolane`), and beside it its .json, .h and .vlt.

    Returns the paths written. Raises OSError where they cannot be; none of them is then.
    """
    banner = f"// zerolane, configuration {config.name}: {config}\n"
    contents = (banner + emit_verilog(FlatTop(config), "zerolane"), json_map(config), c_header(config),
                waiver_file())
    texts = dict(zip(output_files(output), contents, strict=True))
    write_files(texts)
    return list(texts)
