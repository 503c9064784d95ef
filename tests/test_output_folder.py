"""zerolane.output_folder: what a command wrote into a folder is replaced, and nothing else."""

from pathlib import Path

import pytest

from zerolane.output_folder import OutputFolder
from zerolane.outputs import OutputError


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".zerolane.json"}


def test_files_of_an_earlier_run_are_replaced_or_removed(tmp_path: Path) -> None:
    folder = OutputFolder("synth", tmp_path / "o")
    folder.replace({"report.json": b"1", "bitstream.bin": b"1"})
    folder.replace({"report.json": b"2", "place.log": b"2"})
    assert names(tmp_path / "o") == {"report.json", "place.log"}
    assert (tmp_path / "o" / "report.json").read_bytes() == b"2"


def test_another_file_is_neither_removed_nor_written_over(tmp_path: Path) -> None:
    (tmp_path / "bitstream.bit").write_bytes(b"mine")
    (tmp_path / "report.json").write_bytes(b"mine")
    folder = OutputFolder("synth", tmp_path)
    folder.replace({"place.log": b"1"})
    assert names(tmp_path) == {"bitstream.bit", "report.json", "place.log"}
    for use in (lambda: folder.check(["report.json"]), lambda: folder.replace({"report.json": b"2"})):
        with pytest.raises(OutputError) as caught:
            use()
        assert str(caught.value) == (
            f"--out {tmp_path}: {tmp_path / 'report.json'} was not written by an earlier `zerolane synth`, "
            "or was changed since; move it away, or name another folder")
    assert (tmp_path / "report.json").read_bytes() == b"mine"


def test_a_file_that_was_changed_since_is_the_user_s(tmp_path: Path) -> None:
    folder = OutputFolder("synth", tmp_path)
    folder.replace({"report.json": b"1", "bitstream.bin": b"1"})
    (tmp_path / "report.json").write_bytes(b"mine")
    (tmp_path / "bitstream.bin").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"report\.json was not written"):
        folder.check(["report.json"])
    folder.replace({"place.log": b"2"})
    assert names(tmp_path) == {"report.json", "bitstream.bin", "place.log"}


def test_two_commands_share_a_folder_without_taking_each_other_s_files(tmp_path: Path) -> None:
    one, other = OutputFolder("synth", tmp_path), OutputFolder("run", tmp_path)
    one.replace({"report.json": b"1"})
    other.replace({"run.json": b"1"})
    other.replace({"a.npz": b"2"})
    one.replace({"report.json": b"2"})
    assert names(tmp_path) == {"report.json", "a.npz"}
    with pytest.raises(OutputError, match=r"report\.json was not written by an earlier `zerolane run`"):
        other.check(["report.json"])


@pytest.mark.parametrize("note", ["no JSON", "[]", '{"synth": 7}', '{"synth": {"../x": "y"}}'])
def test_a_note_that_zerolane_did_not_write_removes_nothing(tmp_path: Path, note: str) -> None:
    (tmp_path / "x").write_text("mine")
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / ".zerolane.json").write_text(note)
    folder = OutputFolder("synth", tmp_path / "o")
    if "../x" in note:
        folder.replace({"report.json": b"1"})
    else:
        with pytest.raises(OutputError, match=r"\.zerolane\.json .*remove it, or name another folder"):
            folder.check(["report.json"])
    assert (tmp_path / "x").read_text() == "mine"
