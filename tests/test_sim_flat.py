"""The array on its flat pins, under AXI models that are not ours."""

import json
from pathlib import Path

import numpy as np
import pytest

from hdl.config import PRESETS
from hdl.descriptor import DESCRIPTOR_FIELDS, Opcode
from hdl.emit import emit_verilog
from hdl.pins import FlatTop
from hdl.registers import config_values, register
from sim.runner import run_bench
from tests.simulators import COCOTB_SIMULATORS, need

ROWS, DEPTH, COLUMNS = 9, 24, 8
A_ADDRESS, B_ADDRESS, C_ADDRESS, MEMORY_BYTES = 0x1000, 0x2000, 0x3000, 0x8000
DESCRIPTOR_ADDRESS = 0x400


def descriptor(**values: int) -> bytes:
    words = [0] * 32
    for field in DESCRIPTOR_FIELDS:
        words[field.word] |= values.pop(field.name, 0) << field.offset
    assert not values
    return np.array(words, "<u4").tobytes()


@pytest.mark.parametrize("simulator", COCOTB_SIMULATORS)
def test_a_dense_product_comes_out_right_with_and_without_pauses(simulator: str, tmp_path: Path) -> None:
    need(simulator)
    config = PRESETS["tiny"]
    rng = np.random.default_rng(11)
    a = rng.integers(-128, 128, (ROWS, DEPTH), dtype=np.int8)
    a[rng.random(a.shape) < 0.4] = 0
    b = rng.integers(-128, 128, (DEPTH, COLUMNS), dtype=np.int8)
    image = bytearray(MEMORY_BYTES)
    job = descriptor(
        opcode=Opcode.MATMUL.value, whole=1, pk_log2=0, rows=ROWS, k_count=DEPTH, n_count=COLUMNS,
        a_values=A_ADDRESS, a_stride=DEPTH, a_columns=DEPTH, b_values=B_ADDRESS, b_stride=COLUMNS,
        b_columns=COLUMNS, c_address=C_ADDRESS, c_stride=4 * COLUMNS,
        slice_words=COLUMNS // config.lanes // config.pes)
    for address, content in ((DESCRIPTOR_ADDRESS, job), (A_ADDRESS, a.tobytes()), (B_ADDRESS, b.tobytes())):
        image[address:address + len(content)] = content
    (tmp_path / "image").write_bytes(image)
    (tmp_path / "job.json").write_text(json.dumps({
        "image": str(tmp_path / "image"),
        "result": str(tmp_path / "result"),
        "timeout_us": 200,
        "writes": [(register("CONTROL").address, 1), (register("DESCRIPTOR").address, DESCRIPTOR_ADDRESS),
                   (register("COUNT").address, 1), (register("DOORBELL").address, 1)],
        "reads": [(register("STATUS").address, 0b010), (register("ERROR").address, 0),
                  (register("COMPLETED").address, 1),
                  *((register(name).address, value) for name, value in config_values(config).items())],
    }))
    ran = run_bench("sim.benches.flat_bench", emit_verilog(FlatTop(config), "zerolane"), "zerolane",
                    simulator=simulator, test_directory=tmp_path,
                    extra_env={"ZEROLANE_JOB": str(tmp_path / "job.json")})
    expected = bytearray(image)
    product = a.astype("<i4") @ b.astype("<i4")
    expected[C_ADDRESS:C_ADDRESS + product.nbytes] = product.tobytes()
    assert ran == ["straight", "with_pauses"]
    for name in ran:
        assert (tmp_path / f"result.{name}").read_bytes() == expected
