"""hdl.lean_chain: rows of two sides become one row, a word every third cycle."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from hdl.layouts import ChainWord
from hdl.lean_chain import LeanChainStage
from tests.chain_stages import (
    OVERFLOWS,
    RATES,
    SIDES_VALID,
    STAGE_CONFIG,
    check_chain,
    check_merging,
    check_overflow,
    full_rows,
    word_cycles,
)

COMPARE_CYCLES = 1
STAGE_CYCLES = 2
LATE = pytest.mark.parametrize("late", [False, True])


class Chain(wiring.Component):
    """Stages one behind another: `i[0]` is next to the output, the last of `i` is what comes from behind."""

    def __init__(self, stages: int):
        self._stages = stages
        signature = stream.Signature(ChainWord(STAGE_CONFIG))
        super().__init__({"i": In(signature).array(stages + 1), "o": Out(signature)})

    def elaborate(self, platform):
        m = Module()
        before = flipped(self.o)
        for number in range(self._stages):
            stage = LeanChainStage(STAGE_CONFIG, up_is_stage=number < self._stages - 1)
            m.submodules[f"stage{number}"] = stage
            connect(m, stage.o, before)
            connect(m, flipped(self.i[number]), stage.i_own)
            before = stage.i_up
        connect(m, flipped(self.i[self._stages]), before)
        return m


@RATES
@pytest.mark.parametrize("seed", range(4))
@LATE
def test_rows_are_merged_word_by_word(late: bool, seed: int, gap: float, stall: float) -> None:
    check_merging(LeanChainStage(STAGE_CONFIG, ready_is_late=late), seed, gap, stall)


@LATE
@pytest.mark.parametrize(("own", "up", "one_waits"), [
    pytest.param(range(5), range(5), False, id="equal words"),
    pytest.param(range(2), range(2, 5), True, id="one slice before the other"),
    pytest.param(range(0), range(5), False, id="an empty row of its own"),
    pytest.param(range(5), range(0), False, id="an empty row from behind")])
def test_a_word_leaves_every_third_cycle(own: range, up: range, one_waits: bool, late: bool) -> None:
    cycles = word_cycles(LeanChainStage(STAGE_CONFIG, ready_is_late=late),
                         {"i_own": full_rows(own), "i_up": full_rows(up)}, 100)
    first = 1 + COMPARE_CYCLES + STAGE_CYCLES
    # In each row of five words the third one, which waited for the end of the other side's, saves a cycle.
    saves = one_waits and not late
    assert cycles == [first + 3 * number - saves * ((number + 3) // 5) for number in range(100)]


@RATES
@pytest.mark.parametrize("seed", range(4))
def test_rows_of_three_sides_are_merged_word_by_word(seed: int, gap: float, stall: float) -> None:
    check_chain(Chain(2), seed, gap, stall)


@pytest.mark.parametrize("stages", [2, 4])
def test_a_word_leaves_every_third_cycle_behind_other_stages(stages: int) -> None:
    rows = full_rows(range(5))
    cycles = word_cycles(Chain(stages), {f"i.{number}": rows for number in range(stages + 1)}, 100)
    assert cycles == [1 + COMPARE_CYCLES + stages * STAGE_CYCLES + 3 * number for number in range(100)]


@OVERFLOWS
@SIDES_VALID
def test_overflow_is_told_where_two_valid_words_are_added(own: int, up: int, wraps: int,
                                                          valid: tuple[int, int]) -> None:
    check_overflow(LeanChainStage(STAGE_CONFIG), own, up, wraps, valid)


@pytest.mark.parametrize("name", ["lean64", "lean128"])
def test_it_converts_to_verilog(name: str) -> None:
    assert "module" in emit_verilog(LeanChainStage(PRESETS[name]), "stage")
    assert "module" in emit_verilog(LeanChainStage(PRESETS[name], ready_is_late=True), "stage")
