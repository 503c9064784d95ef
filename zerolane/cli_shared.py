"""What all commands of the command line have in common."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from hdl.config import Config
from zerolane.config_file import config_by_preset, load_config
from zerolane.outputs import check_distinct, check_output_file, check_output_folder, write_files

__all__ = ["MISMATCH_STATUS", "PIPED_WIDTH", "USAGE_STATUS", "ConfigFile", "JsonFile", "Preset",
           "check_least", "check_outputs", "configuration", "console", "errors", "fail", "write_json"]

MISMATCH_STATUS = 1
USAGE_STATUS = 2
PIPED_WIDTH = 200
"""A table that is piped or kept in a file is not cut to 80 columns."""


def _width() -> int | None:
    return None if sys.stdout.isatty() or os.environ.get("COLUMNS") else PIPED_WIDTH


console = Console(highlight=False, width=_width())
errors = Console(stderr=True, highlight=False, soft_wrap=True)

Preset = Annotated[str | None, typer.Option(
    help="micro, mini, tiny, small, lean64, lean128, base or large; base if nothing is said")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file with the configuration")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="also write the record(s) here")]


def fail(message: str, status: int) -> NoReturn:
    """One line, and the end."""
    errors.print("zerolane: " + " ".join(message.split()), markup=False)
    sys.exit(status)


def configuration(preset: str | None, file: Path | None, default: str = "base") -> Config:
    """What `--preset` or `--config` says; ConfigError, BadParameter."""
    if preset is not None and file is not None:
        raise typer.BadParameter("--preset and --config exclude each other")
    return load_config(file) if file is not None else config_by_preset(default if preset is None else preset)


def check_least(*options: tuple[str, int, int]) -> None:
    """Name, value and least value of each; BadParameter."""
    for name, value, least in options:
        if value < least:
            raise typer.BadParameter(f"{name} {value}; it must be at least {least}")


def check_outputs(*files: tuple[str, Path | None, Sequence[str]], out: Path | None = None,
                  out_names: Sequence[str] = (), inputs: Sequence[tuple[str, Path | None]] = ()) -> None:
    """What a command is to write, before the work; OutputError.

    Parameters
    ----------
    files : option, path if it is given, suffixes that the name may have (any if empty)
    out, out_names : the folder `--out`, if it is given, and the files that are written there
    inputs : name and path of what is read, if it is given
    """
    given = [(option, path, suffixes) for option, path, suffixes in files if path is not None]
    for option, path, suffixes in given:
        check_output_file(option, path, suffixes)
    inside = [] if out is None else [("--out", out / name) for name in out_names]
    if out is not None:
        check_output_folder("--out", out)
    check_distinct([*((option, path) for option, path, _ in given), *inside],
                   [(name, path) for name, path in inputs if path is not None])


def write_json(file: Path | None, record: Any) -> None:
    """Where `--json` asks for it; OSError."""
    if file is not None:
        write_files({file: json.dumps(record, indent=2) + "\n"})
