"""Which simulators a test may use here, and arrays on Verilator."""

import os
from typing import Any

import pytest

from sim.tools import check_tools
from sim.transport import ToolMissing

__all__ = ["COCOTB_SIMULATORS", "EVERY_SIMULATOR", "ICARUS_LATER", "need", "on"]

COCOTB_SIMULATORS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("verilator", "icarus")]
ICARUS_LATER = [COCOTB_SIMULATORS[0], pytest.param("icarus", marks=[
    pytest.mark.icarus, pytest.mark.slow, pytest.mark.timeout(1800)])]
"""For arrays with all features, of which Icarus takes many minutes."""
EVERY_SIMULATOR = [*COCOTB_SIMULATORS, "amaranth"]


def need(simulator: str) -> None:
    """Skip the test where the simulator is not installed; fail it in continuous integration."""
    try:
        check_tools(simulator)
    except ToolMissing as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def on(*configs: Any) -> pytest.MarkDecorator:
    """Each of these presets or configurations, by the fixture `device`."""
    return pytest.mark.parametrize("device", configs, indirect=True, scope="module",
                                   ids=lambda config: getattr(config, "name", config))
