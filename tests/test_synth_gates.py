"""synth.gates: the netlist computes what the RTL does, in the same cycles; minutes for each family."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from hdl.config import PRESETS, Config
from sim.harness_top import Design, default_design
from sim.transport import open_simulator
from synth.cell_models import cell_models
from synth.gates import GateDesign
from synth.targets import TARGETS
from tests.products import draw_matrix, draw_options, run_checked
from tests.reduced import REDUCED
from tests.simulators import need
from zerolane.demo import run_demo
from zerolane.device import Device

DEMO_IMAGES = 8


@cache
def gates(config: Config, target: str) -> GateDesign:
    return GateDesign(config, TARGETS[target])


def outcomes(config: Config, design: Design, seed: int) -> list[tuple[Any, ...]]:
    """Results and cycles of random products, checked against the golden model, and of the demo's layers."""
    rng = np.random.default_rng(seed)
    found: list[tuple[Any, ...]] = []
    transport = open_simulator("verilator", config, memory_bytes=1 << 18, latency_cycles=20, gaps=0.2,
                               seed=seed, design=design)
    with Device(config, simulator=transport) as device:
        for a_form, b_form, bias, scale in (("csr", "dense", None, None), ("dense", "odd", "column", "one"),
                                            ("odd", "csr", "row", "row")):
            rows, inner, columns = (int(number) for number in rng.integers(1, 24, 3))
            a = draw_matrix(rng, rows, inner, 0.4, a_form)
            b = draw_matrix(rng, inner, columns, 0.6, b_form)
            result = run_checked(device, a, b, **draw_options(rng, rows, columns, bias, scale, True))
            assert device.last_job is not None
            found.append((result.tobytes(), device.last_job.cycles, transport.stats.cycles))
        demo = run_demo(device, lambda text: None, DEMO_IMAGES)
        assert demo.mismatches == 0
        found += [(layer.name, layer.cycles) for layer in demo.dense_layers + demo.pruned_layers]
    return found


@pytest.mark.slow
@pytest.mark.verilator
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("config", "target"), [
    pytest.param(REDUCED, "ecp5-25k", id="ecp5-25k"), pytest.param(REDUCED, "ice40-up5k", id="ice40-up5k"),
    pytest.param(PRESETS["micro"], "ice40-up5k", id="micro on ice40-up5k")])
def test_a_netlist_gives_the_results_of_the_rtl_in_the_same_cycles(config: Config, target: str) -> None:
    need("verilator")
    for seed in (1, 2):
        assert outcomes(config, gates(config, target), seed) == outcomes(config, default_design, seed)


def test_a_family_without_cell_models_is_refused() -> None:
    with pytest.raises(ValueError, match="family 'gowin'; cells are simulated for ecp5, ice40"):
        cell_models("gowin")
