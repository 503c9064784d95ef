"""Files that a command writes: looked at before its work, and written whole or not at all."""

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["OutputError", "check_output_file", "check_output_folder", "write_files"]


class OutputError(ValueError):
    """An output that cannot be written; the message names the option, the path and what would be right."""


def check_output_file(option: str, path: Path, suffixes: Sequence[str] = ()) -> None:
    """Refuse a path that `write_files` could not write; OutputError.

    Parameters
    ----------
    suffixes : what the name may end in; anything if empty
    """
    if suffixes and path.suffix not in suffixes:
        raise OutputError(f"{option} {path}: it must end in {' or '.join(suffixes)}")
    if path.is_dir():
        raise OutputError(f"{option} {path}: it is a folder; it must be a file")
    if path.exists() and not os.access(path, os.W_OK):
        raise OutputError(f"{option} {path}: the file cannot be written; it must be writable")
    if not path.exists():
        _check_room(option, path, path.parent)


def check_output_folder(option: str, path: Path) -> None:
    """Refuse a folder in which no file could be made; OutputError."""
    _check_room(option, path, path)


def _check_room(option: str, path: Path, folder: Path) -> None:
    """Folders that are not there are made; the first one that is must take them."""
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not there.is_dir():
        raise OutputError(f"{option} {path}: {there} is a file; it must be a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"{option} {path}: nothing can be written into {there}")


def write_files(contents: Mapping[Path, str | bytes]) -> None:
    """Write files, all of them or none: what is at a path stays as it is until everything is on the disk.

    Folders are made. Raises OSError, which names the file.
    """
    parts: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            # A link, or what is no file (/dev/stdout is either), is written to as it is.
            if not path.is_symlink() and (path.is_file() or not path.exists()):
                parts[path] = path.with_name(f".{path.name}.part")
            try:
                parts.get(path, path).write_bytes(content.encode() if isinstance(content, str) else content)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from error
        for path, part in parts.items():
            os.replace(part, path)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
