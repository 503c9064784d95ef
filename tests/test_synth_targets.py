"""synth.targets: the table of parts, and how names that are not in it are answered."""

import re

import pytest
from amaranth.hdl import Fragment

from hdl.config import PRESETS
from synth.blocks import block_names, make_block
from synth.targets import TARGETS, TargetError, target_by_name


def test_every_family_has_its_parts() -> None:
    assert {target.family for target in TARGETS.values()} == {"ecp5", "ice40", "gowin"}


def test_a_target_s_name_finds_the_part_that_it_says() -> None:
    assert {name: target_by_name(name).part for name in TARGETS} == {
        "ecp5-12k": "LFE5U-12F CABGA381", "ecp5-25k": "LFE5U-25F CABGA381", "ecp5-45k": "LFE5U-45F CABGA381",
        "ecp5-85k": "LFE5U-85F CABGA381", "ice40-up5k": "iCE40UP5K SG48", "ice40-hx8k": "iCE40HX8K CT256",
        "gw1nr-9": "GW1NR-LV9QN88PC6/I5", "gw2a-18": "GW2A-LV18PG256C8/I7",
        "gw2ar-18": "GW2AR-LV18QN88C8/I7"}


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


@pytest.mark.parametrize("preset", ["tiny", "base"])
def test_every_block_is_made_or_the_configuration_has_none(preset: str) -> None:
    config, made = PRESETS[preset], set()
    for name in block_names():
        try:
            Fragment.get(make_block(name, config), None)
            made.add(name)
        except TargetError as error:
            assert str(error) == f"--block {name}: the array of configuration {preset!r} has none"
    assert {"array", "pe", "fetch", "chain_stage", "collector", "tile_loader", "reader"} <= made
    assert ("csr_out" in made) == ("merger" in made) == (preset == "base") and "row_filter" not in made


@pytest.mark.parametrize("name", ["pe", "read_port", "multiplier", "fetch"])
def test_a_serial_array_has_none_of_the_blocks_that_work_side_by_side(name: str) -> None:
    with pytest.raises(TargetError, match=f"--block {name}: the array of configuration 'micro' has none"):
        make_block(name, PRESETS["micro"])


def test_an_unknown_block_is_answered_with_the_nearest() -> None:
    with pytest.raises(TargetError, match="--block waker; did you mean 'walker'"):
        make_block("waker", PRESETS["small"])
