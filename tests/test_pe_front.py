"""hdl.pe_front: beats become tokens of one's own, with the closes around them."""

import random
from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.owner import owner_value
from hdl.pe_front import PeFront
from sim.models.pe import Job, own_beats, token_beats
from tests.harness import as_python


def random_job(rng: random.Random, pk_log2: int, group_log2: int) -> Job:
    lengths = [rng.choice((0, 0, 1, 2, 9)) for _ in range(60)]
    a = [[(rng.randrange(64), rng.randint(1, 99)) for _ in range(length)] for length in lengths]
    return Job(a=a, b=[], n_count=1, pk_log2=pk_log2, group_log2=group_log2)


def expected_events(job: Job, owner: int) -> list[tuple]:
    """("token", address, part, value, position) and ("close",), in order."""
    groups, events = 1 << job.group_log2, []
    rows = [*job.a, *([[]] * (-len(job.a) % groups))]
    for number, row in enumerate(rows):
        for k, value in row:
            local = k >> job.pk_log2
            if owner_value(k, job.pk_log2) == owner:
                events.append(("token", local >> job.group_log2, k % groups, value, number % groups))
        if number % groups == groups - 1:
            events.append(("close",))
    return events


async def send_beats(ctx, dut, beats):
    """As the token bus does: a beat when there was room for it four registers ago."""
    rooms = [0, 0, 0, 0]
    for beat in beats:
        while True:
            # Four registers: the PE's, the bus's, two for the beat.
            rooms = [*rooms[1:], ctx.get(dut.o_room)]
            if rooms[0]:
                break
            ctx.set(dut.i.valid, 0)
            await ctx.tick()
        ctx.set(dut.i.payload, beat)
        ctx.set(dut.i.valid, 1)
        await ctx.tick()
    ctx.set(dut.i.valid, 0)


def run(name: str, job: Job, owner: int, seed: int, stall: float, fill: float = 0.8) -> tuple[list, int]:
    """Events, and the cycles with an op."""
    config, rng = PRESETS[name], random.Random(seed)
    dut = PeFront(config)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    events, ops, finished = [], [0], []
    beats = own_beats(token_beats(config, job, rng, fill), owner)

    async def feed(ctx):
        ctx.set(dut.i_group_log2, job.group_log2)
        await send_beats(ctx, dut, beats)

    async def take(ctx):
        while not finished:
            ctx.set(dut.o.ready, int(rng.random() >= stall))
            _, _, valid, ready, op = await ctx.tick().sample(dut.o.valid, dut.o.ready, dut.o.payload)
            if valid and ready:
                ops[0] += 1
                events.extend([("close",)] * op.before)
                if op.token:
                    value = op.value if op.value < 128 else op.value - 256
                    events.append(("token", op.address, op.part, value, op.position))
                events.extend([("close",)] * op.after)
                if op.last:
                    finished.append(True)

    simulator.add_testbench(feed, background=True)
    simulator.add_testbench(take)
    simulator.run()
    return events, ops[0]


@pytest.mark.parametrize(("name", "pk_log2", "owner", "group_log2"), [
    ("tiny", 1, 1, 0), ("tiny", 1, 0, 2), ("base", 0, 0, 0),
    ("base", 3, 5, 0), ("base", 3, 2, 1), ("base", 3, 7, 3),
])
@pytest.mark.parametrize("seed", range(4))
def test_own_tokens_and_closes_come_in_order(name, pk_log2, owner, group_log2, seed) -> None:
    job = random_job(random.Random(seed), pk_log2, group_log2)
    events, _ = run(name, job, owner, seed, stall=(0, 0.3, 0.6, 0.9)[seed])
    assert events == expected_events(job, owner)


def test_a_beat_costs_its_own_tokens() -> None:
    rng = random.Random(1)
    job = Job(a=[[(rng.randrange(64), 3)] for _ in range(300)], b=[], n_count=1, pk_log2=0)
    events, ops = run("base", job, 0, 1, stall=0, fill=1.0)
    assert ops == 300
    assert events == expected_events(job, 0)


def chunk_beats(config: Config, lengths: list[int], rng: random.Random, own: float) -> list[dict]:
    """Beats of SDDMM for rows with so many entries each; entry e has the value e, mod 128, and part of them
    is this PE's."""
    count, ends = config.beat_tokens, []                       # (chunk, position) of each row's end
    total = 0
    for length in lengths:
        total += length
        # An end between two chunks belongs to the former, one before all entries to the first.
        chunk = max(0, (total - 1) // count)
        ends.append((chunk, total - chunk * count))
    beats = []
    for chunk in range(-(-total // count)):
        tokens = [{"address": 0, "part": 0, "value": (chunk * count + place) % 128}
                  for place in range(count)]
        mask = sum((rng.random() < own and chunk * count + place < total) << place
                   for place in range(count))
        here = [position for number, position in ends if number == chunk]
        kept = 0
        while True:
            now, here = here[:2], here[2:]
            upto = count if not here else now[-1]
            keep = ((1 << upto) - 1) & ~kept
            kept |= keep
            pair = [{"valid": 1, "position": position} for position in now]
            beats.append({"tokens": tokens, "mask": mask & keep, "chunk_end": int(not here),
                          "ends": pair + [{"valid": 0, "position": 0}] * (2 - len(pair)), "last": 0})
            if not here:
                break
    beats[-1]["last"] = 1
    return beats


@pytest.mark.parametrize("name", ["tiny", "base"])
@pytest.mark.parametrize("own", [0.1, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(2))
def test_entries_keep_their_place_and_rows_their_number(name: str, own: float, seed: int) -> None:
    config, rng = replace(PRESETS[name], name=f"{name}_sddmm", sddmm=True), random.Random(seed)
    lengths = [rng.choice((0, 0, 1, 2, 5, 30)) for _ in range(50)]
    total = sum(lengths)
    rows = [row for row, length in enumerate(lengths) for _ in range(length)]
    beats = chunk_beats(config, lengths, rng, own)
    ops = take_ops(config, beats, rng, stall=0.4 * seed)
    entries, row, groups = [], 0, 0
    for op in ops:
        row += op["rows_before"]
        assert op["before"] == 0
        if op["token"]:
            entry = groups * config.lanes + op["position"]
            assert op["value"] == entry % 128 and row == rows[entry]
            entries.append(entry)
        row += op["rows_after"]
        groups += op["after"]
    chunks = [beat for beat in beats if beat["chunk_end"]]
    assert len(chunks) == -(-total // config.beat_tokens)
    assert len(entries) == sum(beat["mask"].bit_count() for beat in beats) and entries == sorted(set(entries))
    assert row == len(lengths) and groups == -(-total // config.lanes)


def take_ops(config: Config, beats: list[dict], rng: random.Random, stall: float) -> list[dict]:
    """What comes of a job's beats, to the last op."""
    dut, ops = PeFront(config), []
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def feed(ctx):
        ctx.set(dut.i_sddmm, 1)
        await send_beats(ctx, dut, beats)

    async def take(ctx):
        while not ops or not ops[-1]["last"]:
            ctx.set(dut.o.ready, int(rng.random() >= stall))
            _, _, valid, ready, op = await ctx.tick().sample(dut.o.valid, dut.o.ready, dut.o.payload)
            if valid and ready:
                ops.append(as_python(op))

    simulator.add_testbench(feed, background=True)
    simulator.add_testbench(take)
    simulator.run()
    return ops


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_it_converts_to_verilog(name: str) -> None:
    assert "module" in emit_verilog(PeFront(PRESETS[name]), "front")
