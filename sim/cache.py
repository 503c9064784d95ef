"""Where generated Verilog and compiled models are kept between runs."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["cache_directory", "locked", "write_atomically"]


def cache_directory() -> Path:
    """$ZEROLANE_CACHE, else zerolane in $XDG_CACHE_HOME or ~/.cache; made if it is not there. OSError."""
    chosen = os.environ.get("ZEROLANE_CACHE")
    if chosen:
        directory = Path(chosen)
    else:
        directory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zerolane"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}; results are kept there, and it must be a "
                                   "folder that can be written: ZEROLANE_CACHE names another one",
                      str(directory)) from error
    return directory.resolve()


@contextmanager
def locked(path: Path, waits: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Keep other processes out of what `path` stands for; `waits` is called where one of them is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_atomically(path: Path, text: str) -> None:
    """Write a file that other processes see whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)
