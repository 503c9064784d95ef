"""synth.targets: the table of parts, and how names that are not in it are answered."""

import re

import pytest

from synth.blocks import block_names, make_block
from synth.targets import TARGETS, TargetError, target_by_name


def test_every_family_has_its_parts() -> None:
    assert {target.family for target in TARGETS.values()} == {"ecp5", "ice40", "gowin"}
    assert all(name == target.name for name, target in TARGETS.items())


def test_every_ecp5_is_made_in_three_speed_grades_and_is_taken_as_the_slowest() -> None:
    for name, target in TARGETS.items():
        if name.startswith("ecp5"):
            assert target.speeds == ("6", "7", "8") and target.speed == "6"
            assert target.speed_options("8") == ("--speed", "8")


def test_a_speed_grade_that_is_not_made_is_refused_with_those_that_are() -> None:
    with pytest.raises(TargetError, match="target ecp5-45k, speed grade 5; it must be one of 6, 7, 8"):
        TARGETS["ecp5-45k"].speed_options("5")


@pytest.mark.parametrize("name, answer", [
    ("ecp5-45", "did you mean 'ecp5-45k'"), ("up5k", "did you mean 'ice40-up5k'"),
    ("zzz", "it must be one of ecp5"),
])
def test_an_unknown_target_is_answered_with_the_nearest(name: str, answer: str) -> None:
    with pytest.raises(TargetError, match=re.escape(answer)):
        target_by_name(name)


def test_blocks_are_found_by_name_and_others_answered_with_the_nearest() -> None:
    from hdl.config import PRESETS

    names = block_names()
    assert {"array", "pe", "fetch", "chain_stage", "collector", "tile_loader", "reader"} <= set(names)
    for name in names:
        assert make_block(name, PRESETS["base"]) is not None
    with pytest.raises(TargetError, match="'merge_sorter' is not in configuration 'small'"):
        make_block("merge_sorter", PRESETS["small"])
    with pytest.raises(TargetError, match="did you mean 'walker'"):
        make_block("waker", PRESETS["small"])
