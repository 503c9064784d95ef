"""synth.annealing: wires get shorter, and every cell stays where nextpnr allows it to be."""

from typing import Any

import numpy as np
import pytest

from synth.annealing import Problem, anneal, net_lengths
from synth.placement import FIXED, Placement, grouped
from synth.tile_rules import all_allowed
from tests.placements import Design, assert_every_cell_has_a_place, cell, design, lut, register, scattered


def annealed(placed: Design, *, rounds: int = 20, temperature: float = 0.5, seed: int = 1,
             connections: list[list[int]] | None = None, weight: float = 0.0) -> tuple[Placement, Problem]:
    """A placement after some thousand attempts, the last ones cold."""
    placement = Placement(placed, "top")
    cells = placement.cells
    pairs = connections or []
    problem = Problem(
        cells, placement.grid, placement.nets, net_lengths(cells, placement.nets),
        grouped(pairs, len(cells.x)), np.array([pair[0] for pair in pairs], np.int32),
        np.array([pair[1] for pair in pairs], np.int32),
        np.flatnonzero((cells.kind > 0) & (cells.unit < FIXED)))
    for number in range(rounds):
        anneal(problem, np.full(len(pairs), weight), 500, 4, temperature if number < rounds / 2 else 0.0,
               100 * seed + number)
    return placement, problem


@pytest.mark.parametrize("seed", range(5))
def test_wires_get_shorter_and_all_cells_stay_where_they_are_allowed(seed: int) -> None:
    placed = scattered(seed)
    placement = Placement(placed, "top")
    before = net_lengths(placement.cells, placement.nets).sum()
    assert all_allowed(placement.cells, placement.grid)
    placement, problem = annealed(placed, seed=seed)
    assert all_allowed(placement.cells, placement.grid)
    assert problem.lengths.sum() < 0.6 * before
    assert (problem.lengths == net_lengths(placement.cells, placement.nets)).all()


@pytest.mark.parametrize("seed", range(3))
def test_every_cell_has_a_place_of_its_own(seed: int) -> None:
    placement, _ = annealed(scattered(seed), seed=seed)
    assert_every_cell_has_a_place(placement)


@pytest.mark.parametrize("seed", range(3))
def test_a_register_stays_with_the_lut_whose_output_it_takes(seed: int) -> None:
    placement, _ = annealed(scattered(seed), seed=seed)
    cells, tied = placement.cells, 0
    for number, name in enumerate(placement.names):
        if name.startswith("register") and "DI" in placement.connections(number):
            before = placement.names.index(name.replace("register", "lut"))
            assert [(cells.x[cell], cells.y[cell], cells.half[cell]) for cell in (number, before)].count(
                (cells.x[number], cells.y[number], cells.half[number])) == 2
            tied += 1
    assert tied


def multiplexer(x: int, first: int) -> dict[str, Any]:
    """Two LUTs of a slice and what chooses between them; its output is net `first` + 2."""
    return {f"low{first}": lut(f"X{x}/Y1/SLICEC.K0", [10], first, F1=first + 1, M=11, OFX=first + 2),
            f"high{first}": lut(f"X{x}/Y1/SLICEC.K1", [10], first + 1)}


def test_the_luts_of_a_multiplexer_stay_together() -> None:
    placed = design({**multiplexer(9, 20), **multiplexer(8, 30),
                     "source": register("X1/Y1/SLICEA.FF0", 40, 10), "sink": lut("X1/Y1/SLICEA.K0", [22], 40),
                     **{f"free{x}": lut(f"X{x}/Y1/SLICEB.K0", [60 + x], 80 + x) for x in range(2, 8)}})
    placement, _ = annealed(placed)
    cells, names = placement.cells, placement.names
    low, high = names.index("low20"), names.index("high20")
    assert (cells.x[low], cells.half[low] + 1) == (cells.x[high], cells.half[high])
    assert cells.half[low] % 2 == 0 and cells.x[low] < 9
    assert all_allowed(cells, placement.grid)


def chain(x: int, name: str = "carry", net: int = 20, halves: int = 12) -> dict[str, Any]:
    """From slice A of a tile on; net 10 is what it adds."""
    return {f"{name}{half}": cell(
        "TRELLIS_COMB", f"X{x + half // 8}/Y1/SLICE{'ABCD'[half % 8 // 2]}.K{half % 2}",
        {"A": 10, "FCI": net + half}, {"F": net + 400 + half, "FCO": net + 1 + half}, MODE="CCU2")
        for half in range(halves)}


def test_a_carry_chain_moves_as_one() -> None:
    pad = cell("MULT18X18D", "X1/Y1/MULT18_0", {"A0": 420}, {"P0": 10})
    free = {f"free{x}": lut(f"X{x}/Y1/SLICEC.K0", [60 + x], 80 + x) for x in range(1, 8)}
    placement, _ = annealed(design({**chain(8), **free, "pad": pad}))
    cells, names = placement.cells, placement.names
    places = [(cells.x[number] - cells.x[names.index("carry0")], cells.y[number], cells.half[number])
              for number in map(names.index, chain(8))]
    assert places == [(half // 8, 1, half % 8) for half in range(12)]
    assert cells.x[names.index("carry0")] == 1      # it went to what it adds, and no further
    assert all_allowed(cells, placement.grid)


def test_chains_do_not_cut_each_other() -> None:
    """Two that lie one behind the other, and a third, can only be exchanged as wholes."""
    pad = cell("MULT18X18D", "X1/Y1/MULT18_0", {"A0": 420}, {"P0": 10})
    chains = {"carry": chain(7), "next": chain(4, "next", 600, 20), "third": chain(1, "third", 800, 10)}
    placement, _ = annealed(design({**chains["carry"], **chains["next"], **chains["third"], "pad": pad}),
                            temperature=100.0)
    cells, names = placement.cells, placement.names
    for name, members in chains.items():
        first = cells.x[names.index(f"{name}0")]
        assert [(cells.x[number] - first, cells.half[number]) for number in map(names.index, members)] == [
            (half // 8, half % 8) for half in range(len(members))]
    assert all_allowed(cells, placement.grid)


def test_a_distributed_ram_moves_with_its_write_port() -> None:
    ram = {f"ram{half}": cell("TRELLIS_COMB", f"X9/Y1/SLICE{'AB'[half // 2]}.K{half % 2}",
                              {"A": 10, "WD": 70 + half}, {"F": 30 + half}, MODE="DPRAM")
           for half in range(4)}
    blocked = {f"blocked{half}": cell("TRELLIS_COMB", f"X9/Y1/SLICEC.K{half}", {}, {}, MODE="RAMW_BLOCK")
               for half in range(2)}
    port = {"port": cell("TRELLIS_RAMW", "X9/Y1/SLICEC.RAMW", {"A0": 11},
                         {f"WDO{half}": 70 + half for half in range(4)})}
    ends = {f"end{half}": cell("MULT18X18D", f"X1/Y1/MULT18_{half}", {"A0": 30 + half}, {"P0": 11 - half})
            for half in range(2)}
    free = {f"free{x}": lut(f"X{x}/Y1/SLICEC.K0", [60 + x], 80 + x) for x in range(2, 9)}
    placement, _ = annealed(design({**ram, **blocked, **port, **ends, **free}))
    cells, names = placement.cells, placement.names
    columns = {cells.x[names.index(name)] for name in (*ram, *blocked, *port)}
    assert len(columns) == 1 and columns != {9}
    assert all_allowed(cells, placement.grid)


def test_what_counts_more_gets_shorter() -> None:
    """A cell between two others, one of which has three nets to it."""
    placed = design({
        "left": register("X1/Y1/SLICEA.FF0", 60, 10), "middle": lut("X5/Y1/SLICEA.K0", [10, 11, 12, 13], 20),
        **{f"right{bit}": cell("MULT18X18D", f"X9/Y1/MULT18_{bit}", {"A0": 61}, {"P0": 11 + bit})
           for bit in range(3)},
        **{f"free{x}": lut(f"X{x}/Y1/SLICED.K0", [60 + x], 80 + x) for x in range(1, 10)}})
    names = Placement(placed, "top").names
    cells = placed["modules"]["top"]["cells"]
    cells["left"] = cell("MULT18X18D", "X1/Y1/MULT18_0", {"A0": 60}, {"P0": 10})
    middle, left = names.index("middle"), names.index("left")
    found = [annealed(placed, connections=[[left, middle]], weight=weight)[0].cells.x[middle]
             for weight in (0.0, 10.0)]
    assert found == [9, 1]
