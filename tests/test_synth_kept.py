"""synth.kept: a result is made once, by one process, and keeps the day on which it was made."""

import fcntl
import threading
from pathlib import Path

import pytest

from synth import kept


def nothing(text: str = "") -> None:
    """Neither makes nor says anything."""


def test_a_result_keeps_the_day_on_which_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Today(kept.datetime.date):
        day = 1

        @classmethod
        def today(cls) -> "Today":
            return cls(2026, 11, cls.day)

    monkeypatch.setattr(kept.datetime, "date", Today)
    kept.kept_folder(tmp_path / "x", nothing, nothing)
    Today.day = 2
    kept.kept_folder(tmp_path / "x", nothing, nothing)
    assert kept.made_on(tmp_path / "x") == "2026-11-01"


def test_names_that_differ_behind_a_dot_have_locks_of_their_own(tmp_path: Path) -> None:
    for name in ("v1.2-array-0", "v1.3-array-1"):
        kept.kept_folder(tmp_path / name, nothing, nothing)
    assert sorted(path.name for path in tmp_path.glob("*.lock")) == ["v1.2-array-0.lock", "v1.3-array-1.lock"]


def test_who_waits_for_another_that_makes_the_same_says_so(tmp_path: Path) -> None:
    heard: list[str] = []
    hears = threading.Event()

    def tell(text: str) -> None:
        heard.append(text)
        hears.set()

    waiting = threading.Thread(target=kept.kept_folder, args=(tmp_path / "x", nothing, tell), daemon=True)
    with open(tmp_path / "x.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting.start()
        assert hears.wait(60)
        assert not (tmp_path / "x").exists()
    waiting.join(60)
    assert heard == ["waiting for another zerolane, which builds the same"]
    assert kept.made_on(tmp_path / "x")


def test_who_need_not_wait_says_nothing(tmp_path: Path) -> None:
    heard: list[str] = []
    kept.kept_folder(tmp_path / "x", nothing, heard.append)
    assert heard == []


def test_another_file_is_another_hash_of_the_sources(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(name)
    hashes = {kept.source_hash(), kept.source_hash(tmp_path / "a.py"), kept.source_hash(tmp_path / "b.py")}
    assert len(hashes) == 3


def test_sources_that_change_while_a_process_works_are_not_what_it_runs(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("before")
    before = kept.source_hash(file)
    file.write_text("after")
    assert kept.source_hash(file) == before
