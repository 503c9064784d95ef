"""zerolane.outputs: files that are written whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from zerolane.outputs import OutputError, check_output_file, check_output_folder, write_files


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
    with pytest.raises(OutputError, match=f"--out .*new: nothing can be written into {tmp_path}"):
        check_output_folder("--out", tmp_path / "new")
