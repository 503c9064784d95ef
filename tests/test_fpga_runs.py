"""scripts/fpga_runs.py: what has no record of today is run, what does not end only where it is named."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import fpga_runs, results
from zerolane.config_file import load_config

pytestmark = pytest.mark.usefixtures("named_designs")


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the records that are made, which takes no time here."""
    names: list[str] = []

    def run(words: list[str], **options: Any) -> None:
        path = Path(words[words.index("--json") + 1])
        names.append(path.stem)
        (built,) = (built for built in fpga_runs.ALL if built.name == path.stem)
        path.write_text(json.dumps(built.asked()))

    monkeypatch.setattr(subprocess, "run", run)
    return names


def test_all_is_run_or_what_is_named(ran: list[str], tmp_path: Path) -> None:
    fpga_runs.measure(tmp_path / "all")
    assert ran == [built.name for built in fpga_runs.ALL]
    ran.clear()
    fpga_runs.measure(tmp_path / "some", ["lean64-45k", "ulx3s-tiny"])
    assert ran == ["lean64-45k", "ulx3s-tiny"]


def test_records_of_today_are_kept(ran: list[str], tmp_path: Path) -> None:
    fpga_runs.measure(tmp_path)
    ran.clear()
    fpga_runs.measure(tmp_path)
    assert ran == []


def test_a_record_says_nothing_of_files_that_are_not_kept(monkeypatch: pytest.MonkeyPatch,
                                                          tmp_path: Path) -> None:
    built = fpga_runs.RUNS[0]
    files = {"log": "cache/a", "synthesis_log": "cache/b", "bitstream": None}
    monkeypatch.setattr(subprocess, "run", lambda words, **options: (
        tmp_path / f"{built.name}.json").write_text(json.dumps(built.asked() | files | {"luts": 9})))
    fpga_runs.measure(tmp_path, [built.name])
    assert json.loads((tmp_path / f"{built.name}.json").read_text()) == built.asked() | {"luts": 9}


@pytest.mark.parametrize("name, changes", [
    ("tiny-25k", {"design_hash": "0" * 64}), ("tiny-25k", {"design_hash": None}),
    ("tiny-25k", {"config": {"name": "tiny"}}), ("tiny-25k", {"freq_mhz": 79.0}),
    ("tangnano20k-four", {"design_hash": "0" * 64}), ("tangnano20k-four", {"memory_bytes": 65536})])
def test_a_record_of_other_hardware_or_options_is_made_again(name: str, changes: dict[str, Any],
                                                             ran: list[str], tmp_path: Path) -> None:
    fpga_runs.measure(tmp_path)
    ran.clear()
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    fpga_runs.measure(tmp_path)
    assert ran == [name]


def test_a_run_that_leaves_no_record_of_today_ends_all(monkeypatch: pytest.MonkeyPatch,
                                                       tmp_path: Path) -> None:
    monkeypatch.setattr(subprocess, "run", lambda words, **options: None)
    first = fpga_runs.ALL[0]
    (tmp_path / f"{first.name}.json").write_text("{}")
    with pytest.raises(SystemExit, match=rf"--preset {first.preset}: no record of this hardware was written"):
        fpga_runs.measure(tmp_path)


def test_a_changed_preset_is_a_configuration_file(tmp_path: Path) -> None:
    for built in fpga_runs.ALL:
        if built.changes:
            path = tmp_path / f"{built.configuration}.toml"
            path.write_text(built.file)
            assert load_config(path) == built.config


@pytest.mark.parametrize("arguments, reason", [
    (["--fpga", "--run", "--only", "base-85k"], "invalid choice: 'base-85k'"),
    (["--run", "--only", "base-45k"], "--only base-45k: goes with --fpga --run")])
def test_a_name_that_says_nothing_is_refused(arguments: list[str], reason: str, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("sys.argv", ["results.py", str(tmp_path), *arguments])
    with pytest.raises(SystemExit):
        results.main()
    assert reason in capsys.readouterr().err
