"""sim.cache: where results are kept."""

from pathlib import Path

import pytest

from sim.cache import cache_directory


def test_a_cache_that_cannot_be_made_is_named_with_what_names_another(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ZEROLANE_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"File exists; .* must be a folder .*: ZEROLANE_CACHE names"):
        cache_directory()
