"""synth.boards: whole systems become bitstreams that keep their clock; minutes each."""

from dataclasses import replace
from pathlib import Path

import pytest

from hdl.config import PRESETS
from synth.boards.boards import board_by_name
from synth.boards.build import build_board
from synth.progress import Progress


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name, preset", [("ulx3s", "tiny"), ("ulx3s", "small"), ("orangecrab-25f", "tiny"),
                                          ("icebreaker", "micro")])
def test_a_preset_becomes_a_bitstream_for_a_board_and_keeps_its_clock(name: str, preset: str) -> None:
    board = board_by_name(name)
    record = build_board(board, PRESETS[preset], Progress())
    assert record["fits"], record["reason"]
    assert record["luts"] <= board.target.holds.luts
    assert record["fmax_mhz"] >= record["clock_mhz"]
    assert Path(record["bitstream"]).stat().st_size > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_four_lanes_become_a_bitstream_for_the_tang_nano_and_keep_their_clock() -> None:
    config = replace(PRESETS["tiny"], name="four", lanes=2, tile_bytes=2048, scale_multipliers=0,
                     block_queues=True)
    record = build_board(board_by_name("tangnano20k"), config, Progress(), memory_bytes=32 * 1024)
    assert record["fits"], record["reason"]
    assert record["fmax_mhz"] >= record["clock_mhz"]
    assert Path(record["bitstream"]).stat().st_size > 0
