"""zerolane.generate: files, ports, stable names, Verilator's -Wall with the listed waivers only, and what
docs/integration.md shows."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

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


def test_arrays_with_tops_of_other_names_share_no_module(written: Path, tmp_path: Path) -> None:
    generate(PRESETS["tiny"], tmp_path / "other.v", "zl_b")
    first, second = (set(re.findall(r"^module (\\?[\w.$]+)", path.read_text(), re.MULTILINE))
                     for path in (written / "zerolane.v", tmp_path / "other.v"))
    assert first and "zl_b" in second and not first & second
    assert json.loads((tmp_path / "other.json").read_text())["top"] == "zl_b"


@pytest.fixture
def listed(written: Path) -> list[dict[str, Any]]:
    return json.loads((written / "zerolane.json").read_text())["ports"]


def on_the_page(language: str) -> str:
    page = (Path(__file__).parents[1] / "docs" / "integration.md").read_text()
    (text,) = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    return text


def test_the_map_lists_the_ports_of_the_verilog(written: Path, listed: list[dict[str, Any]]) -> None:
    text = (written / "zerolane.v").read_text()
    top = re.search(r"^module zerolane\((.*?)\);(.*?)^endmodule", text, re.DOTALL | re.MULTILINE)
    assert top is not None
    names, body = top.groups()
    declared = {name: (direction, int(top or 0) + 1) for direction, top, name in
                re.findall(r"^  (input|output|inout) (?:\[(\d+):0\] )?(\w+);$", body, re.MULTILINE)}
    assert {port["name"]: (port["direction"], port["bits"]) for port in listed} == declared
    assert {port["name"] for port in listed} == set(re.findall(r"\w+", names))


@pytest.mark.verilator
def test_the_instance_on_the_page_connects_every_port_of_the_verilog(
        written: Path, listed: list[dict[str, Any]], tmp_path: Path) -> None:
    pins = [f"{port['direction']} wire [{port['bits'] - 1}:0] {port['name']}" for port in listed]
    soc = tmp_path / "soc.v"
    soc.write_text(f"module soc({', '.join(pins)});\n{on_the_page('verilog')}endmodule\n")
    result = lint(written, "zerolane.vlt", str(soc), "zerolane.v", top="soc")
    assert result.returncode == 0 and "%Warning" not in result.stderr, result.stderr[:4000]


def test_the_driver_on_the_page_compiles_with_the_header(written: Path, tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler found")
    (tmp_path / "driver.c").write_text(on_the_page("c"))
    subprocess.run([compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                    "-DARRAY_ADDRESS=0x40000000ul", f"-I{written}", "driver.c"], cwd=tmp_path, check=True)


def lint(written: Path, *files: str, top: str = "zerolane") -> subprocess.CompletedProcess[str]:
    tool = find_verilator()
    command = [tool.executable, "--lint-only", "-Wall", "--top-module", top, *files]
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
