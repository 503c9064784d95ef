"""hdl.chain: rows of two sides become one row."""

import pytest

from hdl.chain import ChainStage
from hdl.config import PRESETS
from hdl.emit import emit_verilog
from tests.chain_stages import (
    OVERFLOWS,
    RATES,
    SIDES_VALID,
    STAGE_CONFIG,
    check_merging,
    check_overflow,
    full_rows,
    word_cycles,
)

CUTS = pytest.mark.parametrize("cuts", [False, True])


@RATES
@pytest.mark.parametrize("seed", range(4))
@CUTS
def test_rows_are_merged_word_by_word(cuts: bool, seed: int, gap: float, stall: float) -> None:
    check_merging(ChainStage(STAGE_CONFIG, cuts=cuts), seed, gap, stall)


def last_cycle(own: list[list[tuple]], up: list[list[tuple]], count: int, cuts: bool) -> int:
    return word_cycles(ChainStage(STAGE_CONFIG, cuts=cuts), {"i_own": own, "i_up": up}, count)[-1]


@CUTS
def test_equal_words_pass_one_a_cycle(cuts: bool) -> None:
    rows = full_rows(range(5))
    assert last_cycle(rows, rows, 100, cuts) <= 100 + 2


@CUTS
def test_an_empty_row_costs_no_cycle_beside_words(cuts: bool) -> None:
    rows = full_rows(range(5))
    assert last_cycle([[]] * 20, rows, 100, cuts) <= 100 + 2
    assert last_cycle(rows, [[]] * 20, 100, cuts) <= 100 + 2


@CUTS
def test_slices_pass_in_order_one_word_a_cycle(cuts: bool) -> None:
    assert last_cycle(full_rows(range(2)), full_rows(range(2, 5)), 100, cuts) <= 100 + 2


@OVERFLOWS
@SIDES_VALID
@CUTS
def test_overflow_is_told_where_two_valid_words_are_added(cuts: bool, own: int, up: int, wraps: int,
                                                          valid: tuple[int, int]) -> None:
    check_overflow(ChainStage(STAGE_CONFIG, cuts=cuts), own, up, wraps, valid)


@pytest.mark.parametrize("name", ["tiny", "base", "large"])
def test_it_converts_to_verilog(name: str) -> None:
    assert "module" in emit_verilog(ChainStage(PRESETS[name]), "stage")
    assert "module" in emit_verilog(ChainStage(PRESETS[name], cuts=True), "stage")
