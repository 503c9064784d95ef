"""Configurations by preset name or from a TOML file."""

import difflib
import tomllib
from dataclasses import fields
from pathlib import Path

from hdl.config import PRESETS, Config, ConfigError

__all__ = ["config_by_preset", "load_config"]


def _nearest(word: str, known: list[str]) -> str:
    def likeness(other: str) -> tuple[float, int]:
        return difflib.SequenceMatcher(None, word, other).ratio(), -abs(len(other) - len(word))

    best = max(known, key=likeness)
    return f"did you mean {best!r}?" if likeness(best)[0] >= 0.4 else f"it must be one of {', '.join(known)}"


def config_by_preset(name: str) -> Config:
    """The preset of that name; ConfigError names the nearest one otherwise."""
    if not isinstance(name, str):
        raise ConfigError(f"preset = {name!r}; it must be one of {', '.join(PRESETS)}")
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}; {_nearest(name, list(PRESETS))}")
    return PRESETS[name]


def load_config(path: str | Path) -> Config:
    """A configuration from a TOML file of `Config` fields; `preset` names what the others start from.

    Raises ConfigError, naming file and key, for a file that cannot be read, an unknown key (with the
    nearest right one), a value of a wrong type and a value that no hardware can be built with.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    known: dict[str, type] = {field.name: type(getattr(PRESETS["base"], field.name))
                              for field in fields(Config)}
    preset = table.pop("preset", "base")
    try:
        base = config_by_preset(preset)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"{path}: unknown key {key!r}; {_nearest(key, ['preset', *known])} "
                              "(docs/configuration.md)")
        if type(value) is not known[key]:
            raise ConfigError(f"{path}: {key} = {value!r}; it must be a value of type {known[key].__name__}")
    values = {field: getattr(base, field) for field in known} | {"name": path.stem} | table
    if "scale_multipliers" not in table and base.scale_multipliers == base.lanes:
        # As many multipliers as lanes, as the preset has, also where the file changes the lanes.
        values["scale_multipliers"] = values["lanes"]
    try:
        return Config(**values)
    except ConfigError as error:
        whose = "" if error.field in table else f" (the file does not set it, preset {base.name!r} does)"
        raise ConfigError(f"{path}: {error}{whose}", error.field) from error
