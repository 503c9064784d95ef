"""Which hardware a result is of: a hash of what Yosys is given. A comment, another line number, a block that
is not in it: they leave it as it is."""

import hashlib
import re
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

from amaranth.lib import wiring

from hdl.emit import emit_rtlil
from sim.cache import cache_directory

from .kept import cache_key, hash_of_files, kept_folder
from .scripts import TOP

__all__ = ["design_hash", "hash_of_texts"]

_PLACE_IN_A_SOURCE = re.compile(r"^\s*attribute \\src .*\n", re.MULTILINE)
_HERE = Path(__file__).parent
_ON_NETLISTS = (*sorted(_HERE.glob("carry_*.py")), *sorted(_HERE.glob("reset_*.py")))
"""What changes netlists for ECP5 behind Yosys; their comments count, too."""
_HASH = "hash"


def design_hash(make: Callable[[], wiring.Component], family: str, sources: str, *made_of: object,
                tell: Callable[[str], None] = lambda stage: None) -> str:
    """Of a top as it is for a family of parts. Kept: of unchanged sources it is not elaborated again.

    Parameters
    ----------
    make : makes the top; whatever it raises is raised
    family : "ecp5", "ice40" or "gowin"
    sources : hash of all that the top may be made from
    made_of : what `make` makes it of
    tell : hears that it is elaborated, which can take some seconds, or that another process does so
    """
    folder = cache_directory() / "designs" / cache_key(
        sources, _behind_synthesis(family), version("amaranth"), family, made_of)

    def elaborate() -> None:
        tell("hardware")
        (folder / _HASH).write_text(hash_of_texts(emit_rtlil(make(), TOP, family), family))

    kept_folder(folder, elaborate, tell)
    return (folder / _HASH).read_text()


def hash_of_texts(texts: Iterable[str], family: str) -> str:
    """Of RTLIL, but for where in which file something was written, and of what is done with the netlist."""
    digest = hashlib.sha256(_behind_synthesis(family).encode())
    for text in texts:
        digest.update(_PLACE_IN_A_SOURCE.sub("", text).encode() + b"\0")
    return digest.hexdigest()


def _behind_synthesis(family: str) -> str:
    return hash_of_files(_ON_NETLISTS) if family == "ecp5" else ""
