"""Functions in machine code (numba), kept for the next time by all the sources that they may be made of.

Numba keeps what it has compiled by the time at which the function's own file was written; what it took into
it from other files (constants, functions that it calls) may have changed since.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

from sim.cache import cache_directory

from .kept import hash_of_files

__all__ = ["SOURCES", "machine_code"]

SOURCES = tuple(Path(__file__).with_name(f"{name}.py")
                for name in ("annealing", "exchanging", "legalizing", "placement", "placement_timing",
                             "tile_rules"))
"""Of every such function, and of what they use."""

_config: Any = numba.config
"""Its settings have no types."""


def machine_code(function: Callable) -> Any:
    """A decorator. The function is compiled at its first call, by types of its arguments."""
    # Read where the decorator runs: what else uses numba in this process keeps its own.
    chosen = _config.CACHE_DIR
    _config.CACHE_DIR = str(cache_directory() / "machine_code" / hash_of_files(SOURCES)[:24])
    try:
        return numba.njit(cache=True)(function)
    finally:
        _config.CACHE_DIR = chosen
