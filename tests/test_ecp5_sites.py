"""synth.ecp5_sites: as many places as the parts hold."""

import pytest

from synth.ecp5_sites import BLOCKS, sites_of
from synth.placement import HALVES
from synth.targets import TARGETS


@pytest.mark.parametrize("target", [name for name in TARGETS if name.startswith("ecp5")])
def test_a_part_has_the_places_that_it_is_sold_with(target: str) -> None:
    part = TARGETS[target]
    sites = sites_of(part.place_options[0])
    assert HALVES * sites.logic.sum() == part.holds.luts
    assert [len(sites.blocks[kind]) for kind in BLOCKS] == [part.holds.brams, part.holds.dsps]


def test_a_part_with_transceivers_has_those_of_the_one_without() -> None:
    assert sites_of("--um5g-85k").blocks == sites_of("--85k").blocks


def test_places_have_the_names_that_nextpnr_gives() -> None:
    """Read from a design that nextpnr has placed."""
    blocks = sites_of("--25k").blocks
    names = {name for kind in BLOCKS for _, _, name in blocks[kind]}
    assert len(names) == 84
    assert {"X10/Y25/EBR3", "X13/Y25/EBR0", "X24/Y25/EBR1", "X8/Y25/EBR2", "X5/Y13/MULT18_1",
            "X8/Y13/MULT18_4", "X18/Y13/MULT18_5", "X22/Y13/MULT18_0"} <= names
