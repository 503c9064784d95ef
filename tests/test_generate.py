"""zerolane.generate: files, stable names, and Verilator's -Wall with the listed waivers only."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from hdl.config import PRESETS
from hdl.lint import LINT_WAIVERS
from sim.tools import find_verilator
from zerolane.generate import generate


@pytest.fixture(scope="module", params=["tiny", "small"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    generate(PRESETS[request.param], folder / "zerolane.v")
    return folder


def test_verilog_map_header_and_waivers_are_written(written: Path) -> None:
    assert {path.name for path in written.iterdir()} == {
        "zerolane.v", "zerolane.json", "zerolane.h", "zerolane.vlt"}
    assert json.loads((written / "zerolane.json").read_text())
    text = (written / "zerolane.v").read_text()
    header = text[text.index("\nmodule zerolane"):]
    ports = header[:header.index(";")]
    for pin in ("clk", "rst", "irq", "m_axi_araddr", "m_axi_wstrb", "s_axil_wdata"):
        assert re.search(rf"\b{pin}\b", ports), pin


def lint(written: Path, *files: str) -> subprocess.CompletedProcess[str]:
    tool = find_verilator()
    command = [tool.executable, "--lint-only", "-Wall", "--top-module", "zerolane", *files]
    return subprocess.run(command, cwd=written, env=os.environ | dict(tool.environment), capture_output=True,
                          text=True, check=False)


@pytest.mark.verilator
def test_verilator_lint_is_clean_apart_from_the_listed_rules(written: Path) -> None:
    result = lint(written, "zerolane.vlt", "zerolane.v")
    assert result.returncode == 0 and "%Warning" not in result.stderr, result.stderr[:4000]


@pytest.mark.verilator
def test_every_waiver_is_needed(written: Path) -> None:
    rules = set(re.findall(r"%Warning-(\w+)", lint(written, "zerolane.v").stderr))
    assert rules == set(LINT_WAIVERS)


def test_every_waiver_has_its_reason() -> None:
    assert all(len(reason) > 20 for reason in LINT_WAIVERS.values())
