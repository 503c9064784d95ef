"""A drawing of the placed design, coloured by block."""

import io
import re
from pathlib import Path
from typing import Any

from .area import FENCE, Owners, placed_cells
from .placing import PLACED_JSON
from .scripts import TOP
from .yosys_runs import read_paths

__all__ = ["block_colours", "draw", "place_of"]

_SITE = re.compile(r"X(\d+)/?Y(\d+)/(\S+)")
_OTHERS = "others"
_MOST = 19  # blocks with a colour of their own; the smaller ones share grey
_SMALL_KINDS = re.compile(r"TRELLIS_(COMB|FF|RAMW)|ICESTORM_LC|LUT[1-4]|DFF[A-Z]*|ALU|MUX2_.*|RAM16.*")


def place_of(site: str) -> tuple[int, int] | None:
    """Column and row of a site's name (all families write them alike); None for what has no place."""
    found = _SITE.match(site)
    return (int(found[1]), int(found[2])) if found else None


def block_colours(counts: dict[str, int]) -> dict[str, Any]:
    """A colour for each of the largest blocks; neighbours in the alphabet differ in hue."""
    import matplotlib

    largest = sorted(sorted(counts, key=lambda block: -counts[block])[:_MOST])
    palette = matplotlib.colormaps["tab20"]
    return {block: palette(number) for number, block in enumerate(largest)}


def draw(record: dict[str, Any], kind: str, depth: int = 3) -> bytes:
    """A picture: a small dot each logic cell, a larger mark each multiplier and block RAM.

    Parameters
    ----------
    record : of `synth.report.build`, of a design that fits
    kind : of the file that it is for: .png or .svg
    depth : levels of blocks that are told apart
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    owners = Owners(read_paths(Path(record["synthesis_log"])))
    spots: dict[str, list[tuple[float, float, bool]]] = {}
    columns, rows = 1, 1
    for number, cell in enumerate(placed_cells(Path(record["log"]) / PLACED_JSON, TOP)):
        place = place_of(cell.site)
        if place is None:
            continue
        columns, rows = max(columns, place[0]), max(rows, place[1])
        block = ".".join((owners.of(cell.name, cell.source) or FENCE).split(".")[:depth])
        # Cells of one tile side by side, so that a full tile looks full.
        across, down = divmod(number % 16, 4)
        spots.setdefault(block, []).append((place[0] + across / 4, place[1] + down / 4,
                                            _SMALL_KINDS.fullmatch(cell.kind) is None))
    counts = {block: len(found) for block, found in spots.items()}
    colours = block_colours(counts)
    # A figure of its own: pyplot would look for a screen.
    figure = Figure(figsize=(12, 9))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for block in sorted(spots, key=lambda name: (name not in colours, name)):
        colour = colours.get(block, "0.8")
        label = f"{block} ({counts[block]:,})" if block in colours else None
        for large, size in ((False, 1.2), (True, 14)):
            xs = [x for x, _, is_large in spots[block] if is_large == large]
            ys = [y for _, y, is_large in spots[block] if is_large == large]
            axes.scatter(xs, ys, s=size, color=colour, marker="s", linewidths=0)
        if label:
            axes.scatter([], [], s=40, color=colour, marker="s", label=label)
    if len(counts) > len(colours):
        rest = sum(count for block, count in counts.items() if block not in colours)
        axes.scatter([], [], s=40, color="0.8", marker="s", label=f"{_OTHERS} ({rest:,})")
    axes.set(xlim=(0, columns + 1), ylim=(rows + 1, 0), aspect="equal", xticks=[], yticks=[],
             title=f"{record['preset']} ({record['block']}) on {record['part']}, speed {record['speed']}: "
                   f"{record['fmax_mhz']} MHz")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False,
                title="block (cells)")
    content = io.BytesIO()
    figure.savefig(content, format=kind.removeprefix("."), dpi=120, bbox_inches="tight")
    return content.getvalue()
