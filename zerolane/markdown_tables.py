"""Tables of the generated pages."""

import re

__all__ = ["table_head", "table_row"]


def table_row(*cells: object) -> str:
    """A line of a table; what a cell holds may have several lines."""
    return "| " + " | ".join(re.sub(r"\s+", " ", str(cell)).replace("|", "\\|") for cell in cells) + " |"


def table_head(*names: str) -> list[str]:
    """The two lines that a table begins with."""
    return [table_row(*names), table_row(*("---" for _ in names))]
