"""synth.legalizing: groups of cells get the nearest place where they may be."""

import numpy as np

from synth.legalizing import legalize
from synth.placement import HALVES, Grid, Placement, grouped
from tests.placements import Design, design, lut, register
from tests.test_annealing import chain, multiplexer

SIZE = 12


def legalized(placed: Design, at: list[tuple[list[str], int, int]],
              near: int = 6) -> tuple[dict[str, tuple[int, ...]], list[int]]:
    """Where the cells of groups, in their order, are on a part of 12 by 12 tiles without any in column 5, and
    which groups found no place."""
    placement = Placement(placed, "top")
    cells = placement.cells
    logic = np.ones((SIZE, SIZE), np.bool_)
    logic[:, 5] = False
    grid = Grid(np.array([SIZE], np.int32), logic.reshape(-1),
                *(np.full(SIZE * SIZE * size, -1, np.int32) for size in (HALVES, HALVES, 1)))
    groups = [[placement.names.index(name) for name in names] for names, _, _ in at]
    lost = np.zeros(len(at), np.int64)
    count = legalize(cells, grid, grouped(groups, len(cells.x)), np.arange(len(at)),
                     np.array([x for _, x, _ in at]), np.array([y for _, _, y in at]), near, lost)
    return ({name: (int(cells.x[cell]), int(cells.y[cell]), int(cells.half[cell]))
             for names, _, _ in at for name in names for cell in [placement.names.index(name)]},
            list(lost[:count]))


def test_a_cell_goes_where_it_should_be_or_next_to_it() -> None:
    luts = {f"lut{number}": lut(f"X1/Y1/SLICE{'ABCD'[number // 2]}.K{number % 2}", [9], 20 + number)
            for number in range(8)}
    luts["lut8"] = lut("X2/Y1/SLICEA.K0", [9], 28)
    found, lost = legalized(design(luts), [([name], 3, 4) for name in luts])
    assert [found[f"lut{number}"] for number in range(8)] == [(3, 4, number) for number in range(8)]
    assert abs(found["lut8"][0] - 3) + abs(found["lut8"][1] - 4) == 1
    assert not lost


def test_a_chain_lies_in_one_row_of_logic_and_a_multiplexer_in_one_slice() -> None:
    cells = chain(1) | multiplexer(9, 900)
    found, lost = legalized(design(cells), [(list(chain(1)), 4, 2), (list(multiplexer(9, 900)), 3, 2)])
    x, y, _ = found["carry0"]
    assert abs(x - 4) + abs(y - 2) == 1 and x in (3, 6)     # column 5 has no logic
    assert [found[name] for name in chain(1)] == [(x + half // 8, y, half % 8) for half in range(12)]
    low, high = found["low900"], found["high900"]
    assert low[:2] == high[:2] and low[2] % 2 == 0 and high[2] == low[2] + 1
    assert not lost


def test_a_register_goes_to_others_of_its_kind_before_it_takes_a_slice_alone() -> None:
    cells = {"one": register("X1/Y1/SLICEA.FF0", 20, 30, enable=2),
             "alone": register("X1/Y1/SLICEB.FF0", 21, 31, enable=3),
             "other": register("X1/Y1/SLICEC.FF0", 22, 32, enable=2),
             "reset": register("X2/Y1/SLICEC.FF0", 23, 33, reset=4)}
    at = [(["one"], 3, 3), (["alone"], 3, 3), (["reset"], 3, 3), (["other"], 6, 3)]
    found, _ = legalized(design(cells), at, near=2)
    assert found["other"] == (6, 3, 0)
    found, _ = legalized(design(cells), at)
    assert found["one"] == (3, 3, 0) and found["other"] == (3, 3, 1)   # not in the tile where it should be
    assert found["alone"] == (3, 3, 2)
    assert found["reset"][:2] != (3, 3)


def test_who_finds_no_place_is_listed_and_the_others_have_theirs() -> None:
    chains = [chain(1, f"chain{number}_", 600 * (number + 1), 8 * 6) for number in range(13)]
    cells = {name: entry for members in chains for name, entry in members.items()}
    found, lost = legalized(design(cells), [(list(members), 6, 6) for members in chains])
    assert lost == [12]
    placed = [found[name] for members in chains[:12] for name in members]
    assert len(set(placed)) == len(placed)
