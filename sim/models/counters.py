"""Which counter a cycle belongs to, in plain Python."""

import random
from collections.abc import Mapping

from hdl.config import Config

__all__ = ["cause", "count", "draw"]

_FLAGS = ("i_token_waits", "i_open", "i_fetch_waiting", "i_tokens_due", "i_draining", "i_read_beat",
          "i_write_beat")


def cause(inputs: Mapping[str, int]) -> str:
    """The name of the counter that a cycle with these inputs belongs to."""
    order = (
        ("busy", inputs["i_active"]), ("wait_tile", inputs["i_token_waits"] and not inputs["i_open"]),
        ("wait_collector", inputs["i_blocked"]), ("wait_memory", inputs["i_fetch_waiting"]),
        ("wait_a", inputs["i_tokens_due"]), ("drain", inputs["i_draining"]), ("command", 1))
    return next(name for name, holds in order if holds)


def count(model: dict[str, int], inputs: Mapping[str, int]) -> None:
    """A running cycle with these inputs."""
    model["cycles"] += 1
    model["read_beats"] += inputs["i_read_beat"]
    model["write_beats"] += inputs["i_write_beat"]
    model["mac_words"] += inputs["i_active"].bit_count()
    model[f"count_{cause(inputs)}"] += 1


def draw(config: Config, rng: random.Random) -> dict[str, int]:
    """Random inputs of a cycle."""
    def wide() -> int:
        return rng.getrandbits(config.pes) & rng.getrandbits(config.pes)
    return {"i_active": wide(), "i_blocked": wide()} | {name: int(rng.random() < 0.4) for name in _FLAGS}
