"""A folder that a command writes into, beside whatever else lies there: only its own files are replaced."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zerolane.outputs import OutputError, check_output_folder, write_files

__all__ = ["OutputFolder"]

_KEPT = ".zerolane.json"
"""What commands wrote into a folder: command to file name to SHA-256 of the content."""


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class OutputFolder:
    """`--out` of one command.

    A file is the command's own if it wrote it there and nobody has changed it since; a note in the folder,
    `.zerolane.json`, says so.

    Parameters
    ----------
    command : as "synth"
    path : of the folder; it is made with the first file
    """

    def __init__(self, command: str, path: Path):
        self._command, self.path = command, path
        self._note = path / _KEPT

    def check(self, names: Iterable[str]) -> None:
        """Before the work: OutputError where nothing can be written, or over a file that is not its own."""
        check_output_folder("--out", self.path)
        own = self._own()
        for name in sorted(names):
            file = self.path / name
            if name not in own and (file.exists() or file.is_symlink()):
                raise OutputError(
                    f"--out {self.path}: {file} was not written by an earlier `zerolane {self._command}`, or "
                    "was changed since; move it away, or name another folder")

    def replace(self, contents: Mapping[str, bytes]) -> None:
        """Write these files, by name, all or none; of the command's earlier ones none is left beside them.

        Raises OutputError as `check`, OSError.
        """
        self.check(contents)
        kept = self._all()
        earlier = self._own() - contents.keys()
        kept[self._command] = {name: _hash(content) for name, content in contents.items()}
        write_files({self.path / name: content for name, content in contents.items()}
                    | {self._note: json.dumps(kept, indent=2) + "\n"})
        for name in earlier:
            (self.path / name).unlink()

    def _all(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._note.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise OutputError(f"--out {self.path}: {self._note} cannot be read ({error}); remove it, or name "
                              "another folder") from error
        if not isinstance(kept, dict) or not all(isinstance(files, dict) for files in kept.values()):
            raise OutputError(f"--out {self.path}: {self._note} is not what zerolane writes there; "
                              "remove it, or name another folder")
        return kept

    def _own(self) -> set[str]:
        """Names of the files that are there as the command wrote them."""
        return {name for name, written in self._all().get(self._command, {}).items()
                if Path(name).name == name and (self.path / name).is_file()
                and not (self.path / name).is_symlink()
                and _hash((self.path / name).read_bytes()) == written}
