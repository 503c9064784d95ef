"""What each bench simulates: `sim.benches.<name>_bench` is a bench of `BLOCKS[name]()`."""

from collections.abc import Callable
from types import MappingProxyType

from amaranth.lib import data, wiring

from hdl.block_queue import BlockQueue
from hdl.chain import ChainStage
from hdl.config import PRESETS
from hdl.queue import Queue
from hdl.router import Router

__all__ = ["BLOCKS", "SMALL", "TINY"]

TINY, SMALL = PRESETS["tiny"], PRESETS["small"]

_PAIR = data.StructLayout({"a": 8, "b": data.ArrayLayout(4, 2)})

BLOCKS: MappingProxyType[str, Callable[[], wiring.Component]] = MappingProxyType({
    "queue": lambda: Queue(_PAIR, 4),
    "block_queue": lambda: BlockQueue(_PAIR, 4),
    "router": lambda: Router(TINY),
    "chain": lambda: ChainStage(TINY),
})
