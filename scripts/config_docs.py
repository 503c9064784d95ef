"""Writes docs/configuration.md: what a configuration file may say, from `Config` and its presets."""

import inspect
import re
import sys
from dataclasses import fields
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hdl.config import NAME_WANTED, POWERS_OF_TWO, PRESETS, RULES, Config  # noqa: E402
from zerolane.markdown_tables import table_head, table_row  # noqa: E402

_TYPES = {str: "string", int: "integer", bool: "boolean"}

_HEAD = """\
# Configuration files

Generated from `hdl/config.py` by `scripts/config_docs.py`; do not edit.

`--config FILE` of `zerolane generate`, `run`, `bench`, `synth` and `build`, and
`zerolane.config_file.load_config`, take a TOML file without tables:

```toml
preset = "small"
pes = 8
tile_bytes = 65536
```

`preset`, one of {presets}, has the values of all keys that the file does not
give; without it that is `base`. `name` is the file's name without its ending where no key says otherwise.
`scale_multipliers` stays as many as `lanes` where the preset has as many and the file does not give it.
A value has the type of its key: `8`, not `8.0` or `"8"`. An unknown key, a wrong type and a value that no
hardware can be built with are refused, with file and key.

P, V, W, T and the other words are those of [architecture.md](architecture.md#geometry).
"""


def meanings() -> dict[str, str]:
    """What the docstring of `Config` says of each key."""
    found: dict[str, str] = {}
    text = inspect.getdoc(Config) or ""
    for part in re.split(r"\n(?=\S)", text[text.index("----------\n"):])[1:]:
        names, _, about = part.partition(" : ")
        _, _, meaning = about.partition("\n")
        found |= dict.fromkeys(names.split(", "), meaning.strip())
    return found


def wanted(key: str) -> str:
    """What a value must be beside of its type."""
    found = [NAME_WANTED] if key == "name" else []
    if key in POWERS_OF_TWO:
        found.append("a power of two from {} to {}".format(*POWERS_OF_TWO[key]))
    return "; ".join([*found, *(rule.wanted for rule in RULES if rule.field == key)])


def as_toml(value: str | int) -> str:
    """A value as a file has it."""
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower()


def page() -> str:
    """The page's text."""
    about = meanings()
    lines = [*_HEAD.format(presets=", ".join(f"`{name}`" for name in PRESETS)).splitlines(),
             "", *table_head("key", "type", "must be", *PRESETS, "meaning")]
    for field in fields(Config):
        values = [getattr(config, field.name) for config in PRESETS.values()]
        lines.append(table_row(f"`{field.name}`", _TYPES[type(values[0])], wanted(field.name),
                               *map(as_toml, values), about[field.name]))
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    (ROOT / "docs" / "configuration.md").write_text(page())
