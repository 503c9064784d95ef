"""Which simulators a test may use here."""

import os

import pytest

from sim.tools import check_tools
from sim.transport import ToolMissing

__all__ = ["COCOTB_SIMULATORS", "EVERY_SIMULATOR", "need"]

COCOTB_SIMULATORS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("verilator", "icarus")]
EVERY_SIMULATOR = [*COCOTB_SIMULATORS, "amaranth"]


def need(simulator: str) -> None:
    """Skip the test where the simulator is not installed; fail it in continuous integration."""
    try:
        check_tools(simulator)
    except ToolMissing as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
