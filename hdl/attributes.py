"""Attributes of signals that tell synthesis what it cannot know."""

__all__ = ["IN_BLOCK_RAM", "KEPT_COPY"]

IN_BLOCK_RAM = {"ram_style": "block"}
"""`Memory(..., attrs=IN_BLOCK_RAM)`: block RAM even for a few words."""

KEPT_COPY = {"zerolane_kept_copy": 1}
"""`Signal(..., attrs=KEPT_COPY)`: its register is one of several equal ones, copied on purpose so that each
drives what is near to it. Synthesis would make one of them again, with a net across the whole die."""
