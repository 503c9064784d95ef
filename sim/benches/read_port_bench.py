"""hdl.read_port: every answer finds the reader that asked, in turns, errors and all."""

import random
from typing import Any

import cocotb

from sim.benches.blocks import BLOCKS, READERS, TINY
from sim.benches.memory import check_burst
from sim.benches.streams import Block

SIZE = TINY.port_bytes


async def answer_out_of_order(block: Block, errors: float = 0.0) -> None:
    """A memory whose beat at address a is a itself; ids are mixed at random, each in its own order."""
    rng = random.Random(f"{block.seed} memory")
    requests, answers, seen = block.sink("ar"), block.source("r"), 0
    waiting: dict[int, list[tuple[int, int]]] = {}  # id to beats (address, last)
    while True:
        for request in requests.items[seen:]:
            check_burst(TINY, request["address"], request["length"] + 1)
            waiting.setdefault(request["id"], []).extend(
                (request["address"] + SIZE * number, int(number == request["length"]))
                for number in range(request["length"] + 1))
        seen = len(requests.items)
        choices = sorted(key for key, beats in waiting.items() if beats)
        if choices and answers.done:
            number = rng.choice(choices)
            address, last = waiting[number].pop(0)
            answers.put({"id": number, "data": address, "last": last,
                         "response": 2 if rng.random() < errors else 0})
        await block.cycles()


def random_requests(rng: random.Random, count: int) -> list[dict[str, int]]:
    """Bursts that end at most at a multiple of burst_bytes."""
    result = []
    for _ in range(count):
        first, beats = rng.randrange(16), rng.randrange(16)
        result.append({"address": TINY.burst_bytes * rng.randrange(999) + first * SIZE,
                       "beats": min(beats, 15 - first)})
    return result


@cocotb.test(timeout_time=50, timeout_unit="us")
@cocotb.parametrize(seed=[0, 1], rates=[(0.0, 0.0), (0.4, 0.3)])
async def every_answer_reaches_the_reader_that_asked(dut: Any, seed: int, rates: tuple[float, float]) -> None:
    rng = random.Random(seed)
    requests = [random_requests(rng, rng.choice([0, 1, 4])) for _ in range(READERS)]
    answers = [[request["address"] + SIZE * number for request in own
                for number in range(request["beats"] + 1)] for own in requests]
    block = Block(dut, BLOCKS["read_port"](), seed, gap=rates[0], stall=rates[1])
    await block.start()
    errors, beats, asked = (block.pulses(name) for name in ("o_error", "o_beats", "o_asked"))
    sinks = [block.sink(f"o_beat.{number}") for number in range(READERS)]
    for number, own in enumerate(requests):
        block.source(f"i_request.{number}", own)
    block.run(answer_out_of_order(block, errors=0.2))
    await block.finish({f"o_beat.{number}": len(own) for number, own in enumerate(answers)})
    assert [[item["data"] for item in sink.items] for sink in sinks] == answers
    for number, sink in enumerate(sinks):
        assert (sum(item["error"] for item in sink.items)
                == sum(error["reader"] == number for _, error in errors))
    assert len(beats) == sum(map(len, answers))
    for number, own in enumerate(requests):
        assert ([burst["address"] for _, burst in asked if burst["id"] == number]
                == [request["address"] for request in own])


@cocotb.test(timeout_time=50, timeout_unit="us")
async def readers_that_ask_together_are_served_in_turns(dut: Any) -> None:
    block = Block(dut, BLOCKS["read_port"]())
    await block.start()
    for number in range(READERS):
        block.sink(f"o_beat.{number}")
        block.source(f"i_request.{number}", [{"address": 0, "beats": 0}] * (6 if number != 1 else 0))
    block.run(answer_out_of_order(block))
    await block.finish({"o_beat.0": 6, "o_beat.2": 6, "o_beat.1": 0})
    assert [request["id"] for request in block.sinks["ar"].items] == [0, 2] * 6
