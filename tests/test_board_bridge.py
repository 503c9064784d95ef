"""synth.boards.bridge: commands that come damaged, cut short, late or twice."""

import random

import pytest

from synth.boards.protocol import (
    IRQ_BIT,
    MAX_WORDS,
    PROTOCOL_VERSION,
    SYNC_COMMAND,
    Operation,
    Status,
)
from tests.bridges import (
    CLOCK_HZ,
    FAILING,
    GAP_CYCLES,
    MEMORY_BYTES,
    READS,
    WRITES,
    Answer,
    Command,
    Deed,
    draw,
    talk,
)

# ---- twice ----


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize("seed", range(3))
def test_a_write_that_is_repeated_is_answered_each_time_and_done_once(operation: Operation,
                                                                      seed: int) -> None:
    command = draw(random.Random(seed), operation)
    assert talk([command.frame] * 3, seed=seed) == ([command.answer] * 3, command.deeds)


@pytest.mark.parametrize("operation", WRITES)
def test_a_write_that_comes_again_with_another_number_is_done_again(operation: Operation) -> None:
    commands = [Command(sequence, operation, 4, (5, 6)) for sequence in (255, 0)]
    assert talk([command.frame for command in commands]) == ([command.answer for command in commands],
                                                             commands[0].deeds * 2)


@pytest.mark.parametrize("sequence", [0, 255])
def test_the_first_write_after_the_reset_is_done_whatever_its_number(sequence: int) -> None:
    command = Command(sequence, Operation.WRITE_REGISTER, 4, (5,))
    assert talk([command.frame]) == ([command.answer], command.deeds)


@pytest.mark.parametrize("command", [Command(9, Operation.WRITE_REGISTER, FAILING - 4, (1, 2)),
                                     Command(9, Operation.WRITE_MEMORY, MEMORY_BYTES - 4, (1, 2))])
def test_a_write_that_failed_is_answered_as_failed_when_it_is_repeated(command: Command) -> None:
    assert talk([command.frame] * 2) == ([Answer(9, Status.BUS_ERROR)] * 2, command.deeds)


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize("seed", range(3))
def test_a_read_that_is_repeated_is_answered_the_same(operation: Operation, seed: int) -> None:
    command = draw(random.Random(seed), operation)
    assert talk([command.frame] * 3, seed=seed)[0] == [command.answer] * 3


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize("seed", range(2))
def test_a_read_that_is_repeated_after_a_damaged_write_is_answered_the_same(operation: Operation,
                                                                            seed: int) -> None:
    rng = random.Random(seed)
    command, write = draw(rng, operation), draw(rng, Operation.WRITE_MEMORY)
    frames = [command.frame, write.frame[:-1] + bytes([write.frame[-1] ^ 1]), command.frame]
    assert talk(frames, seed=seed)[0] == [command.answer] * 2


@pytest.mark.parametrize("seed", range(2))
def test_a_write_that_is_repeated_after_a_damaged_one_is_still_done_once(seed: int) -> None:
    rng = random.Random(seed)
    command = draw(rng, Operation.WRITE_REGISTER, 7)
    damaged = bytearray(draw(rng, Operation.WRITE_REGISTER, 8).frame)
    damaged[-1] ^= 1
    assert talk([command.frame, damaged, command.frame], seed=seed) == ([command.answer] * 2, command.deeds)


# ---- damaged ----


@pytest.mark.parametrize("operation", [*READS, *WRITES])
def test_whichever_bit_is_flipped_there_is_no_answer_and_nothing_is_done(operation: Operation) -> None:
    frame = Command(0x5A, operation, 0x14, (0x0F33_C3A5,) if operation in WRITES else (), 1).frame
    frames = []
    for place in range(8 * len(frame)):
        damaged = bytearray(frame)
        damaged[place // 8] ^= 1 << place % 8
        frames.append(bytes(damaged))
    assert talk(frames) == ([], [])


@pytest.mark.parametrize("seed", range(4))
def test_after_damaged_commands_the_next_is_answered(seed: int) -> None:
    rng = random.Random(seed)
    frames = []
    for _ in range(10):
        damaged = bytearray(draw(rng, rng.choice([*READS, *WRITES])).frame)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        frames.append(bytes(damaged))
    command = draw(rng, rng.choice([*READS, *WRITES]))
    assert talk([*frames, command.frame], seed=seed) == ([command.answer], command.deeds)


@pytest.mark.parametrize("operation", [*READS, *WRITES])
def test_wherever_a_command_ends_too_early_the_next_is_answered(operation: Operation) -> None:
    command = draw(random.Random(2), operation)
    cut = [command.frame[:length] for length in range(1, len(command.frame))]
    assert talk([*cut, command.frame]) == ([command.answer], command.deeds)


@pytest.mark.parametrize("operation", [*READS, *WRITES])
def test_whichever_byte_is_lost_the_next_command_is_answered(operation: Operation) -> None:
    command = draw(random.Random(3), operation)
    lossy = [command.frame[:place] + command.frame[place + 1:] for place in range(len(command.frame))]
    assert talk([*lossy, command.frame]) == ([command.answer], command.deeds)


@pytest.mark.parametrize("operation", [*READS, *WRITES])
def test_whichever_byte_but_the_last_comes_twice_the_next_command_is_answered(operation: Operation) -> None:
    command = draw(random.Random(4), operation)
    doubled = [command.frame[:place] + command.frame[place - 1:] for place in range(1, len(command.frame))]
    assert talk([*doubled, command.frame]) == ([command.answer], command.deeds)


@pytest.mark.parametrize("seed", range(2))
def test_what_is_no_command_is_passed_over(seed: int) -> None:
    rng = random.Random(seed)
    command = draw(rng, Operation.READ_MEMORY)
    noise = bytes(rng.choice([byte for byte in range(256) if byte != SYNC_COMMAND]) for _ in range(30))
    assert talk([noise + command.frame], seed=seed) == ([command.answer], command.deeds)


# ---- late ----


def paused(cycles: int) -> tuple[list[Answer], list[Command], list[Deed]]:
    """Answers to writes of which each has so many cycles behind another one of its bytes; these; deeds."""
    places = range(1, len(Command(0, Operation.WRITE_REGISTER, 8, (0,)).frame))
    commands = [Command(place, Operation.WRITE_REGISTER, 8, (place,)) for place in places]
    answers, deeds = talk([command.frame for command in commands],
                          pauses={number * (len(places) + 1) + place: cycles
                                  for number, place in enumerate(places)})
    return answers, commands, deeds


def test_wherever_a_command_pauses_for_the_gap_it_goes_on() -> None:
    answers, commands, deeds = paused(GAP_CYCLES)
    assert answers == [command.answer for command in commands]
    assert deeds == [deed for command in commands for deed in command.deeds]


def test_wherever_a_command_pauses_for_longer_than_the_gap_it_is_dropped() -> None:
    answers, _, deeds = paused(GAP_CYCLES + 2)
    assert (answers, deeds) == ([], [])


# ---- refused ----


@pytest.mark.parametrize("operation", [*READS, *WRITES])
def test_more_words_than_there_may_be_get_no_answer_and_the_next_command_does(operation: Operation) -> None:
    # Words without a byte that looks like a command's beginning, so that none is waited for.
    long = [Command(5, operation, 0, (0x0102_0304,) * words if operation in WRITES else (), words)
            for words in (MAX_WORDS + 1, 128, 255)]
    command = draw(random.Random(6), operation)
    assert talk([*(one.frame for one in long), command.frame]) == ([command.answer], command.deeds)


@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("operation", [Operation.READ_MEMORY, Operation.WRITE_MEMORY])
def test_as_many_words_as_there_may_be_are_done(operation: Operation, halved: bool) -> None:
    rng = random.Random(6)
    values = tuple(rng.getrandbits(32) for _ in range(MAX_WORDS)) if operation in WRITES else ()
    command = Command(6, operation, 0x100, values, MAX_WORDS)
    assert talk([command.frame], halved=halved) == ([command.answer], command.deeds)


# Reads of what these writes do not change: `untouched` tells what it holds.
@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("operations", [(Operation.READ_MEMORY, Operation.WRITE_REGISTER),
                                        (Operation.READ_REGISTER, Operation.WRITE_MEMORY)])
@pytest.mark.parametrize("seed", range(2))
def test_commands_of_any_length_are_done_one_after_the_other(
        seed: int, operations: tuple[Operation, Operation], halved: bool) -> None:
    rng = random.Random(seed)
    commands = [draw(rng, rng.choice(operations), number, 12) for number in range(16)]
    assert talk([command.frame for command in commands], seed=seed, halved=halved) == (
        [command.answer for command in commands], [deed for command in commands for deed in command.deeds])


def test_an_unknown_operation_is_answered_as_such_without_a_word() -> None:
    known = [int(operation) for operation in Operation]
    commands = [Command(operation, operation, asked=words)
                for operation in (max(known) + 1, 7, 0x80, 0x82, 0xFF) for words in (0, 1, MAX_WORDS)]
    assert talk([command.frame for command in commands]) == (
        [Answer(command.sequence, Status.UNKNOWN) for command in commands], [])


def test_after_an_unknown_operation_the_next_is_done() -> None:
    command = draw(random.Random(5), Operation.WRITE_MEMORY)
    assert talk([Command(7, 0x55, asked=1).frame, command.frame]) == (
        [Answer(7, Status.UNKNOWN), command.answer], command.deeds)


@pytest.mark.parametrize("command", [Command(8, Operation.READ_REGISTER, FAILING - 4, asked=3),
                                     Command(8, Operation.READ_MEMORY, MEMORY_BYTES - 4, asked=3)])
def test_a_read_of_what_is_not_there_is_an_error_with_all_its_words(command: Command) -> None:
    assert talk([command.frame]) == ([Answer(8, Status.BUS_ERROR, command.answer.values)], command.deeds)


def test_an_error_is_not_told_of_the_next_command() -> None:
    addresses = MEMORY_BYTES, 0
    answers, _ = talk([Command(number, Operation.READ_MEMORY, address, asked=1).frame
                       for number, address in enumerate(addresses)])
    assert [answer.status for answer in answers] == [Status.BUS_ERROR, Status.OK]


# ---- answers ----


def test_an_answer_tells_of_the_interrupt() -> None:
    command = Command(1, Operation.WRITE_REGISTER, 0, (1,))
    assert talk([command.frame], irq=True)[0] == [Answer(1, Status.OK | 1 << IRQ_BIT)]


def test_info_tells_version_clock_and_memory_and_cycles_that_go_on() -> None:
    first, second = talk([Command(number, Operation.INFO, asked=5).frame for number in range(2)])[0]
    assert first.values[:3] == second.values[:3] == (PROTOCOL_VERSION, CLOCK_HZ, MEMORY_BYTES)
    assert 0 < first.values[3] < second.values[3] and first.values[4] == second.values[4] == 0
