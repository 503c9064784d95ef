"""synth.suggestions: what to say of a name that is not known."""

import pytest

from synth.boards.boards import board_by_name
from synth.suggestions import hint
from synth.targets import TargetError

KNOWN = ("ecp5-25k", "ecp5-45k", "gw2a-18")


@pytest.mark.parametrize("word, said", [
    ("ecp5", "did you mean 'ecp5-25k' or 'ecp5-45k'?"),
    ("ecp5-46k", "did you mean 'ecp5-45k'?"),
    ("zzz", "it must be one of ecp5-25k, ecp5-45k, gw2a-18"),
    ("", "it must be one of ecp5-25k, ecp5-45k, gw2a-18")])
def test_all_that_begin_with_a_word_are_named_or_the_nearest_or_all(word: str, said: str) -> None:
    assert hint(word, KNOWN) == said


def test_boards_of_one_name_with_different_parts_are_both_named() -> None:
    with pytest.raises(TargetError, match=r"did you mean 'orangecrab-25f' \(OrangeCrab r0\.2 25F\) or "
                                          r"'orangecrab-85f' \(OrangeCrab r0\.2 85F\)\?"):
        board_by_name("orangecrab")
