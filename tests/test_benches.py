"""Every block as Verilog under cocotb."""

from pathlib import Path

import pytest

from sim.benches.blocks import BLOCKS
from sim.plain_verilog import emit_plain_verilog
from sim.runner import run_bench
from tests.simulators import need

VERILATED = ("chain", "router")
"""A model takes long to build under Verilator: a few show that it agrees."""

RUNS = [*(pytest.param(name, "icarus", marks=pytest.mark.icarus) for name in BLOCKS),
        *(pytest.param(name, "verilator", marks=pytest.mark.verilator) for name in VERILATED)]


@pytest.mark.parametrize(("name", "simulator"), RUNS)
def test_a_block_does_what_its_model_does(name: str, simulator: str, tmp_path: Path) -> None:
    need(simulator)
    verilog = emit_plain_verilog(BLOCKS[name](), "block")
    assert run_bench(f"sim.benches.{name}_bench", verilog, "block", simulator=simulator,
                     test_directory=tmp_path, timeout_seconds=120)
