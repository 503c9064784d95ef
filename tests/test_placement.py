"""synth.placement: a placed design is read and written as it is."""

from pathlib import Path

import pytest

from synth.placement import FIXED, HALF, PAIR, SLICE, TILE, Placement
from tests.placements import cell, design, lut, register, scattered, sites


@pytest.mark.parametrize("seed", range(3))
def test_what_is_not_moved_is_written_where_it_was(seed: int, tmp_path: Path) -> None:
    placed = scattered(seed)
    before = sites(placed)
    Placement(placed, "top").write(tmp_path / "placed.json")
    again = Placement.read(tmp_path / "placed.json", "top")
    assert sites(placed) == before
    assert again.names == list(before)


def test_what_moved_is_written_where_it_is(tmp_path: Path) -> None:
    placed = design({"a": lut("X1/Y2/SLICEA.K0", [9], 10), "b": register("X1/Y2/SLICEA.FF1", 10, 11),
                     "c": cell("TRELLIS_RAMW", "X3/Y2/SLICEC.RAMW", {}, {})})
    placement = Placement(placed, "top")
    for name, (x, y, half) in {"a": (4, 5, 7), "b": (6, 7, 2), "c": (8, 9, 4)}.items():
        number = placement.names.index(name)
        placement.cells.x[number], placement.cells.y[number], placement.cells.half[number] = x, y, half
    placement.write(tmp_path / "placed.json")
    assert sites(placed) == {"clock": "X0/Y0/DCC", "a": "X4/Y5/SLICED.K1", "b": "X6/Y7/SLICEB.FF0",
                             "c": "X8/Y9/SLICEC.RAMW"}


def test_places_are_written_onto_the_same_cells_of_another_part(tmp_path: Path) -> None:
    cells = {"a": lut("X1/Y2/SLICEA.K0", [9], 10), "b": cell("DP16KD", "X1/Y3/EBR0", {"A": 10}, {})}
    other = design({name: {**entry, "attributes": {}} for name, entry in cells.items()})
    Placement(design(cells), "top").write(tmp_path / "placed.json", other, {"b": "X5/Y6/EBR1"})
    assert sites(other) == {"clock": "X0/Y0/DCC", "a": "X1/Y2/SLICEA.K0", "b": "X5/Y6/EBR1"}
    with pytest.raises(AssertionError, match=r"placed\.json"):
        Placement(design(cells), "top").write(tmp_path / "placed.json", design({"a": cells["a"]}))


def test_read_again_it_has_cells_where_they_are_now_and_copies() -> None:
    placed = design({"a": lut("X1/Y2/SLICEA.K0", [9], 10), "b": register("X1/Y2/SLICEB.FF1", 10, 11),
                     "ram": cell("DP16KD", "X1/Y3/EBR0", {"A": 10}, {})})
    placement = Placement(placed, "top")
    a, b = (placement.names.index(name) for name in "ab")
    placement.cells.x[a], placement.cells.half[a] = 4, 7
    placement.add_copy(a, (2 * int(placement.grid.width[0]) + 1) * 8 + 3, [(b, "M")])
    again = placement.read_again({"ram": "X5/Y6/EBR1"})
    *names, copy = again.names
    assert names == ["clock", "a", "b", "ram"]
    assert sites(placed) == {"clock": "X0/Y0/DCC", "a": "X4/Y2/SLICED.K1", "b": "X1/Y2/SLICEB.FF1",
                             "ram": "X5/Y6/EBR1", copy: "X1/Y2/SLICEB.K1"}
    (net,) = again.connections(again.names.index(copy))["F"]
    assert again.connections(again.names.index("b"))["M"] == [net] != [10]
    assert again.connections(again.names.index("ram"))["A"] == [10]


def test_a_copy_is_for_sinks_of_the_original_only() -> None:
    placement = Placement(design({"a": lut("X1/Y2/SLICEA.K0", [9], 10),
                                  "b": register("X1/Y2/SLICEB.FF1", 12, 11)}), "top")
    with pytest.raises(AssertionError, match="b/M does not hear a"):
        placement.add_copy(placement.names.index("a"), 3, [(placement.names.index("b"), "M")])


def test_cells_move_with_what_they_cannot_be_without() -> None:
    wide = {f"low{slice_number}": lut(f"X1/Y1/SLICE{'AB'[slice_number]}.K0", [9], 20 + slice_number,
                                      F1=30 + slice_number, M=8, OFX=40 + slice_number)
            for slice_number in range(2)}
    wide |= {"high0": lut("X1/Y1/SLICEA.K1", [9], 30, FXA=40, FXB=41, M=7, OFX=50),
             "high1": lut("X1/Y1/SLICEB.K1", [9], 31)}
    inverted = register("X4/Y1/SLICEA.FF0", 52, 53)
    inverted["parameters"]["LSRMUX"] = "INV"
    placement = Placement(design({
        **wide, "plain": lut("X2/Y1/SLICEA.K0", [9], 51), "free": register("X2/Y1/SLICEB.FF0", 51, 52),
        "low2": lut("X3/Y1/SLICEA.K0", [9], 22, F1=32, M=8, OFX=42), "high2": lut("X3/Y1/SLICEA.K1", [9], 32),
        "behind": register("X3/Y1/SLICEA.FF1", 32, 33, by_lut=True), "inverted": inverted,
        "ram": cell("TRELLIS_COMB", "X5/Y1/SLICEA.K0", {"A": 9}, {"F": 60}, MODE="DPRAM"),
        "carry": cell("TRELLIS_COMB", "X5/Y1/SLICED.K0", {"A": 9}, {"F": 61}, MODE="CCU2"),
        "no lut before it": register("X6/Y1/SLICEA.FF0", 61, 62, by_lut=True)}), "top")
    units = {name: int(placement.cells.unit[number]) for number, name in enumerate(placement.names)}
    assert units == {"clock": HALF, "low0": PAIR, "low1": PAIR, "high0": PAIR, "high1": PAIR, "plain": HALF,
                     "free": HALF, "low2": SLICE, "high2": SLICE, "behind": SLICE, "inverted": FIXED,
                     "ram": TILE, "carry": TILE, "no lut before it": FIXED}


def test_the_clock_is_no_net_and_a_net_of_one_cell_neither() -> None:
    placement = Placement(design({"a": register("X1/Y1/SLICEA.FF0", 11, 10),
                                  "b": lut("X2/Y1/SLICEA.K0", [10], 11),
                                  "c": register("X2/Y1/SLICEB.FF0", 12, 13)}), "top")
    nets = placement.nets
    names = [{placement.names[member] for member in nets.members[start:end]}
             for start, end in zip(nets.first[:-1], nets.first[1:], strict=True)]
    assert names == [{"a", "b"}, {"a", "b"}]
    assert list(nets.of[nets.of_first[1]:nets.of_first[2]]) == [0, 1]
