"""What each bench simulates: `sim.benches.<name>_bench` is a bench of `BLOCKS[name]()`."""

from collections.abc import Callable
from types import MappingProxyType

from amaranth.lib import data, wiring

from hdl.block_queue import BlockQueue
from hdl.chain import ChainStage
from hdl.collector import Collector
from hdl.config import PRESETS
from hdl.control import ControlPort
from hdl.counters import Counters
from hdl.fetch import Fetch
from hdl.packer import Packer
from hdl.pe import ProcessingElement
from hdl.queue import Queue
from hdl.read_port import ReadPort
from hdl.reader import SegmentReader
from hdl.router import Router
from hdl.tile_loader import TileLoader
from hdl.token_bus import TokenBus
from hdl.writer import SegmentWriter
from sim.models.heard import BehindTileBus
from sim.models.supervised import Supervised

__all__ = ["BLOCKS", "PE_NUMBER", "READERS", "SMALL", "TINY"]

TINY, SMALL = PRESETS["tiny"], PRESETS["small"]
READERS = 3
PE_NUMBER = 2

_PAIR = data.StructLayout({"a": 8, "b": data.ArrayLayout(4, 2)})

BLOCKS: MappingProxyType[str, Callable[[], wiring.Component]] = MappingProxyType({
    "queue": lambda: Queue(_PAIR, 4),
    "block_queue": lambda: BlockQueue(_PAIR, 4),
    "router": lambda: Router(TINY),
    "chain": lambda: ChainStage(TINY),
    "token_bus": lambda: TokenBus(TINY),
    "reader": lambda: SegmentReader(TINY, TINY.port_bytes),
    "read_port": lambda: ReadPort(TINY, READERS),
    "writer": lambda: SegmentWriter(TINY),
    "fetch": lambda: Fetch(TINY),
    "tile_loader": lambda: TileLoader(SMALL),
    "packer": lambda: Packer(SMALL),
    "pe": lambda: BehindTileBus(SMALL, ProcessingElement(SMALL, PE_NUMBER), PE_NUMBER),
    "collector": lambda: Collector(TINY),
    "counters": lambda: Counters(TINY),
    "control": lambda: ControlPort(TINY),
    "command": lambda: Supervised(TINY),
})
