"""The presets by what their arrays are made of."""

from hdl.config import PRESETS

__all__ = ["PARALLEL"]

PARALLEL = {name: config for name, config in PRESETS.items() if not config.serial and name != "lean128"}
"""Those of units that work side by side: a serial array has an engine of its own in place of them. What
`lean128` is made of, `lean64` and `large` have."""
