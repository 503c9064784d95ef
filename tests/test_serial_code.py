"""hdl.serial_code: programs are put together as they are meant, or refused."""

import pytest

from hdl.serial_code import (
    CONSTANTS,
    LOG_BASE,
    LOG_WORDS,
    MEMORY_WORDS,
    OP_SHIFT,
    WORDS,
    Assembler,
    CodeError,
    Op,
)

READS = (Op.LOAD, Op.ADD, Op.SUBTRACT, Op.AND, Op.MULTIPLY)
FIRST_VARIABLE = LOG_BASE + LOG_WORDS


def words(code: Assembler) -> list[tuple[Op, int]]:
    """Instructions of a program that begins and traps at its first place."""
    if "begin" not in code._labels:
        code._labels["begin"] = 0
    program = code.program("begin", "begin")
    return [(Op(word >> OP_SHIFT), word & (1 << OP_SHIFT) - 1) for word in program.words]


@pytest.mark.parametrize("op", READS)
def test_a_word_may_not_be_read_right_after_it_was_stored(op: Op) -> None:
    code = Assembler()
    place = code.variable("x")
    code.do(Op.STORE, place)
    with pytest.raises(CodeError, match=rf"{op.name} of the word .* stores, in place 1"):
        code.do(op, place)


@pytest.mark.parametrize("op", READS)
def test_a_word_may_be_read_two_instructions_after_it_was_stored(op: Op) -> None:
    code = Assembler()
    x, y = code.variable("x"), code.variable("y")
    code.do(Op.STORE, x)
    code.do(op, y)
    code.do(op, x)
    assert words(code) == [(Op.STORE, x), (op, y), (op, x)]


@pytest.mark.parametrize("op", [Op.STORE, Op.SET, Op.LOAD_FROM, Op.EVENT])
def test_what_does_not_read_the_memory_may_follow_a_store_to_its_number(op: Op) -> None:
    code = Assembler()
    code.do(Op.STORE, 3)
    code.do(op, 3)
    assert words(code) == [(Op.STORE, 3), (op, 3)]


def test_the_word_that_was_stored_last_is_known() -> None:
    code = Assembler()
    assert not code.stores_last(5)
    code.do(Op.STORE, 5)
    assert code.stores_last(5) and not code.stores_last(6)
    code.do(Op.LOAD, 6)
    assert not code.stores_last(5)


def test_a_place_has_its_label_and_others_have_none() -> None:
    code = Assembler()
    code.do(Op.LOAD, 3)
    assert not code.is_labelled()
    code.label("here")
    assert code.is_labelled()
    code.do(Op.JUMP, "here")
    assert not code.is_labelled()
    assert words(code) == [(Op.LOAD, 3), (Op.JUMP, 1)]


def test_a_jump_goes_to_labels_behind_it_too() -> None:
    code = Assembler()
    code.do(Op.JUMP_ZERO, "end")
    code.do(Op.CALL, "end")
    code.label("end")
    code.do(Op.RETURN)
    assert words(code) == [(Op.JUMP_ZERO, 2), (Op.CALL, 2), (Op.RETURN, 0)]


def test_two_places_of_one_name_are_refused() -> None:
    code = Assembler()
    code.label("here")
    code.do(Op.SERVE)
    with pytest.raises(CodeError, match="'here' is there twice"):
        code.label("here")


def test_a_jump_to_nowhere_is_refused_with_its_place() -> None:
    code = Assembler()
    code.label("begin")
    code.do(Op.SERVE)
    code.do(Op.JUMP, "elsewhere")
    with pytest.raises(CodeError, match="word 1 of the program: there is no place 'elsewhere'"):
        code.program("begin", "begin")


def test_what_is_between_two_pieces_traps() -> None:
    code = Assembler()
    code.label("begin")
    code.do(Op.SERVE)
    code.at(4)
    code.label("trap")
    code.do(Op.EVENT, 5)
    program = code.program("begin", "trap")
    trap = Op.JUMP << OP_SHIFT | 4
    assert program.words == [Op.SERVE << OP_SHIFT, trap, trap, trap, Op.EVENT << OP_SHIFT | 5]


def test_a_piece_cannot_begin_where_another_one_is() -> None:
    code = Assembler()
    for _ in range(3):
        code.do(Op.SERVE)
    code.at(3)
    with pytest.raises(CodeError, match=r"word 2 of the program is taken: 3 words are before it"):
        code.at(2)


def test_a_program_knows_where_it_begins_and_traps() -> None:
    code = Assembler()
    for name in ("x", "begin", "trap"):
        code.do(Op.SERVE)
        code.label(name)
    program = code.program("begin", "trap")
    assert (program.first, program.trap) == (2, 3)


def test_a_program_as_long_as_its_memory_is_the_longest() -> None:
    code = Assembler()
    code.label("begin")
    code.at(WORDS)
    code.label("nearly nowhere")
    assert len(code.program("begin", "begin").words) == WORDS
    code.do(Op.SERVE)
    with pytest.raises(CodeError, match=f"the program has {WORDS + 1} words; {WORDS} are the most"):
        code.program("begin", "begin")


def test_variables_are_behind_the_log_each_in_a_word_of_its_own() -> None:
    code = Assembler()
    assert [code.variable(name) for name in ("a", "b", "a", "c")] == [
        FIRST_VARIABLE, FIRST_VARIABLE + 1, FIRST_VARIABLE, FIRST_VARIABLE + 2]


def test_equal_constants_share_a_word() -> None:
    code = Assembler()
    assert [code.constant(value) for value in (7, -1, 7, (1 << 32) - 1, 0)] == [
        CONSTANTS, CONSTANTS + 1, CONSTANTS, CONSTANTS + 1, CONSTANTS + 2]
    code.label("begin")
    assert code.program("begin", "begin").constants == [7, (1 << 32) - 1, 0]


def test_variables_do_not_reach_into_the_constants() -> None:
    code = Assembler()
    code.label("begin")
    for number in range(CONSTANTS - FIRST_VARIABLE):
        assert code.variable(f"x{number}") < CONSTANTS
    code.program("begin", "begin")
    code.variable("one more")
    with pytest.raises(CodeError, match=f"has {CONSTANTS + 1} words of variables, {CONSTANTS} are the most"):
        code.program("begin", "begin")


def test_constants_do_not_reach_behind_the_memory() -> None:
    code = Assembler()
    code.label("begin")
    for number in range(MEMORY_WORDS - CONSTANTS):
        assert code.constant(number) < MEMORY_WORDS
    code.program("begin", "begin")
    code.constant(1 << 20)
    most = MEMORY_WORDS - CONSTANTS
    with pytest.raises(CodeError, match=f"and {most + 1} constants, of {most}"):
        code.program("begin", "begin")
