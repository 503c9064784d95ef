"""The generated pages are what their generators make now."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_of_blocks_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("block_docs", ROOT / "scripts" / "block_docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "blocks.md").read_text() == module.page(), "run scripts/block_docs.py"


def test_every_link_of_the_pages_leads_somewhere() -> None:
    import re
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
