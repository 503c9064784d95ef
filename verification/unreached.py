"""Why some branches and points are not reached by the corpus."""

import re

from .coverage import Branch

__all__ = ["POINTS", "reason_for_branch", "reason_for_point"]

_CONSTANT = "the configuration makes the condition constant"
_TAILS = "rows of these streams are whole words: a chunk never ends on these bytes"
_STRIDED = "parameter records follow each other without a gap: the reader's rows are never apart"
_BLOCKED = ("BLOCKED is for a burst outside the windows that a fault of the array would make: the extents of "
            "every job are checked before; the guard's proofs and tests make such bursts")

BRANCHES: tuple[tuple[str, str, str], ...] = (
    (r"command", r"= 8'h09;", _BLOCKED),
    (r"guard", r"port__ar__payload\[35:4\] : port__aw__payload", _BLOCKED),
    (r"command\.check", r"flags\[(2|5)\]", "the feature that the field asks for is built in"),
    (r".*reader", r"\? 8'h00 : ", _TAILS),
    (r"core\.collector\.parameter_reader", r"strided|_\d+_ = _\d+_\[(31:3|31:0|2:0)\];|more\[0\]|\$signal",
     _STRIDED),
    (r".*", r"\(\d+'h\d\) begin|casez \(\d+'h", _CONSTANT),
    (r"core\.tile_loader\.dense", r"if \(_held\)", "a chunk that is not taken is always a held one"),
    (r"core\.collector\.path\.densifier", r"flushing \?",
     "the array's chains end a row on its last word; the block also allows an empty end behind it "
     "(tests/test_collector.py)"),
)
"""Block and text of the branch (regular expressions), and the reason."""

POINTS: dict[str, str] = {}
"""Point to the reason."""


def reason_for_branch(branch: Branch) -> str | None:
    for block, text, reason in BRANCHES:
        if re.fullmatch(block, branch.block) and re.search(text, branch.text):
            return reason
    return None


def reason_for_point(name: str) -> str | None:
    return POINTS.get(name)
