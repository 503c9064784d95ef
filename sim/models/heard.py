"""A block that hears tile beats, with the tile bus before it."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, connect

from hdl.config import Config
from hdl.layouts import TileBeat
from hdl.shared import flat_ports
from hdl.tile_bus import TileBus

__all__ = ["BehindTileBus"]


class BehindTileBus(wiring.Component):
    """The block's members, but whole tile beats on `i_tile`, as a loader makes them.

    Parameters
    ----------
    config : Config
    block : a PE or a lane store
    number : of the PE
    tile, tile_data : the block's names of what it hears
    """

    def __init__(self, config: Config, block: wiring.Component, number: int, tile: str = "i_tile",
                 tile_data: str = "i_tile_data"):
        self._config, self._block, self._number = config, block, number
        self._tile, self._tile_data = tile, tile_data
        members = {name: member for name, member in block.signature.members.items()
                   if name not in (tile, tile_data)}
        super().__init__(members | {"i_tile": In(stream.Signature(TileBeat(config), always_ready=True))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.bus = bus = TileBus(self._config)
        m.submodules.block = block = self._block
        connect(m, wiring.flipped(self.i_tile), bus.i)
        connect(m, bus.o[self._number], getattr(block, self._tile))
        m.d.comb += getattr(block, self._tile_data).eq(bus.o_data[self._number])
        own = {name: value for name, _, value in flat_ports(self)}
        for name, is_input, value in flat_ports(block):
            if name in own and not name.startswith("i_tile"):
                m.d.comb += value.eq(own[name]) if is_input else own[name].eq(value)
        return m
