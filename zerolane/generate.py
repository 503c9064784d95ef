"""Verilog for somebody's own chip, with the register map as JSON and C header, and lint waivers."""

from pathlib import Path

from hdl.config import Config
from hdl.emit import emit_verilog
from hdl.lint import waiver_file
from hdl.pins import FlatTop
from zerolane.outputs import write_files
from zerolane.register_map import c_header, json_map

__all__ = ["generate"]


def generate(config: Config, output: Path) -> list[Path]:
    """Write `output` (Verilog, top module `zerolane`), and beside it its .json, .h and .vlt.

    Returns the paths written. Raises OSError where they cannot be; none of them is then.
    """
    banner = f"// zerolane, configuration {config.name}: {config}\n"
    texts = {
        output: banner + emit_verilog(FlatTop(config), "zerolane"),
        output.with_suffix(".json"): json_map(config),
        output.with_suffix(".h"): c_header(config),
        output.with_suffix(".vlt"): waiver_file(),
    }
    write_files(texts)
    return list(texts)
