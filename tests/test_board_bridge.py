"""synth.boards.bridge: commands that come damaged, cut short, late or twice."""

import random
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from amaranth.sim import Simulator

from sim.models.payload import as_python
from synth.boards.bridge import Bridge
from synth.boards.protocol import (
    IRQ_BIT,
    MAX_WORDS,
    PROTOCOL_VERSION,
    SYNC_ANSWER,
    SYNC_COMMAND,
    Operation,
    Status,
    crc,
)

CLOCK_HZ = 40_000_000
MEMORY_BYTES = 1024
FAILING = 0x80
"""From here on registers answer with an error."""
GAP_CYCLES = 20
BYTE_CYCLES = 3, 6
"""From one byte of the line to the next, from and to: no line is as fast."""
QUIET_CYCLES = GAP_CYCLES + 15
"""In which nothing has happened where nothing more will."""
READS = Operation.READ_REGISTER, Operation.READ_MEMORY
WRITES = Operation.WRITE_REGISTER, Operation.WRITE_MEMORY
Deed = tuple[Operation, int, int]
"""What was done behind the bridge: operation, address, the word that was read or written."""


@dataclass(frozen=True)
class Command:
    sequence: int
    operation: int
    address: int = 0
    values: tuple[int, ...] = ()   # of a write
    asked: int | None = None       # words, where these are others than the values

    @property
    def words(self) -> int:
        return len(self.values) if self.asked is None else self.asked

    @property
    def frame(self) -> bytes:
        body = struct.pack("<BBBI", self.sequence, self.operation, self.words, self.address)
        body += struct.pack(f"<{len(self.values)}I", *self.values)
        return bytes([SYNC_COMMAND]) + body + struct.pack(">H", crc(body))

    @property
    def deeds(self) -> list[Deed]:
        """Once done, on registers and memory that were not written before."""
        operation = Operation(self.operation)
        places = [self.address + 4 * word for word in range(self.words)]
        values = self.values if operation in WRITES else [untouched(place) for place in places]
        return [(operation, place, value) for place, value in zip(places, values, strict=True)]

    @property
    def answer(self) -> "Answer":
        """Where all goes well."""
        read = () if self.operation in WRITES else tuple(value for _, _, value in self.deeds)
        return Answer(self.sequence, Status.OK, read)


@dataclass(frozen=True)
class Answer:
    sequence: int
    status: int
    values: tuple[int, ...] = ()


def untouched(address: int) -> int:
    """What reads where nothing was written."""
    return (address * 0x9E37_79B1 + 7) & 0xFFFF_FFFF


def draw(rng: random.Random, operation: Operation, sequence: int | None = None) -> Command:
    """A command that goes well."""
    words = rng.randint(1, 3)
    end = FAILING if operation in (Operation.READ_REGISTER, Operation.WRITE_REGISTER) else MEMORY_BYTES
    values = tuple(rng.getrandbits(32) for _ in range(words)) if operation in WRITES else ()
    return Command(rng.randrange(256) if sequence is None else sequence, operation,
                   4 * rng.randrange(end // 4 - words), values, words)


def answers_in(received: bytes) -> list[Answer]:
    """Of bytes that are nothing but whole answers."""
    found = []
    while received:
        sync, sequence, status, words = struct.unpack_from("<4B", received)
        end = 4 + 4 * words
        assert sync == SYNC_ANSWER and struct.unpack_from(">H", received, end) == (crc(received[1:end]),)
        found.append(Answer(sequence, status, struct.unpack_from(f"<{words}I", received, 4)))
        received = received[end + 2:]
    return found


class _Surroundings:
    """Line, registers and memory around a bridge, each as fast as chance has it."""

    def __init__(self, seed: int, irq: bool, pauses: Mapping[int, int]):
        self.bridge = Bridge(CLOCK_HZ, MEMORY_BYTES, GAP_CYCLES)
        self.received, self.deeds = bytearray(), list[Deed]()
        self._random, self._irq, self._pauses = random.Random(seed), irq, pauses
        self._events, self._sent = 0, 0
        self._registers: dict[int, int] = {}
        self._memory: dict[int, int] = {}

    async def _take(self, ctx: Any, *streams: Any) -> list[Any]:
        """An element of each, in any order."""
        for stream in streams:
            # Nobody is awake in vain: a simulation is as long as its processes' steps.
            if not ctx.get(stream.valid):
                await ctx.posedge(stream.valid)
        taken: dict[int, Any] = {}
        while len(taken) < len(streams):
            ready = {number for number in range(len(streams)) if number not in taken
                     and self._random.random() < 0.6}
            for number in ready:
                ctx.set(streams[number].ready, 1)
            _, _, *sampled = await ctx.tick().sample(*(part for stream in streams
                                                       for part in (stream.valid, stream.payload)))
            for number in ready:
                ctx.set(streams[number].ready, 0)
                if sampled[2 * number]:
                    taken[number] = as_python(sampled[2 * number + 1])
                    self._events += 1
        return [taken[number] for number in range(len(streams))]

    async def _wait(self, ctx: Any) -> None:
        while self._random.random() < 0.5:
            await ctx.tick()

    async def _give(self, ctx: Any, stream: Any, payload: dict[str, int]) -> None:
        await self._wait(ctx)
        ctx.set(stream.payload, payload)
        ctx.set(stream.valid, 1)
        await ctx.tick().until(stream.ready)
        ctx.set(stream.valid, 0)
        self._events += 1

    async def register_writes(self, ctx: Any) -> None:
        control = self.bridge.control
        while True:
            place, data = await self._take(ctx, control.aw, control.w)
            assert data["strobe"] == 0b1111
            self.deeds.append((Operation.WRITE_REGISTER, place["address"], data["data"]))
            self._registers[place["address"]] = data["data"]
            await self._give(ctx, control.b, {"response": 2 * (place["address"] >= FAILING)})

    async def register_reads(self, ctx: Any) -> None:
        control = self.bridge.control
        while True:
            place, = await self._take(ctx, control.ar)
            address = place["address"]
            value = self._registers.get(address, untouched(address))
            self.deeds.append((Operation.READ_REGISTER, address, value))
            await self._give(ctx, control.r, {"data": value, "response": 2 * (address >= FAILING)})

    async def memory(self, ctx: Any) -> None:
        answer = self.bridge.i_host
        while True:
            access, = await self._take(ctx, self.bridge.o_host)
            address = access["address"]
            if access["write"]:
                self._memory[address] = access["data"]
            value = self._memory.get(address, untouched(address))
            self.deeds.append((Operation.WRITE_MEMORY if access["write"] else Operation.READ_MEMORY,
                               address, value))
            await self._give(ctx, answer, {"data": value, "exists": address < MEMORY_BYTES})

    async def answers(self, ctx: Any) -> None:
        while True:
            self.received += bytes(await self._take(ctx, self.bridge.o))

    async def send(self, ctx: Any, frame: bytes) -> None:
        """Byte by byte, and wait until all is done."""
        for byte in frame:
            ctx.set(self.bridge.i.payload, byte)
            ctx.set(self.bridge.i.valid, 1)
            await ctx.tick()
            ctx.set(self.bridge.i.valid, 0)
            self._sent += 1
            await ctx.tick().repeat(self._pauses.get(self._sent, self._random.randint(*BYTE_CYCLES)) - 1)
        before = None
        while self._events != before:
            before = self._events
            await ctx.tick().repeat(QUIET_CYCLES)

    def talk(self, frames: Sequence[bytes]) -> None:
        async def host(ctx: Any) -> None:
            ctx.set(self.bridge.i_irq, self._irq)
            for frame in frames:
                await self.send(ctx, frame)

        simulator = Simulator(self.bridge)
        simulator.add_clock(1e-6)
        for process in (self.register_writes, self.register_reads, self.memory, self.answers):
            simulator.add_testbench(process, background=True)
        simulator.add_testbench(host)
        simulator.run()


def talk(frames: Sequence[bytes], *, seed: int = 0, irq: bool = False,
         pauses: Mapping[int, int] | None = None) -> tuple[list[Answer], list[Deed]]:
    """What a bridge answers to frames, each sent when nothing more comes of the one before, and what it does.

    Parameters
    ----------
    pauses : number of bytes sent, of all frames, to the cycles from that byte to the next
    """
    around = _Surroundings(seed, irq, pauses or {})
    around.talk(frames)
    return answers_in(bytes(around.received)), around.deeds


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


@pytest.mark.parametrize("operation", [Operation.READ_MEMORY, Operation.WRITE_MEMORY])
def test_as_many_words_as_there_may_be_are_done(operation: Operation) -> None:
    values = tuple(range(MAX_WORDS)) if operation in WRITES else ()
    command = Command(6, operation, 0x100, values, MAX_WORDS)
    assert talk([command.frame]) == ([command.answer], command.deeds)


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
