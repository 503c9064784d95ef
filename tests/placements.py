"""Small placed designs in nextpnr's JSON, for the tests of what moves cells."""

import random
from typing import Any

import numpy as np

from synth.placement import HALVES, LUT, REGISTER, Placement

Design = dict[str, Any]


def cell(kind: str, site: str, inputs: dict[str, int], outputs: dict[str, int], **parameters: str) -> Any:
    """Of nextpnr's JSON; ports to numbers of nets."""
    return {"type": kind, "parameters": parameters, "attributes": {"NEXTPNR_BEL": site},
            "port_directions": {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")},
            "connections": {port: [net] for port, net in {**inputs, **outputs}.items()}}


def lut(site: str, inputs: list[int], output: int, **more: int) -> Any:
    """Of up to four inputs; `more`: F1, FXA, FXB, M, and OFX, its second output."""
    pins = dict(zip("ABCD", inputs, strict=False))
    pins |= {port: net for port, net in more.items() if port != "OFX"}
    return cell("TRELLIS_COMB", site, pins, {"F": output} | ({"OFX": more["OFX"]} if "OFX" in more else {}))


def register(site: str, data: int, output: int, *, by_lut: bool = False, enable: int | None = None,
             reset: int | None = None) -> Any:
    """Clocked by net 1; `by_lut`: it takes the output of the LUT before it."""
    pins = {"CLK": 1, "DI" if by_lut else "M": data}
    if enable is not None:
        pins["CE"] = enable
    if reset is not None:
        pins["LSR"] = reset
    return cell("TRELLIS_FF", site, pins, {"Q": output}, CEMUX="1 " if enable is None else "CE",
                CLKMUX="CLK", LSRMUX="LSR", SRMODE="LSR_OVER_CE", GSR="DISABLED")


def design(cells: dict[str, Any]) -> Design:
    """With a driver of the clock."""
    buffer = cell("DCCA", "X0/Y0/DCC", {}, {"CLKO": 1})
    return {"modules": {"top": {"cells": {"clock": buffer, **cells}}}}


def scattered(seed: int, *, size: int = 6, links: int = 80) -> Design:
    """Registers with a LUT each, far from those that they hear: pairs, alone, with enables and resets."""
    rng = random.Random(seed)
    halves = [(x, y, half) for x in range(1, size) for y in range(1, size) for half in range(8)]
    rng.shuffle(halves)
    cells: dict[str, Any] = {}
    taken: dict[tuple[int, int, int], int | None] = {}     # slices: their registers' enable
    resets = {(x, y): rng.choice([None, 3]) for x in range(1, size) for y in range(1, size)}
    for x, y, half in halves[:links]:
        number = len(cells) // 2
        place = f"X{x}/Y{y}/SLICE{'ABCD'[half // 2]}"
        before = 100 + 2 * max(0, number - 1)
        out, stored = 101 + 2 * number, 100 + 2 * number
        enable = taken.setdefault((x, y, half // 2), rng.choice([None, 2]))
        cells[f"lut{number}"] = lut(f"{place}.K{half % 2}", [before if number else 50, 50 + number % 4], out)
        cells[f"register{number}"] = register(
            f"{place}.FF{half % 2}", out, stored, by_lut=rng.random() < 0.5, enable=enable,
            reset=resets[x, y])
    return design(cells)


def sites(placed: Design) -> dict[str, str]:
    """Where every cell is."""
    return {name: entry["attributes"]["NEXTPNR_BEL"]
            for name, entry in placed["modules"]["top"]["cells"].items()}


def assert_every_cell_has_a_place(placement: Placement) -> None:
    """Of its own, and knows which."""
    cells, grid = placement.cells, placement.grid
    for kind, places in ((LUT, grid.luts), (REGISTER, grid.registers)):
        there = {int(number): place for place, number in enumerate(places) if number >= 0}
        assert sorted(there) == list(np.flatnonzero(cells.kind == kind))
        for number, place in there.items():
            tile, half = divmod(place, HALVES)
            assert (tile % grid.width[0], tile // grid.width[0], half) == (
                cells.x[number], cells.y[number], cells.half[number])
