"""zerolane.outputs: files that are written whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from zerolane.outputs import (
    OutputError,
    check_distinct,
    check_output_file,
    check_output_folder,
    write_files,
)


def test_files_are_written_into_folders_that_were_not_there(tmp_path: Path) -> None:
    one, other = tmp_path / "a" / "b" / "x.json", tmp_path / "y.bin"
    check_output_file("--json", one)
    write_files({one: "text", other: b"\0\1"})
    assert one.read_text() == "text" and other.read_bytes() == b"\0\1"
    assert sorted(path.name for path in one.parent.iterdir()) == ["x.json"]


def test_a_new_file_has_the_rights_that_any_other_has(tmp_path: Path) -> None:
    write_files({tmp_path / "x": "text"})
    (tmp_path / "y").write_text("")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == stat.S_IMODE((tmp_path / "y").stat().st_mode)


def test_where_one_file_cannot_be_written_none_is(tmp_path: Path) -> None:
    (tmp_path / "x.v").write_text("old")
    (tmp_path / "x.h").mkdir()
    with pytest.raises(OSError) as error:
        write_files({tmp_path / "x.v": "new", tmp_path / "x.json": "new", tmp_path / "x.h": "new"})
    assert error.value.filename == str(tmp_path / "x.h")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.h", "x.v"]
    assert (tmp_path / "x.v").read_text() == "old"


def test_a_full_disk_names_the_file_and_leaves_no_part(tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        os.close(os.open(self, os.O_CREAT | os.O_WRONLY))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as error:
        write_files({tmp_path / "x.v": "new"})
    assert error.value.filename == str(tmp_path / "x.v") and not list(tmp_path.iterdir())


def test_a_link_and_a_device_are_written_to_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_files({tmp_path / "link": "text", Path(os.devnull): "text"})
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "text"
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@pytest.mark.parametrize("name, suffixes, reason", [
    ("x.foo", (".png", ".svg"), "--picture {}: it must end in .png or .svg"),
    ("folder", (), "--picture {}: it is a folder; it must be a file"),
    ("file/x.png", (), "--picture {}: {file} is a file; it must be a folder"),
])
def test_a_path_that_no_file_can_be_at_is_refused(tmp_path: Path, name: str, suffixes: tuple[str, ...],
                                                  reason: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    path = tmp_path / name
    with pytest.raises(OutputError) as error:
        check_output_file("--picture", path, suffixes)
    assert str(error.value) == reason.format(path, file=tmp_path / "file")


def test_a_file_or_folder_without_the_right_to_write_is_refused(tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    # The tests may be root's, who may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="it must be writable"):
        check_output_file("--json", tmp_path / "file")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc")
def test_a_folder_that_takes_no_files_is_refused_also_of_root() -> None:
    with pytest.raises(OutputError, match="--out /proc/new/er: nothing can be written into /proc: "):
        check_output_folder("--out", Path("/proc/new/er"))
    with pytest.raises(OutputError, match=r"--json /proc/x\.json: nothing can be written into /proc: "):
        check_output_file("--json", Path("/proc/x.json"))


def test_looking_at_a_path_leaves_nothing_there(tmp_path: Path) -> None:
    check_output_file("--json", tmp_path / "new" / "x.json")
    check_output_folder("--out", tmp_path / "other")
    assert not list(tmp_path.iterdir())


def test_a_link_to_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    for target in ("nowhere/x.v", "loop.v"):
        (tmp_path / "loop.v").unlink(missing_ok=True)
        (tmp_path / "loop.v").symlink_to(tmp_path / target)
        with pytest.raises(OutputError, match=r"-o .*loop\.v: "):
            check_output_file("-o", tmp_path / "loop.v", (".v",))
    (tmp_path / "good.v").symlink_to(tmp_path / "new.v")
    check_output_file("-o", tmp_path / "good.v", (".v",))


def test_two_outputs_on_one_path_are_refused_by_both_options(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "p.png")
    one = tmp_path / "p.png"
    for other in (one, tmp_path / "x" / ".." / "p.png", tmp_path / "link"):
        with pytest.raises(OutputError) as caught:
            check_distinct([("--picture", one), ("--json", other)])
        assert str(caught.value) == f"--json {other}: --picture writes the same file; each must have its own"


def test_a_file_in_whose_place_another_output_needs_a_folder_is_refused(tmp_path: Path) -> None:
    for outputs in ([("--json", tmp_path / "d"), ("--out", tmp_path / "d" / "run.json")],
                    [("--out", tmp_path / "d" / "run.json"), ("--json", tmp_path / "d")]):
        with pytest.raises(OutputError, match="both a file and a folder"):
            check_distinct(outputs)


def test_an_output_over_what_is_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"--json .*a\.npz: an operand is read from this file"):
        check_distinct([("--json", tmp_path / "a.npz")], [("an operand", tmp_path / "a.npz")])


def test_different_files_and_one_device_for_all_are_allowed(tmp_path: Path) -> None:
    check_distinct([("--json", tmp_path / "a"), ("--picture", tmp_path / "b"), ("--out", tmp_path / "c"),
                    ("--out", tmp_path / "c")])
    check_distinct([("--json", Path(os.devnull)), ("--timeline", Path(os.devnull))])
