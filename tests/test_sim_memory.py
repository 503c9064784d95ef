"""sim.memory: latency, shared bandwidth, order, errors and gaps against a plain list of bytes."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from sim.memory import MemoryModel, gap_threshold
from sim.memory_faults import CHANNELS, MemoryFaults
from tests.harness import as_python

CONFIG = PRESETS["small"]
SIZE = CONFIG.port_bytes
ALL = (1 << SIZE) - 1
DEPTH = 1024


class Traffic:
    """Feeds bursts and beats into a memory and notes the cycle of every handshake, channel by channel."""

    def __init__(self, model: MemoryModel, *, reads: Sequence[dict] = (), writes: Sequence[dict] = (),
                 content: Sequence[int] = (), r_stall: Any = lambda cycle: False, seed: int = 0,
                 gap: float = 0.0, cycles: int = 2000, faults: MemoryFaults | None = None):
        self.model, self.events = model, {name: [] for name in ("ar", "r", "aw", "w", "b")}
        self._cycles = cycles
        simulator = Simulator(model)
        simulator.add_clock(1e-6)
        beats = [{"data": word, "strobe": strobe, "last": int(number == len(burst["words"]) - 1)}
                 for burst in writes for number, (word, strobe) in enumerate(burst["words"])]
        aw = [{"id": burst["id"], "address": burst["address"], "length": len(burst["words"]) - 1}
              for burst in writes]
        for name, items in (("ar", reads), ("aw", aw), ("w", beats)):
            simulator.add_testbench(self._feeder(name, items, random.Random(f"{seed} {name}"), gap),
                                    background=True)
        simulator.add_testbench(self._taker("r", r_stall), background=True)
        simulator.add_testbench(self._taker("b", lambda cycle: False), background=True)

        async def supervise(ctx: Any) -> None:
            for name, value in (faults.settings(SIZE) if faults else {}).items():
                ctx.set(getattr(model, name), value)
            for number, word in enumerate(content):
                ctx.set(model.storage.memory.data[number], word)
            await ctx.tick().repeat(cycles)
            self.memory = [int(ctx.get(model.storage.memory.data[number])) for number in range(DEPTH)]
            self.violation = ctx.get(model.violation)

        simulator.add_testbench(supervise)
        simulator.run()

    def _feeder(self, name: str, items: Sequence[dict], rng: random.Random, gap: float) -> Any:
        channel = getattr(self.model.memory, name)

        async def process(ctx: Any) -> None:
            cycle = 0
            for item in items:
                while rng.random() < gap:
                    await ctx.tick()
                    cycle += 1
                ctx.set(channel.payload, item)
                ctx.set(channel.valid, 1)
                ready = 0
                while not ready:
                    *_, ready = await ctx.tick().sample(channel.ready)
                    cycle += 1
                self.events[name].append((cycle, item))
                ctx.set(channel.valid, 0)
        return process

    def _taker(self, name: str, stall: Any) -> Any:
        channel = getattr(self.model.memory, name)

        async def process(ctx: Any) -> None:
            held = None
            for cycle in range(1, self._cycles + 1):
                ready = not stall(cycle)
                ctx.set(channel.ready, int(ready))
                *_, valid, payload = await ctx.tick().sample(channel.valid, channel.payload)
                item = as_python(payload)
                assert held is None or (valid and item == held), f"{name} changed while stalled"
                if valid and ready:
                    self.events[name].append((cycle, item))
                held = item if valid and not ready else None
        return process

    def cycles(self, name: str) -> list[int]:
        return [cycle for cycle, _ in self.events[name]]

    def payloads(self, name: str) -> list[Any]:
        return [item for _, item in self.events[name]]


def read(address: int, beats: int, number: int = 1) -> dict:
    return {"id": number, "address": address, "length": beats - 1}


def write(address: int, words: Sequence[int], number: int = 2) -> dict:
    return {"id": number, "address": address, "words": [(word, ALL) for word in words]}


@pytest.mark.parametrize("latency", [2, 3, 32, 100])
def test_first_beat_comes_exactly_after_the_latency_and_the_others_one_a_cycle(latency: int) -> None:
    traffic = Traffic(MemoryModel(CONFIG, DEPTH, latency), reads=[read(64, 16)],
                      content=range(100), cycles=300)
    start = traffic.cycles("ar")[0]
    assert traffic.cycles("r") == list(range(start + latency, start + latency + 16))
    assert [item["data"] for item in traffic.payloads("r")] == list(range(8, 24))
    assert [item["last"] for item in traffic.payloads("r")] == [0] * 15 + [1]


def test_a_response_comes_exactly_after_the_latency_from_the_last_beat() -> None:
    traffic = Traffic(MemoryModel(CONFIG, DEPTH, 32), writes=[write(0, range(5), number=9)], cycles=100)
    assert traffic.cycles("b") == [traffic.cycles("w")[-1] + 32]
    assert traffic.payloads("b") == [{"id": 9, "response": 0}]
    assert traffic.memory[:6] == [0, 1, 2, 3, 4, 0]


def test_bursts_that_follow_each_other_fill_every_cycle() -> None:
    traffic = Traffic(MemoryModel(CONFIG, DEPTH, 32), cycles=500,
                      reads=[read(128 * n, 16) for n in range(20)])
    cycles = traffic.cycles("r")
    assert len(cycles) == 320 and cycles[-1] - cycles[0] == 319


def test_forty_reads_are_accepted_before_the_first_answer() -> None:
    traffic = Traffic(MemoryModel(CONFIG, DEPTH, 200), reads=[read(8 * n, 1) for n in range(40)], cycles=400)
    assert traffic.cycles("ar")[-1] < traffic.cycles("r")[0]
    assert len(traffic.cycles("r")) == 40


def test_reads_and_writes_share_the_port_and_neither_starves() -> None:
    traffic = Traffic(MemoryModel(CONFIG, DEPTH, 32), reads=[read(128 * n, 16) for n in range(30)],
                      writes=[write(4096 + 128 * n, range(16)) for n in range(30)], cycles=1200)
    reads, writes = set(traffic.cycles("r")), set(traffic.cycles("w"))
    assert len(reads) == len(writes) == 480 and not reads & writes
    # A feeder of the test offers a beat in every cycle, so while both want, they take turns.
    both = range(min(reads) + 4, min(max(reads), max(writes)) - 1)
    assert all((cycle in reads) + (cycle in writes) == 1 for cycle in both)
    share = sum(cycle in reads for cycle in both) / len(both)
    assert 0.49 <= share <= 0.51


def test_a_stalled_read_does_not_hold_up_writes() -> None:
    traffic = Traffic(MemoryModel(CONFIG, DEPTH, 4), reads=[read(0, 4)], r_stall=lambda cycle: cycle < 200,
                      writes=[write(128 * n, range(16)) for n in range(8)], cycles=400)
    assert traffic.cycles("w")[-1] < 160
    assert len(traffic.cycles("r")) == 4


@pytest.mark.parametrize("seed", range(4))
def test_random_traffic_with_gaps_and_stalls_matches_a_list_of_words(seed: int) -> None:
    rng = random.Random(seed)
    content = [rng.getrandbits(8 * SIZE) for _ in range(DEPTH)]
    half = DEPTH // 2
    reads, expected, writes, model = [], [], [], list(content)
    for _ in range(40):
        beats = rng.randint(1, 16)
        first = rng.randrange(half // 16) * 16 + rng.randint(0, 16 - beats)
        reads.append(read(first * SIZE, beats, rng.randrange(16)))
        expected += [{"id": reads[-1]["id"], "data": content[first + n], "response": 0,
                      "last": int(n == beats - 1)} for n in range(beats)]
        beats = rng.randint(1, 16)
        first = half + rng.randrange(half // 16) * 16 + rng.randint(0, 16 - beats)
        words = [(rng.getrandbits(8 * SIZE), rng.getrandbits(SIZE)) for _ in range(beats)]
        writes.append({"id": rng.randrange(16), "address": first * SIZE, "words": words})
        for n, (word, strobe) in enumerate(words):
            mask = sum(0xFF << 8 * byte for byte in range(SIZE) if strobe >> byte & 1)
            model[first + n] = model[first + n] & ~mask | word & mask
    stalls = random.Random(seed + 1)
    traffic = Traffic(MemoryModel(CONFIG, DEPTH, 10, 0.3, seed=seed), reads=reads, writes=writes,
                      content=content, gap=0.3, seed=seed, r_stall=lambda cycle: stalls.random() < 0.3,
                      cycles=3000)
    assert traffic.payloads("r") == expected
    assert traffic.payloads("b") == [{"id": burst["id"], "response": 0} for burst in writes]
    assert traffic.memory == model
    assert not set(traffic.cycles("r")) & set(traffic.cycles("w"))
    assert traffic.violation == 0


def test_gaps_close_the_port_as_often_as_asked_and_repeat_with_the_seed() -> None:
    def cycles(seed: int) -> list[int]:
        return Traffic(MemoryModel(CONFIG, DEPTH, 4, 0.5, seed=seed), cycles=1500,
                       reads=[read(128 * n, 16) for n in range(30)]).cycles("r")

    first = cycles(1)
    assert len(first) == 480 and 800 < first[-1] - first[0] < 1150
    assert cycles(1) == first != cycles(2)


def test_addresses_past_the_end_are_answered_with_an_error_and_change_nothing() -> None:
    last = (DEPTH - 1) * SIZE
    traffic = Traffic(MemoryModel(CONFIG, DEPTH, 4), content=range(DEPTH), cycles=100,
                      reads=[read(last, 1), read(last + SIZE, 2), read(0xFFFF_0000, 1), read(8, 1)],
                      writes=[write(last + SIZE, [7, 7], 3), write(0x8000_0000, [7], 4), write(0, [5], 5)])
    assert [item["response"] for item in traffic.payloads("r")] == [0, 3, 3, 3, 0]
    assert [item["data"] for item in traffic.payloads("r")] == [DEPTH - 1, 0, 0, 0, 1]
    assert traffic.payloads("b") == [{"id": 3, "response": 3}, {"id": 4, "response": 3},
                                     {"id": 5, "response": 0}]
    assert traffic.memory == [5, *range(1, DEPTH)]


@pytest.mark.parametrize(("bit", "traffic"), [
    (1, {"reads": [read(4096 - SIZE, 2)]}),
    (1, {"writes": [write(4096 - SIZE, [1, 2])]}),
    (2, {"reads": [read(4, 1)]}),
])
def test_a_broken_rule_of_the_bus_is_noted(bit: int, traffic: dict) -> None:
    assert Traffic(MemoryModel(CONFIG, DEPTH, 4), cycles=60, **traffic).violation == 1 << bit


@pytest.mark.parametrize("by_address, first, last, bad", [
    (False, 3, 4, {3, 4}), (False, 0, 0, {0}), (True, 8 * SIZE, 9 * SIZE + 1, {0, 1, 4, 5})])
def test_chosen_beats_have_an_error(by_address: bool, first: int, last: int, bad: set[int]) -> None:
    bursts = [8, 16, 8]   # words; two beats each
    faults = MemoryFaults(read_errors=True, by_address=by_address, first=first, last=last)
    traffic = Traffic(MemoryModel(CONFIG, DEPTH, 4), reads=[read(SIZE * word, 2) for word in bursts],
                      writes=[write(SIZE * word, [1, 2]) for word in bursts], cycles=100, faults=faults)
    assert [item["response"] for item in traffic.payloads("r")] == [2 * (beat in bad) for beat in range(6)]
    assert [item["response"] for item in traffic.payloads("b")] == [0, 0, 0]
    faults = MemoryFaults(write_errors=True, by_address=by_address, first=first, last=last)
    traffic = Traffic(MemoryModel(CONFIG, DEPTH, 4), reads=[read(0, 6)], cycles=100, faults=faults,
                      writes=[write(SIZE * word, [number, number]) for number, word in
                              enumerate((8, 16, 40), 1)])
    bad &= {0, 1, 2, 3} if by_address else bad
    assert [item["response"] for item in traffic.payloads("b")] == [
        2 * bool({2 * burst, 2 * burst + 1} & bad) for burst in range(3)]
    written = [traffic.memory[word] for word in (8, 9, 16, 17, 40, 41)]
    assert written == [0 if beat in bad else 1 + beat // 2 for beat in range(6)]
    assert all(item["response"] == 0 for item in traffic.payloads("r"))


@pytest.mark.parametrize("name", CHANNELS)
def test_a_channel_stands_still_from_a_handover_on(name: str) -> None:
    faults = MemoryFaults(frozen=(name,), first=30)
    traffic = Traffic(MemoryModel(CONFIG, DEPTH, 4), reads=[read(128 * n, 4) for n in range(40)],
                      writes=[write(4096 + 128 * n, [1, 2]) for n in range(40)], cycles=600, faults=faults)
    moves = sorted(cycle for channel in CHANNELS for cycle in traffic.cycles(channel))
    # What is on offer, and a beat that has lost its turn once, still go.
    assert all(cycle <= moves[29] + 3 for cycle in traffic.cycles(name))
    assert len(moves) > 30 and traffic.violation == 0


@pytest.mark.parametrize("wrong, words", [
    ({"frozen": ("x",)}, "channels are ar, r, aw, w, b"), ({"first": 3, "last": 2}, "in this order"),
    ({"last": 1 << 32}, "from 0 to")])
def test_faults_that_make_no_sense_are_refused(wrong: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MemoryFaults(**wrong).settings(SIZE)


@pytest.mark.parametrize("channel", ["ar", "aw", "w"])
@pytest.mark.parametrize("withdrawn", [False, True])
def test_an_offer_that_does_not_hold_is_noted(channel: str, withdrawn: bool) -> None:
    model = MemoryModel(CONFIG, DEPTH, 4)
    simulator = Simulator(model)
    simulator.add_clock(1e-6)

    async def testbench(ctx: Any) -> None:
        # Nothing is ready: W has no address, the others are frozen.
        for name, value in MemoryFaults(frozen=("ar", "aw")).settings(SIZE).items():
            ctx.set(getattr(model, name), value)
        stream = getattr(model.memory, channel)
        ctx.set(stream.valid, 1)
        await ctx.tick().repeat(3)
        assert ctx.get(model.violation) == 0
        if withdrawn:
            ctx.set(stream.valid, 0)
        else:
            ctx.set(stream.payload.as_value(), 1)
        await ctx.tick().repeat(2)
        assert ctx.get(model.violation) == 0b1000

    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("probability", [-0.1, 0.96])
def test_a_gap_probability_out_of_range_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="gaps = "):
        gap_threshold(probability)


@pytest.mark.parametrize("preset", ["tiny", "base"])
@pytest.mark.parametrize("external", [False, True])
def test_it_converts_to_verilog(preset: str, external: bool) -> None:
    text = emit_verilog(MemoryModel(PRESETS[preset], 64, external=external), "memory")
    assert ("zerolane_storage" in text) == external
