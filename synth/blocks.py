"""What can be synthesized alone: the array, or one of its blocks by name."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from amaranth.hdl import Fragment
from amaranth.lib import wiring

import hdl
from hdl.config import Config

from .suggestions import hint
from .targets import TargetError

__all__ = ["ARRAY", "block_names", "check_block_name", "make_block"]

ARRAY = "array"
"""The name of the whole."""


def _special() -> dict[str, Callable[[Config], Any]]:
    """Blocks whose parameters are not the configuration alone, as the array uses them."""
    from hdl.core import Core
    from hdl.lane import Multiplier
    from hdl.pe import ProcessingElement
    from hdl.read_port import ReadPort
    from hdl.reader import SegmentReader
    from hdl.top import Top

    return {
        ARRAY: Top,
        "pe": lambda config: ProcessingElement(config, 0),
        "read_port": lambda config: ReadPort(config, 1 + len(Core(config).o_request)),  # and descriptors
        "reader": lambda config: SegmentReader(config, config.port_bytes),
        "reader_single_row": lambda config: SegmentReader(config, config.port_bytes, single_row=True),
        "multiplier": lambda config: Multiplier(),
    }


def _blocks() -> dict[str, Callable[[Config], Any]]:
    """Special ones, and every component of `hdl` that takes a configuration and nothing else."""
    found = _special()
    for module in pkgutil.iter_modules(hdl.__path__, "hdl."):
        for name, kind in vars(importlib.import_module(module.name)).items():
            if not (inspect.isclass(kind) and issubclass(kind, wiring.Component)
                    and kind.__module__ == module.name):
                continue
            parameters = list(inspect.signature(kind).parameters.values())
            if parameters and parameters[0].name == "config" and all(
                    parameter.default is not parameter.empty for parameter in parameters[1:]):
                found.setdefault(re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(), kind)
    return {name: kind for name, kind in found.items() if name not in ("top", "flat_top")}


def block_names() -> list[str]:
    """What `make_block` knows."""
    return sorted(_blocks())


def check_block_name(name: str) -> None:
    """TargetError names the nearest block where there is none of that name."""
    _kind(name)


def _kind(name: str) -> Callable[[Config], Any]:
    blocks = _blocks()
    if name not in blocks:
        raise TargetError(f"--block {name}; {hint(name, sorted(blocks))}")
    return blocks[name]


def make_block(name: str, config: Config) -> wiring.Component:
    """The component of that name; TargetError where there is none, or none in this configuration's array: it
    may not even be possible to build it."""
    kind = _kind(name)
    # But for a serial one every array has the special ones; only for others is it worth a look at the whole.
    present = {ARRAY} if config.serial else _special()
    if name not in present and kind not in _kinds_in_array(config):
        raise TargetError(f"--block {name}: the array of configuration {config.name!r} has none")
    return kind(config)


@lru_cache(maxsize=4)
def _kinds_in_array(config: Config) -> frozenset[Callable[[Config], Any]]:
    """What the array is made of."""
    from hdl.top import Top

    found: set[Callable[[Config], Any]] = set()
    fragments = [Fragment.get(Top(config), None)]
    while fragments:
        fragment = fragments.pop()
        found.update(map(type, fragment.origins or ()))
        fragments += [part for part, *_ in fragment.subfragments]
    return frozenset(found)
