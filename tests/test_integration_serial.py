"""Serial arrays of every width: rows of results of one burst and of several, tiles of several parts, and the
cycles that a plan foresees."""

from dataclasses import replace

import numpy as np
import pytest

from hdl.config import PRESETS
from tests.presets import WIDE
from tests.products import draw_matrix, draw_options, run_checked
from tests.simulators import need, on
from zerolane.device import Device

pytestmark = pytest.mark.verilator

MICRO, MINI = PRESETS["micro"], PRESETS["mini"]


@on(WIDE)
@pytest.mark.parametrize("columns", [1, 2, 15, 16, 17, 31, 32, 33, 49])
def test_rows_of_sums_and_of_bytes_may_take_several_bursts(device: Device, columns: int) -> None:
    rng = np.random.default_rng(columns)
    b = draw_matrix(rng, 40, columns, 0.9, "dense")
    for form in ("csr", "dense"):
        a = draw_matrix(rng, 21, 40, 0.3, form)
        for bias, scale in ((None, None), ("row", "row"), ("column", "one"), ("column", None)):
            run_checked(device, a, b, **draw_options(rng, 21, columns, bias, scale, False))


@on(WIDE)
@pytest.mark.parametrize("columns", [1, 5, 32, 37])
def test_sums_of_several_parts_of_k_are_added_up(device: Device, columns: int) -> None:
    rng = np.random.default_rng(columns)
    a, b = draw_matrix(rng, 9, 300, 0.2, "csr"), draw_matrix(rng, 300, columns, 0.9, "dense")
    run_checked(device, a, b)
    assert columns == 1 or len(device.last_job.plan.k_cuts) > 2
    run_checked(device, a, b, **draw_options(rng, 9, columns, "column", "one", True))


@on(MICRO, MINI, WIDE)
@pytest.mark.parametrize("rows, inner, columns, density", [(64, 60, 8, 0.3), (40, 50, 16, 1.0),
                                                           (50, 55, 40, 0.2), (200, 500, 1, 0.1)])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_job_takes_about_as_many_cycles_as_its_plan_says(device: Device, rows: int, inner: int,
                                                            columns: int, density: float,
                                                            scaled: bool) -> None:
    rng = np.random.default_rng(rows)
    a = draw_matrix(rng, rows, inner, density, "csr" if density < 1 else "dense")
    b = draw_matrix(rng, inner, columns, 1.0, "dense")
    run_checked(device, a, b, **draw_options(rng, rows, columns, None, "one" if scaled else None, False))
    job = device.last_job
    assert 0.8 < job.cycles / job.plan.cycles < 1.25, (job.cycles, job.plan.cycles)


def test_with_a_multiplier_a_job_of_bytes_takes_about_as_long_as_one_of_sums() -> None:
    need("verilator")
    rng = np.random.default_rng(0)
    a, b = draw_matrix(rng, 60, 64, 0.5, "csr"), draw_matrix(rng, 64, 16, 1.0, "dense")
    cycles = {}
    for config in (MINI, replace(MINI, name="bitwise", scaler_block=False)):
        with Device(config, simulator="verilator") as opened:
            for scale in (None, "one"):
                run_checked(opened, a, b, **draw_options(rng, 60, 16, None, scale, False))
                cycles[config.name, scale] = opened.last_job.cycles
    assert cycles["mini", "one"] < 1.2 * cycles["mini", None]
    assert cycles["bitwise", "one"] > 2 * cycles["mini", "one"]
