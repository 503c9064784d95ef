"""synth.machine_code: compiled anew where any source that it may be made of has changed."""

import re
from pathlib import Path

import pytest

import synth
from synth import machine_code as module
from synth.machine_code import SOURCES, machine_code

_SYNTH = Path(synth.__file__).parent


@machine_code
def _one() -> int:
    return 1


def test_it_computes() -> None:
    assert _one() == 1


def test_other_sources_have_a_folder_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def folder() -> Path:
        compiled = machine_code(_one.py_func)
        compiled()
        return Path(compiled.stats.cache_path)

    monkeypatch.setenv("ZEROLANE_CACHE", str(tmp_path))
    first = folder()
    assert first == folder() and first.is_relative_to(tmp_path) and list(first.glob("*.nbc"))
    monkeypatch.setattr(module, "hash_of_files", lambda files: "other" * 8)
    assert folder() != first


def test_every_function_of_it_and_what_it_takes_constants_from_is_among_the_sources() -> None:
    names = {path.stem for path in SOURCES}
    for path in _SYNTH.glob("*.py"):
        text = path.read_text()
        if "@machine_code" in text and path.stem != "machine_code":
            assert path.stem in names
            # What only builds the tables that such functions work on is not compiled.
            taken = set(re.findall(r"^from \.(\w+) import", text, re.MULTILINE)) - {"delay_file"}
            assert taken <= names | {"machine_code"}, path
