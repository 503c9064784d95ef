"""The array on its flat pins, under AXI models that are not ours."""

import json
from pathlib import Path

import pytest

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from hdl.pins import FlatTop
from hdl.registers import config_values, register
from sim.runner import run_bench
from tests.dense_job import dense_job
from tests.simulators import COCOTB_SIMULATORS, need


@pytest.mark.parametrize("simulator", COCOTB_SIMULATORS)
def test_a_dense_product_comes_out_right_with_and_without_pauses(simulator: str, tmp_path: Path) -> None:
    need(simulator)
    config = PRESETS["tiny"]
    job = dense_job(config)
    (tmp_path / "image").write_bytes(job.image)
    (tmp_path / "job.json").write_text(json.dumps({
        "image": str(tmp_path / "image"),
        "result": str(tmp_path / "result"),
        "timeout_us": 200,
        "writes": job.writes,
        "reads": [(register("STATUS").address, 0b010), (register("ERROR").address, 0),
                  (register("COMPLETED").address, 1),
                  *((register(name).address, value) for name, value in config_values(config).items())],
    }))
    ran = run_bench("sim.benches.flat_bench", emit_verilog(FlatTop(config), "zerolane"), "zerolane",
                    simulator=simulator, test_directory=tmp_path,
                    extra_env={"ZEROLANE_JOB": str(tmp_path / "job.json")})
    assert ran == ["straight", "with_pauses"]
    for name in ran:
        assert (tmp_path / f"result.{name}").read_bytes() == job.expected
