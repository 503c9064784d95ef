"""Files that a command writes: looked at before its work, and written whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["OutputError", "check_distinct", "check_output_file", "check_output_folder", "write_files"]


class OutputError(ValueError):
    """An output that cannot be written; the message names the option, the path and what would be right."""


def check_output_file(option: str, path: Path, suffixes: Sequence[str] = ()) -> None:
    """Refuse a path that `write_files` could not write, which is tried; OutputError.

    Parameters
    ----------
    suffixes : what the name may end in; anything if empty
    """
    if suffixes and path.suffix not in suffixes:
        raise OutputError(f"{option} {path}: it must end in {' or '.join(suffixes)}")
    try:
        path.stat()
        there = True
    except (FileNotFoundError, NotADirectoryError):
        there = False
    except OSError as error:
        raise OutputError(f"{option} {path}: {error.strerror}") from error
    if path.is_dir():
        raise OutputError(f"{option} {path}: it is a folder; it must be a file")
    if there and not os.access(path, os.W_OK):
        raise OutputError(f"{option} {path}: the file cannot be written; it must be writable")
    if path.is_symlink() and not there:
        _check_link(option, path)
    elif not path.is_symlink() and (path.is_file() or not there):
        _check_room(option, path, path.parent)


def check_output_folder(option: str, path: Path) -> None:
    """Refuse a folder in which no file could be made, which is tried; OutputError."""
    _check_room(option, path, path)


def check_distinct(outputs: Sequence[tuple[str, Path]], inputs: Sequence[tuple[str, Path]] = ()) -> None:
    """Refuse files of which one would be written over another, or where another needs a folder; OutputError.

    Parameters
    ----------
    outputs : option and file; of one option as many as it writes
    inputs : name and file of what is read
    """
    real = [(option, path, Path(os.path.realpath(path))) for option, path in outputs
            if path.is_file() or not path.exists()]      # what is no file (/dev/stdout) takes all of them
    for place, (option, path, found) in enumerate(real):
        for other, other_path, other_found in real[:place]:
            if option == other:
                continue
            if found == other_found:
                raise OutputError(f"{option} {path}: {other} writes the same file; each must have its own")
            if found in other_found.parents or other_found in found.parents:
                raise OutputError(f"{option} {path}: {other} writes {other_path}; one of the two would "
                                  "have to be both a file and a folder")
        for name, source in inputs:
            if found == Path(os.path.realpath(source)):
                raise OutputError(f"{option} {path}: {name} is read from this file; it must be another one")


def _check_link(option: str, path: Path) -> None:
    """Of a link to a file that is not there, which is made where the link leads."""
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise OutputError(f"{option} {path}: it is a link to {target}, and {target.parent} is no folder")
    _check_room(option, path, target.parent)


def _check_room(option: str, path: Path, folder: Path) -> None:
    """Folders that are not there are made; the first one that is must take them. That it does only a file
    tells that is made there: rights say nothing of root, nor of folders that are no disk's, as /proc."""
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not there.is_dir():
        raise OutputError(f"{option} {path}: {there} is a file; it must be a folder")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise OutputError(f"{option} {path}: nothing can be written into {there}: "
                          f"{error.strerror}") from error


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
