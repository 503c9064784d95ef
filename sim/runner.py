"""Building and running Verilog under cocotb; the one place that knows cocotb's runner."""

import contextlib
import hashlib
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cocotb_tools import runner as cocotb_runner

from .cache import cache_directory, locked
from .tools import check_tools, find_verilator
from .transport import TransportError

__all__ = ["BenchFailed", "BuildFailed", "Model", "build_model", "run_bench", "run_model",
           "start_command", "tail"]

TIMESCALE = ("1ns", "1ps")
_LOG_TAIL_LINES = 25
_BUILD_FORM = 2  # counts changes of how models are built


class BuildFailed(TransportError):
    """The Verilog did not become a model; the message carries the end of the tool's output."""


class BenchFailed(TransportError):
    """Tests of a cocotb bench failed; the message names them."""


@dataclass(frozen=True)
class Model:
    """A built model."""

    simulator: str
    toplevel: str
    directory: Path


class _Captured(Exception):
    """Carries a command that the runner would have executed out of it."""


class _Capturing:
    """Gives the commands of cocotb's runner to us in place of executing them."""

    env: dict[str, str]

    def _execute(self, cmds: Sequence[Sequence[str]], cwd: Any) -> None:
        raise _Captured([list(command) for command in cmds], Path(cwd), dict(self.env))


class _Icarus(_Capturing, cocotb_runner.Icarus):
    pass


class _Verilator(_Capturing, cocotb_runner.Verilator):
    """With only those signals open that a .vlt names.

    -O1: the model runs as fast as with -O2, and builds in two thirds of the time.
    """

    def _simulator_in_path_build_only(self) -> None:
        tool = find_verilator()
        self.executable = str(tool.executable)
        self.env.update(tool.environment)
        if (ccache := shutil.which("ccache")) is not None:
            self.env.setdefault("OBJCACHE", ccache)

    def _build_command(self) -> list[list[str]]:
        verilate, make = super()._build_command()
        verilate.remove("--public-flat-rw")
        return [verilate, [*make, "OPT_FAST=-O1", "OPT_GLOBAL=-O2"]]


def _runner(simulator: str) -> Any:
    check_tools(simulator)
    made = _Verilator() if simulator == "verilator" else _Icarus()
    made.log.setLevel(logging.WARNING)
    return made


def tail(path: Path, lines: int = _LOG_TAIL_LINES) -> str:
    """The end of a log file."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


# ---- building --------------------------------------------------------------------------------------


def build_model(simulator: str, sources: Sequence[Path], toplevel: str, *, generated: Mapping[str, str] = {},
                extra_options: Sequence[str] = (), report: Callable[[str], None] | None = None) -> Model:
    """Build Verilog once; later calls with the same text, options and tool get the same model.

    Parameters
    ----------
    simulator : "verilator" or "icarus"
    sources : Verilog files, and .vlt files (for Verilator only) that open signals to the host
    toplevel : module to simulate
    generated : further sources, file name to text
    extra_options : of Verilator
    report : is told before a build begins

    Raises ToolMissing, BuildFailed.
    """
    runner = _runner(simulator)
    texts = {path.name: path.read_text() for path in sources} | dict(generated)
    if simulator == "icarus":
        texts = {name: text for name, text in texts.items() if not name.endswith(".vlt")}
    options = ["-O3", "--timing", "--x-assign", "fast", "--x-initial", "fast", "-Wno-fatal", "-Wno-lint",
               "-Wno-style", "--output-split", "20000", *extra_options] if simulator == "verilator" else []
    version = find_verilator().version if simulator == "verilator" else _icarus_version()
    # A model finds cocotb's libraries where this environment has them; another's may be gone.
    libraries = str(Path(cocotb_runner.__file__).parent)
    key = hashlib.sha256(repr((_BUILD_FORM, simulator, version, options, toplevel, cocotb_version(),
                               libraries, sorted(texts.items()))).encode()).hexdigest()[:24]
    directory = cache_directory() / "models" / f"{simulator}-{key}"
    if any(character.isspace() for character in str(directory)):
        raise BuildFailed(f"make cannot build in a directory with spaces, {directory}; set ZEROLANE_CACHE")
    model = Model(simulator, toplevel, directory)
    done = directory / "built"
    with locked(directory.with_suffix(".lock")):
        if done.exists():
            return model
        if report is not None:
            report(f"Building the {simulator} model of {toplevel}, up to a minute, once")
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        for name, text in texts.items():
            (directory / name).write_text(text)
        # cocotb and Verilator want control files before the modules they speak of.
        ordered = sorted(texts, key=lambda name: (not name.endswith(".vlt"), name))
        try:
            runner.build(sources=[directory / name for name in ordered], hdl_toplevel=toplevel, always=True,
                         build_args=options, build_dir=directory, timescale=TIMESCALE)
        except _Captured as captured:
            commands, cwd, environment = captured.args
        log = directory / "build.log"
        with open(log, "w") as file:
            for command in commands:
                result = subprocess.run(command, cwd=cwd, env=environment, stdout=file,
                                        stderr=subprocess.STDOUT, check=False)
                if result.returncode:
                    raise BuildFailed(f"{command[0]} failed with {result.returncode}; the end of {log}:\n"
                                      f"{tail(log)}")
        for leftover in (*directory.glob("*.o"), *directory.glob("*.gch"), *directory.glob("*.a")):
            leftover.unlink()
        done.touch()
    return model


def cocotb_version() -> str:
    import cocotb

    return cocotb.__version__


def _icarus_version() -> str:
    answer = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=False)
    return answer.stdout.split("\n")[0]


# ---- running ---------------------------------------------------------------------------------------


def start_command(model: Model, test_module: str, test_directory: Path, *,
                  extra_env: Mapping[str, str] = {}) -> tuple[list[str], dict[str, str]]:
    """Command line and environment that run a cocotb module on a model, in `test_directory`."""
    runner = _runner(model.simulator)
    # pytest is not part of what runs inside of the simulator, and the runner acts differently under it.
    with _without_environment("PYTEST_CURRENT_TEST"):
        try:
            runner.test(test_module=test_module, hdl_toplevel=model.toplevel, hdl_toplevel_lang="verilog",
                        build_dir=model.directory, test_dir=test_directory, extra_env=extra_env)
        except _Captured as captured:
            (command,), _, environment = captured.args
    environment.update(extra_env)
    # The module that runs there is found in the same place as this one, installed or not.
    paths = [str(Path(__file__).resolve().parent.parent), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return command, environment


@contextlib.contextmanager
def _without_environment(name: str) -> Any:
    value = os.environ.pop(name, None)
    try:
        yield
    finally:
        if value is not None:
            os.environ[name] = value


def run_bench(test_module: str, verilog: str, toplevel: str, *, simulator: str, test_directory: Path,
              open_signals: Sequence[str] = ("*",), sources: Sequence[Path] = (),
              extra_env: Mapping[str, str] = {}, timeout_seconds: float = 600) -> list[str]:
    """Run all tests of a cocotb module on a Verilog text; the names of the tests that ran.

    Parameters
    ----------
    test_module : dotted name, importable from here
    verilog : text that holds the module `toplevel`
    test_directory : where the simulator runs; logs and results stay there
    open_signals : patterns of the toplevel's signals that the bench may reach under Verilator
    sources : further Verilog files

    Raises ToolMissing, BuildFailed, BenchFailed.
    """
    control = "`verilator_config\n" + "".join(
        f'public_flat_rw -module "{toplevel}" -var "{pattern}"\n' for pattern in open_signals)
    model = build_model(simulator, sources, toplevel,
                        generated={f"{toplevel}.v": verilog, f"{toplevel}.vlt": control})
    return run_model(test_module, model, test_directory=test_directory, extra_env=extra_env,
                     timeout_seconds=timeout_seconds)


def run_model(test_module: str, model: Model, *, test_directory: Path, extra_env: Mapping[str, str] = {},
              timeout_seconds: float = 600) -> list[str]:
    """As run_bench, on a model that is built."""
    test_directory.mkdir(parents=True, exist_ok=True)
    results, log = test_directory / "results.xml", test_directory / "simulator.log"
    results.unlink(missing_ok=True)
    command, environment = start_command(model, test_module, test_directory, extra_env=extra_env)
    environment["COCOTB_RESULTS_FILE"] = str(results)
    with open(log, "w") as file:
        try:
            code = subprocess.run(command, cwd=test_directory, env=environment, stdout=file,
                                  stderr=subprocess.STDOUT, check=False, timeout=timeout_seconds).returncode
        except subprocess.TimeoutExpired:
            raise BenchFailed(f"{test_module} did not end in {timeout_seconds} seconds; the end of {log}:\n"
                              f"{tail(log)}") from None
    try:
        cases = list(ElementTree.parse(results).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        cases = []
    failed = [case.get("name") for case in cases
              if case.find("failure") is not None or case.find("error") is not None]
    if failed or not cases or code:
        what = f"failed: {', '.join(map(str, failed))}" if failed else f"no result, exit code {code}"
        raise BenchFailed(f"{test_module} on {model.simulator}: {what}; the end of {log}:\n{tail(log, 60)}")
    return [str(case.get("name")) for case in cases]
