"""Verilator, Icarus and Amaranth's simulator run the same jobs with the same results in the same cycles."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.products import draw_matrix, draw_options, run_checked
from tests.simulators import COCOTB_SIMULATORS, need
from zerolane.device import Device


@cache
def records(preset: str, simulator: str, gaps: float) -> list[tuple[bytes, dict[str, Any], int]]:
    """For each job its result, all its record, and the simulator's cycles after it."""
    rng = np.random.default_rng(3)
    results = []
    # Amaranth's simulator is faster with little memory, the others have a model for the usual size.
    memory_bytes = 1 << 16 if simulator == "amaranth" else None
    with Device(preset, simulator=simulator, memory_bytes=memory_bytes, latency_cycles=8, gaps=gaps,
                seed=4) as device:
        for (rows, inner, columns), a_form, b_form, bias, scale in (
                ((6, 12, 21), "csr", "dense", None, None),
                ((9, 14, 1), "csr", "dense", "row", None),
                ((5, 10, 9), "dense", "odd", "column", "one")):
            a = draw_matrix(rng, rows, inner, 0.4, a_form)
            b = draw_matrix(rng, inner, columns, 0.6, b_form)
            options = draw_options(rng, rows, columns, bias, scale, True)
            # Packed where the array has it.
            plans = device.plans(a, b, **options)
            plan = next((plan for plan in plans if plan.packed), plans[0])
            result = run_checked(device, a, b, plan=plan, **options)
            assert device.last_job is not None and device.transport is not None
            results.append((result.tobytes(), device.last_job.as_record(), device.transport.stats.cycles))
    return results


@pytest.mark.parametrize("simulator", COCOTB_SIMULATORS)
@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize("preset", ["micro", "tiny", "small"])
def test_small_arrays_agree_to_the_cycle(preset: str, gaps: float, simulator: str) -> None:
    need(simulator)
    assert records(preset, simulator, gaps) == records(preset, "amaranth", gaps)


@pytest.mark.parametrize("simulator", COCOTB_SIMULATORS)
def test_base_agrees_to_the_cycle(simulator: str) -> None:
    need(simulator)
    assert records("base", simulator, 0.3) == records("base", "amaranth", 0.3)
