"""What every test file shares."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests begin first, so that none runs alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)
