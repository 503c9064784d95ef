"""Verilog for somebody's own chip, with ports and register map as JSON, a C header, and lint waivers."""

import re
from pathlib import Path

from hdl.config import Config
from hdl.emit import emit_verilog
from hdl.lint import waiver_file
from hdl.pins import FlatTop
from zerolane.outputs import write_files
from zerolane.register_map import c_header, json_map

__all__ = ["TOP_NAME", "generate", "is_module_name", "output_files"]

TOP_NAME = "zerolane"
"""Of the top module, where nothing else is asked."""


def is_module_name(name: str) -> bool:
    """Verilog takes it as it is."""
    return re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) is not None


def output_files(output: Path) -> list[Path]:
    """What `generate` writes for the Verilog file `output`: that, its .json, .h and .vlt."""
    return [output, *(output.with_suffix(suffix) for suffix in (".json", ".h", ".vlt"))]


def generate(config: Config, output: Path, top: str = TOP_NAME) -> list[Path]:
    """Write `output` (Verilog), and beside it its .json, .h and .vlt.

    Parameters
    ----------
    top : name of the top module, with which the names of all others begin

    Returns the paths written. Raises OSError where they cannot be; none of them is then.
    """
    assert is_module_name(top), top
    banner = f"// zerolane, configuration {config.name}: {config}\n"
    contents = (banner + emit_verilog(FlatTop(config), top), json_map(config, top), c_header(config),
                waiver_file())
    texts = dict(zip(output_files(output), contents, strict=True))
    write_files(texts)
    return list(texts)
