"""A bridge with a host on its line and registers and memory behind it, for its tests."""

import random
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.sim import Simulator

from sim.models.payload import as_python
from synth.boards.bridge import Bridge
from synth.boards.protocol import (
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


def draw(rng: random.Random, operation: Operation, sequence: int | None = None,
         most_words: int = 3) -> Command:
    """A command that goes well."""
    words = rng.randint(1, most_words)
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

    def __init__(self, seed: int, irq: bool, pauses: Mapping[int, int], halved: bool):
        self.bridge = Bridge(CLOCK_HZ, MEMORY_BYTES, GAP_CYCLES, halved=halved)
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
         pauses: Mapping[int, int] | None = None, halved: bool = False) -> tuple[list[Answer], list[Deed]]:
    """What a bridge answers to frames, each sent when nothing more comes of the one before, and what it does.

    Parameters
    ----------
    pauses : number of bytes sent, of all frames, to the cycles from that byte to the next
    halved : see `Bridge`
    """
    around = _Surroundings(seed, irq, pauses or {}, halved)
    around.talk(frames)
    return answers_in(bytes(around.received)), around.deeds
