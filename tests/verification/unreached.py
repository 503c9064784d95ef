"""Why some branches and points are not reached by the corpus."""

import re

from .coverage import Branch

__all__ = ["POINTS", "reason_for_branch", "reason_for_point"]

_BLOCKED = ("BLOCKED is for a burst outside the windows that a fault of the array would make: the extents of "
            "every job are checked before; the guard's proofs and tests make such bursts")
_DENSIFIER = ("the array's chains end a row on its last word; the block also allows an empty end behind it "
              "(tests/test_collector.py, and its proof)")
_PACKED = "only packed tiles, which this configuration has not"

_ONE_END = "beats of the tile loader have one row end at most, and no second one"
_TWO_LANES = "with two lanes one at most ends a row, and nothing follows it: each end comes from A and B"

_FILTERED = ("tokens wait for their tile before the row filter, from which none comes before the bus takes "
             "it; reached in `tiny`, which has none")

_CSR = "only results in CSR, which this configuration has not"

BRANCHES: tuple[tuple[str, str, str, str], ...] = (
    (r"guard", r"cond_then", r"\[0\] \? read_kept|\? write_kept : port__aw", _BLOCKED),
    (r"command\.faults", r"cond_then", r"\? 4'h9 : |\? (of_reader|collector) : 2'h0", _BLOCKED),
    (r"guard", r"if|else", r"= port__a[rw]__payload;", _BLOCKED),
    (r"command\.faults", r"cond_then", r"_number\[15:2\] \}",
     "a fault of a descriptor before a multiple of four whose next ones are offered: tests of its block do"),
    (r"command\.faults", r"cond_then", r"\? reader : 4'h0|\? 8'hff : 8'h00|\? _at_port : 32'd0", _BLOCKED),
    (r"core\.collector\.path\.csr_out\.totals", r"cond_then", r"\? 32'd4294967295",
     "a result of more than 2^32 - 1 entries"),
    (r"core\.merger\.feed_b", r"cond_else", r"\\final  \? 1'h0", _ONE_END),
    (r"core\.merger\.feed_b", r"cond_then", r"ranked\[288:219\]", _ONE_END),
    (r"core\.merger\.rows", r"if", r"else if \(\\o__ready", _TWO_LANES),
    (r"command\.reader\$?", r"else", r"if \(first\)", "a job always begins with a first descriptor"),
    (r"core\.collector\.path\.control", r"else", r"= 3'h0;",
     "the writer has taken its job long before the last word is drained"),
    (r"core\.tile_loader\.dense", r"else", r"if \(_held\)", "a chunk that is not taken is always a held one"),
    (r"core\.tile_loader\.dense", r"cond_then", r"i__payload\[\d+:0\]",
     "a beat holds one row of a part only where the port is as wide as the lanes (`tiny`)"),
    (r"fetch\.cutter", r"if|cond_then", r"marks\[",
     "the second mark of a pair never becomes the window's first: the first one does"),
    (r"core\.collector\.path\.finisher", r"else", r"if \(biased_leaves\)",
     "with results in CSR the queue behind has room for every word on its way: they are counted"),
    (r"pe\.front", r"cond_then", r"head\[\d+\] \? \d'h0 :", "the first token of a beat is behind none"),
)
"""Block, kind and text of the branch (regular expressions), and the reason."""

TINY: tuple[tuple[str, str, str, str], ...] = (
    (r"core\.collector\.path\.densifier", r".*", r"= 1'h[01];", _DENSIFIER),
    (r"core\.router", r"if", r"i_job__payload\[6\]", _PACKED),
    (r"command\.extents", r"case", r"i\[575:544\]", _PACKED),
    (r"pe\.row_queue", r"cond_then", r"\? \{ .*\[0\], .*\[1\] \}|\? 2'h2 : 2'h1",
     "which of two chains is next: there is one"),
    (r"core\.tile_loader\.dense", r"else", r"if \(_parts\)",
     "a chunk at work that is not done has rows left: beats of one word are never split"),
    (r"core\.tile_loader\.dense", r"if|else|elsif", r"end else if \(",
     "steps of two words at once: a beat has one"),
)
"""The same for the configuration `tiny` alone."""

POINTS: dict[str, dict[str, str]] = {
    "tiny": {"error_packed_overflow": _PACKED, "error_output_full": _CSR},
    "mutation": {"merge_several_ends": _TWO_LANES, "bus_closed": _FILTERED},
}
"""Configuration and point to the reason."""


def reason_for_branch(branch: Branch, config: str) -> str | None:
    for block, kind, text, reason in (*BRANCHES, *(TINY if config == "tiny" else ())):
        matches = re.fullmatch(block, branch.block) and re.fullmatch(kind, branch.kind)
        if matches and re.search(text, branch.text):
            return reason
    return None


def reason_for_point(name: str, config: str) -> str | None:
    return POINTS.get(config, {}).get(name)
