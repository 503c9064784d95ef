"""What earlier runs have built, each result in a folder of the cache: under which key, from when, and one
process at a time."""

import datetime
import functools
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import hdl
from sim.cache import locked

__all__ = ["cache_key", "hash_of_files", "kept_folder", "made_on", "source_hash"]

_FORM = 2  # counts changes of what the stages leave behind
_DONE = "done"
"""Holds the day on which the folder was filled."""


def cache_key(*parts: object) -> str:
    """Of what a result depends on."""
    return hashlib.sha256(repr((_FORM, *parts)).encode()).hexdigest()[:24]


def source_hash(*more: Path) -> str:
    """Of everything that an array's hardware is elaborated from, and of the files `more`."""
    here = Path(__file__).parent
    return hash_of_files((*sorted(Path(hdl.__file__).parent.glob("*.py")), here / "fence.py",
                          here / "blocks.py", *more))


@functools.cache  # of what this process runs, also where the files change while it works
def hash_of_files(files: tuple[Path, ...]) -> str:
    """Of names and texts."""
    digest = hashlib.sha256()
    for source in files:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()


def kept_folder(folder: Path, make: Callable[[], None], tell: Callable[[str], None]) -> bool:
    """Run `make` with an empty `folder`, unless an earlier run has filled it; whether one had.

    `tell` hears that another process makes the same, where this one waits for it.
    """
    def waits() -> None:
        tell("waiting for another zerolane, which builds the same")

    # Not with_suffix: what follows a dot in a configuration's name would be cut off, and with it the key.
    with locked(folder.parent / f"{folder.name}.lock", waits):
        if (folder / _DONE).exists():
            return True
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make()
        (folder / _DONE).write_text(datetime.date.today().isoformat())
    return False


def made_on(folder: Path) -> str:
    """The day on which `kept_folder` filled it, YYYY-MM-DD."""
    return (folder / _DONE).read_text()
