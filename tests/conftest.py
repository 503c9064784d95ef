"""What every test file shares."""

from collections.abc import Iterator

import pytest

from scripts import fpga_runs
from tests.simulators import need
from zerolane.device import Device


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests begin first, so that none runs alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


@pytest.fixture
def named_designs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hardware of the builds of docs/results.md goes by its name: to elaborate all of it takes a minute."""
    monkeypatch.setattr(fpga_runs, "requested_design",
                        lambda request: f"{request.config.name} for {request.target.family}")
    monkeypatch.setattr(fpga_runs, "system_design",
                        lambda board, config, memory_bytes: f"{config.name} on {board.name}, {memory_bytes}")


@pytest.fixture(scope="module")
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """One simulator process for all jobs of what `tests.simulators.on` names."""
    need("verilator")
    with Device(request.param, simulator="verilator") as opened:
        yield opened
