"""hdl.read_port: who is served when, and that every answer finds its reader."""

import random
from typing import Any

import pytest

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from hdl.read_port import ReadPort
from tests.harness import run_block

READERS = 5


def answer_out_of_order(dut: ReadPort, seed: int, errors: float = 0.0, ids: list[int] | None = None) -> Any:
    """A memory whose beat at address a is a itself; ids are interleaved at random, each in its own order."""
    rng = random.Random(f"{seed} memory")
    size = PRESETS["base"].port_bytes

    async def process(ctx: Any) -> None:
        waiting: dict[int, list[tuple[int, int]]] = {}  # id to beats (address, last)
        ready = False
        while True:
            _, _, valid, request = await ctx.tick().sample(dut.ar.valid, dut.ar.payload)
            if valid and ready:
                if ids is not None:
                    ids.append(request.id)
                waiting.setdefault(request.id, []).extend(
                    (request.address + size * number, int(number == request.length))
                    for number in range(request.length + 1))
            ready = rng.random() < 0.7
            ctx.set(dut.ar.ready, int(ready))
            choices = [key for key, beats in waiting.items() if beats]
            if choices and rng.random() < 0.8:
                number = rng.choice(choices)
                address, last = waiting[number].pop(0)
                ctx.set(dut.r.payload, {"id": number, "data": address, "last": last,
                                        "response": 2 if rng.random() < errors else 0})
                ctx.set(dut.r.valid, 1)
            else:
                ctx.set(dut.r.valid, 0)
    return process


def random_requests(rng: random.Random, count: int) -> list[dict[str, int]]:
    return [{"address": 16 * rng.randrange(1 << 20), "beats": rng.randrange(16)} for _ in range(count)]


@pytest.mark.parametrize("seed", range(4))
def test_every_answer_reaches_the_reader_that_asked(seed):
    rng = random.Random(seed)
    dut = ReadPort(PRESETS["base"], READERS)
    requests = [random_requests(rng, rng.choice([0, 1, 10])) for _ in range(READERS)]
    answers = [[{"data": request["address"] + 16 * number, "error": 0}
                for request in own for number in range(request["beats"] + 1)] for own in requests]
    results = run_block(dut, {f"i_request.{number}": own for number, own in enumerate(requests)},
                        {f"o_beat.{number}": len(own) for number, own in enumerate(answers)},
                        seed=seed, gap=rng.choice([0, 0.5]), processes=[answer_out_of_order(dut, seed)])
    assert [results[f"o_beat.{number}"] for number in range(READERS)] == answers


def test_readers_that_ask_together_are_served_in_turns():
    dut, ids = ReadPort(PRESETS["base"], READERS), []
    requests = [{"address": 0, "beats": 0}] * 20
    run_block(dut, {f"i_request.{number}": requests for number in (0, 2, 3)},
              {f"o_beat.{number}": 20 for number in (0, 2, 3)},
              processes=[answer_out_of_order(dut, 0, ids=ids)])
    assert ids == [0, 2, 3] * 20


def test_an_error_response_is_reported_and_handed_on():
    dut, errors = ReadPort(PRESETS["base"], READERS), []

    async def watch(ctx: Any) -> None:
        while True:
            _, _, error = await ctx.tick().sample(dut.o_error)
            if error.valid:
                errors.append(error.reader)

    results = run_block(dut, {"i_request.4": [{"address": 64, "beats": 15}] * 4}, {"o_beat.4": 64},
                        processes=[answer_out_of_order(dut, 0, errors=0.3), watch])
    assert errors == [4] * sum(beat["error"] for beat in results["o_beat.4"])
    assert errors


@pytest.mark.parametrize("name", ["tiny", "base", "large"])
def test_it_converts_to_verilog(name):
    assert "module block" in emit_verilog(ReadPort(PRESETS[name], 10), "block")
