"""The generated pages are what their generators make now."""

import importlib.util
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from hdl.config import Config

ROOT = Path(__file__).resolve().parent.parent


def script(name: str) -> ModuleType:
    """A script of the folder scripts, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name, page", [
    ("block_docs", "blocks.md"),
    ("config_docs", "configuration.md"),
    ("integration_docs", "integration.md"),
])
def test_a_page_is_up_to_date(name: str, page: str) -> None:
    assert (ROOT / "docs" / page).read_text() == script(name).page(), f"run scripts/{name}.py"


def test_the_page_of_configurations_says_what_every_key_means() -> None:
    meanings = script("config_docs").meanings()
    assert list(meanings) == [field.name for field in fields(Config)]
    assert all(meanings.values())


def test_every_link_of_the_pages_leads_somewhere() -> None:
    import re
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
