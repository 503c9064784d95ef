"""The presets by what their arrays are made of."""

from dataclasses import replace

from hdl.config import PRESETS

__all__ = ["PARALLEL", "WIDE"]

PARALLEL = {name: config for name, config in PRESETS.items()
            if not (config.serial or name.startswith("lean"))}
"""Those of units that work side by side: a serial array has an engine of its own in place of them. The lean
ones have blocks as `tiny` and `small` have, and more PEs; whole arrays of theirs are tested."""

WIDE = replace(PRESETS["mini"], name="wide", lanes=32, tile_bytes=32 * 64)
"""A serial array of the most lanes: a row of sums is more than one burst. It has room for few rows of B."""
